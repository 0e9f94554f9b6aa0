//! Customers who may get nothing, or nothing of one promotion: looked at when they would be granted, and again when they
//! would redeem.

use serde_json::{Value, json};

use super::triggers::{counts, grants, tell, trigger, triggered};
use super::{is_eligible, paged, switch, view};
use crate::support::World;

const EXCLUSIONS: &str = "/v1/tenants/acme/exclusions";

async fn exclude(world: &World, customers: &[&str], promo_code: Value) {
    let body =
        json!({"customer_ids": customers, "reason": "self-excluded", "promo_code": promo_code});
    world.post(EXCLUSIONS, &body).await;
}

fn of(customers: &[&str], codes: &str) -> Value {
    let row = |id: &&str| json!({"id": id, "action": 24, "promo_code": codes});
    let rows: Vec<Value> = customers.iter().map(row).collect();
    json!({"audience": {"customers": rows}})
}

#[tokio::test]
async fn whoever_is_excluded_when_a_campaign_is_read_is_refused_and_not_granted() {
    let world = paged(2).await;
    exclude(&world, &["P-1", "P-4"], Value::Null).await;
    exclude(&world, &["P-2"], json!("cb10")).await;
    // Read more than once: who is listed does not agree with what was told.
    switch(&world, &json!({"optional-fields": "absent"}));
    let campaign = world
        .run(0, &of(&["P-1", "P-2", "P-3", "P-4", "P-5"], "FS20,CB10"))
        .await;
    let counts = view(&world, campaign).await["counts"].clone();
    // Two channels list everybody.
    assert_eq!(counts["refused"], json!({"excluded": 10}));
    assert_eq!(
        (&counts["granted"], &counts["repeated"]),
        (&json!(5), &json!(5))
    );
    let ledger: Vec<_> = world.ledger(campaign).await.into_keys().collect();
    let pair = |customer: &str, code: &str| (customer.to_owned(), code.to_owned());
    let expected = [
        pair("P-2", "FS20"),
        pair("P-3", "CB10"),
        pair("P-3", "FS20"),
        pair("P-5", "CB10"),
        pair("P-5", "FS20"),
    ];
    assert_eq!(ledger, expected);
    world.assert_verified();
    // Let in again they get the next campaign, and not this one.
    let body = json!({"customer_ids": ["P-1"]});
    world.delete(EXCLUSIONS, &body).await;
    let next = world.run(0, &of(&["P-1"], "FS20")).await;
    assert_eq!(world.ledger(next).await.len(), 1);
    assert_eq!(world.ledger(campaign).await.len(), 5);
}

#[tokio::test]
async fn whoever_is_excluded_after_being_granted_redeems_nothing_of_it() {
    let world = paged(2).await;
    let campaign = world.run(0, &of(&["P-1", "P-2"], "FS20,CB10")).await;
    world.travel("2027-03-28T12:00:00Z").await;
    assert!(is_eligible(&world, "P-1", "FS20").await);
    exclude(&world, &["P-1"], json!("FS20")).await;
    assert!(!is_eligible(&world, "P-1", "FS20").await);
    assert!(is_eligible(&world, "P-1", "CB10").await);
    exclude(&world, &["P-1"], Value::Null).await;
    assert!(!is_eligible(&world, "P-1", "CB10").await);
    assert!(is_eligible(&world, "P-2", "FS20").await);
    assert_eq!(world.ledger(campaign).await.len(), 4);
    world.assert_verified();
}

#[tokio::test]
async fn a_trigger_of_a_promotion_that_somebody_is_excluded_from_is_refused() {
    let world = triggered(&json!({})).await;
    exclude(&world, &["P-1"], json!("FS20")).await;
    let both = json!({"promoCode": ["FS20", "CB10"]});
    tell(&world, &trigger("P-1", "2027-03-25 05:00:00", &both)).await;
    assert_eq!(grants(&world, "P-1").await.len(), 1);
    assert_eq!(counts(&world, "rt-812")["refused:excluded"], 1);
    world.assert_verified();
}
