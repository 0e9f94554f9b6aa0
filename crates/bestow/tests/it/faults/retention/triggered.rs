//! Triggered campaigns: they leave month by month.

use serde_json::json;

use super::super::triggers;
use super::{archive, archived_of, archives, in_ledger, tune};
use crate::support::{World, text};

/// A triggered world that keeps ended grants for 30 days.
async fn triggered() -> World {
    let world = triggers::triggered_with(tune, &json!({"retention_days": 30})).await;
    for (customer, at) in [
        ("a", "2027-03-25T07:00:00Z"),
        ("b", "2027-03-26T07:00:00Z"),
        ("a", "2027-04-02T07:00:00Z"),
        ("c", "2027-05-20T07:00:00Z"),
    ] {
        world.travel(at).await;
        triggers::tell(&world, &triggers::trigger(customer, at, &json!({}))).await;
        if customer == "b" {
            world.redeem("b").await;
        }
    }
    world
}

#[tokio::test]
async fn triggers_leave_month_by_month() {
    let world = triggered().await;
    let counts = triggers::counts(&world, "rt-812");
    world.travel("2027-06-12T00:00:00Z").await;
    archive(&world).await;
    let left = archives(&world).await;
    let months: Vec<_> = left
        .iter()
        .map(|one| {
            (
                text(one, "month"),
                one["grants"].clone(),
                one["dropped"].clone(),
            )
        })
        .collect();
    let month =
        |name: &str, grants: u64, dropped: u64| (name.to_owned(), json!(grants), json!(dropped));
    assert_eq!(
        months,
        [month("2027-03", 2, 1), month("2027-04", 1, 1)],
        "May has not ended for long enough, and what was redeemed stays"
    );
    assert_eq!(in_ledger(&world), 2);
    assert_eq!(triggers::counts(&world, "rt-812"), counts);
    assert_eq!(archived_of(&world, "a").await.len(), 2);
    let path = "/v1/tenants/acme/customers/a/archived-grants?limit=1";
    let first = world.get(path).await;
    let next = text(&first, "next_cursor");
    let second = world.get(&format!("{path}&cursor={next}")).await;
    let both = [&first["data"][0]["archive"], &second["data"][0]["archive"]];
    assert_eq!(both, [&json!(1), &json!(2)]);
    assert!(second["next_cursor"].is_null(), "{second}");
    assert_eq!(triggers::grants(&world, "b").await.len(), 1);
    world.assert_verified();
}

#[tokio::test]
async fn a_trigger_of_a_month_that_left_is_not_taken_again() {
    let world = triggered().await;
    world.travel("2027-06-12T00:00:00Z").await;
    archive(&world).await;
    let before = in_ledger(&world);
    // Another body about the same moment, and each notification once more by hand.
    let late = triggers::trigger("a", "2027-03-25T07:00:00Z", &json!({"extra": 1}));
    triggers::tell(&world, &late).await;
    for notification in world.rows("/v1/tenants/acme/notifications").await {
        let path = format!(
            "/v1/tenants/acme/notifications/{}/replay",
            text(&notification, "id")
        );
        world.post(&path, &json!({})).await;
    }
    world.settle().await;
    assert_eq!(in_ledger(&world), before);
    let seen = world.rows("/v1/tenants/acme/notifications").await;
    let held = seen.iter().filter(|row| row["reason"] == "archived");
    assert_eq!(held.count(), 2, "one of each month that left: {seen:?}");
    world.assert_verified();
    let now = triggers::trigger("a", "2027-06-12T00:00:00Z", &json!({}));
    triggers::tell(&world, &now).await;
    assert_eq!(in_ledger(&world), before + 1);
    world.assert_verified();
}

#[tokio::test]
async fn caps_count_what_has_left() {
    let world = triggered().await;
    let patch = json!({"triggered": {"per_customer_max": 3}});
    world.patch("/v1/tenants/acme", &patch).await;
    world.travel("2027-06-12T00:00:00Z").await;
    archive(&world).await;
    for at in ["2027-06-12T01:00:00Z", "2027-06-12T02:00:00Z"] {
        world.travel(at).await;
        triggers::tell(&world, &triggers::trigger("a", at, &json!({}))).await;
    }
    let live = triggers::grants(&world, "a").await.len();
    assert_eq!(live, 1, "two have left, one is let in, the next is not");
    world.assert_verified();
}
