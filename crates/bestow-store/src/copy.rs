//! Copies of whole databases, from one engine to the same or the other: moving house, backups, bringing them back.
//!
//! A pass walks every table of the source in the order of its key, block by block, compares each block with the same
//! range of keys of the target, and replaces the range where they differ. So a pass over a new target copies, a pass
//! over half of a copy finishes it, and a pass over an older copy brings it up to date: there is nothing to resume by but
//! the rows themselves. Tables and columns are those that the databases say they have.

use std::fmt;
use std::path::Path;

use crate::copy_end::{End, Rows, View};
use crate::copy_table::{Cell, Table};
pub use crate::copy_tally::Tally;
use crate::copy_tally::{Counting, first_difference, tallies};
use crate::migrate::NO_VERSION;
use crate::postgres_engine::is_address;
use crate::store::path_of;
use crate::{Error, Store, Tx, values};

/// The note in a backup starts with it; the tallies of its tables follow, one a line.
const BACKUP: &str = "backup";
/// The note in a database that was moved starts with it; where to follows.
pub(crate) const MOVED: &str = "moved to ";

/// What is made of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Move,
    Backup,
    Restore,
}

/// How far a pass is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The table under way.
    pub table: String,
    /// Rows looked at so far in this pass.
    pub rows: u64,
    /// Rows of the source when the pass began.
    pub rows_total: u64,
    /// Rows written in this pass.
    pub written: u64,
}

/// Told after each block; an error of it ends the pass, which can be begun again.
pub type Tell<'t> = dyn FnMut(&Progress) -> Result<(), Error> + 't;

/// A copy in the making. The target cannot be served from until [`Copy::finish`].
pub struct Copy {
    from: End,
    to: End,
    tables: Vec<Table>,
    purpose: Purpose,
}

/// What differs is taken away in a walk of its own only where rows stand in each other's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mend {
    Clear,
    Replace,
}

impl Copy {
    /// Begins, or goes on, to move the database at `from` to `to`. Both are addresses.
    ///
    /// # Errors
    /// [`Error::NotEmpty`] where the target holds anything but an unfinished copy of this source; [`Error::NotWhole`]
    /// where the source is such a copy; [`Error::Moved`] where it was moved elsewhere; else as [`Store::open`].
    pub fn moving(from: &str, to: &str, now_ms: i64) -> Result<Self, Error> {
        let to = open(to)?;
        // A move that was killed right before its end has marked its source, and goes on.
        let half = to.note()?.is_some();
        let from = match existing(from) {
            Err(Error::Moved(place)) if half && place == to.place() => open(from)?,
            found => found?,
        };
        Self::begin(from, to, Purpose::Move, now_ms)
    }

    /// Begins to back up the database at `from` into a new SQLite file.
    ///
    /// # Errors
    /// As [`Copy::moving`].
    pub fn backup(from: &str, file: &Path, now_ms: i64) -> Result<Self, Error> {
        Self::begin(existing(from)?, End::sqlite(file)?, Purpose::Backup, now_ms)
    }

    /// Begins, or goes on, to bring a backup back into the empty database at `to`, once every table of the backup was
    /// found to be as it was written.
    ///
    /// # Errors
    /// [`Error::Differs`] where it is not; [`Error::NotWhole`] where the file is no finished backup; else as
    /// [`Copy::moving`].
    pub fn restoring(file: &Path, to: &str, now_ms: i64) -> Result<Self, Error> {
        if !file.exists() {
            return Err(Error::Unavailable(format!(
                "{} is not there",
                file.display()
            )));
        }
        let from = End::sqlite(file)?;
        let note = from.note()?.ok_or(Error::NotWhole)?;
        let mut lines = note.lines();
        if lines.next() != Some(BACKUP) {
            return Err(Error::NotWhole);
        }
        let found = tallies(&from, &from.tables()?)?;
        if let Some(table) = first_difference(&found, &lines.collect::<Vec<_>>()) {
            return Err(Error::Differs(table));
        }
        Self::begin(from, open(to)?, Purpose::Restore, now_ms)
    }

    fn begin(from: End, mut to: End, purpose: Purpose, now_ms: i64) -> Result<Self, Error> {
        let note = format!("copy of {}", from.place());
        match to.note()? {
            Some(found) if found == note => {}
            Some(_) => return Err(Error::NotEmpty(to.place())),
            None => {
                to.migrate(now_ms)?;
                if !is_empty(&to)? {
                    return Err(Error::NotEmpty(to.place()));
                }
                to.begin()?;
                to.tx().add_copy_note(&note, now_ms)?;
                to.commit()?;
            }
        }
        let tables = from.tables()?;
        if to.tables()? != tables {
            return Err(Error::Differs("their tables".into()));
        }
        Ok(Self {
            from,
            to,
            tables,
            purpose,
        })
    }

    /// Copies while others may write to the source: what they write meanwhile may be missed, and is for the next pass.
    ///
    /// # Errors
    /// Of either database, and of `tell`.
    pub fn ahead(&self, tell: &mut Tell<'_>) -> Result<(), Error> {
        self.pass(View::Newest, tell).map(drop)
    }

    /// Copies everything as it is at one moment, and makes the copy one that can be used: nobody can write to the source
    /// of a move until this ends, nor serve from it afterwards. Tells what every table of both holds.
    ///
    /// # Errors
    /// [`Error::Differs`] where the target, read anew, is not what was read from the source; of either database; of
    /// `tell`.
    pub fn finish(self, now_ms: i64, tell: &mut Tell<'_>) -> Result<Vec<Tally>, Error> {
        let view = match self.purpose {
            Purpose::Move => View::Still,
            Purpose::Backup | Purpose::Restore => View::Moment,
        };
        let read = self.pass(view, tell)?;
        let lines: Vec<_> = read.iter().map(Tally::to_string).collect();
        let written = tallies(&self.to, &self.tables)?;
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        if let Some(table) = first_difference(&written, &lines) {
            return Err(Error::Differs(table));
        }
        // First nobody serves from the source, then somebody may from the target: never from both.
        match self.purpose {
            Purpose::Move => self.mark_moved(now_ms)?,
            Purpose::Restore | Purpose::Backup => self.from.roll_back(),
        }
        self.to.begin()?;
        match self.purpose {
            Purpose::Move | Purpose::Restore => self.to.tx().drop_copy_note()?,
            Purpose::Backup => {
                let note = format!("{BACKUP}\n{}", lines.join("\n"));
                self.to.tx().change_copy_note(&note)?;
            }
        }
        self.to.commit()?;
        Ok(written)
    }

    /// Ends the view of the source with a note in it.
    fn mark_moved(&self, now_ms: i64) -> Result<(), Error> {
        if self.from.note()?.is_none() {
            let note = format!("{MOVED}{}", self.to.place());
            self.from.tx().add_copy_note(&note, now_ms)?;
        }
        self.from.commit()
    }

    fn pass(&self, view: View, tell: &mut Tell<'_>) -> Result<Vec<Tally>, Error> {
        self.from.look(view, &self.tables)?;
        let counts = self.tables.iter().map(|table| self.from.count(table));
        let mut progress = Progress {
            table: String::new(),
            rows: 0,
            rows_total: counts.sum::<Result<u64, _>>()?,
            written: 0,
        };
        let tables = self.tables.iter();
        tables
            .map(|table| {
                progress.table.clone_from(&table.name);
                let before = progress.rows;
                match self.walk(table, Mend::Replace, &mut progress, tell) {
                    // A row that is wanted now may collide with one that is not wanted any more, and stands elsewhere.
                    Err(Error::Refused { .. }) => {
                        progress.rows = before;
                        self.walk(table, Mend::Clear, &mut progress, tell)?;
                        progress.rows = before;
                        self.walk(table, Mend::Replace, &mut progress, tell)
                    }
                    walked => walked,
                }
            })
            .collect()
    }

    /// Makes the target's table what the source's is, or takes away what it is not.
    fn walk(
        &self,
        table: &Table,
        mend: Mend,
        progress: &mut Progress,
        tell: &mut Tell<'_>,
    ) -> Result<Tally, Error> {
        let mut tally = Counting::default();
        let mut after = Vec::new();
        // Nobody else writes to the target: once its table is at an end, the rest is added without looking.
        let mut is_at_end = false;
        loop {
            let rows = self.from.block(table, &after)?;
            let Some(last) = rows.last() else { break };
            let through = table.key_of(last);
            let there = if is_at_end {
                Rows::new()
            } else {
                self.to.within(table, &after, &through, rows.len())?
            };
            if there.is_empty() && !is_at_end {
                is_at_end = self.to.within(table, &after, &[], 0)?.is_empty();
            }
            progress.written += self.mend(table, mend, (&after, &through), &there, &rows)?;
            tally.add(&rows);
            progress.rows += rows.len() as u64;
            tell(progress)?;
            after = through;
        }
        if !is_at_end && !self.to.within(table, &after, &[], 0)?.is_empty() {
            self.to.replace(table, &after, &[], &[])?;
        }
        Ok(tally.of(table))
    }

    /// How many rows were written.
    fn mend(
        &self,
        table: &Table,
        mend: Mend,
        (after, through): (&[Cell], &[Cell]),
        there: &Rows,
        wanted: &Rows,
    ) -> Result<u64, Error> {
        if there == wanted {
            return Ok(0);
        }
        let wanted: &[_] = match mend {
            Mend::Clear => &[],
            Mend::Replace => wanted,
        };
        if there.is_empty() {
            self.to.add(table, wanted)?;
        } else {
            self.to.replace(table, after, through, wanted)?;
        }
        Ok(wanted.len() as u64)
    }
}

impl fmt::Debug for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Copy")
            .field("from", &self.from.place())
            .field("to", &self.to.place())
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

/// Lets the database at `url` be served from again though it was moved: the way back, once the copy is given up.
///
/// # Errors
/// [`Error::NotWhole`] where it holds anything but what was moved elsewhere; else as [`Store::open`].
pub fn take_back(url: &str) -> Result<(), Error> {
    match existing(url) {
        Err(Error::Moved(_)) => {}
        found => return found.map(drop),
    }
    let end = open(url)?;
    end.begin()?;
    end.tx().drop_copy_note()?;
    end.commit()
}

/// What every table of the database at `url` holds.
///
/// # Errors
/// As [`Store::open`].
pub fn tally(url: &str) -> Result<Vec<Tally>, Error> {
    let end = match existing(url) {
        Err(Error::Moved(_)) => open(url)?,
        found => found?,
    };
    end.look(View::Moment, &[])?;
    tallies(&end, &end.tables()?)
}

fn existing(url: &str) -> Result<End, Error> {
    if !is_address(url) && !Store::exists(url)? {
        return Err(Error::Unavailable(format!("there is no database at {url}")));
    }
    let end = open(url)?;
    end.check()?;
    Ok(end)
}

fn open(url: &str) -> Result<End, Error> {
    if is_address(url) {
        End::postgres(url)
    } else {
        End::sqlite(&path_of(url)?)
    }
}

fn is_empty(end: &End) -> Result<bool, Error> {
    for table in end.tables()? {
        if !end.within(&table, &[], &[], 0)?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Tx<'_> {
    pub(crate) fn copy_note(&mut self) -> Result<Option<String>, Error> {
        self.query_one(
            "-- copy_note
            SELECT name FROM schema_migration WHERE version = $1",
            values![NO_VERSION],
            |row| row.text(0),
        )
    }

    fn add_copy_note(&mut self, note: &str, now_ms: i64) -> Result<(), Error> {
        self.execute(
            "-- add_copy_note
            INSERT INTO schema_migration (version, name, applied_at, beside) VALUES ($1, $2, $3, $4)",
            values![NO_VERSION, note, now_ms, NO_VERSION],
        )
        .map(drop)
    }

    fn change_copy_note(&mut self, note: &str) -> Result<(), Error> {
        self.execute(
            "-- change_copy_note
            UPDATE schema_migration SET name = $1 WHERE version = $2",
            values![note, NO_VERSION],
        )
        .map(drop)
    }

    fn drop_copy_note(&mut self) -> Result<(), Error> {
        self.execute(
            "-- drop_copy_note
            DELETE FROM schema_migration WHERE version = $1",
            values![NO_VERSION],
        )
        .map(drop)
    }
}
