//! A campaign as planned: who is in it, which action each gets, on which channels and when.
//!
//! A counted audience is never held in memory. Its customers are numbered; a keyed shuffle puts
//! them into positions; the first positions are the control group and each action has a
//! contiguous slice of the rest. So every size is exact, and every customer is found by computing.

use std::collections::HashSet;
use std::ops::Range;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::random::Permutation;

/// The action of the control group, in every campaign.
pub(crate) const CONTROL_ACTION_ID: u64 = 1;

/// A campaign, complete and unchanging from its creation.
#[derive(Debug)]
pub(crate) struct Campaign {
    pub(crate) id: u64,
    pub(crate) tenant: String,
    pub(crate) zone: TimeZone,
    pub(crate) seed: u64,
    pub(crate) target_group_id: u64,
    pub(crate) duration_days: i32,
    pub(crate) lead_time_days: i32,
    pub(crate) notes: String,
    pub(crate) tags: Vec<String>,
    pub(crate) actions: Vec<Action>,
    pub(crate) audience: Audience,
    /// Customers in the control group.
    pub(crate) control: u64,
    pub(crate) shuffle: Permutation,
}

/// One treatment for part of the audience.
#[derive(Debug)]
pub(crate) struct Action {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) codes: Vec<String>,
    /// Its positions in a counted audience.
    pub(crate) slice: Range<u64>,
    pub(crate) placements: Vec<Placement>,
}

impl Action {
    pub(crate) fn len(&self) -> u64 {
        self.slice.end - self.slice.start
    }
}

/// One action on one channel.
#[derive(Debug)]
pub(crate) struct Placement {
    pub(crate) channel: u64,
    pub(crate) template_id: u64,
    pub(crate) template_name: String,
    pub(crate) schedule: Timestamp,
    /// Customers of the action that this channel reaches, ...
    pub(crate) count: u64,
    /// ... beginning with this one, round the end of the slice.
    pub(crate) offset: u64,
}

impl Placement {
    /// Whether the customer at `local` in an action of `len` customers is sent to here.
    pub(crate) fn reaches(&self, local: u64, len: u64) -> bool {
        (local + len - self.offset) % len < self.count
    }
}

/// Where the customers come from.
#[derive(Debug)]
pub(crate) enum Audience {
    /// `prefix` followed by a number from 1 on.
    Counted { count: u64, prefix: String },
    /// Listed by hand, in the order of the list.
    Listed(Vec<Listed>),
}

/// A customer listed by hand.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) id: String,
    /// Index of the action; none for the control group.
    pub(crate) action: Option<usize>,
    /// Indexes of the placements within the action.
    pub(crate) placements: Vec<usize>,
    pub(crate) schedule: Option<Timestamp>,
    /// The promo codes as text, exactly as given, and what they are read as.
    pub(crate) promo_text: Option<String>,
    pub(crate) codes: Option<Vec<String>>,
}

impl Campaign {
    /// Customers of a counted audience; 0 for a listed one.
    pub(crate) fn counted(&self) -> u64 {
        match self.audience {
            Audience::Counted { count, .. } => count,
            Audience::Listed(_) => 0,
        }
    }

    /// Customers in the campaign, control group included.
    pub(crate) fn audience_size(&self) -> u64 {
        match &self.audience {
            Audience::Counted { count, .. } => *count,
            Audience::Listed(listed) => distinct_ids(listed.iter()),
        }
    }

    /// Customers to whom at least one message goes.
    pub(crate) fn sent_size(&self) -> u64 {
        match &self.audience {
            Audience::Counted { .. } => self.actions.iter().map(reached).sum(),
            Audience::Listed(listed) => {
                distinct_ids(listed.iter().filter(|one| !one.placements.is_empty()))
            }
        }
    }

    /// The channels in use, each once, in the order of the actions.
    pub(crate) fn channels(&self) -> Vec<u64> {
        let mut seen = HashSet::new();
        let placements = self.actions.iter().flat_map(|action| &action.placements);
        let channels = placements.map(|placement| placement.channel);
        channels.filter(|channel| seen.insert(*channel)).collect()
    }

    /// The number of the customer at a position of a counted audience, from 1 on.
    pub(crate) fn customer_number(&self, position: u64) -> u64 {
        self.shuffle.at(position) + 1
    }

    /// The id of the customer at a position of a counted audience.
    pub(crate) fn customer_id(&self, position: u64) -> String {
        match &self.audience {
            Audience::Counted { prefix, .. } => {
                format!("{prefix}{}", self.customer_number(position))
            }
            Audience::Listed(listed) => listed[position as usize].id.clone(),
        }
    }

    /// The action of a position of a counted audience; none for the control group.
    pub(crate) fn action_at(&self, position: u64) -> Option<(usize, &Action)> {
        let mut actions = self.actions.iter().enumerate();
        actions.find(|(_, action)| action.slice.contains(&position))
    }
}

/// Customers of an action that at least one channel reaches.
fn reached(action: &Action) -> u64 {
    let len = action.len();
    let mut spans = Vec::new();
    for placement in &action.placements {
        let end = placement.offset + placement.count;
        spans.push((placement.offset, end.min(len)));
        spans.push((0, end.saturating_sub(len)));
    }
    spans.sort_unstable();
    let mut sum = 0;
    let mut counted_to = 0;
    for (start, end) in spans {
        sum += end.saturating_sub(start.max(counted_to));
        counted_to = counted_to.max(end);
    }
    sum
}

/// Customers of a list, each counted once.
pub(crate) fn distinct_ids<'a>(listed: impl Iterator<Item = &'a Listed>) -> u64 {
    listed
        .map(|one| one.id.as_str())
        .collect::<HashSet<_>>()
        .len() as u64
}
