//! Where a test's service keeps its facts: a file in a folder of its own, or a database of its own on the server that
//! `BESTOW_TEST_DATABASE` names.

use std::path::Path;

use bestow::config::Config;
use bestow_store::Scratch;
use tempfile::TempDir;

/// Names a PostgreSQL server for the services of all tests.
const SERVER: &str = "BESTOW_TEST_DATABASE";

/// The server that services are kept on, if it is not files.
pub(crate) fn server() -> Option<String> {
    std::env::var(SERVER).ok()
}

/// A folder, and a database where it is not in the folder. Both go with this.
#[derive(Debug)]
pub(crate) struct Home {
    database: Option<Scratch>,
    dir: TempDir,
}

impl Home {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self::in_folder(tempfile::tempdir().expect("a temporary folder"))
    }

    /// In memory, where the machine offers it as a folder.
    pub(crate) fn in_memory() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self::in_folder(folder.expect("a temporary folder"))
    }

    /// One that several processes may share, whatever other tests are kept on.
    #[cfg(feature = "postgres-tests")]
    pub(crate) fn shared() -> Self {
        let url = std::env::var("BESTOW_TEST_POSTGRES_URL").expect(
            "these tests need PostgreSQL: run `cargo xtask test`, which starts one, \
             or name one in BESTOW_TEST_POSTGRES_URL",
        );
        Self {
            database: Some(Scratch::migrated(&url).expect("a fresh database")),
            dir: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// The database, where it is on a server.
    #[cfg(feature = "postgres-tests")]
    pub(crate) fn database(&self) -> &Scratch {
        self.database.as_ref().expect("it is on a server")
    }

    fn in_folder(dir: TempDir) -> Self {
        let database = server().map(|url| Scratch::migrated(&url).expect("a fresh database"));
        Self { database, dir }
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The defaults, kept here.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config {
            data_dir: self.path().to_path_buf(),
            ..Config::default()
        };
        // What raw requests of tests are sent to.
        "test".clone_into(&mut config.http.hosts);
        if let Some(database) = &self.database {
            database.url().clone_into(&mut config.database_url);
        }
        config
    }

    /// The same, for processes.
    pub(crate) fn environment(&self) -> impl IntoIterator<Item = (&'static str, String)> {
        let Config {
            data_dir,
            database_url,
            ..
        } = self.config();
        [
            ("BESTOW_DATA_DIR", data_dir.display().to_string()),
            ("BESTOW_DATABASE_URL", database_url),
        ]
    }

    /// Whether a text stands anywhere in what is kept.
    pub(crate) fn holds(&self, text: &str) -> bool {
        let in_file = std::fs::read_dir(self.path())
            .expect("a folder")
            .any(|entry| {
                let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
                bytes
                    .windows(text.len())
                    .any(|window| window == text.as_bytes())
            });
        in_file
            || self
                .database
                .as_ref()
                .is_some_and(|database| database.holds(text).expect("it can be searched"))
    }
}
