//! Rotation of addresses and credentials while campaigns run: nothing is lost, and nothing has to be started anew.

use bestow::actor::Actor;
use bestow::service::findings;
use bestow::service::listeners::LISTENER_PATH;
use bestow::service::tenants::{self, TenantPatch};
use bestow::work;
use http::Method;
use serde_json::{Value, json};

use crate::support::World;

async fn rotate(world: &World, body: &Value) -> Value {
    let path = "/v1/tenants/acme/listeners/rotate";
    let done = world.api.ok(Method::POST, path, body).await;
    done.expect("it works")
}

/// What a listener's address of a generation answers to a notification.
async fn post(world: &World, generation: i64, campaign: u64) -> u16 {
    let secret = world.app.keys.listener_secret("acme", 13, generation);
    let body = json!({"EventTypeID": 13, "CampaignID": campaign, "ChannelID": 504});
    let path = format!("{LISTENER_PATH}{secret}");
    let answer = world.api.json(Method::POST, &path, &body).await;
    answer.expect("it answers").0.as_u16()
}

/// Gives the stand-in's tenant these keys, and ours this one.
async fn their_keys(world: &World, keys: &[&str]) {
    let keys: Vec<Value> = keys
        .iter()
        .map(|key| json!({"key": key, "role": "admin"}))
        .collect();
    let body = json!({ "api_keys": keys });
    world
        .control(Method::PUT, "/_sandbox/tenants/acme", &body)
        .await;
}

async fn our_key(world: &World, key: &str) {
    let patch: TenantPatch =
        serde_json::from_value(json!({"optimove": {"auth": {"api_key": key}}})).expect("a patch");
    tenants::update(&world.app, &Actor::cli(), "acme", patch)
        .await
        .expect("it is taken");
}

fn open_findings(world: &World) -> Vec<String> {
    let open = findings::findings(&world.app, &world.acme(), None, 100).expect("they are read");
    open.into_iter().map(|finding| finding.kind).collect()
}

#[tokio::test]
async fn no_event_is_lost_while_the_addresses_rotate() {
    let world = World::connected().await;
    // Before, between and after: each is sent to whatever address Optimove has at that moment.
    let before = world.plan(20, &json!({}));
    let between = world.plan(20, &json!({}));
    let after = world.plan(20, &json!({}));
    world.sandbox.process(before).unwrap();
    let report = rotate(&world, &Value::Null).await;
    assert_eq!(report["registered"].as_array().unwrap().len(), 6);
    world.sandbox.process(between).unwrap();
    rotate(&world, &json!({})).await;
    world.sandbox.process(after).unwrap();
    world.settle().await;
    for campaign in [before, between, after] {
        assert_eq!(world.ledger(campaign).await.len(), 20);
        world.assert_right(campaign).await;
    }
    // Optimove repeats to the oldest address what it sent there first.
    assert_eq!(post(&world, 1, before).await, 200);
}

#[tokio::test]
async fn a_rotation_that_breaks_half_way_keeps_both_addresses_and_is_finished_by_a_sync() {
    let world = World::connected().await;
    let broken = json!({"fault-kind": "status-500", "fault-percent": 100,
        "fault-functions": ["RegisterEventListener"]});
    world
        .sandbox
        .set_switches(&broken)
        .expect("these switches exist");
    let path = "/v1/tenants/acme/listeners/rotate";
    let refused = world.api.json(Method::POST, path, &Value::Null).await;
    assert_eq!(refused.unwrap().0.as_u16(), 502);
    assert_eq!(
        (post(&world, 1, 1).await, post(&world, 2, 1).await),
        (200, 200)
    );
    world
        .sandbox
        .set_switches(&json!({"fault-percent": 0}))
        .expect("these switches exist");
    world.sync_listeners().await;
    world.run(5, &json!({})).await;
    assert_eq!(
        (post(&world, 1, 1).await, post(&world, 2, 1).await),
        (200, 200)
    );
    world.travel("2027-04-02T06:00:00Z").await;
    assert_eq!(
        (post(&world, 1, 1).await, post(&world, 2, 1).await),
        (404, 200)
    );
}

#[tokio::test]
async fn after_a_leak_the_old_addresses_are_shut_at_once() {
    let world = World::connected().await;
    rotate(&world, &Value::Null).await;
    assert_eq!(post(&world, 1, 1).await, 200);
    rotate(&world, &json!({"old_accepted_seconds": 0})).await;
    let answers = [
        post(&world, 1, 1).await,
        post(&world, 2, 1).await,
        post(&world, 3, 1).await,
    ];
    assert_eq!(answers, [404, 404, 200]);
}

#[tokio::test]
async fn a_refused_credential_rests_the_tenant_with_a_finding_and_a_new_one_goes_on_at_once() {
    let world = World::connected().await;
    their_keys(&world, &["new-key"]).await;
    let campaigns = [world.plan(30, &json!({})), world.plan(30, &json!({}))];
    for campaign in campaigns {
        world.sandbox.process(campaign).unwrap();
    }
    world.delivered().await;
    world.work().await;
    assert_eq!(open_findings(&world), ["credential_refused"]);
    let no = world.acme().no();
    let (rest, jobs) = world
        .app
        .store
        .read(|tx| Ok::<_, bestow_store::Error>((tx.rest(no)?, tx.jobs()?)))
        .unwrap();
    let rest = rest.expect("its work rests");
    assert_eq!(
        rest.failures, 1,
        "the second campaign did not have to find out for itself"
    );
    assert!(jobs.iter().all(|job| job.run_at >= rest.until));
    // Nobody moves the clock: the new credential alone lets the work go on.
    our_key(&world, "new-key").await;
    world.work().await;
    for campaign in campaigns {
        assert_eq!(world.ledger(campaign).await.len(), 30);
    }
    assert_eq!(open_findings(&world), [""; 0]);
    assert_eq!(world.app.store.read(|tx| tx.rest(no)).unwrap(), None);
}

#[tokio::test]
async fn a_running_import_goes_on_where_it_is_when_the_credential_is_replaced() {
    let world = World::with(|config| config.optimove.page_rows = 10).await;
    world.connect(&json!({})).await;
    let campaign = world.plan(400, &json!({}));
    world.sandbox.process(campaign).unwrap();
    world.delivered().await;
    let (app, view) = (
        world.app.clone(),
        format!("/v1/tenants/acme/campaigns/{campaign}"),
    );
    let working = tokio::spawn(async move { while work::step(&app).await.unwrap() {} });
    // Under way: the first pages are there, and more are to come.
    loop {
        let (status, body) = world
            .api
            .json(Method::GET, &view, &Value::Null)
            .await
            .unwrap();
        if status.as_u16() == 200 && body["counts"]["rows"].as_i64() >= Some(20) {
            break;
        }
    }
    their_keys(&world, &["new-key"]).await;
    our_key(&world, "new-key").await;
    working.await.unwrap();
    world.settle().await;
    assert_eq!(world.ledger(campaign).await.len(), 400);
    world.assert_right(campaign).await;
    assert_eq!(
        open_findings(&world),
        [""; 0],
        "it was no failure of the tenant"
    );
}
