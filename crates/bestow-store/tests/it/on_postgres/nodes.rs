//! Processes that share a database: who is there, what becomes of those that are gone, and what they say to each other.

use std::sync::mpsc;

use bestow_store::calls::{CallLimit, FRESH_MS, Session, Slice};
use bestow_store::testing::HandClock;
use bestow_store::{Connections, Error, Migrate, Options, Store};

use crate::support::{Fresh, LEASE_MS, NOW_MS, TENANT, postgres};

const CREDENTIAL: [u8; 32] = [7; 32];
/// Looks at what the server has to notice first.
const LOOKS_MAX: u32 = 100_000;

fn second(fresh: &Fresh) -> Store {
    let options = Options {
        clock: HandClock::at(NOW_MS).clock(),
        migrate: Migrate::Refuse,
        connections: Connections {
            writers: 1,
            readers: 1,
        },
    };
    Store::open(&fresh.db.url(), &options).expect("a second process opens")
}

fn node(store: &Store) -> i64 {
    store.node().expect("it answers").expect("it is shared")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_has_a_number_until_it_is_gone() {
    let fresh = postgres();
    let other = second(&fresh);
    let (own, others) = (node(fresh.store()), node(&other));
    assert_ne!(own, others);
    assert_eq!(node(&other), others);
    // Everybody's connections are cut: each is somebody else from now on.
    fresh.ask(
        "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    let mut looks = 0;
    while other.node().is_ok_and(|node| node == Some(others)) {
        looks += 1;
        assert!(looks < LOOKS_MAX, "it does not notice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_gone_had_is_free_again() {
    let fresh = postgres();
    let other = second(&fresh);
    let (own, others) = (node(fresh.store()), node(&other));
    let limit = CallLimit {
        calls_max: 4,
        window_ms: 0,
    };
    let take = |id| fresh.try_tx(move |tx| tx.take_calls(&CREDENTIAL, id, 4, limit));
    assert_eq!(take((others, 1)).await.expect("taken"), Slice::Taken(4));
    let ask = |id| fresh.try_tx(move |tx| tx.find_session(&CREDENTIAL, id, |_| false));
    assert_eq!(ask((others, 1)).await.expect("asked"), Session::LogIn);
    fresh.tx(|tx| tx.want_job(TENANT, "import", "1", 0)).await;
    let job = fresh.tx(|tx| tx.claim_job(LEASE_MS)).await.expect("due");
    let held = job.clone();
    fresh.tx(move |tx| tx.sign_job(&held, others)).await;

    // It is there, whatever it does.
    assert!(matches!(take((own, 2)).await, Ok(Slice::Wait(_))));
    assert!(matches!(ask((own, 2)).await, Ok(Session::Wait(_))));
    assert!(fresh.read(|tx| tx.gone_holders()).is_empty());

    drop(other);
    let mut looks = 0;
    while fresh.read(|tx| tx.gone_holders()).is_empty() {
        looks += 1;
        assert!(looks < LOOKS_MAX, "it is not seen to be gone");
    }
    assert_eq!(fresh.read(|tx| tx.gone_holders()), [others]);
    assert_eq!(fresh.tx(move |tx| tx.release_leases_of(others)).await, 1);
    let late = fresh.try_tx(move |tx| tx.check_lease(&job)).await;
    assert!(matches!(late, Err(Error::LeaseLost)), "{late:?}");
    assert!(
        matches!(take((own, 2)).await, Ok(Slice::Wait(ms)) if ms > 0),
        "it may still use them"
    );
    let mut looks = 0;
    while !matches!(take((own, 2)).await, Ok(Slice::Taken(4))) {
        looks += 1;
        assert!(looks < LOOKS_MAX, "its calls stay taken");
    }
    // It may have lost its connections only, and logs in while its turn is fresh: a second of that, a second between
    // two logins.
    assert_eq!(
        ask((own, 2)).await.expect("asked"),
        Session::Wait(2 * FRESH_MS)
    );
    while ask((own, 2)).await.expect("asked") != Session::LogIn {
        looks += 1;
        assert!(looks < LOOKS_MAX, "its turn stays taken");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_says_the_others_hear() {
    let fresh = postgres();
    let other = second(&fresh);
    let (sender, heard) = mpsc::channel();
    other.hear(move |word| {
        let _ = sender.send(word.to_owned());
    });
    assert_eq!(heard.recv().expect("it listens"), "");
    fresh.store().cry("12").expect("said");
    assert_eq!(heard.recv().expect("heard"), "12");
    // Whoever lost the connection may have missed something, and is told so.
    fresh.ask(
        "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'LISTEN%'",
    );
    assert_eq!(heard.recv().expect("it listens again"), "");
}

#[test]
fn time_is_the_servers() {
    let fresh = postgres();
    let told = fresh.store().server_now_ms().expect("it answers");
    // The clock of the deployment stands in 2023.
    assert!(
        told.is_some_and(|now| now > NOW_MS + 86_400_000),
        "{told:?}"
    );
}
