//! Redemptions by way of a cart: set aside, then confirmed, cancelled, or lapsed by the clock alone.

use serde_json::{Value, json};

use super::{act, assert_verified, eligibility, grant, put_promotion, redeem, redeemed, service};
use crate::http::support::{Answer, Service};

async fn pledge(service: &Service, key: &str, customer: &str, seconds: u32) -> Answer {
    let body = json!({"customer_id": customer, "promo_code": "FS20", "pledge_seconds": seconds});
    redeem(service, key, &body).await
}

async fn again(service: &Service, made: &Value) -> Value {
    let path = format!(
        "/v1/tenants/acme/redemptions/{}",
        made["id"].as_str().unwrap()
    );
    service.get(&path).await.json()
}

#[tokio::test]
async fn what_is_set_aside_is_nobody_elses_until_it_is_confirmed() {
    let service = service().await;
    let answer = pledge(&service, "k1", "C-1", 600).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let made = answer.json();
    assert_eq!(made["status"], "pledged");
    assert_eq!(made["lapses_at"], "2027-03-25T06:10:00Z");
    assert_eq!(made["redeemed_at"], Value::Null);
    assert_eq!(again(&service, &made).await, made);
    let other = json!({"customer_id": "C-1", "promo_code": "FS20"});
    let refused = redeem(&service, "k2", &other).await;
    assert_eq!(refused.problem(), (409, "already_redeemed".to_owned()));
    assert_eq!(
        eligibility(&service, "C-1").await["reason"],
        "already_redeemed"
    );
    assert_eq!(grant(&service, "C-1").await["status"], "active");
    assert_verified(&service);
    service.app.clock.advance(599_999);
    let confirmed = act(&service, &made, "confirm").await;
    assert_eq!(confirmed.status, 200, "{}", confirmed.text());
    let confirmed = confirmed.json();
    assert_eq!(confirmed["status"], "redeemed");
    assert_eq!(confirmed["id"], made["id"]);
    service.app.clock.advance(60_000);
    assert_eq!(act(&service, &made, "confirm").await.json(), confirmed);
    assert_eq!(grant(&service, "C-1").await["redeemed_count"], 1);
    let cancelled = act(&service, &made, "cancel").await;
    assert_eq!(cancelled.problem(), (409, "already_confirmed".to_owned()));
    // The request itself is answered as it was first.
    assert_eq!(pledge(&service, "k1", "C-1", 600).await.json(), made);
    assert_verified(&service);
    assert_eq!(
        act(&service, &made, "reverse").await.json()["status"],
        "reversed"
    );
    assert_verified(&service);
}

#[tokio::test]
async fn what_is_cancelled_is_free_again() {
    let service = service().await;
    let made = pledge(&service, "k1", "C-1", 600).await.json();
    let undone = act(&service, &made, "reverse").await;
    assert_eq!(undone.problem(), (409, "not_redeemed".to_owned()));
    let cancelled = act(&service, &made, "cancel").await.json();
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(act(&service, &made, "cancel").await.json(), cancelled);
    let confirmed = act(&service, &made, "confirm").await;
    assert_eq!(confirmed.problem(), (409, "pledge_cancelled".to_owned()));
    assert_verified(&service);
    redeemed(&service, "k2", "C-1").await;
    assert_verified(&service);
}

#[tokio::test]
async fn what_nobody_confirms_lapses_by_the_clock() {
    let service = service().await;
    let made = pledge(&service, "k1", "C-1", 60).await.json();
    service.app.clock.advance(60_000);
    assert_eq!(again(&service, &made).await["status"], "lapsed");
    assert_eq!(eligibility(&service, "C-1").await["eligible"], true);
    let confirmed = act(&service, &made, "confirm").await;
    assert_eq!(confirmed.problem(), (409, "pledge_lapsed".to_owned()));
    assert_eq!(
        act(&service, &made, "cancel").await.json()["status"],
        "lapsed"
    );
    assert_verified(&service);
    let next = pledge(&service, "k2", "C-1", 60).await.json();
    assert_eq!(next["status"], "pledged");
    assert_verified(&service);
    assert_eq!(
        act(&service, &next, "confirm").await.json()["status"],
        "redeemed"
    );
    assert_eq!(again(&service, &made).await["status"], "lapsed");
    assert_verified(&service);
}

#[tokio::test]
async fn room_under_a_limit_comes_back_when_a_cart_lapses() {
    let service = service().await;
    let put = json!({
        "name": "20 spins", "reward": {"type": "amount", "amount_minor": 500, "currency": "EUR"},
        "limits": {"total": 1, "budget_minor": 700, "budget_day_minor": 600, "currency": "EUR"},
    });
    put_promotion(&service, "FS20", &put).await;
    assert_eq!(pledge(&service, "k1", "C-1", 60).await.status, 201);
    assert_eq!(
        eligibility(&service, "C-2").await["reason"],
        "limit_reached"
    );
    let refused = pledge(&service, "k2", "C-2", 60).await;
    assert_eq!(refused.problem(), (409, "limit_reached".to_owned()));
    service.app.clock.advance(60_000);
    assert_eq!(eligibility(&service, "C-2").await["eligible"], true);
    assert_verified(&service);
    let made = redeemed(&service, "k3", "C-2").await;
    assert_eq!(
        (&made["amount_minor"], &made["currency"]),
        (&json!(500), &json!("EUR"))
    );
    assert_verified(&service);
    assert_eq!(
        eligibility(&service, "C-1").await["reason"],
        "limit_reached"
    );
    assert_eq!(act(&service, &made, "reverse").await.status, 200);
    assert_eq!(eligibility(&service, "C-1").await["eligible"], true);
    assert_verified(&service);
}

#[tokio::test]
async fn what_stops_a_grant_stops_its_confirmation() {
    let service = service().await;
    let made = pledge(&service, "k1", "C-1", 600).await.json();
    let path = "/v1/tenants/acme/campaigns/12345/suspend";
    assert_eq!(
        service
            .call("POST", path, &json!({"reason": "look"}))
            .await
            .status,
        200
    );
    let refused = act(&service, &made, "confirm").await;
    assert_eq!(refused.problem(), (409, "suspended".to_owned()));
    let path = "/v1/tenants/acme/campaigns/12345/resume";
    assert_eq!(service.call("POST", path, &Value::Null).await.status, 200);
    let exclude = json!({"customer_ids": ["C-1"], "reason": "asked for it"});
    let path = "/v1/tenants/acme/exclusions";
    assert_eq!(service.call("POST", path, &exclude).await.status, 200);
    let refused = act(&service, &made, "confirm").await;
    assert_eq!(refused.problem(), (409, "excluded".to_owned()));
    assert_eq!(
        act(&service, &made, "cancel").await.json()["status"],
        "cancelled"
    );
    assert_verified(&service);
}
