//! Optimove's words into ours: the one place that knows both.

pub mod mark;
pub mod notification;
pub mod page;
pub mod trigger;

use bestow_core::ScheduleTime;
use bestow_core::campaign::{DurationRead, LeadRead};
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
