//! Triggers: every shape of event 11, said twice, said by whom it should not be, more of them than may be, and what of
//! them reaches the disk.

use std::collections::BTreeMap;

use bestow_store::Error as StoreError;
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use super::{inbox, is_eligible, listener};
use crate::support::{START, World};

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
    let world = World::start().await;
    let mut fields = json!({"triggered_channels": [15], "conditional": true});
    let more = over.as_object().expect("an object").clone();
    fields.as_object_mut().expect("an object").extend(more);
    world.connect(&fields).await;
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
    let mut body = json!({"name": code});
    let more = over.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(more);
    let path = format!("/v1/tenants/acme/promotions/{code}");
    world.api.ok(Method::PUT, &path, &body).await.expect("put");
}

/// A trigger of campaign `rt-812` at a time, for seven days.
pub(super) fn trigger(customer: &str, at: &str, over: &Value) -> Value {
    let mut body = json!({
        "eventTypeID": 11, "timeStamp": at, "customerID": customer, "campaignID": "rt-812",
        "channelID": 15, "templateID": 31, "promoCode": ["FS20"], "notes": "{\"duration\":7}",
    });
    let more = over.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(more);
    body
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
    let page = world.api.ok(Method::GET, &path, &Value::Null).await;
    let page = page.expect("a page");
    let mut grants = page["data"].as_array().expect("a list").clone();
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
    let path = "/v1/tenants/acme/findings";
    let page = world.api.ok(Method::GET, path, &Value::Null).await;
    let page = page.expect("a page");
    let text = |one: &Value, name: &str| one[name].as_str().expect("a text").to_owned();
    let all = page["data"].as_array().expect("a list");
    all.iter()
        .map(|one| (text(one, "kind"), text(one, "object")))
        .collect()
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
        let text = |one: &Value, name: &str| one[name].as_str().expect("a text").to_owned();
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
    let answer = world.api.ok(Method::POST, path, &question).await.unwrap();
    assert_eq!(answer["grant"], grants[1]);
    let path = "/v1/tenants/acme/campaigns/rt-812/grants";
    let page = world.api.ok(Method::GET, path, &Value::Null).await.unwrap();
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
    let mut listed = std::collections::BTreeSet::new();
    loop {
        let page = format!("{path}?limit=300{cursor}");
        let page = world
            .api
            .ok(Method::GET, &page, &Value::Null)
            .await
            .unwrap();
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
async fn a_visitor_is_held_and_no_customer() {
    let world = triggered(&json!({})).await;
    let at = "2027-03-25 05:00:00";
    tell(&world, &trigger("P-1", at, &json!({"isVisitor": true}))).await;
    tell(&world, &trigger("P-1", at, &json!({}))).await;
    assert_eq!(grants(&world, "P-1").await.len(), 1);
    let all = [
        ("rows", 2),
        ("pairs", 2),
        ("granted", 1),
        ("held:visitor", 1),
    ];
    assert_eq!(counts(&world, "rt-812"), counted(&all));
    let inbox = inbox(&world).await;
    assert_eq!(
        (&inbox[0]["status"], &inbox[0]["reason"]),
        (&json!("held"), &json!("visitor"))
    );
    // The tenant lets them in: still nobody else's grant.
    patch(&world, &json!({"triggered": {"visitors": "grant"}})).await;
    release(&world, &json!({"reason": "visitor"})).await;
    assert_eq!(grants(&world, "P-1").await.len(), 1);
    assert_eq!(grants(&world, "visitor:P-1").await.len(), 1);
    assert_eq!(
        counts(&world, "rt-812"),
        counted(&[("rows", 2), ("pairs", 2), ("granted", 2)])
    );
    assert_eq!(inbox_status(&world).await, ["done", "done"]);
    world.assert_verified();
}

async fn inbox_status(world: &World) -> Vec<String> {
    let text = |one: &Value| one["status"].as_str().expect("a text").to_owned();
    inbox(world).await.iter().map(text).collect()
}

/// Changes the tenant.
pub(super) async fn patch(world: &World, change: &Value) {
    let path = "/v1/tenants/acme";
    world
        .api
        .ok(Method::PATCH, path, change)
        .await
        .expect("changed");
}

async fn release(world: &World, what: &Value) {
    let path = "/v1/tenants/acme/held/release";
    world
        .api
        .ok(Method::POST, path, what)
        .await
        .expect("released");
    world.settle().await;
}

#[tokio::test]
async fn an_unknown_code_is_held_until_the_catalogue_has_it() {
    let world = triggered(&json!({})).await;
    let at = "2027-03-25 05:00:00";
    let codes = json!({"promoCode": ["NEW", "FS20"]});
    tell(&world, &trigger("P-1", at, &codes)).await;
    tell(&world, &trigger("P-2", at, &json!({"promoCode": "new"}))).await;
    assert_eq!(inbox_status(&world).await, ["done", "held"]);
    put(&world, "new", &json!({})).await;
    world.settle().await;
    let all = [("rows", 2), ("pairs", 3), ("granted", 3)];
    assert_eq!(counts(&world, "rt-812"), counted(&all));
    assert_eq!(inbox_status(&world).await, ["done", "done"]);
    // From when it was met, not from when it was released.
    assert_eq!(
        grants(&world, "P-2").await[0]["starts_at"],
        "2027-03-25T05:00:00Z"
    );
    assert!(is_eligible(&world, "P-2", "NEW").await);
    world.assert_verified();
}

#[tokio::test]
async fn no_duration_is_held_until_the_promotion_has_one() {
    let world = triggered(&json!({})).await;
    let bare = json!({"notes": null});
    tell(&world, &trigger("P-1", "2027-03-25 05:00:00", &bare)).await;
    let all = [("rows", 1), ("pairs", 1), ("held:no_duration", 1)];
    assert_eq!(counts(&world, "rt-812"), counted(&all));
    put(&world, "FS20", &json!({"validity_days": 4})).await;
    world.settle().await;
    assert_eq!(
        grants(&world, "P-1").await[0]["ends_at"],
        "2027-03-29T05:00:00Z"
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
    while bestow::work::step(&world.app).await.unwrap() {}
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
        while bestow::work::step(&world.app).await.unwrap() {}
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

#[tokio::test]
async fn what_is_no_trigger_is_held_and_nothing_of_it_is_kept() {
    let world = triggered(&json!({})).await;
    let secret = "Ada-Lovelace-1815";
    let at = "2027-03-25 05:00:00";
    let bodies = [
        (json!([secret]), "unreadable_body"),
        (
            trigger(
                "P-1",
                at,
                &json!({"customerid": "P-2", "FIRST_NAME": secret}),
            ),
            "unreadable_body",
        ),
        (
            trigger("P-1", at, &json!({"eventTypeID": 13, "FIRST_NAME": secret})),
            "event_type_mismatch",
        ),
        (
            trigger(
                "P-1",
                at,
                &json!({"campaignID": null, "FIRST_NAME": secret}),
            ),
            "no_campaign_id",
        ),
        (
            trigger(" ", at, &json!({"FIRST_NAME": secret})),
            "bad_customer_id",
        ),
        (
            trigger("P-1", at, &json!({"channelID": secret})),
            "unreadable_body",
        ),
    ];
    for (body, reason) in bodies {
        world.app.clock.advance(1);
        tell(&world, &body).await;
        let inbox = inbox(&world).await;
        let last = inbox.last().expect("it is there");
        assert_eq!(
            (&last["status"], &last["reason"]),
            (&json!("held"), &json!(reason))
        );
        // Played again it is held for the same reason.
        let path = format!(
            "/v1/tenants/acme/notifications/{}/replay",
            last["id"].as_str().unwrap()
        );
        world
            .api
            .ok(Method::POST, &path, &Value::Null)
            .await
            .unwrap();
        world.settle().await;
        assert_eq!(inbox.last(), self::inbox(&world).await.last());
    }
    assert!(!is_on_disk(&world, secret));
    assert_eq!(counts(&world, "rt-812"), BTreeMap::new());
}

/// Whether a text stands anywhere in the files of the database.
fn is_on_disk(world: &World, text: &str) -> bool {
    let mut found = false;
    for entry in std::fs::read_dir(world.dir()).expect("a folder") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
        found |= bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes());
    }
    found
}

#[tokio::test]
async fn only_fields_on_the_list_reach_the_disk() {
    let keep = json!({"triggered": {"keep_fields": ["Event_Device_Type", "loyalty", "CITY"]}});
    let world = triggered(&keep).await;
    let attributes = json!({
        "FIRST_NAME": "Ada-Lovelace-1815", "event_device_type": "mobile-phone-9",
        "notes": "{\"duration\":7,\"for\":\"Ada-from-notes\"}",
        "eventParameters": {"loyalty": 9_007_199_254_740_993_u64, "iban": "PT50-secret"},
        "PersonalizationTags": {"city": "Sintra-42", "email": "ada@example.test"},
        "someObject": {"city": "Porto-43"},
    });
    tell(&world, &trigger("P-1", "2027-03-25 05:00:00", &attributes)).await;
    assert_eq!(grants(&world, "P-1").await.len(), 1);
    for dropped in [
        "Ada-Lovelace-1815",
        "Ada-from-notes",
        "PT50-secret",
        "ada@example.test",
        "Porto-43",
    ] {
        assert!(!is_on_disk(&world, dropped), "{dropped}");
    }
    for kept in ["mobile-phone-9", "9007199254740993", "Sintra-42"] {
        assert!(is_on_disk(&world, kept), "{kept}");
    }
}

#[tokio::test]
async fn a_campaign_that_is_stopped_gives_grants_that_cannot_be_used() {
    let world = triggered(&json!({})).await;
    // The cancellation overtakes the trigger.
    let cancel = json!({"EventTypeID": 4, "TimeStamp": "2027-03-25 05:00", "CampaignID": "rt-812"});
    let path = listener(&world, 4);
    world.api.json(Method::POST, &path, &cancel).await.unwrap();
    while bestow::work::step(&world.app).await.unwrap() {}
    send(&world, &[trigger("P-1", "2027-03-25 05:00:00", &json!({}))]).await;
    while bestow::work::step(&world.app).await.unwrap() {}
    let grants = grants(&world, "P-1").await;
    assert_eq!(
        (&grants[0]["source"], &grants[0]["status"]),
        (&json!("triggered"), &json!("suspended"))
    );
    assert!(!is_eligible(&world, "P-1", "FS20").await);
}

#[tokio::test]
async fn only_campaigns_on_the_list_are_taken_where_there_is_one() {
    let world = triggered(&json!({"triggered": {"campaigns": ["RT-812"]}})).await;
    let at = "2027-03-25 05:00:00";
    tell(&world, &trigger("P-1", at, &json!({}))).await;
    tell(
        &world,
        &trigger("P-1", at, &json!({"campaignID": "rt-813"})),
    )
    .await;
    assert_eq!(grants(&world, "P-1").await.len(), 1);
    let inbox = inbox(&world).await;
    assert_eq!(inbox[1]["reason"], "campaign_unknown");
}

#[tokio::test]
async fn a_trigger_of_a_campaign_that_is_read_in_lists_is_held() {
    let world = triggered(&json!({})).await;
    let campaign = world.run(3, &json!({})).await;
    tell(
        &world,
        &trigger(
            "P-1",
            "2027-03-25 05:00:00",
            &json!({"campaignID": campaign}),
        ),
    )
    .await;
    let inbox = inbox(&world).await;
    assert_eq!(inbox.last().expect("one")["reason"], "campaign_mismatch");
    world.assert_right(campaign).await;
}

#[tokio::test]
async fn a_trigger_takes_a_unique_code_and_waits_where_the_pool_is_empty() {
    let world = triggered(&json!({})).await;
    put(&world, "GIFT", &json!({"kind": "unique"})).await;
    let gift = json!({"promoCode": "GIFT"});
    for customer in ["P-1", "P-2", "P-3"] {
        tell(&world, &trigger(customer, "2027-03-25 05:00:00", &gift)).await;
    }
    let all = [("rows", 3), ("pairs", 3), ("held:no_free_code", 3)];
    assert_eq!(counts(&world, "rt-812"), counted(&all));
    let path = "/v1/tenants/acme/promotions/GIFT/codes";
    let two = json!({"generate": 2});
    world
        .api
        .ok(Method::POST, path, &two)
        .await
        .expect("loaded");
    world.settle().await;
    let all = [
        ("rows", 3),
        ("pairs", 3),
        ("granted", 2),
        ("held:no_free_code", 1),
    ];
    assert_eq!(counts(&world, "rt-812"), counted(&all));
    let one = json!({"generate": 1});
    world
        .api
        .ok(Method::POST, path, &one)
        .await
        .expect("loaded");
    world.settle().await;
    let mut codes = std::collections::BTreeSet::new();
    for customer in ["P-1", "P-2", "P-3"] {
        let grants = grants(&world, customer).await;
        codes.insert(
            grants[0]["unique_code"]
                .as_str()
                .expect("a code")
                .to_owned(),
        );
    }
    assert_eq!(codes.len(), 3);
    world.assert_verified();
}
