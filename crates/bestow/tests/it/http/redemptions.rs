//! Redemptions over HTTP: made once, told everywhere, refused in order, undone.

mod carts;
mod codes;
mod limits;
mod races;

use bestow::actor::Role;
use bestow::service::verify;
use bestow_store::campaigns::SuspendedBy;
use serde_json::{Value, json};

use super::support::{ADMIN, Answer, Service};

const DAY_MS: i64 = 86_400_000;
const REDEMPTIONS: &str = "/v1/tenants/acme/redemptions";

/// Sends a redemption with a key and a token.
async fn redeem_as(service: &Service, token: &str, key: &str, body: &Value) -> Answer {
    let body = body.to_string();
    let head = format!(
        "POST {REDEMPTIONS} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    service.send(head).await
}

/// The same as the admin.
async fn redeem(service: &Service, key: &str, body: &Value) -> Answer {
    redeem_as(service, ADMIN, key, body).await
}

/// A redemption of FS20 that has to succeed.
pub(super) async fn redeemed(service: &Service, key: &str, customer: &str) -> Value {
    let answer = redeem(
        service,
        key,
        &json!({"customer_id": customer, "promo_code": "FS20"}),
    )
    .await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

/// Something done to a redemption.
async fn act(service: &Service, redemption: &Value, verb: &str) -> Answer {
    let id = redemption["id"].as_str().unwrap();
    service
        .call("POST", &format!("{REDEMPTIONS}/{id}/{verb}"), &Value::Null)
        .await
}

/// The answer to "may this customer redeem FS20 now?".
async fn eligibility(service: &Service, customer: &str) -> Value {
    let body = json!({"customer_id": customer, "promo_code": "FS20"});
    let path = "/v1/tenants/acme/eligibility";
    service.call("POST", path, &body).await.json()
}

async fn grant(service: &Service, customer: &str) -> Value {
    let path = format!("/v1/tenants/acme/customers/{customer}/grants");
    service.get(&path).await.list().0.remove(0)
}

async fn put_promotion(service: &Service, code: &str, put: &Value) {
    let path = format!("/v1/tenants/acme/promotions/{code}");
    let answer = service.call("PUT", &path, put).await;
    assert!([200, 201].contains(&answer.status), "{}", answer.text());
}

/// No invariant is broken.
fn assert_verified(service: &Service) {
    assert_eq!(verify::run(&service.app).unwrap(), []);
}

/// A service in which C-1 and C-2 may redeem FS20.
async fn service() -> Service {
    let service = Service::start().await;
    service.promotion("FS20", "active").await;
    service
        .campaign("12345", &["C-1", "C-2"], &["FS20"], 0)
        .await;
    service
}

#[tokio::test]
async fn a_redemption_is_told_everywhere() {
    let service = service().await;
    let body = json!({"customer_id": " C-1 ", "promo_code": "fs20", "reference": "order 7"});
    let answer = redeem(&service, "k1", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let made = answer.json();
    let expected = json!({
        "id": made["id"], "status": "redeemed", "customer_id": "C-1", "promo_code": "FS20",
        "unique_code": null, "campaign_id": "12345", "grant_id": grant(&service, "C-1").await["id"],
        "promotion_version": 1, "amount_minor": null, "currency": null, "left_minor": null,
        "reference": "order 7", "redeemed_at": "2027-03-25T06:00:00Z", "reversed_at": null,
        "pledged_at": null, "lapses_at": null,
    });
    assert_eq!(made, expected);
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("rdm_") && id.len() == 30, "{id}");
    assert_eq!(
        service.get(&format!("{REDEMPTIONS}/{id}")).await.json(),
        made
    );
    for path in [
        REDEMPTIONS.to_owned(),
        format!("{REDEMPTIONS}?customer_id=C-1"),
    ] {
        assert_eq!(
            service.get(&path).await.list().0,
            std::slice::from_ref(&made)
        );
    }
    let others = service.get(&format!("{REDEMPTIONS}?customer_id=C-2")).await;
    assert_eq!(others.list().0, [Value::Null; 0]);
    let held = grant(&service, "C-1").await;
    assert_eq!(
        (&held["status"], &held["redeemed_count"]),
        (&json!("redeemed"), &json!(1))
    );
    let told = eligibility(&service, "C-1").await;
    assert_eq!(
        (&told["eligible"], &told["reason"]),
        (&json!(false), &json!("already_redeemed"))
    );
    assert_eq!(eligibility(&service, "C-2").await["eligible"], true);
    let audit = service.get("/v1/tenants/acme/audit").await.list().0;
    let record = audit.last().unwrap();
    assert_eq!(
        (&record["action"], &record["object"]),
        (
            &json!("redemption.created"),
            &json!(format!("redemption/{id}"))
        )
    );
    assert!(!record.to_string().contains("C-1"), "{record}");
    assert_verified(&service);
}

#[tokio::test]
async fn the_same_request_again_gets_the_same_bytes() {
    let service = service().await;
    let body = json!({"customer_id": "C-1", "promo_code": "FS20"});
    let first = redeem(&service, "k1", &body).await;
    let refused = redeem(&service, "k2", &body).await;
    assert_eq!(refused.problem(), (409, "already_redeemed".to_owned()));
    assert_eq!(act(&service, &first.json(), "reverse").await.status, 200);
    service.app.clock.advance(399 * DAY_MS);
    for (key, answer) in [("k1", &first), ("k2", &refused)] {
        let again = redeem(&service, key, &body).await;
        assert_eq!((again.status, &again.body), (answer.status, &answer.body));
        assert_eq!(again.header("content-type"), answer.header("content-type"));
    }
    // In other words, but the same.
    let spelled = r#"{ "promo_code": "FS20",  "customer_id": "C-1" }"#;
    let spelled: Value = serde_json::from_str(spelled).unwrap();
    assert_eq!(redeem(&service, "k1", &spelled).await.body, first.body);
    for other in [
        json!({"customer_id": "C-2", "promo_code": "FS20"}),
        json!({"customer_id": "C-1", "promo_code": "FS20", "reference": "x"}),
    ] {
        let answer = redeem(&service, "k1", &other).await;
        assert_eq!(answer.problem(), (422, "idempotency_key_reused".to_owned()));
    }
    assert_eq!(service.get(REDEMPTIONS).await.list().0.len(), 1);
    assert_verified(&service);
}

#[tokio::test]
async fn a_key_belongs_to_its_token_and_is_needed() {
    let service = service().await;
    let token = service.token(Role::Operator, Some("acme")).await;
    redeemed(&service, "k1", "C-1").await;
    let body = json!({"customer_id": "C-2", "promo_code": "FS20"});
    assert_eq!(redeem_as(&service, &token, "k1", &body).await.status, 201);
    let without = service.call("POST", REDEMPTIONS, &body).await;
    assert_eq!(
        without.problem(),
        (400, "idempotency_key_required".to_owned())
    );
    let empty = redeem(&service, "", &body).await;
    assert_eq!(empty.problem(), (422, "bad_idempotency_key".to_owned()));
    assert_eq!(service.get(REDEMPTIONS).await.list().0.len(), 2);
}

#[tokio::test]
async fn refusals_are_those_that_eligibility_gives() {
    let service = Service::start().await;
    for (code, status) in [("FS20", "active"), ("REST", "paused"), ("DRAFT", "draft")] {
        service.promotion(code, status).await;
    }
    service.campaign("1", &["early"], &["FS20"], 1).await;
    service.campaign("2", &["late"], &["FS20"], -20).await;
    service.campaign("3", &["stopped"], &["FS20"], 0).await;
    service.campaign("4", &["taken"], &["FS20"], 0).await;
    service.campaign("5", &["resting"], &["REST"], 0).await;
    service.campaign("6", &["out", "used"], &["FS20"], 0).await;
    let no = service.app.tenant("acme").unwrap().no();
    service
        .plant(move |tx| {
            tx.suspend_campaign(no, 3, SuspendedBy::Operator, "test")?;
            tx.revoke_campaign(no, 4, "test")
        })
        .await;
    service.app.facts_changed();
    let exclude = json!({"customer_ids": ["out", "nobody"], "reason": "asked for it"});
    let path = "/v1/tenants/acme/exclusions";
    assert_eq!(service.call("POST", path, &exclude).await.status, 200);
    redeemed(&service, "k0", "used").await;
    let table = [
        ("nobody", "NOPE", "unknown_promotion"),
        ("nobody", "DRAFT", "promotion_paused"),
        ("resting", "REST", "promotion_paused"),
        ("nobody", "FS20", "no_grant"),
        ("out", "FS20", "excluded"),
        ("taken", "FS20", "revoked"),
        ("stopped", "FS20", "suspended"),
        ("early", "FS20", "not_started"),
        ("late", "FS20", "expired"),
        ("used", "FS20", "already_redeemed"),
    ];
    for (customer, code, reason) in table {
        let body = json!({"customer_id": customer, "promo_code": code});
        let told = service
            .call("POST", "/v1/tenants/acme/eligibility", &body)
            .await;
        assert_eq!(told.json()["reason"], reason, "{customer} {code}");
        let answer = redeem(&service, &format!("{customer}-{code}"), &body).await;
        assert_eq!(
            answer.problem(),
            (409, reason.to_owned()),
            "{customer} {code}"
        );
    }
    assert_eq!(service.get(REDEMPTIONS).await.list().0.len(), 1);
    assert_verified(&service);
}

#[tokio::test]
async fn a_refusal_is_kept_and_another_key_asks_anew() {
    let service = service().await;
    let path = |verb: &str| format!("/v1/tenants/acme/campaigns/12345/{verb}");
    assert_eq!(
        service
            .call("POST", &path("suspend"), &json!({"reason": "look"}))
            .await
            .status,
        200
    );
    let body = json!({"customer_id": "C-1", "promo_code": "FS20"});
    let refused = redeem(&service, "k1", &body).await;
    assert_eq!(refused.problem(), (409, "suspended".to_owned()));
    assert_eq!(
        service
            .call("POST", &path("resume"), &Value::Null)
            .await
            .status,
        200
    );
    assert_eq!(redeem(&service, "k1", &body).await.body, refused.body);
    assert_eq!(redeem(&service, "k2", &body).await.status, 201);
}

#[tokio::test]
async fn an_undone_redemption_can_be_made_again() {
    let service = service().await;
    let first = redeemed(&service, "k1", "C-1").await;
    service.app.clock.advance(60_000);
    let undone = act(&service, &first, "reverse").await;
    assert_eq!(undone.status, 200, "{}", undone.text());
    let undone = undone.json();
    assert_eq!(undone["status"], "reversed");
    assert_eq!(undone["reversed_at"], "2027-03-25T06:01:00Z");
    service.app.clock.advance(60_000);
    assert_eq!(act(&service, &first, "reverse").await.json(), undone);
    let held = grant(&service, "C-1").await;
    assert_eq!(
        (&held["status"], &held["redeemed_count"]),
        (&json!("active"), &json!(0))
    );
    assert_eq!(eligibility(&service, "C-1").await["eligible"], true);
    assert_verified(&service);
    let second = redeemed(&service, "k2", "C-1").await;
    assert_ne!(second["id"], first["id"]);
    assert_eq!(service.get(REDEMPTIONS).await.list().0, [undone, second]);
    let records = service.get("/v1/tenants/acme/audit").await.list().0;
    let undone = records
        .iter()
        .filter(|one| one["action"] == "redemption.reversed");
    assert_eq!(undone.count(), 1);
    assert_verified(&service);
}

#[tokio::test]
async fn what_is_not_there_cannot_be_undone() {
    let service = service().await;
    for id in ["rdm_00000000000000000000000000", "nonsense", "rdm_"] {
        for verb in ["reverse", "confirm", "cancel"] {
            let path = format!("{REDEMPTIONS}/{id}/{verb}");
            let answer = service.call("POST", &path, &Value::Null).await;
            assert_eq!(answer.problem(), (404, "not_found".to_owned()), "{path}");
        }
        let answer = service.get(&format!("{REDEMPTIONS}/{id}")).await;
        assert_eq!(answer.problem(), (404, "not_found".to_owned()));
    }
    // Another tenant's is not there either.
    let made = redeemed(&service, "k1", "C-1").await;
    let path = format!(
        "/v1/tenants/blue/redemptions/{}",
        made["id"].as_str().unwrap()
    );
    assert_eq!(
        service.get(&path).await.problem(),
        (404, "not_found".to_owned())
    );
    let path = format!("{path}/reverse");
    let answer = service.call("POST", &path, &Value::Null).await;
    assert_eq!(answer.problem(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn what_was_redeemed_stays_redeemed_whatever_is_taken_back() {
    let service = service().await;
    redeemed(&service, "k1", "C-1").await;
    let path = "/v1/tenants/acme/campaigns/12345/revoke";
    let answer = service
        .call("POST", path, &json!({"reason": "withdrawn"}))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (used, unused) = (grant(&service, "C-1").await, grant(&service, "C-2").await);
    assert_eq!(
        (&used["status"], &unused["status"]),
        (&json!("redeemed"), &json!("revoked"))
    );
    assert_eq!(used["redeemed_count"], 1);
    for customer in ["C-1", "C-2"] {
        let body = json!({"customer_id": customer, "promo_code": "FS20"});
        let answer = redeem(&service, customer, &body).await;
        assert_eq!(answer.problem(), (409, "revoked".to_owned()));
    }
    service.app.clock.advance(30 * DAY_MS);
    assert_eq!(grant(&service, "C-1").await["status"], "redeemed");
    assert_verified(&service);
}

#[tokio::test]
async fn bodies_that_break_a_rule_change_nothing_and_keep_no_key() {
    let service = service().await;
    let fine = json!({"customer_id": "C-1", "promo_code": "FS20"});
    let with = |field: &str, value: Value| {
        let mut body = fine.clone();
        body[field] = value;
        body
    };
    let table = [
        (with("customer_id", json!("")), "bad_customer_id"),
        (with("customer_id", json!(7)), "invalid_body"),
        (with("promo_code", json!("")), "bad_promo_code"),
        (with("promo_code", Value::Null), "bad_code"),
        (with("unique_code", json!("A1")), "bad_code"),
        (with("amount_minor", json!(0)), "bad_amount"),
        (with("amount_minor", json!(-5)), "bad_amount"),
        (with("amount_minor", json!(1.5)), "invalid_body"),
        (with("amount_minor", json!("5")), "invalid_body"),
        (with("amount_minor", json!(1e30)), "invalid_body"),
        (with("currency", json!("EURO")), "bad_currency"),
        (with("reference", json!("x".repeat(257))), "bad_text"),
        (with("reference", json!("a\u{0}b")), "bad_text"),
        (with("pledge_seconds", json!(0)), "bad_pledge_seconds"),
        (with("pledge_seconds", json!(86_401)), "bad_pledge_seconds"),
        (with("coupon", json!("FS20")), "invalid_body"),
    ];
    for (body, code) in table {
        let answer = redeem(&service, "k1", &body).await;
        assert_eq!(answer.problem(), (422, code.to_owned()), "{body}");
    }
    assert_eq!(redeem(&service, "k1", &fine).await.status, 201);
}
