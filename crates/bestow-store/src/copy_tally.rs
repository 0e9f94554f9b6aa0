//! What a table holds, in a number and a digest that do not depend on the engine.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::copy_end::{End, Rows};
use crate::copy_table::{Cell, Table};

/// Rows of a table, or of a file of an archive, and a digest of all of them: the same for the same rows in either engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The table's or file's name.
    pub table: String,
    /// How many rows it has.
    pub rows: u64,
    /// SHA-256 over the values of all rows in the order of their keys.
    pub digest: [u8; 32],
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.table, self.rows)?;
        hex(&self.digest, f)
    }
}

pub(crate) fn hex(digest: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

pub(crate) fn tallies(end: &End, tables: &[Table]) -> Result<Vec<Tally>, Error> {
    let tally = |table: &Table| {
        let (mut tally, mut after) = (Counting::default(), Vec::new());
        loop {
            let rows = end.block(table, &after)?;
            let Some(last) = rows.last() else { break };
            after = table.key_of(last);
            tally.add(&rows);
        }
        Ok(tally.of(table))
    };
    tables.iter().map(tally).collect()
}

/// The first table whose tally is not the line that is told of it.
pub(crate) fn first_difference(found: &[Tally], told: &[&str]) -> Option<String> {
    if found.len() != told.len() {
        return Some("its tables".to_owned());
    }
    let differs = |(found, told): &(&Tally, &&str)| found.to_string() != **told;
    let (found, _) = found.iter().zip(told).find(differs)?;
    Some(found.table.clone())
}

/// A tally in the making.
#[derive(Default)]
pub(crate) struct Counting {
    rows: u64,
    digest: Sha256,
}

impl Counting {
    pub(crate) fn add(&mut self, rows: &Rows) {
        self.rows += rows.len() as u64;
        for cell in rows.iter().flatten() {
            match cell {
                Cell::Null => self.digest.update([0]),
                Cell::Int(n) => {
                    self.digest.update([1]);
                    self.digest.update(n.to_le_bytes());
                }
                Cell::Text(text) => self.bytes(2, text.as_bytes()),
                Cell::Blob(bytes) => self.bytes(3, bytes),
            }
        }
    }

    /// With their length in front, so that no two rows read alike.
    fn bytes(&mut self, kind: u8, bytes: &[u8]) {
        self.digest.update([kind]);
        self.digest.update((bytes.len() as u64).to_le_bytes());
        self.digest.update(bytes);
    }

    pub(crate) fn of(self, table: &Table) -> Tally {
        self.named(&table.name)
    }

    pub(crate) fn named(self, table: &str) -> Tally {
        Tally {
            table: table.to_owned(),
            rows: self.rows,
            digest: self.digest.finalize().into(),
        }
    }
}
