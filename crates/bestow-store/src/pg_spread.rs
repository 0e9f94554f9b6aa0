//! Spreading the tables of a database that is there.

use std::collections::HashMap;

use crate::pg_connect::Role;
use crate::postgres::Session;
use crate::postgres_engine::Postgres;
use crate::spread::{Engine, Spread, Step};
use crate::{Error, Tx};

/// Rows are many where a table is made again.
const STEP_MS_MAX: u32 = 3_600_000;

impl Postgres {
    pub(crate) fn spread(&self, spread: Spread) -> Result<usize, Error> {
        let session = self.connect(Role::Writes)?;
        session.run(&format!(
            "SET statement_timeout = {STEP_MS_MAX}; SET lock_timeout = {STEP_MS_MAX}"
        ))?;
        let mut tx = Tx::postgres(&session, 0);
        let engine = spread.engine();
        if !tx.is_engine(engine)? {
            let found = tx.server_version()?;
            let name = engine.name();
            return Err(Error::CannotSpread(format!(
                "the server is not {name}, it says {found}"
            )));
        }
        let marks = tx.spread_marks()?;
        let todo = left(spread.steps(), &marks)?;
        // Without all-or-nothing a table could stand half made; where nobody's rows are in it, that is mended by hand.
        if !is_atomic(engine) && !todo.is_empty() && !tx.tenants("", 1)?.is_empty() {
            return Err(Error::CannotSpread(
                "there are tenants in this database: spread an empty one, and move into it".into(),
            ));
        }
        for step in &todo {
            apply(&session, engine, step)?;
        }
        Ok(todo.len())
    }
}

/// Whether a change of the schema is part of a transaction.
fn is_atomic(engine: Engine) -> bool {
    matches!(engine, Engine::Partitions | Engine::Citus)
}

/// Those that are still to be done.
fn left(steps: Vec<Step>, marks: &HashMap<String, String>) -> Result<Vec<Step>, Error> {
    let mut todo = Vec::new();
    for step in steps {
        match marks.get(step.table) {
            None => todo.push(step),
            Some(mark) if *mark == step.mark => {}
            Some(mark) => {
                return Err(Error::CannotSpread(format!(
                    "the table {} is {mark} already",
                    step.table
                )));
            }
        }
    }
    Ok(todo)
}

fn apply(session: &Session, engine: Engine, step: &Step) -> Result<(), Error> {
    if is_atomic(engine) {
        // Statements that are sent together are one transaction.
        session.run(&step.statements.join(";\n"))
    } else {
        step.statements.iter().try_for_each(|sql| session.run(sql))
    }
}

impl Tx<'_> {
    fn is_engine(&mut self, engine: Engine) -> Result<bool, Error> {
        let version = self.server_version()?;
        Ok(match engine {
            Engine::Yugabyte => version.contains("-YB-"),
            Engine::Cockroach => version.starts_with("CockroachDB"),
            Engine::Partitions => is_plain(&version) && !self.has_citus()?,
            Engine::Citus => is_plain(&version) && self.has_citus()?,
        })
    }

    fn server_version(&mut self) -> Result<String, Error> {
        let version = self.query_one(
            "-- server_version
            SELECT version()",
            &[],
            |row| row.text(0),
        )?;
        Ok(version.unwrap_or_default())
    }

    fn has_citus(&mut self) -> Result<bool, Error> {
        let found = self.query_one(
            "-- has_citus
            SELECT COUNT(*) FROM pg_extension WHERE extname = 'citus'",
            &[],
            |row| row.int(0),
        )?;
        Ok(found == Some(1))
    }

    /// The mark of each table that has one.
    fn spread_marks(&mut self) -> Result<HashMap<String, String>, Error> {
        let marks = self.query(
            "-- spread_marks
            SELECT CAST(c.relname AS TEXT), d.description
            FROM pg_class c JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = 0
            WHERE d.description LIKE 'spread by bestow: %'",
            &[],
            |row| Ok((row.text(0)?, row.text(1)?)),
        )?;
        Ok(marks.into_iter().collect())
    }
}

fn is_plain(version: &str) -> bool {
    version.starts_with("PostgreSQL") && !version.contains("-YB-")
}
