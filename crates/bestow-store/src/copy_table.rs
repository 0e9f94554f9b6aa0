//! A table as a copy sees it: names, kinds of values, and the words that ask for its rows by their key.

use std::fmt::Write as _;
use std::ops::RangeFrom;

use tokio_postgres::types::Type;

use crate::{Error, Row, Value};

/// A value on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// None.
    Null,
    /// A whole number.
    Int(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int,
    Text,
    Blob,
}

/// A table as the schema describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    columns: Vec<(String, Kind)>,
    /// Places of the key's columns, in the order of the key.
    key: Vec<usize>,
}

/// A table of which not all columns are known yet.
pub(crate) struct Gathered {
    table: Table,
    /// Places of columns in the key, and in the table.
    key: Vec<(i64, usize)>,
}

impl Table {
    /// Takes in one column, with its place in the key or 0. Columns come table by table.
    pub(crate) fn gather(
        found: &mut Vec<Gathered>,
        name: String,
        column: String,
        type_name: &str,
        key_place: i64,
    ) -> Result<(), Error> {
        if found.last().is_none_or(|one| one.table.name != name) {
            let (columns, key) = (Vec::new(), Vec::new());
            let table = Self { name, columns, key };
            found.push(Gathered {
                table,
                key: Vec::new(),
            });
        }
        if let Some(Gathered { table, key }) = found.last_mut() {
            if key_place > 0 {
                key.push((key_place, table.columns.len()));
            }
            table.columns.push((column, kind(type_name)?));
        }
        Ok(())
    }

    /// The values of a row that was asked for by [`Table::column_names`].
    pub(crate) fn read(&self, row: &Row<'_>) -> Result<Vec<Cell>, Error> {
        let columns = self.columns.iter().enumerate();
        columns
            .map(|(at, (_, kind))| cell(row, at, *kind))
            .collect()
    }

    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    pub(crate) fn wire_types(&self) -> Vec<Type> {
        self.columns.iter().map(|(_, kind)| kind.wire()).collect()
    }

    pub(crate) fn column_names(&self) -> String {
        self.names(0..self.columns.len())
    }

    pub(crate) fn key_names(&self) -> String {
        self.names(self.key.iter().copied())
    }

    fn names(&self, places: impl Iterator<Item = usize>) -> String {
        let names: Vec<_> = places.map(|at| quoted(&self.columns[at].0)).collect();
        names.join(", ")
    }

    /// The condition for keys behind `after` and up to `through`; an empty one is no bound.
    pub(crate) fn bounds(&self, after: &[Cell], through: &[Cell]) -> String {
        let key = self.key_names();
        let (mut sql, mut counted) = (String::new(), 1..);
        for (sign, bound) in [(">", after), ("<=", through)] {
            if bound.is_empty() {
                continue;
            }
            let word = if sql.is_empty() { " WHERE" } else { " AND" };
            // Writing to a String cannot fail.
            let _ = write!(
                sql,
                "{word} ({key}) {sign} ({})",
                places(&mut counted, bound.len())
            );
        }
        sql
    }

    /// The key of a row.
    pub(crate) fn key_of(&self, row: &[Cell]) -> Vec<Cell> {
        self.key.iter().map(|at| row[*at].clone()).collect()
    }
}

impl Gathered {
    pub(crate) fn table(mut self) -> Table {
        self.key.sort_unstable();
        self.table.key = self.key.into_iter().map(|(_, at)| at).collect();
        self.table
    }
}

impl Kind {
    fn wire(self) -> Type {
        match self {
            Self::Int => Type::INT8,
            Self::Text => Type::TEXT,
            Self::Blob => Type::BYTEA,
        }
    }
}

impl Cell {
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Int(n) => Value::Int(*n),
            Self::Text(text) => Value::Text(text),
            Self::Blob(bytes) => Value::Blob(bytes),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Null | Self::Int(_) => 8,
            Self::Text(text) => text.len(),
            Self::Blob(bytes) => bytes.len(),
        }
    }
}

fn kind(name: &str) -> Result<Kind, Error> {
    match name {
        "INTEGER" | "bigint" => Ok(Kind::Int),
        "TEXT" | "text" => Ok(Kind::Text),
        "BLOB" | "bytea" => Ok(Kind::Blob),
        other => Err(Error::Corrupt(format!("a column of type {other}"))),
    }
}

fn cell(row: &Row<'_>, at: usize, kind: Kind) -> Result<Cell, Error> {
    Ok(match kind {
        Kind::Int => row.opt_int(at)?.map_or(Cell::Null, Cell::Int),
        Kind::Text => row.opt_text(at)?.map_or(Cell::Null, Cell::Text),
        Kind::Blob => row.opt_blob(at)?.map_or(Cell::Null, Cell::Blob),
    })
}

/// `$1, $2 …`, counted on.
pub(crate) fn places(from: &mut RangeFrom<usize>, count: usize) -> String {
    let places: Vec<_> = from.take(count).map(|n| format!("${n}")).collect();
    places.join(", ")
}

pub(crate) fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}
