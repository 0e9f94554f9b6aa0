//! Several handles on one database file, as several processes would have.

use std::sync::mpsc;

use bestow_store::audit::AuditEntry;
use bestow_store::{Connections, Error, Migrate, Options, Sharing, Store};

use crate::support::{Fresh, TENANT, sqlite};

fn second(fresh: &Fresh) -> Store {
    let options = Options {
        clock: fresh.db.clock.clock(),
        migrate: Migrate::Refuse,
        connections: Connections::default(),
    };
    Store::open(&fresh.db.url(), &options).expect("a second handle opens")
}

#[test]
fn lock_has_one_holder() {
    let fresh = sqlite();
    let other = second(&fresh);
    let held = fresh.store().lock().expect("nobody holds it");
    let path = fresh.store().path().expect("a file").display().to_string();
    for store in [fresh.store(), &other] {
        match store.lock() {
            Err(Error::InUse(told)) => assert_eq!(told, path),
            lock => panic!("{lock:?}"),
        }
    }
    drop(held);
    let _held = other.lock().expect("given back");
    assert!(matches!(fresh.store().lock(), Err(Error::InUse(_))));
}

#[test]
fn lock_is_claimed_before_the_database_is_touched() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("bestow.db");
    let url = format!("sqlite:{}", path.display());
    let held = Store::claim(&url, Sharing::Beside).expect("nobody holds it");
    assert!(matches!(
        Store::claim(&url, Sharing::Beside),
        Err(Error::InUse(_))
    ));
    assert!(!path.exists(), "whoever is refused has made nothing");
    drop(held);
    Store::claim(&url, Sharing::Beside).expect("given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_never_see_busy() {
    let fresh = sqlite();
    let stores = [fresh.store().clone(), second(&fresh)];
    let tasks: Vec<_> = (0..256)
        .map(|n| {
            let store = stores[n % 2].clone();
            tokio::spawn(async move {
                let object = n.to_string();
                let write = move |tx: &mut bestow_store::Tx<'_>| {
                    tx.audit(&AuditEntry {
                        tenant: TENANT,
                        actor: "cli",
                        action: "tenant.changed",
                        object: &object,
                        detail: "{}",
                    })
                };
                if n % 4 < 2 {
                    store.bulk("audit", write).await
                } else {
                    store.tx("audit", write).await
                }
            })
        })
        .collect();
    for task in tasks {
        let written: Result<(), Error> = task.await.expect("no task panics");
        written.expect("busy is waited for, not told");
    }
    let records = fresh.read(|tx| tx.audit_records(TENANT, 0, 1_000));
    let places: Vec<_> = records.iter().map(|record| record.seq).collect();
    assert_eq!(places, (1..=256).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lock_of_a_stranger_is_waited_for() {
    let fresh = sqlite();
    let path = fresh.store().path().expect("a file").to_owned();
    let (locked, is_locked) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let stranger = std::thread::spawn(move || {
        let connection = rusqlite::Connection::open(path).expect("opens");
        connection.execute_batch("BEGIN IMMEDIATE").expect("locks");
        locked.send(()).expect("the test waits");
        let _ = released.recv();
        connection.execute_batch("ROLLBACK").expect("unlocks");
    });
    is_locked.recv().expect("locked");
    let store = fresh.store().clone();
    let waits = tokio::spawn(async move {
        store
            .tx::<_, Error, _>("find", |tx| tx.find(TENANT, "kind", "object", ""))
            .await
    });
    // Reading goes on beside a writer, whoever it is.
    assert!(fresh.read(|tx| tx.findings(TENANT)).is_empty());
    drop(release);
    waits
        .await
        .expect("no panic")
        .expect("written once the stranger has gone");
    stranger.join().expect("gone");
    assert_eq!(fresh.read(|tx| tx.findings(TENANT)).len(), 1);
}

#[tokio::test]
async fn change_mark_rests_while_nothing_is_committed() {
    let fresh = sqlite();
    let mark = || fresh.store().change_mark().expect("a mark");
    let before = mark();
    fresh.tx(|tx| tx.known_codes(TENANT).map(|_| ())).await;
    assert_eq!(mark(), before);
    let undone: Result<(), _> = fresh
        .try_tx(|tx| {
            tx.find(TENANT, "kind", "object", "")?;
            Err(Error::LeaseLost)
        })
        .await;
    assert!(undone.is_err());
    assert_eq!(mark(), before);
}

#[tokio::test]
async fn change_mark_tells_of_the_others_writes() {
    let fresh = sqlite();
    let other = second(&fresh);
    let mark = || fresh.store().change_mark().expect("a mark");
    let before = mark();
    other
        .tx::<_, Error, _>("find", |tx| tx.find(TENANT, "kind", "object", ""))
        .await
        .expect("written");
    assert_ne!(mark(), before);
}

#[test]
fn file_keeps_what_is_committed() {
    let told = sqlite().store().durability().expect("told");
    assert_eq!((told.settings, told.integrity), (Ok(()), Ok(())));
}
