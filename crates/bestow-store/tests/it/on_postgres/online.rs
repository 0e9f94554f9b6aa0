//! A later program's migration of a database that this program serves from: work goes on beside it, nobody is kept
//! waiting for as long as it takes, and whatever broke off goes on.
//!
//! `cargo xtask migrations` runs it over ten million grants and prints how long anybody waited.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bestow_store::{Connections, Error, Migrate, Options, Store};
use tokio_postgres::NoTls;

use crate::support::{Fresh, Reading, TENANT, postgres, reading};

/// As a later version might: columns, an index, values for rows that are there, a rule that they keep.
const FURTHER: &str = "
    ALTER TABLE grants ADD COLUMN IF NOT EXISTS note BIGINT;
    ALTER TABLE grants ADD COLUMN IF NOT EXISTS weight BIGINT NOT NULL DEFAULT 1;
    UPDATE grants SET note = page WHERE note IS NULL AND ctid >= $1 AND ctid < $2;
    CREATE INDEX CONCURRENTLY IF NOT EXISTS grants_by_offer ON grants (tenant, offer);
    ALTER TABLE grants DROP CONSTRAINT IF EXISTS grants_weigh;
    ALTER TABLE grants ADD CONSTRAINT grants_weigh CHECK (weight > 0) NOT VALID;
    ALTER TABLE grants VALIDATE CONSTRAINT grants_weigh;
";
/// How many grants there are, unless [`ROWS_VARIABLE`] says so.
const ROWS: i64 = 30_000;
const ROWS_VARIABLE: &str = "BESTOW_MIGRATION_ROWS";
/// Rows that are planted at once.
const PLANTED: i64 = 250_000;
/// Locks that those who write, or even read, wait for.
const BLOCKING: &str = "SELECT COUNT(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    WHERE c.relname IN ('grants', 'grants_pkey') AND l.granted
        AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')";
/// Between two looks at the locks.
const LOOK: Duration = Duration::from_millis(2);

#[expect(
    clippy::disallowed_methods,
    reason = "how long anybody waited is told, and decides nothing"
)]
fn now() -> Instant {
    Instant::now()
}

/// How often something was done, and how long it took at most.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    times: u64,
    longest: Duration,
}

impl Seen {
    fn note(&mut self, took: Duration) {
        self.times += 1;
        self.longest = self.longest.max(took);
    }
}

fn plant(fresh: &Fresh, reading: &Reading, rows: i64) {
    for first in (0..rows).step_by(PLANTED as usize) {
        let last = rows.min(first + PLANTED) - 1;
        fresh.plant(&format!(
            "INSERT INTO grants (tenant, customer, offer, occurrence, window_no, page)
             SELECT {TENANT}, 'c' || LPAD(n::TEXT, 9, '0'), {}, '', {}, 1 FROM generate_series({first}, {last}) n",
            reading.offer, reading.window
        ));
    }
}

/// Grants to one customer after the other, as this program does, until told to stop.
async fn write(fresh: &Fresh, reading: &Reading, stop: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !stop.load(Ordering::SeqCst) {
        let customer = format!("w{:09}", seen.times);
        let began = now();
        reading.merge(fresh, reading.chunk(&[&customer])).await;
        seen.note(began.elapsed());
    }
    seen
}

fn read(store: &Store, stop: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !stop.load(Ordering::SeqCst) {
        let customer = format!("c{:09}", seen.times % 1_000);
        let began = now();
        let rows = store.peek::<_, Error>(|tx| tx.ledger_rows(TENANT, &customer));
        assert_eq!(rows.expect("the look-up succeeds").len(), 1);
        seen.note(began.elapsed());
    }
    seen
}

/// For how long a lock was seen that others wait for, at most.
async fn watch(url: &str, stop: &AtomicBool) -> Seen {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("connected");
    tokio::spawn(connection);
    let statement = client.prepare(BLOCKING).await.expect("a question");
    let (mut seen, mut since) = (Seen::default(), None);
    while !stop.load(Ordering::SeqCst) {
        let row = client.query_one(&statement, &[]).await.expect("answered");
        if row.get::<_, i64>(0) == 0 {
            since = None;
        } else {
            seen.note(since.get_or_insert_with(now).elapsed());
        }
        tokio::time::sleep(LOOK).await;
    }
    seen
}

fn open(fresh: &Fresh, migrate: Migrate) -> Result<Store, Error> {
    let connections = Connections {
        writers: 1,
        readers: 1,
    };
    let options = Options {
        clock: fresh.db.clock.clock(),
        migrate,
        connections,
    };
    Store::open(&fresh.db.url(), &options)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn work_goes_on_beside_a_later_programs_migration() {
    let rows = std::env::var(ROWS_VARIABLE).map_or(ROWS, |rows| rows.parse().expect("a number"));
    let fresh = postgres();
    let reading = reading(&fresh, "1").await;
    plant(&fresh, &reading, rows);
    let stop = AtomicBool::new(false);
    let (url, began) = (fresh.db.url(), now());
    let (written, read, blocked) = std::thread::scope(|scope| {
        let runtime = tokio::runtime::Handle::current();
        let (fresh, reading, stop, url) = (&fresh, &reading, &stop, &url);
        let reader = scope.spawn(move || read(fresh.store(), stop));
        let writing = runtime.clone();
        let writer = scope.spawn(move || writing.block_on(write(fresh, reading, stop)));
        let watcher = scope.spawn(move || runtime.block_on(watch(url, stop)));
        let migrated = fresh.db.migrate_further(FURTHER, 1);
        stop.store(true, Ordering::SeqCst);
        migrated.expect("it is migrated");
        let end =
            |thread: std::thread::ScopedJoinHandle<'_, Seen>| thread.join().expect("no panic");
        (end(writer), end(reader), end(watcher))
    });
    println!(
        "{rows} grants migrated in {:.1} s; beside it {} writes took at most {} ms, {} look-ups at most {} ms; \
         a lock that others wait for was held for at most {} ms",
        began.elapsed().as_secs_f64(),
        written.times,
        written.longest.as_millis(),
        read.times,
        read.longest.as_millis(),
        blocked.longest.as_millis(),
    );
    assert!(
        written.times > 0 && read.times > 0,
        "nobody worked beside it"
    );
    assert_eq!(
        fresh.ask("SELECT COUNT(*) FROM grants WHERE customer < 'w'"),
        rows
    );
    assert_eq!(
        fresh.ask("SELECT COUNT(*) FROM grants WHERE customer >= 'w'"),
        written.times as i64
    );
    assert_eq!(
        fresh.ask("SELECT COUNT(*) FROM grants WHERE customer < 'w' AND note IS NULL"),
        0
    );
    let valid = "SELECT COUNT(*) FROM pg_index WHERE indexrelid = 'grants_by_offer'::regclass AND indisvalid";
    assert_eq!(fresh.ask(valid), 1);
    // This program may be started again beside the later one.
    for migrate in [Migrate::Refuse, Migrate::Apply] {
        drop(open(&fresh, migrate).expect("it still serves"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_broke_off_goes_on() {
    let fresh = postgres();
    let reading = reading(&fresh, "1").await;
    plant(&fresh, &reading, 10);
    fresh.plant("UPDATE grants SET page = -1 WHERE customer = 'c000000003'");
    let step = "
        ALTER TABLE grants ADD COLUMN IF NOT EXISTS weight BIGINT;
        UPDATE grants SET weight = page WHERE weight IS NULL AND ctid >= $1 AND ctid < $2;
        CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS grants_weight ON grants (tenant, page)
            WHERE page < 0;
    ";
    fresh.plant("UPDATE grants SET page = -1 WHERE customer = 'c000000004'");
    // Two rows are alike, so the index breaks off, and what is left of it is no index.
    let broken = fresh.db.migrate_further(step, 1);
    assert!(matches!(broken, Err(Error::Refused { .. })), "{broken:?}");
    fresh.plant("UPDATE grants SET page = -2 WHERE customer = 'c000000004'");
    fresh.db.migrate_further(step, 2).expect("it goes on");
    assert_eq!(
        fresh.ask("SELECT COUNT(*) FROM pg_index WHERE NOT indisvalid"),
        0
    );
    match open(&fresh, Migrate::Apply) {
        Err(Error::SchemaTooNew { found, known }) => assert_eq!(found, known + 1),
        opened => panic!("this program serves no more: {opened:?}"),
    }
}

#[tokio::test]
async fn a_step_that_could_keep_others_waiting_is_not_begun() {
    let fresh = postgres();
    let refused = fresh.db.migrate_further(
        "ALTER TABLE grants ADD COLUMN IF NOT EXISTS a BIGINT; DELETE FROM grants",
        1,
    );
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    let columns = "SELECT COUNT(*) FROM information_schema.columns WHERE table_name = 'grants' AND column_name = 'a'";
    assert_eq!(fresh.ask(columns), 0);
}
