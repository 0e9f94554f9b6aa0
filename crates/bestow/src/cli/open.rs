//! From flags and environment to an app.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use bestow_store::{Error as StoreError, Migrate, Store};
use tracing_subscriber::EnvFilter;

use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::Error;
use crate::random::Random;

/// Where the settings come from.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) file: Option<PathBuf>,
}

/// Whether a command may make a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Database {
    /// It must be there.
    Existing,
    /// Made where there is none.
    OrNew,
}

impl Settings {
    /// Defaults, file, environment.
    pub(super) fn load(&self) -> anyhow::Result<Config> {
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Ok(Config::load(self.file.as_deref(), environment)?)
    }

    /// The app of a command that runs for a moment. An older schema is refused, since a running
    /// service may rely on it.
    pub(super) fn open(&self, database: Database) -> anyhow::Result<Arc<App>> {
        let config = self.load()?;
        log_to_stderr("warn")?;
        open(config, database)
    }
}

/// Refuses a database whose key is not there: a new one would be made, and open none of its
/// credentials.
pub(super) fn check_key(config: &Config) -> anyhow::Result<()> {
    let key = config.key_file();
    if !key.exists() && Store::exists(&config.database_url())? {
        bail!(
            "the key file {} is missing, and the database is there: restore it from your backup",
            key.display()
        );
    }
    Ok(())
}

fn database_file(config: &Config) -> Option<PathBuf> {
    config
        .database_url()
        .strip_prefix("sqlite:")
        .map(PathBuf::from)
}

/// Opens the app for a command.
pub(super) fn open(config: Config, database: Database) -> anyhow::Result<Arc<App>> {
    check_key(&config)?;
    if database == Database::Existing
        && let Some(path) = database_file(&config).filter(|path| !path.exists())
    {
        let path = path.display();
        bail!(
            "there is no database at {path}: `bestow serve` makes it, \
             or set BESTOW_DATA_DIR to where it is"
        );
    }
    let listen = config.listen;
    let opened = App::open(
        config.clone(),
        Clock::system(),
        Random::system()?,
        Migrate::Refuse,
    );
    let app = match opened {
        // Nothing is in it yet, so nobody relies on it.
        Err(Error::Store(StoreError::SchemaTooOld { found: 0, .. }))
            if database == Database::OrNew =>
        {
            App::open(config, Clock::system(), Random::system()?, Migrate::Apply)?
        }
        opened => opened?,
    };
    // The service beside us, if there is one, listens there.
    if listen.ip().is_loopback() && listen.port() != 0 {
        app.public_url.get_or_init(|| format!("http://{listen}"));
    }
    Ok(app)
}

/// Logs to standard error what the filter lets through.
pub(super) fn log_to_stderr(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).map_err(|e| {
        anyhow::anyhow!("the setting `log` cannot be read ({e}): use error, warn, info or debug")
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}
