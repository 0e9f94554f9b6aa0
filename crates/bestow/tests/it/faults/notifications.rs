//! Notifications: many times, at once, in any order, some or all of them lost; and the one that takes back.

use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use super::{inbox, is_eligible, listener, paged, switch, view};
use crate::sim::model::Dice;
use crate::support::World;

/// Actions on three channels that overlap.
fn overlapping() -> Value {
    json!({"actions": [{
        "id": 24, "promo_codes": ["FS20", "CB10"],
        "channels": [{"id": 504}, {"id": 505, "share": 0.6}, {"id": 506, "share": 0.5}],
    }]})
}

async fn on_three_channels() -> World {
    let world = World::with(|config| config.optimove.page_rows = 10).await;
    world
        .connect(&json!({"scheduled_channels": [504, 505, 506]}))
        .await;
    world
}

/// Posts each notification of a campaign `copies` times, shuffled and at once.
async fn post_all(world: &World, campaign: u64, copies: usize, order: u64) {
    let event = |event: i64, channel: Option<u64>| {
        let body = json!({
            "EventTypeID": event, "TimeStamp": "2027-03-25 06:00", "CampaignID": campaign,
            "ChannelID": channel,
        });
        (listener(world, event), body)
    };
    let events = [
        event(1, None),
        event(13, Some(504)),
        event(13, Some(505)),
        event(13, Some(506)),
    ];
    let mut posts: Vec<_> = events
        .into_iter()
        .flat_map(|one| vec![one; copies])
        .collect();
    Dice::new(order).shuffle(&mut posts);
    let calls = posts
        .iter()
        .map(|(path, body)| world.api.json(Method::POST, path, body));
    for answer in join_all(calls).await {
        assert_eq!(answer.expect("an answer").0.as_u16(), 200);
    }
}

#[tokio::test]
async fn ten_times_each_shuffled_and_at_once() {
    for order in 0..4 {
        let world = on_three_channels().await;
        switch(&world, &json!({"notify-drop": 100}));
        let campaign = world.plan(40, &overlapping());
        world.sandbox.process(campaign).unwrap();
        post_all(&world, campaign, 10, order).await;
        world.settle().await;
        world.assert_right(campaign).await;
        let inbox = inbox(&world).await;
        assert_eq!(inbox.len(), 4);
        for one in inbox {
            assert_eq!(one["arrivals"], 10, "{one}");
            assert_ne!(one["status"], "waiting", "{one}");
        }
    }
}

#[tokio::test]
async fn again_while_it_is_being_worked_on_and_afterwards() {
    let world = on_three_channels().await;
    switch(&world, &json!({"notify-drop": 100}));
    let campaign = world.plan(40, &overlapping());
    world.sandbox.process(campaign).unwrap();
    post_all(&world, campaign, 1, 1).await;
    let mut order = 2;
    while bestow::work::step(&world.app).await.unwrap() {
        post_all(&world, campaign, 1, order).await;
        order += 1;
    }
    world.settle().await;
    post_all(&world, campaign, 1, order).await;
    world.settle().await;
    world.assert_right(campaign).await;
    assert_eq!(inbox(&world).await.len(), 4);
}

#[tokio::test]
async fn repeated_and_out_of_order_by_the_sender() {
    let world = on_three_channels().await;
    switch(
        &world,
        &json!({"notify-duplicate": 9, "notify-reorder": "on"}),
    );
    // Four notifications: two pairs change places.
    let campaign = world.run(40, &overlapping()).await;
    world.assert_right(campaign).await;
    let arrivals: u64 = inbox(&world)
        .await
        .iter()
        .filter_map(|one| one["arrivals"].as_u64())
        .sum();
    assert_eq!(arrivals, 40);
}

#[tokio::test]
async fn sixty_four_equal_posts_at_once_are_one_notification() {
    let world = on_three_channels().await;
    let body = json!({"EventTypeID": 13, "CampaignID": 5_101, "ChannelID": 504});
    let path = listener(&world, 13);
    let calls = (0..64).map(|_| world.api.json(Method::POST, &path, &body));
    for answer in join_all(calls).await {
        assert_eq!(answer.expect("an answer").0.as_u16(), 200);
    }
    let inbox = inbox(&world).await;
    assert_eq!(inbox.len(), 1);
    assert_eq!(inbox[0]["arrivals"], 64);
}

#[tokio::test]
async fn all_lost_the_sweep_finds_the_campaign() {
    for channels in [json!([504, 505, 506]), json!([])] {
        let world = World::with(|config| config.optimove.page_rows = 10).await;
        world
            .connect(&json!({ "scheduled_channels": channels }))
            .await;
        switch(&world, &json!({"notify-drop": 100}));
        let campaign = world.run(40, &overlapping()).await;
        let path = format!("/v1/tenants/acme/campaigns/{campaign}");
        let (status, _) = world
            .api
            .json(Method::GET, &path, &Value::Null)
            .await
            .unwrap();
        assert_eq!(status.as_u16(), 404);
        world.travel("2027-03-25T06:10:01Z").await;
        world.settle().await;
        world.assert_right(campaign).await;
    }
}

#[tokio::test]
async fn lost_for_some_channels_event_1_makes_up_for_it() {
    let world = on_three_channels().await;
    switch(&world, &json!({"notify-drop": 100, "notify-events": [13]}));
    let campaign = world.run(40, &overlapping()).await;
    world.assert_right(campaign).await;
}

#[tokio::test]
async fn a_channel_of_which_a_template_failed_is_read_all_the_same() {
    let world = on_three_channels().await;
    switch(&world, &json!({"failing-channels": [505]}));
    let campaign = world.run(40, &overlapping()).await;
    world.assert_right(campaign).await;
}

/// Nobody who was to hold something may redeem it now; the clock stands inside the windows.
async fn assert_nothing_is_eligible(world: &World, campaign: u64, holders: &[String]) {
    assert_eq!(view(world, campaign).await["status"], "revoked");
    world.travel("2027-03-28T12:00:00Z").await;
    for customer in holders {
        assert!(!is_eligible(world, customer, "FS20").await, "{customer}");
    }
    world.assert_verified();
}

fn holders(world: &World, campaign: u64) -> Vec<String> {
    world
        .oracle(campaign)
        .into_keys()
        .map(|(customer, _)| customer)
        .take(5)
        .collect()
}

#[tokio::test]
async fn cancelled_after_the_import() {
    let world = paged(10).await;
    let campaign = world.run(25, &json!({})).await;
    let holders = holders(&world, campaign);
    assert!(holders.len() == 5);
    world.travel("2027-03-28T12:00:00Z").await;
    assert!(is_eligible(&world, &holders[0], "FS20").await);
    world.sandbox.cancel(campaign).unwrap();
    world.settle().await;
    assert_nothing_is_eligible(&world, campaign, &holders).await;
}

#[tokio::test]
async fn cancelled_before_the_import() {
    let world = paged(10).await;
    let campaign = world.plan(25, &json!({}));
    world.sandbox.process(campaign).unwrap();
    let holders = holders(&world, campaign);
    world.sandbox.cancel(campaign).unwrap();
    world.settle().await;
    assert_nothing_is_eligible(&world, campaign, &holders).await;
}

#[tokio::test]
async fn the_cancel_overtakes_the_execution() {
    let world = paged(10).await;
    let campaign = world.plan(25, &json!({}));
    let body = json!({"EventTypeID": 4, "CampaignID": campaign});
    world.post(&listener(&world, 4), &body).await;
    world.settle().await;
    world.sandbox.process(campaign).unwrap();
    world.settle().await;
    let holders = holders(&world, campaign);
    assert_eq!(world.ledger(campaign).await, world.oracle(campaign));
    assert_nothing_is_eligible(&world, campaign, &holders).await;
}
