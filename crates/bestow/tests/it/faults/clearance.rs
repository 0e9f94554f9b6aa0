//! Clearance of conditional campaigns (group F): against the stand-in, on a hand-moved clock.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod many;
mod operator;
mod proxy;
mod rounds;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bestow_store::Error as StoreError;
use bestow_store::campaigns::SuspendedBy;
use http::Method;
use serde_json::{Value, json};

use super::{is_eligible, listener, switch, view};
use crate::support::World;
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
    let mut spec = json!({
        "kind": "conditional", "lead_time": 0,
        "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504}]}],
    });
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

async fn findings(world: &World) -> Vec<String> {
    let path = "/v1/tenants/acme/findings";
    let page = world.api.ok(Method::GET, path, &Value::Null).await.unwrap();
    let rows = page["data"].as_array().unwrap();
    rows.iter()
        .map(|row| row["kind"].as_str().unwrap().to_owned())
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
    assert_eq!(
        rounds(&world, campaign).await,
        [round("closed", 30, 30, "complete")]
    );
    assert_eq!(seen["imports"], json!([]));
    assert_eq!(statuses(&world, campaign).await, all("pending", 60));
    assert_eq!(stood(&world, campaign).await["approved"], 30);
    assert!(!is_eligible(&world, "P-1", "FS20").await);
    world.assert_verified();
    settled(&world, campaign).await;
    assert_eq!(stood(&world, campaign).await["sent"], 30);
    assert_eq!(world.oracle(campaign).len(), 60);
    assert_eq!(findings(&world).await, Vec::<String>::new());
    assert_eq!(statuses(&world, campaign).await, all("active", 60));
    let counts = world.counts(campaign);
    assert_eq!(
        (counts["granted"], counts["pairs"]),
        (60, 240),
        "listed twice by two channels"
    );
}

#[tokio::test]
async fn f1_the_deadline_passes_while_reports_do_not_get_through() {
    let (world, _proxy) = judged(|call| {
        // The first of two chunks goes through, the others do not.
        let first = call.reports().iter().any(|(id, _)| *id == "P-1");
        only_if(is_report(call) && !first, Fate::Refused(503))
    })
    .await;
    // Less than the margin is left, so chunks are of 1,000 customers and the last moment is the deadline itself.
    let campaign = hold(&world, 1_500, 240, &json!({}));
    world.delivered().await;
    for _ in 0..40 {
        bestow::work::step(&world.app).await.unwrap();
    }
    assert_eq!(statuses(&world, campaign).await["awaiting_clearance"], 500);
    assert_eq!(statuses(&world, campaign).await["pending"], 1_000);
    pass(&world, 240).await;
    assert_eq!(
        rounds(&world, campaign).await,
        [round("closed", 1_500, 1_000, "deadline")]
    );
    assert!(
        findings(&world)
            .await
            .contains(&"clearance_unfinished".to_owned())
    );
    let after = statuses(&world, campaign).await;
    assert_eq!(after["not_cleared"], 500, "{after:?}");
    let silent = "P-999";
    assert!(!is_eligible(&world, silent, "FS20").await);
    pass(&world, 7_200).await;
    let held = stood(&world, campaign).await;
    assert_eq!(
        (&held["approved"], &held["sent"]),
        (&json!(1_000), &json!(1_000))
    );
    let after = statuses(&world, campaign).await;
    assert_eq!((after["active"], after["not_cleared"]), (1_000, 500));
    world.assert_verified();
}

#[tokio::test]
async fn f1_work_stops_the_margin_before_the_deadline() {
    let (world, _proxy) = judged(|call| only_if(is_report(call), Fate::Refused(503))).await;
    let campaign = hold(&world, 20, 3_600, &json!({}));
    world.delivered().await;
    for _ in 0..20 {
        bestow::work::step(&world.app).await.unwrap();
    }
    assert_eq!(
        rounds(&world, campaign).await,
        [round("deciding", 20, 0, "")]
    );
    assert_eq!(
        statuses(&world, campaign).await,
        all("awaiting_clearance", 20)
    );
    pass(&world, 3_299).await;
    assert_eq!(rounds(&world, campaign).await[0].0, "deciding");
    pass(&world, 1).await;
    assert_eq!(
        rounds(&world, campaign).await,
        [round("closed", 20, 0, "deadline")]
    );
    assert_eq!(
        statuses(&world, campaign).await,
        all("awaiting_clearance", 20)
    );
    pass(&world, 300).await;
    assert_eq!(statuses(&world, campaign).await, all("not_cleared", 20));
    world.assert_verified();
}

#[tokio::test]
async fn f1_a_list_that_is_never_read_approves_nobody() {
    let (world, _proxy) = judged(|call| {
        only_if(
            call.path.ends_with("/GetProcessedCampaignCustomers"),
            Fate::Refused(500),
        )
    })
    .await;
    let campaign = hold(&world, 20, 3_600, &json!({}));
    world.delivered().await;
    for _ in 0..20 {
        bestow::work::step(&world.app).await.unwrap();
    }
    assert_eq!(rounds(&world, campaign).await, [round("reading", 0, 0, "")]);
    pass(&world, 3_600).await;
    assert_eq!(
        rounds(&world, campaign).await,
        [round("closed", 0, 0, "deadline")]
    );
    settled(&world, campaign).await;
    assert_eq!(world.ledger(campaign).await.len(), 0);
}

#[tokio::test]
async fn f2_an_approval_whose_answer_is_lost_is_sent_again() {
    let seen = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&seen);
    let (world, _proxy) = judged(move |call| {
        if !is_report(call) {
            return Fate::Through;
        }
        let mut seen = counted.lock().unwrap();
        *seen += 1;
        if *seen <= 3 {
            Fate::AnswerLost
        } else {
            Fate::Through
        }
    })
    .await;
    let campaign = hold(&world, 20, 3_600, &json!({}));
    world.delivered().await;
    world.settle().await;
    assert_eq!(*seen.lock().unwrap(), 4);
    let once: BTreeSet<u32> = world
        .sandbox
        .statuses(campaign)
        .unwrap()
        .map(|one| one.times)
        .collect();
    assert_eq!(
        once,
        BTreeSet::from([4]),
        "each was told four times, and the last one wins"
    );
    settled(&world, campaign).await;
    assert_eq!(world.ledger(campaign).await.len(), 20);
}

#[tokio::test]
async fn f2_what_was_sent_without_our_hearing_of_it_is_granted_when_it_runs() {
    let (world, _proxy) = judged(|call| only_if(is_report(call), Fate::AnswerLost)).await;
    let campaign = hold(&world, 20, 3_600, &json!({}));
    world.delivered().await;
    for _ in 0..10 {
        bestow::work::step(&world.app).await.unwrap();
    }
    pass(&world, 3_600).await;
    assert_eq!(
        rounds(&world, campaign).await,
        [round("closed", 20, 0, "deadline")]
    );
    settled(&world, campaign).await;
    assert_eq!(world.ledger(campaign).await.len(), 20);
    assert_eq!(statuses(&world, campaign).await, all("active", 20));
}

#[tokio::test]
async fn f3_one_id_that_is_not_taken_is_held_and_the_others_go_on() {
    let (world, _proxy) = judged(|call| {
        let bad = ["P-7", "P-1234"];
        only_if(
            call.reports().iter().any(|(id, _)| bad.contains(id)),
            Fate::Refused(400),
        )
    })
    .await;
    let campaign = hold(&world, 2_000, 3_600, &json!({}));
    work(&world).await;
    assert_eq!(
        rounds(&world, campaign).await,
        [round("closed", 1_998, 1_998, "complete")]
    );
    assert_eq!(
        denied(&world, campaign).await,
        [("bad_customer_id".to_owned(), 2)]
    );
    assert_eq!(findings(&world).await, ["clearance_id_refused"]);
    let now = statuses(&world, campaign).await;
    assert_eq!((now["pending"], now["not_cleared"]), (1_998, 2));
    let path = "/v1/tenants/acme/customers/P-7/grants";
    let shown = world.api.ok(Method::GET, path, &Value::Null).await.unwrap();
    assert_eq!(shown["data"][0]["status"], "not_cleared");
    world.assert_verified();
    pass(&world, 3_600).await;
    pass(&world, 3_600).await;
    assert_eq!(stood(&world, campaign).await["sent"], 1_998);
    let now = statuses(&world, campaign).await;
    assert_eq!((now["active"], now["not_cleared"]), (1_998, 2));
    world.assert_verified();
}

#[tokio::test]
async fn f3_a_report_that_is_never_taken_is_not_the_fault_of_its_ids() {
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let (world, _proxy) = judged(move |call| {
        if !is_report(call) {
            return Fate::Through;
        }
        *counted.lock().unwrap() += 1;
        Fate::Refused(400)
    })
    .await;
    let campaign = hold(&world, 2_000, 3_600, &json!({}));
    world.delivered().await;
    while *calls.lock().unwrap() == 0 {
        bestow::work::step(&world.app).await.unwrap();
    }
    let calls = *calls.lock().unwrap();
    assert!(calls < 30, "{calls} calls to find out");
    assert_eq!(
        rounds(&world, campaign).await,
        [round("deciding", 2_000, 0, "")]
    );
    assert_eq!(denied(&world, campaign).await, []);
    pass(&world, 3_600).await;
    assert_eq!(
        rounds(&world, campaign).await,
        [round("closed", 2_000, 0, "deadline")]
    );
    assert_eq!(statuses(&world, campaign).await, all("not_cleared", 2_000));
}

#[tokio::test]
async fn f4_a_deadline_that_has_passed_approves_nobody_and_says_so() {
    let world = conditional().await;
    switch(&world, &json!({"notify-drop": 100}));
    let campaign = hold(&world, 20, 3_600, &json!({}));
    assert_eq!(event_5(&world, campaign, "2027-03-25 06:00").await, 200);
    work(&world).await;
    assert_eq!(
        rounds(&world, campaign).await,
        [round("closed", 0, 0, "past")]
    );
    assert_eq!(findings(&world).await, ["clearance_past"]);
    assert_eq!(stood(&world, campaign).await["approved"], 0);
    world.assert_verified();
}

#[tokio::test]
async fn f4_a_deadline_without_a_zone_is_meant_in_the_tenants() {
    let world = World::start().await;
    world
        .connect(&json!({"conditional": true, "time_zone": "Asia/Tokyo"}))
        .await;
    switch(&world, &json!({"notify-drop": 100}));
    let campaign = hold(&world, 5, 3_600, &json!({}));
    assert_eq!(event_5(&world, campaign, "2027-03-25 16:00").await, 200);
    // The same instant, spelled otherwise: no second round.
    assert_eq!(event_5(&world, campaign, "2027-03-25T07:00:00Z").await, 200);
    work(&world).await;
    let seen = view(&world, campaign).await;
    assert_eq!(seen["clearance_required_by"], "2027-03-25T07:00:00Z");
    assert_eq!(rounds(&world, campaign).await.len(), 1);
    assert_eq!(event_5(&world, campaign, "tomorrow").await, 200);
    work(&world).await;
    let held = super::inbox(&world).await;
    let reasons: Vec<_> = held
        .iter()
        .filter_map(|one| one["reason"].as_str())
        .collect();
    assert_eq!(reasons, ["bad_clearance_deadline"]);
}

#[tokio::test]
async fn f5_a_crash_between_grant_and_approval_loses_nothing() {
    let (world, _proxy) = judged(|call| only_if(is_report(call), Fate::Refused(503))).await;
    let campaign = hold(&world, 50, 3_600, &json!({}));
    world.delivered().await;
    for _ in 0..10 {
        bestow::work::step(&world.app).await.unwrap();
    }
    assert_eq!(
        statuses(&world, campaign).await,
        all("awaiting_clearance", 50)
    );
    let world = world.reopen().await;
    // The way is free by now.
    let direct = json!({"optimove": {"base_url": world.sandbox.url(), "auth": {"api_key": "acme-admin-key"}}});
    world
        .api
        .ok(Method::PATCH, "/v1/tenants/acme", &direct)
        .await
        .unwrap();
    world.sync_listeners().await;
    pass(&world, 20).await;
    assert_eq!(
        rounds(&world, campaign).await,
        [round("closed", 50, 50, "complete")]
    );
    settled(&world, campaign).await;
    assert_eq!(world.ledger(campaign).await.len(), 50);
}

#[tokio::test]
async fn f5_whoever_lost_the_lease_reports_nothing() {
    let world = conditional().await;
    let campaign = hold(&world, 50, 3_600, &json!({}));
    world.delivered().await;
    let app = Arc::clone(&world.app);
    let lease_ms = 60_000;
    bestow::service::notifications::settle_waiting(&app)
        .await
        .unwrap();
    let kind = Some(bestow::work::kind::CLEARANCE);
    let stale = app
        .tx("claim", move |tx| tx.claim_job_of(kind, lease_ms))
        .await
        .unwrap()
        .unwrap();
    assert!(app.clock.advance(61_000));
    let newer = app
        .tx("claim", move |tx| tx.claim_job_of(kind, lease_ms))
        .await
        .unwrap()
        .unwrap();
    assert!(newer.token > stale.token);
    let stop = tokio_util::sync::CancellationToken::new();
    let ran = bestow::service::clearance::run(&app, &stale, &stop).await;
    assert!(
        matches!(ran, Err(bestow::error::Error::Store(StoreError::LeaseLost))),
        "{ran:?}"
    );
    assert_eq!(world.ledger(campaign).await.len(), 0);
    bestow::service::clearance::run(&app, &newer, &stop)
        .await
        .unwrap();
    assert_eq!(
        rounds(&world, campaign).await,
        [round("closed", 50, 50, "complete")]
    );
}

#[tokio::test]
async fn f6_cleared_but_not_executed_is_found_and_never_starts() {
    let world = conditional().await;
    let campaign = hold(&world, 20, 3_600, &json!({"duration": 3}));
    work(&world).await;
    // Nothing is heard of the execution, and no list shows it.
    switch(
        &world,
        &json!({"notify-drop": 100, "fault-percent": 100, "fault-kind": "status-500",
        "fault-functions": ["GetExecutedCampaignsByChannel"]}),
    );
    pass(&world, 3_600).await;
    pass(&world, 82_800).await;
    assert_eq!(findings(&world).await, Vec::<String>::new());
    assert_eq!(statuses(&world, campaign).await, all("pending", 20));
    pass(&world, 4_000).await;
    assert_eq!(findings(&world).await, ["cleared_not_executed"]);
    assert!(
        !is_eligible(&world, "P-1", "FS20").await,
        "its window is an estimate"
    );
    pass(&world, 3 * 86_400).await;
    assert_eq!(statuses(&world, campaign).await, all("expired", 20));
}

#[tokio::test]
async fn f6_events_in_any_order_come_to_the_same() {
    for order in [[5, 1, 13], [5, 13, 1], [13, 5, 1], [1, 13, 5]] {
        let world = conditional().await;
        switch(&world, &json!({"notify-drop": 100}));
        let campaign = hold(&world, 20, 3_600, &json!({}));
        for event in order {
            let body = json!({
                "EventTypeID": event, "TimeStamp": "2027-03-25 06:00", "CampaignID": campaign,
                "ChannelID": (event == 13).then_some(504), "ClearanceRequiredBy": "2027-03-25 07:00",
            });
            let path = listener(&world, event);
            let (status, _) = world.api.json(Method::POST, &path, &body).await.unwrap();
            assert_eq!(status.as_u16(), 200);
            work(&world).await;
        }
        // Whatever was read before the deadline is read anew after it.
        pass(&world, 3_600).await;
        pass(&world, 600).await;
        settled(&world, campaign).await;
        assert_eq!(world.ledger(campaign).await.len(), 20, "{order:?}");
        assert_eq!(
            statuses(&world, campaign).await,
            all("active", 20),
            "{order:?}"
        );
    }
}

#[tokio::test]
async fn f6_an_execution_without_our_approval_is_refused_and_found() {
    let world = conditional().await;
    let campaign = hold(&world, 20, 3_600, &json!({}));
    // Somebody else approves all of them; we say no to some.
    let ids = json!({"customer_ids": ["P-1", "P-2"], "reason": "test"});
    let path = "/v1/tenants/acme/exclusions";
    world.api.ok(Method::POST, path, &ids).await.unwrap();
    work(&world).await;
    assert_eq!(denied(&world, campaign).await, [("excluded".to_owned(), 2)]);
    let body =
        json!({"CampaignID": campaign, "PromosUpdated": [{"CustomerID": "P-1", "Status": true}]});
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    let url = format!(
        "{}/current/integrations/UpdateCustomerPromotionStatus",
        world.sandbox.url()
    );
    let sent = http
        .post(url)
        .header("x-api-key", "acme-admin-key")
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status().as_u16(), 200);
    pass(&world, 3_600).await;
    pass(&world, 3_600).await;
    assert_eq!(stood(&world, campaign).await["sent"], 19);
    assert_eq!(findings(&world).await, ["executed_without_approval"]);
    assert_eq!(statuses(&world, campaign).await, all("active", 18));
    assert_eq!(world.counts(campaign)["refused:not_approved"], 1);
    assert!(!is_eligible(&world, "P-1", "FS20").await);
    world.assert_verified();
}

#[tokio::test]
async fn f7_cancelled_while_on_hold_nobody_more_is_approved() {
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let (world, _proxy) = judged(move |call| {
        if is_report(call) {
            *counted.lock().unwrap() += 1;
        }
        Fate::Through
    })
    .await;
    let campaign = hold(&world, 50, 3_600, &json!({}));
    world.delivered().await;
    world.sandbox.cancel(campaign).unwrap();
    work(&world).await;
    assert_eq!(*calls.lock().unwrap(), 0);
    let held = stood(&world, campaign).await;
    assert_eq!(
        (&held["approved"], &held["status"]),
        (&json!(0), &json!("cancelled"))
    );
    assert_eq!(world.ledger(campaign).await.len(), 0);
    pass(&world, 3_600).await;
    pass(&world, 3_600).await;
    assert_eq!(stood(&world, campaign).await["sent"], 0);
    assert!(!is_eligible(&world, "P-1", "FS20").await);
    world.assert_verified();
}

#[tokio::test]
async fn f7_a_suspension_stops_reports_and_a_lift_lets_them_go_on() {
    let (world, _proxy) = judged(|call| only_if(is_report(call), Fate::Refused(503))).await;
    let campaign = hold(&world, 50, 3_600, &json!({}));
    world.delivered().await;
    for _ in 0..10 {
        bestow::work::step(&world.app).await.unwrap();
    }
    let direct = json!({"optimove": {"base_url": world.sandbox.url(), "auth": {"api_key": "acme-admin-key"}}});
    world
        .api
        .ok(Method::PATCH, "/v1/tenants/acme", &direct)
        .await
        .unwrap();
    let (tenant, id) = (world.acme().no(), campaign.to_string());
    let stopped = id.clone();
    world
        .app
        .tx("suspend", move |tx| {
            let no = tx.campaign(tenant, &stopped)?.unwrap().no;
            tx.suspend_campaign(tenant, no, SuspendedBy::Operator, "test")
        })
        .await
        .unwrap();
    world.app.facts_changed();
    pass(&world, 20).await;
    assert_eq!(
        rounds(&world, campaign).await,
        [round("deciding", 50, 0, "")]
    );
    assert_eq!(statuses(&world, campaign).await, all("suspended", 50));
    assert_eq!(stood(&world, campaign).await["approved"], 0);
    let path = format!("/v1/tenants/acme/campaigns/{id}/resume");
    world
        .api
        .ok(Method::POST, &path, &Value::Null)
        .await
        .unwrap();
    pass(&world, 20).await;
    assert_eq!(
        rounds(&world, campaign).await,
        [round("closed", 50, 50, "complete")]
    );
    settled(&world, campaign).await;
    assert_eq!(world.ledger(campaign).await.len(), 50);
}

#[tokio::test]
async fn f9_too_few_calls_before_the_deadline_are_told_at_once() {
    let (blocked, judged) = (Arc::new(Mutex::new(true)), Arc::new(Mutex::new(0)));
    let (is_blocked, lists) = (Arc::clone(&blocked), Arc::clone(&judged));
    let judge = move |call: &Call| {
        let is_list = call.path.ends_with("/GetProcessedCampaignCustomers");
        *lists.lock().unwrap() += usize::from(is_list);
        only_if(is_list && *is_blocked.lock().unwrap(), Fate::Refused(500))
    };
    let (world, _proxy) = judged_and_tuned(judge, |config| {
        config.optimove.calls_max = 40;
        config.optimove.page_rows = 100;
    })
    .await;
    // 36 pages, a report and a quarter of them in reserve do not fit into the ten seconds before the margin.
    let campaign = hold(&world, 3_500, 310, &json!({}));
    world.delivered().await;
    while *judged.lock().unwrap() == 0 {
        bestow::work::step(&world.app).await.unwrap();
    }
    assert_eq!(findings(&world).await, ["clearance_infeasible"]);
    *blocked.lock().unwrap() = false;
    pass(&world, 1).await;
    pass(&world, 1).await;
    assert_eq!(
        rounds(&world, campaign).await,
        [round("closed", 3_500, 3_500, "complete")]
    );
    assert_eq!(
        findings(&world).await,
        Vec::<String>::new(),
        "it was done in time after all"
    );
}
