//! Tenants over HTTP.

use serde_json::{Value, json};

use super::support::{Service, tenant};

#[tokio::test]
async fn a_tenant_is_made_changed_shown_and_ended_without_its_secret() {
    let service = Service::start().await;
    let made = service.call("POST", "/v1/tenants", &tenant("cyan")).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.json()["scheduled_channels"], json!([504, 505]));
    let patch = json!({"name": "Cyan Ltd"});
    let changed = service.call("PATCH", "/v1/tenants/cyan", &patch).await;
    assert_eq!(
        (changed.status, &changed.json()["name"]),
        (200, &json!("Cyan Ltd"))
    );
    let shown = service.get("/v1/tenants/cyan").await;
    assert_eq!(shown.json(), changed.json());
    for answer in [&made, &changed, &shown] {
        assert!(!answer.text().contains("acme-admin-key"));
    }
    let ended = service
        .call("DELETE", "/v1/tenants/cyan", &Value::Null)
        .await;
    assert_eq!((ended.status, ended.text()), (204, ""));
    assert_eq!(
        service.get("/v1/tenants/cyan").await.json()["status"],
        "deleted"
    );
}

#[tokio::test]
async fn the_same_tenant_again_exists_and_another_under_its_id_says_what_differs() {
    let service = Service::start().await;
    let again = service.call("POST", "/v1/tenants", &tenant("acme")).await;
    assert_eq!(again.problem(), (409, "exists".to_owned()));
    let mut other = tenant("acme");
    other["time_zone"] = json!("Europe/Lisbon");
    let other = service.call("POST", "/v1/tenants", &other).await;
    assert_eq!(
        other.problem(),
        (409, "exists_with_different_time_zone".to_owned())
    );
}

#[tokio::test]
async fn a_promotion_is_written_once_and_read_in_any_letter_case() {
    let service = Service::start().await;
    let put = json!({
        "name": "Free spins", "status": "active", "kind": "shared", "reward": {"spins": 20},
    });
    let path = "/v1/tenants/acme/promotions/FS20";
    let made = service.call("PUT", path, &put).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let again = service.call("PUT", path, &put).await;
    assert_eq!((again.status, again.json()), (200, made.json()));
    let read = service.get("/v1/tenants/acme/promotions/fs20").await;
    assert_eq!(read.json()["code"], "FS20");
    let unknown = service.get("/v1/tenants/acme/promotions/NOPE").await;
    assert_eq!(unknown.problem(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn optimove_out_of_reach_is_a_bad_gateway() {
    let service = Service::start_with(|config| {
        config.optimove.tries_max = 1;
        config.optimove.retry_ms = 1;
    })
    .await;
    for route in ["listeners/sync", "promotions/sync"] {
        service.promotion("FS20", "active").await;
        let path = format!("/v1/tenants/acme/{route}");
        let answer = service.call("POST", &path, &Value::Null).await;
        assert_eq!(
            answer.problem(),
            (502, "optimove_unreachable".to_owned()),
            "{route}"
        );
    }
}
