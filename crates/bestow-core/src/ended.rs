//! Which grants Optimove's daily list of ended actions means, and when they end by it.
//!
//! A row of `GetCustomersActionEndedByDate` names a customer, an action, a channel, the day on which
//! the action was sent and how long it lasted. It names neither the campaign nor a code, so it is
//! matched to what the customer holds.

use jiff::civil::Date;
use jiff::{Span, Timestamp, ToSpan};

use crate::window::{Edge, LeadTime, WindowFault, Zone, instant_of};

/// A row of the list, beside its customer. What the row does not tell is `None` and fits anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndedAction {
    /// The action that ended.
    pub action: Option<i64>,
    /// The channel it went out on.
    pub channel: Option<i64>,
    /// The day it was sent, in the tenant's zone. A lead time does not move it.
    pub sent_on: Date,
    /// Days that it lasted.
    pub duration_days: Option<u16>,
}

/// What the list compares with of one grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The action that its window was made from; 0: not told.
    pub action: i64,
    /// The channel that its window was made from; 0: not told.
    pub channel: i64,
    /// Channels whose lists of its campaign were imported; 0 stands for all at once. A grant keeps
    /// one channel, and the list may name any.
    pub campaign_channels: &'a [i64],
    /// The day on which its message was sent.
    pub sent_on: Date,
    /// The campaign's own duration; `None` where a default stands in.
    pub duration_days: Option<u16>,
}

/// How well a row fits a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// On another channel of the grant's campaign.
    Campaign,
    /// On the grant's own channel.
    Channel,
}

impl EndedAction {
    /// The places of the grants that this row ends, of all that the customer holds.
    ///
    /// Where some of them have the row's very channel, those of a campaign that has it beside
    /// others are not meant. All that fit equally well end: the row tells no more.
    pub fn ends(&self, held: &[Candidate<'_>]) -> Vec<usize> {
        let fits: Vec<_> = held.iter().map(|grant| self.fit(grant)).collect();
        let best = fits.iter().flatten().max().copied();
        let places = fits.iter().enumerate();
        places
            .filter(|(_, fit)| best.is_some() && **fit == best)
            .map(|(place, _)| place)
            .collect()
    }

    fn fit(&self, grant: &Candidate<'_>) -> Option<Fit> {
        let same_action = self
            .action
            .is_none_or(|action| grant.action == 0 || action == grant.action);
        // Two campaigns of one day may share action and channel; their durations tell them apart.
        let same_duration = self.duration_days.is_none()
            || grant.duration_days.is_none()
            || self.duration_days == grant.duration_days;
        if self.sent_on != grant.sent_on || !same_action || !same_duration {
            return None;
        }
        match self.channel {
            None => Some(Fit::Channel),
            Some(channel) if grant.channel == 0 || grant.channel == channel => Some(Fit::Channel),
            Some(channel) => {
                let covers = |of: &i64| *of == 0 || *of == channel;
                grant
                    .campaign_channels
                    .iter()
                    .any(covers)
                    .then_some(Fit::Campaign)
            }
        }
    }
}

/// The day on which the message of a window went out: the window starts `lead` days later.
///
/// # Errors
///
/// [`WindowFault::Calendar`] at the ends of the calendar.
pub fn sent_on(starts_at: Timestamp, lead: LeadTime, zone: &Zone) -> Result<Date, WindowFault> {
    let days = Span::new()
        .try_days(lead.days())
        .map_err(|_| WindowFault::Calendar)?;
    let start = zone.wall_clock(starts_at).date();
    start.checked_sub(days).map_err(|_| WindowFault::Calendar)
}

/// The first and the last instant of a day on the tenant's clocks; the last one belongs to the next
/// day. They are 23 or 25 hours apart where the clocks change.
///
/// # Errors
///
/// [`WindowFault::Calendar`] at the ends of the calendar.
pub fn day_span(day: Date, zone: &Zone) -> Result<(Timestamp, Timestamp), WindowFault> {
    let next = day
        .checked_add(1.day())
        .map_err(|_| WindowFault::Calendar)?;
    let begin = instant_of(day.into(), zone, Edge::Start)?;
    Ok((begin, instant_of(next.into(), zone, Edge::Start)?))
}

/// When a grant ends that was found on the list of a day: the moment it was learned, and at the
/// latest the end of that day. So a list that is read late ends grants in the past, and one that is
/// read in time does not undo what was redeemed before.
pub fn ended_at(learned: Timestamp, day_end: Timestamp) -> Timestamp {
    learned.min(day_end)
}
