//! What a person stops at once, and lets go on: a promotion, a campaign, a tenant. Nothing of it is granted or redeemed
//! meanwhile, and nothing is lost by it.

use bestow::actor::Actor;
use bestow::service::idempotency::IdempotencyKey;
use bestow::service::redemptions::{self, Redeem};
use serde_json::{Value, json};

use super::triggers::{counts, grants, tell, trigger, triggered};
use super::{is_eligible, paged, view};
use crate::support::{World, text};

const AT: &str = "2027-03-25 05:00:00";

/// Does something to a promotion.
async fn promotion(world: &World, code: &str, verb: &str) -> Value {
    let path = format!("/v1/tenants/acme/promotions/{code}/{verb}");
    world.post(&path, &Value::Null).await
}

/// The code of a redemption that is refused.
async fn refusal(world: &World, customer: &str, code: &str) -> String {
    let request = Redeem {
        customer_id: customer.to_owned(),
        promo_code: Some(code.to_owned()),
        unique_code: None,
        amount_minor: None,
        currency: None,
        reference: None,
        pledge_seconds: None,
        client_address: None,
    };
    let key = IdempotencyKey::parse("refused").expect("a key");
    let (app, tenant) = (&world.app, world.acme());
    let answer = redemptions::redeem(app, &Actor::cli(), &tenant, &key, &request).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status.as_u16(), 409);
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    text(&body, "code")
}

/// What the audit says was done to a promotion, and by whom.
async fn record(world: &World, code: &str) -> Vec<String> {
    let rows = world.rows("/v1/tenants/acme/audit?limit=1000").await;
    let of_code = rows
        .into_iter()
        .filter(|row| row["object"] == format!("promotion/{code}"));
    of_code
        .map(|row| format!("{} by {}", text(&row, "action"), text(&row, "actor")))
        .collect()
}

#[tokio::test]
async fn of_a_stopped_promotion_nothing_is_redeemed_and_triggers_wait() {
    let world = triggered(&json!({})).await;
    tell(&world, &trigger("P-1", AT, &json!({}))).await;
    assert!(is_eligible(&world, "P-1", "FS20").await);
    let stopped = promotion(&world, "fs20", "stop").await;
    assert_eq!(
        (
            &stopped["status"],
            &stopped["stopped"],
            &stopped["stop_reason"]
        ),
        (
            &json!("active"),
            &json!(true),
            &json!("stopped by an operator")
        )
    );
    assert!(!is_eligible(&world, "P-1", "FS20").await);
    assert_eq!(refusal(&world, "P-1", "FS20").await, "promotion_paused");
    tell(&world, &trigger("P-2", AT, &json!({}))).await;
    assert_eq!(grants(&world, "P-2").await.len(), 0);
    assert_eq!(counts(&world, "rt-812")["held:promotion_stopped"], 1);
    // Whoever writes it anew does not let it go on, and neither does who stops it again.
    let path = "/v1/tenants/acme/promotions/FS20";
    let anew = json!({"name": "Free", "limits": {"per_customer": null}});
    assert_eq!(world.put(path, &anew).await["stopped"], true);
    assert_eq!(promotion(&world, "FS20", "stop").await["version"], 4);
    assert!(!is_eligible(&world, "P-1", "FS20").await);

    let going = promotion(&world, "FS20", "resume").await;
    assert_eq!(
        (&going["status"], &going["stopped"]),
        (&json!("active"), &json!(false))
    );
    world.settle().await;
    assert!(is_eligible(&world, "P-1", "FS20").await);
    assert!(is_eligible(&world, "P-2", "FS20").await);
    let said = ["stopped", "put", "resumed"].map(|verb| format!("promotion.{verb} by admin-token"));
    assert!(record(&world, "FS20").await.ends_with(&said));
    world.assert_verified();
}

#[tokio::test]
async fn a_campaign_of_a_stopped_promotion_is_granted_once_it_goes_on() {
    let world = paged(10).await;
    promotion(&world, "CB10", "stop").await;
    let action = json!({"id": 24, "promo_codes": ["FS20", "CB10"], "channels": [{"id": 504}]});
    let campaign = world.run(25, &json!({ "actions": [action] })).await;
    let counts = view(&world, campaign).await["counts"].clone();
    assert_eq!(
        (&counts["granted"], &counts["held"]),
        (&json!(25), &json!({"promotion_stopped": 25}))
    );
    world.assert_verified();
    promotion(&world, "CB10", "resume").await;
    world.settle().await;
    world.assert_right(campaign).await;
    assert_eq!(view(&world, campaign).await["counts"]["granted"], 50);
}

/// Rows that have landed are not granted any more from the commit of a stop on, whoever is in the middle of it.
#[tokio::test]
async fn what_is_to_be_granted_waits_while_anything_it_needs_is_stopped() {
    let world = paged(10).await;
    let action = json!({
        "id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504, "share": 0.3}],
    });
    for (what, stop) in [
        ("promotion", "stop"),
        ("campaign", "suspend"),
        ("tenant", "suspend"),
    ] {
        let campaign = world.run(100, &json!({ "actions": [action] })).await;
        assert_eq!(
            view(&world, campaign).await["status"],
            "failed",
            "its size is odd"
        );
        let path = format!("/v1/tenants/acme/campaigns/{campaign}");
        world.post(&format!("{path}/resume"), &Value::Null).await;
        let stopped = match what {
            "promotion" => "/v1/tenants/acme/promotions/FS20".to_owned(),
            "campaign" => path,
            _ => "/v1/tenants/acme".to_owned(),
        };
        let reason = json!({"reason": "wrong amount"});
        world.post(&format!("{stopped}/{stop}"), &reason).await;
        world.work().await;
        assert_eq!(world.ledger(campaign).await.len(), 0, "{what}");
        world.post(&format!("{stopped}/resume"), &Value::Null).await;
        world.work().await;
        world.assert_right(campaign).await;
        assert_eq!(world.ledger(campaign).await.len(), 30, "{what}");
    }
}
