//! When ended grants may leave the ledger.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::campaign::{LatestEnd, ListedEnds};

/// Days that a tenant may keep ended grants for, at most: a hundred years.
pub const RETENTION_DAYS_MAX: u16 = 36_525;

/// The instant by which a grant must have ended to leave at `now`.
pub fn cutoff(now: Timestamp, retention_days: u16) -> Timestamp {
    let kept = SignedDuration::from_hours(24 * i64::from(retention_days));
    now.checked_sub(kept).unwrap_or(Timestamp::MIN)
}

/// What decides whether a campaign may leave as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeavingFacts {
    /// The latest end of its windows.
    pub latest_end: LatestEnd,
    /// What the daily lists have ended of it.
    pub listed: ListedEnds,
    /// Whether something is still to be done for it: a list to be read, a round to be answered, a cancel to be settled.
    pub has_work: bool,
}

/// Why a campaign stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stays {
    /// Something is still to be done for it.
    Busy,
    /// Not all of its grants have ended, or not for long enough.
    NotEnded,
}

/// Whether all of a campaign may leave. Where the daily lists ended it, the end of each grant is still to be compared
/// with the cutoff.
///
/// # Errors
/// Why it stays.
pub fn may_leave(facts: &LeavingFacts, cutoff: Timestamp) -> Result<(), Stays> {
    if facts.has_work {
        return Err(Stays::Busy);
    }
    if facts.latest_end.cut(facts.listed).is_over(cutoff) {
        Ok(())
    } else {
        Err(Stays::NotEnded)
    }
}

/// A month of UTC: what triggers leave by, since their campaign may go on for years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(Date);

impl Month {
    /// The one that an instant is in.
    pub fn of(at: Timestamp) -> Self {
        Self(at.to_zoned(TimeZone::UTC).date().first_of_month())
    }

    /// Its exclusive end.
    pub fn end(self) -> Timestamp {
        let next = self.0.saturating_add(1.month());
        next.to_zoned(TimeZone::UTC)
            .map_or(Timestamp::MAX, |midnight| midnight.timestamp())
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

/// The next month whose triggers may leave, for a campaign that is known since `first_seen` and whose triggers have left
/// until `archived`, if any have.
pub fn next_month(
    first_seen: Timestamp,
    archived: Option<Timestamp>,
    cutoff: Timestamp,
) -> Option<Month> {
    let month = Month::of(archived.unwrap_or(first_seen));
    (month.end() <= cutoff).then_some(month)
}
