//! Brings a database to this program's schema, one numbered step at a time, forward only.
//!
//! The first step makes an empty database and is one transaction. Those after it are written for databases that are
//! served from ([`crate::online`]): first they only add, so that the program before them goes on serving.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use crate::copy::MOVED;
use crate::error::classify;
use crate::postgres::{Begin, MIGRATION, Session, Uncommitted};
use crate::{Error, Tx, online, values};

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
/// Stands as the version of a database that nobody may serve from, since it is half of a copy, a backup, or was moved.
/// Its name says which. Older programs refuse it too.
pub(crate) const NO_VERSION: i64 = i64::MAX;
/// For as long as a step may take; rows are many by then.
const STEP_MS_MAX: u32 = 3_600_000;
/// Between two tries to be the one that migrates.
const CLAIM_PAUSE: Duration = Duration::from_millis(50);

/// What makes the newest schema on PostgreSQL.
pub(crate) fn texts() -> impl Iterator<Item = &'static str> {
    MIGRATIONS.iter().map(|migration| migration.postgres)
}

/// The newest schema version this program knows.
pub(crate) fn known() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// The schema of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Found {
    version: i64,
    beside: i64,
    /// What stands at [`NO_VERSION`].
    note: Option<String>,
}

/// A schema of ours, or a newer one that leaves room for programs as old as this.
fn is_known(found: &Found) -> Result<(), Error> {
    let (
        known,
        &Found {
            version, beside, ..
        },
    ) = (known(), found);
    if let Some(note) = &found.note {
        let place = note.strip_prefix(MOVED);
        return Err(place.map_or(Error::NotWhole, |place| Error::Moved(place.to_owned())));
    }
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

fn after(found: &Found) -> Option<&'static Migration> {
    MIGRATIONS
        .iter()
        .find(|migration| migration.version > found.version)
}

const SCHEMA_VERSION: &str = "-- schema_version
    SELECT COALESCE(MAX(version), 0), COALESCE(MAX(beside), 0),
        MAX(CASE WHEN version = 9223372036854775807 THEN name END)
    FROM schema_migration";

/// Applies what is missing. The exclusive lock makes several starters at once safe; each step is one transaction.
pub(crate) fn apply(connection: &mut Connection, now_ms: i64) -> Result<(), Error> {
    loop {
        let tx = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|e| classify("migrate", &e))?;
        tx.execute_batch(CREATE)
            .map_err(|e| classify("migrate", &e))?;
        let found = version(&tx)?;
        let Some(next) = after(&found) else {
            is_known(&found)?;
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
        tell(next);
    }
}

/// Refuses a database whose schema this program cannot serve from.
pub(crate) fn check(connection: &Connection) -> Result<(), Error> {
    let exists = connection
        .table_exists(None, "schema_migration")
        .map_err(|e| classify("migrate", &e))?;
    let found = if exists {
        version(connection)?
    } else {
        Found::default()
    };
    is_known(&found)
}

fn version(connection: &Connection) -> Result<Found, Error> {
    connection
        .query_row(SCHEMA_VERSION, [], |row| {
            Ok(Found {
                version: row.get(0)?,
                beside: row.get(1)?,
                note: row.get(2)?,
            })
        })
        .map_err(|e| classify("migrate", &e))
}

fn tell(done: &Migration) {
    tracing::info!(
        schema.version = done.version,
        schema.name = done.name,
        "schema migrated"
    );
}

/// As [`apply`], under a lock that all starters take. Who waits for it asks again and again: a statement that waits
/// would have an index that is built beside it wait for its end.
pub(crate) fn apply_postgres(session: &Session, now_ms: i64) -> Result<(), Error> {
    let mut tx = Tx::postgres(session, now_ms);
    while !tx.claim_migration()? {
        std::thread::sleep(CLAIM_PAUSE);
    }
    let applied = apply_claimed(session, now_ms);
    // The end of the connection gives the claim back, too.
    let released = tx.release_migration();
    applied.and(released)
}

fn apply_claimed(session: &Session, now_ms: i64) -> Result<(), Error> {
    session.run(CREATE_POSTGRES)?;
    let mut tx = Tx::postgres(session, now_ms);
    loop {
        let found = tx.schema_version()?;
        let Some(next) = after(&found) else {
            return is_known(&found);
        };
        if next.version == 1 {
            whole(session, |session| {
                session.run(next.postgres)?;
                Tx::postgres(session, now_ms).note_migration(next, now_ms)
            })?;
        } else {
            online::run(session, next.name, next.postgres)?;
            tx.note_migration(next, now_ms)?;
        }
        tell(next);
    }
}

/// Runs `work` in one transaction, however long it takes.
fn whole(session: &Session, work: impl FnOnce(&Session) -> Result<(), Error>) -> Result<(), Error> {
    session.begin(Begin::Beside);
    let begun = session.run(&format!(
        "SET LOCAL statement_timeout = {STEP_MS_MAX}; SET LOCAL lock_timeout = {STEP_MS_MAX}"
    ));
    let done = begun.and_then(|()| work(session));
    if done.is_err() {
        session.roll_back();
        return done;
    }
    session.commit().map_err(|uncommitted| match uncommitted {
        Uncommitted::Surely(error) => error,
        Uncommitted::Perhaps => Error::OutcomeUnknown,
    })
}

/// As [`check`].
pub(crate) fn check_postgres(session: &Session) -> Result<(), Error> {
    let mut tx = Tx::postgres(session, 0);
    let found = if tx.has_schema()? {
        tx.schema_version()?
    } else {
        Found::default()
    };
    is_known(&found)
}

/// For tests: a step that a later program might bring.
#[cfg(feature = "testing")]
pub(crate) fn apply_further(
    session: &Session,
    postgres: &'static str,
    beside: i64,
) -> Result<(), Error> {
    let further = Migration {
        version: known() + 1,
        name: "further",
        sqlite: "",
        postgres,
        beside,
    };
    online::run(session, further.name, postgres)?;
    Tx::postgres(session, 0).note_migration(&further, 0)
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
        let found = self.query_one(SCHEMA_VERSION, &[], |row| {
            Ok(Found {
                version: row.int(0)?,
                beside: row.int(1)?,
                note: row.opt_text(2)?,
            })
        })?;
        Ok(found.unwrap_or_default())
    }

    fn note_migration(&mut self, done: &Migration, now_ms: i64) -> Result<(), Error> {
        self.execute(
            "-- note_migration
            INSERT INTO schema_migration (version, name, applied_at, beside) VALUES ($1, $2, $3, $4)",
            values![done.version, done.name, now_ms, done.beside],
        )
        .map(|_| ())
    }

    fn claim_migration(&mut self) -> Result<bool, Error> {
        let claimed = self.query_one(
            "-- claim_migration
            SELECT pg_try_advisory_lock($1)",
            values![MIGRATION],
            |row| row.int(0),
        )?;
        Ok(claimed == Some(1))
    }

    fn release_migration(&mut self) -> Result<(), Error> {
        self.execute(
            "-- release_migration
            SELECT pg_advisory_unlock($1)",
            values![MIGRATION],
        )
        .map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::{MIGRATIONS, online};

    #[test]
    fn later_steps_keep_nobody_waiting_and_let_the_program_before_them_serve() {
        let mut before = 0;
        for migration in MIGRATIONS {
            assert_eq!(migration.version, before + 1, "{}", migration.name);
            assert!(
                (1..=migration.version).contains(&migration.beside),
                "{}",
                migration.name
            );
            if before > 0 {
                online::steps(migration.postgres)
                    .expect("statements for a database that is served from");
                // What takes something away comes once no program that may still serve uses it.
                let takes = migration.postgres.contains("DROP COLUMN")
                    || migration.postgres.contains("DROP TABLE");
                let beside = if takes { before } else { migration.beside };
                assert_eq!(migration.beside, beside, "{} takes away", migration.name);
            }
            before = migration.version;
        }
    }
}
