//! Opening: the schema is brought up to date by one of many, and never guessed.

use std::path::Path;
use std::sync::Barrier;

use bestow_store::testing::HandClock;
use bestow_store::{Connections, Error, Migrate, Options, Store};

use crate::support::{NOW_MS, TENANT};

fn open(path: &Path, migrate: Migrate) -> Result<Store, Error> {
    let clock = HandClock::at(NOW_MS).clock();
    Store::open(
        &format!("sqlite:{}", path.display()),
        &Options {
            clock,
            migrate,
            connections: Connections::default(),
        },
    )
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn raw(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).expect("the file opens")
}

fn versions(path: &Path) -> Vec<(i64, String, i64)> {
    let connection = raw(path);
    let mut versions = connection
        .prepare("SELECT version, name, applied_at FROM schema_migration ORDER BY version")
        .expect("the table is there");
    let rows = versions.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    rows.expect("read").collect::<Result<_, _>>().expect("read")
}

#[test]
fn fresh_database_is_made_and_reopened() {
    let dir = dir();
    let path = dir.path().join("a.db");
    drop(open(&path, Migrate::Apply).expect("made"));
    let made = versions(&path);
    assert_eq!(made, [(1, "initial".to_owned(), NOW_MS)]);
    for migrate in [Migrate::Refuse, Migrate::Apply] {
        let store = open(&path, migrate).expect("opened again");
        assert!(
            store
                .read::<_, Error>(|tx| tx.findings(TENANT))
                .expect("read")
                .is_empty()
        );
    }
    assert_eq!(versions(&path), made);
}

#[test]
fn newer_schema_is_refused_once_it_needs_a_newer_program() {
    let dir = dir();
    let path = dir.path().join("a.db");
    drop(open(&path, Migrate::Apply).expect("made"));
    let plant = |version: i64, beside: i64| {
        let insert = "INSERT INTO schema_migration VALUES (?1, 'tomorrow', 0, ?2)";
        raw(&path)
            .execute(insert, (version, beside))
            .expect("planted");
    };
    // A newer program has only added to it.
    plant(98, 1);
    for migrate in [Migrate::Apply, Migrate::Refuse] {
        drop(open(&path, migrate).expect("it can still be served from"));
    }
    plant(99, 2);
    for migrate in [Migrate::Apply, Migrate::Refuse] {
        match open(&path, migrate) {
            Err(Error::SchemaTooNew { found, known }) => assert_eq!((found, known), (99, 1)),
            opened => panic!("{opened:?}"),
        }
    }
}

#[test]
fn older_schema_is_refused_where_migration_was_not_asked_for() {
    let dir = dir();
    let path = dir.path().join("a.db");
    for _ in 0..2 {
        match open(&path, Migrate::Refuse) {
            Err(Error::SchemaTooOld { found, known }) => assert_eq!((found, known), (0, 1)),
            opened => panic!("{opened:?}"),
        }
    }
    // Refusing has not half-made anything.
    open(&path, Migrate::Apply).expect("made");
    open(&path, Migrate::Refuse).expect("opened");
}

#[test]
fn many_openers_at_once_all_succeed() {
    for _ in 0..8 {
        let dir = dir();
        let path = dir.path().join("a.db");
        let start = Barrier::new(6);
        std::thread::scope(|scope| {
            let openers: Vec<_> = (0..6)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        open(&path, Migrate::Apply)
                    })
                })
                .collect();
            for opener in openers {
                let store = opener.join().expect("no panic").expect("opened");
                store
                    .read::<_, Error>(|tx| tx.findings(TENANT))
                    .expect("usable");
            }
        });
        assert_eq!(versions(&path).len(), 1);
    }
}

#[test]
fn addresses_that_mean_nothing_are_refused() {
    let options = |url: &str| {
        let clock = HandClock::at(NOW_MS).clock();
        Store::open(
            url,
            &Options {
                clock,
                migrate: Migrate::Refuse,
                connections: Connections::default(),
            },
        )
    };
    for url in ["", "sqlite:", "/var/lib/bestow.db", "SQLITE:a.db"] {
        match options(url) {
            Err(Error::BadUrl(told)) => assert_eq!(told, url),
            opened => panic!("{opened:?}"),
        }
    }
}

#[test]
fn what_is_no_database_is_refused() {
    let dir = dir();
    let path = dir.path().join("a.db");
    std::fs::write(
        &path,
        "this is a letter to somebody, and no database at all\n".repeat(100),
    )
    .expect("written");
    let opened = open(&path, Migrate::Apply);
    assert!(matches!(opened, Err(Error::Corrupt(_))), "{opened:?}");
    let opened = open(dir.path(), Migrate::Apply);
    assert!(matches!(opened, Err(Error::Unavailable(_))), "{opened:?}");
}
