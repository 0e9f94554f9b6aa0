//! The stand-in asks by itself and sends what it may; in the end everybody has what it says.

use serde_json::{Value, json};

use super::{exclude, limited, taken};
use crate::faults::switch;
use crate::faults::triggers::triggered;
use crate::support::World;

/// A triggered conditional campaign of the stand-in: FS20 for seven days.
fn plan(world: &World) {
    let spec = json!({
        "tenant": "acme", "kind": "triggered", "conditional": true, "id": 90_121, "series_id": "812",
        "notes": "{\"duration\":7}",
        "actions": [{"id": 24, "promo_codes": ["FS20", "CB10"], "channels": [{"id": 15, "template_id": 31}]}],
    });
    world.sandbox.add_campaign(spec).expect("it is planned");
}

/// A customer of the stand-in meets the trigger; says whether the message went out.
async fn meet(world: &World, customer: &str) -> bool {
    let trigger = json!({"tenant": "acme", "campaign_id": 90_121, "customer_id": customer});
    let outcome = world.sandbox.trigger(trigger).await.expect("a trigger");
    assert!(outcome.asked && outcome.problem.is_none(), "{outcome:?}");
    assert_eq!(outcome.sent, outcome.allowed == Some(true));
    outcome.sent
}

/// Customers, codes and windows of the campaign: of the stand-in, and of the ledger.
async fn assert_as_expected(world: &World) {
    let mut expected: Vec<_> = world
        .sandbox
        .expected_of_triggers(90_121)
        .expect("it is known")
        .into_iter()
        .map(|one| {
            let (starts, ends) = (
                one.starts_at.to_string(),
                one.ends_at.map(|at| at.to_string()),
            );
            (one.customer_id, one.promo_code, starts, ends)
        })
        .collect();
    let mut granted = Vec::new();
    let path = "/v1/tenants/acme/campaigns/90121/grants";
    let read = world.api.lines(path, |line| {
        let grant: Value = serde_json::from_slice(line)?;
        let text = |name: &str| grant[name].as_str().map(str::to_owned);
        let of = |name: &str| text(name).expect("a text");
        granted.push((
            of("customer_id"),
            of("promo_code"),
            of("starts_at"),
            text("ends_at"),
        ));
        Ok(())
    });
    read.await.expect("an export");
    expected.sort();
    granted.sort();
    assert_eq!(granted, expected);
    world.assert_verified();
}

#[tokio::test]
async fn who_may_not_is_not_sent_and_all_others_get_what_the_stand_in_says() {
    let world = triggered(&json!({"triggered": {"require_reservation": true}})).await;
    switch(
        &world,
        &json!({"notify-duplicate": 2, "notify-reorder": "on"}),
    );
    limited(&world, Some(1), Some(12)).await;
    exclude(&world, "P-3").await;
    plan(&world);
    let mut sent = 0;
    for n in 0..20 {
        sent += u32::from(meet(&world, &format!("P-{n}")).await);
    }
    assert_eq!(sent, 12);
    assert!(!meet(&world, "P-3").await);
    world.settle().await;
    assert_as_expected(&world).await;
    assert_eq!(taken(&world, "fs20"), (12, 0));
}

#[tokio::test]
async fn the_asynchronous_gateway_says_the_same_by_a_call() {
    let world = triggered(&json!({"gateway": {"version": "v2"}})).await;
    switch(&world, &json!({"gateway-version": "v2"}));
    exclude(&world, "P-3").await;
    plan(&world);
    let workers = bestow::work::Workers::start(&world.app);
    for (customer, allowed) in [("P-1", true), ("P-3", false), ("P-4", true)] {
        assert_eq!(meet(&world, customer).await, allowed, "{customer}");
    }
    workers.stop().await;
    world.settle().await;
    assert_as_expected(&world).await;
}
