//! Slow clients, many clients, and stopping.

use bestow::http::Server;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{ADMIN, Service};

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n";

/// Reads one answer of a known end from a connection that stays open.
async fn answer(stream: &mut TcpStream) -> String {
    let mut got = Vec::new();
    while !got.ends_with(b"}") {
        let mut piece = [0; 1_024];
        let read = stream.read(&mut piece).await.unwrap();
        assert!(
            read > 0,
            "the connection ended: {}",
            String::from_utf8_lossy(&got)
        );
        got.extend_from_slice(&piece[..read]);
    }
    String::from_utf8(got).unwrap()
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_is_cut_off_while_others_are_served() {
    let service = Service::start_with(|config| config.http.head_seconds_max = 1).await;
    let mut silent = TcpStream::connect(service.address).await.unwrap();
    let mut slow = TcpStream::connect(service.address).await.unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: te")
        .await
        .unwrap();
    assert_eq!(service.get("/healthz").await.status, 200);
    // Ends once the service has closed the connection, and not before.
    let (mut from_slow, mut from_silent) = (Vec::new(), Vec::new());
    let _ = slow.read_to_end(&mut from_slow).await;
    let _ = silent.read_to_end(&mut from_silent).await;
    assert!(!String::from_utf8_lossy(&from_slow).contains("200 OK"));
    assert!(from_silent.is_empty());
    assert_eq!(service.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let service = Service::start().await;
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    for _ in 0..3 {
        stream.write_all(HEALTH.as_bytes()).await.unwrap();
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
}

#[tokio::test]
async fn beyond_the_limit_of_connections_clients_wait_for_a_place() {
    let service = Service::start_with(|config| config.http.connections_max = 1).await;
    let mut first = TcpStream::connect(service.address).await.unwrap();
    first.write_all(HEALTH.as_bytes()).await.unwrap();
    answer(&mut first).await;
    // The second asks for a change. As long as the first is there, it is not made.
    let mut second = TcpStream::connect(service.address).await.unwrap();
    let change = format!(
        "POST /v1/clock/advance HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {ADMIN}\r\n\
         Content-Type: application/json\r\nContent-Length: 13\r\n\r\n{{\"seconds\":5}}"
    );
    second.write_all(change.as_bytes()).await.unwrap();
    let before = service.app.clock.now_ms();
    for _ in 0..50 {
        first.write_all(HEALTH.as_bytes()).await.unwrap();
        answer(&mut first).await;
    }
    assert_eq!(service.app.clock.now_ms(), before);
    drop(first);
    assert!(answer(&mut second).await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(service.app.clock.now_ms(), before + 5_000);
}

#[tokio::test]
async fn a_head_beyond_all_measure_is_refused() {
    let service = Service::start().await;
    let request = format!(
        "GET /healthz HTTP/1.1\r\nHost: test\r\nX: {}\r\n\r\n",
        "x".repeat(200_000)
    );
    assert!([0, 431].contains(&service.send(request).await.status));
    let fields = "X-Y: z\r\n".repeat(200);
    let request = format!("GET /healthz HTTP/1.1\r\nHost: test\r\n{fields}\r\n");
    assert!([0, 431].contains(&service.send(request).await.status));
    assert_eq!(service.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_the_connection_closed() {
    let service = Service::start().await;
    let requests: [&[u8]; 5] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for request in requests {
        assert!([0, 400, 505].contains(&service.send(request).await.status));
    }
    assert_eq!(service.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn stopping_lets_a_running_request_end_and_takes_no_other() {
    let service = Service::start().await;
    let mut running = TcpStream::connect(service.address).await.unwrap();
    let head = format!(
        "POST /v1/tenants/acme/eligibility HTTP/1.1\r\nHost: test\r\n\
         Authorization: Bearer {ADMIN}\r\n\
         Content-Type: application/json\r\nContent-Length: 39\r\nExpect: 100-continue\r\n\r\n"
    );
    running.write_all(head.as_bytes()).await.unwrap();
    // The request is being read once the service says that it may go on.
    let mut go_on = [0; 25];
    running.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    service.stop.cancel();
    running
        .write_all(br#"{"customer_id":"a","promo_code":"FS20"}"#)
        .await
        .unwrap();
    let mut rest = String::new();
    running.read_to_string(&mut rest).await.unwrap();
    assert!(rest.starts_with("HTTP/1.1 200 OK\r\n"), "{rest}");
    assert!(rest.contains("unknown_promotion"), "{rest}");
    let Service { app, address, .. } = &service;
    // The address is free again once the server has gone.
    while Server::bind(app.clone(), *address).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn stopping_cuts_off_what_does_not_end() {
    let mut service = Service::start_with(|config| config.http.drain_seconds_max = 0).await;
    let mut hanging = TcpStream::connect(service.address).await.unwrap();
    let head = format!(
        "POST /v1/tenants/acme/eligibility HTTP/1.1\r\nHost: test\r\n\
         Authorization: Bearer {ADMIN}\r\n\
         Content-Type: application/json\r\nContent-Length: 39\r\nExpect: 100-continue\r\n\r\n"
    );
    hanging.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    hanging.read_exact(&mut go_on).await.unwrap();
    service.stop.cancel();
    (&mut service.running).await.unwrap();
    let mut rest = Vec::new();
    let _ = hanging.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}

#[tokio::test]
async fn while_stopping_it_is_not_ready() {
    let service = Service::start().await;
    let mut open = TcpStream::connect(service.address).await.unwrap();
    open.write_all(HEALTH.as_bytes()).await.unwrap();
    answer(&mut open).await;
    assert_eq!(service.get("/readyz").await.status, 200);
    assert_eq!(
        service
            .call_as(None, "HEAD", "/healthz", &Value::Null)
            .await
            .text(),
        ""
    );
}
