//! Calls that fail on purpose.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{KEY, World, page_target};

const ADD: &str = "/integrations/AddPromotions";
const JSON: &str = "Content-Type: application/json";

fn batch(code: &str) -> Vec<u8> {
    json!([{"PromoCode": code, "PromotionName": "x"}])
        .to_string()
        .into_bytes()
}

async fn has_promotion(world: &World) -> bool {
    world.set(&json!({"fault-percent": 0}));
    world
        .get("/integrations/GetPromotions")
        .await
        .text()
        .contains("FS20")
}

#[tokio::test]
async fn a_failing_call_answers_with_the_fault_and_has_no_effect() {
    for (kind, status, body) in [
        ("status-500", 500, "\"Internal Server Error\""),
        ("status-503", 503, "\"Service Unavailable\""),
        ("string-200", 200, "\"The service is busy.\""),
        ("html-200", 200, "<!DOCTYPE html>"),
    ] {
        let world = World::start().await;
        world.set(&json!({"fault-kind": kind, "fault-percent": 100}));
        let answer = world
            .send("POST", ADD, &[KEY, JSON], &batch("FS20"))
            .await
            .unwrap();
        assert_eq!(answer.status, status, "{kind}");
        assert!(answer.text().starts_with(body), "{kind}: {}", answer.text());
        let html = answer
            .header("content-type")
            .unwrap()
            .starts_with("text/html");
        assert_eq!(html, kind == "html-200");
        assert!(
            !has_promotion(&world).await,
            "{kind} comes before the write"
        );
    }
}

#[tokio::test]
async fn a_reset_or_cut_write_has_taken_effect() {
    for kind in ["reset", "truncate"] {
        let world = World::start().await;
        world.set(&json!({"fault-kind": kind, "fault-percent": 100}));
        let answer = world.send("POST", ADD, &[KEY, JSON], &batch("FS20")).await;
        assert_eq!(answer.is_none(), kind == "reset");
        if let Some(answer) = answer {
            let promised: usize = answer.header("content-length").unwrap().parse().unwrap();
            assert!(answer.status == 200 && answer.body.len() < promised);
        }
        assert!(has_promotion(&world).await, "{kind} comes after the write");
    }
}

#[tokio::test]
async fn a_call_that_is_never_answered_has_taken_effect() {
    let world = World::start().await;
    world.set(&json!({"fault-kind": "timeout", "fault-percent": 100}));
    let mut stream = TcpStream::connect(world.sandbox.address()).await.unwrap();
    let body = String::from_utf8(batch("FS20")).unwrap();
    let request = format!(
        "POST {ADD} HTTP/1.1\r\nHost: x\r\n{KEY}\r\n{JSON}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut byte = [0];
    let wait = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut byte)).await;
    assert!(wait.is_err(), "no answer and no end while the client waits");
    assert!(has_promotion(&world).await);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_cut_page_ends_in_its_middle() {
    let world = World::start().await;
    world.executed(5101, 100);
    let whole = world.get(&page_target(5101, 504, 100, 0)).await;
    world.set(&json!({"fault-kind": "truncate", "fault-percent": 100}));
    let cut = world.get(&page_target(5101, 504, 100, 0)).await;
    assert_eq!(cut.header("content-length"), whole.header("content-length"));
    assert_eq!(cut.body, whole.body[..whole.body.len() / 2]);
    world.set(&json!({"transfer": "chunked"}));
    let cut = world.get(&page_target(5101, 504, 100, 0)).await;
    assert!(
        !cut.text().ends_with("0\r\n\r\n"),
        "the last chunk is missing"
    );
}

#[tokio::test]
async fn only_the_named_functions_fail() {
    let world = World::start().await;
    world.set(&json!({"fault-percent": 100, "fault-functions": ["getpromotions"]}));
    assert_eq!(world.get("/integrations/GetPromotions").await.status, 500);
    assert_eq!(world.get("/general/GetLastDataUpdate").await.status, 200);
    let unknown = world
        .send("GET", "/integrations/GetPromotions", &[], b"")
        .await
        .unwrap();
    assert_eq!(
        unknown.status, 401,
        "a caller without a credential never sees the fault"
    );
}

#[tokio::test]
async fn a_share_of_the_calls_fails() {
    let world = World::start().await;
    world.set(&json!({"fault-percent": 30}));
    let mut failed = 0;
    for _ in 0..300 {
        failed += u32::from(world.get("/general/GetLastDataUpdate").await.status == 500);
    }
    assert!(
        (50..140).contains(&failed),
        "{failed} of 300 where 30 percent are asked for"
    );
}

#[tokio::test]
async fn latency_is_added_to_every_answer() {
    let world = World::start().await;
    world.set(&json!({"latency-ms": 200}));
    for target in ["/general/GetLastDataUpdate", "/nowhere"] {
        let before = world.sandbox.now();
        world.get(target).await;
        let taken = world.sandbox.now().duration_since(before).as_millis();
        assert!(taken >= 200, "{target} took {taken} ms");
    }
    let (status, _) = world.control("GET", "/switches", Value::Null).await;
    assert_eq!(status, 200);
}
