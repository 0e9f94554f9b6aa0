//! Every clock change of every zone, 2024 to 2040: windows must come out right on each such night.

use bestow_core::window::{Edge, instant_of, window_of};
use bestow_core::{Duration, Expiry, LeadTime, ScheduleTime, Zone};
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use crate::at;

const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// One change of a zone's clocks.
struct Change {
    zone: Zone,
    at: Timestamp,
    before: Offset,
    after: Offset,
}

impl Change {
    /// What the wall shows when the clocks are moved, by the old and by the new offset.
    fn walls(&self) -> (DateTime, DateTime) {
        (
            self.before.to_datetime(self.at),
            self.after.to_datetime(self.at),
        )
    }

    /// Wall-clock times from `first` until before `end`: the edges and what lies between.
    fn probes(first: DateTime, end: DateTime) -> [DateTime; 4] {
        let length = end.duration_since(first);
        [first, first + length / 3, first + length / 2, end - SECOND]
    }

    fn expect(&self, wall: DateTime, start: Timestamp, end: Timestamp) {
        let context = format!("{} at {}: {wall}", self.zone, self.at);
        assert_eq!(
            instant_of(wall, &self.zone, Edge::Start),
            Ok(start),
            "{context}"
        );
        assert_eq!(
            instant_of(wall, &self.zone, Edge::End),
            Ok(end),
            "{context}"
        );
    }
}

fn changes() -> Vec<Change> {
    let (from, until) = (at("2024-01-01T00:00:00Z"), at("2041-01-01T00:00:00Z"));
    let database = TimeZoneDatabase::bundled();
    let mut changes = Vec::new();
    for name in Zone::names() {
        let Ok(zone) = Zone::parse(&name) else {
            continue;
        };
        let rules = database.get(&name).expect("the database lists what it has");
        let mut before = rules.to_offset(from);
        for change in rules
            .following(from)
            .take_while(|change| change.timestamp() < until)
        {
            let after = change.offset();
            if after != before {
                changes.push(Change {
                    zone: zone.clone(),
                    at: change.timestamp(),
                    before,
                    after,
                });
            }
            before = after;
        }
    }
    changes
}

#[test]
fn each_change_of_each_zone_follows_the_rules() {
    let (mut gaps, mut folds) = (0, 0);
    for change in changes() {
        let (old, new) = change.walls();
        if old < new {
            gaps += 1;
            for skipped in Change::probes(old, new) {
                change.expect(skipped, change.at, change.at);
            }
            change.expect(old - SECOND, change.at - SECOND, change.at - SECOND);
            change.expect(new, change.at, change.at);
        } else {
            folds += 1;
            for twice in Change::probes(new, old) {
                let first = change
                    .before
                    .to_timestamp(twice)
                    .expect("within the calendar");
                let second = change
                    .after
                    .to_timestamp(twice)
                    .expect("within the calendar");
                assert!(first < change.at && change.at <= second);
                change.expect(twice, first, second);
            }
            let (last, next) = (
                new - SECOND,
                change.before.to_timestamp(new).expect("in range"),
            );
            change.expect(last, next - SECOND, next - SECOND);
            change.expect(old, change.after.to_timestamp(old).expect("in range"), {
                change.after.to_timestamp(old).expect("in range")
            });
        }
    }
    // The zones of Europe and North America alone make thousands of each.
    assert!(gaps > 2_000 && folds > 2_000, "{gaps} gaps, {folds} folds");
}

#[test]
fn windows_around_each_change_start_before_they_end_and_read_the_same_on_the_wall() {
    for change in changes() {
        let (old, new) = change.walls();
        let middle = old.min(new) + old.duration_since(new).abs() / 2;
        for (lead_days, days) in [(0, 0), (0, 1), (1, 0), (1, 7), (3, 30)] {
            let lead = LeadTime::from_days(lead_days).expect("a lead time");
            let duration = Duration::from_days(days).expect("a duration");
            for days_before in [0, lead_days, lead_days + days] {
                let sent = middle - SignedDuration::from_hours(24 * days_before);
                let schedule = ScheduleTime::Local(sent);
                let window = window_of(schedule, &change.zone, lead, duration, Expiry::Duration)
                    .unwrap_or_else(|fault| panic!("{} {sent}: {fault}", change.zone));
                let end = window.ends_at.expect("a duration ends");
                assert!(window.starts_at < end, "{} {sent} {window:?}", change.zone);
                let shown = change.zone.wall_clock(window.starts_at);
                let written = sent + SignedDuration::from_hours(24 * lead_days);
                assert!(
                    shown == written || shown == new,
                    "{} {sent} {shown}",
                    change.zone
                );
                // Never redeemable on the wall before what was written.
                assert!(shown >= written);
            }
        }
    }
}
