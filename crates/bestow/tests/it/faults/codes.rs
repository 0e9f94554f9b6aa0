//! Codes: several a row, in every form; unknown ones, and ones that are not to be granted yet.

use bestow::actor::Actor;
use bestow::service::tenants::{self, Suspension};
use bestow::work;
use http::Method;
use serde_json::json;

use super::{paged, switch, view};

#[tokio::test]
async fn several_codes_a_row_in_every_form() {
    let world = paged(10).await;
    let forms = [
        "csv",
        "csv-spaced",
        "array",
        "json-array-string",
        "row-per-code",
    ];
    for form in forms {
        switch(&world, &json!({ "promo-codes": form }));
        let action = json!({
            "id": 24, "promo_codes": ["FS20", "CB10", "fs20"],
            "channels": [{"id": 504}, {"id": 505, "share": 0.6}, {"id": 506, "share": 0.5}],
        });
        let none = json!({"id": 25, "promo_codes": [], "channels": [{"id": 504}]});
        let over = json!({ "actions": [action, none], "control_share": 0.2 });
        let campaign = world.run(40, &over).await;
        if view(&world, campaign).await["imports"][0]["state"] == "held" {
            // Rows that tell one code each look like more customers than there are.
            super::resume(&world, campaign).await;
        }
        world.assert_right(campaign).await;
        assert_eq!(world.ledger(campaign).await.len(), 32, "{form}");
        assert!(world.counts(campaign)["rows_without_code"] > 0);
    }
}

#[tokio::test]
async fn an_unknown_code_is_held_and_granted_once_it_is_known() {
    let world = paged(10).await;
    let action = json!({
        "id": 24, "promo_codes": ["FS20", "LATER"], "channels": [{"id": 504}, {"id": 505}],
    });
    let campaign = world.run(30, &json!({ "actions": [action] })).await;
    let counts = view(&world, campaign).await["counts"].clone();
    assert_eq!(
        (&counts["granted"], &counts["held"]),
        (&json!(30), &json!({"unknown_code": 60}))
    );
    world.assert_verified();

    world.put_promotion("LATER", "active").await;
    world.settle().await;
    world.assert_right(campaign).await;
    let counts = view(&world, campaign).await["counts"].clone();
    assert_eq!(
        (&counts["granted"], &counts["held"]),
        (&json!(60), &json!({}))
    );
}

/// Ten thousand held pairs in ten campaigns: what is granted of them stops with their tenant, goes on with it, and is
/// granted once however often it is asked for.
#[tokio::test]
async fn ten_thousand_held_pairs_are_released_once_and_can_be_stopped() {
    let world = paged(500).await;
    let action = json!({"id": 24, "promo_codes": ["LATER"], "channels": [{"id": 504}]});
    let mut campaigns = Vec::new();
    for _ in 0..10 {
        campaigns.push(world.run(1_000, &json!({ "actions": [action] })).await);
    }
    let granted = async || {
        let mut granted = 0;
        for campaign in &campaigns {
            granted += world.ledger(*campaign).await.len();
        }
        granted
    };
    assert_eq!(granted().await, 0);
    world.put_promotion("LATER", "active").await;
    for _ in 0..4 {
        work::step(&world.app).await.expect("a step");
    }
    let suspend = async |to| {
        let done = tenants::set_suspended(&world.app, &Actor::cli(), "acme", to).await;
        done.expect("it is done");
    };
    suspend(Suspension::Suspend).await;
    let stopped = granted().await;
    assert!((1..10_000).contains(&stopped), "{stopped}");
    world.settle().await;
    assert_eq!(granted().await, stopped, "it rests with its tenant");
    suspend(Suspension::Resume).await;
    for _ in 0..2 {
        world
            .api
            .ok(Method::POST, "/v1/tenants/acme/held/release", &json!({}))
            .await
            .expect("it is asked for");
        world.settle().await;
        assert_eq!(granted().await, 10_000);
    }
    for campaign in campaigns {
        world.assert_right(campaign).await;
    }
}

#[tokio::test]
async fn a_draft_is_held_and_granted_once_it_is_active() {
    let world = paged(10).await;
    world.put_promotion("DRAFT", "draft").await;
    let action = json!({"id": 24, "promo_codes": ["DRAFT"], "channels": [{"id": 504}]});
    let campaign = world.run(15, &json!({ "actions": [action] })).await;
    let counts = view(&world, campaign).await["counts"].clone();
    assert_eq!(counts["held"], json!({"inactive_promotion": 15}));
    assert_eq!(world.ledger(campaign).await.len(), 0);

    world.put_promotion("DRAFT", "active").await;
    world.settle().await;
    world.assert_right(campaign).await;
}

/// Of ids that differ by letter case or blanks only one is the customer; zeros make another customer.
#[tokio::test]
async fn ids_that_are_nearly_equal_are_not_the_same_customer() {
    let world = paged(2).await;
    let customers = ["007", "7", "0007", "Ab", "aB", "zoë", "a b"];
    let campaign = world
        .run(0, &json!({"audience": {"customers": customers}}))
        .await;
    let ledger = world.ledger(campaign).await;
    let holders: Vec<&str> = ledger
        .keys()
        .map(|(customer, _)| customer.as_str())
        .collect();
    assert_eq!(holders, ["0007", "007", "7", "Ab", "zoë"]);
    assert_eq!(
        view(&world, campaign).await["counts"]["held"],
        json!({"near_equal_customer_id": 4})
    );
    world.assert_verified();
}

/// Five codes for one customer and campaign; the sixth waits, from whatever row and however often it comes.
#[tokio::test]
async fn more_codes_than_a_customer_may_get_are_held() {
    let world = paged(10).await;
    for code in ["A", "B", "C", "D", "E", "F"] {
        world.put_promotion(code, "active").await;
    }
    let row = |codes| json!({"id": "greedy", "action": 24, "promo_code": codes});
    let over = json!({"audience": {"customers": [row("A,B,C"), row("D,E,F")]}});
    let campaign = world.run(0, &over).await;
    let counts = view(&world, campaign).await["counts"].clone();
    assert_eq!(
        (&counts["granted"], &counts["repeated"]),
        (&json!(5), &json!(5))
    );
    assert_eq!(counts["held"], json!({"too_many_codes": 2}));
    assert_eq!(world.ledger(campaign).await.len(), 5);
    world.assert_verified();
}
