//! Clearance of conditional campaigns (group F): against the stand-in, on a hand-moved clock.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::view;
use crate::support::World;

/// A connected world for conditional campaigns.
async fn conditional() -> World {
    tuned(|_| {}).await
}

async fn tuned(change: impl FnOnce(&mut bestow::config::Config)) -> World {
    let world = World::with(change).await;
    world.connect(&json!({"conditional": true})).await;
    world
}

/// Plans a conditional campaign and holds it until `seconds` from now.
fn hold(world: &World, count: u64, seconds: u32, over: &Value) -> u64 {
    let mut spec = json!({"kind": "conditional", "lead_time": 0});
    let fields = spec.as_object_mut().unwrap();
    for (name, value) in over.as_object().unwrap() {
        fields.insert(name.clone(), value.clone());
    }
    let campaign = world.plan(count, &spec);
    world.sandbox.hold(campaign, seconds).unwrap();
    campaign
}

/// Works until nothing is due now; the clock stays.
async fn work(world: &World) {
    world.delivered().await;
    while bestow::work::step(&world.app).await.unwrap() {}
}

/// Lets time pass on both clocks, and does all the work that follows.
async fn pass(world: &World, seconds: i64) {
    let to = bestow::clock::instant(world.app.clock.now_ms() + seconds * 1_000);
    world.travel(&to.to_string()).await;
    work(world).await;
    work(world).await;
}

async fn stood(world: &World, campaign: u64) -> Value {
    world
        .control(
            Method::GET,
            &format!("/_sandbox/campaigns/{campaign}"),
            &Value::Null,
        )
        .await
}

/// The statuses of a campaign's grants.
async fn statuses(world: &World, campaign: u64) -> BTreeSet<String> {
    let path = format!("/v1/tenants/acme/campaigns/{campaign}/grants?limit=1000");
    let page = world
        .api
        .ok(Method::GET, &path, &Value::Null)
        .await
        .unwrap();
    let rows = page["data"].as_array().unwrap();
    rows.iter()
        .map(|row| row["status"].as_str().unwrap().to_owned())
        .collect()
}

async fn findings(world: &World) -> Vec<String> {
    let path = "/v1/tenants/acme/findings";
    let page = world.api.ok(Method::GET, path, &Value::Null).await.unwrap();
    let rows = page["data"].as_array().unwrap();
    rows.iter()
        .map(|row| row["kind"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_held_campaign_is_cleared_sent_and_granted() {
    let world = conditional().await;
    let campaign = hold(&world, 40, 3_600, &json!({"control_share": 0.25}));
    work(&world).await;
    let seen = view(&world, campaign).await;
    assert_eq!(seen["kind"], "conditional");
    assert_eq!(seen["status"], "awaiting_clearance", "{seen}");
    assert_eq!(seen["clearance_required_by"], "2027-03-25T07:00:00Z");
    let round = &seen["rounds"][0];
    assert_eq!(
        (
            &round["state"],
            &round["approved"],
            &round["reported"],
            &round["close_reason"]
        ),
        (&json!("closed"), &json!(30), &json!(30), &json!("complete")),
        "{seen}"
    );
    assert_eq!(
        statuses(&world, campaign).await,
        BTreeSet::from(["pending".to_owned()])
    );
    let stood_before = stood(&world, campaign).await;
    assert_eq!(stood_before["approved"], 30, "{stood_before}");
    world.assert_verified();
    pass(&world, 3_600).await;
    pass(&world, 2_400).await;
    assert_eq!(stood(&world, campaign).await["sent"], 30);
    world.assert_right(campaign).await;
    assert_eq!(world.oracle(campaign).len(), 30);
    assert_eq!(findings(&world).await, Vec::<String>::new());
    assert_eq!(
        statuses(&world, campaign).await,
        BTreeSet::from(["active".to_owned()])
    );
}
