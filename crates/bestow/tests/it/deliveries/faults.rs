//! Destinations that fail.

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::receiver::{Books, Receiver, Troubles};
use super::{delivering, destination};

/// How many grants are delivered through all troubles.
fn grants() -> u64 {
    let wanted = std::env::var("BESTOW_TEST_DELIVERIES").ok();
    wanted.map_or(1_000, |n| n.parse().expect("a number"))
}

const TROUBLES: Troubles = Troubles {
    lost_requests: 10,
    lost_answers: 10,
    failures: 5,
    late_failures: 5,
    refusals: 5,
    repeats: 10,
    slow: 5,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_keys_every_grant_has_its_effects_exactly_once() {
    let receiver = Receiver::start(Books::Keyed, TROUBLES).await;
    let batch = (grants() / 100).clamp(1, 1_000);
    let over = json!({"batch_events_max": batch, "concurrency": 8});
    let (world, secret) = delivering(&receiver, &over).await;
    receiver.expect_signed(&[&secret]);
    let campaign = world.run(grants(), &json!({})).await;
    let path = format!("campaigns/{campaign}/revoke");
    world.of_acme(Method::POST, &path, &json!({})).await;
    world.settle().await;
    assert_eq!(world.deliveries("unknown").await, [Value::Null; 0]);
    assert_eq!(world.deliveries("dead").await, [Value::Null; 0]);
    assert_eq!(world.bonus().await["waiting"], 0);
    receiver.assert_in_order();
    let seen = receiver.seen();
    assert_eq!(seen.grants.len() as u64, grants());
    assert_eq!(seen.effects.len() as u64, 2 * grants());
    assert!(seen.effects.values().all(|times| *times == 1));
    assert!(seen.grants.values().all(|events| events.len() == 2));
    // However often a delivery came, it was the same.
    assert!(seen.requests > seen.bodies.len() as u64);
    assert!(seen.bodies.values().all(|bodies| bodies.len() == 1));
    assert_eq!(seen.unsigned, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_keys_nothing_is_applied_twice_and_every_doubt_is_shown() {
    let troubles = Troubles {
        // What doubles a request behind our back doubles its effect: nobody but keys could tell.
        repeats: 0,
        ..TROUBLES
    };
    let receiver = Receiver::start(Books::Plain, troubles).await;
    let batch = (grants() / 100).clamp(1, 1_000);
    let over = json!({"batch_events_max": batch, "concurrency": 8, "keys": "ignored"});
    let (world, _) = delivering(&receiver, &over).await;
    world.run(grants(), &json!({})).await;
    let unknown = world.deliveries("unknown").await;
    let delivered = world.deliveries("delivered").await;
    assert_eq!(world.deliveries("dead").await, [Value::Null; 0]);
    assert_eq!(world.bonus().await["waiting"], 0);
    let events = |list: &[Value]| {
        let numbers = list
            .iter()
            .map(|one| one["events"].as_u64().expect("a number"));
        numbers.sum::<u64>()
    };
    assert!(!unknown.is_empty());
    assert_eq!(events(&unknown) + events(&delivered), grants());
    let applied = {
        let seen = receiver.seen();
        assert!(seen.effects.values().all(|times| *times == 1), "a double");
        seen.effects.len() as u64
    };
    // All that was delivered was applied, and of the rest it is known that it is not known.
    assert!((events(&delivered)..=grants()).contains(&applied));
    let findings = world.of_acme(Method::GET, "findings", &Value::Null).await;
    assert_eq!(findings["data"][0]["kind"], "delivery_unknown");
    assert_eq!(findings["data"][0]["object"], "destination/bonus");
}

#[tokio::test]
async fn what_is_refused_is_dead_until_somebody_has_it_sent_again() {
    let receiver = Receiver::start(Books::Keyed, Troubles::default()).await;
    let (world, _) = delivering(&receiver, &json!({})).await;
    receiver.answer(422, "");
    world.run(10, &json!({})).await;
    let dead = world.deliveries("dead").await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0]["detail"], "status 422 said so");
    assert_eq!(world.bonus().await["dead"], 1);
    receiver.recover();
    let id = dead[0]["id"].as_str().expect("an id");
    let path = format!("deliveries/{id}/retry");
    let again = world.of_acme(Method::POST, &path, &Value::Null).await;
    assert_eq!(
        (&again["state"], &again["redriven"]),
        (&json!("waiting"), &json!(1))
    );
    world.settle().await;
    assert_eq!(receiver.seen().effects.len(), 10);
    let refused = world.refused(Method::POST, &path, &Value::Null).await;
    assert_eq!(refused, (409, "not_given_up".to_owned()));
    let refused = world
        .refused(Method::POST, "deliveries/dlv_0/retry", &Value::Null)
        .await;
    assert_eq!(refused, (404, "not_found".to_owned()));
}

#[tokio::test]
async fn what_is_sent_again_brings_nothing_back_to_life() {
    let receiver = Receiver::start(Books::Keyed, Troubles::default()).await;
    let (world, _) = delivering(&receiver, &json!({})).await;
    receiver.answer(422, "");
    let campaign = world.run(10, &json!({})).await;
    let dead = world.deliveries("dead").await;
    receiver.recover();
    let path = format!("campaigns/{campaign}/revoke");
    world.of_acme(Method::POST, &path, &json!({})).await;
    world.settle().await;
    let id = dead[0]["id"].as_str().expect("an id");
    let path = format!("deliveries/{id}/retry");
    world.of_acme(Method::POST, &path, &Value::Null).await;
    world.settle().await;
    assert_eq!(world.deliveries("overtaken").await.len(), 1);
    assert_eq!(
        receiver.kinds().into_keys().collect::<Vec<_>>(),
        ["grant.revoked"]
    );
}

#[tokio::test]
async fn a_delivery_that_fails_for_days_is_given_up() {
    let receiver = Receiver::start(Books::Keyed, Troubles::default()).await;
    let (world, _) = delivering(&receiver, &json!({})).await;
    receiver.answer(429, "");
    let campaign = world.plan(10, &json!({"lead_time": 10}));
    world.sandbox.process(campaign).expect("it is executed");
    world.delivered().await;
    world.work().await;
    let begun = world.app.clock.now();
    let (mut tries, mut now) = (0, begun);
    while let Some(next) = world.deliveries("waiting").await.first() {
        // Until it is due, nothing is sent.
        let before = receiver.seen().requests;
        world.work().await;
        assert_eq!(receiver.seen().requests, before);
        let bonus = world.bonus().await;
        let instants = [&next["next_at"], &bonus["rests_until"]];
        let instants = instants.map(|at| at.as_str().map(|at| at.parse().expect("an instant")));
        let at: Timestamp = instants.into_iter().flatten().max().expect("a next try");
        assert!(at > now, "{at} after {now}");
        now = at;
        world.travel(&at.to_string()).await;
        world.work().await;
        tries += 1;
    }
    let dead = world.deliveries("dead").await;
    assert_eq!(dead.len(), 1);
    assert!(tries > 20, "{tries} tries");
    let took = now.duration_since(begun);
    assert!(took.as_hours() >= 60, "{took}");
}

#[tokio::test]
async fn a_destination_that_is_down_is_left_alone_and_caught_up_with() {
    let receiver = Receiver::start(Books::Keyed, Troubles::default()).await;
    let over = json!({"batch_events_max": 1, "concurrency": 4});
    let (world, _) = delivering(&receiver, &over).await;
    receiver.answer(503, "");
    // Few enough that their retries leave an hour free, at which the work rests: long before they are given up.
    world.run(8, &json!({})).await;
    let bonus = world.bonus().await;
    assert!(
        bonus["trouble"]
            .as_str()
            .expect("a text")
            .starts_with("status 503")
    );
    receiver.recover();
    for _ in 0..50 {
        let now = world.app.clock.now_ms() + 3_600_000;
        world.travel(&bestow::clock::instant(now).to_string()).await;
        world.work().await;
    }
    assert_eq!(receiver.kinds()["grant.created"], 8);
    let bonus = world.bonus().await;
    assert_eq!(
        (&bonus["status"], &bonus["trouble"]),
        (&json!("delivering"), &Value::Null)
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::start(Books::Keyed, Troubles::default()).await;
    let receiver = Receiver::start(Books::Keyed, Troubles::default()).await;
    let (world, _) = delivering(&receiver, &json!({})).await;
    for status in [301, 302, 303, 307, 308] {
        receiver.answer(status, &elsewhere.url());
        world.run(1, &json!({})).await;
    }
    assert_eq!(world.deliveries("dead").await.len(), 5);
    assert_eq!(elsewhere.seen().requests, 0);
}

#[tokio::test]
async fn addresses_inside_are_refused_when_they_are_given_and_when_they_are_called() {
    let receiver = Receiver::start(Books::Keyed, Troubles::default()).await;
    let (world, _) = delivering(&receiver, &json!({})).await;
    let port = receiver.address.port();
    for url in [
        "https://10.0.0.1/".to_owned(),
        "https://169.254.169.254/latest".to_owned(),
        format!("http://127.0.0.2:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://0x7f.2:{port}/"),
        "http://example.com/".to_owned(),
        "https://user:word@example.com/".to_owned(),
        "ftp://example.com/".to_owned(),
    ] {
        let body = json!({"id": "inside", "kind": "http", "url": url});
        let refused = world.refused(Method::POST, "destinations", &body).await;
        assert_eq!(refused, (422, "bad_url".to_owned()), "{url}");
    }
    // A name is looked at when it is called: this one leads to 127.0.0.1, which is allowed, and to nothing else.
    let named = json!({"id": "named", "url": format!("http://localhost:{port}/")});
    destination(&world, &receiver, &named).await;
    world.run(1, &json!({})).await;
    let path = "destinations/named";
    let fares = world.of_acme(Method::GET, path, &Value::Null).await;
    let reached = fares["trouble"].is_null()
        || fares["trouble"]
            .as_str()
            .is_some_and(|why| why.contains("::1"));
    assert!(reached, "{fares}");
}

#[tokio::test]
async fn what_a_destination_is_must_make_sense() {
    let receiver = Receiver::start(Books::Keyed, Troubles::default()).await;
    let (world, _) = delivering(&receiver, &json!({})).await;
    let url = receiver.url();
    for (over, code) in [
        (json!({"id": "Bonus"}), "bad_id"),
        (json!({"kind": "smtp"}), "bad_destination"),
        (json!({"batch_events_max": 0}), "bad_destination"),
        (json!({"batch_events_max": 1_001}), "bad_destination"),
        (json!({"concurrency": 65}), "bad_destination"),
        (json!({"keys": "perhaps"}), "bad_keys"),
        (json!({"secret": "whsec_short"}), "bad_secret"),
        (json!({"subject_prefix": "x"}), "bad_destination"),
    ] {
        let body = json!({"id": "other", "kind": "http", "url": url});
        let body = crate::support::changed(body, &over);
        let refused = world.refused(Method::POST, "destinations", &body).await;
        assert_eq!(refused, (422, code.to_owned()), "{over}");
    }
    let again = json!({"id": "bonus", "kind": "http", "url": url});
    let refused = world.refused(Method::POST, "destinations", &again).await;
    assert_eq!(refused, (409, "exists".to_owned()));
}
