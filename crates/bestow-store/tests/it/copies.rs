//! Copies of databases: equal to the last row wherever they were broken off, whatever was written meanwhile, and refused
//! where they are not whole.

use std::path::PathBuf;

use bestow_store::copy::{self, Copy, Progress};
use bestow_store::testing::{HandClock, TempStore};
use bestow_store::{Connections, Error, Migrate, Options, Store};
use tempfile::TempDir;

use crate::support::{Fresh, NOW_MS, TENANT, reading, sqlite};

/// More than two blocks of rows.
const EXCLUDED: u64 = 9_000;

/// A database with something of each type in it, and a table of several blocks.
async fn source() -> Fresh {
    let fresh = sqlite();
    reading(&fresh, "one").await;
    exclude(&fresh.db, "customer", EXCLUDED);
    fresh.plant(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 50)
        INSERT INTO notification (tenant, id, event_type, identity, received_at, body)
        SELECT 1, 'n' || n, 4, 'identity ' || n, n, randomblob(n * 1000) FROM n",
    );
    fresh
}

fn exclude(db: &TempStore, prefix: &str, customers: u64) {
    let sql = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {customers})
        INSERT INTO exclusion (tenant, customer, reason, created_at, created_by)
        SELECT {TENANT}, '{prefix}' || n, 'ü', n, 'test' FROM n"
    );
    db.raw(&sql).expect("planted");
}

/// A place for a database that is not there.
fn nowhere() -> (TempDir, PathBuf, String) {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("copy.db");
    let url = format!("sqlite:{}", file.display());
    (dir, file, url)
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "as those who are told must be able to end a pass"
)]
fn quiet(_: &Progress) -> Result<(), Error> {
    Ok(())
}

fn served(url: &str) -> Result<Store, Error> {
    let options = Options {
        clock: HandClock::at(NOW_MS).clock(),
        migrate: Migrate::Apply,
        connections: Connections::default(),
    };
    Store::open(url, &options)
}

fn is_equal(one: &str, other: &str) {
    assert_eq!(
        copy::tally(one).expect("read"),
        copy::tally(other).expect("read")
    );
}

#[tokio::test]
async fn broken_off_after_any_block_and_gone_on_with() {
    let fresh = source().await;
    let (_dir, _, to) = nowhere();
    let mut wrote_all = Vec::new();
    loop {
        let moving = Copy::moving(&fresh.db.url(), &to, NOW_MS).expect("begun or gone on with");
        let mut wrote = 0;
        let ended = moving.ahead(&mut |progress| {
            wrote = progress.written;
            match progress.written {
                0 => Ok(()),
                _ => Err(Error::Unavailable("broken off".into())),
            }
        });
        wrote_all.push(wrote);
        drop(moving);
        assert!(matches!(served(&to), Err(Error::NotWhole)));
        if ended.is_ok() {
            break;
        }
    }
    assert!(
        wrote_all.len() > 7,
        "each try wrote one block: {wrote_all:?}"
    );
    assert_eq!(wrote_all.pop(), Some(0), "the last had nothing to do");
    let moving = Copy::moving(&fresh.db.url(), &to, NOW_MS).expect("gone on with");
    let tallies = moving.finish(NOW_MS, &mut quiet).expect("finished");
    assert_eq!(tallies, copy::tally(&fresh.db.url()).expect("read"));
    let excluded = tallies.iter().find(|tally| tally.table == "exclusion");
    assert_eq!(excluded.expect("a table").rows, EXCLUDED);
    served(&to).expect("it can be served from");
}

#[tokio::test]
async fn what_is_written_meanwhile_comes_with_the_last_pass() {
    let fresh = source().await;
    let (_dir, _, to) = nowhere();
    let moving = Copy::moving(&fresh.db.url(), &to, NOW_MS).expect("begun");
    let mut is_new = true;
    let meanwhile = |progress: &Progress| {
        // Behind the cursor as well as in front of it.
        if progress.table == "exclusion" && std::mem::take(&mut is_new) {
            exclude(&fresh.db, "a", 10);
            exclude(&fresh.db, "z", 10);
            fresh.plant("UPDATE exclusion SET reason = 'other' WHERE customer = 'customer1'");
            fresh.plant("DELETE FROM exclusion WHERE customer = 'customer10'");
        }
        Ok(())
    };
    let mut meanwhile = meanwhile;
    moving.ahead(&mut meanwhile).expect("copied");
    let mut wrote = 0;
    let tallies = moving.finish(NOW_MS, &mut |progress| {
        wrote = progress.written;
        Ok(())
    });
    assert_eq!(tallies.expect("finished"), copy::tally(&to).expect("read"));
    assert!(wrote > 0 && wrote < EXCLUDED, "{wrote} rows");
    is_equal(&fresh.db.url(), &to);
}

#[tokio::test]
async fn rows_that_stand_in_each_others_way_are_replaced() {
    let fresh = source().await;
    let (_dir, _, to) = nowhere();
    let moving = Copy::moving(&fresh.db.url(), &to, NOW_MS).expect("begun");
    moving.ahead(&mut quiet).expect("copied");
    // The same identity under an id that comes blocks sooner, and the number of a tenant's campaign for another one.
    exclude(&fresh.db, "later", 1);
    fresh.plant("UPDATE notification SET id = 'a' WHERE id = 'n9'");
    fresh.plant("UPDATE campaign SET id = 'a' WHERE id = 'one'");
    for n in 0..9_000 / 3_000 {
        let sql = format!(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000)
            INSERT INTO notification (tenant, id, event_type, identity, received_at, body)
            SELECT 1, 'b{n}' || n, 4, 'more {n} ' || n, n, x'00' FROM n"
        );
        fresh.plant(&sql);
    }
    moving.finish(NOW_MS, &mut quiet).expect("finished");
    is_equal(&fresh.db.url(), &to);
}

#[tokio::test]
async fn only_an_empty_database_or_half_of_the_same_copy_is_written_to() {
    let (fresh, other) = (source().await, source().await);
    let full = Copy::moving(&fresh.db.url(), &other.db.url(), NOW_MS);
    assert!(matches!(full, Err(Error::NotEmpty(_))), "{full:?}");
    served(&other.db.url()).expect("it was left as it is");
    let (_dir, _, to) = nowhere();
    drop(Copy::moving(&fresh.db.url(), &to, NOW_MS).expect("begun"));
    let anothers = Copy::moving(&other.db.url(), &to, NOW_MS);
    assert!(matches!(anothers, Err(Error::NotEmpty(_))), "{anothers:?}");
    let (_elsewhere, _, further) = nowhere();
    let half = Copy::moving(&to, &further, NOW_MS);
    assert!(matches!(half, Err(Error::NotWhole)), "{half:?}");
}

#[tokio::test]
async fn nobody_serves_from_what_was_moved_until_it_is_taken_back() {
    let fresh = source().await;
    let from = fresh.db.url();
    let (_dir, file, to) = nowhere();
    let is_moved = |found: Error| {
        let Error::Moved(place) = found else {
            panic!("{found}");
        };
        assert_eq!(place, file.display().to_string());
    };
    let moving = Copy::moving(&from, &to, NOW_MS).expect("begun");
    moving.finish(NOW_MS, &mut quiet).expect("finished");
    is_moved(served(&from).expect_err("moved"));
    let (_elsewhere, other, further) = nowhere();
    is_moved(Copy::moving(&from, &further, NOW_MS).expect_err("moved"));
    is_moved(Copy::backup(&from, &other, NOW_MS).expect_err("moved"));
    let moved_twice = Copy::moving(&from, &to, NOW_MS);
    moved_twice.expect_err("the copy is served from by now");

    // Killed between its last two commits: the source is marked, the copy is not whole.
    let copy = rusqlite::Connection::open(&file).expect("opened");
    let note = format!(
        "INSERT INTO schema_migration VALUES ({}, 'copy of {}', 0, 0)",
        i64::MAX,
        from.trim_start_matches("sqlite:")
    );
    assert_eq!(copy.execute(&note, []), Ok(1));
    let moving = Copy::moving(&from, &to, NOW_MS).expect("gone on with");
    moving.finish(NOW_MS, &mut quiet).expect("finished");
    served(&to).expect("it can be served from");
    is_moved(served(&from).expect_err("moved"));

    copy::take_back(&from).expect("taken back");
    served(&from).expect("as if it had not been moved");
    copy::take_back(&from).expect("nothing to do");
    let (_backups, backup, its) = nowhere();
    let made = Copy::backup(&from, &backup, NOW_MS).expect("begun");
    made.finish(NOW_MS, &mut quiet).expect("finished");
    let no_move = copy::take_back(&its);
    assert!(matches!(no_move, Err(Error::NotWhole)), "{no_move:?}");
}

#[tokio::test]
async fn a_backup_comes_back_as_it_was() {
    let fresh = source().await;
    let (_dir, file, url) = nowhere();
    let backup = Copy::backup(&fresh.db.url(), &file, NOW_MS).expect("begun");
    let tallies = backup.finish(NOW_MS, &mut quiet).expect("finished");
    assert!(
        matches!(served(&url), Err(Error::NotWhole)),
        "a backup is not served from"
    );
    let again = Copy::backup(&fresh.db.url(), &file, NOW_MS);
    assert!(matches!(again, Err(Error::NotEmpty(_))), "{again:?}");
    exclude(&fresh.db, "later", 5);
    let (_home, _, to) = nowhere();
    let restoring = Copy::restoring(&file, &to, NOW_MS).expect("begun");
    assert_eq!(
        restoring.finish(NOW_MS, &mut quiet).expect("finished"),
        tallies
    );
    assert_eq!(copy::tally(&to).expect("read"), tallies);
    served(&to).expect("it can be served from");
}

#[tokio::test]
async fn a_backup_that_is_not_as_it_was_written_is_refused() {
    let fresh = source().await;
    let (_dir, file, _) = nowhere();
    let (_home, target, to) = nowhere();
    let unfinished = Copy::backup(&fresh.db.url(), &file, NOW_MS).expect("begun");
    unfinished.ahead(&mut quiet).expect("copied");
    drop(unfinished);
    let half = Copy::restoring(&file, &to, NOW_MS);
    assert!(matches!(half, Err(Error::NotWhole)), "{half:?}");
    let backup = Copy::backup(&fresh.db.url(), &file, NOW_MS).expect("gone on with");
    backup.finish(NOW_MS, &mut quiet).expect("finished");
    let whole = std::fs::read(&file).expect("one file");

    for edit in [
        "UPDATE exclusion SET reason = 'edited' WHERE customer = 'customer77'",
        "DELETE FROM notification WHERE id = 'n7'",
    ] {
        std::fs::write(&file, &whole).expect("as it was");
        let connection = rusqlite::Connection::open(&file).expect("opened");
        assert_eq!(connection.execute(edit, []), Ok(1));
        drop(connection);
        let edited = Copy::restoring(&file, &to, NOW_MS);
        assert!(
            matches!(edited, Err(Error::Differs(_))),
            "{edit}: {edited:?}"
        );
    }
    for part in [0, whole.len() / 3, whole.len() - 4096] {
        std::fs::write(&file, &whole[..part]).expect("cut off");
        Copy::restoring(&file, &to, NOW_MS).expect_err("a truncated backup");
    }
    assert!(!target.exists(), "nothing was made of any of them");
}

#[cfg(feature = "postgres-tests")]
#[tokio::test]
async fn there_and_back_again() {
    let fresh = source().await;
    let server = crate::support::server();
    let there = bestow_store::Scratch::beside(&server).expect("an empty database");
    let moving = Copy::moving(&fresh.db.url(), there.url(), NOW_MS).expect("begun");
    let broken = moving.ahead(&mut |progress| match progress.written {
        0..2_000 => Ok(()),
        _ => Err(Error::Unavailable("broken off".into())),
    });
    broken.expect_err("in the middle");
    drop(moving);
    assert!(matches!(served(there.url()), Err(Error::NotWhole)));
    let moving = Copy::moving(&fresh.db.url(), there.url(), NOW_MS).expect("gone on with");
    moving.ahead(&mut quiet).expect("copied");
    exclude(&fresh.db, "meanwhile", 7);
    fresh.plant("UPDATE notification SET id = 'a' WHERE id = 'n9'");
    moving.finish(NOW_MS, &mut quiet).expect("finished");
    is_equal(&fresh.db.url(), there.url());
    served(there.url()).expect("it can be served from");

    let (_folder, file, _) = nowhere();
    let backup = Copy::backup(there.url(), &file, NOW_MS).expect("begun");
    backup.finish(NOW_MS, &mut quiet).expect("finished");

    let (_dir, _, back) = nowhere();
    let moving = Copy::moving(there.url(), &back, NOW_MS).expect("begun");
    moving.finish(NOW_MS, &mut quiet).expect("finished");
    is_equal(&fresh.db.url(), &back);
    let moved = served(there.url());
    assert!(matches!(moved, Err(Error::Moved(_))), "{moved:?}");
    copy::take_back(there.url()).expect("taken back");
    served(there.url()).expect("it can be served from");
    let home = bestow_store::Scratch::beside(&server).expect("an empty database");
    let restoring = Copy::restoring(&file, home.url(), NOW_MS).expect("begun");
    restoring.finish(NOW_MS, &mut quiet).expect("finished");
    is_equal(&fresh.db.url(), home.url());
}

/// Nobody can write to a PostgreSQL source while the last pass runs.
#[cfg(feature = "postgres-tests")]
#[tokio::test]
async fn the_last_pass_keeps_writers_out() {
    let fresh = crate::support::postgres();
    exclude(&fresh.db, "customer", 10);
    let (_dir, _, to) = nowhere();
    let moving = Copy::moving(&fresh.db.url(), &to, NOW_MS).expect("begun");
    let mut refused = 0;
    let ended = moving.finish(NOW_MS, &mut |_| {
        let sql = "SET lock_timeout = 50; DELETE FROM exclusion";
        refused += u32::from(fresh.db.raw(sql).is_err());
        Ok(())
    });
    ended.expect("finished");
    assert!(refused > 0);
    is_equal(&fresh.db.url(), &to);
}
