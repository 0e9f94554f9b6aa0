//! More triggers than may be: of a customer, in a minute, of a promotion, and very many at once.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{counted, counts, grants, patch, put, release, send, tell, trigger, triggered};
use crate::support::START;

#[tokio::test]
async fn a_second_trigger_is_for_the_promotion_to_allow() {
    let world = triggered(&json!({})).await;
    put(&world, "FS20", &json!({"limits": {"per_customer": 1}})).await;
    tell(&world, &trigger("P-1", "2027-03-25 05:00:00", &json!({}))).await;
    tell(&world, &trigger("P-1", "2027-03-25 05:10:00", &json!({}))).await;
    assert_eq!(grants(&world, "P-1").await.len(), 1);
    let all = [
        ("rows", 2),
        ("pairs", 2),
        ("granted", 1),
        ("refused:limit_reached", 1),
    ];
    assert_eq!(counts(&world, "rt-812"), counted(&all));
    // Once the first is over there is room again; its window was never touched.
    world.travel("2027-04-02T05:00:00Z").await;
    tell(&world, &trigger("P-1", "2027-04-02 05:00:00", &json!({}))).await;
    let grants = grants(&world, "P-1").await;
    assert_eq!(grants[0]["ends_at"], "2027-04-01T05:00:00Z");
    assert_eq!(grants[0]["status"], "expired");
    assert_eq!(grants[0]["created_at"], START);
    assert_eq!(grants[1]["created_at"], "2027-04-02T05:00:00Z");
    let question = json!({"customer_id": "P-1", "promo_code": "FS20"});
    let path = "/v1/tenants/acme/eligibility";
    let answer = world.post(path, &question).await;
    assert_eq!(answer["grant"], grants[1]);
    let path = "/v1/tenants/acme/campaigns/rt-812/grants";
    let page = world.get(path).await;
    let listed = page["data"].as_array().unwrap();
    assert!(grants.iter().all(|grant| listed.contains(grant)), "{page}");
    assert_eq!(grants[1]["status"], "active");
    world.assert_verified();
}

#[tokio::test]
async fn a_thousand_triggers_within_a_second_each_sent_three_times_are_a_thousand_grants() {
    let world = triggered(&json!({})).await;
    put(
        &world,
        "FS20",
        &json!({"limits": {"per_customer": 1, "total": 1000}}),
    )
    .await;
    let bodies: Vec<Value> = (0..3)
        .flat_map(|_| {
            (0..1_000).map(|n| trigger(&format!("P-{n}"), "2027-03-25 05:59:59", &json!({})))
        })
        .collect();
    for some in bodies.chunks(500) {
        send(&world, some).await;
    }
    world.settle().await;
    assert_eq!(
        counts(&world, "rt-812"),
        counted(&[("rows", 1_000), ("pairs", 1_000), ("granted", 1_000)])
    );
    assert_eq!(
        world.app.store.peek(|tx| tx.grants_total()).unwrap() as u64,
        1_000
    );
    // The list and the export of the campaign walk over the same.
    let mut exported = 0;
    let path = "/v1/tenants/acme/campaigns/rt-812/grants";
    world
        .api
        .lines(path, |_| {
            exported += 1;
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(exported, 1_000);
    let mut cursor = String::new();
    let mut listed = BTreeSet::new();
    loop {
        let page = format!("{path}?limit=300{cursor}");
        let page = world.get(&page).await;
        for grant in page["data"].as_array().unwrap() {
            assert!(listed.insert(grant["id"].as_str().unwrap().to_owned()));
        }
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(listed.len(), 1_000);
    world.assert_verified();
}

#[tokio::test]
async fn more_than_a_customer_may_have_is_held_until_the_cap_is_raised() {
    let world = triggered(&json!({"triggered": {"per_customer_max": 2}})).await;
    for minute in 0..4 {
        let at = format!("2027-03-25 05:0{minute}:00");
        tell(&world, &trigger("P-1", &at, &json!({}))).await;
    }
    tell(&world, &trigger("P-2", "2027-03-25 05:00:00", &json!({}))).await;
    let all = [
        ("rows", 5),
        ("pairs", 5),
        ("granted", 3),
        ("held:cap_reached", 2),
    ];
    assert_eq!(counts(&world, "rt-812"), counted(&all));
    release(&world, &json!({})).await;
    assert_eq!(counts(&world, "rt-812"), counted(&all));
    patch(&world, &json!({"triggered": {"per_customer_max": 3}})).await;
    release(&world, &json!({"reason": "cap_reached"})).await;
    assert_eq!(grants(&world, "P-1").await.len(), 3);
    world.assert_verified();
}

#[tokio::test]
async fn more_than_a_minute_may_give_waits_for_the_next() {
    let world = triggered(&json!({"triggered": {"per_minute_max": 4}})).await;
    let bodies: Vec<_> = (0..10)
        .map(|n| trigger(&format!("P-{n}"), "2027-03-25 06:00:00", &json!({})))
        .collect();
    send(&world, &bodies).await;
    world.work().await;
    let held = |granted: i64, held: i64| {
        counted(&[
            ("rows", 10),
            ("pairs", 10),
            ("granted", granted),
            ("held:cap_reached", held),
        ])
    };
    assert_eq!(counts(&world, "rt-812"), held(4, 6));
    for (now, granted) in [("2027-03-25T06:00:59Z", 4), ("2027-03-25T06:01:00Z", 8)] {
        world.travel(now).await;
        world.work().await;
        assert_eq!(counts(&world, "rt-812"), held(granted, 10 - granted));
    }
    world.settle().await;
    assert_eq!(
        counts(&world, "rt-812"),
        counted(&[("rows", 10), ("pairs", 10), ("granted", 10)])
    );
    world.assert_verified();
}

#[tokio::test]
async fn a_total_limit_is_never_passed() {
    let world = triggered(&json!({})).await;
    put(
        &world,
        "FS20",
        &json!({"limits": {"per_customer": null, "total": 7}}),
    )
    .await;
    let bodies: Vec<_> = (0..20)
        .map(|n| trigger(&format!("P-{n}"), "2027-03-25 06:00:00", &json!({})))
        .collect();
    send(&world, &bodies).await;
    world.settle().await;
    let all = [
        ("rows", 20),
        ("pairs", 20),
        ("granted", 7),
        ("refused:limit_reached", 13),
    ];
    assert_eq!(counts(&world, "rt-812"), counted(&all));
    world.assert_verified();
}
