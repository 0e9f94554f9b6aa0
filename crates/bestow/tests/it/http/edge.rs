//! The edge: names, addresses, rates, and what every answer says to a browser.

use bestow::actor::Role;
use bestow::config::Config;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{ADMIN, Service};

async fn with(change: impl FnOnce(&mut Config)) -> Service {
    Service::start_with(change).await
}

/// The seconds that an answer with 429 asks to wait for.
fn seconds(header: Option<&str>) -> u64 {
    header.expect("Retry-After").parse().expect("seconds")
}

#[tokio::test]
async fn every_answer_tells_browsers_to_make_nothing_of_it() {
    let service = Service::start().await;
    for path in [
        "/healthz",
        "/nowhere",
        "/v1/nowhere",
        "/v1/tenants",
        "/optimove/listener/nobody",
    ] {
        let answer = service.get(path).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'",
            ),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path} {name}");
        }
        assert_eq!(answer.header("server"), None);
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn a_request_to_somebody_elses_name_does_nothing() {
    let service = Service::start().await;
    let before = service.everything();
    let send = async |hosts: &str, target: &str| {
        let change = json!({"name": "Other"}).to_string();
        let request = format!(
            "PATCH {target} HTTP/1.1\r\n{hosts}Authorization: Bearer {ADMIN}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{change}",
            change.len()
        );
        let answer = service.send(request).await;
        assert!(answer.body.is_empty(), "{answer:?}");
        answer.status
    };
    let path = "/v1/tenants/acme";
    assert_eq!(send("Host: evil.example\r\n", path).await, 421);
    assert_eq!(
        send("Host: test\r\n", "http://evil.example/v1/tenants/acme").await,
        421
    );
    assert_eq!(
        send("Host: test\r\nHost: evil.example\r\n", path).await,
        400
    );
    assert_eq!(send("", path).await, 400);
    assert_eq!(service.everything(), before);
    // The address itself is a name that nobody can take from us.
    let own = format!(
        "GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        service.address
    );
    assert_eq!(service.send(own).await.status, 200);
}

#[tokio::test]
async fn each_token_has_a_rate_of_its_own() {
    let service = with(|config| {
        config.rates.token_per_second = 1;
        config.rates.token_burst = 3;
    })
    .await;
    let first = service.token(Role::Viewer, None).await;
    let second = service.token(Role::Viewer, None).await;
    let ask = async |token: &str| {
        service
            .call_as(Some(token), "GET", "/v1/tenants/acme", &Value::Null)
            .await
    };
    let mut refused = None;
    for _ in 0..100 {
        let answer = ask(&first).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a hundred requests are more than three");
    assert_eq!(refused.problem(), (429, "too_many_requests".to_owned()));
    assert_eq!(seconds(refused.header("retry-after")), 1);
    assert_eq!(ask(&second).await.status, 200);
    // The settings' own token is for whoever has to get in.
    for _ in 0..10 {
        assert_eq!(ask(ADMIN).await.status, 200);
    }
}

#[tokio::test]
async fn each_customer_has_a_rate_of_its_own_in_each_tenant() {
    let service = with(|config| {
        config.rates.customer_per_second = 1;
        config.rates.customer_burst = 3;
    })
    .await;
    service.promotion("FS20", "active").await;
    let ask = async |tenant: &str, customer: &str| {
        let path = format!("/v1/tenants/{tenant}/eligibility");
        let question = json!({"customer_id": customer, "promo_code": "FS20"});
        service.call("POST", &path, &question).await
    };
    let mut statuses = Vec::new();
    for _ in 0..50 {
        statuses.push(ask("acme", "a").await.status);
    }
    assert_eq!(statuses[..3], [200; 3]);
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert!(refused > 0, "{statuses:?}");
    assert_eq!(ask("acme", "b").await.status, 200);
    assert_eq!(ask("blue", "a").await.status, 200);
}

#[tokio::test]
async fn without_a_valid_token_an_address_may_ask_only_so_often() {
    let service = with(|config| {
        config.rates.refusals_per_minute = 3;
        config.http.trusted_proxies = "127.0.0.0/8".to_owned();
    })
    .await;
    let token = service.token(Role::Viewer, None).await;
    let from = async |address: &str, token: &str| {
        let request = format!(
            "GET /v1/tenants/acme HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nX-Forwarded-For: 6.6.6.6, {address}\r\n\r\n"
        );
        service.send(request).await
    };
    for _ in 0..3 {
        assert_eq!(from("1.2.3.4", "bst_wrong").await.status, 401);
    }
    let refused = from("1.2.3.4", "bst_wrong").await;
    assert_eq!(refused.problem(), (429, "too_many_refusals".to_owned()));
    assert!((1..=20).contains(&seconds(refused.header("retry-after"))));
    // Others are not held to it, and neither is whoever has a token there.
    assert_eq!(from("1.2.3.5", "bst_wrong").await.status, 401);
    assert_eq!(from("1.2.3.4", &token).await.status, 200);
}

#[tokio::test]
async fn an_address_that_nobody_vouches_for_is_the_connections_own() {
    let service = with(|config| config.rates.refusals_per_minute = 3).await;
    let mut statuses = Vec::new();
    for number in 0..4 {
        let request = format!(
            "GET /v1/tenants HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
             X-Forwarded-For: 1.2.3.{number}\r\n\r\n"
        );
        statuses.push(service.send(request).await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 429]);
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_no_more() {
    let service = with(|config| config.http.connections_per_address_max = 2).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        let request = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n";
        stream.write_all(request).await.unwrap();
        // Served, so it has its place.
        assert!(stream.read(&mut [0; 2_048]).await.unwrap() > 0);
        held.push(stream);
    }
    for _ in 0..20 {
        let mut over = TcpStream::connect(service.address).await.unwrap();
        let _ = over.write_all(b"GET /healthz HTTP/1.1\r\n").await;
        let mut got = Vec::new();
        // Ends, and nothing came.
        let _ = over.read_to_end(&mut got).await;
        assert!(got.is_empty());
    }
    held.pop();
    // Its place is free once the service has seen the end.
    while service.get("/healthz").await.status != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn behind_a_proxy_that_is_trusted_connections_are_not_counted() {
    let service = with(|config| {
        config.http.connections_per_address_max = 0;
        config.http.trusted_proxies = "127.0.0.1".to_owned();
    })
    .await;
    assert_eq!(service.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn what_two_readers_could_read_in_two_ways_is_not_answered_twice() {
    let service = Service::start().await;
    let before = service.everything();
    let tail = format!(
        "PATCH /v1/tenants/acme HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {ADMIN}\r\n\
         Content-Type: application/json\r\nContent-Length: 14\r\n\r\n{{\"name\":\"Evil\"}}"
    );
    let heads = [
        "POST /healthz HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nContent-Length: 0\r\n\r\n",
        "POST /healthz HTTP/1.1\r\nHost: test\r\nContent-Length: 0x4\r\n\r\n",
        "POST /healthz HTTP/1.1\r\nHost: test\r\nContent-Length: +4\r\n\r\n",
        "POST /healthz HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
        "POST /healthz HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: test\r\nX: a\r\n folded\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost : test\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: test\r\n\0: a\r\n\r\n",
        "garbage\r\n\r\n",
    ];
    for head in heads {
        let answer = service.send(format!("{head}{tail}")).await;
        assert!([0, 400].contains(&answer.status), "{head:?}: {answer:?}");
    }
    assert_eq!(service.everything(), before);
}

#[tokio::test]
async fn garbage_behind_a_request_ends_the_connection_after_its_answer() {
    let service = Service::start().await;
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let request = "GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n";
    let garbage = "\x01\x02 garbage \x03\r\n\r\n";
    let sent = format!("{request}{request}{garbage}{request}");
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    let _ = stream.read_to_end(&mut got).await;
    let got = String::from_utf8_lossy(&got);
    assert_eq!(got.matches("HTTP/1.1 200 OK").count(), 2, "{got}");
}
