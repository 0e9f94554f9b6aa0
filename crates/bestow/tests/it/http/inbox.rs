//! The inbox: listing, looking, running again.

use bestow::directory::ListenerTarget;
use bestow::service::notifications::accept;
use bestow::work;
use bytes::Bytes;
use serde_json::{Value, json};

use super::support::Service;

const INBOX: &str = "/v1/tenants/acme/notifications";

async fn take(service: &Service, event_type: i64, body: &'static str) {
    let tenant = service.app.tenant("acme").unwrap().no();
    let target = ListenerTarget {
        tenant,
        event_type,
        retired_at: None,
    };
    accept(&service.app, target, Bytes::from_static(body.as_bytes()))
        .await
        .unwrap();
}

#[tokio::test]
async fn notifications_are_filtered_by_status_and_campaign() {
    let service = Service::start().await;
    take(&service, 4, r#"{"EventTypeID":4,"CampaignID":7}"#).await;
    take(&service, 4, "not json").await;
    while work::step(&service.app).await.unwrap() {}
    take(&service, 4, r#"{"EventTypeID":4,"CampaignID":8}"#).await;
    for (filter, count) in [
        ("", 3),
        ("?status=done", 1),
        ("?status=held", 1),
        ("?status=waiting", 1),
        ("?status=superseded", 0),
        ("?campaign_id=7", 1),
        ("?campaign_id=7&status=held", 0),
    ] {
        assert_eq!(
            service
                .get(&format!("{INBOX}{filter}"))
                .await
                .list()
                .0
                .len(),
            count,
            "{filter}"
        );
    }
    let (held, _) = service.get(&format!("{INBOX}?status=held")).await.list();
    assert_eq!(held[0]["reason"], "unreadable_body");
    assert_eq!(held[0]["campaign_id"], Value::Null);
    assert_eq!(held[0]["received_at"], "2027-03-25T06:00:00Z");
}

#[tokio::test]
async fn replaying_makes_it_wait_again_and_is_on_record() {
    let service = Service::start().await;
    take(&service, 4, "not json").await;
    while work::step(&service.app).await.unwrap() {}
    let id = service.get(INBOX).await.list().0[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(id.starts_with("ntf_"), "{id}");
    let path = format!("{INBOX}/{id}");
    assert_eq!(service.get(&path).await.json()["status"], "held");
    let replayed = service
        .call("POST", &format!("{path}/replay"), &Value::Null)
        .await;
    assert_eq!(
        (replayed.status, &replayed.json()["status"]),
        (200, &json!("waiting"))
    );
    assert_eq!(replayed.json()["body"], "not json");
    let (record, _) = service
        .get("/v1/tenants/acme/audit?limit=1000")
        .await
        .list();
    let last = record.last().unwrap();
    assert_eq!(last["action"], "notification.replayed");
    assert_eq!(last["object"], format!("notification/{id}"));
    assert_eq!(
        last["detail"],
        json!({"was": "held", "reason": "unreadable_body"})
    );
    while work::step(&service.app).await.unwrap() {}
    assert_eq!(service.get(&path).await.json()["status"], "held");
}

#[tokio::test]
async fn a_notification_of_another_tenant_is_not_there() {
    let service = Service::start().await;
    take(&service, 4, r#"{"EventTypeID":4,"CampaignID":7}"#).await;
    let id = service.get(INBOX).await.list().0[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let before = service.everything();
    for (method, path) in [("GET", id.clone()), ("POST", format!("{id}/replay"))] {
        let path = format!("/v1/tenants/blue/notifications/{path}");
        let answer = service.call(method, &path, &Value::Null).await;
        assert_eq!(answer.problem(), (404, "not_found".to_owned()));
    }
    assert_eq!(service.everything(), before);
}
