//! The oracle, above all across the days on which clocks change.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{World, simple};

const ZONES: [&str; 12] = [
    "UTC",
    "America/New_York",
    "Europe/London",
    "Europe/Lisbon",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/Havana",
    "America/Santiago",
    "Asia/Beirut",
    "Pacific/Apia",
    "Pacific/Auckland",
];

/// A world whose tenant is in the zone.
async fn world_in(zone: &str) -> World {
    let world = World::start().await;
    assert_eq!(
        world
            .control("PUT", "/tenants/acme", json!({"time_zone": zone}))
            .await
            .0,
        200
    );
    world
}

/// The window of a campaign with one customer.
fn window(world: &World, schedule: &str, lead: u32, duration: u32) -> (String, String) {
    let mut spec = simple(0, 1);
    spec.as_object_mut().unwrap().remove("id");
    spec["scheduled_at"] = schedule.into();
    spec["lead_time"] = lead.into();
    spec["duration"] = duration.into();
    let id = world.executed_spec(spec);
    let mut expected = world.sandbox.expected(id).unwrap();
    let one = expected.next().unwrap();
    assert!(expected.next().is_none());
    (one.starts_at.to_string(), one.ends_at.to_string())
}

#[tokio::test]
async fn windows_are_counted_in_calendar_days_of_the_tenants_zone() {
    for (zone, schedule, lead, duration, starts, ends) in [
        // Nothing special.
        (
            "UTC",
            "2025-03-04 10:00:00",
            0,
            7,
            "2025-03-04T10:00:00Z",
            "2025-03-11T10:00:00Z",
        ),
        (
            "UTC",
            "2025-03-04 10:00:00",
            3,
            7,
            "2025-03-07T10:00:00Z",
            "2025-03-14T10:00:00Z",
        ),
        (
            "UTC",
            "2025-03-04 10:00:00",
            1,
            0,
            "2025-03-05T10:00:00Z",
            "2025-03-06T00:00:00Z",
        ),
        (
            "UTC",
            "2024-02-28 23:59:59",
            1,
            1,
            "2024-02-29T23:59:59Z",
            "2024-03-01T23:59:59Z",
        ),
        // A short and a long day keep the time of day.
        (
            "America/New_York",
            "2025-03-08 10:00:00",
            0,
            1,
            "2025-03-08T15:00:00Z",
            "2025-03-09T14:00:00Z",
        ),
        (
            "America/New_York",
            "2025-11-01 10:00:00",
            0,
            1,
            "2025-11-01T14:00:00Z",
            "2025-11-02T15:00:00Z",
        ),
        // 02:30 is skipped on 9 March: the first time that exists is 03:00. The end stays where
        // it is on the wall.
        (
            "America/New_York",
            "2025-03-08 02:30:00",
            1,
            1,
            "2025-03-09T07:00:00Z",
            "2025-03-10T06:30:00Z",
        ),
        // Scheduled into the skip, it is sent as 03:00, and so it is on the wire.
        (
            "America/New_York",
            "2025-03-09 02:30:00",
            0,
            1,
            "2025-03-09T07:00:00Z",
            "2025-03-10T07:00:00Z",
        ),
        (
            "America/New_York",
            "2025-03-08 02:30:00",
            0,
            1,
            "2025-03-08T07:30:00Z",
            "2025-03-09T07:00:00Z",
        ),
        // 01:30 comes twice on 2 November: the earlier for a start, the later for an end.
        (
            "America/New_York",
            "2025-11-01 01:30:00",
            1,
            1,
            "2025-11-02T05:30:00Z",
            "2025-11-03T06:30:00Z",
        ),
        (
            "America/New_York",
            "2025-11-01 01:30:00",
            0,
            1,
            "2025-11-01T05:30:00Z",
            "2025-11-02T06:30:00Z",
        ),
        // Half an hour is skipped.
        (
            "Australia/Lord_Howe",
            "2025-10-04 02:15:00",
            1,
            1,
            "2025-10-04T15:30:00Z",
            "2025-10-05T15:15:00Z",
        ),
        // A whole day is skipped: 30 December 2011.
        (
            "Pacific/Apia",
            "2011-12-29 10:00:00",
            1,
            1,
            "2011-12-30T10:00:00Z",
            "2011-12-30T20:00:00Z",
        ),
        (
            "Pacific/Apia",
            "2011-12-29 10:00:00",
            0,
            0,
            "2011-12-29T20:00:00Z",
            "2011-12-30T10:00:00Z",
        ),
        // Midnight is skipped, or comes twice.
        (
            "Africa/Cairo",
            "2024-04-25 10:00:00",
            0,
            0,
            "2024-04-25T08:00:00Z",
            "2024-04-25T22:00:00Z",
        ),
        (
            "America/Havana",
            "2025-11-01 10:00:00",
            0,
            0,
            "2025-11-01T14:00:00Z",
            "2025-11-02T05:00:00Z",
        ),
        // An instant given with its offset.
        (
            "Asia/Kolkata",
            "2025-03-04T10:00:00Z",
            0,
            0,
            "2025-03-04T10:00:00Z",
            "2025-03-04T18:30:00Z",
        ),
    ] {
        let world = world_in(zone).await;
        let found = window(&world, schedule, lead, duration);
        assert_eq!(
            found,
            (starts.to_owned(), ends.to_owned()),
            "{zone} {schedule} {lead} {duration}"
        );
    }
}

#[tokio::test]
async fn the_reading_follows_what_the_wire_says() {
    let world = world_in("America/New_York").await;
    // The later of the two 01:30: only a format with the offset can say so.
    let schedule = "2025-11-02T06:30:00Z";
    assert_eq!(window(&world, schedule, 0, 1).0, "2025-11-02T05:30:00Z");
    world.set(&json!({"time-format": "iso-offset"}));
    assert_eq!(window(&world, schedule, 0, 1).0, schedule);
    world.set(&json!({"time-format": "minutes"}));
    let found = window(&world, "2025-07-01T12:00:37Z", 0, 1).0;
    assert_eq!(found, "2025-07-01T12:00:00Z", "seconds are not on the wire");
}

/// Minute by minute, what the clocks of a zone show: no rule, only looking.
struct Clocks {
    zone: TimeZone,
}

impl Clocks {
    fn shown(&self, wall: DateTime) -> Vec<Timestamp> {
        let near = wall
            .to_zoned(TimeZone::UTC)
            .unwrap()
            .timestamp()
            .as_second();
        let minutes = (near - 40 * 3_600..near + 40 * 3_600).step_by(60);
        let instants = minutes.map(|second| Timestamp::from_second(second).unwrap());
        let instants: Vec<_> = instants.map(|at| (at, self.zone.to_datetime(at))).collect();
        let exact: Vec<_> = instants
            .iter()
            .filter(|(_, shown)| *shown == wall)
            .map(|(at, _)| *at)
            .collect();
        if !exact.is_empty() {
            return exact;
        }
        vec![instants.iter().find(|(_, shown)| *shown > wall).unwrap().0]
    }

    fn window(&self, schedule: DateTime, lead: u32, duration: u32) -> (Timestamp, Timestamp) {
        let sent = self.shown(schedule)[0];
        let days = i64::from(lead).days();
        let written = self.zone.to_datetime(sent).checked_add(days).unwrap();
        let start = self.shown(written)[0];
        let end = match duration {
            0 => self
                .zone
                .to_datetime(start)
                .date()
                .tomorrow()
                .unwrap()
                .at(0, 0, 0, 0),
            days => written.checked_add(i64::from(days).days()).unwrap(),
        };
        (start, *self.shown(end).last().unwrap())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Against a model that only looks at clocks, at and around every change of two years.
    #[test]
    fn windows_agree_with_what_the_clocks_show(
        zone in prop::sample::select(&ZONES[..]),
        spots in prop::collection::vec(
            (0_usize..64, -3_i64..3, -120_i64..120, 0_u32..4, 0_u32..4), 8
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = world_in(zone).await;
            let clocks = Clocks { zone: TimeZone::get(zone).unwrap() };
            let from: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
            let changes: Vec<Timestamp> =
                clocks.zone.following(from).take(4).map(|change| change.timestamp()).collect();
            for (nth, days, minutes, lead, duration) in spots {
                let change = changes.get(nth % changes.len().max(1)).copied().unwrap_or(from);
                let near = clocks.zone.to_datetime(change);
                let near = near.with().second(0).build().unwrap();
                let wall = near.checked_add(days.days()).unwrap();
                let wall = wall.checked_add(minutes.minutes()).unwrap();
                let text = wall.strftime("%Y-%m-%d %H:%M:%S").to_string();
                let (starts, ends) = clocks.window(wall, lead, duration);
                let found = window(&world, &text, lead, duration);
                let wanted = (starts.to_string(), ends.to_string());
                assert_eq!(found, wanted, "{zone} {text} {lead} {duration}");
            }
        });
    }
}

#[tokio::test]
async fn codes_are_distinct_without_case_and_keep_the_first_spelling() {
    let world = World::start().await;
    let mut spec = simple(5101, 2);
    spec["actions"][0]["promo_codes"] = json!(["ÉTÉ10", "été10", "FS20", "Fs20"]);
    world.executed_spec(spec);
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in world.sandbox.expected(5101).unwrap() {
        expected
            .entry(one.customer_id)
            .or_default()
            .push(one.promo_code);
    }
    let codes = vec!["ÉTÉ10".to_owned(), "FS20".to_owned()];
    assert_eq!(
        expected,
        BTreeMap::from([("P-1".into(), codes.clone()), ("P-2".into(), codes)])
    );
}

#[tokio::test]
async fn over_several_rows_the_earliest_start_and_the_latest_end_count() {
    let world = World::start().await;
    let mut spec = simple(5101, 0);
    spec["scheduled_at"] = "2025-03-04 10:00:00".into();
    spec["duration"] = 1.into();
    spec["audience"] = json!({"customers": [
        "P-1",
        {"id": "P-2", "action": 24, "channels": [505], "promo_code": " B , ,fs20,B"},
        {"id": "P-2", "action": 24, "channels": [504], "schedule_time": "2025-03-04 20:00"},
        {"id": "007", "action": 24, "channels": [504], "promo_code": ""},
        {"id": "7", "action": 1},
    ]});
    spec["actions"][0]["channels"] = json!([{"id": 504}, {"id": 505, "delay_minutes": 90}]);
    world.executed_spec(spec);
    let found: Vec<_> = world
        .sandbox
        .expected(5101)
        .unwrap()
        .map(|one| {
            let hour = |at: Timestamp| at.to_string()[5..16].to_owned();
            (
                one.customer_id,
                one.promo_code,
                hour(one.starts_at),
                hour(one.ends_at),
            )
        })
        .collect();
    let row = |customer: &str, code: &str, starts: &str, ends: &str| {
        (
            customer.to_owned(),
            code.to_owned(),
            starts.to_owned(),
            ends.to_owned(),
        )
    };
    assert_eq!(
        found,
        [
            row("P-1", "FS20", "03-04T10:00", "03-05T11:30"),
            row("P-2", "B", "03-04T11:30", "03-05T11:30"),
            row("P-2", "fs20", "03-04T11:30", "03-05T20:00"),
        ]
    );
}

#[tokio::test]
async fn nobody_is_expected_of_a_draft_or_a_cancelled_campaign() {
    let world = World::start().await;
    world.sandbox.add_campaign(simple(5101, 5)).unwrap();
    assert_eq!(world.sandbox.expected(5101).unwrap().count(), 0);
    world.sandbox.process(5101).unwrap();
    assert_eq!(world.sandbox.expected(5101).unwrap().count(), 5);
    world.sandbox.cancel(5101).unwrap();
    assert_eq!(world.sandbox.expected(5101).unwrap().count(), 0);
    assert!(world.sandbox.expected(1).is_err());
}

#[tokio::test]
async fn the_oracle_streams_lines_of_json() {
    let world = World::start().await;
    let mut spec = simple(5101, 3_000);
    spec["control_share"] = json!(0.5);
    spec["scheduled_at"] = json!("2025-03-04 10:00:00");
    world.executed_spec(spec);
    let target = "/_sandbox/campaigns/5101/expected";
    let answer = world.send("GET", target, &[], b"").await.unwrap();
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    let text = answer.text();
    let lines: Vec<Value> = text
        .lines()
        .filter(|line| line.starts_with('{') && line.ends_with('}'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        lines.len() >= 1_490,
        "all but what chunk sizes cut: {}",
        lines.len()
    );
    let first = world.sandbox.expected(5101).unwrap().next().unwrap();
    assert_eq!(
        lines[0],
        json!({
            "customer_id": first.customer_id, "promo_code": "FS20",
            "starts_at": "2025-03-04T10:00:00Z", "ends_at": "2025-03-11T10:00:00Z",
        })
    );
    let fields = "{\"customer_id\":\"P-";
    assert_eq!(
        text.matches(fields).count(),
        1_500,
        "each customer has a line"
    );
}
