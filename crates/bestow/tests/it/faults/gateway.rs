//! The gateway: the same question, the last place, questions without an answer, a store that stands still, and what
//! event 11 makes of a yes.

mod refusals;
mod stand_in;

use std::sync::{Mutex, mpsc};
use std::thread::{self, JoinHandle};

use bestow_store::Error as StoreError;
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use super::triggers::{counts, findings, grants, put, send, tell, trigger, triggered};
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

async fn exclude(world: &World, customer: &'static str) {
    let path = "/v1/tenants/acme/exclusions";
    let body = json!({"customer_ids": [customer], "reason": "asked for it"});
    world.post(path, &body).await;
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
