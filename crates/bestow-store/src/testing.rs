//! For tests: a fresh database for each, a clock moved by hand, failures on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::store::{Migrate, Options, Store};
use crate::testing_hooks::Fault;
use crate::{Clock, Error};

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
    dir: tempfile::TempDir,
}

impl TempStore {
    /// A fresh database whose clock stands at `now_ms`.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn new(now_ms: i64) -> Result<Self, Error> {
        let dir = tempfile::tempdir().map_err(|e| Error::Unavailable(e.to_string()))?;
        let clock = HandClock::at(now_ms);
        let store = open(&dir, &clock)?;
        Ok(Self { store, clock, dir })
    }

    /// The address to open the same database with.
    pub fn url(&self) -> String {
        url(&self.dir)
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
}

fn open(dir: &tempfile::TempDir, clock: &HandClock) -> Result<Store, Error> {
    Store::open(
        &url(dir),
        &Options {
            clock: clock.clock(),
            migrate: Migrate::Apply,
        },
    )
}

fn url(dir: &tempfile::TempDir) -> String {
    format!("sqlite:{}", dir.path().join("test.db").display())
}
