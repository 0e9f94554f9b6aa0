//! The three kinds of value that both databases agree on, and reading them back.

use crate::Error;
use crate::pg_types::Whole;

/// A value bound to a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// A whole number; instants are milliseconds, flags are 0 or 1.
    Int(i64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Value<'_> {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Blob(value)
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(value: &'a Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput, ValueRef};
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null => ValueRef::Null,
            Self::Int(n) => ValueRef::Integer(n),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// One row of an answer, read by position.
pub enum Row<'r> {
    /// Of SQLite.
    #[doc(hidden)]
    Sqlite(&'r rusqlite::Row<'r>),
    /// Of PostgreSQL.
    #[doc(hidden)]
    Postgres(&'r tokio_postgres::Row),
}

impl Row<'_> {
    /// A whole number.
    pub fn int(&self, at: usize) -> Result<i64, Error> {
        match self {
            Self::Sqlite(row) => row.get(at).map_err(|e| wrong(at, &e)),
            Self::Postgres(row) => row.try_get(at).map(|Whole(n)| n).map_err(|e| wrong(at, &e)),
        }
    }

    /// A whole number or nothing.
    pub fn opt_int(&self, at: usize) -> Result<Option<i64>, Error> {
        match self {
            Self::Sqlite(row) => row.get(at).map_err(|e| wrong(at, &e)),
            Self::Postgres(row) => row
                .try_get::<_, Option<Whole>>(at)
                .map(|found| found.map(|Whole(n)| n))
                .map_err(|e| wrong(at, &e)),
        }
    }

    /// A count that cannot be negative.
    pub fn count(&self, at: usize) -> Result<u64, Error> {
        u64::try_from(self.int(at)?).map_err(|e| Error::Corrupt(format!("column {at}: {e}")))
    }

    /// Text, copied.
    pub fn text(&self, at: usize) -> Result<String, Error> {
        match self {
            Self::Sqlite(row) => row.get(at).map_err(|e| wrong(at, &e)),
            Self::Postgres(row) => row.try_get(at).map_err(|e| wrong(at, &e)),
        }
    }

    /// Text where it stands, for as long as the row is looked at.
    pub fn str(&self, at: usize) -> Result<&str, Error> {
        match self {
            Self::Sqlite(row) => row
                .get_ref(at)
                .map_err(|e| wrong(at, &e))?
                .as_str()
                .map_err(|e| wrong(at, &e)),
            Self::Postgres(row) => row.try_get(at).map_err(|e| wrong(at, &e)),
        }
    }

    /// Text or nothing.
    pub fn opt_text(&self, at: usize) -> Result<Option<String>, Error> {
        match self {
            Self::Sqlite(row) => row.get(at).map_err(|e| wrong(at, &e)),
            Self::Postgres(row) => row.try_get(at).map_err(|e| wrong(at, &e)),
        }
    }

    /// Bytes or nothing, copied.
    pub fn opt_blob(&self, at: usize) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Sqlite(row) => row.get(at).map_err(|e| wrong(at, &e)),
            Self::Postgres(row) => row.try_get(at).map_err(|e| wrong(at, &e)),
        }
    }

    /// Bytes, copied.
    pub fn blob(&self, at: usize) -> Result<Vec<u8>, Error> {
        match self {
            Self::Sqlite(row) => row.get(at).map_err(|e| wrong(at, &e)),
            Self::Postgres(row) => row.try_get(at).map_err(|e| wrong(at, &e)),
        }
    }
}

fn wrong(at: usize, error: &dyn std::error::Error) -> Error {
    Error::Corrupt(format!("column {at}: {error}"))
}

/// Writes the values of a statement in the order of its `$1`, `$2` ….
#[macro_export]
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::Value::from($value)),*][..] };
}
