//! Triggers that wait for somebody: of visitors, with codes nobody knows, without a duration, of the wrong campaign.

use std::collections::BTreeSet;

use serde_json::json;

use super::{counted, counts, grants, inbox_status, patch, put, release, tell, trigger, triggered};
use crate::faults::{inbox, is_eligible};

#[tokio::test]
async fn a_visitor_is_held_and_no_customer() {
    let world = triggered(&json!({})).await;
    let at = "2027-03-25 05:00:00";
    tell(&world, &trigger("P-1", at, &json!({"isVisitor": true}))).await;
    tell(&world, &trigger("P-1", at, &json!({}))).await;
    assert_eq!(grants(&world, "P-1").await.len(), 1);
    let all = [
        ("rows", 2),
        ("pairs", 2),
        ("granted", 1),
        ("held:visitor", 1),
    ];
    assert_eq!(counts(&world, "rt-812"), counted(&all));
    let inbox = inbox(&world).await;
    assert_eq!(
        (&inbox[0]["status"], &inbox[0]["reason"]),
        (&json!("held"), &json!("visitor"))
    );
    // The tenant lets them in: still nobody else's grant.
    patch(&world, &json!({"triggered": {"visitors": "grant"}})).await;
    release(&world, &json!({"reason": "visitor"})).await;
    assert_eq!(grants(&world, "P-1").await.len(), 1);
    assert_eq!(grants(&world, "visitor:P-1").await.len(), 1);
    assert_eq!(
        counts(&world, "rt-812"),
        counted(&[("rows", 2), ("pairs", 2), ("granted", 2)])
    );
    assert_eq!(inbox_status(&world).await, ["done", "done"]);
    world.assert_verified();
}

#[tokio::test]
async fn an_unknown_code_is_held_until_the_catalogue_has_it() {
    let world = triggered(&json!({})).await;
    let at = "2027-03-25 05:00:00";
    let codes = json!({"promoCode": ["NEW", "FS20"]});
    tell(&world, &trigger("P-1", at, &codes)).await;
    tell(&world, &trigger("P-2", at, &json!({"promoCode": "new"}))).await;
    assert_eq!(inbox_status(&world).await, ["done", "held"]);
    put(&world, "new", &json!({})).await;
    world.settle().await;
    let all = [("rows", 2), ("pairs", 3), ("granted", 3)];
    assert_eq!(counts(&world, "rt-812"), counted(&all));
    assert_eq!(inbox_status(&world).await, ["done", "done"]);
    // From when it was met, not from when it was released.
    assert_eq!(
        grants(&world, "P-2").await[0]["starts_at"],
        "2027-03-25T05:00:00Z"
    );
    assert!(is_eligible(&world, "P-2", "NEW").await);
    world.assert_verified();
}

#[tokio::test]
async fn no_duration_is_held_until_the_promotion_has_one() {
    let world = triggered(&json!({})).await;
    let bare = json!({"notes": null});
    tell(&world, &trigger("P-1", "2027-03-25 05:00:00", &bare)).await;
    let all = [("rows", 1), ("pairs", 1), ("held:no_duration", 1)];
    assert_eq!(counts(&world, "rt-812"), counted(&all));
    put(&world, "FS20", &json!({"validity_days": 4})).await;
    world.settle().await;
    assert_eq!(
        grants(&world, "P-1").await[0]["ends_at"],
        "2027-03-29T05:00:00Z"
    );
    world.assert_verified();
}

#[tokio::test]
async fn only_campaigns_on_the_list_are_taken_where_there_is_one() {
    let world = triggered(&json!({"triggered": {"campaigns": ["RT-812"]}})).await;
    let at = "2027-03-25 05:00:00";
    tell(&world, &trigger("P-1", at, &json!({}))).await;
    tell(
        &world,
        &trigger("P-1", at, &json!({"campaignID": "rt-813"})),
    )
    .await;
    assert_eq!(grants(&world, "P-1").await.len(), 1);
    let inbox = inbox(&world).await;
    assert_eq!(inbox[1]["reason"], "campaign_unknown");
}

#[tokio::test]
async fn a_trigger_of_a_campaign_that_is_read_in_lists_is_held() {
    let world = triggered(&json!({})).await;
    let campaign = world.run(3, &json!({})).await;
    tell(
        &world,
        &trigger(
            "P-1",
            "2027-03-25 05:00:00",
            &json!({"campaignID": campaign}),
        ),
    )
    .await;
    let inbox = inbox(&world).await;
    assert_eq!(inbox.last().expect("one")["reason"], "campaign_mismatch");
    world.assert_right(campaign).await;
}

#[tokio::test]
async fn a_trigger_takes_a_unique_code_and_waits_where_the_pool_is_empty() {
    let world = triggered(&json!({})).await;
    put(&world, "GIFT", &json!({"kind": "unique"})).await;
    let gift = json!({"promoCode": "GIFT"});
    for customer in ["P-1", "P-2", "P-3"] {
        tell(&world, &trigger(customer, "2027-03-25 05:00:00", &gift)).await;
    }
    let all = [("rows", 3), ("pairs", 3), ("held:no_free_code", 3)];
    assert_eq!(counts(&world, "rt-812"), counted(&all));
    let path = "/v1/tenants/acme/promotions/GIFT/codes";
    let two = json!({"generate": 2});
    world.post(path, &two).await;
    world.settle().await;
    let all = [
        ("rows", 3),
        ("pairs", 3),
        ("granted", 2),
        ("held:no_free_code", 1),
    ];
    assert_eq!(counts(&world, "rt-812"), counted(&all));
    let one = json!({"generate": 1});
    world.post(path, &one).await;
    world.settle().await;
    let mut codes = BTreeSet::new();
    for customer in ["P-1", "P-2", "P-3"] {
        let grants = grants(&world, customer).await;
        codes.insert(
            grants[0]["unique_code"]
                .as_str()
                .expect("a code")
                .to_owned(),
        );
    }
    assert_eq!(codes.len(), 3);
    world.assert_verified();
}
