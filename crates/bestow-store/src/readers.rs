//! Reading connections, a slot for each few threads.
//!
//! To begin and end a read, SQLite takes locks that all connections of a process share: with many threads that costs
//! more than the look-up. So the process that serves keeps a connection's snapshot for as long as nothing was
//! committed. After a commit the next read begins a new one; before a write idle connections let go of theirs, so
//! that the write-ahead log can start over.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use rusqlite::Connection;

use crate::error::classify;
use crate::{Error, sqlite};

/// Connections kept open; a read that finds all of them busy opens one of its own.
const SLOTS: usize = 16;

/// Gives each thread a slot to try first.
static NEXT_SLOT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SLOT: Cell<usize> = Cell::new(NEXT_SLOT.fetch_add(1, Ordering::Relaxed));
}

/// The reading connections of one store.
pub(crate) struct Readers {
    path: PathBuf,
    slots: [Mutex<Option<Reader>>; SLOTS],
    /// Rises with every commit that this process knows of.
    version: AtomicU64,
    keeps_snapshots: AtomicBool,
}

struct Reader {
    connection: Connection,
    /// The version whose snapshot is open.
    snapshot: Option<u64>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            slots: Default::default(),
            version: AtomicU64::new(0),
            keeps_snapshots: AtomicBool::new(false),
        }
    }

    /// From now on snapshots are kept until [`Readers::changed`]. Only right in a process that learns of the commits
    /// of others by [`crate::Store::change_mark`].
    pub(crate) fn keep_snapshots(&self) {
        self.keeps_snapshots.store(true, Ordering::Release);
    }

    /// Something was committed: the next read sees it.
    pub(crate) fn changed(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// Lets go of the snapshots that nobody reads from. To be called before a write: the write-ahead log can only
    /// start over at a moment when nobody reads from it.
    pub(crate) fn let_go(&self) {
        if !self.keeps_snapshots.load(Ordering::Acquire) {
            return;
        }
        for slot in &self.slots {
            if let Ok(mut slot) = slot.try_lock()
                && let Some(reader) = slot.as_mut()
            {
                reader.end();
            }
        }
    }

    /// Runs a read in one snapshot.
    pub(crate) fn with<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(mut slot) = self.free_slot() else {
            let mut reader = self.open()?;
            reader.begin(self.version.load(Ordering::Acquire))?;
            return work(&reader.connection);
        };
        // Taken out while it works: one that panics is not used again.
        let mut reader = match slot.take() {
            Some(reader) => reader,
            None => self.open()?,
        };
        let version = self.version.load(Ordering::Acquire);
        if reader.snapshot != Some(version) {
            reader.end();
            reader.begin(version)?;
        }
        let answer = work(&reader.connection);
        if !self.keeps_snapshots.load(Ordering::Acquire) {
            reader.end();
        }
        // A connection that could not leave its transaction is not fit to be used again.
        if reader.snapshot.is_some() || reader.connection.is_autocommit() {
            *slot = Some(reader);
        }
        answer
    }

    fn free_slot(&self) -> Option<MutexGuard<'_, Option<Reader>>> {
        let first = SLOT.get();
        (0..SLOTS).find_map(|step| match self.slots[(first + step) % SLOTS].try_lock() {
            Ok(slot) => Some(slot),
            Err(TryLockError::Poisoned(poisoned)) => Some(PoisonError::into_inner(poisoned)),
            Err(TryLockError::WouldBlock) => None,
        })
    }

    fn open(&self) -> Result<Reader, Error> {
        let connection = sqlite::open_reader(&self.path)?;
        Ok(Reader {
            connection,
            snapshot: None,
        })
    }
}

impl Reader {
    fn begin(&mut self, version: u64) -> Result<(), Error> {
        self.run("BEGIN DEFERRED")?;
        self.snapshot = Some(version);
        Ok(())
    }

    fn end(&mut self) {
        // What cannot be ended is seen by `is_autocommit`, and the connection is given up.
        if self.snapshot.take().is_some()
            && let Err(error) = self.run("COMMIT")
        {
            tracing::error!(error.message = %error, "a snapshot could not be ended");
        }
    }

    fn run(&self, sql: &'static str) -> Result<(), Error> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map(|_| ())
            .map_err(|e| classify(sql, &e))
    }
}
