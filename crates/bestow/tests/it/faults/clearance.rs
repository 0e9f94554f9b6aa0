//! Clearance of conditional campaigns (group F): against the stand-in, on a hand-moved clock.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod deadline;
mod execution;
mod many;
mod operator;
mod proxy;
mod reports;
mod rounds;
mod stops;

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use super::{is_eligible, listener, view};
use crate::support::{World, changed};
use proxy::{Call, Fate, Proxy};

/// A connected world for conditional campaigns.
async fn conditional() -> World {
    tuned(|_| {}).await
}

async fn tuned(change: impl FnOnce(&mut bestow::config::Config)) -> World {
    let world = World::with(change).await;
    world.connect(&json!({"conditional": true})).await;
    world
}

/// A world whose calls are judged on their way.
async fn judged(judge: impl FnMut(&Call) -> Fate + Send + 'static) -> (World, Proxy) {
    judged_and_tuned(judge, |_| {}).await
}

async fn judged_and_tuned(
    judge: impl FnMut(&Call) -> Fate + Send + 'static,
    change: impl FnOnce(&mut bestow::config::Config),
) -> (World, Proxy) {
    let world = World::with(|config| {
        config.optimove.tries_max = 2;
        change(config);
    })
    .await;
    let proxy = Proxy::start(world.sandbox.url(), judge).await;
    let optimove = json!({"base_url": proxy.url, "auth": {"api_key": "acme-admin-key"}});
    world
        .connect(&json!({"conditional": true, "optimove": optimove}))
        .await;
    (world, proxy)
}

/// Plans a conditional campaign and holds it until `seconds` from now.
fn hold(world: &World, count: u64, seconds: u32, over: &Value) -> u64 {
    let spec = json!({
        "kind": "conditional", "lead_time": 0,
        "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504}]}],
    });
    let campaign = world.plan(count, &changed(spec, over));
    world.sandbox.hold(campaign, seconds).unwrap();
    campaign
}

/// Works until nothing is due now; the clock stays.
async fn work(world: &World) {
    world.delivered().await;
    world.work().await;
}

/// Lets time pass on both clocks, and does all the work that follows.
async fn pass(world: &World, seconds: i64) {
    let to = bestow::clock::instant(world.app.clock.now_ms() + seconds * 1_000);
    world.travel(&to.to_string()).await;
    work(world).await;
    work(world).await;
}

/// Lets a campaign be sent, and everything settle: the ledger is what was sent, and nothing else is active.
async fn settled(world: &World, campaign: u64) {
    pass(world, 3_600).await;
    pass(world, 3_600).await;
    world.assert_right(campaign).await;
    let held = stood(world, campaign).await;
    assert_eq!(held["approved"], held["sent"], "{held}");
}

async fn stood(world: &World, campaign: u64) -> Value {
    let path = format!("/_sandbox/campaigns/{campaign}");
    world.control(Method::GET, &path, &Value::Null).await
}

/// How many of a campaign's grants have which status.
async fn statuses(world: &World, campaign: u64) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let path = format!("/v1/tenants/acme/campaigns/{campaign}/grants");
    world
        .api
        .lines(&path, |line| {
            let grant: Value = serde_json::from_slice(line)?;
            let status = grant["status"].as_str().unwrap().to_owned();
            *found.entry(status).or_default() += 1;
            Ok(())
        })
        .await
        .unwrap();
    found
}

fn all(status: &str, count: usize) -> BTreeMap<String, usize> {
    BTreeMap::from([(status.to_owned(), count)])
}

/// Why how many were denied, over all rounds.
async fn denied(world: &World, campaign: u64) -> Vec<(String, u64)> {
    let seen = view(world, campaign).await;
    let rounds = seen["rounds"].as_array().unwrap();
    let denied = rounds
        .iter()
        .flat_map(|round| round["denied"].as_object().unwrap().clone());
    denied
        .map(|(reason, n)| (reason, n.as_u64().unwrap()))
        .collect()
}

/// The rounds of a campaign: state, approved, reported, close reason.
async fn rounds(world: &World, campaign: u64) -> Vec<(String, u64, u64, String)> {
    let seen = view(world, campaign).await;
    let rounds = seen["rounds"].as_array().unwrap();
    rounds
        .iter()
        .map(|round| {
            let text = |name: &str| round[name].as_str().unwrap_or_default().to_owned();
            let number = |name: &str| round[name].as_u64().unwrap();
            (
                text("state"),
                number("approved"),
                number("reported"),
                text("close_reason"),
            )
        })
        .collect()
}

fn round(state: &str, approved: u64, reported: u64, reason: &str) -> (String, u64, u64, String) {
    (state.to_owned(), approved, reported, reason.to_owned())
}

/// A closed round.
fn closed(approved: u64, reported: u64, reason: &str) -> (String, u64, u64, String) {
    round("closed", approved, reported, reason)
}

/// A round in which so many were approved and reported in time.
fn complete(customers: u64) -> (String, u64, u64, String) {
    closed(customers, customers, "complete")
}

/// From now on the tenant's calls go straight to the stand-in.
async fn bypass(world: &World) {
    let direct = json!({"base_url": world.sandbox.url(), "auth": {"api_key": "acme-admin-key"}});
    let change = json!({ "optimove": direct });
    world.patch("/v1/tenants/acme", &change).await;
}

/// Posts an event 5 with this deadline.
async fn event_5(world: &World, campaign: u64, deadline: &str) -> u16 {
    let body = json!({
        "EventTypeID": 5, "TimeStamp": "2027-03-25 06:00", "CampaignID": campaign,
        "ClearanceRequiredBy": deadline,
    });
    let path = listener(world, 5);
    let (status, _) = world.api.json(Method::POST, &path, &body).await.unwrap();
    status.as_u16()
}

/// This fate in this case, and a free way otherwise.
fn only_if(case: bool, fate: Fate) -> Fate {
    if case { fate } else { Fate::Through }
}

fn is_report(call: &Call) -> bool {
    call.path.ends_with("/UpdateCustomerPromotionStatus")
}

#[tokio::test]
async fn a_held_campaign_is_cleared_sent_and_granted() {
    let world = conditional().await;
    let over = json!({"control_share": 0.25, "actions": [{"id": 24, "promo_codes": ["FS20", "CB10"],
        "channels": [{"id": 504}, {"id": 505}]}]});
    let campaign = hold(&world, 40, 3_600, &over);
    work(&world).await;
    let seen = view(&world, campaign).await;
    assert_eq!(seen["kind"], "conditional");
    assert_eq!(seen["status"], "awaiting_clearance", "{seen}");
    assert_eq!(seen["clearance_required_by"], "2027-03-25T07:00:00Z");
    assert_eq!(rounds(&world, campaign).await, [complete(30)]);
    assert_eq!(seen["imports"], json!([]));
    assert_eq!(statuses(&world, campaign).await, all("pending", 60));
    assert_eq!(stood(&world, campaign).await["approved"], 30);
    assert!(!is_eligible(&world, "P-1", "FS20").await);
    world.assert_verified();
    settled(&world, campaign).await;
    assert_eq!(stood(&world, campaign).await["sent"], 30);
    assert_eq!(world.oracle(campaign).len(), 60);
    assert_eq!(world.finding_kinds().await, Vec::<String>::new());
    assert_eq!(statuses(&world, campaign).await, all("active", 60));
    let counts = world.counts(campaign);
    assert_eq!(
        (counts["granted"], counts["pairs"]),
        (60, 240),
        "listed twice by two channels"
    );
}
