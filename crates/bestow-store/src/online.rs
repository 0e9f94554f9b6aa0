//! Migrations of a PostgreSQL that is being served from: statement by statement, none of which keeps others waiting.
//!
//! What takes a lock that others wait for has [`QUICK_MS_MAX`] for waiting and running together, by the server's own
//! clock, and is tried again where that was too short. What takes long (indexes, checks, filling columns) takes no such
//! lock, or works on a few blocks at a time. Every statement may be run twice, so that whatever broke off goes on.

use std::time::Duration;

use crate::postgres::Session;
use crate::{Error, Tx, values};

/// Longest time that a statement with a blocking lock may take, waiting for it included, in milliseconds.
const QUICK_MS_MAX: u32 = 400;
/// For as long as an index may take; rows are many by then.
const SLOW_MS_MAX: u32 = 86_400_000;
const TRIES_MAX: u32 = 100;
const PAUSE: Duration = Duration::from_millis(200);
/// Blocks of the table that are filled in one transaction, at most: some thousand rows.
const BLOCKS_MAX: i64 = 64;

/// A statement, by how it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Changes a table at once, whatever its size, under a lock that others wait for.
    Quick(String),
    /// Takes long, and nobody waits for it.
    Slow(String),
    /// Builds an index beside those who write. One that broke off is made anew.
    Index { name: String, sql: String },
    /// Changes rows, some blocks of the table at a time.
    Fill { table: String, sql: String },
}

/// What the statements of a migration may be, and how each is run. Anything else could rewrite a table, or keep others
/// waiting for as long as it takes.
const QUICK: [&str; 6] = [
    "CREATE TABLE IF NOT EXISTS ",
    "ALTER TABLE * ADD COLUMN IF NOT EXISTS ",
    "ALTER TABLE * ADD CONSTRAINT ",
    "ALTER TABLE * DROP CONSTRAINT IF EXISTS ",
    "ALTER TABLE * DROP COLUMN IF EXISTS ",
    "DROP TABLE IF EXISTS ",
];
const SLOW: [&str; 2] = [
    "ALTER TABLE * VALIDATE CONSTRAINT ",
    "DROP INDEX CONCURRENTLY IF EXISTS ",
];
const INDEX: [&str; 2] = [
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS ",
    "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ",
];
const FILL: &str = "UPDATE * SET ";
/// How a filling statement is told which blocks are meant.
const FILLED: &str = " AND ctid >= $1 AND ctid < $2";

/// Reads the statements of a migration.
///
/// # Errors
/// The statement that is none of those that may be, with the reason.
pub(crate) fn steps(text: &str) -> Result<Vec<Step>, String> {
    let bare: String = text
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .flat_map(|line| [line, " "])
        .collect();
    let statements: Vec<_> = bare
        .split(';')
        .map(|sql| sql.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|sql| !sql.is_empty())
        .collect();
    for (place, sql) in statements.iter().enumerate() {
        // It cannot say itself that it may be there already.
        let added = behind(sql, QUICK[2]).map(first_word);
        let dropped = place
            .checked_sub(1)
            .and_then(|before| behind(&statements[before], QUICK[3]));
        if added.is_some() && added != dropped {
            return Err(format!("it cannot be run twice: {sql}"));
        }
    }
    statements.into_iter().map(step).collect()
}

fn step(sql: String) -> Result<Step, String> {
    let refused = |why: &str| Err(format!("{why}: {sql}"));
    if let Some(rest) = INDEX.iter().find_map(|form| behind(&sql, form)) {
        let name = first_word(rest).to_owned();
        return Ok(Step::Index { name, sql });
    }
    if SLOW.iter().any(|form| behind(&sql, form).is_some()) {
        return Ok(Step::Slow(sql));
    }
    if behind(&sql, FILL).is_some() {
        if !sql.contains(FILLED) {
            return refused("it changes all rows at once");
        }
        let table = sql.split(' ').nth(1).unwrap_or_default().to_owned();
        return Ok(Step::Fill { table, sql });
    }
    if !QUICK.iter().any(|form| behind(&sql, form).is_some()) {
        return refused("it may keep others waiting");
    }
    if let Some(column) = behind(&sql, QUICK[1]) {
        if column.contains(" NOT NULL") && !column.contains(" DEFAULT ") {
            return refused("rows that are there have no value");
        }
        let default = column
            .split_once(" DEFAULT ")
            .map_or("", |(_, default)| default);
        let value = default.split(" CHECK ").next().unwrap_or_default();
        if value.contains('(') || column.contains("UNIQUE") || column.contains("PRIMARY KEY") {
            return refused("it rewrites the table");
        }
        if column.contains(" CHECK ") || column.contains("REFERENCES") {
            return refused("it looks at every row");
        }
    }
    if behind(&sql, QUICK[2]).is_some() && !sql.ends_with(" NOT VALID") {
        return refused("it looks at every row");
    }
    Ok(Step::Quick(sql))
}

/// What comes behind a form, in which `*` stands for one word.
fn behind<'s>(sql: &'s str, form: &str) -> Option<&'s str> {
    let mut rest = sql;
    for (place, piece) in form.split('*').enumerate() {
        if place > 0 {
            rest = &rest[first_word(rest).len()..];
        }
        rest = rest.strip_prefix(piece)?;
    }
    Some(rest)
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// Runs a migration beside those who serve.
pub(crate) fn run(session: &Session, name: &'static str, text: &str) -> Result<(), Error> {
    let steps = steps(text).map_err(|message| Error::Refused {
        statement: name.into(),
        message,
    })?;
    let ran = run_all(session, &steps);
    if ran.is_err() {
        // Lets the next statement run.
        session.roll_back();
    }
    ran.and(session.set_limits())
}

fn run_all(session: &Session, steps: &[Step]) -> Result<(), Error> {
    for step in steps {
        match step {
            Step::Quick(sql) => quick(session, sql)?,
            Step::Slow(sql) => slow(session, sql)?,
            Step::Index { name, sql } => {
                if Tx::postgres(session, 0).is_broken_index(name)? {
                    slow(
                        session,
                        &format!("DROP INDEX CONCURRENTLY IF EXISTS {name}"),
                    )?;
                }
                slow(session, sql)?;
            }
            Step::Fill { table, sql } => fill(session, table, sql)?,
        }
    }
    Ok(())
}

/// The server ends it when its time is up, and lets those by who wait behind it.
fn quick(session: &Session, sql: &str) -> Result<(), Error> {
    limit(session, QUICK_MS_MAX)?;
    let mut tries = 0;
    loop {
        match attempt(session, sql)? {
            Attempt::Done => return Ok(()),
            Attempt::OutOfTime(error) if tries == TRIES_MAX => return Err(error),
            Attempt::OutOfTime(_) => {
                tries += 1;
                std::thread::sleep(PAUSE);
            }
        }
    }
}

fn slow(session: &Session, sql: &str) -> Result<(), Error> {
    limit(session, SLOW_MS_MAX)?;
    session.run(sql)
}

/// Fewer blocks at a time where the machine is slow.
fn fill(session: &Session, table: &str, sql: &str) -> Result<(), Error> {
    let blocks = Tx::postgres(session, 0).blocks(table)?;
    limit(session, QUICK_MS_MAX)?;
    let (mut first, mut count) = (0, BLOCKS_MAX);
    while first < blocks {
        let range = |block: i64| format!("'({block},0)'");
        let some = sql
            .replace("$1", &range(first))
            .replace("$2", &range(first + count));
        match attempt(session, &some)? {
            Attempt::Done => first += count,
            Attempt::OutOfTime(_) if count > 1 => count /= 2,
            Attempt::OutOfTime(_) => {
                quick(session, &some)?;
                first += count;
            }
        }
    }
    Ok(())
}

enum Attempt {
    Done,
    OutOfTime(Error),
}

fn attempt(session: &Session, sql: &str) -> Result<Attempt, Error> {
    match session.run(sql) {
        Ok(()) => Ok(Attempt::Done),
        Err(error @ Error::Unavailable(_)) if session.is_connected() => {
            // As above.
            session.roll_back();
            Ok(Attempt::OutOfTime(error))
        }
        Err(error) => Err(error),
    }
}

fn limit(session: &Session, ms: u32) -> Result<(), Error> {
    session.run(&format!(
        "SET statement_timeout = {ms}; SET lock_timeout = {ms}"
    ))
}

impl Tx<'_> {
    /// Whether the building of an index broke off.
    fn is_broken_index(&mut self, name: &str) -> Result<bool, Error> {
        let found = self.query_one(
            "-- is_broken_index
            SELECT COUNT(*) FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
            WHERE CAST(c.relname AS TEXT) = $1 AND NOT i.indisvalid",
            values![name],
            |row| row.int(0),
        )?;
        Ok(found.is_some_and(|count| count > 0))
    }

    /// Blocks of a table, or of its largest partition.
    fn blocks(&mut self, table: &str) -> Result<i64, Error> {
        let found = self.query_one(
            "-- blocks
            SELECT COALESCE(
                (SELECT MAX(pg_relation_size(p.relid)) FROM pg_partition_tree(c.oid) p), pg_relation_size(c.oid)
            ) / CAST(current_setting('block_size') AS BIGINT)
            FROM pg_class c WHERE CAST(c.relname AS TEXT) = $1",
            values![table],
            |row| row.int(0),
        )?;
        Ok(found.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::{Step, steps};

    #[test]
    fn statements_are_told_apart() {
        let text = "
            -- a promise; with a semicolon
            ALTER TABLE grants ADD COLUMN IF NOT EXISTS note BIGINT;  -- NULL: not told
            ALTER TABLE grants ADD COLUMN IF NOT EXISTS kind BIGINT NOT NULL DEFAULT 0;
            CREATE INDEX CONCURRENTLY IF NOT EXISTS grants_note
                ON grants (tenant, note) WHERE note IS NOT NULL;
            UPDATE grants SET note = page WHERE note IS NULL AND ctid >= $1 AND ctid < $2;
            ALTER TABLE grants DROP CONSTRAINT IF EXISTS note_told;
            ALTER TABLE grants ADD CONSTRAINT note_told CHECK (note >= 0) NOT VALID;
            ALTER TABLE grants VALIDATE CONSTRAINT note_told;
        ";
        let steps = steps(text).expect("all of them may be");
        let kinds: Vec<_> = steps
            .iter()
            .map(|step| match step {
                Step::Quick(_) => "quick",
                Step::Slow(_) => "slow",
                Step::Index { name, .. } => name,
                Step::Fill { table, .. } => table,
            })
            .collect();
        assert_eq!(
            kinds,
            [
                "quick",
                "quick",
                "grants_note",
                "grants",
                "quick",
                "quick",
                "slow"
            ]
        );
    }

    #[test]
    fn what_could_keep_others_waiting_is_refused() {
        for sql in [
            "ALTER TABLE grants ALTER COLUMN page TYPE TEXT",
            "ALTER TABLE grants ADD COLUMN note BIGINT",
            "ALTER TABLE grants ADD COLUMN IF NOT EXISTS note BIGINT NOT NULL",
            "ALTER TABLE grants ADD COLUMN IF NOT EXISTS note TEXT NOT NULL DEFAULT random()",
            "ALTER TABLE grants ADD COLUMN IF NOT EXISTS note BIGINT UNIQUE",
            "ALTER TABLE grants ADD COLUMN IF NOT EXISTS note BIGINT CHECK (note > 0)",
            "ALTER TABLE grants ADD CONSTRAINT told CHECK (page >= 0)",
            "CREATE INDEX grants_note ON grants (note)",
            "CREATE INDEX IF NOT EXISTS grants_note ON grants (note)",
            "DROP INDEX grants_note",
            "UPDATE grants SET note = 1",
            "DELETE FROM grants",
            "VACUUM FULL grants",
            "CLUSTER grants",
            "LOCK TABLE grants",
        ] {
            assert!(steps(sql).is_err(), "{sql} may be");
        }
    }
}
