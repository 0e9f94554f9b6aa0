//! Several rounds of one campaign, limits, and the edges of chunks.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bestow::actor::Actor;
use bestow::service::promotions;
use serde_json::{Value, json};

use super::{
    Fate, all, closed, complete, conditional, denied, event_5, hold, is_report, judged, only_if,
    pass, rounds, settled, statuses, stood, work,
};
use crate::faults::{switch, view};
use crate::support::World;

/// Writes a promotion of its own limits.
async fn limited(world: &World, code: &str, limits: &Value) {
    let put = json!({"name": code, "status": "active", "limits": limits});
    let put = serde_json::from_value(put).unwrap();
    promotions::put(&world.app, &Actor::cli(), &world.acme(), code, put)
        .await
        .unwrap();
}

#[tokio::test]
async fn f8_send_groups_are_rounds_over_those_not_yet_decided() {
    let world = conditional().await;
    switch(
        &world,
        &json!({"conditional-version": "v2", "conditional-rounds": 3}),
    );
    let campaign = hold(&world, 90, 1_800, &json!({}));
    work(&world).await;
    assert_eq!(rounds(&world, campaign).await, [complete(30)]);
    // The second group is announced half way to the first deadline.
    pass(&world, 900).await;
    assert_eq!(rounds(&world, campaign).await[1], complete(30));
    pass(&world, 900).await;
    assert_eq!(rounds(&world, campaign).await[2], complete(30));
    assert_eq!(world.ledger(campaign).await.len(), 90);
    for _ in 0..6 {
        pass(&world, 900).await;
    }
    assert_eq!(stood(&world, campaign).await["sent"], 90);
    world.assert_right(campaign).await;
    assert_eq!(statuses(&world, campaign).await, all("active", 90));
    assert_eq!(world.finding_kinds().await, Vec::<String>::new());
}

#[tokio::test]
async fn f8_a_deadline_that_moves_takes_the_unreported_over() {
    let blocked = Arc::new(Mutex::new(true));
    let is_blocked = Arc::clone(&blocked);
    let (world, _proxy) = judged(move |call| {
        let first = call.reports().iter().any(|(id, _)| *id == "P-1");
        only_if(
            is_report(call) && !first && *is_blocked.lock().unwrap(),
            Fate::Refused(503),
        )
    })
    .await;
    switch(&world, &json!({"notify-drop": 100}));
    let campaign = hold(&world, 1_500, 3_600, &json!({}));
    // The first deadline is four minutes away: chunks of 1,000.
    assert_eq!(event_5(&world, campaign, "2027-03-25 06:04").await, 200);
    world.steps(30).await;
    pass(&world, 240).await;
    assert_eq!(
        rounds(&world, campaign).await,
        [closed(1_500, 1_000, "deadline")]
    );
    assert_eq!(statuses(&world, campaign).await["not_cleared"], 500);
    *blocked.lock().unwrap() = false;
    assert_eq!(event_5(&world, campaign, "2027-03-25 07:00").await, 200);
    work(&world).await;
    let now = rounds(&world, campaign).await;
    assert_eq!(now[1], complete(500));
    assert_eq!(statuses(&world, campaign).await, all("pending", 1_500));
    switch(&world, &json!({"notify-drop": 0}));
    settled(&world, campaign).await;
    assert_eq!(world.ledger(campaign).await.len(), 1_500);
}

#[tokio::test]
async fn f8_the_same_deadline_again_is_the_same_round() {
    let world = conditional().await;
    let campaign = hold(&world, 10, 3_600, &json!({}));
    work(&world).await;
    for spelled in [
        "2027-03-25 07:00",
        "2027-03-25 07:00:00",
        "2027-03-25T08:00:00+01:00",
    ] {
        assert_eq!(event_5(&world, campaign, spelled).await, 200);
    }
    work(&world).await;
    assert_eq!(rounds(&world, campaign).await, [complete(10)]);
    assert_eq!(world.counts(campaign)["pairs"], 10);
}

#[tokio::test]
async fn whoever_was_held_is_decided_anew_by_the_next_round_and_whoever_was_refused_is_not() {
    let world = conditional().await;
    switch(&world, &json!({"notify-drop": 100}));
    let over = json!({"audience": {"customers": [
        {"id": "a", "promo_code": "FS20"}, {"id": "b", "promo_code": "NEW"},
        {"id": "c", "promo_code": "FS20,NEW"}, {"id": "d", "promo_code": ""},
        {"id": "e", "promo_code": "CB10"},
    ]}});
    let campaign = hold(&world, 0, 7_200, &over);
    let ids = json!({"customer_ids": ["e"], "reason": "test"});
    let exclusions = "/v1/tenants/acme/exclusions";
    world.post(exclusions, &ids).await;
    assert_eq!(event_5(&world, campaign, "2027-03-25 07:00").await, 200);
    work(&world).await;
    assert_eq!(rounds(&world, campaign).await, [complete(2)]);
    assert_eq!(
        denied(&world, campaign).await,
        [("excluded".to_owned(), 1), ("unknown_code".to_owned(), 2)]
    );
    let counts = world.counts(campaign);
    assert_eq!((counts["pairs"], counts["granted"]), (5, 1));
    assert_eq!(
        (counts["held:unknown_code"], counts["refused:excluded"]),
        (3, 1)
    );
    world.assert_verified();

    world.put_promotion("NEW", "active").await;
    world
        .delete(exclusions, &json!({"customer_ids": ["e"]}))
        .await;
    work(&world).await;
    assert_eq!(
        world.ledger(campaign).await.len(),
        1,
        "a denied customer waits for another round"
    );
    assert_eq!(event_5(&world, campaign, "2027-03-25 08:00").await, 200);
    work(&world).await;
    // b and c now, and d, who has no code, once more.
    assert_eq!(rounds(&world, campaign).await[1], complete(3));
    assert_eq!(denied(&world, campaign).await, [("excluded".to_owned(), 1)]);
    let counts = world.counts(campaign);
    assert_eq!(
        (counts["pairs"], counts["granted"], counts["repeated"]),
        (10, 4, 4)
    );
    assert_eq!(
        (counts.get("held:unknown_code"), counts["refused:excluded"]),
        (None, 2)
    );
    world.assert_verified();
    let statuses: Vec<_> = world.sandbox.statuses(campaign).unwrap().collect();
    let approved: BTreeSet<_> = statuses
        .iter()
        .filter(|one| one.status == Some(true))
        .map(|one| one.customer_id.as_str())
        .collect();
    assert_eq!(approved, BTreeSet::from(["a", "b", "c", "d"]));
    let e = statuses.iter().find(|one| one.customer_id == "e").unwrap();
    assert_eq!(e.status, Some(false), "a no is said, too");
}

#[tokio::test]
async fn limits_are_kept_over_all_customers_and_for_each() {
    let world = conditional().await;
    limited(&world, "TEN", &json!({"per_customer": 1, "total": 10})).await;
    let actions = json!([{"id": 24, "promo_codes": ["TEN"], "channels": [{"id": 504}]}]);
    let first = hold(&world, 4, 3_600, &json!({"actions": actions}));
    work(&world).await;
    assert_eq!(world.ledger(first).await.len(), 4);
    let second = hold(&world, 20, 3_600, &json!({"actions": actions}));
    work(&world).await;
    // Four have theirs from the first campaign, and six of the others are first in the order of customers.
    assert_eq!(rounds(&world, second).await, [complete(6)]);
    assert_eq!(
        denied(&world, second).await,
        [("limit_reached".to_owned(), 14)]
    );
    let both: BTreeSet<_> = world.ledger(first).await.into_keys().collect();
    assert!(
        world
            .ledger(second)
            .await
            .keys()
            .all(|key| !both.contains(key))
    );
    settled(&world, first).await;
    world.assert_right(second).await;
}

#[tokio::test]
async fn nearly_equal_ids_and_the_control_group_are_not_approved() {
    let world = conditional().await;
    let over =
        json!({"audience": {"customers": ["Anna", "anna", "bob", {"id": "c", "action": 1}]}});
    let campaign = hold(&world, 0, 3_600, &over);
    work(&world).await;
    assert_eq!(rounds(&world, campaign).await, [complete(2)]);
    assert_eq!(
        denied(&world, campaign).await,
        [("near_equal_customer_id".to_owned(), 1)]
    );
    settled(&world, campaign).await;
    let customers: Vec<_> = world
        .ledger(campaign)
        .await
        .into_keys()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(customers, ["Anna", "bob"]);
}

#[tokio::test]
async fn a_customer_on_two_pages_is_decided_and_reported_once() {
    let world = super::tuned(|config| config.optimove.page_rows = 3).await;
    switch(&world, &json!({"page-order": "shuffle"}));
    let actions = json!([{"id": 24, "promo_codes": ["FS20", "CB10"],
        "channels": [{"id": 504}, {"id": 505}]}]);
    let campaign = hold(
        &world,
        0,
        7_200,
        &json!({"actions": actions, "audience": {"customers": ["a", "b", "c", "d"]}}),
    );
    work(&world).await;
    switch(&world, &json!({"page-order": "stable"}));
    // A list that changes from pass to pass is held; a person lets it go on.
    if view(&world, campaign).await["rounds"][0]["state"] != "closed" {
        let path = format!("/v1/tenants/acme/campaigns/{campaign}/resume");
        world.post(&path, &Value::Null).await;
        work(&world).await;
    }
    assert_eq!(rounds(&world, campaign).await, [complete(4)]);
    let times: BTreeSet<_> = world
        .sandbox
        .statuses(campaign)
        .unwrap()
        .map(|one| one.times)
        .collect();
    assert_eq!(times, BTreeSet::from([1]));
    assert_eq!(world.ledger(campaign).await.len(), 8);
    world.assert_verified();
}

#[tokio::test]
async fn a_report_has_ten_thousand_customers_at_most() {
    for (count, expected) in [
        (9_999, vec![9_999]),
        (10_000, vec![10_000]),
        (10_001, vec![10_000, 1]),
    ] {
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&sizes);
        let (world, _proxy) = judged(move |call| {
            if is_report(call) {
                seen.lock().unwrap().push(call.reports().len());
            }
            Fate::Through
        })
        .await;
        let campaign = hold(&world, count, 3_600, &json!({}));
        work(&world).await;
        assert_eq!(rounds(&world, campaign).await, [complete(count)]);
        let mut sizes = sizes.lock().unwrap().clone();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(sizes, expected);
    }
}

#[tokio::test]
async fn a_list_far_longer_than_told_waits_for_a_person() {
    let world = conditional().await;
    // Three channels make three rows of each customer; three customers are told and nine rows come: that is fine.
    let actions = json!([{"id": 24, "promo_codes": ["FS20"],
        "channels": [{"id": 504}, {"id": 505}, {"id": 506}]}]);
    let campaign = hold(&world, 3, 3_600, &json!({"actions": actions}));
    work(&world).await;
    assert_eq!(rounds(&world, campaign).await, [complete(3)]);
    assert_eq!(view(&world, campaign).await["last_error"], Value::Null);
}
