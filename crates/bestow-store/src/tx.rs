//! A transaction: the only way to the database.

use std::sync::Arc;

use crate::error::classify;
use crate::pg_connect::Role;
use crate::postgres::Session;
use crate::{Error, Row, Value, postgres};

/// Statements inside one transaction. They name their values `$1`, `$2` … in the order of first use,
/// which SQLite and PostgreSQL read alike.
pub struct Tx<'c> {
    engine: Engine<'c>,
    now_ms: i64,
    correlation: Option<Arc<str>>,
    /// Whether an audit record was written; only tests ask.
    pub(crate) is_audited: bool,
}

#[derive(Clone, Copy)]
enum Engine<'c> {
    Sqlite(&'c rusqlite::Connection),
    Postgres(&'c Session),
}

impl<'c> Tx<'c> {
    pub(crate) fn sqlite(connection: &'c rusqlite::Connection, now_ms: i64) -> Self {
        Self {
            engine: Engine::Sqlite(connection),
            now_ms,
            correlation: None,
            is_audited: false,
        }
    }

    pub(crate) fn postgres(session: &'c Session, now_ms: i64) -> Self {
        Self {
            engine: Engine::Postgres(session),
            now_ms,
            correlation: None,
            is_audited: false,
        }
    }

    /// The one instant of this transaction, in milliseconds since 1970 UTC. Read once and passed down, so that
    /// everything a transaction decides agrees on the time.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// What is written from here on comes from; see [`correlation`](crate::correlation).
    pub fn correlate(&mut self, id: impl Into<Arc<str>>) {
        self.correlation = Some(id.into());
    }

    /// What is written comes from; `None` where nobody said.
    pub fn correlation(&self) -> Option<Arc<str>> {
        self.correlation.clone()
    }

    /// Runs a statement and tells how many rows it changed.
    pub fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<usize, Error> {
        self.prepare(sql)?.execute(values)
    }

    /// Runs a statement once for each of `rows` and tells how many rows it changed in all. On PostgreSQL they are
    /// sent one behind the other without waiting for each answer.
    pub fn execute_many<'v, const N: usize>(
        &mut self,
        sql: &'static str,
        rows: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<usize, Error> {
        let mut statement = self.prepare(sql)?;
        match statement.0 {
            Prepared::Postgres(ref statement, session) => session.execute_many(statement, rows),
            Prepared::Sqlite(..) => rows
                .into_iter()
                .try_fold(0, |changed, row| Ok(changed + statement.execute(&row)?)),
        }
    }

    /// Reads all rows of an answer.
    pub fn query<T>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        self.prepare(sql)?.query(values, read)
    }

    /// Reads the first row of an answer, if there is one.
    pub fn query_one<T>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.prepare(sql)?.query_one(values, read)
    }

    /// A statement to be run many times in a row.
    pub fn prepare(&mut self, sql: &'static str) -> Result<Statement<'c>, Error> {
        let prepared = match self.engine {
            Engine::Sqlite(connection) => {
                let statement = connection.prepare_cached(sql);
                Prepared::Sqlite(statement.map_err(|e| classify(sql, &e))?, sql)
            }
            Engine::Postgres(session) => Prepared::Postgres(session.prepare(sql)?, session),
        };
        Ok(Statement(prepared))
    }

    /// The words for this engine, where they have to differ.
    pub(crate) fn either(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self.engine {
            Engine::Sqlite(_) => sqlite,
            Engine::Postgres(_) => postgres,
        }
    }

    /// The connection, where it is one to PostgreSQL.
    pub(crate) fn session(&self) -> Option<&'c Session> {
        match self.engine {
            Engine::Sqlite(_) => None,
            Engine::Postgres(session) => Some(session),
        }
    }

    /// Keeps others from changing the rows that `sql` finds until this transaction ends. On SQLite the one writer
    /// does; on PostgreSQL several connections write. What only reads locks nothing.
    pub(crate) fn lock_rows(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<(), Error> {
        match self.session().map(Session::role) {
            Some(Role::Writes) => self.execute(sql, values).map(|_| ()),
            Some(Role::Reads | Role::LooksUp) | None => Ok(()),
        }
    }

    /// Keeps others from counting on in the same numbers until this transaction ends; see [`Tx::lock_rows`].
    pub(crate) fn lock_numbers(&mut self, numbers: postgres::Numbers, tenant: i64) {
        if let Some(session) = self.session() {
            session.lock_numbers(numbers, tenant);
        }
    }

    /// Rows changed on this connection since it was opened; tells whether a piece of work wrote anything.
    pub(crate) fn changes(&self) -> u64 {
        match self.engine {
            Engine::Sqlite(connection) => connection.total_changes(),
            Engine::Postgres(session) => session.changes(),
        }
    }
}

/// A prepared statement.
pub struct Statement<'c>(Prepared<'c>);

enum Prepared<'c> {
    Sqlite(rusqlite::CachedStatement<'c>, &'static str),
    Postgres(postgres::Statement, &'c Session),
}

impl Statement<'_> {
    /// Runs it and tells how many rows it changed.
    pub fn execute(&mut self, values: &[Value<'_>]) -> Result<usize, Error> {
        match &mut self.0 {
            Prepared::Sqlite(statement, sql) => {
                bind(statement, sql, values)?;
                statement.raw_execute().map_err(|e| classify(sql, &e))
            }
            Prepared::Postgres(statement, session) => session.execute(statement, values),
        }
    }

    /// Reads all rows of its answer.
    pub fn query<T>(
        &mut self,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        match &mut self.0 {
            Prepared::Sqlite(statement, sql) => {
                bind(statement, sql, values)?;
                let mut rows = statement.raw_query();
                let mut found = Vec::new();
                while let Some(row) = rows.next().map_err(|e| classify(sql, &e))? {
                    found.push(read(&Row::Sqlite(row))?);
                }
                Ok(found)
            }
            Prepared::Postgres(statement, session) => {
                let rows = session.query(statement, values)?;
                rows.iter().map(|row| read(&Row::Postgres(row))).collect()
            }
        }
    }

    /// Reads the first row of its answer.
    pub fn query_one<T>(
        &mut self,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        match &mut self.0 {
            Prepared::Sqlite(statement, sql) => {
                bind(statement, sql, values)?;
                let mut rows = statement.raw_query();
                match rows.next().map_err(|e| classify(sql, &e))? {
                    Some(row) => read(&Row::Sqlite(row)).map(Some),
                    None => Ok(None),
                }
            }
            Prepared::Postgres(statement, session) => {
                let rows = session.query(statement, values)?;
                rows.first()
                    .map(|row| read(&Row::Postgres(row)))
                    .transpose()
            }
        }
    }
}

fn bind(
    statement: &mut rusqlite::CachedStatement<'_>,
    sql: &str,
    values: &[Value<'_>],
) -> Result<(), Error> {
    for (place, value) in values.iter().enumerate() {
        statement
            .raw_bind_parameter(place + 1, value)
            .map_err(|e| classify(sql, &e))?;
    }
    Ok(())
}
