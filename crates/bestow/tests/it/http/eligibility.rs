//! May this customer redeem this code now?

use bestow::actor::Actor;
use bestow::service::tenants::{self, Suspension};
use bestow_store::campaigns::SuspendedBy;
use serde_json::{Value, json};

use super::support::Service;

const DAY_MS: i64 = 86_400_000;

/// The reason, or `null` and the grant.
async fn ask(service: &Service, customer: &str, code: &str) -> (Value, Value) {
    let body = json!({"customer_id": customer, "promo_code": code});
    let answer = service
        .call("POST", "/v1/tenants/acme/eligibility", &body)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(answer["eligible"], answer["reason"].is_null());
    assert_eq!(answer["eligible"], answer["grant"].is_object());
    (answer["reason"].clone(), answer["grant"].clone())
}

#[tokio::test]
async fn a_yes_names_the_grant_as_the_customers_list_does() {
    let service = Service::start().await;
    service.promotion("FS20", "active").await;
    service
        .campaign("12345", &["C-1", "a/b 7"], &["FS20"], 0)
        .await;
    let (reason, grant) = ask(&service, " C-1 ", "fs20").await;
    assert_eq!(reason, Value::Null);
    let expected = json!({
        "id": grant["id"], "customer_id": "C-1", "promo_code": "FS20", "unique_code": null,
        "campaign_id": "12345", "action_id": 24, "channel_id": 504, "source": "scheduled",
        "status": "active", "starts_at": "2027-03-25T06:00:00Z", "ends_at": "2027-04-04T06:00:00Z",
        "redeemed_count": 0, "created_at": "2027-03-25T06:00:00Z",
    });
    assert_eq!(grant, expected);
    let id = grant["id"].as_str().unwrap();
    assert!(id.starts_with("grt_") && id.len() == 30, "{id}");
    for (customer, path) in [("C-1", "C-1"), ("a/b 7", "a%2Fb%207")] {
        let list = service
            .get(&format!("/v1/tenants/acme/customers/{path}/grants"))
            .await
            .list()
            .0;
        assert_eq!(list, [ask(&service, customer, "FS20").await.1]);
    }
    assert_ne!(ask(&service, "a/b 7", "FS20").await.1["id"], grant["id"]);
}

#[tokio::test]
async fn a_grant_is_as_old_as_the_page_that_gave_it() {
    let service = Service::start().await;
    service.promotion("FS20", "active").await;
    let no = service.app.tenant("acme").unwrap().no();
    service
        .plant(move |tx| tx.see_campaign(no, "12345", "scheduled", "notification"))
        .await;
    service.app.clock.advance(90_250);
    service.campaign("12345", &["C-1"], &["FS20"], 0).await;
    let (_, grant) = ask(&service, "C-1", "FS20").await;
    assert_eq!(grant["created_at"], "2027-03-25T06:01:30.25Z");
    for path in ["campaigns/12345/grants", "customers/C-1/grants"] {
        let path = format!("/v1/tenants/acme/{path}");
        let listed = service.get(&path).await.list().0;
        assert_eq!(listed, std::slice::from_ref(&grant), "{path}");
    }
}

#[tokio::test]
async fn each_no_has_its_reason() {
    let service = Service::start().await;
    for (code, status) in [
        ("FS20", "active"),
        ("DRAFT", "draft"),
        ("REST", "paused"),
        ("OVER", "archived"),
    ] {
        service.promotion(code, status).await;
    }
    service.campaign("1", &["early"], &["FS20"], 1).await;
    service.campaign("2", &["late"], &["FS20"], -20).await;
    service.campaign("3", &["stopped"], &["FS20"], 0).await;
    service.campaign("4", &["taken"], &["FS20"], 0).await;
    service.campaign("5", &["resting"], &["REST"], 0).await;
    let no = service.app.tenant("acme").unwrap().no();
    service
        .plant(move |tx| {
            tx.suspend_campaign(no, 3, SuspendedBy::Operator, "test")?;
            tx.revoke_campaign(no, 4, "test")
        })
        .await;
    service.app.facts_changed();
    let table = [
        ("nobody", "NOPE", "unknown_promotion"),
        ("nobody", "a,b", "unknown_promotion"),
        ("nobody", "DRAFT", "promotion_paused"),
        ("resting", "REST", "promotion_paused"),
        ("nobody", "OVER", "promotion_paused"),
        ("nobody", "FS20", "no_grant"),
        ("EARLY", "FS20", "no_grant"),
        ("early", "FS20", "not_started"),
        ("late", "FS20", "expired"),
        ("stopped", "FS20", "suspended"),
        ("taken", "FS20", "revoked"),
    ];
    for (customer, code, reason) in table {
        assert_eq!(
            ask(&service, customer, code).await.0,
            reason,
            "{customer} {code}"
        );
    }
}

#[tokio::test]
async fn time_alone_starts_and_ends_a_grant() {
    let service = Service::start().await;
    service.promotion("FS20", "active").await;
    service.campaign("1", &["c"], &["FS20"], 2).await;
    let starts = service.app.clock.now_ms() + 2 * DAY_MS;
    let table = [
        (starts - 1, json!("not_started"), "pending"),
        (starts, Value::Null, "active"),
        (starts + 10 * DAY_MS - 1, Value::Null, "active"),
        (starts + 10 * DAY_MS, json!("expired"), "expired"),
    ];
    for (at, reason, status) in table {
        assert!(service.app.clock.set(bestow::clock::instant(at)));
        assert_eq!(ask(&service, "c", "FS20").await.0, reason);
        let path = "/v1/tenants/acme/customers/c/grants";
        assert_eq!(service.get(path).await.list().0[0]["status"], status);
        let (same, _) = service.get(&format!("{path}?status={status}")).await.list();
        assert_eq!(same.len(), 1);
        let (other, _) = service.get(&format!("{path}?status=redeemed")).await.list();
        assert!(other.is_empty());
    }
}

#[tokio::test]
async fn a_suspended_tenant_suspends_its_grants() {
    let service = Service::start().await;
    service.promotion("FS20", "active").await;
    service.campaign("1", &["c"], &["FS20"], 0).await;
    assert_eq!(ask(&service, "c", "FS20").await.0, Value::Null);
    let actor = Actor::cli();
    tenants::set_suspended(&service.app, &actor, "acme", Suspension::Suspend)
        .await
        .unwrap();
    assert_eq!(ask(&service, "c", "FS20").await.0, "suspended");
    tenants::set_suspended(&service.app, &actor, "acme", Suspension::Resume)
        .await
        .unwrap();
    assert_eq!(ask(&service, "c", "FS20").await.0, Value::Null);
}

#[tokio::test]
async fn of_several_grants_the_one_that_ends_first_is_used() {
    let service = Service::start().await;
    service.promotion("FS20", "active").await;
    service.campaign("later", &["c"], &["FS20"], 0).await;
    service.campaign("sooner", &["c"], &["FS20"], -5).await;
    assert_eq!(ask(&service, "c", "FS20").await.1["campaign_id"], "sooner");
    let (all, _) = service
        .get("/v1/tenants/acme/customers/c/grants")
        .await
        .list();
    assert_eq!(all.len(), 2);
}

#[tokio::test]
async fn a_promotion_changed_here_is_seen_at_once() {
    let service = Service::start().await;
    service.promotion("FS20", "active").await;
    service.campaign("1", &["c"], &["FS20"], 0).await;
    assert_eq!(ask(&service, "c", "FS20").await.0, Value::Null);
    let path = "/v1/tenants/acme/promotions/FS20";
    let mut put = json!({"name": "FS20", "status": "paused"});
    assert_eq!(service.call("PUT", path, &put).await.status, 200);
    assert_eq!(ask(&service, "c", "FS20").await.0, "promotion_paused");
    put["status"] = json!("active");
    assert_eq!(service.call("PUT", path, &put).await.status, 200);
    assert_eq!(ask(&service, "c", "FS20").await.0, Value::Null);
}
