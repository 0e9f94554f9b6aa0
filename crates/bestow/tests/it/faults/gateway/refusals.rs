//! Who is denied, and which questions are none.

use bestow::actor::Actor;
use bestow::service::tenants::{self, Suspension};
use http::Method;
use serde_json::json;

use super::{about, exclude, gateway, is_allowed, question, with_codes};
use crate::faults::triggers::{counts, findings, grants, patch, put, tell, trigger, triggered};
use crate::faults::{inbox, listener};
use crate::support::World;

#[tokio::test]
async fn a_visitor_is_denied_and_never_a_customer() {
    let world = triggered(&json!({})).await;
    let visitor = question("P-1", &json!({"is_visitor": true}), &json!({}), &json!({}));
    assert!(!is_allowed(&world, &visitor).await);
    assert!(is_allowed(&world, &about("P-1")).await);
    patch(
        &world,
        &json!({"triggered": {"visitors": "grant", "require_reservation": true}}),
    )
    .await;
    // The customer's yes is not the visitor's.
    let at = "2027-03-25 06:00:00";
    tell(&world, &trigger("P-1", at, &json!({"isVisitor": true}))).await;
    assert_eq!(grants(&world, "visitor:P-1").await.len(), 0);
    assert!(is_allowed(&world, &visitor).await);
    let next = "2027-03-25 06:00:01";
    tell(&world, &trigger("P-1", next, &json!({"isVisitor": true}))).await;
    assert_eq!(grants(&world, "visitor:P-1").await.len(), 1);
    assert_eq!(grants(&world, "P-1").await.len(), 0);
}

#[tokio::test]
async fn codes_null_empty_many_and_unknown() {
    let world = triggered(&json!({})).await;
    put(&world, "OLD", &json!({"status": "archived"})).await;
    let cases = [
        (json!(null), true),
        (json!([]), true),
        (json!(["", " "]), true),
        (json!(["FS20", "CB10"]), true),
        (json!("FS20,CB10"), true),
        (json!(["FS20", "NEW"]), false),
        (json!(["OLD"]), false),
        (json!(["a\u{0}b"]), false),
        (
            json!((0..50).map(|n| format!("C{n}")).collect::<Vec<_>>()),
            false,
        ),
    ];
    for (place, (codes, allowed)) in cases.iter().enumerate() {
        let question = with_codes(&format!("P-{place}"), codes);
        assert_eq!(is_allowed(&world, &question).await, *allowed, "{codes}");
    }
    let found = findings(&world).await;
    assert_eq!(
        found,
        [("gateway_code".to_owned(), "campaign/rt-812".to_owned())]
    );
    patch(&world, &json!({"gateway": {"without_codes": "deny"}})).await;
    assert!(!is_allowed(&world, &with_codes("P-0", &json!(null))).await);
}

#[tokio::test]
async fn what_cannot_be_read_is_a_bad_request() {
    let world = triggered(&json!({})).await;
    for body in [
        json!(null),
        json!([]),
        json!({"user": {}}),
        json!({"user": {"user_id": "P-1"}}),
    ] {
        let answer = world.api.json(Method::POST, &gateway(&world), &body).await;
        let (status, problem) = answer.expect("an answer");
        assert_eq!(
            (status.as_u16(), &problem["code"]),
            (400, &json!("unreadable_question"))
        );
    }
    // An id that nobody can have is asked about, so it is answered.
    assert!(!is_allowed(&world, &about(&"x".repeat(300))).await);
}

#[tokio::test]
async fn a_secret_opens_one_door_only() {
    let world = triggered(&json!({})).await;
    let secret = |event| world.app.keys.listener_secret("acme", event, 1);
    for path in [
        format!("/optimove/listener/{}", secret(0)),
        format!("/optimove/gateway/{}", secret(11)),
        "/optimove/gateway/wrong".to_owned(),
    ] {
        let answer = world.api.json(Method::POST, &path, &about("P-1")).await;
        assert_eq!(answer.expect("an answer").0.as_u16(), 404, "{path}");
    }
    assert_eq!(inbox(&world).await.len(), 0);
}

/// Puts a customer on the list of those who may get nothing.
async fn suspend(world: &World, what: Suspension) {
    tenants::set_suspended(&world.app, &Actor::cli(), "acme", what)
        .await
        .expect("it is so");
}

#[tokio::test]
async fn a_stopped_campaign_a_suspended_tenant_and_an_excluded_customer_are_denied() {
    let world = triggered(&json!({"triggered": {"campaigns": ["rt-812"]}})).await;
    assert!(is_allowed(&world, &about("P-1")).await);
    let elsewhere = question("P-1", &json!({}), &json!({"id": "rt-9"}), &json!({}));
    assert!(!is_allowed(&world, &elsewhere).await);
    exclude(&world, "P-9").await;
    assert!(!is_allowed(&world, &about("P-9")).await);
    let nothing = with_codes("P-9", &json!(null));
    assert!(!is_allowed(&world, &nothing).await);
    tell(&world, &trigger("P-9", "2027-03-25 06:00:00", &json!({}))).await;
    assert_eq!(counts(&world, "rt-812")["refused:excluded"], 1);
    suspend(&world, Suspension::Suspend).await;
    assert!(!is_allowed(&world, &about("P-1")).await);
    suspend(&world, Suspension::Resume).await;
    assert!(is_allowed(&world, &about("P-1")).await);
    let cancel = json!({"EventTypeID": 4, "TimeStamp": "2027-03-25 05:00", "CampaignID": "rt-812"});
    world
        .api
        .json(Method::POST, &listener(&world, 4), &cancel)
        .await
        .unwrap();
    world.work().await;
    // Even whoever had a yes: nothing of the campaign could be used.
    assert!(!is_allowed(&world, &about("P-1")).await);
    assert!(!is_allowed(&world, &about("P-2")).await);
}

#[tokio::test]
async fn a_stopped_promotion_is_denied_even_to_whoever_was_promised_it() {
    let world = triggered(&json!({})).await;
    assert!(is_allowed(&world, &about("P-1")).await);
    let path = "/v1/tenants/acme/promotions/FS20";
    world.post(&format!("{path}/stop"), &json!({})).await;
    for customer in ["P-1", "P-2"] {
        assert!(!is_allowed(&world, &about(customer)).await, "{customer}");
    }
    assert!(is_allowed(&world, &with_codes("P-3", &json!("CB10"))).await);
    world.post(&format!("{path}/resume"), &json!({})).await;
    for customer in ["P-1", "P-2"] {
        assert!(is_allowed(&world, &about(customer)).await, "{customer}");
    }
    assert_eq!(world.finding_kinds().await, Vec::<String>::new());
}
