//! Brings a database to this program's schema, one numbered step at a time, forward only.

use rusqlite::{Connection, TransactionBehavior};

use crate::Error;
use crate::error::classify;

struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "initial",
    sql: include_str!("../migrations/sqlite/0001_initial.sql"),
}];

const CREATE: &str = "CREATE TABLE IF NOT EXISTS schema_migration (
    version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL
)";

/// The newest schema version this program knows.
pub(crate) fn known() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// Applies what is missing. The exclusive lock makes several starters at once safe; each step is one transaction.
pub(crate) fn apply(connection: &mut Connection, now_ms: i64) -> Result<(), Error> {
    loop {
        let tx = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|e| classify("migrate", &e))?;
        tx.execute_batch(CREATE)
            .map_err(|e| classify("migrate", &e))?;
        let found = version(&tx)?;
        if found > known() {
            return Err(Error::SchemaTooNew {
                found,
                known: known(),
            });
        }
        let Some(next) = MIGRATIONS
            .iter()
            .find(|migration| migration.version > found)
        else {
            return tx.commit().map_err(|e| classify("migrate", &e));
        };
        tx.execute_batch(next.sql)
            .map_err(|e| classify(next.name, &e))?;
        tx.execute(
            "INSERT INTO schema_migration (version, name, applied_at) VALUES (?1, ?2, ?3)",
            (next.version, next.name, now_ms),
        )
        .map_err(|e| classify("migrate", &e))?;
        tx.commit().map_err(|e| classify("migrate", &e))?;
        tracing::info!(
            schema.version = next.version,
            schema.name = next.name,
            "schema migrated"
        );
    }
}

/// Refuses a database whose schema is not this program's.
pub(crate) fn check(connection: &Connection) -> Result<(), Error> {
    let exists = connection
        .table_exists(None, "schema_migration")
        .map_err(|e| classify("migrate", &e))?;
    let found = if exists { version(connection)? } else { 0 };
    match found.cmp(&known()) {
        std::cmp::Ordering::Less => Err(Error::SchemaTooOld {
            found,
            known: known(),
        }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(Error::SchemaTooNew {
            found,
            known: known(),
        }),
    }
}

fn version(connection: &Connection) -> Result<i64, Error> {
    connection
        .query_row(
            "SELECT COALESCE(MAX(version), 0) FROM schema_migration",
            [],
            |row| row.get(0),
        )
        .map_err(|e| classify("migrate", &e))
}
