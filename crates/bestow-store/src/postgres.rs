//! A connection to PostgreSQL and the transaction that is open on it: running statements.
//!
//! One thread does the input and output of all connections. Whoever runs a statement sends it and sleeps until the
//! answer is there, so that transactions are the same synchronous closures as on SQLite. What begins a transaction,
//! and locks that it needs, travel in front of its next statement and cost no answer of their own.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

use futures_util::TryStreamExt as _;
use futures_util::future::{join, try_join_all};
#[cfg(feature = "testing")]
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::{Client, Row};

use crate::pg_connect::{Role, settings};
use crate::pg_error::{Failure, classify, is_there_already};
use crate::pg_near::{Near, Nearness};
use crate::pg_types::Column;
use crate::{Error, Value, park};

/// Statements that are under way at once, at most, where one is run for many rows.
const PIPELINED_MAX: usize = 256;

/// Groups of rows that are inserted carefully once one of them held a repeat.
const CAREFUL_FOR: u32 = 64;

/// Numbers that are counted by the highest there is. Whoever counts on locks them first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// `audit.seq`.
    Audit = 1,
    /// `no` of campaigns, offers, windows and pools of a tenant.
    Terms = 2,
    /// `tenant.no`.
    Tenants = 3,
    /// `no` of a tenant's blocks of grants and of its events.
    Announcements = 4,
}

/// Locks that are no row's: one for each kind of numbers of each tenant, one for each process, and these.
const TURN: i64 = key(0, 0);
pub(crate) const MIGRATION: i64 = key(0, 1);
pub(crate) const SERVING: i64 = key(0, 2);
/// The family of the locks of processes.
pub(crate) const NODE: i64 = 4;

/// The name of a lock in a database that others may use too: a letter of ours in front.
pub(crate) const fn key(family: i64, tenant: i64) -> i64 {
    (0x62 << 56) | (family << 48) | tenant
}

/// How a transaction begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// One snapshot to the end; nothing is written.
    Read,
    /// Beside others that write.
    Beside,
    /// In turn with all others that say so, in every process: what they read before they write stays true.
    InTurn,
}

/// How a commit went wrong.
#[derive(Debug)]
pub(crate) enum Uncommitted {
    /// Surely not committed.
    Surely(Error),
    /// The connection ended before the answer came.
    Perhaps,
}

/// One connection, with the transaction that is open on it.
pub(crate) struct Session {
    pub(crate) client: Client,
    role: Role,
    /// By the place of their text, which never moves.
    prepared: RefCell<HashMap<(usize, usize), Statement>>,
    /// Sent in front of the next statement.
    ahead: RefCell<String>,
    has_begun: Cell<bool>,
    /// Why the open transaction cannot be committed any more.
    failure: Cell<Option<Failure>>,
    changes: Cell<u64>,
    locked: RefCell<HashSet<i64>>,
    /// How many groups of rows are still inserted carefully.
    careful: Cell<u32>,
    /// What the open transaction has read ahead, and is still to write.
    pub(crate) near: RefCell<Near>,
}

/// A prepared statement.
#[derive(Clone)]
pub(crate) struct Statement {
    pub(crate) prepared: tokio_postgres::Statement,
    sql: &'static str,
    kind: Kind,
    nearness: Nearness,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Reads,
    Writes,
}

impl Session {
    pub(crate) fn new(client: Client, role: Role) -> Self {
        Self {
            client,
            role,
            prepared: RefCell::default(),
            ahead: RefCell::default(),
            has_begun: Cell::new(false),
            failure: Cell::new(None),
            changes: Cell::new(0),
            locked: RefCell::default(),
            careful: Cell::new(0),
            near: RefCell::default(),
        }
    }

    /// How long its statements may take and wait, and what a commit means.
    pub(crate) fn set_limits(&self) -> Result<(), Error> {
        self.run(&settings(self.role))
    }

    /// Whether the connection is still there, as far as is known.
    pub(crate) fn is_connected(&self) -> bool {
        !self.client.is_closed() && self.failure.get() != Some(Failure::Lost)
    }

    /// Why the open transaction cannot be committed any more.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failure.get()
    }

    pub(crate) fn changes(&self) -> u64 {
        self.changes.get()
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn begin(&self, how: Begin) {
        self.near.borrow_mut().clear();
        let mut ahead = self.ahead.borrow_mut();
        ahead.clear();
        match how {
            Begin::Read => ahead.push_str("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
            Begin::Beside => ahead.push_str("BEGIN ISOLATION LEVEL READ COMMITTED"),
            Begin::InTurn => {
                ahead.push_str("BEGIN ISOLATION LEVEL READ COMMITTED");
                push_lock(&mut ahead, TURN);
            }
        }
    }

    /// Ends the transaction; durable once this answers well.
    pub(crate) fn commit(&self) -> Result<(), Uncommitted> {
        if self.failure.get().is_some() {
            return Err(Uncommitted::Surely(given_up()));
        }
        let pending = self.take_pending();
        let statements = self.statements_for(&pending).map_err(Uncommitted::Surely)?;
        self.near.borrow_mut().clear();
        self.ahead.borrow_mut().clear();
        self.locked.borrow_mut().clear();
        if !self.has_begun.replace(false) {
            return Ok(());
        }
        // One way to the server for both.
        let commit = self.client.batch_execute("COMMIT");
        let (written, committed) = park::wait(join(self.send(&pending, &statements), commit));
        // Where a statement was refused, the server has made a rollback of the commit behind it.
        for answer in [written, committed] {
            let Err(error) = answer else { continue };
            return match classify("commit", &error) {
                (Failure::Lost, _) => {
                    self.failure.set(Some(Failure::Lost));
                    Err(Uncommitted::Perhaps)
                }
                (_, error) => Err(Uncommitted::Surely(error)),
            };
        }
        Ok(())
    }

    /// Ends the transaction without a trace, and without waiting for it.
    pub(crate) fn roll_back(&self) {
        self.near.borrow_mut().clear();
        self.ahead.borrow_mut().clear();
        self.locked.borrow_mut().clear();
        if self.has_begun.replace(false) {
            park::send_off(self.client.batch_execute("ROLLBACK"));
        }
        if self.failure.get() != Some(Failure::Lost) {
            self.failure.set(None);
        }
    }

    /// Runs statements that are not worth preparing.
    pub(crate) fn run(&self, sql: &str) -> Result<(), Error> {
        self.ask(sql, self.client.batch_execute(sql))
    }

    /// Runs a text that need not last: the first number of its answer, or how many rows it changed.
    #[cfg(feature = "testing")]
    pub(crate) fn raw(&self, sql: &str) -> Result<i64, Error> {
        let answer = self.ask(sql, self.client.simple_query(sql))?;
        let number = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).and_then(|text| text.parse().ok()),
            SimpleQueryMessage::CommandComplete(rows) => i64::try_from(*rows).ok(),
            _ => None,
        });
        number.ok_or_else(|| Error::Corrupt(format!("no number came of {sql}")))
    }

    pub(crate) fn prepare(&self, sql: &'static str) -> Result<Statement, Error> {
        let place = (sql.as_ptr().addr(), sql.len());
        if let Some(known) = self.prepared.borrow().get(&place) {
            return Ok(known.clone());
        }
        let statement = Statement {
            prepared: self.ask(sql, self.client.prepare(sql))?,
            sql,
            kind: kind(sql),
            nearness: Nearness::of(sql),
        };
        self.prepared.borrow_mut().insert(place, statement.clone());
        Ok(statement)
    }

    pub(crate) fn execute(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<usize, Error> {
        self.give_way(statement.nearness)?;
        let work = self.client.execute_raw(&statement.prepared, values);
        let changed = self.ask(statement.sql, work)?;
        self.count(statement, changed);
        Ok(changed as usize)
    }

    pub(crate) fn query(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Error> {
        self.give_way(statement.nearness)?;
        self.answer(statement, values)
    }

    /// As [`Session::query`], for a statement that belongs to what is kept near.
    pub(crate) fn answer(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Error> {
        let rows = self.ask(statement.sql, async {
            let rows = self.client.query_raw(&statement.prepared, values);
            rows.await?.try_collect::<Vec<_>>().await
        })?;
        self.count(statement, rows.len() as u64);
        Ok(rows)
    }

    /// Runs a statement once for each row, many on their way at once.
    pub(crate) fn execute_many<'v, const N: usize>(
        &self,
        statement: &Statement,
        rows: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<usize, Error> {
        self.execute_many_at_once(statement, rows, PIPELINED_MAX)
    }

    /// The same with so many on their way.
    pub(crate) fn execute_many_at_once<'v, const N: usize>(
        &self,
        statement: &Statement,
        rows: impl IntoIterator<Item = [Value<'v>; N]>,
        at_once: usize,
    ) -> Result<usize, Error> {
        self.give_way(statement.nearness)?;
        let mut rows = rows.into_iter();
        let mut all = 0;
        loop {
            let under_way: Vec<_> = rows
                .by_ref()
                .take(at_once)
                .map(|row| async move {
                    let work = self.client.execute_raw(&statement.prepared, row.iter());
                    work.await
                })
                .collect();
            if under_way.is_empty() {
                break;
            }
            let changed = self.ask(statement.sql, try_join_all(under_way))?;
            all += changed.into_iter().sum::<u64>();
        }
        self.count(statement, all);
        Ok(all as usize)
    }

    /// Runs a statement once whose values are the columns of all rows, each an array, and gives what it returns.
    pub(crate) fn query_columns<const N: usize>(
        &self,
        sql: &'static str,
        rows: &[[Value<'_>; N]],
    ) -> Result<Vec<Row>, Error> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        self.give_way(self.prepare(sql)?.nearness)?;
        self.answer_columns(sql, rows)
    }

    /// As [`Session::query_columns`], for a statement that belongs to what is kept near.
    pub(crate) fn answer_columns<const N: usize>(
        &self,
        sql: &'static str,
        rows: &[[Value<'_>; N]],
    ) -> Result<Vec<Row>, Error> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let statement = self.prepare(sql)?;
        let columns: Vec<_> = (0..N).map(|at| Column { rows, at }).collect();
        let found = self.ask(sql, async {
            let found = self.client.query_raw(&statement.prepared, &columns);
            found.await?.try_collect::<Vec<_>>().await
        })?;
        self.count(&statement, found.len() as u64);
        Ok(found)
    }

    /// As [`Session::query_columns`], for a statement that returns nothing: how many rows it changed.
    pub(crate) fn execute_columns<const N: usize>(
        &self,
        sql: &'static str,
        rows: &[[Value<'_>; N]],
    ) -> Result<usize, Error> {
        let statement = self.prepare(sql)?;
        self.give_way(statement.nearness)?;
        let columns: Vec<_> = (0..N).map(|at| Column { rows, at }).collect();
        let changed = self.ask(sql, self.client.execute_raw(&statement.prepared, &columns))?;
        self.count(&statement, changed);
        Ok(changed as usize)
    }

    /// Inserts rows, as columns, that are mostly new: how many were. `plain` fails where one is there already, and costs
    /// less than `careful`, which passes over it. Repeats come in swarms, so after one of them it is careful for a while.
    pub(crate) fn insert_columns<const N: usize>(
        &self,
        plain: &'static str,
        careful: &'static str,
        rows: &[[Value<'_>; N]],
    ) -> Result<usize, Error> {
        match self.careful.get().checked_sub(1) {
            Some(left) => self.careful.set(left),
            None => match self.try_columns(plain, rows)? {
                Some(inserted) => return Ok(inserted),
                None => self.careful.set(CAREFUL_FOR),
            },
        }
        self.execute_columns(careful, rows)
    }

    /// As [`Session::execute_columns`]; `None`, and nothing done, where a row is there already.
    fn try_columns<const N: usize>(
        &self,
        sql: &'static str,
        rows: &[[Value<'_>; N]],
    ) -> Result<Option<usize>, Error> {
        let statement = self.prepare(sql)?;
        self.give_way(statement.nearness)?;
        push(&mut self.ahead.borrow_mut(), "SAVEPOINT rows");
        let columns: Vec<_> = (0..N).map(|at| Column { rows, at }).collect();
        let work = self.client.execute_raw(&statement.prepared, &columns);
        let tried = self.ask(sql, async {
            match work.await {
                Err(error) if is_there_already(&error) => Ok(None),
                changed => changed.map(Some),
            }
        })?;
        let Some(changed) = tried else {
            self.run("ROLLBACK TO SAVEPOINT rows")?;
            return Ok(None);
        };
        push(&mut self.ahead.borrow_mut(), "RELEASE SAVEPOINT rows");
        self.count(&statement, changed);
        Ok(Some(changed as usize))
    }

    /// See [`crate::Tx::lock_numbers`].
    pub(crate) fn lock_numbers(&self, numbers: Numbers, tenant: i64) {
        let lock = key(numbers as i64, tenant);
        if self.locked.borrow_mut().insert(lock) {
            push_lock(&mut self.ahead.borrow_mut(), lock);
        }
    }

    fn count(&self, statement: &Statement, rows: u64) {
        if statement.kind == Kind::Writes {
            self.add_changes(rows);
        }
    }

    pub(crate) fn add_changes(&self, rows: u64) {
        self.changes.set(self.changes.get() + rows);
    }

    /// Sends what is to go ahead and then `work`, and waits for the answers.
    pub(crate) fn ask<T>(
        &self,
        sql: &str,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        if self.failure.get().is_some() {
            return Err(given_up());
        }
        let ahead = self.ahead.take();
        let answer = if ahead.is_empty() {
            park::wait(work)
        } else {
            self.has_begun.set(true);
            let (first, second) = park::wait(join(self.client.batch_execute(&ahead), work));
            first.and(second)
        };
        answer.map_err(|error| {
            let (failure, error) = classify(sql, &error);
            self.failure.set(Some(failure));
            error
        })
    }
}

fn given_up() -> Error {
    Error::Unavailable("the transaction was given up".into())
}

fn push_lock(ahead: &mut String, lock: i64) {
    push(ahead, &format!("SELECT pg_advisory_xact_lock({lock})"));
}

fn push(ahead: &mut String, sql: &str) {
    if !ahead.is_empty() {
        ahead.push_str("; ");
    }
    ahead.push_str(sql);
}

/// By its first word behind the name.
fn kind(sql: &str) -> Kind {
    let words = sql.trim_start();
    let words = match words.strip_prefix("--") {
        Some(named) => named.split_once('\n').map_or("", |(_, rest)| rest),
        None => words,
    };
    if words.trim_start().starts_with("SELECT") {
        Kind::Reads
    } else {
        Kind::Writes
    }
}
