//! A campaign that is cancelled or suspended while it waits.

use std::sync::{Arc, Mutex};

use bestow::actor::Actor;
use bestow::service::guards::{self, Decision};
use bestow_store::campaigns::SuspendedBy;
use serde_json::{Value, json};

use super::{
    Fate, all, bypass, closed, complete, conditional, hold, is_report, judged, only_if, pass,
    round, rounds, settled, statuses, stood, work,
};
use crate::faults::{is_eligible, switch, view};
use crate::support::World;

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

#[tokio::test]
async fn a_stopped_promotion_is_cleared_for_nobody_until_it_goes_on() {
    let (world, _proxy) = judged(|call| only_if(is_report(call), Fate::Refused(503))).await;
    let campaign = hold(&world, 50, 3_600, &json!({}));
    world.delivered().await;
    world.steps(10).await;
    bypass(&world).await;
    let path = "/v1/tenants/acme/promotions/FS20";
    world.post(&format!("{path}/stop"), &Value::Null).await;
    pass(&world, 20).await;
    // Decided and durable before, and told to nobody.
    assert_eq!(
        rounds(&world, campaign).await,
        [round("deciding", 50, 0, "")]
    );
    assert_eq!(stood(&world, campaign).await["approved"], 0);
    world.post(&format!("{path}/resume"), &Value::Null).await;
    pass(&world, 20).await;
    assert_eq!(rounds(&world, campaign).await, [complete(50)]);
    settled(&world, campaign).await;
    assert_eq!(world.ledger(campaign).await.len(), 50);
}

/// Held until a second person approves it, and denied by its deadline where nobody does.
#[tokio::test]
async fn beyond_its_bounds_nobody_is_cleared_before_a_second_person_says_so() {
    let world = conditional().await;
    let guards = json!({"campaign_customers_max": 10});
    world
        .patch("/v1/tenants/acme", &json!({ "guards": guards }))
        .await;
    let (late, seen) = (
        hold(&world, 30, 3_600, &json!({})),
        hold(&world, 30, 3_600, &json!({})),
    );
    work(&world).await;
    for campaign in [late, seen] {
        assert_eq!(view(&world, campaign).await["guard"]["state"], "held");
        assert_eq!(stood(&world, campaign).await["approved"], 0);
        assert_eq!(world.ledger(campaign).await.len(), 0);
    }
    approve(&world, seen).await;
    work(&world).await;
    assert_eq!(rounds(&world, seen).await, [complete(30)]);
    pass(&world, 3_600).await;
    assert_eq!(rounds(&world, late).await, [closed(0, 0, "list_held")]);
    assert_eq!(stood(&world, late).await["approved"], 0);
    assert_eq!(world.ledger(late).await.len(), 0);
    world.assert_verified();
}

/// Each send group is within the bound, and all of them together are not.
#[tokio::test]
async fn send_groups_are_weighed_together() {
    let world = conditional().await;
    let guards = json!({"campaign_customers_max": 70});
    world
        .patch("/v1/tenants/acme", &json!({ "guards": guards }))
        .await;
    let groups = json!({"conditional-version": "v2", "conditional-rounds": 3});
    switch(&world, &groups);
    let campaign = hold(&world, 90, 1_800, &json!({}));
    work(&world).await;
    for granted in [30, 60] {
        assert_eq!(view(&world, campaign).await["guard"]["state"], "passed");
        assert_eq!(world.ledger(campaign).await.len(), granted);
        pass(&world, 900).await;
    }
    let seen = view(&world, campaign).await;
    assert_eq!(seen["guard"]["state"], "held");
    assert_eq!(seen["guard"]["figures"]["customers"], 90);
    assert_eq!(world.ledger(campaign).await.len(), 60);
    let (id, acme) = (campaign.to_string(), world.acme());
    let late = guards::dry_run(&world.app, &Actor::cli(), &acme, &id).await;
    assert!(late.unwrap_err().to_string().contains("granted already"));
    approve(&world, campaign).await;
    work(&world).await;
    assert_eq!(
        rounds(&world, campaign).await,
        [(); 3].map(|()| complete(30))
    );
}

/// A second person lets it go on.
async fn approve(world: &World, campaign: u64) {
    let second = Actor {
        id: "second".to_owned(),
        ..Actor::cli()
    };
    let reason = "seen and meant".to_owned();
    let (app, acme) = (&world.app, world.acme());
    let decision = Decision { reason };
    let approved = guards::approve(app, &second, &acme, &campaign.to_string(), decision).await;
    assert_eq!(approved.unwrap().guard.unwrap().state, "approved");
}
