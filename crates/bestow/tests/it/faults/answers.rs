//! Answers: late, cut, wrong or missing; sessions that end; limits that are hit.

use bestow_store::Error as StoreError;
use http::Method;
use serde_json::{Value, json};

use super::{holds, resume, switch, tuned, view};
use crate::sim::jump;
use crate::support::World;

/// A world in which a call that is never answered costs little.
async fn impatient() -> World {
    tuned(|config| {
        config.optimove.page_rows = 10;
        config.optimove.call_ms_max = 200;
    })
    .await
}

async fn survives(kind: &str) {
    let world = impatient().await;
    switch(&world, &json!({"fault-kind": kind, "fault-percent": 30}));
    let campaign = world.run(100, &json!({})).await;
    switch(&world, &json!({"fault-percent": 0}));
    resume(&world, campaign).await;
    world.assert_right(campaign).await;
}

macro_rules! faults_at_30_percent {
    ($($name:ident: $kind:literal,)+) => {$(
        #[tokio::test]
        async fn $name() {
            survives($kind).await;
        }
    )+};
}

faults_at_30_percent! {
    errors_500: "status-500",
    errors_503: "status-503",
    calls_that_are_never_answered: "timeout",
    connections_that_break: "reset",
    answers_that_are_cut: "truncate",
    html_with_200: "html-200",
    a_string_with_200: "string-200",
}

#[tokio::test]
async fn what_is_never_readable_is_held_and_goes_on_once_it_is() {
    for kind in ["html-200", "string-200"] {
        let world = impatient().await;
        let pages = json!({
            "fault-kind": kind, "fault-percent": 100,
            "fault-functions": ["GetCustomerExecutionDetailsByCampaign"],
        });
        switch(&world, &pages);
        let campaign = world.run(25, &json!({})).await;
        assert_eq!(
            holds(&world, campaign).await,
            [json!("unreadable_page"), json!("unreadable_page")]
        );
        assert_eq!(
            world.ledger(campaign).await.len(),
            0,
            "an error was taken for a list"
        );
        switch(&world, &json!({"fault-percent": 0}));
        resume(&world, campaign).await;
        world.assert_right(campaign).await;
    }
}

#[tokio::test]
async fn slow_answers_are_waited_for() {
    let world = impatient().await;
    switch(&world, &json!({"latency-ms": 20, "transfer": "chunked"}));
    let campaign = world.run(40, &json!({})).await;
    world.assert_right(campaign).await;
}

#[tokio::test]
async fn a_limited_rate_is_kept_to() {
    let world = impatient().await;
    switch(
        &world,
        &json!({"rate-limit-requests": 12, "rate-limit-window-ms": 400}),
    );
    let campaign = world.run(100, &json!({})).await;
    world.assert_right(campaign).await;
    let calls = world
        .control(Method::GET, "/_sandbox/requests?tenant=acme", &Value::Null)
        .await;
    assert!(
        calls["by_status"]["429"].as_u64() > Some(0),
        "no call was refused: {calls}"
    );
}

/// The session ends with every page that lands: the one on its way is asked for again after one login, none is skipped.
#[tokio::test]
async fn a_session_may_end_at_each_page() {
    for told in ["plain", "plain-lower", "json-string"] {
        let world = World::with(|config| config.optimove.page_rows = 5).await;
        let access = json!({
            "base_url": world.sandbox.url(),
            "auth": {"username": "acme", "password": "acme-password"},
        });
        world
            .connect(&json!({ "optimove": access, "scheduled_channels": [504] }))
            .await;
        switch(&world, &json!({ "token-expired-body": told }));
        let sandbox = world.sandbox.address();
        world.app.store.fail_commits(move |name| {
            if name == "land_page" {
                jump(sandbox, 1_201);
            }
            None
        });
        let action = json!({"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504}]});
        let campaign = world.run(50, &json!({ "actions": [action] })).await;
        world.assert_right(campaign).await;
        let path = "/_sandbox/requests?tenant=acme";
        let calls = world.control(Method::GET, path, &Value::Null).await;
        assert!(
            calls["by_function"]["Login"].as_u64() > Some(2),
            "no session ended: {calls}"
        );
    }
}

#[tokio::test]
async fn a_campaign_that_optimove_does_not_know_is_waited_for_and_then_held() {
    let world = impatient().await;
    let campaign = world.plan(25, &json!({}));
    let event = json!({"EventTypeID": 13, "CampaignID": campaign, "ChannelID": 504});
    world.post(&super::listener(&world, 13), &event).await;
    let begun = world.app.clock.now_ms();
    world.settle().await;
    assert_eq!(holds(&world, campaign).await, [json!("campaign_unknown")]);
    assert!(
        world.app.clock.now_ms() - begun >= 900_000,
        "it was not waited for"
    );
    world.sandbox.process(campaign).unwrap();
    resume(&world, campaign).await;
    world.assert_right(campaign).await;
}

#[tokio::test]
async fn a_campaign_that_optimove_knows_a_little_later_is_read_then() {
    let world = impatient().await;
    let campaign = world.plan(25, &json!({}));
    let event = json!({"EventTypeID": 13, "CampaignID": campaign, "ChannelID": 504});
    world.post(&super::listener(&world, 13), &event).await;
    bestow::work::step(&world.app).await.unwrap();
    assert!(view(&world, campaign).await["last_error"].is_string());
    world.sandbox.process(campaign).unwrap();
    world.settle().await;
    world.assert_right(campaign).await;
}

#[tokio::test]
async fn a_size_far_from_what_was_told_waits_for_a_person() {
    let world = impatient().await;
    let action = json!({
        "id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504, "share": 0.3}],
    });
    let campaign = world.run(100, &json!({ "actions": [action] })).await;
    assert_eq!(holds(&world, campaign).await, [json!("size_mismatch")]);
    assert_eq!(world.ledger(campaign).await.len(), 0);
    resume(&world, campaign).await;
    assert_eq!(world.ledger(campaign).await.len(), 30);
    world.assert_right(campaign).await;
    let no = world.acme().no();
    let approved = world
        .app
        .store
        .peek(|tx| tx.campaign(no, &campaign.to_string()));
    let approved: Result<_, StoreError> = approved;
    assert!(approved.unwrap().unwrap().size_approved_at.is_some());
}
