//! What destinations hear of a grant, and when.
//!
//! A grant's status follows from its facts and the time, so nothing happens when its window starts or ends. Destinations
//! are told of it all the same. Whoever writes grants writes down with them which of their starts and ends are still to
//! be told; that is decided here, and so is what becomes of it when the instant comes.

use crate::name::named_enum;

named_enum! {
    /// What a destination is told of a grant.
    "grant event" GrantEvent {
        /// It was made.
        Created = "grant.created",
        /// Its window has started.
        Activated = "grant.activated",
        /// Its window is over.
        Expired = "grant.expired",
        /// Its campaign was taken back for good.
        Revoked = "grant.revoked",
        /// Its campaign is stopped for now.
        Suspended = "grant.suspended",
        /// Its campaign goes on.
        Resumed = "grant.resumed",
        /// It was redeemed, whole or in part.
        Redeemed = "redemption.created",
        /// A redemption of it was undone.
        Reversed = "redemption.reversed",
    }
}

impl GrantEvent {
    /// Whether it lets the customer have something. What does is not told again once the grant is over.
    pub const fn gives(self) -> bool {
        matches!(self, Self::Created | Self::Activated | Self::Resumed)
    }
}

/// When a grant can be redeemed, cut short where the daily list ended it. Milliseconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// From then on.
    pub starts_at: i64,
    /// Exclusive; `None`: until the daily list ends it.
    pub ends_at: Option<i64>,
}

impl Span {
    /// The span of a window that the daily list may have ended.
    pub fn new(starts_at: i64, by_window: Option<i64>, by_list: Option<i64>) -> Self {
        let ends_at = match (by_window, by_list) {
            (Some(window), Some(list)) => Some(window.min(list)),
            (window, list) => window.or(list),
        };
        Self { starts_at, ends_at }
    }

    /// Whether it is over at `now`.
    pub fn is_over(self, now: i64) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }
}

/// What is to be told of a grant because of one change to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Tells {
    /// That it was made, at once.
    pub creation: bool,
    /// That its window starts, once it does.
    pub start: bool,
    /// That its window ends, once it does.
    pub end: bool,
}

impl Tells {
    /// As a number to be stored.
    pub const fn bits(self) -> u8 {
        self.creation as u8 | (self.start as u8) << 1 | (self.end as u8) << 2
    }

    /// From what [`Tells::bits`] gave.
    pub const fn from_bits(bits: u8) -> Self {
        Self {
            creation: bits & 1 != 0,
            start: bits & 2 != 0,
            end: bits & 4 != 0,
        }
    }
}

/// What is to be told of a grant that has this span from `now` on, and had another one `before` (`None`: nobody was told
/// of it yet).
///
/// An instant that had come before is told by the change that set it; see [`is_replaced`].
pub fn tells(before: Option<Span>, after: Span, now: i64) -> Tells {
    let is_over = after.is_over(now);
    match before {
        None => Tells {
            creation: true,
            start: !is_over,
            end: after.ends_at.is_some(),
        },
        // It was over, which was told; it comes to life again or stays as it is.
        Some(before) if before.is_over(now) => Tells {
            creation: false,
            start: !is_over,
            end: !is_over && after.ends_at.is_some(),
        },
        Some(before) => Tells {
            creation: false,
            start: before.starts_at > now && !is_over,
            end: after.ends_at.is_some(),
        },
    }
}

/// Whether an instant that a change wanted to be told at `at` is void, since a later change came before it.
pub fn is_replaced(at: i64, later_change_at: i64) -> bool {
    later_change_at < at
}

/// What becomes of a start or end whose instant has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Due {
    /// It is told now.
    Tell,
    /// It waits until its campaign goes on.
    Wait,
    /// Nobody hears of it.
    Drop,
}

/// Whether a window's start (or end) at `at` is told, for a campaign that is stopped since these instants.
///
/// Of what is stopped no start is told; an end always is, unless the campaign was taken back before it.
pub fn due(is_start: bool, at: i64, suspended: Option<i64>, revoked: Option<i64>) -> Due {
    match (is_start, suspended, revoked) {
        (true, _, Some(_)) => Due::Drop,
        (false, _, Some(revoked)) if revoked <= at => Due::Drop,
        (true, Some(_), None) => Due::Wait,
        _ => Due::Tell,
    }
}
