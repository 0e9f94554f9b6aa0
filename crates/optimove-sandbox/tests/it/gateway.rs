//! Triggered conditional execution: the gateway, the webhook, and what silence comes to.

use serde_json::{Value, json};

use crate::listener::{Arrival, Listener, Plan};
use crate::triggers::triggered;
use crate::world::{KEY, World};

const GATEWAY: &str = "/triggered_conditional_execution_gateway";
const WEBHOOKS: &str = "/conditional-execution/v2/triggered/webhooks/";
const APPROVAL: &str = "/conditional-execution/v2/triggered/approval";
const JSON: &str = "Content-Type: application/json";

fn golden(name: &str) -> Value {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/gateway/");
    serde_json::from_slice(&std::fs::read(format!("{root}{name}.json")).unwrap()).unwrap()
}

/// Allows everyone but visitors.
fn reply(arrival: &Arrival) -> String {
    let asked: Value = serde_json::from_str(&arrival.body).unwrap_or_default();
    let user = &asked["user"];
    let allowed = user["is_visitor"] == false;
    json!({"user_id": user["user_id"], "allowed": allowed}).to_string()
}

/// The campaign of the golden questions.
fn asking(id: &str) -> Value {
    let mut spec = triggered(id);
    spec["conditional"] = true.into();
    spec["series_id"] = json!("812");
    spec["tags"] = json!(["vip"]);
    spec["actions"][0]["promo_codes"] = json!(["FS20"]);
    spec
}

/// A world with campaign 90121, a gateway, and a listener for event 11.
async fn world_with_gateway() -> (World, Listener, Listener) {
    let world = World::start().await;
    let gateway = Listener::answering(reply).await;
    let listener = Listener::start().await;
    listener.register(&world, "/11", 11, json!(15)).await;
    let url = format!("{}/gateway", gateway.url());
    let body = json!({"url": url}).to_string();
    let put = world
        .send("PUT", GATEWAY, &[KEY, JSON], body.as_bytes())
        .await;
    assert_eq!(put.unwrap().status, 200);
    world.sandbox.add_campaign(asking("90121")).unwrap();
    (world, gateway, listener)
}

async fn trigger(world: &World, customer: &str) -> Value {
    let body = json!({"tenant": "acme", "campaign_id": 90_121, "customer_id": customer});
    world.ok("POST", "/triggers", body).await
}

/// What a trigger led to: the decision, the answer's status, whether event 11 went out.
fn gist(outcome: &Value) -> (Value, Value, Value) {
    let field = |name: &str| outcome[name].clone();
    (field("allowed"), field("answer_status"), field("sent"))
}

#[tokio::test]
async fn the_gateway_is_set_shown_and_removed() {
    let world = World::start().await;
    assert_eq!(world.get(GATEWAY).await.status, 404);
    let put = async |body: &Value| {
        let body = body.to_string();
        let answer = world
            .send("PUT", GATEWAY, &[KEY, JSON], body.as_bytes())
            .await;
        answer.unwrap().status
    };
    let register = golden("register");
    assert_eq!(put(&register).await, 200);
    assert_eq!(
        world
            .get("/Current//Triggered_Conditional_Execution_Gateway")
            .await
            .json(),
        register
    );
    assert_eq!(put(&json!({"URL": "https://b.test/2"})).await, 200);
    assert_eq!(
        world.get(GATEWAY).await.json()["url"],
        "https://b.test/2",
        "there is one"
    );
    for wrong in [json!({}), json!({"url": "/relative"}), json!([])] {
        assert_eq!(put(&wrong).await, 400, "{wrong}");
    }
    let form = world
        .send("PUT", GATEWAY, &[KEY], register.to_string().as_bytes())
        .await;
    assert_eq!(form.unwrap().status, 400, "a PUT needs a content type");
    let delete = async || {
        world
            .send("DELETE", GATEWAY, &[KEY], b"")
            .await
            .unwrap()
            .status
    };
    assert_eq!(delete().await, 200);
    assert_eq!(world.get(GATEWAY).await.status, 404);
    assert_eq!(delete().await, 200);
    assert_eq!(world.post(GATEWAY, register).await.status, 405);
}

#[tokio::test]
async fn the_gateway_is_asked_the_documented_question_before_event_11() {
    let (world, mut gateway, mut listener) = world_with_gateway().await;
    let outcome = trigger(&world, "P-20031").await;
    assert_eq!(gist(&outcome), (json!(true), json!(200), json!(true)));
    assert_eq!(
        (&outcome["asked"], &outcome["problem"]),
        (&json!(true), &Value::Null)
    );
    let arrival = gateway.next().await;
    assert_eq!(arrival.path, "/gateway");
    assert_eq!(arrival.header("content-type"), Some("application/json"));
    let asked: Value = serde_json::from_str(&arrival.body).unwrap();
    assert_eq!(asked, golden("request"));
    assert!(listener.next().await.body.contains("P-20031"));
    let visitor = json!({"campaign_id": 90_121, "customer_id": "v-5f2c", "is_visitor": true});
    let outcome = world.ok("POST", "/triggers", visitor).await;
    assert_eq!(gist(&outcome), (json!(false), json!(200), json!(false)));
    let asked: Value = serde_json::from_str(&gateway.next().await.body).unwrap();
    assert_eq!(asked["user"], golden("request.visitor")["user"]);
    let view = world.ok("GET", "/campaigns/90121", Value::Null).await;
    let counts = ["approved", "denied", "sent"].map(|name| view[name].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 1]);
    assert_eq!(
        world.told(11).await.len(),
        1,
        "nobody is told of the denied"
    );
}

#[tokio::test]
async fn ids_are_numbers_or_text_and_an_action_without_codes_has_null() {
    let (world, mut gateway, _listener) = world_with_gateway().await;
    let mut asked = async |campaign: &str| {
        let body = json!({"campaign_id": campaign, "customer_id": "00731"});
        world.sandbox.trigger(body).await.unwrap();
        serde_json::from_str::<Value>(&gateway.next().await.body).unwrap()
    };
    let ids = |asked: &Value| {
        (
            asked["campaign"]["id"].clone(),
            asked["campaign"]["series_id"].clone(),
        )
    };
    assert_eq!(ids(&asked("90121").await), (json!(90_121), json!(812)));
    world.set(&json!({"gateway-ids": "string"}));
    assert_eq!(ids(&asked("90121").await), (json!("90121"), json!("812")));
    let mut spec = asking("rt-812");
    spec["actions"][0]["promo_codes"] = json!([]);
    world.sandbox.plan(spec).unwrap();
    let without = asked("rt-812").await;
    let golden = golden("request.string-ids");
    assert_eq!(ids(&without), ids(&golden));
    assert_eq!(without["campaign"]["action"]["promo_codes"], Value::Null);
}

#[tokio::test]
async fn an_unusable_answer_counts_as_the_switch_says() {
    let (world, gateway, _listener) = world_with_gateway().await;
    for (plan, status) in [
        (Plan::Status(500), json!(500)),
        (Plan::Status(302), json!(302)),
        (Plan::Body(""), json!(200)),
        (Plan::Body("true"), json!(200)),
        (Plan::Body(r#"{"user_id":"P-1"}"#), json!(200)),
        (
            Plan::Body(r#"{"user_id":"P-1","allowed":"true"}"#),
            json!(200),
        ),
        (
            Plan::Body(r#"{"user_id":"p-1","allowed":true}"#),
            json!(200),
        ),
        (Plan::Body(r#"{"allowed":true}"#), json!(200)),
    ] {
        for (switch, allowed) in [("deny", false), ("allow", true)] {
            world.set(&json!({"gateway-on-error": switch}));
            gateway.plan(&[plan]);
            let outcome = trigger(&world, "P-1").await;
            let wanted = (json!(allowed), status.clone(), json!(allowed));
            assert_eq!(gist(&outcome), wanted, "{plan:?} {switch}");
            assert!(outcome["problem"].is_string());
        }
    }
    gateway.plan(&[Plan::Body(r#"{"USER_ID":"P-1","Allowed":true,"more":1}"#)]);
    assert_eq!(
        gist(&trigger(&world, "P-1").await).0,
        json!(true),
        "names in any case"
    );
}

#[tokio::test]
async fn silence_counts_as_the_switch_says_after_the_time_of_another() {
    let (world, gateway, _listener) = world_with_gateway().await;
    world.set(&json!({"gateway-timeout-ms": 40}));
    for (switch, allowed) in [("deny", false), ("allow", true)] {
        world.set(&json!({"gateway-on-timeout": switch}));
        gateway.plan(&[Plan::Silence]);
        let outcome = trigger(&world, "P-1").await;
        assert_eq!(
            gist(&outcome),
            (json!(allowed), Value::Null, json!(allowed))
        );
        assert!(outcome["waited_ms"].as_u64().unwrap() >= 40, "{outcome}");
    }
}

#[tokio::test]
async fn a_gateway_that_cannot_be_reached_is_an_error() {
    let world = World::start().await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", nobody.local_addr().unwrap());
    drop(nobody);
    let body = json!({"url": url}).to_string();
    world
        .send("PUT", GATEWAY, &[KEY, JSON], body.as_bytes())
        .await
        .unwrap();
    world.sandbox.add_campaign(asking("90121")).unwrap();
    let outcome = trigger(&world, "P-1").await;
    assert_eq!(gist(&outcome), (json!(false), Value::Null, json!(false)));
    assert_eq!(outcome["problem"], "it could not be reached");
}

#[tokio::test]
async fn nobody_is_asked_without_a_gateway_or_by_a_campaign_that_does_not_ask() {
    let (world, gateway, _listener) = world_with_gateway().await;
    world.sandbox.plan(triggered("rt-812")).unwrap();
    let plain = json!({"campaign_id": "rt-812", "customer_id": "P-1"});
    let outcome = world.ok("POST", "/triggers", plain).await;
    assert_eq!(
        (&outcome["asked"], &outcome["sent"]),
        (&json!(false), &json!(true))
    );
    world.send("DELETE", GATEWAY, &[KEY], b"").await.unwrap();
    let outcome = trigger(&world, "P-1").await;
    assert_eq!(
        (&outcome["asked"], &outcome["sent"]),
        (&json!(false), &json!(true))
    );
    drop(gateway);
}

/// A world with campaign 90121 and a webhook, under version 2.
async fn world_with_webhook() -> (World, Listener) {
    let (world, _gateway, _listener) = world_with_gateway().await;
    let webhook = Listener::start().await;
    let body = json!({"url": format!("{}/webhook", webhook.url())});
    assert_eq!(world.post(WEBHOOKS, body).await.status, 200);
    world.set(&json!({"gateway-version": "v2", "gateway-timeout-ms": 60_000}));
    (world, webhook)
}

#[tokio::test]
async fn under_version_2_the_decision_comes_by_a_call_of_its_own() {
    let (world, mut webhook) = world_with_webhook().await;
    for (allowed, form) in [
        (true, json!({"campaign": {"id": 90_121}})),
        (false, json!({"campaign_id": "90121"})),
        (true, json!({"campaign": "90121"})),
    ] {
        let deciding = async {
            let arrival = webhook.next().await;
            assert_eq!(arrival.path, "/webhook");
            let asked: Value = serde_json::from_str(&arrival.body).unwrap();
            assert_eq!(asked, golden("request"));
            let mut body = form;
            body["user_id"] = "P-20031".into();
            body["allowed"] = allowed.into();
            assert_eq!(world.post(APPROVAL, body).await.status, 200);
        };
        let (outcome, ()) = tokio::join!(trigger(&world, "P-20031"), deciding);
        assert_eq!(gist(&outcome), (json!(allowed), json!(200), json!(allowed)));
    }
}

#[tokio::test]
async fn under_version_2_decisions_find_their_own_question() {
    let (world, mut webhook) = world_with_webhook().await;
    let deciding = async {
        let mut users = Vec::new();
        for _ in 0..3 {
            let asked: Value = serde_json::from_str(&webhook.next().await.body).unwrap();
            users.push(asked["user"]["user_id"].clone());
        }
        for user in users {
            let allowed = user == "P-2";
            let body = json!({"user_id": user, "campaign": {"id": 90_121}, "allowed": allowed});
            assert_eq!(world.post(APPROVAL, body).await.status, 200);
        }
    };
    let (one, two, three, ()) = tokio::join!(
        trigger(&world, "P-1"),
        trigger(&world, "P-2"),
        trigger(&world, "P-3"),
        deciding
    );
    let allowed = [one, two, three].map(|outcome| outcome["allowed"].clone());
    assert_eq!(allowed, [false, true, false]);
}

#[tokio::test]
async fn under_version_2_silence_and_errors_count_as_under_version_1() {
    let (world, webhook) = world_with_webhook().await;
    world.set(&json!({"gateway-timeout-ms": 40, "gateway-on-timeout": "allow"}));
    let outcome = trigger(&world, "P-1").await;
    assert_eq!(gist(&outcome), (json!(true), json!(200), json!(true)));
    webhook.plan(&[Plan::Status(503)]);
    let outcome = trigger(&world, "P-1").await;
    assert_eq!(gist(&outcome), (json!(false), json!(503), json!(false)));
    let late = json!({"user_id": "P-1", "campaign": {"id": 90_121}, "allowed": true});
    assert_eq!(
        world.post(APPROVAL, late.clone()).await.status,
        200,
        "late and ignored"
    );
    world.set(&json!({"late-status": "refuse"}));
    assert_eq!(world.post(APPROVAL, late).await.status, 400);
    world.set(&json!({"late-status": null}));
    for wrong in [
        json!({"user_id": "P-1", "campaign": {"id": 1}, "allowed": true}),
        json!({"user_id": "P-1", "allowed": true}),
        json!({"campaign": {"id": 90_121}, "allowed": true}),
        json!({"user_id": "P-1", "campaign": {"id": 90_121}, "allowed": "true"}),
    ] {
        assert_eq!(
            world.post(APPROVAL, wrong.clone()).await.status,
            400,
            "{wrong}"
        );
    }
}
