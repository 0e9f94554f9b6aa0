//! From when to when a promotion can be used, on the clocks of a tenant.

use jiff::civil::{DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

use crate::campaign::Campaign;
use crate::switch::TimeFormat;

/// The first instant at which the clocks of `zone` show `wall` or, where they skip it, what comes
/// after the skip. Of a time shown twice it is the earlier one.
pub(crate) fn first_shown(wall: DateTime, zone: &TimeZone) -> Result<Timestamp, jiff::Error> {
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall),
        AmbiguousOffset::Gap { before, after } => skip_end(wall, zone, before, after),
    }
}

/// As `first_shown`, but the later instant of a time shown twice.
pub(crate) fn last_shown(wall: DateTime, zone: &TimeZone) -> Result<Timestamp, jiff::Error> {
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Fold { after, .. } => after.to_timestamp(wall),
        _ => first_shown(wall, zone),
    }
}

/// The instant at which the clocks jump over `wall`.
fn skip_end(
    wall: DateTime,
    zone: &TimeZone,
    before: jiff::tz::Offset,
    after: jiff::tz::Offset,
) -> Result<Timestamp, jiff::Error> {
    // Read with the later offset, the skipped time lies before the jump.
    let earlier = after.to_timestamp(wall)?;
    match zone.following(earlier).find(|jump| jump.offset() == after) {
        Some(jump) => Ok(jump.timestamp()),
        None => before.to_timestamp(wall),
    }
}

/// When a promotion scheduled for `schedule` can be used: from the first instant up to, not
/// including, the second.
pub(crate) fn window(
    schedule: Timestamp,
    campaign: &Campaign,
    format: TimeFormat,
) -> Result<(Timestamp, Timestamp), jiff::Error> {
    let zone = &campaign.zone;
    let sent = read_back(schedule, zone, format)?;
    let start = zone
        .to_datetime(sent)
        .checked_add(campaign.lead_time_days.days())?;
    let starts_at = match campaign.lead_time_days {
        0 => sent,
        _ => first_shown(start, zone)?,
    };
    Ok((
        starts_at,
        end(start, starts_at, campaign.duration_days, zone)?,
    ))
}

/// The end of what starts at `starts_at`, written `start` on the wall clock, and lasts `days`.
pub(crate) fn end(
    start: DateTime,
    starts_at: Timestamp,
    days: i32,
    zone: &TimeZone,
) -> Result<Timestamp, jiff::Error> {
    let end = match days {
        // The day is that of the start as it really is, moved out of a skip or not.
        0 => zone
            .to_datetime(starts_at)
            .date()
            .tomorrow()?
            .to_datetime(Time::midnight()),
        days => start.checked_add(days.days())?,
    };
    last_shown(end, zone)
}

/// The schedule time as a reader of the wire knows it: without an offset a time shown twice reads
/// as the earlier one, and the short format has no seconds.
fn read_back(
    schedule: Timestamp,
    zone: &TimeZone,
    format: TimeFormat,
) -> Result<Timestamp, jiff::Error> {
    let wall = zone.to_datetime(schedule);
    match format {
        TimeFormat::IsoOffset => Ok(schedule),
        TimeFormat::Space | TimeFormat::Iso => first_shown(wall, zone),
        TimeFormat::Minutes => first_shown(wall.with().second(0).build()?, zone),
    }
}
