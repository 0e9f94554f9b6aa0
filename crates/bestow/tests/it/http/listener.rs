//! Where Optimove's notifications come in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bestow_store::{Fault, Tx};
use serde_json::{Value, json};

use super::support::{Answer, Service};

const BODY: &str = r#"{"EventTypeID":13,"CampaignID":12345,"ChannelID":504}"#;

/// The address of event 13 of `acme`.
pub(super) async fn address(service: &Service) -> String {
    let acme = service.app.tenant("acme").unwrap();
    let secret = service.app.keys.listener_secret("acme", 13, 1);
    let hash = service.app.keys.hash(&secret);
    service
        .plant(move |tx| tx.insert_listener(acme.no(), 13, 1, &hash))
        .await;
    service.app.directory_changed().unwrap();
    format!("/optimove/listener/{secret}")
}

/// As Optimove sends it: without a token.
pub(super) async fn send(
    service: &Service,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Answer {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    service.send(request).await
}

/// Notifications kept, and how often they came.
fn kept(service: &Service) -> (u64, u64) {
    let size = |tx: &mut Tx<'_>| tx.inbox_size();
    service.app.store.read(size).unwrap()
}

#[tokio::test]
async fn too_many_at_one_address_are_asked_to_come_again_and_none_is_kept() {
    let service = Service::start_with(|config| {
        config.rates.listener_per_second = 1;
        config.rates.listener_burst = 2;
    })
    .await;
    let path = address(&service).await;
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..50 {
        let answer = send(&service, "POST", &path, "", BODY).await;
        match answer.status {
            200 => taken += 1,
            429 => {
                assert_eq!(answer.header("retry-after"), Some("1"));
                refused += 1;
            }
            other => panic!("{other}: {answer:?}"),
        }
        assert_eq!(send(&service, "GET", &path, "", "").await.status, 200);
    }
    assert!(taken >= 2 && refused > 0, "{taken} {refused}");
    assert_eq!(kept(&service), (1, taken));
}

#[tokio::test]
async fn a_notification_is_kept_as_it_came_and_a_repeat_is_counted() {
    let service = Service::start().await;
    let path = address(&service).await;
    for arrivals in 1..=3 {
        let answer = send(&service, "POST", &path, "", BODY).await;
        assert_eq!(answer.status, 200);
        assert_eq!(kept(&service), (1, arrivals));
    }
    let (rows, _) = service.get("/v1/tenants/acme/notifications").await.list();
    assert_eq!(rows[0]["event_type"], 13);
    assert_eq!(rows[0]["campaign_id"], "12345");
    assert_eq!(rows[0]["arrivals"], 3);
    assert_eq!(rows[0]["status"], "waiting");
    let path = format!(
        "/v1/tenants/acme/notifications/{}",
        rows[0]["id"].as_str().unwrap()
    );
    assert_eq!(service.get(&path).await.json()["body"], BODY);
    let (rows, _) = service.get("/v1/tenants/blue/notifications").await.list();
    assert!(rows.is_empty());
}

#[tokio::test]
async fn what_cannot_be_understood_is_kept_too() {
    let service = Service::start().await;
    let path = address(&service).await;
    for (number, body) in (1..).zip([
        "{",
        "no json",
        "[]",
        " ",
        r#"{"EventTypeID":4,"CampaignID":1}"#,
    ]) {
        assert_eq!(send(&service, "POST", &path, "", body).await.status, 200);
        assert_eq!(kept(&service), (number, number));
    }
}

#[tokio::test]
async fn probes_are_answered_and_leave_nothing() {
    let service = Service::start().await;
    let path = address(&service).await;
    for method in ["GET", "HEAD", "POST"] {
        assert_eq!(
            send(&service, method, &path, "", "").await.status,
            200,
            "{method}"
        );
    }
    assert_eq!(send(&service, "GET", &path, "", BODY).await.status, 200);
    assert_eq!(kept(&service), (0, 0));
}

#[tokio::test]
async fn a_wrong_secret_is_answered_like_an_unknown_address() {
    let service = Service::start().await;
    let right = address(&service).await;
    let wrong = format!("{right}x");
    let retired = service.app.keys.listener_secret("acme", 13, 2);
    let (hash, now) = (service.app.keys.hash(&retired), service.app.clock.now_ms());
    let no = service.app.tenant("acme").unwrap().no();
    service
        .plant(move |tx| {
            tx.insert_listener(no, 13, 2, &hash)?;
            tx.retire_listeners(no, 13, 3, now)
        })
        .await;
    service.app.directory_changed().unwrap();
    let retired = format!("/optimove/listener/{retired}");
    let paths = [
        &wrong,
        &retired,
        "/optimove/listener/",
        "/optimove/listener/a/b",
        "/optimove",
        "/x",
    ];
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
        let unknown = seen(&send(&service, method, "/no/such/address", "", BODY).await);
        assert_eq!((unknown.0, unknown.2.as_slice()), (404, &b""[..]));
        for path in paths {
            assert_eq!(
                seen(&send(&service, method, path, "", BODY).await),
                unknown,
                "{method} {path}"
            );
        }
    }
    // Even of the right secret, other methods tell nothing.
    let unknown = seen(&send(&service, "PUT", "/no/such/address", "", BODY).await);
    let other = "/optimove/gateway/abc";
    assert_eq!(
        seen(&send(&service, "PUT", &retired, "", BODY).await),
        unknown
    );
    assert_eq!(
        seen(&send(&service, "POST", other, "", BODY).await),
        unknown
    );
    assert_eq!(kept(&service), (0, 0));
}

/// All of an answer but what differs from request to request.
fn seen(answer: &Answer) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let mut headers = answer.headers.clone();
    headers.retain(|(name, _)| name != "x-request-id" && name != "date");
    (answer.status, headers, answer.body.clone())
}

#[tokio::test]
async fn a_body_over_the_limit_or_encoded_is_refused() {
    let service = Service::start_with(|config| config.http.notification_body_bytes_max = 100).await;
    let path = address(&service).await;
    let announced = send(&service, "POST", &path, "", &"x".repeat(101)).await;
    assert_eq!(announced.problem(), (413, "body_too_large".to_owned()));
    let chunked = format!(
        "POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n\
         65\r\n{}\r\n0\r\n\r\n",
        "x".repeat(101)
    );
    assert_eq!(
        service.send(chunked).await.problem(),
        (413, "body_too_large".to_owned())
    );
    let encoded = send(&service, "POST", &path, "Content-Encoding: gzip\r\n", BODY).await;
    assert_eq!(encoded.problem(), (415, "encoded_body".to_owned()));
    assert_eq!(kept(&service), (0, 0));
    assert_eq!(
        send(&service, "POST", &path, "", &"x".repeat(100))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_notification_that_cannot_be_stored_is_asked_for_again() {
    let service = Service::start().await;
    let path = address(&service).await;
    let failing = Arc::new(AtomicBool::new(true));
    let plan = Arc::clone(&failing);
    service.app.store.fail_commits(move |name| {
        let fails = name == "accept_notification" && plan.load(Ordering::SeqCst);
        fails.then_some(Fault::BeforeCommit)
    });
    let answer = send(&service, "POST", &path, "", BODY).await;
    assert_eq!(answer.problem(), (503, "store_unavailable".to_owned()));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(kept(&service), (0, 0));
    failing.store(false, Ordering::SeqCst);
    assert_eq!(send(&service, "POST", &path, "", BODY).await.status, 200);
    assert_eq!(kept(&service), (1, 1));
}

#[tokio::test]
async fn a_suspended_tenant_still_keeps_what_comes() {
    let service = Service::start().await;
    let path = address(&service).await;
    let no = service.app.tenant("acme").unwrap().no();
    service
        .plant(move |tx| tx.set_tenant_suspended(no, Some(1)))
        .await;
    service.app.directory_changed().unwrap();
    assert_eq!(send(&service, "POST", &path, "", BODY).await.status, 200);
    assert_eq!(kept(&service), (1, 1));
}

#[tokio::test]
async fn many_at_once_are_all_kept() {
    let service = Arc::new(Service::start().await);
    let path = address(&service).await;
    let sends = (0..64).map(|number| {
        let (service, path) = (Arc::clone(&service), path.clone());
        tokio::spawn(async move {
            let body = json!({"EventTypeID": 13, "CampaignID": number, "ChannelID": 504});
            send(&service, "POST", &path, "", &body.to_string())
                .await
                .status
        })
    });
    for sent in sends.collect::<Vec<_>>() {
        assert_eq!(sent.await.unwrap(), 200);
    }
    assert_eq!(kept(&service), (64, 64));
    let metrics = service.call_as(None, "GET", "/metrics", &Value::Null).await;
    assert!(
        metrics
            .text()
            .contains("\nbestow_notifications_stored_total 64\n")
    );
    assert!(
        metrics
            .text()
            .contains("\nbestow_notifications{status=\"waiting\"} 64\n")
    );
}
