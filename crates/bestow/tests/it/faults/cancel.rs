//! A campaign is cancelled, or somebody says so: before, during and after its import, again and again, and with Optimove
//! saying one thing, another, or nothing.

use bestow_store::Error as StoreError;
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use super::{inbox, is_eligible, listener, paged, switch, tuned, view};
use crate::scripted::Scripted;
use crate::support::World;

const LIST: &str = "GetCanceledCampaignCustomers";
const DETAILS: &str = "GetCampaignDetails";
/// When the windows of [`World::plan`]'s campaigns are open.
const INSIDE: &str = "2027-03-28T12:00:00Z";

/// A campaign of 25 customers, imported by the rules; from then on Optimove says what the test says.
async fn imported(world: &World) -> (u64, Scripted) {
    let campaign = world.run(25, &json!({})).await;
    world.assert_right(campaign).await;
    world.travel(INSIDE).await;
    (campaign, Scripted::instead(world).await)
}

/// Event 4 arrives.
async fn tell(world: &World, campaign: u64) {
    let body = json!({"EventTypeID": 4, "CampaignID": campaign});
    let path = listener(world, 4);
    world
        .api
        .ok(Method::POST, &path, &body)
        .await
        .expect("it is taken");
}

/// Rows of the cancelled list: these customers with FS20.
fn rows<'a>(customers: impl IntoIterator<Item = &'a String>) -> Vec<Value> {
    let row = |customer| json!({"CustomerID": customer, "ActionID": "24", "PromoCode": "FS20"});
    customers.into_iter().map(row).collect()
}

fn successful() -> Value {
    json!({"Duration": 7, "LeadTime": 2, "Status": "Successful", "Error": ""})
}

async fn customers(world: &World, campaign: u64) -> Vec<String> {
    let ledger = world.ledger(campaign).await;
    ledger.into_keys().map(|(customer, _)| customer).collect()
}

/// Open findings: kind and detail.
async fn findings(world: &World) -> Vec<(String, String)> {
    let path = "/v1/tenants/acme/findings";
    let page = world
        .api
        .ok(Method::GET, path, &Value::Null)
        .await
        .expect("the findings");
    let text = |one: &Value, field: &str| one[field].as_str().expect("a text").to_owned();
    let found = page["data"].as_array().expect("a list").iter();
    found
        .map(|one| (text(one, "kind"), text(one, "detail")))
        .collect()
}

async fn kinds(world: &World) -> Vec<String> {
    findings(world)
        .await
        .into_iter()
        .map(|(kind, _)| kind)
        .collect()
}

/// What was done to campaigns, in turn, the work of the import left out.
fn record(world: &World) -> Vec<String> {
    let no = world.acme().no();
    let records = world.app.store.peek(|tx| tx.audit_records(no, 0, 1_000));
    let records: Result<_, StoreError> = records;
    let of_campaigns = |action: &String| action.starts_with("campaign.");
    let actions = records.expect("the records").into_iter();
    actions.map(|one| one.action).filter(of_campaigns).collect()
}

async fn ask(world: &World, verb: &str, campaign: u64, body: &Value) {
    let path = format!("/v1/tenants/acme/campaigns/{campaign}/{verb}");
    world
        .api
        .ok(Method::POST, &path, body)
        .await
        .expect("it is done");
}

/// Nothing of the campaign can be redeemed, and nothing else is broken.
async fn assert_dead(world: &World, campaign: u64, state: &str) {
    let view = view(world, campaign).await;
    assert_eq!(view["status"], "revoked");
    assert_eq!(view["cancellation"]["state"], state);
    assert!(view["cancellation"]["settled_at"].is_string());
    assert!(view["revoked_at"].is_string());
    for customer in customers(world, campaign).await {
        assert!(!is_eligible(world, &customer, "FS20").await, "{customer}");
    }
    world.assert_verified();
}

#[tokio::test]
async fn confirmed_by_the_list_it_is_revoked_and_the_counts_agree() {
    let world = paged(10).await;
    let (campaign, optimove) = imported(&world).await;
    let ours = customers(&world, campaign).await;
    // Each customer on two channels: rows, not pairs, are twice as many.
    optimove.list(LIST, [rows(&ours), rows(&ours)].concat());
    tell(&world, campaign).await;
    world.settle().await;
    assert_dead(&world, campaign, "confirmed").await;
    let told = view(&world, campaign).await["cancellation"].clone();
    assert_eq!(
        (
            &told["rows"],
            &told["listed"],
            &told["not_ours"],
            &told["not_listed"]
        ),
        (&json!(50), &json!(25), &json!(0), &json!(0))
    );
    assert_eq!(kinds(&world).await, [""; 0]);
    assert_eq!(
        record(&world),
        ["campaign.cancel_heard", "campaign.revoked"]
    );
}

#[tokio::test]
async fn a_list_that_differs_both_ways_is_a_finding_and_all_of_ours_are_revoked() {
    let world = paged(10).await;
    let (campaign, optimove) = imported(&world).await;
    let mut listed = customers(&world, campaign).await;
    listed.truncate(22);
    listed.extend(["stranger-1".to_owned(), "stranger-2".to_owned()]);
    let mut list = rows(&listed);
    // The control group holds nothing, and a row without a code says nothing.
    list.push(json!({"CustomerID": "control", "ActionID": 1, "PromoCode": "FS20"}));
    list.push(json!({"CustomerID": "nothing", "ActionID": 24, "PromoCode": ""}));
    optimove.list(LIST, list);
    tell(&world, campaign).await;
    world.settle().await;
    assert_dead(&world, campaign, "confirmed").await;
    let told = view(&world, campaign).await["cancellation"].clone();
    assert_eq!(
        (
            &told["rows"],
            &told["listed"],
            &told["not_ours"],
            &told["not_listed"]
        ),
        (&json!(26), &json!(24), &json!(2), &json!(3))
    );
    let found = findings(&world).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "cancelled_list_differs");
    assert!(
        found[0]
            .1
            .contains("2 pairs without a grant here, and lacks 3 grants")
    );
}

#[tokio::test]
async fn a_list_of_several_codes_to_a_row_is_compared_code_by_code() {
    let world = paged(10).await;
    let action = json!({"id": 24, "promo_codes": ["FS20", "CB10"], "channels": [{"id": 504}]});
    let campaign = world.run(5, &json!({ "actions": [action] })).await;
    let ours = customers(&world, campaign).await;
    let optimove = Scripted::instead(&world).await;
    let row = |customer| json!({"CustomerID": customer, "PromoCode": "fs20, CB10"});
    optimove.list(LIST, ours.iter().step_by(2).map(row).collect());
    tell(&world, campaign).await;
    world.settle().await;
    let told = view(&world, campaign).await["cancellation"].clone();
    assert_eq!(
        (
            &told["rows"],
            &told["listed"],
            &told["not_ours"],
            &told["not_listed"]
        ),
        (&json!(5), &json!(10), &json!(0), &json!(0))
    );
}

/// How many questions about the cancel were asked since the last look.
fn questions(optimove: &Scripted) -> usize {
    let asked = optimove.asked();
    let about = |one: &&String| one.starts_with(LIST) || one.starts_with(DETAILS);
    asked.iter().filter(about).count()
}

#[tokio::test]
async fn forged_it_stops_the_campaign_until_optimove_has_contradicted_it_twice() {
    let world = paged(10).await;
    let (campaign, optimove) = imported(&world).await;
    let customer = customers(&world, campaign).await.remove(0);
    optimove.list(LIST, Vec::new());
    optimove.answer(DETAILS, 200, &successful());
    for time in 1..=2 {
        assert!(is_eligible(&world, &customer, "FS20").await);
        tell(&world, campaign).await;
        while bestow::work::step(&world.app).await.unwrap() {}
        assert!(!is_eligible(&world, &customer, "FS20").await);
        let now = view(&world, campaign).await;
        assert_eq!(now["status"], "suspended");
        assert_eq!(now["cancellation"]["state"], "asking");
        assert_eq!(questions(&optimove), 2);
        world.settle().await;
        assert_eq!(questions(&optimove), 2);
        let now = view(&world, campaign).await;
        assert_eq!(now["status"], "running");
        assert_eq!(now["suspended_at"], Value::Null);
        assert_eq!(now["cancellation"]["state"], "contradicted");
        assert_eq!(kinds(&world).await, ["cancel_contradicted"]);
        // The next one is another notice, not a repeat of this one.
        assert_eq!(record(&world).len(), 2 * time);
    }
    assert!(is_eligible(&world, &customer, "FS20").await);
    let done = ["campaign.cancel_heard", "campaign.suspension_lifted"];
    assert_eq!(record(&world), [done, done].concat());
    world.assert_verified();
    // And if it comes true one day, it is believed.
    optimove.answer(DETAILS, 200, &json!({"Duration": 7, "Status": "Canceled"}));
    tell(&world, campaign).await;
    world.settle().await;
    assert_dead(&world, campaign, "confirmed").await;
    assert_eq!(kinds(&world).await, [""; 0]);
}

/// Sets what Optimove says; nothing of it tells whether the campaign was cancelled.
fn say_nothing_of_use(optimove: &Scripted, how: &str) {
    optimove.list(LIST, Vec::new());
    optimove.answer(DETAILS, 200, &successful());
    match how {
        "list 404" => optimove.answer(LIST, 404, "Not Found"),
        "list 405" => optimove.answer(LIST, 405, ""),
        "list 403" => optimove.answer(LIST, 403, "\"Forbidden\""),
        "list html" => optimove.answer(LIST, 200, "<html></html>"),
        "list cut" => optimove.answer(LIST, 200, "[{\"CustomerID\":"),
        "campaign unknown" => optimove.answer(DETAILS, 404, "Not Found"),
        "no status" => optimove.answer(DETAILS, 200, &json!({"Duration": 7})),
        "failed" => optimove.answer(DETAILS, 200, &json!({"Status": "Failed"})),
        "all gone" => {
            optimove.answer(LIST, 404, "");
            optimove.answer(DETAILS, 404, "");
        }
        other => panic!("no such answer: {other}"),
    }
}

const NOTHING_OF_USE: [&str; 9] = [
    "list 404",
    "list 405",
    "list 403",
    "list html",
    "list cut",
    "campaign unknown",
    "no status",
    "failed",
    "all gone",
];

#[tokio::test]
async fn where_optimove_cannot_tell_it_is_revoked_and_marked_unconfirmed() {
    for how in NOTHING_OF_USE {
        let world = paged(10).await;
        let (campaign, optimove) = imported(&world).await;
        say_nothing_of_use(&optimove, how);
        tell(&world, campaign).await;
        world.settle().await;
        assert_dead(&world, campaign, "unconfirmed").await;
        assert_eq!(kinds(&world).await, ["cancel_unconfirmed"], "{how}");
        assert_eq!(
            record(&world),
            ["campaign.cancel_heard", "campaign.revoked"]
        );
    }
}

#[tokio::test]
async fn where_optimove_cannot_tell_it_waits_for_a_person_if_the_tenant_says_so() {
    for how in NOTHING_OF_USE {
        let world = World::with(|config| config.optimove.page_rows = 10).await;
        world
            .connect(&json!({"cancel_unconfirmed": "suspend"}))
            .await;
        let (campaign, optimove) = imported(&world).await;
        say_nothing_of_use(&optimove, how);
        tell(&world, campaign).await;
        world.settle().await;
        let now = view(&world, campaign).await;
        assert_eq!(
            (&now["status"], &now["cancellation"]["state"]),
            (&json!("suspended"), &json!("unconfirmed"))
        );
        assert_eq!(kinds(&world).await, ["cancel_unconfirmed"], "{how}");
        ask(&world, "resume", campaign, &Value::Null).await;
        assert_eq!(view(&world, campaign).await["status"], "running");
        assert_eq!(kinds(&world).await, [""; 0]);
    }
}

#[tokio::test]
async fn an_empty_list_says_nothing_once_its_two_hours_are_over() {
    let world = paged(10).await;
    let (campaign, optimove) = imported(&world).await;
    optimove.list(LIST, Vec::new());
    optimove.answer(DETAILS, 200, &successful());
    tell(&world, campaign).await;
    // Nobody worked for two hours.
    world.travel("2027-03-28T14:00:00Z").await;
    world.settle().await;
    assert_dead(&world, campaign, "unconfirmed").await;
}

#[tokio::test]
async fn an_optimove_that_is_down_is_asked_until_it_may_no_longer_tell() {
    for (comes_back, state) in [(true, "confirmed"), (false, "unconfirmed")] {
        let world = tuned(|config| {
            config.optimove.page_rows = 10;
            config.optimove.tries_max = 1;
            config.work.retry_ms = 60_000;
        })
        .await;
        let (campaign, optimove) = imported(&world).await;
        optimove.answer(LIST, 500, "");
        optimove.answer(DETAILS, 500, "");
        tell(&world, campaign).await;
        for _ in 0..3 {
            while bestow::work::step(&world.app).await.unwrap() {}
            assert!(world.app.clock.advance(300_000));
        }
        let now = view(&world, campaign).await;
        assert_eq!(
            (&now["status"], &now["cancellation"]["state"]),
            (&json!("suspended"), &json!("asking"))
        );
        if comes_back {
            let ours = customers(&world, campaign).await;
            optimove.list(LIST, rows(&ours));
        }
        world.settle().await;
        assert_dead(&world, campaign, state).await;
    }
}

#[tokio::test]
async fn told_a_thousand_times_it_has_one_effect_and_one_record() {
    let world = paged(10).await;
    let (campaign, optimove) = imported(&world).await;
    optimove.list(LIST, rows(&customers(&world, campaign).await));
    let calls = (0..500).map(|_| tell(&world, campaign));
    join_all(calls).await;
    world.settle().await;
    let calls = (0..500).map(|_| tell(&world, campaign));
    join_all(calls).await;
    world.settle().await;
    assert_dead(&world, campaign, "confirmed").await;
    assert_eq!(
        record(&world),
        ["campaign.cancel_heard", "campaign.revoked"]
    );
    let inbox = inbox(&world).await;
    let told: Vec<_> = inbox.iter().filter(|one| one["event_type"] == 4).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["arrivals"], 1_000);
}

#[tokio::test]
async fn during_the_import_whatever_is_written_later_cannot_be_redeemed() {
    // After each number of steps of the import, until it is over.
    for steps in 0.. {
        let world = tuned(|config| {
            config.optimove.page_rows = 5;
            config.work.merge_grants_max = 4;
        })
        .await;
        // Nobody can tell: the stand-in was not told of a cancel and has dropped the list.
        switch(&world, &json!({"cancelled-list": "removed"}));
        let campaign = world.plan(25, &json!({}));
        world.sandbox.process(campaign).unwrap();
        world.delivered().await;
        let mut left = steps;
        while left > 0 && bestow::work::step(&world.app).await.unwrap() {
            left -= 1;
        }
        tell(&world, campaign).await;
        world.settle().await;
        world.travel(INSIDE).await;
        world.settle().await;
        assert_dead(&world, campaign, "unconfirmed").await;
        assert_eq!(world.ledger(campaign).await, world.oracle(campaign));
        if left > 0 {
            assert!(steps > 1);
            return;
        }
    }
}

#[tokio::test]
async fn an_unknown_campaign_leaves_a_tombstone_that_a_late_execution_does_not_move() {
    let world = paged(10).await;
    let campaign = world.plan(25, &json!({}));
    tell(&world, campaign).await;
    while bestow::work::step(&world.app).await.unwrap() {}
    let now = view(&world, campaign).await;
    assert_eq!(now["status"], "suspended");
    // Executed before Optimove was asked a second time.
    world.sandbox.process(campaign).unwrap();
    world.settle().await;
    world.travel(INSIDE).await;
    assert_eq!(customers(&world, campaign).await.len(), 25);
    assert_dead(&world, campaign, "unconfirmed").await;
}

#[tokio::test]
async fn a_persons_suspension_is_not_lifted_by_what_optimove_says() {
    for is_first in [true, false] {
        let world = paged(10).await;
        let (campaign, optimove) = imported(&world).await;
        optimove.list(LIST, Vec::new());
        optimove.answer(DETAILS, 200, &successful());
        let why = json!({"reason": "under review"});
        if is_first {
            ask(&world, "suspend", campaign, &why).await;
        }
        tell(&world, campaign).await;
        while bestow::work::step(&world.app).await.unwrap() {}
        if !is_first {
            ask(&world, "suspend", campaign, &why).await;
        }
        world.settle().await;
        let now = view(&world, campaign).await;
        assert_eq!(
            (
                &now["status"],
                &now["stop_reason"],
                &now["cancellation"]["state"]
            ),
            (
                &json!("suspended"),
                &json!("under review"),
                &json!("contradicted")
            )
        );
        assert_eq!(kinds(&world).await, ["cancel_contradicted"]);
    }
}

#[tokio::test]
async fn a_person_who_resumes_while_optimove_is_asked_has_decided() {
    let world = paged(10).await;
    let (campaign, optimove) = imported(&world).await;
    optimove.answer(DETAILS, 404, "");
    tell(&world, campaign).await;
    while bestow::work::step(&world.app).await.unwrap() {}
    ask(&world, "resume", campaign, &Value::Null).await;
    world.settle().await;
    let now = view(&world, campaign).await;
    assert_eq!(
        (&now["status"], &now["cancellation"]["state"]),
        (&json!("running"), &json!("overruled"))
    );
    // Told again, it counts again.
    tell(&world, campaign).await;
    world.settle().await;
    assert_dead(&world, campaign, "unconfirmed").await;
}

#[tokio::test]
async fn a_replay_by_a_person_asks_again() {
    let world = World::with(|config| config.optimove.page_rows = 10).await;
    world
        .connect(&json!({"cancel_unconfirmed": "suspend"}))
        .await;
    let (campaign, optimove) = imported(&world).await;
    optimove.answer(DETAILS, 404, "");
    tell(&world, campaign).await;
    world.settle().await;
    assert_eq!(
        view(&world, campaign).await["cancellation"]["state"],
        "unconfirmed"
    );
    optimove.list(LIST, rows(&customers(&world, campaign).await));
    let inbox = inbox(&world).await;
    let told = inbox.iter().find(|one| one["event_type"] == 4).unwrap();
    let id = told["id"].as_str().unwrap();
    let path = format!("/v1/tenants/acme/notifications/{id}/replay");
    world
        .api
        .ok(Method::POST, &path, &Value::Null)
        .await
        .unwrap();
    world.settle().await;
    assert_dead(&world, campaign, "confirmed").await;
    assert_eq!(kinds(&world).await, [""; 0]);
}

/// Whoever decides and compares may be gone after any of its transactions; somebody else goes on.
#[tokio::test]
async fn a_commit_of_unknown_outcome_anywhere_changes_nothing() {
    for name in [
        "settle_notifications",
        "settle_cancel",
        "hold_cancel",
        "settle_cancelled_list",
    ] {
        let world = paged(10).await;
        let (campaign, optimove) = imported(&world).await;
        optimove.list(LIST, rows(&customers(&world, campaign).await));
        tell(&world, campaign).await;
        super::lose_commits(&world, name, 3);
        world.settle().await;
        assert_dead(&world, campaign, "confirmed").await;
        let told = view(&world, campaign).await["cancellation"].clone();
        assert_eq!(
            (&told["rows"], &told["listed"]),
            (&json!(25), &json!(25)),
            "{name}"
        );
        assert_eq!(
            record(&world),
            ["campaign.cancel_heard", "campaign.revoked"]
        );
    }
}

/// The stand-in's own list, its windows and its ways to say nothing.
#[tokio::test]
async fn the_stand_ins_own_cancel_is_confirmed_and_agrees() {
    let cases = [
        (json!({}), 25),
        (json!({"empty-result": "not-found"}), 25),
        (
            json!({"empty-result": "no-content", "page-order": "shuffle"}),
            25,
        ),
        (json!({"promo-codes": "array", "ids": "string"}), 25),
        (json!({"cancelled-list": "removed"}), 0),
        (json!({"cancelled-window-seconds": 0}), 0),
    ];
    for (switches, rows) in cases {
        let world = paged(1_000).await;
        let campaign = world.run(25, &json!({})).await;
        world.travel(INSIDE).await;
        switch(&world, &switches);
        world.sandbox.cancel(campaign).unwrap();
        world.settle().await;
        assert_dead(&world, campaign, "confirmed").await;
        let told = view(&world, campaign).await["cancellation"].clone();
        assert_eq!(told["rows"], rows, "{switches}");
        assert_eq!(
            (&told["not_ours"], &told["not_listed"]),
            (&json!(0), &json!(0)),
            "{switches}"
        );
        assert_eq!(kinds(&world).await, [""; 0], "{switches}");
    }
}
