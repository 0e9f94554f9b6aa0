//! Copying the write-ahead log into the database file, beside the writer.
//!
//! SQLite would have the writer do it, every few thousand pages, while everybody who waits for a commit waits for the
//! copying and two syncs as well. A thread with a connection of its own does it instead, and the writer goes on
//! meanwhile. The log can start over only at a moment when all of it is copied, and while the writer never rests there
//! is none: so once the log is long the thread copies until little is left, and the writer copies that.
//!
//! SQLite syncs the database file only where nothing is left in the log, so that it would be the writer that waits for
//! everything copied before: the thread syncs what it copied, too.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::error::classify;
use crate::{Error, sqlite};

/// Pages in the log from which on they are copied, and pages more until they are copied again.
const STEP_PAGES: u32 = 500;
/// Pages in the log from which on it is to start over.
const LONG_PAGES: u32 = 8_000;
/// Pages that are few enough for the writer to copy while others wait.
const LEFT_PAGES_MAX: u32 = 64;
/// Pages in the log from which on the writer copies whatever is left: the thread does not keep up, or somebody reads
/// from far back.
const WRITER_PAGES: u32 = 48_000;

/// Handle to the thread that copies. Dropping it lets the thread finish, then joins it.
pub(crate) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Kept for as long as any connection to the file.
    _file: Arc<File>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    is_wanted: bool,
    is_closing: bool,
    /// The writer is to copy the little that is left.
    is_nearly_done: bool,
    /// Pages in the log.
    pages: u32,
    /// Pages in the log at which the thread is asked again.
    next: u32,
}

/// What the writer does after a commit.
enum Turn {
    Nothing,
    Copy,
}

impl Checkpointer {
    /// Takes the copying over from `writer`.
    pub(crate) fn start(path: &Path, writer: &mut Connection) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let (asked, theirs) = (Arc::clone(&shared), Arc::clone(&shared));
        let file = database_file(path)
            .map_err(|e| Error::Unavailable(format!("{}: {e}", path.display())))?;
        let copying = Copying {
            connection: sqlite::open_reader(path)?,
            file: Arc::clone(&file),
        };
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".into())
            .spawn(move || theirs.run(&copying))
            .map_err(|e| Error::Unavailable(format!("the checkpointing thread: {e}")))?;
        let this = Self {
            shared,
            thread: Some(thread),
            _file: file,
        };
        // Stands in for SQLite's own way. Copying fails where the thread is at it; then a later commit tries again.
        let committed = move |log: &mut rusqlite::hooks::Wal, pages: i32| {
            if let Turn::Copy = asked.committed(pages.unsigned_abs()) {
                let _ = log.checkpoint();
            }
            Ok(())
        };
        writer
            .wal_hook(Some(committed))
            .map_err(|e| classify("wal hook", &e))?;
        Ok(this)
    }
}

/// What the thread works with.
struct Copying {
    connection: Connection,
    file: Arc<File>,
}

impl Copying {
    /// Copies, and tells how many pages of the log are copied now.
    fn copy(&self) -> Result<u32, Error> {
        let copied = sqlite::copy_log(&self.connection)?;
        let synced = self.file.sync_data();
        synced.map_err(|e| Error::Unavailable(format!("the database file: {e}")))?;
        Ok(copied)
    }
}

/// The database file, opened to sync it. One for all stores of this process on the same file: to close any descriptor
/// of a file drops all locks that its process holds on it, those of SQLite, too.
fn database_file(path: &Path) -> std::io::Result<Arc<File>> {
    static OPEN: Mutex<BTreeMap<PathBuf, Weak<File>>> = Mutex::new(BTreeMap::new());
    let path = path.canonicalize()?;
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(file) = open.get(&path).and_then(Weak::upgrade) {
        return Ok(file);
    }
    open.retain(|_, file| file.strong_count() > 0);
    let file = Arc::new(File::open(&path)?);
    open.insert(path, Arc::downgrade(&file));
    Ok(file)
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.shared.lock().is_closing = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's checkpointing thread panicked");
        }
    }
}

impl Shared {
    /// The writer committed, and the log has this many pages.
    fn committed(&self, pages: u32) -> Turn {
        let mut state = self.lock();
        if pages + STEP_PAGES < state.next {
            // The log has started over.
            state.next = STEP_PAGES;
            state.is_nearly_done = false;
        }
        state.pages = pages;
        if std::mem::take(&mut state.is_nearly_done) || pages >= WRITER_PAGES {
            return Turn::Copy;
        }
        if pages >= state.next.max(STEP_PAGES) {
            state.next = pages + STEP_PAGES;
            state.is_wanted = true;
            self.wake.notify_one();
        }
        Turn::Nothing
    }

    fn run(&self, copying: &Copying) {
        while self.wait() {
            if let Err(error) = self.copy_on(copying) {
                tracing::warn!(error.message = %error, "the write-ahead log could not be copied");
            }
        }
    }

    /// Copies; of a long log also what came meanwhile, until little is left or it gets no less.
    fn copy_on(&self, copying: &Copying) -> Result<(), Error> {
        let mut left_before = u32::MAX;
        loop {
            let copied = copying.copy()?;
            let mut state = self.lock();
            let left = state.pages.saturating_sub(copied);
            let is_long = state.pages >= LONG_PAGES;
            if is_long && left <= LEFT_PAGES_MAX {
                state.is_nearly_done = true;
                return Ok(());
            }
            if !is_long || left >= left_before || state.is_closing {
                return Ok(());
            }
            left_before = left;
        }
    }

    /// Waits until it is asked for. False when closing.
    fn wait(&self) -> bool {
        let mut state = self.lock();
        while !state.is_wanted && !state.is_closing {
            state = self
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.is_wanted = false;
        !state.is_closing
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each lock leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
