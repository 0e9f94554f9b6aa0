//! The harness itself: a campaign goes all the way, and a crash between two transactions changes
//! nothing.

use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn a_campaign_goes_from_execution_to_grants() {
    let world = World::connected().await;
    let campaign = world.run(120, &json!({"control_share": 0.25})).await;
    let ledger = world.ledger(campaign).await;
    assert_eq!(ledger.len(), 90);
    world.assert_right(campaign).await;
    let counts = world.counts(campaign);
    assert_eq!(
        (counts["pairs"], counts["granted"], counts["repeated"]),
        (180, 90, 90)
    );
}

#[tokio::test]
async fn a_world_that_is_opened_again_goes_on_where_it_stood() {
    let world = World::connected().await;
    let campaign = world.plan(50, &json!({}));
    world
        .sandbox
        .process(campaign)
        .expect("the campaign is executed");
    world.delivered().await;
    let world = world.reopen().await;
    world.settle().await;
    world.assert_right(campaign).await;
}
