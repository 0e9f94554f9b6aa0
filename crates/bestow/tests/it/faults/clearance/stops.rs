//! A campaign that is cancelled or suspended while it waits.

use std::sync::{Arc, Mutex};

use bestow_store::campaigns::SuspendedBy;
use serde_json::{Value, json};

use super::{
    Fate, all, bypass, complete, hold, is_report, judged, only_if, pass, round, rounds, settled,
    statuses, stood, work,
};
use crate::faults::is_eligible;

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
    world.steps(10).await;
    bypass(&world).await;
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
    world.post(&path, &Value::Null).await;
    pass(&world, 20).await;
    assert_eq!(rounds(&world, campaign).await, [complete(50)]);
    settled(&world, campaign).await;
    assert_eq!(world.ledger(campaign).await.len(), 50);
}
