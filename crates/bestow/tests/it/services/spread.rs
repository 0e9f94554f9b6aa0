//! The service over tables in pieces, as over shards.

use bestow_store::Error;
use bestow_store::spread::{Engine, Spread};
use serde_json::json;

use crate::home;
use crate::support::World;

#[tokio::test]
async fn campaigns_are_right_before_and_after_the_tables_are_spread() {
    let world = World::connected().await;
    let before = world.run(120, &json!({})).await;
    let pieces = Spread::new(Engine::Partitions, 3).expect("so many may be");
    let spread = world.app.store.spread(pieces);
    if home::server().is_some() {
        assert!(spread.expect("it is spread") > 20);
    } else {
        assert!(matches!(spread, Err(Error::CannotSpread(_))), "{spread:?}");
    }
    let after = world
        .run(
            120,
            &json!({"audience": {"count": 120, "prefix": "P-"}, "duration": 9}),
        )
        .await;
    world.assert_right(before).await;
    world.assert_right(after).await;
}
