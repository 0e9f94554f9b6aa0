//! Opening: the schema is brought up to date by one of many.

use std::sync::Barrier;

use bestow_store::tenants::TenantFields;
use bestow_store::testing::HandClock;
use bestow_store::{Connections, Error, Migrate, Options, Scratch, Sharing, Store};

use crate::support::{NOW_MS, TENANT, postgres, server};

fn open(url: &str, migrate: Migrate) -> Result<Store, Error> {
    let options = Options {
        clock: HandClock::at(NOW_MS).clock(),
        migrate,
        connections: Connections {
            writers: 1,
            readers: 1,
        },
    };
    Store::open(url, &options)
}

fn empty() -> Scratch {
    Scratch::beside(&server()).expect("an empty database")
}

#[test]
fn older_schema_is_refused_where_migration_was_not_asked_for() {
    let database = empty();
    for _ in 0..2 {
        match open(database.url(), Migrate::Refuse) {
            Err(Error::SchemaTooOld { found, known }) => assert_eq!((found, known), (0, 1)),
            opened => panic!("{opened:?}"),
        }
    }
    open(database.url(), Migrate::Apply).expect("made");
    open(database.url(), Migrate::Refuse).expect("opened");
}

#[tokio::test]
async fn a_database_is_ours_once_it_has_a_tenant() {
    let database = empty();
    let is_there = || Store::exists(database.url()).expect("asked");
    assert!(!is_there());
    let store = open(database.url(), Migrate::Apply).expect("made");
    assert!(!is_there());
    let acme = TenantFields {
        id: "acme",
        name: "Acme",
        time_zone: "UTC",
        base_url: "https://api4.optimove.net",
        auth_kind: "api_key",
        credential: b"sealed",
        settings: "{}",
    };
    let added = store.tx::<_, Error, _>("test", move |tx| tx.insert_tenant(&acme));
    assert_eq!(added.await.expect("added"), Some(1));
    assert!(is_there());
}

#[test]
fn newer_schema_is_refused() {
    let fresh = postgres();
    fresh.plant("INSERT INTO schema_migration VALUES (99, 'tomorrow', 0, 2)");
    for migrate in [Migrate::Apply, Migrate::Refuse] {
        match open(&fresh.db.url(), migrate) {
            Err(Error::SchemaTooNew { found, known }) => assert_eq!((found, known), (99, 1)),
            opened => panic!("{opened:?}"),
        }
    }
}

#[test]
fn newer_schema_may_leave_room_for_older_programs() {
    let fresh = postgres();
    fresh.plant("INSERT INTO schema_migration VALUES (2, 'tomorrow', 0, 1)");
    for migrate in [Migrate::Apply, Migrate::Refuse] {
        open(&fresh.db.url(), migrate).expect("opened");
    }
}

#[test]
fn many_openers_at_once_all_succeed() {
    let database = empty();
    let start = Barrier::new(6);
    std::thread::scope(|scope| {
        let openers: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    open(database.url(), Migrate::Apply)
                })
            })
            .collect();
        for opener in openers {
            let store = opener.join().expect("no panic").expect("opened");
            let found = store.read::<_, Error>(|tx| tx.findings(TENANT));
            assert!(found.expect("usable").is_empty());
        }
    });
}

#[test]
fn many_processes_serve_unless_one_is_to_be_alone() {
    let database = empty();
    let alone = Store::claim(database.url(), Sharing::Alone).expect("nobody is there");
    match Store::claim(database.url(), Sharing::Beside) {
        Err(Error::InUse(place)) => assert!(!place.contains("bestow@"), "{place}"),
        claimed => panic!("{claimed:?}"),
    }
    let store = open(database.url(), Migrate::Apply).expect("whoever asks may look");
    assert!(matches!(store.lock(), Err(Error::InUse(_))));
    drop(alone);
    let _one = store.lock().expect("given back");
    let _other = Store::claim(database.url(), Sharing::Beside).expect("there is room");
    let alone = Store::claim(database.url(), Sharing::Alone);
    assert!(matches!(alone, Err(Error::InUse(_))));
}

#[test]
fn address_without_a_server_is_told_without_its_password() {
    let nobody = "postgres://us:secret@127.0.0.1:1/bestow";
    match open(nobody, Migrate::Refuse) {
        Err(Error::Unavailable(told)) => {
            assert!(told.contains("127.0.0.1:1/bestow"), "{told}");
            assert!(!told.contains("secret"), "{told}");
        }
        opened => panic!("{opened:?}"),
    }
    // Of several hosts, too, whichever of them takes writes.
    let none_of_them =
        "postgres://us:secret@127.0.0.1:1,127.0.0.1:2/bestow?target_session_attrs=read-write";
    match open(none_of_them, Migrate::Refuse) {
        Err(Error::Unavailable(told)) => {
            assert!(told.contains("127.0.0.1:1,127.0.0.1:2/bestow"), "{told}");
        }
        opened => panic!("{opened:?}"),
    }
    for url in ["postgres://us:secret@host:many/bestow", "postgres://h?no=1"] {
        match open(url, Migrate::Refuse) {
            Err(Error::BadUrl(told)) => assert!(!told.contains("secret"), "{told}"),
            opened => panic!("{opened:?}"),
        }
    }
}

#[test]
fn unsafe_settings_are_told() {
    let fresh = postgres();
    // The server of the tests trades safety for speed, and says so.
    let fsync_is_off = fresh.ask(
        "SELECT CASE setting WHEN 'off' THEN 1 ELSE 0 END FROM pg_settings WHERE name = 'fsync'",
    );
    let told = fresh.store().durability().expect("told");
    match told.settings {
        Ok(()) => assert_eq!(fsync_is_off, 0),
        Err(lacks) => assert!(
            fsync_is_off == 1 && lacks.contains("fsync is off"),
            "{lacks}"
        ),
    }
    assert_eq!(told.integrity, Ok(()));
}
