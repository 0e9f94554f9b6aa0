//! The store: open by address, write in named transactions, read anywhere.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::grants::LedgerRow;
use crate::pairs::Sharing;
use crate::pg_near::Ahead;
use crate::pg_readers::Reading;
use crate::postgres_engine::{self, Claim, Postgres};
use crate::queue::{Lane, Undo, Work};
use crate::sqlite_engine::{self, Sqlite};
#[cfg(feature = "testing")]
use crate::testing_hooks::Hooks;
use crate::{Error, Tx, correlation};

/// Times a transaction whose outcome is unknown is run again before the caller is told.
const UNKNOWN_TRIES_MAX: u32 = 3;

/// Where the facts are kept. Cheap to clone.
///
/// One of two engines stands behind it, with the same statements: not a trait (decision 0004).
#[derive(Clone)]
pub struct Store {
    engine: Engine,
}

#[derive(Clone)]
enum Engine {
    Sqlite(Arc<Sqlite>),
    Postgres(Arc<Postgres>),
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The time authority.
    pub clock: Clock,
    /// Bring the schema up to date on opening.
    pub migrate: Migrate,
    /// How many connections a database with a server may have from this process.
    pub connections: Connections,
}

/// Connections of one process to PostgreSQL; SQLite has its own ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// That write: one for interactive work, the others for chunks of large jobs. One alone does both.
    pub writers: u32,
    /// That read, at most.
    pub readers: u32,
}

impl Default for Connections {
    /// For two cores on either side.
    fn default() -> Self {
        Self {
            writers: 4,
            readers: 8,
        }
    }
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
    /// What is not good enough, if anything.
    pub settings: Result<(), String>,
    /// What the database's own check found damaged, if anything.
    pub integrity: Result<(), String>,
}

/// Held by the one process that serves from a database; released when dropped.
#[derive(Debug)]
pub struct Lock {
    _held: Held,
}

/// What the database knows of the right to serve from it.
#[derive(Debug)]
enum Held {
    File { _lock: File },
    Connection { _lock: Box<Claim> },
}

impl Lock {
    fn file(lock: File) -> Self {
        Self {
            _held: Held::File { _lock: lock },
        }
    }

    fn connection(lock: Claim) -> Self {
        Self {
            _held: Held::Connection {
                _lock: Box::new(lock),
            },
        }
    }
}

impl Store {
    /// Opens the database at `url` (`sqlite:PATH` or `postgres://USER@HOST/DATABASE`).
    ///
    /// # Errors
    /// [`Error::BadUrl`]; [`Error::SchemaTooNew`]; [`Error::SchemaTooOld`] where migration was not asked for;
    /// [`Error::Unavailable`] where the database cannot be reached or does not keep what is committed.
    pub fn open(url: &str, options: &Options) -> Result<Self, Error> {
        let engine = if postgres_engine::is_address(url) {
            Engine::Postgres(Arc::new(Postgres::open(url, options)?))
        } else {
            Engine::Sqlite(Arc::new(Sqlite::open(path_of(url)?, options)?))
        };
        Ok(Self { engine })
    }

    /// Whether there is a database of ours at `url`: a file, or a server's with a tenant in it. Nothing is made.
    ///
    /// # Errors
    /// [`Error::BadUrl`]; [`Error::Unavailable`] where a server cannot be reached.
    pub fn exists(url: &str) -> Result<bool, Error> {
        if postgres_engine::is_address(url) {
            postgres_engine::exists(url)
        } else {
            Ok(path_of(url)?.exists())
        }
    }

    /// Claims the right to serve from this database; see [`Store::claim`] and [`Store::hold`].
    ///
    /// # Errors
    /// [`Error::InUse`] where another process holds it.
    pub fn lock(&self) -> Result<Lock, Error> {
        let lock = match &self.engine {
            Engine::Sqlite(sqlite) => Lock::file(sqlite_engine::claim(&sqlite.path)?),
            Engine::Postgres(postgres) => Lock::connection(postgres.claim(Sharing::Beside)?),
        };
        self.hold(&lock);
        Ok(lock)
    }

    /// Claims the right to serve from the database at `url`, for as long as the lock is held. The database is neither
    /// opened nor made: whoever is refused has changed nothing. On PostgreSQL any number of processes may share it,
    /// unless one wants to be alone.
    ///
    /// # Errors
    /// [`Error::BadUrl`]; [`Error::InUse`] where another process holds it.
    pub fn claim(url: &str, sharing: Sharing) -> Result<Lock, Error> {
        Ok(if postgres_engine::is_address(url) {
            Lock::connection(postgres_engine::claim(url, sharing)?)
        } else {
            Lock::file(sqlite_engine::claim(&path_of(url)?)?)
        })
    }

    /// Serves under a lock that was claimed for this database. Whoever serves asks for [`Store::change_mark`]
    /// regularly: until then its reads may not see what another process committed.
    pub fn hold(&self, _lock: &Lock) {
        if let Engine::Sqlite(sqlite) = &self.engine {
            sqlite.readers.keep_snapshots();
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
        self.submit(Lane::Interactive, name, None, work).await
    }

    /// Like [`Store::tx`], for many small transactions that come at the same time: what each is about to read is
    /// fetched for all of them at once where the database is a server.
    ///
    /// # Errors
    /// As [`Store::tx`].
    pub async fn tx_ahead<T, E, F>(
        &self,
        name: &'static str,
        ahead: impl FnOnce() -> Ahead,
        work: F,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let ahead = self.is_far().then(ahead);
        self.submit(Lane::Interactive, name, ahead, work).await
    }

    /// Like [`Store::tx`], for work that holds by its keys whatever others write meanwhile: on PostgreSQL it takes no
    /// turn, and several run at once.
    ///
    /// # Errors
    /// As [`Store::tx`].
    pub async fn beside<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let lane = if self.is_far() {
            Lane::Beside
        } else {
            Lane::Interactive
        };
        self.submit(lane, name, None, work).await
    }

    /// Like [`Store::tx`], for a chunk of a large job: it has a transaction to itself and gives way to others between
    /// chunks. Keep chunks small. On PostgreSQL chunks run beside each other and beside interactive work, so what one
    /// reads before it writes must be locked by the methods that it calls.
    ///
    /// # Errors
    /// As [`Store::tx`].
    pub async fn bulk<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.submit(Lane::Bulk, name, None, work).await
    }

    /// Reads from one snapshot, on the calling thread: a look-up takes microseconds, a hop to another thread more.
    ///
    /// # Errors
    /// The closure's own error, or the store's.
    pub fn read<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite
                .readers
                .with(|connection| work(&mut Tx::sqlite(connection, sqlite.clock.now_ms()))),
            Engine::Postgres(postgres) => postgres.readers.with(Reading::Snapshot, work),
        }
    }

    /// The same as [`Store::read`], for a single look-up, or for several that need not see the same moment.
    ///
    /// # Errors
    /// The closure's own error, or the store's.
    pub fn peek<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        match &self.engine {
            Engine::Sqlite(_) => self.read(work),
            Engine::Postgres(postgres) => postgres.readers.with(Reading::LookUp, work),
        }
    }

    /// The rows of one customer in the ledger, as [`Tx::ledger_rows`] gives them. A file is looked into where the
    /// caller stands; a server is asked for all who wait at the same time at once.
    ///
    /// # Errors
    /// The store's.
    pub async fn ledger_rows(&self, tenant: i64, customer: &str) -> Result<Vec<LedgerRow>, Error> {
        match &self.engine {
            Engine::Sqlite(_) => self.read(|tx| tx.ledger_rows(tenant, customer)),
            Engine::Postgres(postgres) => postgres.look_ups.rows(tenant, customer).await,
        }
    }

    /// A number that is another one once anything was committed, by this process or any other; on PostgreSQL also
    /// after some things that were not. Asking also lets reads see what another process committed, where this one
    /// holds the lock.
    ///
    /// # Errors
    /// The store's.
    pub fn change_mark(&self) -> Result<i64, Error> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.change_mark(),
            Engine::Postgres(postgres) => postgres.change_mark(),
        }
    }

    /// Whether other processes may share the database.
    pub fn is_shared(&self) -> bool {
        matches!(self.engine, Engine::Postgres(_))
    }

    /// The number that this process has among those that share the database; `None` on a file, which nobody shares.
    /// It is another one once the connection that stands for it was lost.
    ///
    /// # Errors
    /// The store's.
    pub fn node(&self) -> Result<Option<i64>, Error> {
        match &self.engine {
            Engine::Sqlite(_) => Ok(None),
            Engine::Postgres(postgres) => postgres.node().map(Some),
        }
    }

    /// The time of the server that keeps the database, in milliseconds since 1970 UTC; `None` on a file.
    ///
    /// # Errors
    /// The store's.
    pub fn server_now_ms(&self) -> Result<Option<i64>, Error> {
        match &self.engine {
            Engine::Sqlite(_) => Ok(None),
            Engine::Postgres(postgres) => postgres.server_now_ms().map(Some),
        }
    }

    /// Says a word to all processes that share the database and listen. Nobody may hear it.
    ///
    /// # Errors
    /// The store's.
    pub fn cry(&self, word: &str) -> Result<(), Error> {
        match &self.engine {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(postgres) => postgres.cry(word),
        }
    }

    /// Gives `on` each word that a process says, this one included, and an empty one whenever some may have been
    /// missed. For as long as the store is open; never on a file.
    pub fn hear(&self, on: impl Fn(&str) + Send + Sync + 'static) {
        if let Engine::Postgres(postgres) = &self.engine {
            postgres.hear(on);
        }
    }

    /// Milliseconds since 1970 UTC by this store's time authority.
    pub fn now_ms(&self) -> i64 {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.clock.now_ms(),
            Engine::Postgres(postgres) => postgres.clock.now_ms(),
        }
    }

    /// What the database says of its own durability; `integrity` reads the whole file of SQLite.
    ///
    /// # Errors
    /// The store's.
    pub fn durability(&self) -> Result<Durability, Error> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.durability(),
            Engine::Postgres(postgres) => postgres.durability(),
        }
    }

    async fn submit<T, E, F>(
        &self,
        lane: Lane,
        name: &'static str,
        ahead: Option<Ahead>,
        work: F,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (mut work, mut ahead) = (work, ahead);
        let correlation = correlation::current();
        let mut tries = 0;
        loop {
            let (sender, receiver) = oneshot::channel();
            let piece = Piece {
                name,
                ahead,
                correlation: correlation.clone(),
                #[cfg(feature = "testing")]
                hooks: Arc::clone(self.hooks()),
                work,
                kept: None,
                sender,
            };
            match &self.engine {
                Engine::Sqlite(sqlite) => sqlite.writer.submit(lane, Box::new(piece)),
                Engine::Postgres(postgres) => postgres.writers.submit(lane, Box::new(piece)),
            }
            let Ok(finished) = receiver.await else {
                return Err(Error::Unavailable("the writer is gone".into()).into());
            };
            match finished.outcome {
                // Keys make a second run of a transaction that did commit a no-op, so this is safe.
                Err(Error::OutcomeUnknown) if tries < UNKNOWN_TRIES_MAX => {
                    tries += 1;
                    (work, ahead) = (finished.work, finished.ahead);
                }
                Err(error) => return Err(error.into()),
                Ok(answer) => return answer,
            }
        }
    }

    #[cfg(feature = "testing")]
    pub(crate) fn hooks(&self) -> &Arc<Hooks> {
        match &self.engine {
            Engine::Sqlite(sqlite) => &sqlite.hooks,
            Engine::Postgres(postgres) => &postgres.hooks,
        }
    }

    /// Whether each statement is a way to a server and back, so that many look-ups are better made at once.
    pub(crate) fn is_far(&self) -> bool {
        matches!(self.engine, Engine::Postgres(_))
    }

    /// The server's side, where there is one.
    pub(crate) fn postgres(&self) -> Option<&Postgres> {
        match &self.engine {
            Engine::Sqlite(_) => None,
            Engine::Postgres(postgres) => Some(postgres),
        }
    }

    /// The database file, where it is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.engine {
            Engine::Sqlite(sqlite) => Some(&sqlite.path),
            Engine::Postgres(_) => None,
        }
    }

    /// Where the database is, to be shown: the file, or the address without user and password.
    pub fn place(&self) -> String {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.path.display().to_string(),
            Engine::Postgres(postgres) => postgres.place(),
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("place", &self.place())
            .finish_non_exhaustive()
    }
}

/// One caller's closure on its way through the writer.
struct Piece<T, E, F> {
    name: &'static str,
    ahead: Option<Ahead>,
    correlation: Option<Arc<str>>,
    #[cfg(feature = "testing")]
    hooks: Arc<Hooks>,
    work: F,
    kept: Option<Result<T, E>>,
    sender: oneshot::Sender<Finished<T, E, F>>,
}

struct Finished<T, E, F> {
    outcome: Result<Result<T, E>, Error>,
    ahead: Option<Ahead>,
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

    fn ahead(&self) -> Option<&Ahead> {
        self.ahead.as_ref()
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Undo> {
        if let Some(id) = &self.correlation {
            tx.correlate(Arc::clone(id));
        }
        #[cfg(feature = "testing")]
        let before = tx.changes();
        let answer = (self.work)(tx);
        #[cfg(feature = "testing")]
        if answer.is_ok() && tx.changes() != before && !tx.is_audited {
            self.hooks.check_audit(self.name);
        }
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
            ahead: self.ahead,
            work: self.work,
        }));
    }
}

pub(crate) fn path_of(url: &str) -> Result<PathBuf, Error> {
    match url.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => {
            Ok(PathBuf::from(path.strip_prefix("//").unwrap_or(path)))
        }
        _ => Err(Error::BadUrl(url.to_owned())),
    }
}
