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
/// An instant that had come before is told by the change that set it; see [`Change`].
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

/// The instant of which the start of a window is told: when it starts, or when a grant that was told of before came to
/// life by a change made later than that. Otherwise it would be told before the end that it had until then.
pub fn start_told_at(tells: Tells, span: Span, made_at: i64) -> i64 {
    if tells.creation {
        span.starts_at
    } else {
        span.starts_at.max(made_at)
    }
}

/// A change to a grant: what it wanted to be told, of which span, and when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Change {
    /// What was to be told.
    pub tells: Tells,
    /// From then on, its span.
    pub span: Span,
    /// Milliseconds.
    pub made_at: i64,
}

/// What came after a change, as far as it was there when an instant was noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Later {
    /// When the first later change was made. Milliseconds.
    pub made_at: i64,
    /// The span that the last one gave.
    pub span: Span,
}

impl Change {
    /// Whether the start that is told of the instant `at`, and was noted at `noted_at`, is about this change.
    ///
    /// A start that is noted when the grant is over is left to the end.
    pub fn is_start(self, at: i64, noted_at: i64, later: Option<Later>) -> bool {
        // What was changed while it lived lives as long as the change says.
        let span = later
            .filter(|later| !self.span.is_over(later.made_at))
            .map_or(self.span, |later| later.span);
        self.tells.start
            && start_told_at(self.tells, self.span, self.made_at) == at
            && !span.is_over(noted_at)
            && !is_replaced(at, later)
    }

    /// Whether the end that is told of the instant `at` is about this change.
    pub fn is_end(self, at: i64, later: Option<Later>) -> bool {
        self.tells.end && self.span.ends_at == Some(at) && !is_replaced(at, later)
    }
}

/// Whether an instant is void, since a later change came before it. What had come before is told by the change that set
/// it.
fn is_replaced(at: i64, later: Option<Later>) -> bool {
    later.is_some_and(|later| later.made_at < at)
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
        (false, _, Some(revoked)) if revoked < at => Due::Drop,
        (true, Some(_), None) => Due::Wait,
        _ => Due::Tell,
    }
}
