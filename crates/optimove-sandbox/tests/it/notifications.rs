//! Notifications: their bodies, who gets them, retries and the switches that disturb them.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::listener::{Listener, Plan};
use crate::world::{World, simple};

fn golden(event: u64) -> Value {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/notifications/");
    serde_json::from_slice(&std::fs::read(format!("{root}event-{event}.json")).unwrap()).unwrap()
}

fn on_two_channels(id: u64) -> Value {
    let mut spec = simple(id, 10);
    spec["actions"][0]["channels"] = json!([{"id": 504}, {"id": 505}]);
    spec
}

/// A world at the time of the golden bodies, with a listener for the given event types.
async fn world_with(events: &[u64]) -> (World, Listener) {
    let world = World::start().await;
    world
        .control("PUT", "/clock", json!({"now": "2025-03-04T09:05:00Z"}))
        .await;
    let listener = Listener::start().await;
    for event in events {
        listener
            .register(&world, &format!("/hook?event={event}"), *event, Value::Null)
            .await;
    }
    (world, listener)
}

async fn log(world: &World) -> Vec<Value> {
    let (_, log) = world.control("GET", "/notifications", Value::Null).await;
    log["data"].as_array().unwrap().clone()
}

/// Asks until the log says what it should.
async fn log_until(world: &World, done: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    loop {
        let log = log(world).await;
        if done(&log) {
            return log;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_executed_campaign_sends_event_1_and_then_13_for_each_channel() {
    let (world, mut listener) = world_with(&[1, 13]).await;
    world.executed_spec(on_two_channels(5101));
    let arrivals = listener.take(3).await;
    let body = |index: usize| serde_json::from_str::<Value>(&arrivals[index].body).unwrap();
    assert_eq!(
        arrivals[0].path, "/hook?event=1",
        "the query string is kept"
    );
    assert_eq!(arrivals[0].header("content-type"), Some("application/json"));
    assert_eq!(arrivals[0].header("x-hub-signature"), None);
    assert_eq!(body(0), golden(1));
    assert_eq!(body(1), golden(13));
    assert_eq!(body(2)["ChannelID"], 505);
    let log = log_until(&world, |log| {
        log.iter().all(|one| one["last_status"] == 200)
    })
    .await;
    let types: Vec<_> = log
        .iter()
        .map(|one| one["event_type"].as_u64().unwrap())
        .collect();
    assert_eq!(types, [1, 13, 13]);
    assert_eq!(
        log[0]["body"], arrivals[0].body,
        "the log has the bytes as text"
    );
    assert!(
        log.iter()
            .all(|one| one["attempts"] == 1 && one["tenant"] == "acme"),
        "{log:?}"
    );
}

#[tokio::test]
async fn a_failing_channel_has_no_event_13() {
    let (world, mut listener) = world_with(&[1, 13]).await;
    world.set(&json!({"failing-channels": [504]}));
    world.executed_spec(on_two_channels(5101));
    let arrivals = listener.take(2).await;
    assert!(arrivals[0].body.contains("\"EventTypeID\":1,"));
    assert!(arrivals[1].body.contains("\"ChannelID\":505"));
    assert_eq!(log(&world).await.len(), 2);
}

#[tokio::test]
async fn a_cancelled_campaign_sends_event_4_once() {
    let (world, mut listener) = world_with(&[4]).await;
    world.executed(5103, 5);
    world
        .control("PUT", "/clock", json!({"now": "2025-03-04T11:20:00Z"}))
        .await;
    let (status, view) = world
        .control("POST", "/campaigns/5103/cancel", Value::Null)
        .await;
    assert_eq!((status, &view["status"]), (200, &json!("cancelled")));
    let body: Value = serde_json::from_str(&listener.next().await.body).unwrap();
    assert_eq!(body, golden(4));
    assert_eq!(
        world
            .control("POST", "/campaigns/5103/cancel", Value::Null)
            .await
            .0,
        409
    );
    world.sandbox.add_campaign(simple(5104, 5)).unwrap();
    world.sandbox.cancel(5104).unwrap();
    assert_eq!(
        log(&world).await.len(),
        1,
        "a draft is cancelled without a word"
    );
}

#[tokio::test]
async fn the_end_of_the_day_sends_events_2_and_3() {
    let (world, mut listener) = world_with(&[2, 3]).await;
    world
        .control("PUT", "/clock", json!({"now": "2025-03-04T09:40:00Z"}))
        .await;
    world.control("POST", "/day/close", Value::Null).await;
    let bodies: Vec<Value> = listener
        .take(2)
        .await
        .iter()
        .map(|arrival| serde_json::from_str(&arrival.body).unwrap())
        .collect();
    assert_eq!(bodies[0], golden(2));
    assert_eq!(
        (&bodies[1]["EventTypeID"], &bodies[1]["TimeStamp"]),
        (&json!(3), &json!("2025-03-04 09:40"))
    );
    assert_eq!(
        world
            .control("POST", "/day/close?tenant=none", Value::Null)
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn time_stamps_are_of_the_tenants_zone_and_the_type_can_be_left_out() {
    let (world, mut listener) = world_with(&[1]).await;
    world
        .control("PUT", "/tenants/acme", json!({"time_zone": "Asia/Kolkata"}))
        .await;
    world.set(&json!({"event-type-in-body": "off"}));
    world.executed(5101, 1);
    let body = listener.next().await.body;
    assert_eq!(
        body,
        r#"{"TimeStamp":"2025-03-04 14:35","CampaignID":5101}"#
    );
}

#[tokio::test]
async fn a_general_and_a_channel_listener_both_hear_unless_the_specific_one_hides_it() {
    let (world, mut listener) = world_with(&[]).await;
    listener.register(&world, "/all", 13, Value::Null).await;
    listener.register(&world, "/504", 13, json!(504)).await;
    listener.register(&world, "/506", 13, json!(506)).await;
    world.executed_spec(on_two_channels(5101));
    let paths = |arrivals: Vec<crate::listener::Arrival>| {
        arrivals
            .into_iter()
            .map(|arrival| arrival.path)
            .collect::<Vec<_>>()
    };
    assert_eq!(paths(listener.take(3).await), ["/all", "/504", "/all"]);
    world.set(&json!({"listener-match": "most-specific"}));
    world.executed_spec(on_two_channels(5102));
    assert_eq!(paths(listener.take(2).await), ["/504", "/all"]);
    assert_eq!(log(&world).await.len(), 5);
}

#[tokio::test]
async fn a_failed_notification_is_sent_again_with_the_same_bytes_on_the_sandbox_clock() {
    let (world, mut listener) = world_with(&[1]).await;
    listener.plan(&[Plan::Status(500), Plan::Status(302), Plan::Status(204)]);
    world.executed(5101, 1);
    let first = listener.next().await;
    log_until(&world, |log| log[0]["last_status"] == 500).await;
    assert!(listener.is_empty(), "nothing before the clock has moved");
    world
        .control("POST", "/clock/advance", json!({"seconds": 61}))
        .await;
    let second = listener.next().await;
    log_until(&world, |log| log[0]["last_status"] == 302).await;
    world
        .control("POST", "/clock/advance", json!({"seconds": 301}))
        .await;
    let third = listener.next().await;
    assert!(first.body == second.body && second.body == third.body);
    let log = log_until(&world, |log| log[0]["last_status"] == 204).await;
    assert_eq!(log[0]["attempts"], 3);
}

#[tokio::test]
async fn the_schedule_of_retries_is_a_switch_and_ends() {
    let (world, mut listener) = world_with(&[1]).await;
    world.set(&json!({"notify-retry-seconds": [5]}));
    listener.plan(&[Plan::Status(500), Plan::Status(503)]);
    world.executed(5101, 1);
    listener.next().await;
    log_until(&world, |log| log[0]["last_status"] == 500).await;
    world
        .control("POST", "/clock/advance", json!({"seconds": 6}))
        .await;
    listener.next().await;
    log_until(&world, |log| log[0]["last_status"] == 503).await;
    world
        .control("POST", "/clock/advance", json!({"seconds": 100_000}))
        .await;
    // A later campaign arrives, the retried one does not come before or after it.
    world.executed(5102, 1);
    assert!(listener.next().await.body.contains("5102"));
    let log = log_until(&world, |log| log[1]["last_status"] == 200).await;
    assert_eq!(log[0]["attempts"], 2);
    assert!(listener.is_empty());
}

#[tokio::test]
async fn a_listener_that_does_not_answer_in_time_has_failed() {
    let (world, mut listener) = world_with(&[1]).await;
    world.set(&json!({"notify-timeout-ms": 50, "notify-retry-seconds": [60]}));
    listener.plan(&[Plan::Silence]);
    world.executed(5101, 1);
    listener.next().await;
    let log = log_until(&world, |log| log[0]["attempts"] == 1).await;
    assert_eq!(log[0]["last_status"], Value::Null);
    world
        .control("POST", "/clock/advance", json!({"seconds": 61}))
        .await;
    listener.next().await;
    log_until(&world, |log| log[0]["last_status"] == 200).await;
}

#[tokio::test]
async fn copies_come_for_the_event_types_named() {
    let (world, mut listener) = world_with(&[1, 13]).await;
    world.set(&json!({"notify-duplicate": 2, "notify-events": [13]}));
    world.executed(5101, 1);
    let arrivals = listener.take(4).await;
    assert!(arrivals[0].body.contains("\"EventTypeID\":1,"));
    assert_eq!(arrivals[1], arrivals[2]);
    assert_eq!(arrivals[2], arrivals[3]);
    let log = log_until(&world, |log| log[1]["attempts"] == 3).await;
    assert_eq!(log[0]["attempts"], 1);
}

#[tokio::test]
async fn dropped_notifications_stand_in_the_log_and_can_be_redelivered() {
    let (world, mut listener) = world_with(&[1, 13]).await;
    world.set(&json!({"notify-drop": 100, "notify-events": [1]}));
    world.executed(5101, 1);
    assert!(
        listener.next().await.body.contains("\"EventTypeID\":13,"),
        "1 was dropped"
    );
    let log = log_until(&world, |log| log[1]["last_status"] == 200).await;
    assert_eq!(
        (&log[0]["dropped"], &log[0]["attempts"]),
        (&json!(true), &json!(0))
    );
    let path = format!("/notifications/{}/redeliver", log[0]["id"]);
    let (status, view) = world.control("POST", &path, Value::Null).await;
    assert_eq!(
        (status, &view["last_status"], &view["attempts"]),
        (200, &json!(200), &json!(1))
    );
    assert_eq!(listener.next().await.body, log[0]["body"].as_str().unwrap());
    assert_eq!(
        world
            .control("POST", "/notifications/999/redeliver", Value::Null)
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn a_share_of_the_notifications_can_be_dropped() {
    let (world, _listener) = world_with(&[2]).await;
    world.set(&json!({"notify-drop": 40}));
    for _ in 0..200 {
        world.control("POST", "/day/close", Value::Null).await;
    }
    let log = log(&world).await;
    let dropped = log.iter().filter(|one| one["dropped"] == true).count();
    assert!(
        (50..110).contains(&dropped),
        "{dropped} of 200 where 40 percent are asked for"
    );
}

#[tokio::test]
async fn pairs_of_notifications_go_out_last_first() {
    let (world, mut listener) = world_with(&[1, 13]).await;
    world.set(&json!({"notify-reorder": "on"}));
    world.executed(5101, 1);
    let arrivals = listener.take(2).await;
    assert!(arrivals[0].body.contains("\"EventTypeID\":13,"));
    assert!(arrivals[1].body.contains("\"EventTypeID\":1,"));
    // Alone, a notification goes out after a wait of two seconds.
    listener.register(&world, "/alone", 4, Value::Null).await;
    world.sandbox.cancel(5101).unwrap();
    assert_eq!(listener.next().await.path, "/alone");
}

#[tokio::test]
async fn a_delay_holds_a_notification_back_in_real_time() {
    let (world, mut listener) = world_with(&[1, 13]).await;
    world.set(&json!({"notify-delay-ms": 300, "notify-events": [13]}));
    let before = world.sandbox.now();
    world.executed(5101, 1);
    listener.take(2).await;
    assert!(world.sandbox.now().duration_since(before).as_millis() >= 300);
}

#[tokio::test]
async fn a_notification_can_be_signed() {
    let (world, mut listener) = world_with(&[1]).await;
    world.set(&json!({"notify-signature": "x-hub-signature"}));
    world
        .control(
            "PUT",
            "/tenants/acme",
            json!({"signing_secret": "a secret"}),
        )
        .await;
    world.executed(5101, 1);
    let arrival = listener.next().await;
    let mut mac = Hmac::<Sha256>::new_from_slice(b"a secret").unwrap();
    mac.update(arrival.body.as_bytes());
    let digest = mac.finalize().into_bytes();
    let hex = digest
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    assert_eq!(
        arrival.header("x-hub-signature"),
        Some(&*format!("sha256={hex}"))
    );
}

#[tokio::test]
async fn a_listener_that_cannot_be_reached_is_noted() {
    let world = World::start().await;
    world.set(&json!({"notify-retry-seconds": []}));
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", nobody.local_addr().unwrap());
    drop(nobody);
    let body = json!({"EventTypeID": 1, "ListenerURL": url});
    assert_eq!(
        world
            .post("/General/RegisterEventListener", body)
            .await
            .status,
        200
    );
    world.executed(5101, 1);
    let log = log_until(&world, |log| log[0]["attempts"] == 1).await;
    assert_eq!(log[0]["last_status"], Value::Null);
    assert_eq!(log[0]["last_error"], "the listener could not be reached");
}

#[tokio::test]
async fn a_reset_ends_what_is_under_way() {
    let (world, mut listener) = world_with(&[1]).await;
    listener.plan(&[Plan::Status(500)]);
    world.executed(5101, 1);
    listener.next().await;
    log_until(&world, |log| log[0]["last_status"] == 500).await;
    assert_eq!(world.control("POST", "/reset", Value::Null).await.0, 200);
    assert_eq!(log(&world).await.len(), 0);
    world
        .control("POST", "/clock/advance", json!({"seconds": 1_000}))
        .await;
    listener.register(&world, "/new", 1, Value::Null).await;
    world.executed(5101, 1);
    assert_eq!(
        listener.next().await.path,
        "/new",
        "the old world's retry never comes"
    );
    assert_eq!(
        world.control("GET", "/switches", Value::Null).await.1["rate-limit-requests"],
        50
    );
}
