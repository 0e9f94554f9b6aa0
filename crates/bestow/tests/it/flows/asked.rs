//! Campaigns that ask before they send, or tell of one customer at a time: conditional, triggered, with the gateway.

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Spans, live, pass, put, spans, world};
use crate::support::World;

async fn stands(world: &World, campaign: u64) -> Value {
    let path = format!("/_sandbox/campaigns/{campaign}");
    world.control(Method::GET, &path, &Value::Null).await
}

/// Three send groups with a deadline each; somebody is excluded, and a code has fewer places than customers.
#[tokio::test]
async fn a_conditional_campaign_of_three_rounds_is_sent_to_exactly_the_approved() {
    let world = world(&json!({"conditional": true, "time_zone": "Europe/Lisbon"})).await;
    put(
        &world,
        "CB10",
        &json!({"limits": {"per_customer": 1, "total": 10}}),
    )
    .await;
    let rounds = json!({"conditional-version": "v2", "conditional-rounds": 3});
    world
        .sandbox
        .set_switches(&rounds)
        .expect("these switches exist");
    let excluded = json!({"customer_ids": ["P-1", "P-2"], "reason": "asked to be left alone"});
    world.post("/v1/tenants/acme/exclusions", &excluded).await;
    let over = json!({
        "kind": "conditional",
        "actions": [
            {"id": 24, "promo_codes": ["FS20"], "share": 0.5, "channels": [{"id": 504}]},
            {"id": 25, "promo_codes": ["CB10"], "share": 0.5, "channels": [{"id": 505}]},
        ],
    });
    let campaign = world.plan(60, &over);
    world.sandbox.hold(campaign, 3_600).expect("it is held");
    for _ in 0..12 {
        pass(&world, 900).await;
    }
    let stands = stands(&world, campaign).await;
    assert_eq!(stands["status"], "executed");
    // Half of 60 have FS20, less those who are excluded; of the others ten get CB10.
    let by_code = |code: &str| {
        let sent = world.oracle(campaign);
        sent.keys().filter(|(_, of)| of == code).count()
    };
    assert_eq!(by_code("CB10"), 10);
    assert!((28..=30).contains(&by_code("FS20")));
    assert_eq!(stands["sent"], by_code("CB10") + by_code("FS20"));
    world.assert_right(campaign).await;
    let spans = spans(world.oracle(campaign));
    let strangers = [
        ("P-1", "FS20"),
        ("P-1", "CB10"),
        ("P-2", "FS20"),
        ("P-2", "CB10"),
    ];
    live(&world, "acme", &spans, &strangers).await;
    world.assert_verified();
}

/// A tenant with the real-time channel, and a triggered campaign that the sandbox calls `rt-812`.
async fn triggered(campaign: &Value) -> World {
    let world = world(&json!({"triggered_channels": [15], "conditional": true})).await;
    let spec = json!({
        "tenant": "acme", "id": "rt-812", "kind": "triggered", "notes": "{\"duration\":7}",
        "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 15}]}],
    });
    let spec = crate::support::changed(spec, campaign);
    world.sandbox.plan(spec).expect("the campaign is planned");
    world
}

/// Somebody meets the trigger. Whether event 11 went out.
async fn meet(world: &World, customer: &str) -> bool {
    let trigger = json!({"tenant": "acme", "campaign_id": "rt-812", "customer_id": customer});
    let outcome = world
        .sandbox
        .trigger(trigger)
        .await
        .expect("it is triggered");
    world.settle().await;
    outcome.sent
}

fn expected(world: &World) -> Spans {
    let mut spans = Spans::new();
    for one in world
        .sandbox
        .expected_of_triggers("rt-812")
        .expect("it is triggered")
    {
        let span = (
            one.starts_at.as_millisecond(),
            one.ends_at.map(Timestamp::as_millisecond),
        );
        spans
            .entry((one.customer_id, one.promo_code))
            .or_default()
            .push(span);
    }
    spans
}

#[tokio::test]
async fn each_trigger_gives_seven_days_from_its_own_second_on() {
    let world = triggered(&json!({})).await;
    put(&world, "FS20", &json!({"limits": {"per_customer": 2}})).await;
    assert!(meet(&world, "P-1").await);
    world.travel("2027-03-25T07:00:00Z").await;
    assert!(meet(&world, "P-2").await);
    world.travel("2027-03-27T07:00:00Z").await;
    assert!(meet(&world, "P-1").await);
    let spans = expected(&world);
    let sizes: Vec<usize> = spans.values().map(Vec::len).collect();
    assert_eq!(sizes, [2, 1]);
    let answer = super::ask(&world, "acme", "P-1", "FS20").await;
    assert_eq!(answer["eligible"], true, "{answer}");
    live(&world, "acme", &begun(spans), &[("P-3", "FS20")]).await;
    world.assert_verified();
}

/// Optimove asks whether each customer may get it before it sends; there is room for three of five.
#[tokio::test]
async fn the_gateway_says_yes_as_often_as_there_is_room() {
    let world = triggered(&json!({"conditional": true})).await;
    put(
        &world,
        "FS20",
        &json!({"limits": {"per_customer": 1, "total": 3}}),
    )
    .await;
    let mut sent = Vec::new();
    for customer in ["P-1", "P-2", "P-1", "P-3", "P-4", "P-5"] {
        sent.push(meet(&world, customer).await);
    }
    // The second time P-1 has it already.
    assert_eq!(sent, [true, true, false, true, false, false]);
    let spans = expected(&world);
    assert_eq!(spans.len(), 3);
    for (customer, code) in spans.keys() {
        let answer = super::ask(&world, "acme", customer, code).await;
        assert_eq!(answer["eligible"], true, "{customer}: {answer}");
    }
    super::nobody(&world, "acme", &[("P-4", "FS20"), ("P-5", "FS20")]).await;
    live(
        &world,
        "acme",
        &begun(spans),
        &[("P-4", "FS20"), ("P-5", "FS20")],
    )
    .await;
    world.assert_verified();
}

/// The same as if they had always run: their starts are over, and the clock of a test only goes forward.
fn begun(spans: Spans) -> Spans {
    let always = |(_, end)| (i64::MIN, end);
    spans
        .into_iter()
        .map(|(pair, spans)| (pair, spans.into_iter().map(always).collect()))
        .collect()
}
