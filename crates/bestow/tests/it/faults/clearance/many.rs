//! Many customers on hold, while one call in five fails.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex};

use bestow::clock::instant;
use jiff::SignedDuration;
use serde_json::json;

use super::{Fate, complete, hold, is_report, judged_and_tuned, pass, rounds, stood};

/// Customers, unless the environment says otherwise.
const CUSTOMERS: u64 = 60_000;

fn customers() -> u64 {
    let said = std::env::var("CLEARANCE_CUSTOMERS").ok();
    said.map_or(CUSTOMERS, |text| text.parse().unwrap())
}

/// Every fifth call fails: refused by the server, by the limit of calls, or taken and its answer lost. The service's
/// database is looked into at the moment of each approval: no approval without a durable grant.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn all_approvals_are_placed_in_time_and_none_without_a_durable_grant() {
    let (calls, store) = (Arc::new(Mutex::new(0_u64)), Arc::new(Mutex::new(None)));
    let (counted, looked) = (Arc::clone(&calls), Arc::clone(&store));
    let (world, _proxy) = judged_and_tuned(
        move |call| {
            let mut calls = counted.lock().unwrap();
            *calls += 1;
            if is_report(call) {
                let known: Option<(bestow_store::Store, i64)> = looked.lock().unwrap().clone();
                let (store, tenant) = known.unwrap();
                for (customer, approved) in call.reports() {
                    let rows = store.peek(|tx| tx.ledger_rows(tenant, customer)).unwrap();
                    assert_eq!(rows.len(), usize::from(approved), "{customer}");
                }
            }
            match *calls % 15 {
                5 => Fate::Refused(503),
                10 => Fate::Refused(429),
                14 => Fate::AnswerLost,
                _ => Fate::Through,
            }
        },
        |config| {
            config.optimove.tries_max = 4;
            // The budget as it is allowed; in a hundredth of the time, unless a run was asked for.
            config.optimove.calls_max = 40;
            if customers() == CUSTOMERS {
                config.optimove.calls_window_ms = 100;
            }
        },
    )
    .await;
    *store.lock().unwrap() = Some((world.app.store.clone(), world.acme().no()));
    let customers = customers();
    let campaign = hold(&world, customers, 1_800, &json!({"control_share": 0.1}));
    let listed = customers - customers / 10;
    // Some are refused, and told so.
    let excluded: Vec<String> = world
        .sandbox
        .statuses(campaign)
        .unwrap()
        .step_by(97)
        .map(|one| one.customer_id)
        .collect();
    let denied = excluded.len() as u64;
    for some in excluded.chunks(10_000) {
        let body = json!({"customer_ids": some, "reason": "test"});
        let path = "/v1/tenants/acme/exclusions";
        world.api.ok(http::Method::POST, path, &body).await.unwrap();
    }
    world.delivered().await;
    let approved = listed - denied;
    let began = tokio::time::Instant::now();
    for _ in 0..200 {
        if !bestow::work::step(&world.app).await.unwrap() {
            pass(&world, 5).await;
        }
        if rounds(&world, campaign)
            .await
            .first()
            .is_some_and(|round| round.0 == "closed")
        {
            break;
        }
    }
    if customers != CUSTOMERS {
        // A run that was asked for tells what it took.
        let (took, calls) = (began.elapsed(), *calls.lock().unwrap());
        writeln!(
            std::io::stderr(),
            "{customers} on hold: cleared in {took:?} with {calls} calls"
        )
        .unwrap();
    }
    assert_eq!(rounds(&world, campaign).await, [complete(approved)]);
    let excluded: BTreeSet<String> = excluded.into_iter().collect();
    let five_minutes = SignedDuration::from_mins(5);
    for one in world.sandbox.statuses(campaign).unwrap() {
        assert_eq!(
            one.status,
            Some(!excluded.contains(&one.customer_id)),
            "{one:?}"
        );
        let reported_at = one.reported_at.unwrap();
        assert!(
            reported_at + five_minutes <= one.clearance_required_by,
            "{one:?}"
        );
    }
    let deadline = instant(world.app.clock.now_ms()) + SignedDuration::from_secs(2_000);
    world.travel(&deadline.to_string()).await;
    pass(&world, 600).await;
    pass(&world, 600).await;
    let held = stood(&world, campaign).await;
    assert_eq!(held["sent"], approved, "sent to exactly the approved");
    assert_eq!(world.finding_kinds().await, Vec::<String>::new());
    world.assert_right(campaign).await;
}
