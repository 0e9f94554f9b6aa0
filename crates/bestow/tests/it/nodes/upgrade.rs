//! A program goes on serving beside the next one: while its migration runs, and on the schema that it leaves.

use std::sync::Arc;

use http::Method;
use serde_json::json;

use super::node::Node;
use super::shared::acme;
use crate::home::Home;

/// Promotions that are put before the migration and after it, each by a request of its own.
const PROMOTIONS: u32 = 20;

#[tokio::test]
async fn the_older_program_serves_beside_the_newer_schema() {
    let home = Arc::new(Home::shared());
    let older = Node::start(&home, &[]);
    older.ok(Method::POST, "/v1/tenants", &acme()).await;
    for number in 0..PROMOTIONS {
        put(&older, number).await;
    }
    let database = Arc::clone(&home);
    let migrating =
        tokio::task::spawn_blocking(move || database.database().migrate_as_a_later_program());
    let mut number = PROMOTIONS;
    while !migrating.is_finished() {
        put(&older, number).await;
        number += 1;
    }
    migrating
        .await
        .expect("it does not panic")
        .expect("it migrates");
    for _ in 0..PROMOTIONS {
        put(&older, number).await;
        number += 1;
    }
    // It may even be started again, beside the one that stayed.
    let again = Node::start(&home, &[]);
    put(&again, number).await;
    older.end();
    put(&again, number + 1).await;
    let kept = again.rows("/v1/tenants/acme/promotions").await;
    assert_eq!(kept.len(), number as usize + 2);
    again.end();
}

async fn put(node: &Node, number: u32) {
    let body = json!({"name": "Twenty", "status": "active", "kind": "shared", "reward": {}});
    let path = format!("/v1/tenants/acme/promotions/P{number}");
    node.ok(Method::PUT, &path, &body).await;
    let told = node.get(&path).await;
    assert_eq!(told["name"], "Twenty");
}
