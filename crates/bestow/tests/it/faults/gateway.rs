//! The gateway: the same question, the last place, questions without an answer, a store that stands still, and what
//! event 11 makes of a yes.

use std::sync::{Mutex, mpsc};
use std::thread::{self, JoinHandle};

use bestow::actor::Actor;
use bestow::service::tenants::{self, Suspension};
use bestow_store::Error as StoreError;
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use super::triggers::{counts, findings, grants, patch, put, send, tell, trigger, triggered};
use super::{inbox, listener};
use crate::support::{World, changed};

/// Where questions come in.
fn gateway(world: &World) -> String {
    let secret = world.app.keys.listener_secret("acme", 0, 1);
    format!("/optimove/gateway/{secret}")
}

/// A question about campaign `rt-812`, its parts changed by `user`, `campaign` and `action`.
fn question(customer: &str, user: &Value, campaign: &Value, action: &Value) -> Value {
    let action = changed(
        json!({"id": 24, "name": "Reload", "promo_codes": ["FS20"], "channels": []}),
        action,
    );
    let campaign = changed(
        json!({"id": "rt-812", "series_id": 812, "notes": "{\"duration\":7}", "tags": [],
            "action": action}),
        campaign,
    );
    let user = changed(json!({"user_id": customer, "is_visitor": false}), user);
    json!({"user": user, "campaign": campaign})
}

fn about(customer: &str) -> Value {
    question(customer, &json!({}), &json!({}), &json!({}))
}

fn with_codes(customer: &str, codes: &Value) -> Value {
    question(
        customer,
        &json!({}),
        &json!({}),
        &json!({"promo_codes": codes}),
    )
}

/// The answer to a question; it has to be one, and about whom was asked.
async fn is_allowed(world: &World, question: &Value) -> bool {
    let answer = world
        .api
        .json(Method::POST, &gateway(world), question)
        .await;
    let (status, answer) = answer.expect("an answer");
    assert_eq!(status.as_u16(), 200, "{answer}");
    let asked = &question["user"]["user_id"];
    let asked = asked.as_str().map_or(asked.to_string(), str::to_owned);
    assert_eq!(answer["user_id"], asked);
    assert_eq!(answer.as_object().expect("an object").len(), 2);
    answer["allowed"].as_bool().expect("a yes or a no")
}

/// Grants and reservations of a code.
fn taken(world: &World, code: &str) -> (u64, u64) {
    let tenant = world.acme().no();
    let taken = world
        .app
        .store
        .peek::<_, StoreError>(|tx| tx.taken(tenant, code));
    let taken = taken.expect("the store answers");
    (taken.granted, taken.reserved)
}

/// Keeps the database's only place for writing, as a process that hangs would.
struct Stopped {
    thread: JoinHandle<()>,
    let_go: mpsc::Sender<()>,
}

impl Stopped {
    /// From now until it is dropped nothing can be written.
    fn writer(world: &World) -> Self {
        let (let_go, is_let_go) = mpsc::channel::<()>();
        let (holds, is_held) = mpsc::channel();
        let store = world.app.store.clone();
        let runtime = tokio::runtime::Handle::current();
        let held = Mutex::new(Some((holds, is_let_go)));
        let thread = thread::spawn(move || {
            let hung = store.tx("hang", move |_| {
                if let Some((holds, is_let_go)) = held.lock().expect("nobody else").take() {
                    holds.send(()).expect("somebody waits");
                    // Ends when the other side is dropped.
                    let _ = is_let_go.recv();
                }
                Ok::<_, StoreError>(())
            });
            runtime.block_on(hung).expect("it ends");
        });
        is_held.recv().expect("it hangs");
        Self { thread, let_go }
    }

    /// Lets the store go on.
    fn go_on(self) {
        drop(self.let_go);
        self.thread.join().expect("it ends");
    }
}

async fn limited(world: &World, per_customer: Option<u64>, total: Option<u64>) {
    let limits = json!({"limits": {"per_customer": per_customer, "total": total}});
    put(world, "FS20", &limits).await;
}

#[tokio::test]
async fn the_same_question_gets_the_same_answer_and_one_reservation() {
    let world = triggered(&json!({})).await;
    limited(&world, Some(1), Some(1)).await;
    for _ in 0..3 {
        assert!(is_allowed(&world, &about("P-1")).await);
        assert!(!is_allowed(&world, &about("P-2")).await);
    }
    // In another spelling, order and type it is the same question.
    let again = question(
        "P-1",
        &json!({}),
        &json!({"id": "RT-812"}),
        &json!({"promo_codes": "fs20"}),
    );
    assert!(is_allowed(&world, &again).await);
    assert_eq!(taken(&world, "fs20"), (0, 1));
    // Another action is another question, and there is no room for it.
    let other = question("P-1", &json!({}), &json!({}), &json!({"id": 25}));
    assert!(!is_allowed(&world, &other).await);
}

#[tokio::test]
async fn of_five_hundred_who_ask_for_the_last_place_one_gets_it() {
    let world = triggered(&json!({})).await;
    limited(&world, None, Some(1)).await;
    let questions: Vec<Value> = (0..500).map(|n| about(&format!("P-{n}"))).collect();
    let answers = join_all(questions.iter().map(|one| is_allowed(&world, one))).await;
    assert_eq!(answers.iter().filter(|yes| **yes).count(), 1);
    assert_eq!(taken(&world, "fs20"), (0, 1));
}

#[tokio::test]
async fn a_yes_that_is_not_used_lapses_and_its_room_is_free_again() {
    let world = triggered(&json!({"gateway": {"reservation_seconds": 60}})).await;
    limited(&world, None, Some(1)).await;
    assert!(is_allowed(&world, &about("P-1")).await);
    world.travel("2027-03-25T06:00:59.999Z").await;
    assert!(!is_allowed(&world, &about("P-2")).await);
    world.travel("2027-03-25T06:01:00Z").await;
    assert!(is_allowed(&world, &about("P-2")).await);
    assert!(!is_allowed(&world, &about("P-1")).await);
    assert_eq!(taken(&world, "fs20"), (0, 1));
}

#[tokio::test]
async fn event_11_turns_the_reservation_into_a_grant() {
    let world = triggered(&json!({"triggered": {"require_reservation": true}})).await;
    limited(&world, Some(1), Some(1)).await;
    assert!(is_allowed(&world, &about("P-1")).await);
    // Without a yes there is nothing, and the other's place is not taken.
    tell(&world, &trigger("P-2", "2027-03-25 06:00:00", &json!({}))).await;
    tell(&world, &trigger("P-1", "2027-03-25 06:00:00", &json!({}))).await;
    assert_eq!(grants(&world, "P-1").await.len(), 1);
    assert_eq!(grants(&world, "P-2").await.len(), 0);
    assert_eq!(taken(&world, "fs20"), (1, 0));
    let counts = counts(&world, "rt-812");
    assert_eq!(
        (counts["granted"], counts["refused:no_reservation"]),
        (1, 1)
    );
    let found = findings(&world).await;
    let without = (
        "trigger_without_reservation".to_owned(),
        "campaign/rt-812".to_owned(),
    );
    assert!(found.contains(&without), "{found:?}");
    // It was used: the next question is a new one, and the limit is reached.
    assert!(!is_allowed(&world, &about("P-1")).await);
    world.assert_verified();
}

#[tokio::test]
async fn event_11_may_name_the_series_and_ids_may_be_numbers_or_texts() {
    let world = triggered(&json!({"triggered": {"require_reservation": true}})).await;
    let asked = question(
        "731",
        &json!({"user_id": 731}),
        &json!({"id": 90_121, "series_id": "812"}),
        &json!({}),
    );
    assert!(is_allowed(&world, &asked).await);
    let series = json!({"campaignID": 812, "customerID": "731"});
    tell(&world, &trigger("731", "2027-03-25 06:00:00", &series)).await;
    assert_eq!(grants(&world, "731").await.len(), 1);
    // One that names the occurrence finds its reservation used, and 0731 is somebody else.
    for customer in ["731", "0731"] {
        let occurrence = json!({"campaignID": "90121"});
        tell(
            &world,
            &trigger(customer, "2027-03-25 06:00:01", &occurrence),
        )
        .await;
    }
    assert_eq!(counts(&world, "90121")["refused:no_reservation"], 2);
}

#[tokio::test]
async fn event_11_without_a_yes_is_granted_where_none_is_needed() {
    let world = triggered(&json!({})).await;
    limited(&world, None, Some(2)).await;
    assert!(is_allowed(&world, &about("P-1")).await);
    tell(&world, &trigger("P-2", "2027-03-25 06:00:00", &json!({}))).await;
    assert_eq!(grants(&world, "P-2").await.len(), 1);
    // The second place is reserved: nobody takes it.
    tell(&world, &trigger("P-3", "2027-03-25 06:00:00", &json!({}))).await;
    assert_eq!(grants(&world, "P-3").await.len(), 0);
    tell(&world, &trigger("P-1", "2027-03-25 06:00:00", &json!({}))).await;
    assert_eq!(grants(&world, "P-1").await.len(), 1);
    world.assert_verified();
}

#[tokio::test]
async fn a_visitor_is_denied_and_never_a_customer() {
    let world = triggered(&json!({})).await;
    let visitor = question("P-1", &json!({"is_visitor": true}), &json!({}), &json!({}));
    assert!(!is_allowed(&world, &visitor).await);
    assert!(is_allowed(&world, &about("P-1")).await);
    patch(
        &world,
        &json!({"triggered": {"visitors": "grant", "require_reservation": true}}),
    )
    .await;
    // The customer's yes is not the visitor's.
    let at = "2027-03-25 06:00:00";
    tell(&world, &trigger("P-1", at, &json!({"isVisitor": true}))).await;
    assert_eq!(grants(&world, "visitor:P-1").await.len(), 0);
    assert!(is_allowed(&world, &visitor).await);
    let next = "2027-03-25 06:00:01";
    tell(&world, &trigger("P-1", next, &json!({"isVisitor": true}))).await;
    assert_eq!(grants(&world, "visitor:P-1").await.len(), 1);
    assert_eq!(grants(&world, "P-1").await.len(), 0);
}

#[tokio::test]
async fn codes_null_empty_many_and_unknown() {
    let world = triggered(&json!({})).await;
    put(&world, "OLD", &json!({"status": "archived"})).await;
    let cases = [
        (json!(null), true),
        (json!([]), true),
        (json!(["", " "]), true),
        (json!(["FS20", "CB10"]), true),
        (json!("FS20,CB10"), true),
        (json!(["FS20", "NEW"]), false),
        (json!(["OLD"]), false),
        (json!(["a\u{0}b"]), false),
        (
            json!((0..50).map(|n| format!("C{n}")).collect::<Vec<_>>()),
            false,
        ),
    ];
    for (place, (codes, allowed)) in cases.iter().enumerate() {
        let question = with_codes(&format!("P-{place}"), codes);
        assert_eq!(is_allowed(&world, &question).await, *allowed, "{codes}");
    }
    let found = findings(&world).await;
    assert_eq!(
        found,
        [("gateway_code".to_owned(), "campaign/rt-812".to_owned())]
    );
    patch(&world, &json!({"gateway": {"without_codes": "deny"}})).await;
    assert!(!is_allowed(&world, &with_codes("P-0", &json!(null))).await);
}

#[tokio::test]
async fn what_cannot_be_read_is_a_bad_request() {
    let world = triggered(&json!({})).await;
    for body in [
        json!(null),
        json!([]),
        json!({"user": {}}),
        json!({"user": {"user_id": "P-1"}}),
    ] {
        let answer = world.api.json(Method::POST, &gateway(&world), &body).await;
        let (status, problem) = answer.expect("an answer");
        assert_eq!(
            (status.as_u16(), &problem["code"]),
            (400, &json!("unreadable_question"))
        );
    }
    // An id that nobody can have is asked about, so it is answered.
    assert!(!is_allowed(&world, &about(&"x".repeat(300))).await);
}

#[tokio::test]
async fn a_secret_opens_one_door_only() {
    let world = triggered(&json!({})).await;
    let secret = |event| world.app.keys.listener_secret("acme", event, 1);
    for path in [
        format!("/optimove/listener/{}", secret(0)),
        format!("/optimove/gateway/{}", secret(11)),
        "/optimove/gateway/wrong".to_owned(),
    ] {
        let answer = world.api.json(Method::POST, &path, &about("P-1")).await;
        assert_eq!(answer.expect("an answer").0.as_u16(), 404, "{path}");
    }
    assert_eq!(inbox(&world).await.len(), 0);
}

/// Puts a customer on the list of those who may get nothing.
async fn exclude(world: &World, customer: &'static str) {
    let path = "/v1/tenants/acme/exclusions";
    let body = json!({"customer_ids": [customer], "reason": "asked for it"});
    world.post(path, &body).await;
}

async fn suspend(world: &World, what: Suspension) {
    tenants::set_suspended(&world.app, &Actor::cli(), "acme", what)
        .await
        .expect("it is so");
}

#[tokio::test]
async fn a_stopped_campaign_a_suspended_tenant_and_an_excluded_customer_are_denied() {
    let world = triggered(&json!({"triggered": {"campaigns": ["rt-812"]}})).await;
    assert!(is_allowed(&world, &about("P-1")).await);
    let elsewhere = question("P-1", &json!({}), &json!({"id": "rt-9"}), &json!({}));
    assert!(!is_allowed(&world, &elsewhere).await);
    exclude(&world, "P-9").await;
    assert!(!is_allowed(&world, &about("P-9")).await);
    let nothing = with_codes("P-9", &json!(null));
    assert!(!is_allowed(&world, &nothing).await);
    tell(&world, &trigger("P-9", "2027-03-25 06:00:00", &json!({}))).await;
    assert_eq!(counts(&world, "rt-812")["refused:excluded"], 1);
    suspend(&world, Suspension::Suspend).await;
    assert!(!is_allowed(&world, &about("P-1")).await);
    suspend(&world, Suspension::Resume).await;
    assert!(is_allowed(&world, &about("P-1")).await);
    let cancel = json!({"EventTypeID": 4, "TimeStamp": "2027-03-25 05:00", "CampaignID": "rt-812"});
    world
        .api
        .json(Method::POST, &listener(&world, 4), &cancel)
        .await
        .unwrap();
    world.work().await;
    // Even whoever had a yes: nothing of the campaign could be used.
    assert!(!is_allowed(&world, &about("P-1")).await);
    assert!(!is_allowed(&world, &about("P-2")).await);
}

#[tokio::test]
async fn a_store_that_stands_still_is_a_valid_no_in_time() {
    let world = World::with(|config| config.http.gateway_ms_max = 50).await;
    world
        .connect(&json!({"triggered_channels": [15], "conditional": true}))
        .await;
    limited(&world, None, Some(2)).await;
    let stopped = Stopped::writer(&world);
    for _ in 0..3 {
        let answers =
            join_all((0..20).map(|_| async { is_allowed(&world, &about("P-1")).await })).await;
        assert!(answers.iter().all(|yes| !yes));
    }
    stopped.go_on();
    // What was not said is not reserved: there is room for two who ask now.
    world.app.tx("look", |tx| Ok(tx.now_ms())).await.unwrap();
    assert!(is_allowed(&world, &about("P-2")).await);
    assert!(is_allowed(&world, &about("P-3")).await);
}

#[tokio::test]
async fn silence_while_triggers_come_is_found() {
    let world = triggered(&json!({})).await;
    tell(&world, &trigger("P-1", "2027-03-25 06:00:00", &json!({}))).await;
    assert_eq!(findings(&world).await, []);
    world.travel("2027-03-26T06:00:00Z").await;
    tell(&world, &trigger("P-1", "2027-03-26 06:00:00", &json!({}))).await;
    assert_eq!(
        findings(&world).await,
        [("gateway_silent".to_owned(), "gateway".to_owned())]
    );
    assert!(is_allowed(&world, &about("P-2")).await);
    assert_eq!(findings(&world).await, []);
    send(&world, &[trigger("P-3", "2027-03-26 06:00:00", &json!({}))]).await;
    world.work().await;
    assert_eq!(findings(&world).await, []);
}

/// A triggered conditional campaign of the stand-in: FS20 for seven days.
fn plan(world: &World) {
    let spec = json!({
        "tenant": "acme", "kind": "triggered", "conditional": true, "id": 90_121, "series_id": "812",
        "notes": "{\"duration\":7}",
        "actions": [{"id": 24, "promo_codes": ["FS20", "CB10"], "channels": [{"id": 15, "template_id": 31}]}],
    });
    world.sandbox.add_campaign(spec).expect("it is planned");
}

/// A customer of the stand-in meets the trigger; says whether the message went out.
async fn meet(world: &World, customer: &str) -> bool {
    let trigger = json!({"tenant": "acme", "campaign_id": 90_121, "customer_id": customer});
    let outcome = world.sandbox.trigger(trigger).await.expect("a trigger");
    assert!(outcome.asked && outcome.problem.is_none(), "{outcome:?}");
    assert_eq!(outcome.sent, outcome.allowed == Some(true));
    outcome.sent
}

/// Customers, codes and windows of the campaign: of the stand-in, and of the ledger.
async fn assert_as_expected(world: &World) {
    let mut expected: Vec<_> = world
        .sandbox
        .expected_of_triggers(90_121)
        .expect("it is known")
        .into_iter()
        .map(|one| {
            let (starts, ends) = (
                one.starts_at.to_string(),
                one.ends_at.map(|at| at.to_string()),
            );
            (one.customer_id, one.promo_code, starts, ends)
        })
        .collect();
    let mut granted = Vec::new();
    let path = "/v1/tenants/acme/campaigns/90121/grants";
    let read = world.api.lines(path, |line| {
        let grant: Value = serde_json::from_slice(line)?;
        let text = |name: &str| grant[name].as_str().map(str::to_owned);
        let of = |name: &str| text(name).expect("a text");
        granted.push((
            of("customer_id"),
            of("promo_code"),
            of("starts_at"),
            text("ends_at"),
        ));
        Ok(())
    });
    read.await.expect("an export");
    expected.sort();
    granted.sort();
    assert_eq!(granted, expected);
    world.assert_verified();
}

#[tokio::test]
async fn who_may_not_is_not_sent_and_all_others_get_what_the_stand_in_says() {
    let world = triggered(&json!({"triggered": {"require_reservation": true}})).await;
    super::switch(
        &world,
        &json!({"notify-duplicate": 2, "notify-reorder": "on"}),
    );
    limited(&world, Some(1), Some(12)).await;
    exclude(&world, "P-3").await;
    plan(&world);
    let mut sent = 0;
    for n in 0..20 {
        sent += u32::from(meet(&world, &format!("P-{n}")).await);
    }
    assert_eq!(sent, 12);
    assert!(!meet(&world, "P-3").await);
    world.settle().await;
    assert_as_expected(&world).await;
    assert_eq!(taken(&world, "fs20"), (12, 0));
}

#[tokio::test]
async fn the_asynchronous_gateway_says_the_same_by_a_call() {
    let world = triggered(&json!({"gateway": {"version": "v2"}})).await;
    super::switch(&world, &json!({"gateway-version": "v2"}));
    exclude(&world, "P-3").await;
    plan(&world);
    let workers = bestow::work::Workers::start(&world.app);
    for (customer, allowed) in [("P-1", true), ("P-3", false), ("P-4", true)] {
        assert_eq!(meet(&world, customer).await, allowed, "{customer}");
    }
    workers.stop().await;
    world.settle().await;
    assert_as_expected(&world).await;
}
