//! Brings a database to this program's schema, one numbered step at a time, forward only.

use rusqlite::{Connection, TransactionBehavior};

use crate::error::classify;
use crate::postgres::{MIGRATION, Session};
use crate::{Error, Tx, values};

struct Migration {
    version: i64,
    name: &'static str,
    /// The oldest version whose programs may go on serving beside this schema: what they write is still right.
    beside: i64,
    sqlite: &'static str,
    postgres: &'static str,
}

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "initial",
    beside: 1,
    sqlite: include_str!("../migrations/sqlite/0001_initial.sql"),
    postgres: include_str!("../migrations/postgres/0001_initial.sql"),
}];

const CREATE: &str = "CREATE TABLE IF NOT EXISTS schema_migration (
    version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL, beside INTEGER NOT NULL
)";
const CREATE_POSTGRES: &str = "CREATE TABLE IF NOT EXISTS schema_migration (
    version BIGINT NOT NULL PRIMARY KEY, name TEXT COLLATE \"C\" NOT NULL, applied_at BIGINT NOT NULL,
    beside BIGINT NOT NULL
)";
/// For as long as a step may take; rows are many by then.
const STEP_MS_MAX: u32 = 3_600_000;

/// What makes the newest schema on PostgreSQL.
#[cfg(feature = "testing")]
pub(crate) fn texts() -> impl Iterator<Item = &'static str> {
    MIGRATIONS.iter().map(|migration| migration.postgres)
}

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
        if found.version >= known() {
            is_known(found)?;
        }
        let Some(next) = after(found) else {
            return tx.commit().map_err(|e| classify("migrate", &e));
        };
        tx.execute_batch(next.sqlite)
            .map_err(|e| classify(next.name, &e))?;
        tx.execute(
            "INSERT INTO schema_migration (version, name, applied_at, beside) VALUES (?1, ?2, ?3, ?4)",
            (next.version, next.name, now_ms, next.beside),
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

/// Refuses a database whose schema this program cannot work with.
pub(crate) fn check(connection: &Connection) -> Result<(), Error> {
    let exists = connection
        .table_exists(None, "schema_migration")
        .map_err(|e| classify("migrate", &e))?;
    is_known(if exists {
        version(connection)?
    } else {
        Found::default()
    })
}

/// The schema of a database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Found {
    version: i64,
    beside: i64,
}

/// A schema of ours, or a newer one that leaves room for programs as old as this.
fn is_known(found: Found) -> Result<(), Error> {
    let (known, Found { version, beside }) = (known(), found);
    if version < known {
        let found = version;
        return Err(Error::SchemaTooOld { found, known });
    }
    if version > known && beside > known {
        let found = version;
        return Err(Error::SchemaTooNew { found, known });
    }
    Ok(())
}

fn after(found: Found) -> Option<&'static Migration> {
    MIGRATIONS
        .iter()
        .find(|migration| migration.version > found.version)
}

fn version(connection: &Connection) -> Result<Found, Error> {
    connection
        .query_row(
            "SELECT COALESCE(MAX(version), 0), COALESCE(MAX(beside), 0) FROM schema_migration",
            [],
            |row| {
                Ok(Found {
                    version: row.get(0)?,
                    beside: row.get(1)?,
                })
            },
        )
        .map_err(|e| classify("migrate", &e))
}

/// As [`apply`], under a lock that all starters take.
pub(crate) fn apply_postgres(session: &Session, now_ms: i64) -> Result<(), Error> {
    let begin = format!(
        "BEGIN; SET LOCAL statement_timeout = {STEP_MS_MAX}; SET LOCAL lock_timeout = {STEP_MS_MAX}; \
         SELECT pg_advisory_xact_lock({MIGRATION})"
    );
    loop {
        session.run(&begin)?;
        let step = step(session, now_ms);
        session.run(if step.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        if !step? {
            return Ok(());
        }
    }
}

/// Applies the next migration; false where there is none left.
fn step(session: &Session, now_ms: i64) -> Result<bool, Error> {
    session.run(CREATE_POSTGRES)?;
    let mut tx = Tx::postgres(session, now_ms);
    let found = tx.schema_version()?;
    if found.version >= known() {
        return is_known(found).map(|()| false);
    }
    let Some(next) = after(found) else {
        return Ok(false);
    };
    session.run(next.postgres)?;
    tx.execute(
        "-- note_migration
        INSERT INTO schema_migration (version, name, applied_at, beside) VALUES ($1, $2, $3, $4)",
        values![next.version, next.name, now_ms, next.beside],
    )?;
    tracing::info!(
        schema.version = next.version,
        schema.name = next.name,
        "schema migrated"
    );
    Ok(true)
}

/// As [`check`].
pub(crate) fn check_postgres(session: &Session) -> Result<(), Error> {
    let mut tx = Tx::postgres(session, 0);
    is_known(if tx.has_schema()? {
        tx.schema_version()?
    } else {
        Found::default()
    })
}

impl Tx<'_> {
    pub(crate) fn has_schema(&mut self) -> Result<bool, Error> {
        let exists = self.query_one(
            "-- has_schema
            SELECT to_regclass('schema_migration') IS NOT NULL",
            &[],
            |row| row.int(0),
        )?;
        Ok(exists == Some(1))
    }

    fn schema_version(&mut self) -> Result<Found, Error> {
        let found = self.query_one(
            "-- schema_version
            SELECT COALESCE(MAX(version), 0), COALESCE(MAX(beside), 0) FROM schema_migration",
            &[],
            |row| {
                Ok(Found {
                    version: row.int(0)?,
                    beside: row.int(1)?,
                })
            },
        )?;
        Ok(found.unwrap_or_default())
    }
}
