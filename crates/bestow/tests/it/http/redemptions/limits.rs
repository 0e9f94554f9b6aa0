//! Limits, budgets, amounts and parts.

use serde_json::{Value, json};

use super::{DAY_MS, act, assert_verified, eligibility, grant, put_promotion, redeem, service};
use crate::http::support::{Answer, Service};

const CUSTOMERS: [&str; 5] = ["A-1", "A-2", "A-3", "A-4", "A-5"];

/// A service in which five customers may redeem FS20, which is put so.
async fn with(put: &Value) -> Service {
    let service = Service::start().await;
    put_promotion(&service, "FS20", put).await;
    service.campaign("12345", &CUSTOMERS, &["FS20"], 0).await;
    service
}

async fn take(service: &Service, key: &str, customer: &str, amount: impl Into<Value>) -> Answer {
    let body =
        json!({"customer_id": customer, "promo_code": "FS20", "amount_minor": amount.into()});
    redeem(service, key, &body).await
}

fn refusal(answer: &Answer) -> String {
    assert_eq!(answer.status, 409, "{}", answer.text());
    answer.problem().1
}

#[tokio::test]
async fn one_customer_uses_as_many_grants_as_the_promotion_says() {
    let service = with(&json!({"name": "x", "limits": {"per_customer": 2}})).await;
    for campaign in ["1", "2"] {
        service.campaign(campaign, &["A-1"], &["FS20"], 0).await;
    }
    for key in ["k1", "k2"] {
        assert_eq!(take(&service, key, "A-1", Value::Null).await.status, 201);
    }
    assert_eq!(
        eligibility(&service, "A-1").await["reason"],
        "limit_reached"
    );
    assert_eq!(
        refusal(&take(&service, "k3", "A-1", Value::Null).await),
        "limit_reached"
    );
    assert_eq!(take(&service, "k4", "A-2", Value::Null).await.status, 201);
    assert_verified(&service);
}

#[tokio::test]
async fn all_customers_together_use_as_many_as_the_promotion_says() {
    let service = with(&json!({"name": "x", "limits": {"total": 3}})).await;
    for customer in &CUSTOMERS[..3] {
        assert_eq!(eligibility(&service, customer).await["eligible"], true);
        assert_eq!(
            take(&service, customer, customer, Value::Null).await.status,
            201
        );
    }
    assert_eq!(
        eligibility(&service, "A-4").await["reason"],
        "limit_reached"
    );
    assert_eq!(
        refusal(&take(&service, "k4", "A-4", Value::Null).await),
        "limit_reached"
    );
    assert_eq!(
        eligibility(&service, "A-1").await["reason"],
        "already_redeemed"
    );
    assert_verified(&service);
}

#[tokio::test]
async fn one_grant_is_used_as_often_as_it_may_be() {
    let service = with(&json!({"name": "x", "limits": {"per_grant": 3, "total": 1}})).await;
    for key in ["k1", "k2", "k3"] {
        assert_eq!(grant(&service, "A-1").await["status"], "active");
        assert_eq!(take(&service, key, "A-1", Value::Null).await.status, 201);
    }
    assert_eq!(
        refusal(&take(&service, "k4", "A-1", Value::Null).await),
        "already_redeemed"
    );
    assert_eq!(
        refusal(&take(&service, "k5", "A-2", Value::Null).await),
        "limit_reached"
    );
    let held = grant(&service, "A-1").await;
    assert_eq!(
        (&held["status"], &held["redeemed_count"]),
        (&json!("redeemed"), &json!(3))
    );
    assert_verified(&service);
}

#[tokio::test]
async fn a_budget_is_never_overspent() {
    let service =
        with(&json!({"name": "x", "limits": {"budget_minor": 1_000, "currency": "EUR"}})).await;
    let unsaid = take(&service, "k0", "A-1", Value::Null).await;
    assert_eq!(unsaid.problem(), (422, "amount_required".to_owned()));
    let made = take(&service, "k1", "A-1", 600).await.json();
    assert_eq!(
        (&made["amount_minor"], &made["currency"]),
        (&json!(600), &json!("EUR"))
    );
    assert_eq!(
        refusal(&take(&service, "k2", "A-2", 401).await),
        "budget_exhausted"
    );
    assert_eq!(
        refusal(&take(&service, "k3", "A-2", i64::MAX).await),
        "budget_exhausted"
    );
    assert_eq!(take(&service, "k4", "A-2", 400).await.status, 201);
    assert_eq!(
        eligibility(&service, "A-3").await["reason"],
        "budget_exhausted"
    );
    assert_eq!(
        refusal(&take(&service, "k5", "A-3", 1).await),
        "budget_exhausted"
    );
    assert_eq!(act(&service, &made, "reverse").await.status, 200);
    assert_eq!(take(&service, "k6", "A-3", 600).await.status, 201);
    assert_verified(&service);
}

#[tokio::test]
async fn budgets_of_a_day_a_week_and_a_month_begin_anew() {
    let limits = json!({
        "budget_day_minor": 100, "budget_week_minor": 150, "budget_month_minor": 230, "currency": "EUR",
    });
    let service = with(&json!({"name": "x", "limits": limits})).await;
    // A Thursday. Its week ends with Sunday the 28th, its month on the Wednesday after.
    assert_eq!(take(&service, "k1", "A-1", 100).await.status, 201);
    assert_eq!(
        refusal(&take(&service, "k2", "A-2", 1).await),
        "budget_exhausted"
    );
    service.app.clock.advance(DAY_MS);
    assert_eq!(
        refusal(&take(&service, "k3", "A-2", 51).await),
        "budget_exhausted"
    );
    let friday = take(&service, "k4", "A-2", 50).await.json();
    service.app.clock.advance(3 * DAY_MS);
    assert_eq!(take(&service, "k5", "A-3", 80).await.status, 201);
    assert_eq!(
        refusal(&take(&service, "k6", "A-4", 1).await),
        "budget_exhausted"
    );
    // What is undone is undone where it was counted.
    assert_eq!(act(&service, &friday, "reverse").await.status, 200);
    assert_eq!(
        refusal(&take(&service, "k7", "A-4", 21).await),
        "budget_exhausted"
    );
    assert_eq!(take(&service, "k8", "A-4", 20).await.status, 201);
    service.app.clock.advance(3 * DAY_MS);
    // The first of April: a new month, and the week goes on.
    assert_eq!(
        refusal(&take(&service, "k9", "A-5", 51).await),
        "budget_exhausted"
    );
    assert_eq!(take(&service, "k10", "A-5", 50).await.status, 201);
    assert_verified(&service);
}

#[tokio::test]
async fn parts_add_up_to_the_whole() {
    let reward =
        json!({"type": "amount", "amount_minor": 1_000, "currency": "EUR", "in_parts": true});
    let service = with(&json!({"name": "x", "reward": reward})).await;
    let first = take(&service, "k1", "A-1", 333).await.json();
    assert_eq!(first["left_minor"], 667);
    assert_eq!(
        refusal(&take(&service, "k2", "A-1", 668).await),
        "limit_reached"
    );
    assert_eq!(
        take(&service, "k3", "A-1", 333).await.json()["left_minor"],
        334
    );
    let held = grant(&service, "A-1").await;
    assert_eq!(
        (&held["status"], &held["redeemed_count"]),
        (&json!("active"), &json!(2))
    );
    // The rest, without saying how much.
    let last = take(&service, "k4", "A-1", Value::Null).await.json();
    assert_eq!(
        (&last["amount_minor"], &last["left_minor"]),
        (&json!(334), &json!(0))
    );
    assert_eq!(grant(&service, "A-1").await["status"], "redeemed");
    assert_eq!(
        refusal(&take(&service, "k5", "A-1", 1).await),
        "already_redeemed"
    );
    assert_verified(&service);
    let undone = act(&service, &first, "reverse").await.json();
    assert_eq!(undone["left_minor"], 333);
    assert_eq!(grant(&service, "A-1").await["status"], "active");
    assert_eq!(
        take(&service, "k6", "A-1", 333).await.json()["left_minor"],
        0
    );
    assert_verified(&service);
}

#[tokio::test]
async fn one_currency_and_no_more_than_there_is() {
    let reward = json!({"type": "amount", "amount_minor": 1_000, "currency": "EUR"});
    let service = with(&json!({"name": "x", "reward": reward})).await;
    let body =
        json!({"customer_id": "A-1", "promo_code": "FS20", "amount_minor": 5, "currency": "GBP"});
    let answer = redeem(&service, "k1", &body).await;
    assert_eq!(answer.problem(), (422, "currency_mismatch".to_owned()));
    assert_eq!(
        refusal(&take(&service, "k2", "A-1", 1_001).await),
        "limit_reached"
    );
    let made = take(&service, "k3", "A-1", 999).await.json();
    assert_eq!(
        (&made["amount_minor"], &made["currency"]),
        (&json!(999), &json!("EUR"))
    );
    assert_eq!(grant(&service, "A-1").await["status"], "redeemed");
    assert_verified(&service);
}

#[tokio::test]
async fn a_grant_keeps_the_terms_it_was_made_under() {
    let reward = |amount: i64| json!({"type": "amount", "amount_minor": amount, "currency": "EUR"});
    let service = with(&json!({"name": "x", "reward": reward(1_000)})).await;
    service.app.clock.advance(1_000);
    put_promotion(
        &service,
        "FS20",
        &json!({"name": "x", "reward": reward(500)}),
    )
    .await;
    service.campaign("2", &["B-1"], &["FS20"], 0).await;
    let old = take(&service, "k1", "A-1", Value::Null).await.json();
    assert_eq!(
        (&old["amount_minor"], &old["promotion_version"]),
        (&json!(1_000), &json!(1))
    );
    let new = take(&service, "k2", "B-1", Value::Null).await.json();
    assert_eq!(
        (&new["amount_minor"], &new["promotion_version"]),
        (&json!(500), &json!(2))
    );
    let path = "/v1/tenants/acme/promotions/fs20/versions";
    let (versions, _) = service.get(path).await.list();
    let told = |place: usize| {
        (
            &versions[place]["version"],
            &versions[place]["terms"]["reward"],
        )
    };
    assert_eq!(versions.len(), 2);
    assert_eq!(told(0), (&json!(1), &reward(1_000)));
    assert_eq!(told(1), (&json!(2), &reward(500)));
    let (first, next) = service.get(&format!("{path}?limit=1")).await.list();
    let rest = service
        .get(&format!("{path}?cursor={}", next.unwrap()))
        .await;
    assert_eq!([first, rest.list().0].concat(), versions);
    let nowhere = service
        .get("/v1/tenants/acme/promotions/NOPE/versions")
        .await;
    assert_eq!(nowhere.problem(), (404, "not_found".to_owned()));
    assert_verified(&service);
}

#[tokio::test]
async fn who_has_used_it_is_not_given_another() {
    let service = service().await;
    let body = json!({"customer_id": "C-1", "promo_code": "FS20"});
    assert_eq!(redeem(&service, "k1", &body).await.status, 201);
    service.campaign("2", &["C-1"], &["FS20"], 0).await;
    assert_eq!(
        refusal(&redeem(&service, "k2", &body).await),
        "limit_reached"
    );
}

#[tokio::test]
async fn so_many_grants_of_one_customer_are_in_use_at_once() {
    let service = with(&json!({"name": "x"})).await;
    put_promotion(&service, "CB10", &json!({"name": "y"})).await;
    service.campaign("2", &["A-1", "A-2"], &["CB10"], 0).await;
    let path = "/v1/tenants/acme";
    let body = json!({"codes_at_once_max": 1});
    assert_eq!(service.call("PATCH", path, &body).await.status, 200);
    let body = json!({"customer_id": "A-1", "promo_code": "CB10"});
    assert_eq!(redeem(&service, "k1", &body).await.status, 201);
    assert_eq!(
        eligibility(&service, "A-1").await["reason"],
        "limit_reached"
    );
    assert_eq!(
        refusal(&take(&service, "k2", "A-1", Value::Null).await),
        "limit_reached"
    );
    // What somebody else has in use is nothing to them; and what is over is not in use any more.
    assert_eq!(take(&service, "k3", "A-2", Value::Null).await.status, 201);
    let many = json!({"codes_at_once_max": 2});
    assert_eq!(service.call("PATCH", path, &many).await.status, 200);
    assert_eq!(take(&service, "k4", "A-1", Value::Null).await.status, 201);
    for bad in [json!(0), json!(1_001)] {
        let body = json!({ "codes_at_once_max": bad });
        let answer = service.call("PATCH", path, &body).await;
        assert_eq!(answer.problem(), (422, "bad_codes_at_once_max".to_owned()));
    }
    assert_verified(&service);
}

#[tokio::test]
async fn what_is_over_is_not_in_use() {
    let service = with(&json!({"name": "x"})).await;
    put_promotion(&service, "CB10", &json!({"name": "y"})).await;
    service.campaign("2", &["A-1"], &["CB10"], 9).await;
    let body = json!({"codes_at_once_max": 1});
    service.call("PATCH", "/v1/tenants/acme", &body).await;
    assert_eq!(take(&service, "k1", "A-1", Value::Null).await.status, 201);
    let body = json!({"customer_id": "A-1", "promo_code": "CB10"});
    service.app.clock.advance(9 * DAY_MS);
    assert_eq!(
        refusal(&redeem(&service, "k2", &body).await),
        "limit_reached"
    );
    service.app.clock.advance(DAY_MS);
    assert_eq!(redeem(&service, "k3", &body).await.status, 201);
    assert_verified(&service);
}

#[tokio::test]
async fn rewards_of_the_operators_own_keep_the_tenants_schema() {
    let service = Service::start().await;
    let path = "/v1/tenants/acme";
    let schema = json!({
        "type": "object", "required": ["spins"], "properties": {"spins": {"type": "integer", "minimum": 1}},
    });
    let body = json!({ "reward_schema": schema });
    let patched = service.call("PATCH", path, &body).await.json();
    assert_eq!(patched["reward_schema"], schema);
    let put = async |reward: Value| {
        let body = json!({"name": "x", "reward": reward});
        let path = "/v1/tenants/acme/promotions/FS20";
        service.call("PUT", path, &body).await
    };
    for reward in [
        json!({"spins": 20}),
        json!({}),
        json!({"type": "amount", "amount_minor": 500, "currency": "EUR"}),
    ] {
        assert!(put(reward).await.status < 300);
    }
    for reward in [json!({"spins": 0}), json!({"type": "bonus"})] {
        let answer = put(reward).await;
        assert_eq!(answer.problem(), (422, "bad_reward".to_owned()));
    }
    for bad in [
        json!({"type": "nonsense"}),
        json!({"$ref": "https://example.com/schema"}),
        json!(7),
    ] {
        let body = json!({ "reward_schema": bad });
        let answer = service.call("PATCH", path, &body).await;
        assert_eq!(
            answer.problem(),
            (422, "bad_reward_schema".to_owned()),
            "{bad}"
        );
    }
    let body = json!({ "reward_schema": null });
    service.call("PATCH", path, &body).await;
    assert!(put(json!({"spins": 0})).await.status < 300);
}
