//! Reports to Optimove: lost, refused, left half-way, sent by two.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bestow_store::Error as StoreError;
use serde_json::json;

use super::{
    Fate, all, bypass, closed, complete, conditional, denied, hold, is_report, judged, only_if,
    pass, round, rounds, settled, statuses, stood, work,
};

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
    world.steps(10).await;
    pass(&world, 3_600).await;
    assert_eq!(rounds(&world, campaign).await, [closed(20, 0, "deadline")]);
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
    assert_eq!(rounds(&world, campaign).await, [complete(1_998)]);
    assert_eq!(
        denied(&world, campaign).await,
        [("bad_customer_id".to_owned(), 2)]
    );
    assert_eq!(world.finding_kinds().await, ["clearance_id_refused"]);
    let now = statuses(&world, campaign).await;
    assert_eq!((now["pending"], now["not_cleared"]), (1_998, 2));
    let path = "/v1/tenants/acme/customers/P-7/grants";
    let shown = world.get(path).await;
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
        [closed(2_000, 0, "deadline")]
    );
    assert_eq!(statuses(&world, campaign).await, all("not_cleared", 2_000));
}

#[tokio::test]
async fn f5_a_crash_between_grant_and_approval_loses_nothing() {
    let (world, _proxy) = judged(|call| only_if(is_report(call), Fate::Refused(503))).await;
    let campaign = hold(&world, 50, 3_600, &json!({}));
    world.delivered().await;
    world.steps(10).await;
    assert_eq!(
        statuses(&world, campaign).await,
        all("awaiting_clearance", 50)
    );
    let world = world.reopen().await;
    // The way is free by now.
    bypass(&world).await;
    world.sync_listeners().await;
    pass(&world, 20).await;
    assert_eq!(rounds(&world, campaign).await, [complete(50)]);
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
    assert_eq!(rounds(&world, campaign).await, [complete(50)]);
}
