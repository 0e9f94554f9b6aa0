//! Triggers: every shape of event 11, said twice, said by whom it should not be, more of them than may be, and what of
//! them reaches the disk.

mod disk;
mod held;
mod limits;

use std::collections::BTreeMap;

use bestow_store::Error as StoreError;
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use super::{inbox, is_eligible, listener};
use crate::support::{START, World, changed, text};

const GOLDEN: [(&str, &str); 4] = [
    ("camel", include_str!("../../golden/event-11.camel.json")),
    ("pascal", include_str!("../../golden/event-11.pascal.json")),
    ("csv", include_str!("../../golden/event-11.csv-promo.json")),
    (
        "text",
        include_str!("../../golden/event-11.json-array-in-string.json"),
    ),
];

/// Tenant `acme` with the real-time channel 15 and promotions that everybody may have any number of times, its fields
/// changed by `over`.
pub(super) async fn triggered(over: &Value) -> World {
    triggered_with(|_| {}, over).await
}

/// The same with settings of the deployment's own.
pub(super) async fn triggered_with(
    change: impl FnOnce(&mut bestow::config::Config),
    over: &Value,
) -> World {
    let world = World::with(change).await;
    let fields = json!({"triggered_channels": [15], "conditional": true});
    world.connect(&changed(fields, over)).await;
    let (no, hash) = (
        world.acme().no(),
        world.app.keys.hash("what stands at Optimove"),
    );
    world
        .app
        .tx("plant", move |tx| {
            tx.resolve_finding(no, "gateway_refused", "gateway")?;
            tx.gateway_registered(no, &hash)
        })
        .await
        .expect("planted");
    for code in ["FS20", "CB10"] {
        put(&world, code, &json!({"limits": {"per_customer": null}})).await;
    }
    world
}

/// Puts a promotion with fields of its own.
pub(super) async fn put(world: &World, code: &str, over: &Value) {
    let body = changed(json!({"name": code}), over);
    let path = format!("/v1/tenants/acme/promotions/{code}");
    world.put(&path, &body).await;
}

/// A trigger of campaign `rt-812` at a time, for seven days.
pub(super) fn trigger(customer: &str, at: &str, over: &Value) -> Value {
    let body = json!({
        "eventTypeID": 11, "timeStamp": at, "customerID": customer, "campaignID": "rt-812",
        "channelID": 15, "templateID": 31, "promoCode": ["FS20"], "notes": "{\"duration\":7}",
    });
    changed(body, over)
}

/// Sends bodies at once; each has to be taken.
pub(super) async fn send(world: &World, bodies: &[Value]) {
    let path = listener(world, 11);
    let calls = bodies
        .iter()
        .map(|body| world.api.json(Method::POST, &path, body));
    for answer in join_all(calls).await {
        assert_eq!(answer.expect("an answer").0.as_u16(), 200);
    }
}

/// Sends a body and does the work that follows.
pub(super) async fn tell(world: &World, body: &Value) {
    send(world, std::slice::from_ref(body)).await;
    world.settle().await;
}

/// Grants of a customer, in the order of their starts.
pub(super) async fn grants(world: &World, customer: &str) -> Vec<Value> {
    let path = format!("/v1/tenants/acme/customers/{customer}/grants");
    let mut grants = world.rows(&path).await;
    grants.sort_by_key(|grant| grant["starts_at"].to_string());
    grants
}

/// Counters of a campaign.
pub(super) fn counts(world: &World, campaign: &str) -> BTreeMap<String, i64> {
    let tenant = world.acme().no();
    let counts = world.app.store.read(|tx| {
        let found = tx.campaign(tenant, campaign)?;
        found.map_or(Ok::<_, StoreError>(Vec::new()), |found| {
            tx.counts(tenant, found.no)
        })
    });
    let counts = counts.expect("the store answers");
    counts.into_iter().filter(|(_, n)| *n != 0).collect()
}

fn counted(pairs: &[(&str, i64)]) -> BTreeMap<String, i64> {
    pairs
        .iter()
        .map(|(name, n)| ((*name).to_owned(), *n))
        .collect()
}

/// Kind and object of the open findings.
pub(super) async fn findings(world: &World) -> Vec<(String, String)> {
    let found = world.findings().await;
    found
        .iter()
        .map(|one| (text(one, "kind"), text(one, "object")))
        .collect()
}

async fn inbox_status(world: &World) -> Vec<String> {
    let inbox = inbox(world).await;
    inbox.iter().map(|one| text(one, "status")).collect()
}

/// Changes the tenant.
pub(super) async fn patch(world: &World, change: &Value) {
    let path = "/v1/tenants/acme";
    world.patch(path, change).await;
}

async fn release(world: &World, what: &Value) {
    let path = "/v1/tenants/acme/held/release";
    world.post(path, what).await;
    world.settle().await;
}

#[tokio::test]
async fn every_shape_of_event_11_is_a_grant_for_each_code() {
    let world = triggered(&json!({"duration_days_default": 3})).await;
    for (_, body) in GOLDEN {
        let body: Value = serde_json::from_str(body).unwrap();
        tell(&world, &body).await;
    }
    for (customer, codes) in [("P-20031", 2), ("P-20044", 1), ("00731", 2), ("C234638", 2)] {
        let grants = grants(&world, customer).await;
        assert_eq!(grants.len(), codes, "{customer}");
        for grant in grants {
            assert_eq!(grant["source"], "triggered");
            assert_eq!(grant["status"], "active");
            // Their time stamps are years old, so the moment they came counts.
            assert_eq!(grant["starts_at"], START);
        }
    }
    let found = findings(&world).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|(kind, _)| kind == "trigger_time_stamp"));
    assert_eq!(
        counts(&world, "rt-812"),
        counted(&[("rows", 2), ("pairs", 3), ("granted", 3)])
    );
    world.assert_verified();
}

#[tokio::test]
async fn the_window_runs_from_the_time_stamp_for_the_days_of_the_notes() {
    let world = triggered(&json!({"time_zone": "Europe/Lisbon", "duration_days_default": 2})).await;
    put(
        &world,
        "CB10",
        &json!({"validity_days": 5, "limits": {"per_customer": null}}),
    )
    .await;
    // Lisbon's clocks go forward on 28 March: seven calendar days are an hour short.
    let at = "2027-03-25 05:30:15";
    tell(&world, &trigger("P-1", at, &json!({"promoCode": "FS20"}))).await;
    let both = json!({"promoCode": "FS20,CB10", "notes": "reload for regulars"});
    tell(&world, &trigger("P-2", at, &both)).await;
    let ends = |grants: &[Value]| -> Vec<(String, String)> {
        let mut ends: Vec<_> = grants
            .iter()
            .map(|one| {
                assert_eq!(one["starts_at"], "2027-03-25T05:30:15Z");
                (text(one, "promo_code"), text(one, "ends_at"))
            })
            .collect();
        ends.sort();
        ends
    };
    let end = |code: &str, at: &str| (code.to_owned(), at.to_owned());
    assert_eq!(
        ends(&grants(&world, "P-1").await),
        [end("FS20", "2027-04-01T04:30:15Z")]
    );
    assert_eq!(
        ends(&grants(&world, "P-2").await),
        [
            end("CB10", "2027-03-30T04:30:15Z"),
            end("FS20", "2027-03-27T05:30:15Z")
        ]
    );
}

#[tokio::test]
async fn the_same_body_is_a_repeat_and_a_new_time_stamp_a_new_trigger() {
    let world = triggered(&json!({})).await;
    let one = trigger("P-1", "2027-03-25 05:00:00", &json!({}));
    let next = trigger("P-1", "2027-03-25 05:00:01", &json!({}));
    let template = trigger("P-1", "2027-03-25 05:00:00", &json!({"templateID": 32}));
    let bare = trigger("P-1", "", &json!({"timeStamp": null}));
    let other = trigger("P-1", "", &json!({"timeStamp": null, "event_amount": 5}));
    for body in [&one, &next, &one, &template, &bare, &other, &bare, &one] {
        tell(&world, &body.clone()).await;
    }
    assert_eq!(grants(&world, "P-1").await.len(), 5);
    let mut arrivals: Vec<_> = inbox(&world)
        .await
        .iter()
        .map(|one| one["arrivals"].as_u64())
        .collect();
    arrivals.sort_unstable();
    assert_eq!(arrivals, [1, 1, 1, 2, 3].map(Some));
    assert_eq!(
        counts(&world, "rt-812"),
        counted(&[("rows", 5), ("pairs", 5), ("granted", 5)])
    );
    world.assert_verified();
}

#[tokio::test]
async fn without_a_code_it_is_counted_and_that_is_all() {
    let world = triggered(&json!({})).await;
    for (place, codes) in [json!(null), json!([]), json!(""), json!(" , ")]
        .into_iter()
        .enumerate()
    {
        let at = format!("2027-03-25 05:00:0{place}");
        tell(&world, &trigger("P-1", &at, &json!({"promoCode": codes}))).await;
    }
    let all = [("rows", 4), ("rows_without_code", 4)];
    assert_eq!(counts(&world, "rt-812"), counted(&all));
    assert_eq!(inbox_status(&world).await, ["done"; 4]);
    world.assert_verified();
}

#[tokio::test]
async fn a_campaign_that_is_stopped_gives_grants_that_cannot_be_used() {
    let world = triggered(&json!({})).await;
    // The cancellation overtakes the trigger.
    let cancel = json!({"EventTypeID": 4, "TimeStamp": "2027-03-25 05:00", "CampaignID": "rt-812"});
    let path = listener(&world, 4);
    world.api.json(Method::POST, &path, &cancel).await.unwrap();
    world.work().await;
    send(&world, &[trigger("P-1", "2027-03-25 05:00:00", &json!({}))]).await;
    world.work().await;
    let grants = grants(&world, "P-1").await;
    assert_eq!(
        (&grants[0]["source"], &grants[0]["status"]),
        (&json!("triggered"), &json!("suspended"))
    );
    assert!(!is_eligible(&world, "P-1", "FS20").await);
}
