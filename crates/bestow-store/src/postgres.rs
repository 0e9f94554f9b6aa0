//! Connections to PostgreSQL: opening them, and running statements on them.
//!
//! One thread does the input and output of all connections. Whoever runs a statement sends it and sleeps until the
//! answer is there, so that transactions are the same synchronous closures as on SQLite. What begins a transaction,
//! and locks that it needs, travel in front of its next statement and cost no answer of their own.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::future::{join, try_join_all};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
#[cfg(feature = "testing")]
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls, Row};

use crate::pg_error::{Failure, classify};
use crate::pg_types::Column;
use crate::{Error, Value, park};

/// How long to wait for a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// Longest run of one statement that writes, in milliseconds. The server ends it then.
const WRITE_MS_MAX: u32 = 60_000;
/// Longest run of one statement that reads, in milliseconds: `verify` reads whole tables.
const READ_MS_MAX: u32 = 300_000;
/// Longest wait for a lock, in milliseconds. The whole transaction is tried again then.
const LOCK_MS_MAX: u32 = 10_000;
/// Longest rest within a transaction, in milliseconds: a process that hangs must not hold its locks for ever.
const REST_MS_MAX: u32 = 60_000;
/// Statements that are under way at once, at most, where one is run for many rows.
const PIPELINED_MAX: usize = 256;

/// Numbers that are counted by the highest there is. Whoever counts on locks them first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// `audit.seq`.
    Audit = 1,
    /// `no` of campaigns, offers, windows and pools of a tenant.
    Terms = 2,
    /// `tenant.no`.
    Tenants = 3,
}

/// Locks that are no row's: one for each kind of numbers of each tenant, and these.
const TURN: i64 = key(0, 0);
pub(crate) const MIGRATION: i64 = key(0, 1);
pub(crate) const SERVING: i64 = key(0, 2);

/// The name of a lock in a database that others may use too: a letter of ours in front.
const fn key(family: i64, tenant: i64) -> i64 {
    (0x62 << 56) | (family << 48) | tenant
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Reads,
    Writes,
}

/// The thread that does the input and output.
pub(crate) struct Io {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Io {
    pub(crate) fn start() -> Result<Self, Error> {
        let unavailable = |e: std::io::Error| Error::Unavailable(format!("a thread: {e}"));
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(unavailable)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("store-io".into())
            // Ends when the sender is gone, whatever it sent.
            .spawn(move || drop(runtime.block_on(stopped)))
            .map_err(unavailable)?;
        Ok(Self {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's thread for input and output panicked");
        }
    }
}

/// Opens connections to one database.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Config,
    handle: Handle,
}

impl Connector {
    /// For the database at `url`, as libpq writes it.
    pub(crate) fn new(url: &str, io: &Io) -> Result<Self, Error> {
        // The parser's words tell what is wrong; the address may hold a password.
        let mut config: Config = url
            .parse()
            .map_err(|e: tokio_postgres::Error| Error::BadUrl(format!("postgres: {e}")))?;
        if config.get_application_name().is_none() {
            config.application_name("bestow");
        }
        config.connect_timeout(CONNECT_WAIT);
        Ok(Self {
            config,
            handle: io.handle.clone(),
        })
    }

    /// Where the database is, without user and password.
    pub(crate) fn place(&self) -> String {
        let host = self.config.get_hosts().first().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let database = self.config.get_dbname().unwrap_or_default();
        format!("postgres:{}:{port}/{database}", host.unwrap_or_default())
    }

    pub(crate) fn connect(&self, role: Role) -> Result<Session, Error> {
        let config = self.config.clone();
        let connecting = self.handle.spawn(async move {
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::warn!(error.message = %error, "a connection to the database ended");
                }
            });
            Ok::<_, tokio_postgres::Error>(client)
        });
        let connected =
            park::wait(connecting).map_err(|e| Error::Unavailable(format!("connecting: {e}")))?;
        // Whatever keeps us from connecting may be mended without us: the server, a password, a database.
        let client = connected.map_err(|e| {
            Error::Unavailable(format!("{}: {}", self.place(), classify("connect", &e).1))
        })?;
        let session = Session {
            client,
            role,
            prepared: RefCell::default(),
            ahead: RefCell::default(),
            has_begun: Cell::new(false),
            failure: Cell::new(None),
            changes: Cell::new(0),
            locked: RefCell::default(),
        };
        session.run(&settings(role))?;
        Ok(session)
    }
}

fn settings(role: Role) -> String {
    let statement_ms = match role {
        Role::Reads => READ_MS_MAX,
        Role::Writes => WRITE_MS_MAX,
    };
    // What is acknowledged is on disk, whatever the default of the database is. A stronger default stays.
    format!(
        "SET statement_timeout = {statement_ms}; SET lock_timeout = {LOCK_MS_MAX}; \
         SET idle_in_transaction_session_timeout = {REST_MS_MAX}; SET jit = off; \
         SELECT set_config('synchronous_commit', 'on', false) \
         WHERE current_setting('synchronous_commit') IN ('off', 'local')"
    )
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
    client: Client,
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
}

/// A prepared statement.
#[derive(Clone)]
pub(crate) struct Statement {
    prepared: tokio_postgres::Statement,
    sql: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Reads,
    Writes,
}

impl Session {
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
        self.ahead.borrow_mut().clear();
        self.locked.borrow_mut().clear();
        if !self.has_begun.replace(false) {
            return Ok(());
        }
        let Err(error) = park::wait(self.client.batch_execute("COMMIT")) else {
            return Ok(());
        };
        match classify("commit", &error) {
            (Failure::Lost, _) => {
                self.failure.set(Some(Failure::Lost));
                Err(Uncommitted::Perhaps)
            }
            (_, error) => Err(Uncommitted::Surely(error)),
        }
    }

    /// Ends the transaction without a trace, and without waiting for it.
    pub(crate) fn roll_back(&self) {
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
        };
        self.prepared.borrow_mut().insert(place, statement.clone());
        Ok(statement)
    }

    pub(crate) fn execute(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<usize, Error> {
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
        let columns: Vec<_> = (0..N).map(|at| Column { rows, at }).collect();
        let changed = self.ask(sql, self.client.execute_raw(&statement.prepared, &columns))?;
        self.count(&statement, changed);
        Ok(changed as usize)
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
            self.changes.set(self.changes.get() + rows);
        }
    }

    /// Sends what is to go ahead and then `work`, and waits for the answers.
    fn ask<T>(
        &self,
        sql: &str,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        if self.failure.get().is_some() {
            return Err(Error::Unavailable("the transaction was given up".into()));
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

fn push_lock(ahead: &mut String, lock: i64) {
    if !ahead.is_empty() {
        ahead.push_str("; ");
    }
    ahead.push_str("SELECT pg_advisory_xact_lock(");
    ahead.push_str(&lock.to_string());
    ahead.push(')');
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
