//! Conditional campaigns: held until their customers are approved, send group by send group.
//!
//! What falls due stands in an agenda in the order of the sandbox clock. It is worked off before
//! anything that could see a difference is answered, so it does not matter how the clock got
//! there: by running or by being moved.

use std::sync::Arc;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use crate::approval::Board;
use crate::campaign::Campaign;
use crate::id::CampaignId;
use crate::plan::whole_minute;
use crate::scope::{Part, Scope, Share};
use crate::switch::{Switches, Version};

/// Shortest time between two send groups.
const GROUP_INTERVAL_MIN: SignedDuration = SignedDuration::from_secs(1);

/// A campaign that was processed and waits, or waited, for approvals.
#[derive(Clone, Debug)]
pub(crate) struct Hold {
    pub(crate) groups: Vec<Group>,
    pub(crate) board: Arc<Board>,
}

/// A send group: customers who are announced, cleared and sent to together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub(crate) announced_at: Timestamp,
    pub(crate) deadline: Timestamp,
    /// How much later than planned it is sent.
    later: SignedDuration,
    pub(crate) phase: Phase,
}

/// How far a send group has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Event 5 is still to come.
    Waiting,
    /// On the list to approve.
    Announced,
    /// Sent to the approved, on that local date.
    Executed(Date),
}

/// Something that falls due; in the order in which it happens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    pub(crate) at: Timestamp,
    pub(crate) tenant: String,
    pub(crate) campaign: CampaignId,
    pub(crate) group: usize,
    pub(crate) step: Step,
}

/// What falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Announcement,
    Deadline,
}

impl Hold {
    /// The hold of a campaign processed `now`, with a deadline `clearance` later or, without that,
    /// as many minutes before its time as the switches say.
    pub(crate) fn new(
        campaign: &Campaign,
        now: Timestamp,
        clearance: Option<SignedDuration>,
        switches: &Switches,
    ) -> Self {
        let minutes = |count: i64| SignedDuration::from_mins(count);
        let notice = minutes(switches.clearance_notice_minutes.0);
        let deadline = minutes(switches.clearance_deadline_minutes.0);
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let (announced_at, cleared_by) = match clearance {
            Some(wait) => (now, after(now, wait)),
            None if campaign.time_is_chosen => {
                let at = |before: SignedDuration| after(campaign.scheduled_at, -before);
                (at(notice), at(deadline))
            }
            None => {
                let minute = whole_minute(now);
                (minute, after(minute, notice - deadline))
            }
        };
        let planned = if campaign.time_is_chosen {
            campaign.scheduled_at
        } else {
            after(cleared_by, deadline)
        };
        let later = planned.duration_since(campaign.scheduled_at);
        let half = SignedDuration::from_secs(cleared_by.duration_since(announced_at).as_secs() / 2);
        let interval = half.max(GROUP_INTERVAL_MIN);
        let count = match switches.conditional_version {
            Version::V1 => 1,
            Version::V2 => switches.conditional_rounds.0 as i32,
        };
        let groups = (0..count).map(|number| {
            let behind = interval * number;
            Group {
                // A notice after its own deadline would never be sent.
                announced_at: after(announced_at.min(cleared_by), behind),
                deadline: after(cleared_by, behind),
                later: later + behind,
                phase: Phase::Waiting,
            }
        });
        let groups: Vec<_> = groups.collect();
        let board = Arc::new(Board::new(campaign, groups.len()));
        Self { groups, board }
    }

    /// What is to happen to the campaign.
    pub(crate) fn agenda<'a>(&'a self, campaign: &'a Campaign) -> impl Iterator<Item = Due> + 'a {
        let due = |group: usize, at: Timestamp, step: Step| Due {
            at,
            tenant: campaign.tenant.clone(),
            campaign: campaign.id.clone(),
            group,
            step,
        };
        let groups = self.groups.iter().enumerate();
        groups.flat_map(move |(number, group)| {
            [
                due(number, group.announced_at, Step::Announcement),
                due(number, group.deadline, Step::Deadline),
            ]
        })
    }

    /// The date of the first execution.
    pub(crate) fn executed_on(&self) -> Option<Date> {
        let dates = self
            .groups
            .iter()
            .filter_map(|group| group.phase.executed_on());
        dates.min()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.groups
            .iter()
            .all(|group| group.phase.executed_on().is_some())
    }

    /// Customers approved in send groups that are executed.
    pub(crate) fn sent(&self) -> u64 {
        let approved = self.board.tally().approved;
        let groups = self.groups.iter().zip(approved);
        let executed = groups.filter(|(group, _)| group.phase.executed_on().is_some());
        executed.map(|(_, approved)| approved).sum()
    }

    /// The send groups with who counts of each, by its phase.
    pub(crate) fn scope(&self, share: impl Fn(Phase) -> Share) -> Scope {
        let parts = self.groups.iter().map(|group| Part {
            share: share(group.phase),
            later: group.later,
        });
        Scope::of_groups(parts.collect(), self.board.clone())
    }
}

impl Phase {
    pub(crate) fn executed_on(self) -> Option<Date> {
        match self {
            Self::Executed(date) => Some(date),
            Self::Waiting | Self::Announced => None,
        }
    }
}

/// An instant moved by a span, or left where that is beyond the calendar.
fn after(instant: Timestamp, span: SignedDuration) -> Timestamp {
    instant.checked_add(span).unwrap_or(instant)
}
