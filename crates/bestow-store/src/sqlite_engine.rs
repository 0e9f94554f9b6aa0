//! The store on SQLite.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use crate::checkpoint::Checkpointer;
use crate::clock::Clock;
use crate::error::classify;
use crate::readers::Readers;
use crate::store::{Durability, Migrate, Options};
use crate::testing_hooks::Hooks;
use crate::writer::Writer;
use crate::{Error, migrate, sqlite};

/// A database file.
pub(crate) struct Sqlite {
    pub(crate) path: PathBuf,
    pub(crate) clock: Clock,
    pub(crate) writer: Writer,
    /// Goes after the writer, which asks it.
    _checkpointer: Checkpointer,
    pub(crate) readers: Arc<Readers>,
    /// Never closed, so that its view of what changed has no gaps.
    watcher: Mutex<Watcher>,
    #[cfg_attr(
        not(feature = "testing"),
        expect(dead_code, reason = "only tests set switches")
    )]
    pub(crate) hooks: Arc<Hooks>,
}

/// A connection that only looks whether anybody committed.
struct Watcher {
    connection: Connection,
    mark: Option<i64>,
}

/// Claims the right to serve from a file, which need not be there yet.
pub(crate) fn claim(database: &Path) -> Result<File, Error> {
    let mut name = database.to_owned().into_os_string();
    name.push(".lock");
    let path = PathBuf::from(name);
    let unavailable = |e: &std::io::Error| Error::Unavailable(format!("{}: {e}", path.display()));
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| unavailable(&e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(database.display().to_string())),
        Err(TryLockError::Error(e)) => Err(unavailable(&e)),
    }
}

impl Sqlite {
    pub(crate) fn open(path: PathBuf, options: &Options) -> Result<Self, Error> {
        let mut connection = sqlite::open_writer(&path)?;
        match options.migrate {
            Migrate::Apply => migrate::apply(&mut connection, options.clock.now_ms())?,
            Migrate::Refuse => migrate::check(&connection)?,
        }
        let hooks = Arc::new(Hooks::default());
        let readers = Arc::new(Readers::new(path.clone()));
        let checkpointer = Checkpointer::start(&path, &mut connection)?;
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
        Ok(Self {
            path,
            clock: options.clock.clone(),
            writer,
            _checkpointer: checkpointer,
            readers,
            watcher,
            hooks,
        })
    }

    pub(crate) fn change_mark(&self) -> Result<i64, Error> {
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = sqlite::pragma(&watcher.connection, "data_version")?;
        if watcher.mark.replace(mark) != Some(mark) {
            self.readers.changed();
        }
        Ok(mark)
    }

    pub(crate) fn durability(&self) -> Result<Durability, Error> {
        let connection = &sqlite::open_reader(&self.path)?;
        let text = |name: &str| {
            connection
                .pragma_query_value(None, name, |row| row.get::<_, String>(0))
                .map_err(|e| classify(name, &e))
        };
        let integrity = text("integrity_check")?;
        let (mode, synchronous) = (
            text("journal_mode")?,
            sqlite::pragma(connection, "synchronous")?,
        );
        Ok(Durability {
            settings: if mode == "wal" && synchronous >= 2 {
                Ok(())
            } else {
                Err(format!(
                    "journal_mode is {mode}, synchronous is {synchronous}"
                ))
            },
            integrity: if integrity == "ok" {
                Ok(())
            } else {
                Err(integrity)
            },
        })
    }
}
