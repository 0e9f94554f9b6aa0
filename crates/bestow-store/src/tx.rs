//! A transaction: the only way to the database.

use crate::error::classify;
use crate::{Error, Row, Value};

/// Statements inside one transaction. They name their values `$1`, `$2` … in the order of first use,
/// which SQLite and PostgreSQL read alike.
pub struct Tx<'c> {
    connection: &'c rusqlite::Connection,
    now_ms: i64,
}

impl<'c> Tx<'c> {
    pub(crate) fn new(connection: &'c rusqlite::Connection, now_ms: i64) -> Self {
        Self { connection, now_ms }
    }

    /// The one instant of this transaction, in milliseconds since 1970 UTC. Read once and passed down, so that
    /// everything a transaction decides agrees on the time.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Runs a statement and tells how many rows it changed.
    pub fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<usize, Error> {
        self.prepare(sql)?.execute(values)
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
        match self.connection.prepare_cached(sql) {
            Ok(statement) => Ok(Statement { statement, sql }),
            Err(error) => Err(classify(sql, &error)),
        }
    }

    /// Rows changed on this connection since it was opened; tells whether a piece of work wrote anything.
    pub(crate) fn changes(&self) -> u64 {
        self.connection.total_changes()
    }
}

/// A prepared statement.
pub struct Statement<'c> {
    statement: rusqlite::CachedStatement<'c>,
    sql: &'static str,
}

impl Statement<'_> {
    /// Runs it and tells how many rows it changed.
    pub fn execute(&mut self, values: &[Value<'_>]) -> Result<usize, Error> {
        self.bind(values)?;
        self.statement
            .raw_execute()
            .map_err(|e| classify(self.sql, &e))
    }

    /// Reads all rows of its answer.
    pub fn query<T>(
        &mut self,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        self.bind(values)?;
        let mut rows = self.statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(|e| classify(self.sql, &e))? {
            found.push(read(&Row(row))?);
        }
        Ok(found)
    }

    /// Reads the first row of its answer.
    pub fn query_one<T>(
        &mut self,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.bind(values)?;
        let mut rows = self.statement.raw_query();
        match rows.next().map_err(|e| classify(self.sql, &e))? {
            Some(row) => read(&Row(row)).map(Some),
            None => Ok(None),
        }
    }

    fn bind(&mut self, values: &[Value<'_>]) -> Result<(), Error> {
        for (place, value) in values.iter().enumerate() {
            self.statement
                .raw_bind_parameter(place + 1, value)
                .map_err(|e| classify(self.sql, &e))?;
        }
        Ok(())
    }
}
