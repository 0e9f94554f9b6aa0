//! Time: it jumps back, it passes while nobody works, and it has passed before anybody heard.

use http::Method;
use serde_json::{Value, json};

use super::{is_eligible, listener, paged, switch};
use crate::support::World;

/// Event 13 about a campaign, once for each channel, and the work that follows.
async fn tell(world: &World, campaign: u64) {
    for channel in [504, 505] {
        let event = json!({"EventTypeID": 13, "CampaignID": campaign, "ChannelID": channel});
        world.post(&listener(world, 13), &event).await;
    }
    world.settle().await;
}

async fn reason(world: &World) -> Value {
    let question = json!({"customer_id": "P-1", "promo_code": "FS20"});
    let answer = world.post("/v1/tenants/acme/eligibility", &question).await;
    answer["reason"].clone()
}

#[tokio::test]
async fn d6_a_clock_that_jumps_back_does_nothing_twice() {
    let world = paged(10).await;
    let before = world.run(25, &json!({})).await;
    world.travel("2027-03-24T06:00:00Z").await;
    tell(&world, before).await;
    let after = world
        .run(25, &json!({"audience": {"count": 25, "prefix": "Q-"}}))
        .await;
    tell(&world, before).await;
    for campaign in [before, after] {
        assert_eq!(world.ledger(campaign).await.len(), 25);
        world.assert_right(campaign).await;
    }
    // Records stand in the order in which things were done, whatever the clock said.
    let records = world.rows("/v1/tenants/acme/audit?limit=1000").await;
    let places: Vec<_> = records.iter().map(|one| one["seq"].as_u64()).collect();
    let expected: Vec<_> = (1..=records.len() as u64).map(Some).collect();
    assert_eq!(places, expected);
    let at = |one: &Value| one["at"].as_str().expect("an instant").to_owned();
    assert!(records.windows(2).any(|two| at(&two[0]) > at(&two[1])));
}

#[tokio::test]
async fn d12_what_begins_or_ends_while_nobody_works_is_right_at_the_first_look() {
    let world = paged(10).await;
    world.run(25, &json!({})).await;
    assert_eq!(reason(&world).await, "not_started");
    world.travel("2027-03-27T06:00:00Z").await;
    let world = world.reopen().await;
    assert!(is_eligible(&world, "P-1", "FS20").await);
    world.travel("2027-04-03T06:00:00Z").await;
    let world = world.reopen().await;
    assert_eq!(reason(&world).await, "expired");
    world.assert_verified();
}

#[tokio::test]
async fn d13_heard_of_long_after_its_end_a_campaign_gives_what_is_over() {
    let world = paged(10).await;
    switch(&world, &json!({"notify-drop": 100}));
    let campaign = world.plan(25, &json!({}));
    world.sandbox.process(campaign).expect("it is executed");
    world.travel("2027-05-24T06:00:00Z").await;
    tell(&world, campaign).await;
    world.assert_right(campaign).await;
    assert_eq!(world.ledger(campaign).await.len(), 25);
    assert_eq!(reason(&world).await, "expired");
    let path = format!("/v1/tenants/acme/campaigns/{campaign}");
    let view = world.api.ok(Method::GET, &path, &Value::Null).await;
    assert_eq!(view.expect("it is known")["status"], "ended");
}
