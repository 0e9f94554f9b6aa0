//! A campaign as planned: who is in it, which action each gets, on which channels and when.
//!
//! A counted audience is never held in memory. Its customers are numbered; a keyed shuffle puts
//! them into positions; the first positions are the control group and each action has a
//! contiguous slice of the rest. So every size is exact, and every customer is found by computing.

use std::collections::HashSet;
use std::ops::Range;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::id::CampaignId;
use crate::random::{Permutation, key, text_key};

/// The action of the control group, in every campaign.
pub(crate) const CONTROL_ACTION_ID: u64 = 1;

/// Places that the customers of a triggered campaign are drawn into, to find their action.
pub(crate) const DRAWN_PLACES: u64 = 1_000_000;

/// How a campaign runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Scheduled,
    Conditional,
    /// Sent without a question, or only where the gateway allows it.
    Triggered(Asking),
}

/// Whether a triggered campaign asks the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    Never,
    First,
}

impl Kind {
    /// The name that the control API gives it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Conditional => "conditional",
            Self::Triggered(_) => "triggered",
        }
    }
}

/// A campaign, complete and unchanging from its creation.
#[derive(Debug)]
pub(crate) struct Campaign {
    pub(crate) id: CampaignId,
    /// The series that it is an occurrence of.
    pub(crate) series: CampaignId,
    pub(crate) kind: Kind,
    pub(crate) tenant: String,
    pub(crate) zone: TimeZone,
    pub(crate) seed: u64,
    pub(crate) target_group_id: u64,
    pub(crate) scheduled_at: Timestamp,
    /// Whether the time was chosen by hand.
    pub(crate) time_is_chosen: bool,
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
    /// Index of the first entry of the same customer.
    pub(crate) unit: u64,
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

    /// The number of the campaign; only triggered ones may have none.
    pub(crate) fn number(&self) -> u64 {
        self.id.number().unwrap_or_default()
    }

    /// Places at which a customer can stand: positions of a counted audience, entries of a list.
    pub(crate) fn units(&self) -> u64 {
        match &self.audience {
            Audience::Counted { count, .. } => *count,
            Audience::Listed(listed) => listed.len() as u64,
        }
    }

    /// Whether something would be sent to the customer at a position of a counted audience.
    pub(crate) fn reaches(&self, position: u64) -> bool {
        self.action_at(position).is_some_and(|(_, action)| {
            let local = position - action.slice.start;
            let mut placements = action.placements.iter();
            placements.any(|placement| placement.reaches(local, action.len()))
        })
    }

    /// The position of a customer of a counted audience that something would be sent to.
    pub(crate) fn position_of(&self, customer: &str) -> Option<u64> {
        let Audience::Counted { count, prefix } = &self.audience else {
            return None;
        };
        let digits = customer.strip_prefix(prefix.as_str())?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
        let number: u64 = digits
            .parse()
            .ok()
            .filter(|number| plain && number <= count)?;
        let position = self.shuffle.place_of(number - 1);
        self.reaches(position).then_some(position)
    }

    /// The action that a triggered campaign has for a customer; none for the control group.
    pub(crate) fn drawn_action(&self, customer: &str) -> Option<&Action> {
        let place = key(&[self.seed, text_key(customer)]) % DRAWN_PLACES;
        self.action_at(place).map(|(_, action)| action)
    }

    /// When a row is scheduled: by hand, or with its placement in a send group `later`.
    pub(crate) fn schedule(
        placement: &Placement,
        listed: Option<&Listed>,
        later: SignedDuration,
    ) -> Timestamp {
        let moved = || {
            placement
                .schedule
                .checked_add(later)
                .unwrap_or(placement.schedule)
        };
        listed
            .and_then(|listed| listed.schedule)
            .unwrap_or_else(moved)
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
    reached_spans(action)
        .iter()
        .map(|span| span.end - span.start)
        .sum()
}

/// The places within an action that at least one channel reaches, apart and in order.
pub(crate) fn reached_spans(action: &Action) -> Vec<Range<u64>> {
    let len = action.len();
    let mut spans = Vec::new();
    for placement in &action.placements {
        let end = placement.offset + placement.count;
        spans.push((placement.offset, end.min(len)));
        spans.push((0, end.saturating_sub(len)));
    }
    spans.sort_unstable();
    let mut apart = Vec::new();
    let mut counted_to = 0;
    for (start, end) in spans {
        let start = start.max(counted_to);
        if end > start {
            apart.push(start..end);
            counted_to = end;
        }
    }
    apart
}

/// Customers of a list, each counted once.
pub(crate) fn distinct_ids<'a>(listed: impl Iterator<Item = &'a Listed>) -> u64 {
    listed
        .map(|one| one.id.as_str())
        .collect::<HashSet<_>>()
        .len() as u64
}
