//! Events while they happen.

use bestow::actor::{Actor, Role};
use bestow::events::Event;
use bestow::service::tokens;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::support::{ADMIN, Service};

type Lines = BufReader<TcpStream>;

/// Starts to watch; what happens after this is seen.
async fn watch(service: &Service, token: &str, query: &str) -> Lines {
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let request = format!(
        "GET /v1/events{query} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream);
    let head = next(&mut lines, str::is_empty).await;
    assert!(head[0].starts_with("HTTP/1.1 200"), "{head:?}");
    assert!(
        head.iter()
            .any(|line| line == "content-type: text/event-stream"),
        "{head:?}"
    );
    lines
}

/// Lines up to one that is looked for.
async fn next(lines: &mut Lines, is_it: impl Fn(&str) -> bool) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let mut line = String::new();
        assert!(
            lines.read_line(&mut line).await.unwrap() > 0,
            "it ended: {seen:?}"
        );
        seen.push(line.trim_end().to_owned());
        if is_it(line.trim_end()) {
            return seen;
        }
    }
}

fn ended(tenant: &str) -> Event {
    Event::ImportEnded {
        tenant: tenant.to_owned(),
        campaign: "1".to_owned(),
        state: "done".to_owned(),
    }
}

async fn data(lines: &mut Lines) -> String {
    next(lines, |line| line.starts_with("data:"))
        .await
        .pop()
        .unwrap()
}

const ACME: &str = r#"data: {"type":"import_ended","tenant":"acme","campaign":"1","state":"done"}"#;
const BLUE: &str = r#"data: {"type":"import_ended","tenant":"blue","campaign":"1","state":"done"}"#;

#[tokio::test]
async fn events_come_to_those_who_may_see_their_tenant() {
    let service = Service::start().await;
    let bound = service.token(Role::Viewer, Some("blue")).await;
    let mut all = watch(&service, ADMIN, "").await;
    let mut own = watch(&service, &bound, "").await;
    let mut named = watch(&service, ADMIN, "?tenant=blue").await;
    service.app.tell(ended("acme"));
    service.app.tell(ended("blue"));
    assert_eq!(data(&mut all).await, ACME);
    assert_eq!(data(&mut all).await, BLUE);
    assert_eq!(data(&mut own).await, BLUE);
    assert_eq!(data(&mut named).await, BLUE);
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let service = Service::start().await;
    let token = service.token(Role::Viewer, None).await;
    let mut lines = watch(&service, &token, "").await;
    service.app.tell(ended("acme"));
    assert_eq!(data(&mut lines).await, ACME);
    let id = token.split('_').nth(1).unwrap();
    tokens::revoke(&service.app, &Actor::cli(), id)
        .await
        .unwrap();
    service.app.tell(ended("acme"));
    // The rest of the answer just read, then the end of the stream: no further event.
    let rest = next(&mut lines, |line| line == "0").await;
    assert!(
        rest.iter().all(|line| !line.starts_with("data:")),
        "{rest:?}"
    );
}

#[tokio::test]
async fn a_stream_ends_when_the_service_stops() {
    let mut service = Service::start().await;
    let mut lines = watch(&service, ADMIN, "").await;
    service.stop.cancel();
    let mut rest = String::new();
    lines.read_to_string(&mut rest).await.unwrap();
    assert!(!rest.contains("data:"), "{rest}");
    (&mut service.running).await.unwrap();
}
