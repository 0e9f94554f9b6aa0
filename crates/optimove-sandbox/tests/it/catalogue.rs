//! The promotion catalogue.

use serde_json::{Value, json};

use crate::world::World;

const ADD: &str = "/Integrations/AddPromotions";
const DELETE: &str = "/Integrations/DeletePromotions";

fn golden(name: &str) -> Value {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/requests/");
    serde_json::from_slice(&std::fs::read(format!("{root}{name}.json")).unwrap()).unwrap()
}

async fn catalogue(world: &World) -> Vec<(String, String)> {
    let rows = world.get("/integrations/GetPromotions").await.rows();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.iter()
        .map(|row| (text(row, "PromoCode"), text(row, "PromotionName")))
        .collect()
}

fn entry(code: &str, name: &str) -> (String, String) {
    (code.to_owned(), name.to_owned())
}

#[tokio::test]
async fn promotions_are_added_renamed_and_deleted_without_regard_to_case() {
    let world = World::start().await;
    assert_eq!(world.post(ADD, golden("add-promotions")).await.status, 200);
    assert_eq!(
        world
            .post(ADD, golden("add-promotions.numeric-code"))
            .await
            .status,
        200
    );
    let renamed = json!([{"promocode": "été10", "PROMOTIONNAME": "Summer"}]);
    assert_eq!(world.post(ADD, renamed).await.status, 200);
    let deleted = world.post(DELETE, golden("delete-promotions")).await;
    assert_eq!(
        (deleted.status, deleted.text()),
        (200, ""),
        "an unknown code is no error"
    );
    assert_eq!(
        catalogue(&world).await,
        [
            entry("FS20", "20 free spins"),
            entry("ÉTÉ10", "Summer"),
            entry("2025", "New year bonus"),
        ]
    );
    assert_eq!(
        world
            .post(DELETE, json!([{"PromoCode": "fs20"}]))
            .await
            .status,
        200
    );
    assert_eq!(catalogue(&world).await.len(), 2);
}

#[tokio::test]
async fn a_batch_has_at_most_a_hundred_entries() {
    let world = World::start().await;
    let batch = |count: usize| {
        let entries =
            (0..count).map(|n| json!({"PromoCode": format!("C{n}"), "PromotionName": "x"}));
        Value::Array(entries.collect())
    };
    assert_eq!(world.post(ADD, batch(101)).await.status, 400);
    assert_eq!(catalogue(&world).await, []);
    assert_eq!(world.post(ADD, batch(100)).await.status, 200);
    assert_eq!(catalogue(&world).await.len(), 100);
    assert_eq!(world.post(DELETE, batch(101)).await.status, 400);
    assert_eq!(world.post(DELETE, batch(100)).await.status, 200);
    assert_eq!(catalogue(&world).await, []);
}

#[tokio::test]
async fn one_bad_entry_refuses_all_or_is_skipped() {
    let world = World::start().await;
    let bad = [
        json!({}),
        json!({"PromoCode": " ", "PromotionName": "x"}),
        json!(7),
        json!({"PromoCode": "Y"}),
        json!({"PromoCode": null, "PromotionName": "x"}),
    ];
    for entry in bad {
        let batch = json!([{"PromoCode": "X", "PromotionName": "x"}, entry]);
        world.set(&json!({"batch-bad-entry": null}));
        assert_eq!(world.post(ADD, batch.clone()).await.status, 400, "{entry}");
        assert_eq!(catalogue(&world).await, [], "{entry}");
        world.set(&json!({"batch-bad-entry": "skip"}));
        assert_eq!(world.post(ADD, batch).await.status, 200, "{entry}");
        assert_eq!(catalogue(&world).await.len(), 1, "{entry}");
        world.post(DELETE, json!([{"PromoCode": "X"}])).await;
    }
    assert_eq!(
        world.post(ADD, json!({"PromoCode": "X"})).await.status,
        400,
        "not a list"
    );
}

#[tokio::test]
async fn each_tenant_has_its_own_catalogue() {
    let world = World::start().await;
    let other = json!({"api_keys": [{"key": "other-key"}]});
    assert_eq!(world.control("PUT", "/tenants/other", other).await.0, 201);
    world.post(ADD, golden("add-promotions")).await;
    let target = "/integrations/GetPromotions";
    let answer = world
        .send("GET", target, &["X-API-KEY: other-key"], b"")
        .await
        .unwrap();
    assert_eq!(answer.text(), "[]");
}
