//! Pages: their edges, rows that move between them, and lists that never settle.

use serde_json::json;

use super::{holds, paged, resume, switch};

#[tokio::test]
async fn lists_end_at_any_place_of_a_page() {
    let world = paged(10).await;
    for count in [0, 1, 9, 10, 11, 20, 50, 51] {
        let campaign = world.run(count, &json!({})).await;
        assert_eq!(world.ledger(campaign).await.len() as u64, count);
        world.assert_right(campaign).await;
    }
}

#[tokio::test]
async fn lists_without_a_told_size_are_read_twice() {
    let world = paged(10).await;
    switch(&world, &json!({"optional-fields": "absent"}));
    for count in [0, 1, 9, 10, 11, 50] {
        let campaign = world.run(count, &json!({"lead_time": 0})).await;
        world.assert_right(campaign).await;
        let view = super::view(&world, campaign).await;
        for import in view["imports"].as_array().unwrap() {
            assert_eq!(
                (&import["state"], &import["pass"]),
                (&json!("done"), &json!(2))
            );
        }
        assert_eq!(view["counts"]["rows"], 2 * count);
    }
}

#[tokio::test]
async fn a_server_may_give_fewer_rows_than_asked_for() {
    let world = paged(10).await;
    for cap in [1, 3, 9] {
        switch(&world, &json!({ "page-cap": cap }));
        let campaign = world.run(31, &json!({})).await;
        world.assert_right(campaign).await;
    }
}

#[tokio::test]
async fn nothing_is_told_in_four_ways() {
    let world = paged(10).await;
    for empty in ["array", "no-content", "not-found", "empty-body"] {
        switch(&world, &json!({ "empty-result": empty }));
        for count in [0, 10, 15] {
            let campaign = world.run(count, &json!({})).await;
            world.assert_right(campaign).await;
        }
    }
}

#[tokio::test]
async fn rows_that_come_again_are_granted_once() {
    let world = paged(10).await;
    switch(&world, &json!({"page-churn": "repeat"}));
    let campaign = world.run(95, &json!({})).await;
    world.assert_right(campaign).await;
    assert!(world.counts(campaign)["repeated"] > 95, "no row came again");
}

#[tokio::test]
async fn rows_that_were_skipped_are_found_by_another_pass() {
    let world = paged(10).await;
    switch(&world, &json!({"page-churn": "skip"}));
    let campaign = world.run(95, &json!({})).await;
    world.assert_right(campaign).await;
    let view = super::view(&world, campaign).await;
    let passes = view["imports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["pass"].as_u64());
    assert!(passes.max().flatten() > Some(1));
}

#[tokio::test]
async fn a_list_that_never_settles_is_held_until_it_does() {
    let world = paged(10).await;
    switch(&world, &json!({"page-order": "shuffle"}));
    let campaign = world.run(200, &json!({})).await;
    assert!(
        holds(&world, campaign)
            .await
            .contains(&json!("unstable_pages"))
    );
    world.assert_verified();
    switch(&world, &json!({"page-order": "stable"}));
    resume(&world, campaign).await;
    world.assert_right(campaign).await;
}

/// To whoever reads, a server that ignores `$skip` and one whose pages are equal are the same.
#[tokio::test]
async fn a_page_that_comes_again_and_again_is_held() {
    let world = paged(2).await;
    let twin = json!({"id": "twin", "action": 24});
    let campaign = world
        .run(
            0,
            &json!({"audience": {"customers": [&twin, &twin, &twin, &twin, &twin, &twin]}}),
        )
        .await;
    assert_eq!(
        holds(&world, campaign).await,
        [json!("repeated_page"), json!("repeated_page")]
    );
    assert_eq!(world.ledger(campaign).await.len(), 0);
    world.assert_verified();
}
