//! Opening SQLite the only way that keeps what was acknowledged.

use std::num::NonZero;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::Error;
use crate::error::classify;

/// How long a statement waits for a lock that another process holds.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// How long to wait before the journal mode is asked for again.
const WAL_WAIT: Duration = Duration::from_millis(5);
/// How often the journal mode is asked for.
const WAL_TRIES_MAX: u32 = 1_000;
/// Statements kept prepared per connection.
const STATEMENTS_CACHED_MAX: usize = 256;
/// Page cache of the writing connection, in KiB (negative is SQLite's way to say KiB).
const WRITER_CACHE_KIB: i64 = -32_768;
/// Page caches of the connections that as many threads read from as there are processors, in KiB.
const READERS_CACHE_KIB: i64 = 131_072;
/// Page cache of one of them, at least and at most.
const READER_CACHE_KIB: RangeInclusive<i64> = 8_192..=32_768;
/// WAL pages after which a connection copies them into the database file, where no [`Checkpointer`] does.
///
/// [`Checkpointer`]: crate::checkpoint::Checkpointer
const CHECKPOINT_PAGES: i64 = 4_000;

/// Opens the connection that writes, creating the file if need be.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open(path).map_err(|e| classify("open", &e))?;
    prepare(&connection, WRITER_CACHE_KIB)?;
    Ok(connection)
}

/// Opens a connection that only reads.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| classify("open", &e))?;
    prepare(&connection, reader_cache_kib())?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(|e| classify("query_only", &e))?;
    Ok(connection)
}

/// In SQLite's way to say KiB.
fn reader_cache_kib() -> i64 {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get) as i64;
    -(READERS_CACHE_KIB / threads).clamp(*READER_CACHE_KIB.start(), *READER_CACHE_KIB.end())
}

/// Sets what durability needs and reads it back: a setting that did not take is a refusal to start, not a surprise.
fn prepare(connection: &Connection, cache_kib: i64) -> Result<(), Error> {
    let set = |name: &str, value: &dyn rusqlite::ToSql| {
        connection
            .pragma_update(None, name, value)
            .map_err(|e| classify(name, &e))
    };
    connection
        .busy_timeout(BUSY_WAIT)
        .map_err(|e| classify("busy_timeout", &e))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED_MAX);
    // A plan follows from the statement, not from the values of one run. Otherwise SQLite plans each
    // join anew whenever it comes out of the cache, which takes ten times as long as running it.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(|e| classify("query planner stability", &e))?;
    let mode = switch_to_wal(connection)?;
    set("synchronous", &"FULL")?;
    set("foreign_keys", &true)?;
    set("trusted_schema", &false)?;
    set("cache_size", &cache_kib)?;
    set("wal_autocheckpoint", &CHECKPOINT_PAGES)?;
    set("temp_store", &"MEMORY")?;
    let synchronous = pragma(connection, "synchronous")?;
    if mode != "wal" || synchronous != 2 {
        return Err(Error::Unavailable(format!(
            "the database does not keep what is committed: journal_mode is {mode} (needs wal), \
             synchronous is {synchronous} (needs 2)"
        )));
    }
    Ok(())
}

/// Asks for the write-ahead log and tells the mode that came of it. Of several that open a new file
/// at once, one makes the switch; the others are told that it is busy without the wait that every
/// other statement has.
fn switch_to_wal(connection: &Connection) -> Result<String, Error> {
    let mut tries = 1;
    loop {
        let answer = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        match answer {
            Err(error) if is_busy(&error) && tries < WAL_TRIES_MAX => {
                std::thread::sleep(WAL_WAIT);
                tries += 1;
            }
            answer => return answer.map_err(|e| classify("journal_mode", &e)),
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// Reads a numeric setting back.
pub(crate) fn pragma(connection: &Connection, name: &str) -> Result<i64, Error> {
    connection
        .pragma_query_value(None, name, |row| row.get(0))
        .map_err(|e| classify(name, &e))
}

/// Copies the write-ahead log into the database file, as far as nobody reads from it still. Tells how many pages of the
/// log are copied now.
pub(crate) fn copy_log(connection: &Connection) -> Result<u32, Error> {
    connection
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2))
        .map_err(|e| classify("wal_checkpoint", &e))
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn cached_joins_are_planned_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("test.db");
        let mut writer = open_writer(&path).expect("made");
        crate::migrate::apply(&mut writer, 0).expect("migrated");
        for connection in [writer, open_reader(&path).expect("opened")] {
            let find = || {
                connection
                    .prepare_cached(
                        "SELECT o.code FROM grants g
                         JOIN offer o ON o.tenant = g.tenant AND o.no = g.offer
                         WHERE g.tenant = $1 AND g.customer = $2",
                    )
                    .expect("a statement of this schema")
            };
            for customer in ["anna", "bob", "cleo"] {
                assert!(!find().exists((1, customer)).expect("asked"));
            }
            assert_eq!(find().get_status(StatementStatus::RePrepare), 0);
        }
    }
}
