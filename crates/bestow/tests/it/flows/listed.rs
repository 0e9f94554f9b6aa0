//! Campaigns whose customers come in lists: scheduled, cancelled at different times, ended by the daily list.

use http::Method;
use serde_json::{Value, json};

use super::{live, nobody, pass, spans, world};
use crate::support::{START, World};

/// Two days of lead, then seven days by the clocks of Lisbon, which go forward in between.
#[tokio::test]
async fn a_scheduled_campaign_from_its_lead_time_to_its_last_second() {
    let world = world(&json!({"time_zone": "Europe/Lisbon"})).await;
    let over = json!({"control_share": 0.25, "actions": [{"id": 24, "promo_codes": ["FS20", "CB10"],
        "channels": [{"id": 504}, {"id": 505, "delay_minutes": 90}]}]});
    let campaign = world.run(40, &over).await;
    world.assert_right(campaign).await;
    let spans = spans(world.oracle(campaign));
    assert_eq!(spans.len(), 60);
    // 25 March at 6:00 with two days of lead, and 7:30 seven days after that: an hour less than it looks.
    let (start, end) = spans.values().next().expect("somebody")[0];
    assert_eq!(
        end.map(|end| (end - start) / 60_000),
        Some(7 * 1_440 + 90 - 60)
    );
    live(
        &world,
        "acme",
        &spans,
        &[("P-1", "RELOAD"), ("nobody", "FS20")],
    )
    .await;
    world.assert_verified();
}

async fn stopped(world: &World, campaign: u64) {
    let view = world
        .get(&format!("/v1/tenants/acme/campaigns/{campaign}"))
        .await;
    assert_eq!(view["status"], "revoked", "{view}");
    for at in [START, "2027-03-27T06:00:00Z", "2027-04-03T05:59:59Z"] {
        if at.parse::<jiff::Timestamp>().expect("an instant") >= world.app.clock.now() {
            world.travel(at).await;
        }
        let pairs = world.ledger(campaign).await;
        let pairs: Vec<(&str, &str)> = pairs.keys().map(|(a, b)| (&**a, &**b)).collect();
        nobody(world, "acme", &pairs).await;
        nobody(world, "acme", &[("P-1", "FS20")]).await;
    }
    world.assert_verified();
}

#[tokio::test]
async fn cancelled_before_its_import_a_campaign_gives_nothing() {
    let world = world(&json!({})).await;
    let campaign = world.plan(30, &json!({}));
    world.sandbox.process(campaign).expect("it is executed");
    world.sandbox.cancel(campaign).expect("it is cancelled");
    world.settle().await;
    stopped(&world, campaign).await;
}

#[tokio::test]
async fn cancelled_while_it_is_imported_a_campaign_gives_nothing() {
    let world = World::with(|config| {
        config.optimove.page_rows = 7;
        config.work.merge_grants_max = 5;
    })
    .await;
    world.connect(&json!({})).await;
    let campaign = world.plan(30, &json!({}));
    world.sandbox.process(campaign).expect("it is executed");
    world.delivered().await;
    // The notification is settled and the first list is read.
    world.steps(2).await;
    world.sandbox.cancel(campaign).expect("it is cancelled");
    world.settle().await;
    stopped(&world, campaign).await;
}

#[tokio::test]
async fn cancelled_while_it_runs_a_campaign_is_over_from_that_second_on() {
    let world = world(&json!({})).await;
    let campaign = world.run(30, &json!({})).await;
    let spans = spans(world.oracle(campaign));
    world.travel("2027-03-28T11:59:59Z").await;
    for (customer, code) in spans.keys() {
        let answer = super::ask(&world, "acme", customer, code).await;
        assert_eq!(answer["eligible"], true);
    }
    world.travel("2027-03-28T12:00:00Z").await;
    world.sandbox.cancel(campaign).expect("it is cancelled");
    world.delivered().await;
    // The notice alone is enough, whatever Optimove will say when it is asked.
    world.steps(1).await;
    let pairs: Vec<(&str, &str)> = spans.keys().map(|(a, b)| (&**a, &**b)).collect();
    nobody(&world, "acme", &pairs).await;
    world.settle().await;
    stopped(&world, campaign).await;
}

/// Under `ended_by_date` nothing ends before Optimove lists it, and all of it does when it is listed.
#[tokio::test]
async fn ended_by_the_daily_list_a_campaign_is_over_when_it_is_listed() {
    let world = world(&json!({"expiry": "ended_by_date", "time_zone": "Europe/Lisbon"})).await;
    let campaign = world.run(20, &json!({})).await;
    let close_day = "/_sandbox/day/close";
    for day in 26..=31 {
        world.travel(&format!("2027-03-{day}T07:30:00Z")).await;
        world.control(Method::POST, close_day, &Value::Null).await;
        world.settle().await;
    }
    // Executed on 25 March for seven days: it is on the list of 1 April, whatever the lead time.
    world.travel("2027-04-01T07:29:59Z").await;
    assert!(
        world
            .ledger(campaign)
            .await
            .values()
            .all(|(_, end)| end.is_none())
    );
    let answer = super::ask(&world, "acme", "P-1", "FS20").await;
    assert_eq!(answer["eligible"], true, "{answer}");
    world.travel("2027-04-01T07:30:00Z").await;
    world.control(Method::POST, close_day, &Value::Null).await;
    world.settle().await;
    let ledger = world.ledger(campaign).await;
    assert_eq!(ledger.len(), 20);
    let pairs: Vec<(&str, &str)> = ledger.keys().map(|(a, b)| (&**a, &**b)).collect();
    nobody(&world, "acme", &pairs).await;
    pass(&world, 86_400).await;
    nobody(&world, "acme", &pairs).await;
    world.assert_verified();
}
