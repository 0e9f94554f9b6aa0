//! What a destination hears of a campaign from its making to its end.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::{Value, json};

use super::receiver::{Books, Receiver, Troubles};
use super::{delivering, destination};
use crate::support::{World, text};

/// In the windows of campaigns that [`World::plan`] makes, and after them.
const INSIDE: &str = "2027-03-28T12:00:00Z";
const AFTER: &str = "2027-04-05T12:00:00Z";

async fn healthy() -> Receiver {
    Receiver::start(Books::Plain, Troubles::default()).await
}

fn kinds<const N: usize>(kinds: [(&str, u64); N]) -> BTreeMap<String, u64> {
    kinds
        .into_iter()
        .map(|(kind, n)| (format!("grant.{kind}"), n))
        .collect()
}

async fn stop(world: &World, campaign: u64, what: &str) {
    let path = format!("campaigns/{campaign}/{what}");
    world.of_acme(Method::POST, &path, &json!({})).await;
    world.settle().await;
}

#[tokio::test]
async fn each_grant_is_told_of_once_when_it_is_made_starts_and_ends() {
    let receiver = healthy().await;
    let over = json!({"batch_events_max": 40});
    let (world, secret) = delivering(&receiver, &over).await;
    receiver.expect_signed(&[&secret]);
    let campaign = world.run(100, &json!({})).await;
    assert_eq!(receiver.kinds(), kinds([("created", 100)]));
    world.travel(INSIDE).await;
    world.settle().await;
    assert_eq!(
        receiver.kinds(),
        kinds([("activated", 100), ("created", 100)])
    );
    world.travel(AFTER).await;
    world.settle().await;
    let all = kinds([("activated", 100), ("created", 100), ("expired", 100)]);
    assert_eq!(receiver.kinds(), all);
    assert_eq!(receiver.seen().events_in_largest, 40);
    assert_eq!(receiver.seen().unsigned, 0);
    assert!(receiver.seen().effects.values().all(|times| *times == 1));
    receiver.assert_in_order();
    // What it was told is what the API says.
    let told: Vec<_> = receiver.seen().grants.keys().cloned().collect();
    let path = format!("campaigns/{campaign}/grants?limit=1000");
    let listed = world.of_acme(Method::GET, &path, &Value::Null).await;
    let listed = listed["data"].as_array().expect("a list");
    assert_eq!(told.len(), listed.len());
    assert!(
        listed
            .iter()
            .all(|grant| told.iter().any(|id| grant["id"] == **id))
    );
    let bonus = world.bonus().await;
    assert_eq!(
        (&bonus["waiting"], &bonus["events_behind"]),
        (&json!(0), &json!(0))
    );
}

#[tokio::test]
async fn starts_that_were_slept_through_are_left_to_the_end() {
    let receiver = healthy().await;
    let (world, _) = delivering(&receiver, &json!({})).await;
    world.run(10, &json!({})).await;
    world.travel(AFTER).await;
    world.settle().await;
    assert_eq!(receiver.kinds(), kinds([("created", 10), ("expired", 10)]));
}

#[tokio::test]
async fn a_stopped_campaign_is_told_of_grant_by_grant_from_one_row() {
    let receiver = healthy().await;
    let (world, _) = delivering(&receiver, &json!({"batch_events_max": 7})).await;
    let campaign = world.run(30, &json!({})).await;
    stop(&world, campaign, "suspend").await;
    // Its start passes meanwhile: that is told once it goes on.
    world.travel(INSIDE).await;
    world.settle().await;
    assert_eq!(
        receiver.kinds(),
        kinds([("created", 30), ("suspended", 30)])
    );
    stop(&world, campaign, "resume").await;
    let lifted = kinds([
        ("activated", 30),
        ("created", 30),
        ("resumed", 30),
        ("suspended", 30),
    ]);
    assert_eq!(receiver.kinds(), lifted);
    stop(&world, campaign, "revoke").await;
    stop(&world, campaign, "revoke").await;
    world.travel(AFTER).await;
    world.settle().await;
    let mut all = lifted;
    all.extend(kinds([("revoked", 30)]));
    assert_eq!(receiver.kinds(), all);
    receiver.assert_in_order();
    let events: i64 = {
        let path = "audit?limit=1000";
        let page = world.of_acme(Method::GET, path, &Value::Null).await;
        page["data"].as_array().expect("a list").len() as i64
    };
    assert!(events < 60, "{events} audit records");
}

#[tokio::test]
async fn what_is_redeemed_and_undone_is_told_in_the_order_of_its_grant() {
    let receiver = healthy().await;
    let (world, _) = delivering(&receiver, &json!({})).await;
    let campaign = world.run(3, &json!({})).await;
    world.travel(INSIDE).await;
    world.settle().await;
    let path = format!("campaigns/{campaign}/grants");
    let grants = world.of_acme(Method::GET, &path, &Value::Null).await;
    let redeem = async |place: usize| {
        let customer = grants["data"][place]["customer_id"].as_str();
        world.redeem(customer.expect("an id")).await
    };
    let (first, second) = (redeem(0).await, redeem(1).await);
    let undo = format!("redemptions/{first}/reverse");
    // Undone once, however often it is asked for.
    for _ in 0..2 {
        world.of_acme(Method::POST, &undo, &json!({})).await;
    }
    world.settle().await;
    let redeemed = |n| {
        let of_grants = kinds([("activated", 3), ("created", 3)]);
        let told = [("redemption.created", n), ("redemption.reversed", 1)];
        let told = told.map(|(kind, n)| (kind.to_owned(), n));
        of_grants
            .into_iter()
            .chain(told)
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(receiver.kinds(), redeemed(2));
    let third = redeem(2).await;
    world.settle().await;
    assert_eq!(receiver.kinds(), redeemed(3));
    for id in [
        format!("{first}.created"),
        format!("{first}.reversed"),
        format!("{second}.created"),
        format!("{third}.created"),
    ] {
        assert_eq!(receiver.seen().effects.get(&id), Some(&1), "{id}");
    }
    receiver.assert_in_order();
    // What is told of the campaign is told of each grant once, and an undoing after that all the same.
    stop(&world, campaign, "revoke").await;
    let undo = format!("redemptions/{second}/reverse");
    world.of_acme(Method::POST, &undo, &json!({})).await;
    world.settle().await;
    let mut all = redeemed(3);
    all.insert("grant.revoked".to_owned(), 3);
    all.insert("redemption.reversed".to_owned(), 2);
    assert_eq!(receiver.kinds(), all);
}

#[tokio::test]
async fn of_grants_that_are_over_no_revocation_is_told() {
    let receiver = healthy().await;
    let (world, _) = delivering(&receiver, &json!({})).await;
    let campaign = world.run(10, &json!({})).await;
    world.travel(AFTER).await;
    world.settle().await;
    stop(&world, campaign, "revoke").await;
    assert_eq!(receiver.kinds(), kinds([("created", 10), ("expired", 10)]));
}

#[tokio::test]
async fn a_campaign_that_was_taken_back_before_it_came_is_never_told_of() {
    let receiver = healthy().await;
    let (world, _) = delivering(&receiver, &json!({})).await;
    let campaign = world.plan(10, &json!({}));
    let no = world.acme().no();
    let id = campaign.to_string();
    let planted = world.app.tx("plant", move |tx| {
        let (campaign, _) = tx.see_campaign(no, &id, "scheduled", "operator")?;
        tx.revoke_campaign(no, campaign, "by hand")
    });
    assert!(planted.await.expect("it is taken back"));
    world.sandbox.process(campaign).expect("it is executed");
    world.settle().await;
    world.travel(INSIDE).await;
    world.settle().await;
    assert_eq!(receiver.kinds(), kinds([]));
}

#[tokio::test]
async fn a_destination_hears_of_what_comes_after_it() {
    let receiver = healthy().await;
    let (world, _) = delivering(&receiver, &json!({})).await;
    world.run(10, &json!({})).await;
    let late = healthy().await;
    destination(&world, &late, &json!({"id": "late"})).await;
    world.run(5, &json!({})).await;
    assert_eq!(receiver.kinds(), kinds([("created", 15)]));
    assert_eq!(late.kinds(), kinds([("created", 5)]));
    // One that is paused hears of it later, one that is ended does not.
    let paused = json!({"paused": true});
    world
        .of_acme(Method::PATCH, "destinations/bonus", &paused)
        .await;
    world
        .api
        .json(
            Method::DELETE,
            "/v1/tenants/acme/destinations/late",
            &Value::Null,
        )
        .await
        .expect("an answer");
    world.run(3, &json!({})).await;
    assert_eq!(world.bonus().await["status"], "paused");
    assert_eq!(receiver.kinds(), kinds([("created", 15)]));
    world
        .of_acme(
            Method::PATCH,
            "destinations/bonus",
            &json!({"paused": false}),
        )
        .await;
    world.settle().await;
    assert_eq!(receiver.kinds(), kinds([("created", 18)]));
    assert_eq!(late.kinds(), kinds([("created", 5)]));
}

#[tokio::test]
async fn without_a_destination_nothing_is_written_for_one() {
    let receiver = healthy().await;
    let world = super::world().await;
    world.connect(&json!({})).await;
    world.run(50, &json!({})).await;
    let no = world.acme().no();
    let last = |world: &World| {
        let block = world.app.store.peek(|tx| tx.grant_block(no, 1));
        block.expect("it can be read").is_some()
    };
    assert!(!last(&world));
    destination(&world, &receiver, &json!({})).await;
    world.run(1, &json!({})).await;
    assert!(last(&world));
}

#[tokio::test]
async fn secrets_change_without_a_gap() {
    let receiver = healthy().await;
    let (world, first) = delivering(&receiver, &json!({})).await;
    receiver.expect_signed(&[&first]);
    let rotated = json!({"new_secret": true});
    let made = world
        .of_acme(Method::PATCH, "destinations/bonus", &rotated)
        .await;
    let second = made["secret"].as_str().expect("a secret").to_owned();
    assert_eq!(made["secrets"], 2);
    assert_ne!(first, second);
    world.run(1, &json!({})).await;
    receiver.expect_signed(&[&second]);
    world.run(1, &json!({})).await;
    assert_eq!(receiver.seen().unsigned, 0);
    let dropped = json!({"drop_old_secrets": true});
    world
        .of_acme(Method::PATCH, "destinations/bonus", &dropped)
        .await;
    receiver.expect_signed(&[&first]);
    world.run(1, &json!({})).await;
    assert_eq!(receiver.seen().unsigned, 1);
    assert_eq!(world.deliveries("dead").await.len(), 1);
    assert!(!world.home.holds(&second), "a secret in the clear");
}

/// The events that were delivered, each with what it came from.
fn causes(receiver: &Receiver) -> BTreeMap<String, BTreeSet<String>> {
    let mut causes = BTreeMap::<_, BTreeSet<_>>::new();
    for body in receiver.seen().bodies.values().flatten() {
        let body: Value = serde_json::from_slice(body).expect("JSON");
        for event in body["data"]["events"].as_array().expect("events") {
            let (kind, cause) = (text(event, "type"), text(event, "correlation"));
            causes.entry(kind).or_default().insert(cause);
        }
    }
    causes
}

#[tokio::test]
async fn what_came_of_a_notification_or_a_request_names_it() {
    let receiver = healthy().await;
    let (world, _) = delivering(&receiver, &json!({})).await;
    let campaign = world.run(5, &json!({})).await;
    let told = world.of_acme(Method::GET, "notifications", &Value::Null);
    let told: BTreeSet<_> = told.await["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| text(one, "id"))
        .collect();
    let page = "campaign-no/1/page/1";
    let trail = async || {
        let path = "audit?limit=1000";
        let audit = world.of_acme(Method::GET, path, &Value::Null).await;
        audit["data"].as_array().expect("a list").clone()
    };
    let landed = trail().await;
    let landed = landed.iter().find(|record| record["object"] == page);
    let cause = text(landed.expect("the page landed"), "correlation");
    assert!(told.contains(&cause), "{cause} is none of {told:?}");
    let created = &causes(&receiver)["grant.created"];
    assert!(created.is_subset(&told), "{created:?}, {told:?}");

    stop(&world, campaign, "suspend").await;
    let suspended = trail().await.pop().expect("a record");
    assert_eq!(suspended["action"], "campaign.suspended");
    let cause = text(&suspended, "correlation");
    assert!(cause.starts_with("req_"), "{cause}");
    assert_eq!(
        causes(&receiver)["grant.suspended"],
        BTreeSet::from([cause])
    );
    // What the clock brings comes from the run that tells it.
    stop(&world, campaign, "resume").await;
    world.travel(INSIDE).await;
    world.settle().await;
    let activated = &causes(&receiver)["grant.activated"];
    let is_run = |cause: &String| cause.starts_with("run_deliver-");
    assert!(activated.iter().all(is_run), "{activated:?}");
    // Nothing is left out but what the test did itself, which is no command.
    let trail = trail().await;
    let nameless: Vec<_> = trail
        .iter()
        .filter(|record| record["correlation"].is_null() && record["actor"] != "cli")
        .collect();
    assert!(nameless.is_empty(), "{nameless:?}");
}

#[tokio::test]
async fn what_was_delivered_goes_with_the_tenants_retention() {
    let receiver = healthy().await;
    let over = json!({"batch_events_max": 1});
    let (world, _) = delivering(&receiver, &over).await;
    let keep = json!({"retention_days": 30});
    world
        .api
        .ok(Method::PATCH, "/v1/tenants/acme", &keep)
        .await
        .expect("it is kept so long");
    world.run(5, &json!({})).await;
    for day in [INSIDE, AFTER] {
        world.travel(day).await;
        world.settle().await;
    }
    assert_eq!(world.deliveries("delivered").await.len(), 15);
    world.travel("2027-05-01T12:00:00Z").await;
    world.settle().await;
    let left = world.deliveries("delivered").await.len();
    assert_eq!(left, 5, "those that told of the end");
    world.travel("2027-06-01T12:00:00Z").await;
    world.settle().await;
    let left = world.deliveries("delivered").await;
    assert_eq!(left.len(), 1, "the newest is counted on from");
}
