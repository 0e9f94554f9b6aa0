//! Optimove's words into ours: the one place that knows both.

pub mod mark;
pub mod notification;
pub mod page;
pub mod trigger;

use bestow_core::campaign::{DurationRead, LeadRead};
use bestow_core::{ScheduleTime, Walls};
use bestow_store::campaigns::Walls as KeptWalls;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use optimove::read::{Days, WireTime};

/// A duration as read.
pub fn duration(days: &Days) -> DurationRead {
    match days {
        Days::Missing => DurationRead::Missing,
        Days::Whole(days) => DurationRead::of_days(i64::from(*days)),
        Days::Absurd(text) => DurationRead::Absurd(text.clone()),
    }
}

/// A lead time as read.
pub fn lead_time(days: &Days) -> LeadRead {
    match days {
        Days::Missing => LeadRead::Missing,
        Days::Whole(days) => LeadRead::of_days(i64::from(*days)),
        Days::Absurd(text) => LeadRead::Absurd(text.clone()),
    }
}

/// A schedule time as read.
pub fn schedule_time(text: &str) -> Option<ScheduleTime> {
    Some(match WireTime::parse(text).ok()? {
        WireTime::Local(wall) => ScheduleTime::Local(wall),
        WireTime::Instant(instant) => ScheduleTime::Instant(instant),
    })
}

/// Wall-clock times as the store keeps them.
pub(crate) fn kept_walls(walls: Walls) -> KeptWalls {
    let ms = |wall: DateTime| {
        let as_if_utc = TimeZone::UTC.to_timestamp(wall).ok();
        as_if_utc.map(Timestamp::as_millisecond)
    };
    KeptWalls {
        starts: walls.starts.and_then(ms),
        ends: walls.ends.and_then(ms),
    }
}
