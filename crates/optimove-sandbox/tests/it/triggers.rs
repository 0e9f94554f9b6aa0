//! Triggered campaigns: event 11, its forms, and the oracle of triggers.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::listener::{Listener, Plan};
use crate::world::World;

const TAGS: &str = r#"{"event_deposit_amount":50,"event_device_type":"mobile","FIRST_NAME":"Ada"}"#;

/// The triggered campaign of the golden bodies.
pub(crate) fn triggered(id: &str) -> Value {
    json!({
        "tenant": "acme", "id": id, "kind": "triggered", "notes": "{\"duration\":7}",
        "actions": [{"id": 24, "name": "Reload", "promo_codes": ["FS20", "CB10"],
                     "channels": [{"id": 15, "template_id": 31, "template_name": "Reload EN"}]}],
    })
}

/// A world at the time of the golden body, with a listener for event 11 on the channel.
async fn world_with(channel: Value) -> (World, Listener) {
    let world = World::start().await;
    world.at("2025-03-04T10:11:12.345Z");
    let listener = Listener::start().await;
    listener.register(&world, "/hook", 11, channel).await;
    (world, listener)
}

fn golden(name: &str) -> Value {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/notifications/");
    serde_json::from_slice(&std::fs::read(format!("{root}{name}.json")).unwrap()).unwrap()
}

fn trigger(campaign: &str, customer: &str) -> Value {
    json!({"tenant": "acme", "campaign_id": campaign, "customer_id": customer})
}

async fn body(listener: &mut Listener) -> Value {
    serde_json::from_str(&listener.next().await.body).unwrap()
}

async fn expected(world: &World, id: &str) -> Vec<Value> {
    let target = format!("/_sandbox/campaigns/{id}/expected");
    let answer = world.send("GET", &target, &[], b"").await.unwrap();
    let lines = answer.text().lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn a_trigger_sends_the_documented_body_to_its_channel() {
    let (world, mut listener) = world_with(json!(15)).await;
    listener.register(&world, "/other", 11, json!(504)).await;
    let view = world.ok("POST", "/campaigns", triggered("rt-812")).await;
    assert_eq!(
        (&view["id"], &view["kind"]),
        (&json!("rt-812"), &json!("triggered"))
    );
    let mut body = trigger("rt-812", "P-20031");
    body["attributes"] = serde_json::from_str(TAGS).unwrap();
    let outcome = world.ok("POST", "/triggers", body).await;
    let arrival = listener.next().await;
    assert_eq!(arrival.path, "/hook");
    let sent: Value = serde_json::from_str(&arrival.body).unwrap();
    assert_eq!(sent, golden("event-11.camel"));
    assert_eq!(
        outcome,
        json!({
            "action": 24, "asked": false, "allowed": null, "answer_status": null, "problem": null,
            "waited_ms": 0, "sent": true, "notification_ids": [1],
        })
    );
    let line = |code: &str| {
        json!({
            "customer_id": "P-20031", "promo_code": code, "starts_at": "2025-03-04T10:11:12Z",
            "ends_at": "2025-03-11T10:11:12Z", "occurrence_time": "2025-03-04 10:11:12",
        })
    };
    assert_eq!(
        expected(&world, "RT-812").await,
        [line("FS20"), line("CB10")]
    );
    let view = world.ok("GET", "/campaigns/rt-812", Value::Null).await;
    assert_eq!(
        (&view["status"], &view["sent"]),
        (&json!("executed"), &json!(1))
    );
}

#[tokio::test]
async fn the_body_comes_in_each_form() {
    let (world, mut listener) = world_with(Value::Null).await;
    world.sandbox.add_campaign(triggered("90121")).unwrap();
    let mut trigger_with = async |switches: Value| {
        world.set(&switches);
        let mut body = trigger("90121", "00731");
        body["attributes"] = serde_json::from_str(TAGS).unwrap();
        world.ok("POST", "/triggers", body).await;
        self::body(&mut listener).await
    };
    let camel = trigger_with(json!({})).await;
    assert_eq!(camel["campaignID"], 90_121);
    for (form, value) in [
        ("array", json!(["FS20", "CB10"])),
        ("csv", golden("event-11.csv-promo")["promoCode"].clone()),
        (
            "json-array-string",
            golden("event-11.json-array-in-string")["promoCode"].clone(),
        ),
        ("null-value", Value::Null),
    ] {
        let sent = trigger_with(json!({"event11-promo-code": form})).await;
        assert_eq!(sent.get("promoCode"), Some(&value), "{form}");
    }
    let absent = trigger_with(json!({"event11-promo-code": "absent"})).await;
    assert_eq!(absent.get("promoCode"), None);
    let pascal =
        trigger_with(json!({"event11-promo-code": null, "event11-casing": "pascal"})).await;
    for name in golden("event-11.pascal").as_object().unwrap().keys() {
        assert!(pascal.get(name).is_some(), "{name} in {pascal}");
    }
    assert_eq!(
        pascal["event_deposit_amount"], 50,
        "attributes keep their names"
    );
    let nested =
        trigger_with(json!({"event11-casing": null, "event11-parameters": "nested"})).await;
    assert_eq!(
        (&nested["eventParameters"], &nested["personalizationTags"]),
        (
            &json!({"deposit_amount": 50, "device_type": "mobile"}),
            &json!({"FIRST_NAME": "Ada"})
        )
    );
    let nameless =
        trigger_with(json!({"event11-parameters": null, "event-type-in-body": "off"})).await;
    assert_eq!(nameless.get("eventTypeID"), None);
    let with_codes = expected(&world, "90121").await.len();
    assert_eq!(
        with_codes,
        7 * 2,
        "codes that are not in a body are not expected"
    );
}

#[tokio::test]
async fn each_trigger_has_its_own_time_stamp_and_a_repeat_has_the_same_bytes() {
    let (world, mut listener) = world_with(json!(15)).await;
    world.sandbox.plan(triggered("rt-812")).unwrap();
    world.set(&json!({"notify-duplicate": 1}));
    let mut stamps = Vec::new();
    for _ in 0..5 {
        world
            .ok("POST", "/triggers", trigger("rt-812", "P-1"))
            .await;
        let (first, second) = (listener.next().await, listener.next().await);
        assert_eq!(first.body, second.body);
        let sent: Value = serde_json::from_str(&first.body).unwrap();
        stamps.push(sent["timeStamp"].as_str().unwrap().to_owned());
    }
    let distinct: HashSet<_> = stamps.iter().collect();
    assert_eq!(distinct.len(), 5, "{stamps:?}");
    assert_eq!(stamps[0], "2025-03-04 10:11:12");
    let oracle: Vec<_> = expected(&world, "rt-812").await;
    let times = oracle
        .iter()
        .map(|line| line["occurrence_time"].as_str().unwrap());
    let times: HashSet<_> = times.map(str::to_owned).collect();
    assert_eq!(times, stamps.into_iter().collect());
    // Another customer does not have to give way.
    world
        .ok("POST", "/triggers", trigger("rt-812", "P-2"))
        .await;
    assert_eq!(
        body(&mut listener).await["timeStamp"]
            .as_str()
            .unwrap()
            .len(),
        19
    );
}

#[tokio::test]
async fn notes_give_the_days_and_the_zone_gives_the_clock() {
    for (notes, ends) in [
        (r#"{"duration":1}"#, json!("2025-03-30T08:30:00Z")),
        (r#"{"Duration":"2"}"#, json!("2025-03-31T08:30:00Z")),
        (r#"{"duration":0}"#, json!("2025-03-29T23:00:00Z")),
        (r#"{"duration":-1}"#, Value::Null),
        (r#"{"duration":1.5}"#, Value::Null),
        (r#"{"days":1}"#, Value::Null),
        ("reload for regulars", Value::Null),
        ("[7]", Value::Null),
    ] {
        let (world, _listener) = world_with(json!(15)).await;
        let zone = json!({"time_zone": "Europe/Berlin"});
        world.ok("PUT", "/tenants/acme", zone).await;
        world.at("2025-03-29T09:30:00Z");
        let mut spec = triggered("rt-812");
        spec["notes"] = notes.into();
        world.sandbox.plan(spec).unwrap();
        world
            .ok("POST", "/triggers", trigger("rt-812", "P-1"))
            .await;
        let line = &expected(&world, "rt-812").await[0];
        assert_eq!(line["starts_at"], "2025-03-29T09:30:00Z");
        assert_eq!(line["occurrence_time"], "2025-03-29 10:30:00");
        assert_eq!(line["ends_at"], ends, "{notes}");
    }
}

#[tokio::test]
async fn actions_are_drawn_by_share_and_stay_with_the_customer() {
    let (world, _listener) = world_with(json!(15)).await;
    let mut spec = triggered("rt-812");
    spec["control_share"] = json!(0.2);
    let channels = json!([{"id": 15}]);
    spec["actions"] = json!([
        {"id": 24, "share": 0.75, "promo_codes": ["A"], "channels": channels},
        {"id": 25, "share": 0.25, "promo_codes": ["B"], "channels": channels},
    ]);
    world.sandbox.plan(spec).unwrap();
    let mut drawn = [0_u32; 3];
    for number in 0..400 {
        let body = trigger("rt-812", &format!("P-{number}"));
        let first = world.sandbox.trigger(body.clone()).await.unwrap();
        assert_eq!(
            first.sent,
            first.action != 1,
            "the control group gets nothing"
        );
        let again = world.sandbox.trigger(body).await.unwrap();
        assert_eq!(first.action, again.action);
        drawn[[1, 24, 25]
            .iter()
            .position(|id| *id == first.action)
            .unwrap()] += 1;
    }
    let within = |count: u32, low: u32, high: u32| (low..high).contains(&count);
    assert!(
        within(drawn[0], 50, 115) && within(drawn[1], 195, 285) && within(drawn[2], 45, 115),
        "{drawn:?}"
    );
    let mut named = trigger("rt-812", "P-1");
    for action in [1_u64, 24, 25] {
        named["action"] = action.into();
        let outcome = world.sandbox.trigger(named.clone()).await.unwrap();
        assert_eq!(outcome.action, action);
    }
    named["action"] = 26.into();
    assert!(world.sandbox.trigger(named).await.is_err());
}

#[tokio::test]
async fn a_visitor_is_told_apart() {
    let (world, mut listener) = world_with(json!(15)).await;
    world.sandbox.plan(triggered("rt-812")).unwrap();
    world
        .ok("POST", "/triggers", trigger("rt-812", "P-1"))
        .await;
    assert_eq!(body(&mut listener).await.get("isVisitor"), None);
    let mut visitor = trigger("rt-812", "v-5f2c");
    visitor["is_visitor"] = true.into();
    world.ok("POST", "/triggers", visitor).await;
    assert_eq!(body(&mut listener).await["isVisitor"], true);
}

#[tokio::test]
async fn what_a_switch_drops_is_not_expected_until_it_is_redelivered() {
    let (world, mut listener) = world_with(json!(15)).await;
    world.sandbox.plan(triggered("rt-812")).unwrap();
    world.set(&json!({"notify-drop": 100, "notify-events": [11]}));
    let outcome = world
        .ok("POST", "/triggers", trigger("rt-812", "P-1"))
        .await;
    assert_eq!(
        (&outcome["sent"], &outcome["notification_ids"]),
        (&json!(false), &json!([1]))
    );
    assert_eq!(expected(&world, "rt-812").await.len(), 0);
    world
        .ok("POST", "/notifications/1/redeliver", Value::Null)
        .await;
    assert_eq!(body(&mut listener).await["customerID"], "P-1");
    assert_eq!(expected(&world, "rt-812").await.len(), 2);
    let nobody = World::start().await;
    nobody.sandbox.plan(triggered("rt-812")).unwrap();
    let outcome = nobody
        .sandbox
        .trigger(trigger("rt-812", "P-1"))
        .await
        .unwrap();
    assert!(!outcome.sent, "nobody listens");
    assert_eq!(expected(&nobody, "rt-812").await.len(), 0);
}

#[tokio::test]
async fn a_cancelled_campaign_sends_event_4_and_is_triggered_no_more() {
    let (world, mut listener) = world_with(json!(15)).await;
    listener.register(&world, "/cancel", 4, Value::Null).await;
    world.sandbox.plan(triggered("rt-812")).unwrap();
    world
        .ok("POST", "/triggers", trigger("rt-812", "P-1"))
        .await;
    listener.next().await;
    world
        .ok("POST", "/campaigns/rt-812/cancel", Value::Null)
        .await;
    let event: Value = serde_json::from_str(&listener.next().await.body).unwrap();
    assert_eq!(
        (&event["EventTypeID"], &event["CampaignID"]),
        (&json!(4), &json!("rt-812"))
    );
    assert_eq!(expected(&world, "rt-812").await.len(), 0);
    let (status, _) = world
        .control("POST", "/triggers", trigger("rt-812", "P-1"))
        .await;
    assert_eq!(status, 409);
}

#[tokio::test]
async fn a_wrong_trigger_is_refused() {
    let (world, _listener) = world_with(json!(15)).await;
    world.sandbox.plan(triggered("rt-812")).unwrap();
    world.executed(5101, 1);
    for (body, wanted) in [
        (trigger("rt-813", "P-1"), 404),
        (trigger("5101", "P-1"), 400),
        (trigger("rt-812", ""), 400),
        (json!({"campaign_id": "rt-812"}), 400),
        (
            json!({"campaign_id": "rt-812", "customer_id": "P", "attributes": {"Customerid": 1}}),
            400,
        ),
        (
            json!({"campaign_id": "rt-812", "customer_id": "P", "visitor": true}),
            400,
        ),
        (
            json!({"tenant": "none", "campaign_id": "rt-812", "customer_id": "P"}),
            404,
        ),
    ] {
        let (status, answer) = world.control("POST", "/triggers", body.clone()).await;
        assert_eq!(status, wanted, "{body}: {answer}");
    }
    let (status, _) = world
        .control("POST", "/campaigns/rt-812/process", Value::Null)
        .await;
    assert_eq!(status, 409, "it runs already");
    let mut two = triggered("two");
    two["actions"][0]["channels"] = json!([{"id": 15}, {"id": 504}]);
    assert!(
        world.sandbox.plan(two).is_err(),
        "a trigger sends one notification"
    );
    assert!(world.sandbox.plan(triggered("a/b")).is_err());
    assert!(
        world.sandbox.plan(triggered("RT-812")).is_err(),
        "the id is taken"
    );
    let of_the_api = world
        .get("/actions/GetCampaignDetails?CampaignID=90121")
        .await;
    world.sandbox.plan(triggered("90121")).unwrap();
    assert_eq!(of_the_api.status, 404, "all is in the notification");
}

#[tokio::test]
async fn one_slow_delivery_does_not_hold_up_the_others() {
    let (world, mut listener) = world_with(json!(15)).await;
    world.sandbox.plan(triggered("rt-812")).unwrap();
    world.set(&json!({"notify-timeout-ms": 60_000}));
    listener.plan(&[Plan::Silence]);
    for number in 0..200 {
        let body = trigger("rt-812", &format!("P-{number}"));
        world.sandbox.trigger(body).await.unwrap();
    }
    let arrivals = listener.take(200).await;
    let bodies: HashSet<_> = arrivals.iter().map(|arrival| &arrival.body).collect();
    assert_eq!(bodies.len(), 200);
}

#[tokio::test]
async fn a_failed_trigger_is_sent_again_and_pairs_change_places() {
    let (world, mut listener) = world_with(json!(15)).await;
    world.sandbox.plan(triggered("rt-812")).unwrap();
    listener.plan(&[Plan::Status(500)]);
    world
        .ok("POST", "/triggers", trigger("rt-812", "P-1"))
        .await;
    let first = listener.next().await;
    while world.ok("GET", "/notifications", Value::Null).await["data"][0]["last_status"] != 500 {
        tokio::task::yield_now().await;
    }
    world.advance(61);
    assert_eq!(first.body, listener.next().await.body);
    world.set(&json!({"notify-reorder": "on", "notify-events": [11]}));
    for customer in ["P-2", "P-3"] {
        world
            .ok("POST", "/triggers", trigger("rt-812", customer))
            .await;
    }
    assert_eq!(body(&mut listener).await["customerID"], "P-3");
    assert_eq!(body(&mut listener).await["customerID"], "P-2");
}
