//! The store: open by address, write in named transactions, read anywhere.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::error::classify;
use crate::readers::Readers;
use crate::testing_hooks::Hooks;
use crate::writer::{Lane, Undo, Work, Writer};
use crate::{Error, Tx, migrate, sqlite};

/// Times a transaction whose outcome is unknown is run again before the caller is told.
const UNKNOWN_TRIES_MAX: u32 = 3;

/// Where the facts are kept. Cheap to clone.
///
/// Today one engine stands behind it, SQLite; another joins as a second variant of the same type, with the same
/// statements, not as a trait.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Sqlite>,
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The time authority.
    pub clock: Clock,
    /// Bring the schema up to date on opening.
    pub migrate: Migrate,
}

/// What to do about an older schema on opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migrate {
    /// Apply what is missing.
    Apply,
    /// Refuse to open.
    Refuse,
}

/// Settings that decide whether what was acknowledged survives, as read back from the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durability {
    /// `wal`, or something that is not good enough.
    pub journal_mode: String,
    /// 2 is full.
    pub synchronous: i64,
    /// Whether the database's own integrity check found nothing.
    pub integrity: Result<(), String>,
}

/// Held by the one process that serves from a database; released when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// A connection that only looks whether anybody committed.
struct Watcher {
    connection: Connection,
    mark: Option<i64>,
}

struct Sqlite {
    path: PathBuf,
    clock: Clock,
    writer: Writer,
    readers: Arc<Readers>,
    /// Never closed, so that its view of what changed has no gaps.
    watcher: Mutex<Watcher>,
    #[cfg_attr(
        not(feature = "testing"),
        expect(dead_code, reason = "only tests set switches")
    )]
    hooks: Arc<Hooks>,
}

impl Store {
    /// Opens the database at `url` (`sqlite:PATH`).
    ///
    /// # Errors
    /// [`Error::BadUrl`]; [`Error::SchemaTooNew`]; [`Error::SchemaTooOld`] where migration was not asked for;
    /// [`Error::Unavailable`] where the file cannot be opened or does not keep what is committed.
    pub fn open(url: &str, options: &Options) -> Result<Self, Error> {
        let path = path_of(url)?;
        let mut connection = sqlite::open_writer(&path)?;
        match options.migrate {
            Migrate::Apply => migrate::apply(&mut connection, options.clock.now_ms())?,
            Migrate::Refuse => migrate::check(&connection)?,
        }
        let hooks = Arc::new(Hooks::default());
        let readers = Arc::new(Readers::new(path.clone()));
        let writer = Writer::start(
            connection,
            options.clock.clone(),
            Arc::clone(&hooks),
            Arc::clone(&readers),
        )?;
        let watcher = Mutex::new(Watcher {
            connection: sqlite::open_reader(&path)?,
            mark: None,
        });
        let inner = Sqlite {
            path,
            clock: options.clock.clone(),
            writer,
            readers,
            watcher,
            hooks,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Claims the right to serve from this database; see [`Store::claim`] and [`Store::hold`].
    ///
    /// # Errors
    /// [`Error::InUse`] where another process holds it.
    pub fn lock(&self) -> Result<Lock, Error> {
        let lock = Self::claim_file(&self.inner.path)?;
        self.hold(&lock);
        Ok(lock)
    }

    /// Claims the right to serve from the database at `url`, for as long as the lock is held. The database is neither
    /// opened nor made: whoever is refused has changed nothing.
    ///
    /// # Errors
    /// [`Error::BadUrl`]; [`Error::InUse`] where another process holds it.
    pub fn claim(url: &str) -> Result<Lock, Error> {
        Self::claim_file(&path_of(url)?)
    }

    /// Serves under a lock that was claimed for this database. Whoever serves asks for [`Store::change_mark`]
    /// regularly: until then its reads may not see what another process committed.
    pub fn hold(&self, _lock: &Lock) {
        self.inner.readers.keep_snapshots();
    }

    fn claim_file(database: &Path) -> Result<Lock, Error> {
        let path = with_suffix(database, ".lock");
        let unavailable =
            |e: &std::io::Error| Error::Unavailable(format!("{}: {e}", path.display()));
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| unavailable(&e))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse(database.display().to_string())),
            Err(TryLockError::Error(e)) => Err(unavailable(&e)),
        }
    }

    /// Runs `work` in a named transaction and answers once it is durable. What waits at the same time shares the
    /// commit. The closure may run more than once, so it must touch nothing outside the transaction.
    ///
    /// # Errors
    /// The closure's own error, after undoing what it wrote; or the store's.
    pub async fn tx<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.submit(Lane::Interactive, name, work).await
    }

    /// Like [`Store::tx`], for a chunk of a large job: it has a transaction to itself and gives way to others between
    /// chunks. Keep chunks small.
    ///
    /// # Errors
    /// As [`Store::tx`].
    pub async fn bulk<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.submit(Lane::Bulk, name, work).await
    }

    /// Reads from one snapshot, on the calling thread: a look-up takes microseconds, a hop to another thread more.
    ///
    /// # Errors
    /// The closure's own error, or the store's.
    pub fn read<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.inner
            .readers
            .with(|connection| work(&mut Tx::new(connection, self.inner.clock.now_ms())))
    }

    /// The same as [`Store::read`], for a single look-up.
    ///
    /// # Errors
    /// The closure's own error, or the store's.
    pub fn peek<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.read(work)
    }

    /// A number that is another one once anything was committed, by this process or any other. Asking also lets reads
    /// see what another process committed, where this one holds the lock.
    ///
    /// # Errors
    /// The store's.
    pub fn change_mark(&self) -> Result<i64, Error> {
        let mut watcher = self
            .inner
            .watcher
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mark = sqlite::pragma(&watcher.connection, "data_version")?;
        if watcher.mark.replace(mark) != Some(mark) {
            self.inner.readers.changed();
        }
        Ok(mark)
    }

    /// Milliseconds since 1970 UTC by this store's time authority.
    pub fn now_ms(&self) -> i64 {
        self.inner.clock.now_ms()
    }

    /// What the database says of its own durability; `integrity` reads the whole file.
    ///
    /// # Errors
    /// The store's.
    pub fn durability(&self) -> Result<Durability, Error> {
        {
            let connection = &sqlite::open_reader(&self.inner.path)?;
            let text = |name: &str| {
                connection
                    .pragma_query_value(None, name, |row| row.get::<_, String>(0))
                    .map_err(|e| classify(name, &e))
            };
            let integrity = text("integrity_check")?;
            Ok(Durability {
                journal_mode: text("journal_mode")?,
                synchronous: sqlite::pragma(connection, "synchronous")?,
                integrity: if integrity == "ok" {
                    Ok(())
                } else {
                    Err(integrity)
                },
            })
        }
    }

    async fn submit<T, E, F>(&self, lane: Lane, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let mut work = work;
        let mut tries = 0;
        loop {
            let (sender, receiver) = oneshot::channel();
            let piece = Piece {
                name,
                work,
                kept: None,
                sender,
            };
            self.inner.writer.submit(lane, Box::new(piece));
            let Ok(finished) = receiver.await else {
                return Err(Error::Unavailable("the writer is gone".into()).into());
            };
            match finished.outcome {
                // Keys make a second run of a transaction that did commit a no-op, so this is safe.
                Err(Error::OutcomeUnknown) if tries < UNKNOWN_TRIES_MAX => {
                    tries += 1;
                    work = finished.work;
                }
                Err(error) => return Err(error.into()),
                Ok(answer) => return answer,
            }
        }
    }

    #[cfg(feature = "testing")]
    pub(crate) fn hooks(&self) -> &Hooks {
        &self.inner.hooks
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}

/// One caller's closure on its way through the writer.
struct Piece<T, E, F> {
    name: &'static str,
    work: F,
    kept: Option<Result<T, E>>,
    sender: oneshot::Sender<Finished<T, E, F>>,
}

struct Finished<T, E, F> {
    outcome: Result<Result<T, E>, Error>,
    work: F,
}

impl<T, E, F> Work for Piece<T, E, F>
where
    T: Send,
    E: Send,
    F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Undo> {
        let answer = (self.work)(tx);
        let ran = if answer.is_ok() { Ok(()) } else { Err(Undo) };
        self.kept = Some(answer);
        ran
    }

    fn finish(self: Box<Self>, outcome: Result<(), Error>) {
        let outcome = match (outcome, self.kept) {
            (Ok(()), Some(kept)) => Ok(kept),
            (Ok(()), None) => Err(Error::Unavailable("the work was never run".into())),
            // The closure's own error says more than the failure of the transaction around it.
            (Err(_), Some(Err(own))) => Ok(Err(own)),
            (Err(error), _) => Err(error),
        };
        // A caller that went away does not undo what is durable.
        drop(self.sender.send(Finished {
            outcome,
            work: self.work,
        }));
    }
}

fn path_of(url: &str) -> Result<PathBuf, Error> {
    match url.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => {
            Ok(PathBuf::from(path.strip_prefix("//").unwrap_or(path)))
        }
        _ => Err(Error::BadUrl(url.to_owned())),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
