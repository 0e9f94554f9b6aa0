//! Several connections write: who is undone alone, whose turn it is, and what a lost connection or a deadlock means.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};

use bestow_store::testing::HandClock;
use bestow_store::{Connections, Error, Fault, Migrate, Options, Store, Tx, values};

use crate::support::{Fresh, NOW_MS, TENANT, at_once, postgres};

fn note(tx: &mut Tx<'_>, object: &str) -> Result<(), Error> {
    tx.find(TENANT, "note", object, "")
}

fn noted(fresh: &Fresh) -> Vec<String> {
    let found = fresh.read(|tx| tx.findings(TENANT));
    found.into_iter().map(|finding| finding.object).collect()
}

/// The same database, as another process would open it.
fn second(fresh: &Fresh) -> Store {
    let options = Options {
        clock: HandClock::at(NOW_MS).clock(),
        migrate: Migrate::Refuse,
        connections: Connections::default(),
    };
    Store::open(&fresh.db.url(), &options).expect("opens")
}

/// Ends every other connection to this database, as a restart of the server does. Gives how many there were.
fn cut(fresh: &Fresh) -> i64 {
    fresh.ask(
        "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_fails_is_undone() {
    let fresh = postgres();
    let store = fresh.store().clone();
    let answers = at_once(40, |n| {
        let store = store.clone();
        Box::pin(async move {
            store
                .tx("note", move |tx| {
                    note(tx, &format!("{n:02}"))?;
                    match n % 4 {
                        1 => Err(Error::LeaseLost),
                        // As a panic, but for the message on the screen.
                        2 => std::panic::resume_unwind(Box::new("a defect")),
                        // Refused by a check of the schema, which the work does not mind.
                        3 => {
                            let refused = tx.execute(
                                "UPDATE finding SET kind = NULL WHERE tenant = $1",
                                values![TENANT],
                            );
                            assert!(matches!(refused, Err(Error::Refused { .. })));
                            Ok(())
                        }
                        _ => Ok(()),
                    }
                })
                .await
        })
    })
    .await;
    for (n, answer) in answers.into_iter().enumerate() {
        match (n % 4, answer) {
            (0, Ok(()))
            | (1, Err(Error::LeaseLost))
            | (2, Err(Error::Refused { .. }))
            | (3, Err(Error::Unavailable(_))) => {}
            (_, answer) => panic!("{n}: {answer:?}"),
        }
    }
    let kept: Vec<_> = (0..40).step_by(4).map(|n| format!("{n:02}")).collect();
    assert_eq!(noted(&fresh), kept);
}

/// What a transaction reads before it writes stays true, although it locks no row: nobody else has the turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interactive_work_takes_turns_over_processes() {
    let fresh = postgres();
    let stores = [fresh.store().clone(), second(&fresh), second(&fresh)];
    at_once(60, |n| {
        let store = stores[n % 3].clone();
        Box::pin(async move {
            store
                .tx::<_, Error, _>("append", |tx| {
                    let there = tx.findings(TENANT)?.len();
                    note(tx, &format!("{there:03}"))
                })
                .await
                .expect("written");
        })
    })
    .await;
    assert_eq!(noted(&fresh).len(), 60);
}

async fn unknown_outcomes_end_in_one_effect(fault: Fault) {
    let fresh = postgres();
    let left = AtomicUsize::new(3);
    fresh.store().fail_commits(move |_| {
        let again = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        again.is_ok().then_some(fault)
    });
    let no = fresh
        .tx(|tx| tx.see_campaign(TENANT, "5101", "scheduled", "sweep"))
        .await;
    assert_eq!(no, (1, fault == Fault::BeforeCommit));
    assert_eq!(fresh.read(|tx| tx.campaigns(TENANT, 0, 10)).len(), 1);
}

#[tokio::test]
async fn lost_before_the_commit_is_run_again() {
    unknown_outcomes_end_in_one_effect(Fault::BeforeCommit).await;
}

#[tokio::test]
async fn lost_after_the_commit_changes_nothing_more() {
    unknown_outcomes_end_in_one_effect(Fault::AfterCommit).await;
}

#[tokio::test]
async fn cut_connections_are_opened_again() {
    let fresh = postgres();
    for round in 0..5 {
        let object = round.to_string();
        fresh.tx(move |tx| note(tx, &object)).await;
        fresh.store().change_mark().expect("a mark");
        assert_eq!(noted(&fresh).len(), round + 1);
        assert!(cut(&fresh) > 0, "there were connections to cut");
    }
}

/// The connection goes while a transaction is under way: it is run again as a whole.
#[tokio::test]
async fn cut_transaction_is_run_again() {
    let fresh = Arc::new(postgres());
    let runs = Arc::new(AtomicUsize::new(0));
    let (counter, database) = (Arc::clone(&runs), Arc::clone(&fresh));
    fresh
        .tx(move |tx| {
            note(tx, "before")?;
            if counter.fetch_add(1, Ordering::SeqCst) == 0 {
                assert!(cut(&database) > 0);
            }
            note(tx, "after")
        })
        .await;
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert_eq!(noted(&fresh), ["after", "before"]);
}

/// Two chunks that lock the same rows in opposite order: the server ends one, which is run again as a whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlock_is_run_again() {
    let fresh = postgres();
    fresh
        .tx(|tx| note(tx, "a").and_then(|()| note(tx, "b")))
        .await;
    let meeting = Arc::new(Barrier::new(2));
    let runs = Arc::new(AtomicUsize::new(0));
    let store = fresh.store().clone();
    at_once(2, |place| {
        let (store, meeting, runs) = (store.clone(), Arc::clone(&meeting), Arc::clone(&runs));
        Box::pin(async move {
            let mut is_first = true;
            store
                .bulk::<_, Error, _>("cross", move |tx| {
                    runs.fetch_add(1, Ordering::SeqCst);
                    note(tx, ["a", "b"][place])?;
                    if std::mem::take(&mut is_first) {
                        meeting.wait();
                    }
                    note(tx, ["b", "a"][place])
                })
                .await
                .expect("both in the end");
        })
    })
    .await;
    // The server may end both.
    assert!(runs.load(Ordering::SeqCst) >= 3);
}

/// A chunk that takes its time keeps nobody from interactive work.
#[tokio::test]
async fn chunks_run_beside_interactive_work() {
    let fresh = postgres();
    let (begun, begins) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    let store = fresh.store().clone();
    let chunk = tokio::spawn(async move {
        store
            .bulk::<_, Error, _>("chunk", move |tx| {
                note(tx, "chunk")?;
                begun.send(()).expect("the test waits for this");
                // It goes on when the other end is gone.
                let _ = held.recv();
                Ok(())
            })
            .await
    });
    tokio::task::spawn_blocking(move || begins.recv())
        .await
        .expect("no panic")
        .expect("it runs");
    fresh.tx(|tx| note(tx, "beside")).await;
    assert_eq!(noted(&fresh), ["beside"]);
    drop(release);
    chunk.await.expect("no panic").expect("written");
    assert_eq!(noted(&fresh), ["beside", "chunk"]);
}

#[tokio::test]
async fn one_connection_serves_both_lanes() {
    let fresh = postgres();
    let options = Options {
        clock: HandClock::at(NOW_MS).clock(),
        migrate: Migrate::Refuse,
        connections: Connections {
            writers: 1,
            readers: 1,
        },
    };
    let store = Store::open(&fresh.db.url(), &options).expect("opens");
    store
        .tx::<_, Error, _>("one", |tx| note(tx, "interactive"))
        .await
        .expect("written");
    store
        .bulk::<_, Error, _>("two", |tx| note(tx, "bulk"))
        .await
        .expect("written");
    assert_eq!(noted(&fresh), ["bulk", "interactive"]);
}

#[tokio::test]
async fn text_with_a_nul_is_refused_before_it_is_sent() {
    let fresh = postgres();
    let refused = fresh.try_tx(|tx| note(tx, "a\0b")).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    fresh.tx(|tx| note(tx, "ab")).await;
    assert_eq!(noted(&fresh), ["ab"]);
}

#[tokio::test]
async fn change_mark_tells_of_the_others_writes() {
    let fresh = postgres();
    let other = second(&fresh);
    let mark = || fresh.store().change_mark().expect("a mark");
    let before = mark();
    other
        .tx::<_, Error, _>("find", |tx| note(tx, "theirs"))
        .await
        .expect("written");
    assert_ne!(mark(), before);
}
