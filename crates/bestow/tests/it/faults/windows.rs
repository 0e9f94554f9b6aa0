//! Windows where the clocks change: lead time, message, start or end meets the night.

use serde_json::json;

use crate::support::World;

/// Zone, local schedule time, lead time, duration.
const NIGHTS: [(&str, &str, i64, i64); 16] = [
    // A start that is skipped, by the hour and by half an hour.
    ("Europe/Lisbon", "2027-03-26T01:30", 2, 7),
    ("Australia/Lord_Howe", "2027-10-02T02:15", 1, 1),
    ("America/Havana", "2027-03-13T00:00", 1, 0),
    ("Africa/Cairo", "2027-04-29T00:30", 1, 0),
    // A start that comes twice.
    ("Europe/Lisbon", "2027-10-30T01:30", 1, 3),
    ("America/New_York", "2027-11-07T01:30", 0, 1),
    ("Pacific/Chatham", "2027-04-03T03:00", 1, 0),
    // An end that is skipped, or comes twice.
    ("America/New_York", "2027-03-07T02:30", 0, 7),
    ("Pacific/Chatham", "2027-09-19T02:50", 0, 7),
    ("America/New_York", "2027-10-31T01:30", 0, 7),
    ("America/St_Johns", "2027-10-28T01:59", 3, 7),
    ("Africa/Cairo", "2027-10-21T23:30", 0, 7),
    // Days of 23 and 25 hours within, and the rest of such a day.
    ("Europe/Lisbon", "2027-03-27T09:00", 0, 7),
    ("Europe/Lisbon", "2027-10-31T00:30", 0, 0),
    ("Europe/Lisbon", "2027-03-28T00:30", 0, 0),
    // No change at all, and a zone of three quarters of an hour.
    ("Asia/Kathmandu", "2027-03-25T00:00", 3, 30),
];

#[tokio::test]
async fn windows_are_counted_on_the_wall_across_every_change() {
    for (zone, at, lead, duration) in NIGHTS {
        for times in ["space", "iso-offset"] {
            let world = World::with(|config| config.optimove.page_rows = 5).await;
            let tenant = json!({ "time_zone": zone, "scheduled_channels": [504, 505, 506] });
            world.connect(&tenant).await;
            super::switch(&world, &json!({ "time-format": times }));
            let action = json!({"id": 24, "promo_codes": ["FS20"], "channels": [
                {"id": 504}, {"id": 505, "share": 0.6, "delay_minutes": 60},
                {"id": 506, "share": 0.5, "delay_minutes": 1_440},
            ]});
            let over = json!({
                "actions": [action], "scheduled_at": at, "lead_time": lead, "duration": duration,
            });
            let campaign = world.run(12, &over).await;
            assert_eq!(
                world.ledger(campaign).await,
                world.oracle(campaign),
                "{zone} {at} {times}"
            );
            world.assert_verified();
        }
    }
}

#[tokio::test]
async fn a_window_is_open_from_its_start_up_to_its_end() {
    for (zone, at, lead, duration) in NIGHTS {
        let world = World::with(|config| config.optimove.page_rows = 5).await;
        world.connect(&json!({ "time_zone": zone })).await;
        let over = json!({ "scheduled_at": at, "lead_time": lead, "duration": duration });
        let campaign = world.run(1, &over).await;
        let oracle = world.oracle(campaign);
        let ((customer, code), (start, end)) = oracle.first_key_value().expect("one grant");
        let end = end.expect("it ends");
        for (at, expected) in [
            (start - 1, false),
            (*start, true),
            (end - 1, true),
            (end, false),
        ] {
            world.app.clock.set(bestow::clock::instant(at));
            let is_open = super::is_eligible(&world, customer, code).await;
            assert_eq!(is_open, expected, "{zone} at {at}, {start} to {end}");
        }
    }
}
