//! The one writer: who shares a commit, who is undone alone, what a failed commit means, and that
//! nobody is starved or forgotten.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Waker};

use bestow_store::audit::AuditEntry;
use bestow_store::{Error, Fault, Store, Tx};

use crate::support::{Fresh, TENANT, sqlite};

/// Interactive pieces of work that share one commit, at most: the writer's own limit.
const GROUP_MAX: usize = 1_024;
/// Pieces of work that may wait, at most: the writer's own limit.
const WAITING_MAX: usize = 65_536;

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// Puts work into the writer's queue without waiting for its end.
fn queued<T>(work: impl Future<Output = Result<T, Error>> + Send + 'static) -> Answer<T> {
    let mut answer: Answer<T> = Box::pin(work);
    let waits = answer
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(
        waits.is_pending(),
        "nothing is answered while the gate is shut"
    );
    answer
}

fn interactive<T: Send + 'static>(
    store: &Store,
    work: impl FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
) -> Answer<T> {
    let store = store.clone();
    queued(async move { store.tx("interactive", work).await })
}

fn bulk<T: Send + 'static>(
    store: &Store,
    work: impl FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
) -> Answer<T> {
    let store = store.clone();
    queued(async move { store.bulk("bulk", work).await })
}

/// Keeps the writer busy, so that work gathers behind it until [`Gate::open`].
struct Gate {
    key: mpsc::Sender<()>,
    held: Answer<()>,
}

impl Gate {
    fn shut(store: &Store) -> Self {
        let (key, lock) = mpsc::channel();
        let (started, begun) = mpsc::channel();
        let store = store.clone();
        let wait_for_key = move |_: &mut Tx<'_>| {
            started.send(()).expect("the test waits for this");
            // It opens when the key is gone.
            let _ = lock.recv();
            Ok(())
        };
        let held = queued(async move { store.tx("gate", wait_for_key).await });
        begun.recv().expect("the writer runs");
        Self { key, held }
    }

    async fn open(self) {
        drop(self.key);
        self.held.await.expect("the gate opens");
    }
}

/// Counts the commits of a store from now on.
fn count_commits(fresh: &Fresh) -> Arc<AtomicUsize> {
    let commits = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&commits);
    fresh.store().fail_commits(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        None
    });
    commits
}

fn note(tx: &mut Tx<'_>, object: &str) -> Result<(), Error> {
    tx.find(TENANT, "note", object, "")
}

fn noted(fresh: &Fresh) -> Vec<String> {
    let found = fresh.read(|tx| tx.findings(TENANT));
    found.into_iter().map(|finding| finding.object).collect()
}

#[tokio::test]
async fn what_waits_together_shares_a_commit() {
    let fresh = sqlite();
    let commits = count_commits(&fresh);
    let gate = Gate::shut(fresh.store());
    let answers: Vec<_> = (0..GROUP_MAX + 76)
        .map(|n| interactive(fresh.store(), move |tx| note(tx, &n.to_string())))
        .collect();
    gate.open().await;
    for answer in answers {
        answer.await.expect("committed");
    }
    assert_eq!(noted(&fresh).len(), GROUP_MAX + 76);
    // The gate's own, a full group and the rest.
    assert_eq!(commits.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn bulk_chunks_commit_alone() {
    let fresh = sqlite();
    let commits = count_commits(&fresh);
    let gate = Gate::shut(fresh.store());
    let answers: Vec<_> = (0..5)
        .map(|n| bulk(fresh.store(), move |tx| note(tx, &n.to_string())))
        .collect();
    gate.open().await;
    for answer in answers {
        answer.await.expect("committed");
    }
    assert_eq!(commits.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn error_is_undone_alone() {
    let fresh = sqlite();
    let gate = Gate::shut(fresh.store());
    let answers: Vec<_> = (0..9)
        .map(|n| {
            interactive(fresh.store(), move |tx| match n {
                // Refuses before it writes, and after.
                2 => Err(Error::LeaseLost),
                4 | 8 => {
                    note(tx, &n.to_string())?;
                    Err(Error::LeaseLost)
                }
                _ => note(tx, &n.to_string()),
            })
        })
        .collect();
    gate.open().await;
    for (n, answer) in answers.into_iter().enumerate() {
        let answer = answer.await;
        if [2, 4, 8].contains(&n) {
            assert!(matches!(answer, Err(Error::LeaseLost)), "{n}: {answer:?}");
        } else {
            answer.expect("its companions are committed");
        }
    }
    assert_eq!(noted(&fresh), ["0", "1", "3", "5", "6", "7"]);
}

#[tokio::test]
async fn panic_is_undone_alone() {
    let fresh = sqlite();
    let gate = Gate::shut(fresh.store());
    let answers: Vec<_> = (0..5)
        .map(|n| {
            interactive(fresh.store(), move |tx| {
                note(tx, &n.to_string())?;
                if n == 2 {
                    // As a panic, but for the message on the screen.
                    std::panic::resume_unwind(Box::new("a defect"));
                }
                Ok(())
            })
        })
        .collect();
    gate.open().await;
    for (n, answer) in answers.into_iter().enumerate() {
        match answer.await {
            Err(Error::Refused { statement, .. }) if n == 2 => assert_eq!(statement, "interactive"),
            answer => answer.expect("its companions are committed"),
        }
    }
    assert_eq!(noted(&fresh), ["0", "1", "3", "4"]);
    fresh.tx(|tx| note(tx, "afterwards")).await;
}

/// A full disk makes SQLite end the transaction, companions included, under whoever runs next.
#[tokio::test]
async fn full_disk_undoes_no_companion() {
    let fresh = sqlite();
    let fill = |tx: &mut Tx<'_>| {
        let pages = tx
            .query_one("PRAGMA page_count", &[], |row| row.int(0))?
            .unwrap_or_default();
        assert!(pages < 400, "the limit below is above what is there");
        tx.query("PRAGMA max_page_count = 400", &[], |row| row.int(0))?;
        let filled = tx.find(TENANT, "note", "big", &"x".repeat(4_000_000));
        // The space comes back: the limit is of the connection, not of the transaction.
        tx.query("PRAGMA max_page_count = 1000000", &[], |row| row.int(0))?;
        filled
    };
    let gate = Gate::shut(fresh.store());
    let before = interactive(fresh.store(), |tx| note(tx, "before"));
    let refused = interactive(fresh.store(), fill);
    let careless = interactive(fresh.store(), move |tx| {
        note(tx, "careless")?;
        drop(fill(tx));
        Ok(())
    });
    let half = interactive(fresh.store(), |tx| {
        note(tx, "half")?;
        Err::<(), _>(Error::LeaseLost)
    });
    let after = interactive(fresh.store(), |tx| note(tx, "after"));
    gate.open().await;
    before.await.expect("committed");
    let refused = refused.await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    // It says that it went well, but what it wrote is gone.
    let careless = careless.await;
    assert!(
        matches!(careless, Err(Error::Unavailable(_))),
        "{careless:?}"
    );
    assert!(matches!(half.await, Err(Error::LeaseLost)));
    after.await.expect("committed");
    assert_eq!(noted(&fresh), ["after", "before"]);
}

/// Sees a campaign and writes a record if it was new: keys make a second run a no-op.
fn see_once(tx: &mut Tx<'_>, id: &str) -> Result<i64, Error> {
    let (no, new) = tx.see_campaign(TENANT, id, "scheduled", "sweep")?;
    if new {
        tx.audit(&AuditEntry {
            tenant: TENANT,
            actor: "worker",
            action: "campaign.seen",
            object: id,
            detail: "{}",
        })?;
    }
    Ok(no)
}

async fn unknown_outcomes_end_in_one_effect(fault: Fault, faults: usize) {
    let fresh = sqlite();
    let left = AtomicUsize::new(faults);
    fresh.store().fail_commits(move |name| {
        if name == "gate" {
            return None;
        }
        let again = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        again.is_ok().then_some(fault)
    });
    let gate = Gate::shut(fresh.store());
    let answers: Vec<_> = (0..8)
        .map(|n| interactive(fresh.store(), move |tx| see_once(tx, &format!("510{n}"))))
        .collect();
    gate.open().await;
    for answer in answers {
        answer.await.expect("committed in the end");
    }
    assert_eq!(fresh.read(|tx| tx.campaigns(TENANT, 0, 100)).len(), 8);
    assert_eq!(fresh.read(|tx| tx.audit_records(TENANT, 0, 100)).len(), 8);
}

#[tokio::test]
async fn lost_before_the_commit_is_run_again() {
    unknown_outcomes_end_in_one_effect(Fault::BeforeCommit, 1).await;
    unknown_outcomes_end_in_one_effect(Fault::BeforeCommit, 3).await;
}

#[tokio::test]
async fn lost_after_the_commit_changes_nothing_more() {
    unknown_outcomes_end_in_one_effect(Fault::AfterCommit, 1).await;
    unknown_outcomes_end_in_one_effect(Fault::AfterCommit, 3).await;
}

#[tokio::test]
async fn outcome_that_stays_unknown_is_told() {
    let fresh = sqlite();
    let tries = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&tries);
    fresh.store().fail_commits(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Some(Fault::BeforeCommit)
    });
    let told = fresh.try_tx(|tx| see_once(tx, "5101")).await;
    assert!(matches!(told, Err(Error::OutcomeUnknown)), "{told:?}");
    assert_eq!(tries.load(Ordering::SeqCst), 4);
    assert!(fresh.read(|tx| tx.audit_records(TENANT, 0, 100)).is_empty());
}

#[tokio::test]
async fn dropping_the_store_drains_the_queue() {
    let fresh = sqlite();
    let Gate { key, held } = Gate::shut(fresh.store());
    let mut forgotten = vec![held];
    for n in 0..200 {
        let object = format!("{n:03}");
        let store = fresh.store().clone();
        forgotten.push(if n % 2 == 0 {
            queued(async move { store.tx("forgotten", move |tx| note(tx, &object)).await })
        } else {
            queued(async move { store.bulk("forgotten", move |tx| note(tx, &object)).await })
        });
    }
    // Nobody waits for the answers any more; this also gives back their handles to the store.
    drop(forgotten);
    let db = fresh.db;
    let path = db.store.path().expect("a file").to_owned();
    std::thread::scope(|scope| {
        scope.spawn(move || drop(db.store));
        drop(key);
    });
    let file = rusqlite::Connection::open(path).expect("the file is there");
    let kept = file.query_row("SELECT COUNT(*) FROM finding", [], |row| row.get(0));
    assert_eq!(kept, Ok(200));
}

/// The order in which pieces of work were run.
#[derive(Clone, Default)]
struct Order(Arc<Mutex<Vec<char>>>);

impl Order {
    fn mark(&self, lane: char) -> impl FnMut(&mut Tx<'_>) -> Result<(), Error> + Send + use<> {
        let this = self.clone();
        move |_| {
            this.0.lock().expect("no holder panics").push(lane);
            Ok(())
        }
    }

    fn seen(&self) -> String {
        self.0.lock().expect("no holder panics").iter().collect()
    }
}

#[tokio::test]
async fn bulk_is_not_starved_by_interactive_work() {
    let fresh = sqlite();
    let order = Order::default();
    let gate = Gate::shut(fresh.store());
    let mut answers: Vec<_> = (0..GROUP_MAX * 6)
        .map(|_| interactive(fresh.store(), order.mark('i')))
        .collect();
    answers.extend((0..3).map(|_| bulk(fresh.store(), order.mark('B'))));
    gate.open().await;
    for answer in answers {
        answer.await.expect("run");
    }
    // The gate was the first group of the first run of three.
    let group = "i".repeat(GROUP_MAX);
    let (two, three) = (group.repeat(2), group.repeat(3));
    assert_eq!(order.seen(), format!("{two}B{three}B{group}B"));
}

#[tokio::test]
async fn interactive_work_goes_before_chunks_that_wait_longer() {
    let fresh = sqlite();
    let order = Order::default();
    let gate = Gate::shut(fresh.store());
    let mut answers: Vec<_> = (0..50)
        .map(|_| bulk(fresh.store(), order.mark('B')))
        .collect();
    answers.push(interactive(fresh.store(), order.mark('i')));
    gate.open().await;
    for answer in answers {
        answer.await.expect("run");
    }
    assert_eq!(order.seen(), format!("i{}", "B".repeat(50)));
}

#[tokio::test]
async fn too_much_waiting_work_is_refused() {
    let fresh = sqlite();
    let gate = Gate::shut(fresh.store());
    let mut answers: Vec<_> = (0..WAITING_MAX - 1)
        .map(|_| interactive(fresh.store(), |_| Ok(())))
        .collect();
    answers.push(bulk(fresh.store(), |_| Ok(())));
    for refused in [
        fresh
            .store()
            .tx("one too many", |tx| note(tx, "refused"))
            .await,
        fresh
            .store()
            .bulk("one too many", |tx| note(tx, "refused"))
            .await,
    ] {
        let error: Error = refused.expect_err("the queue is full");
        assert!(error.is_retryable(), "{error:?}");
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    }
    gate.open().await;
    for answer in answers {
        answer.await.expect("what waited is run");
    }
    fresh.tx(|tx| note(tx, "welcome")).await;
    assert_eq!(noted(&fresh), ["welcome"]);
}

#[tokio::test]
async fn caller_that_goes_away_does_not_undo() {
    let fresh = sqlite();
    let gate = Gate::shut(fresh.store());
    drop(interactive(fresh.store(), |tx| note(tx, "kept")));
    gate.open().await;
    // The queue is in order: what comes later finds the earlier done.
    fresh.tx(|_| Ok(())).await;
    assert_eq!(noted(&fresh), ["kept"]);
}
