//! For tests: a fresh database for each, a clock moved by hand, failures on demand.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::error::classify;
use crate::spread::Spread;
use crate::store::{Connections, Migrate, Options, Store};
use crate::testing_hooks::Fault;
use crate::{Clock, Error, Scratch};

/// A clock that stands still until it is moved.
#[derive(Debug, Clone, Default)]
pub struct HandClock(Arc<AtomicI64>);

impl HandClock {
    /// Stands at `now_ms`, milliseconds since 1970 UTC.
    pub fn at(now_ms: i64) -> Self {
        Self(Arc::new(AtomicI64::new(now_ms)))
    }

    /// Moves it.
    pub fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }

    /// The store's view of it.
    pub fn clock(&self) -> Clock {
        let at = Arc::clone(&self.0);
        Clock::new(move || at.load(Ordering::SeqCst))
    }
}

/// A store on a database of its own, gone when dropped.
#[derive(Debug)]
pub struct TempStore {
    /// The store.
    pub store: Store,
    /// Its clock.
    pub clock: HandClock,
    home: Home,
}

/// Where the database is until it is dropped.
#[derive(Debug)]
enum Home {
    Folder(tempfile::TempDir),
    Server(Scratch),
}

impl TempStore {
    /// A fresh SQLite database whose clock stands at `now_ms`.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn new(now_ms: i64) -> Result<Self, Error> {
        let dir = tempfile::tempdir().map_err(|e| Error::Unavailable(e.to_string()))?;
        Self::open(Home::Folder(dir), now_ms)
    }

    /// A fresh PostgreSQL database on the server at `url`, which must name a database to ask from.
    ///
    /// # Errors
    /// As [`Store::open`]; where no database may be made there.
    pub fn postgres(url: &str, now_ms: i64) -> Result<Self, Error> {
        Self::open(Home::Server(Scratch::migrated(url)?), now_ms)
    }

    /// The same, with its tables spread.
    ///
    /// # Errors
    /// As there.
    pub fn spread(url: &str, spread: Spread, now_ms: i64) -> Result<Self, Error> {
        Self::open(Home::Server(Scratch::spread(url, spread)?), now_ms)
    }

    fn open(home: Home, now_ms: i64) -> Result<Self, Error> {
        let clock = HandClock::at(now_ms);
        let options = Options {
            clock: clock.clock(),
            migrate: Migrate::Apply,
            connections: Connections::default(),
        };
        let store = Store::open(&home.url(), &options)?;
        Ok(Self { store, clock, home })
    }

    /// The address to open the same database with.
    pub fn url(&self) -> String {
        self.home.url()
    }

    /// Runs a statement past the store: the first number of its answer, or how many rows it changed.
    ///
    /// # Errors
    /// The database's.
    pub fn raw(&self, sql: &str) -> Result<i64, Error> {
        match &self.home {
            Home::Folder(dir) => sqlite_raw(&file(dir), sql).map_err(|e| classify(sql, &e)),
            Home::Server(database) => database.raw(sql),
        }
    }

    /// Brings a PostgreSQL database one step further than this program knows, beside whoever uses it.
    ///
    /// # Errors
    /// The database's; where the step could keep others waiting.
    pub fn migrate_further(&self, step: &'static str, beside: i64) -> Result<(), Error> {
        match &self.home {
            Home::Folder(_) => Err(Error::BadUrl("one process serves from a file".into())),
            Home::Server(database) => database.migrate_further(step, beside),
        }
    }
}

impl Home {
    fn url(&self) -> String {
        match self {
            Self::Folder(dir) => format!("sqlite:{}", file(dir).display()),
            Self::Server(database) => database.url().to_owned(),
        }
    }
}

fn file(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("test.db")
}

fn sqlite_raw(path: &Path, sql: &str) -> rusqlite::Result<i64> {
    let connection = rusqlite::Connection::open(path)?;
    if sql.starts_with("SELECT") {
        connection.query_row(sql, [], |row| row.get(0))
    } else {
        connection.execute(sql, []).map(|changed| changed as i64)
    }
}

impl Store {
    /// Lets commits fail by a plan that is asked with the name of each transaction. Once for the life of a store.
    pub fn fail_commits(
        &self,
        plan: impl Fn(&'static str) -> Option<Fault> + Send + Sync + 'static,
    ) {
        self.hooks().set(Box::new(plan));
    }

    /// From here on a transaction that changes something writes an audit record, or its name is in this list, with the
    /// reason why it need not. Otherwise it panics, and whoever asked for it is refused.
    pub fn must_audit(&self, but: &'static [(&'static str, &'static str)]) {
        self.hooks().set_silent(but);
    }
}
