//! Codes of one's own, and many clients on one service.

use std::collections::BTreeSet;

use http::Method;
use serde_json::json;

use super::{live, put, spans, world};
use crate::support::{Holdings, World};

/// Fifteen customers and ten codes: five wait until codes are loaded, and then have their whole window.
#[tokio::test]
async fn unique_codes_are_one_for_each_and_whoever_waits_gets_theirs() {
    let world = world(&json!({})).await;
    put(&world, "GIFT", &json!({"kind": "unique"})).await;
    let pool = "/v1/tenants/acme/promotions/GIFT/codes";
    world.post(pool, &json!({"generate": 10})).await;
    let over = json!({"actions": [{"id": 24, "promo_codes": ["GIFT"],
        "channels": [{"id": 504}, {"id": 505}]}]});
    let campaign = world.run(15, &over).await;
    assert_eq!(world.ledger(campaign).await.len(), 10);
    world.post(pool, &json!({"generate": 20})).await;
    world.settle().await;
    world.assert_right(campaign).await;
    let figures = world.get(pool).await;
    assert_eq!(
        (&figures["loaded"], &figures["assigned"], &figures["free"]),
        (&json!(30), &json!(15), &json!(15))
    );
    let rows = world
        .rows(&format!("/v1/tenants/acme/campaigns/{campaign}/grants"))
        .await;
    let codes: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| row["unique_code"].as_str())
        .collect();
    assert_eq!(codes.len(), 15, "{rows:?}");
    live(
        &world,
        "acme",
        &spans(world.oracle(campaign)),
        &[("P-16", "GIFT")],
    )
    .await;
    world.assert_verified();
}

/// Zones round the world; the same campaign at nine in the morning of each.
const ZONES: [&str; 10] = [
    "Pacific/Kiritimati",
    "Pacific/Auckland",
    "Australia/Lord_Howe",
    "Asia/Tokyo",
    "Asia/Kathmandu",
    "Europe/Lisbon",
    "America/Sao_Paulo",
    "America/St_Johns",
    "America/New_York",
    "Pacific/Honolulu",
];

/// Ten clients with the same customers and codes: each of them begins and ends by its own clock, and none by another's.
#[tokio::test]
async fn ten_clients_begin_and_end_each_by_its_own_clock() {
    let world = World::start().await;
    let mut campaigns = Vec::new();
    for (number, zone) in ZONES.iter().enumerate() {
        campaigns.push(client(&world, number, zone).await);
    }
    for campaign in &campaigns {
        world.sandbox.process(*campaign).expect("it is executed");
    }
    world.settle().await;
    let mut edges = BTreeSet::new();
    let all: Vec<Holdings> = campaigns
        .iter()
        .map(|campaign| world.oracle(*campaign))
        .collect();
    for holdings in &all {
        assert_eq!(holdings.len(), 3);
        edges.extend(
            holdings
                .values()
                .flat_map(|(start, end)| [Some(*start), *end])
                .flatten(),
        );
    }
    assert_eq!(
        edges.len(),
        2 * ZONES.len(),
        "no two of them at the same time"
    );
    for edge in edges {
        for at in [edge - 1_000, edge] {
            world.travel(&bestow::clock::instant(at).to_string()).await;
            for (number, holdings) in all.iter().enumerate() {
                let (start, end) = holdings[&("P-1".to_owned(), "FS20".to_owned())];
                let answer = super::ask(&world, &format!("client{number}"), "P-1", "FS20").await;
                let is_inside = start <= at && end.is_some_and(|end| at < end);
                assert_eq!(
                    answer["eligible"], is_inside,
                    "client {number} at {at}: {answer}"
                );
            }
        }
    }
    world.assert_verified();
}

async fn client(world: &World, number: usize, zone: &str) -> u64 {
    let (id, key) = (format!("client{number}"), format!("client{number}-key"));
    let theirs = json!({ "time_zone": zone, "api_keys": [{"key": key, "role": "admin"}] });
    world
        .control(Method::PUT, &format!("/_sandbox/tenants/{id}"), &theirs)
        .await;
    let ours = json!({
        "id": id, "name": id, "time_zone": zone, "scheduled_channels": [504],
        "optimove": {"base_url": world.sandbox.url(), "auth": {"api_key": key}},
    });
    world.post("/v1/tenants", &ours).await;
    world
        .post(
            &format!("/v1/tenants/{id}/listeners/sync"),
            &serde_json::Value::Null,
        )
        .await;
    world
        .put(
            &format!("/v1/tenants/{id}/promotions/FS20"),
            &json!({"name": "Free spins"}),
        )
        .await;
    let spec = json!({
        "tenant": id, "id": 8_001 + number, "audience": {"count": 3, "prefix": "P-"}, "duration": 2, "lead_time": 1,
        "scheduled_at": "2027-03-27T09:00",
        "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504}]}],
    });
    world.sandbox.add_campaign(spec).expect("it is planned")
}
