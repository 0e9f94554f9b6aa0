//! Notifications by somebody who knows an address and lies: of campaigns that are not there, not ours, not executed or
//! of another kind. Nothing is granted, and what it costs at Optimove does not grow with how often it is said.

use http::Method;
use serde_json::{Value, json};

use super::{inbox, listener, paged, switch, view};
use crate::support::World;

/// The calls that one made-up campaign may cost, over all that is ever said of it.
const CALLS_OF_ONE_MAX: u64 = 90;

/// Ids that a campaign could have, and none has.
fn free() -> [Value; 3] {
    [json!(999_999), json!(0), json!(i64::MAX)]
}

/// Ids that no scheduled campaign can have.
fn impossible() -> [Value; 7] {
    [
        json!(-1),
        json!(u64::MAX),
        json!("9223372036854775808"),
        json!("1e9"),
        json!("5101 OR 1=1"),
        json!("5101&$top=1"),
        json!("9".repeat(60)),
    ]
}

/// What somebody says of a campaign.
fn lie(event: i64, campaign: &Value) -> Value {
    json!({
        "EventTypeID": event, "TimeStamp": "2027-03-25 06:00", "CampaignID": campaign,
        "ChannelID": (event == 13).then_some(504), "ClearanceRequiredBy": "2027-03-25 08:00",
    })
}

async fn say(world: &World, event: i64, campaign: &Value) {
    let answer = world
        .api
        .json(Method::POST, &listener(world, event), &lie(event, campaign))
        .await;
    assert_eq!(answer.expect("an answer").0.as_u16(), 200);
}

/// All calls that the tenant ever made.
async fn calls(world: &World) -> u64 {
    let path = "/_sandbox/requests?tenant=acme";
    let requests = world.control(Method::GET, path, &Value::Null).await;
    let by_function = requests["by_function"].as_object().expect("counts");
    by_function.values().filter_map(Value::as_u64).sum()
}

fn granted(world: &World) -> u64 {
    world
        .app
        .store
        .peek(|tx| tx.grants_total())
        .expect("the store answers")
}

/// Everything that can be done about what was said, an hour long.
async fn work_it_off(world: &World) {
    world.settle().await;
    world.travel("2027-03-25T09:00:00Z").await;
    world.settle().await;
}

#[tokio::test]
async fn campaigns_that_are_not_there_grant_nothing_and_cost_no_more_when_said_again() {
    for event in [1, 13, 4, 5] {
        let world = World::with(|config| config.optimove.page_rows = 10).await;
        world.connect(&json!({ "conditional": true })).await;
        let before = calls(&world).await;
        for id in free() {
            say(&world, event, &id).await;
        }
        work_it_off(&world).await;
        let after = calls(&world).await;
        let most = CALLS_OF_ONE_MAX * free().len() as u64;
        assert!(after - before <= most, "event {event}: {}", after - before);
        assert_eq!(granted(&world), 0);
        let campaigns = world.rows("/v1/tenants/acme/campaigns").await;
        assert_eq!(campaigns.len(), free().len());
        for campaign in &campaigns {
            let expected = match event {
                4 => "revoked",
                // Its deadline has passed.
                5 => "ended",
                _ => "failed",
            };
            assert_eq!(campaign["status"], expected, "{campaign}");
        }
        for _ in 0..100 {
            for id in free() {
                say(&world, event, &id).await;
            }
        }
        world.settle().await;
        assert_eq!(calls(&world).await, after, "event {event}");
        assert_eq!(granted(&world), 0);
        assert_eq!(inbox(&world).await.len(), free().len());
        world.assert_verified();
    }
}

#[tokio::test]
async fn ids_that_no_scheduled_campaign_can_have_are_held_and_cost_nothing() {
    let world = World::start().await;
    world.connect(&json!({ "conditional": true })).await;
    for event in [1, 13, 5] {
        for id in impossible() {
            say(&world, event, &id).await;
        }
    }
    work_it_off(&world).await;
    let inbox = inbox(&world).await;
    assert_eq!(inbox.len(), 3 * impossible().len());
    for one in &inbox {
        assert_eq!(one["reason"], "no_campaign_id", "{one}");
    }
    let requests = world
        .control(Method::GET, "/_sandbox/requests?tenant=acme", &Value::Null)
        .await;
    let asked = requests["by_function"].as_object().expect("counts");
    let about = asked
        .keys()
        .filter(|name| name.contains("ByCampaign") || *name == "GetCampaignDetails");
    assert_eq!(about.count(), 0, "{asked:?}");
    let campaigns = world.rows("/v1/tenants/acme/campaigns").await;
    assert_eq!(campaigns, [] as [Value; 0]);
}

#[tokio::test]
async fn one_that_was_not_executed_grants_nothing_until_it_was() {
    let world = paged(10).await;
    switch(&world, &json!({"notify-drop": 100}));
    let campaign = world.plan(25, &json!({}));
    for event in [1, 13] {
        say(&world, event, &json!(campaign)).await;
    }
    world.settle().await;
    assert_eq!(granted(&world), 0);
    // A forged notification does not keep the true one from being heard.
    world.sandbox.process(campaign).expect("it is executed");
    say(&world, 13, &json!(campaign)).await;
    world.travel("2027-03-25T07:10:00Z").await;
    world.settle().await;
    world.travel("2027-03-25T14:10:00Z").await;
    world.settle().await;
    world.assert_right(campaign).await;
}

#[tokio::test]
async fn another_tenants_campaign_grants_nothing_to_anybody() {
    let world = paged(10).await;
    world
        .control(Method::PUT, "/_sandbox/tenants/globex", &json!({}))
        .await;
    switch(&world, &json!({"notify-drop": 100}));
    let theirs = world.plan(25, &json!({"tenant": "globex"}));
    world.sandbox.process(theirs).expect("it is executed");
    for event in [1, 13] {
        say(&world, event, &json!(theirs)).await;
    }
    work_it_off(&world).await;
    assert_eq!(granted(&world), 0);
    assert_eq!(view(&world, theirs).await["status"], "failed");
    world.assert_verified();
}

#[tokio::test]
async fn what_comes_to_the_address_of_another_event_is_held_and_costs_nothing() {
    let world = World::start().await;
    world
        .connect(&json!({"conditional": true, "triggered_channels": [15]}))
        .await;
    switch(&world, &json!({"notify-drop": 100}));
    let campaign = world.plan(25, &json!({}));
    world.sandbox.process(campaign).expect("it is executed");
    let before = calls(&world).await;
    let events = [1, 13, 4, 5, 11];
    for at in events {
        for event in events.into_iter().filter(|event| *event != at) {
            let body = lie(event, &json!(campaign));
            let answer = world
                .api
                .json(Method::POST, &listener(&world, at), &body)
                .await;
            assert_eq!(answer.expect("an answer").0.as_u16(), 200);
        }
    }
    world.work().await;
    let inbox = inbox(&world).await;
    assert_eq!(
        inbox.len(),
        events.len(),
        "a repeat of the same words is one"
    );
    for one in &inbox {
        assert_eq!(one["reason"], "event_type_mismatch", "{one}");
    }
    assert_eq!(calls(&world).await, before);
    assert_eq!(granted(&world), 0);
    assert_eq!(
        world.rows("/v1/tenants/acme/campaigns").await,
        [] as [Value; 0]
    );
}
