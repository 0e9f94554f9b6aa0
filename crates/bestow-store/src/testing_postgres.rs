//! For tests: PostgreSQL databases that live for one test, made from a template that has the schema already.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::postgres::{Connector, Io, Role, Session};
use crate::{Error, migrate};

/// Held while the template is made: by one of all test processes.
const TEMPLATE_LOCK: i64 = 0x62_7465_7374;

/// A database that is dropped with this.
#[derive(Debug)]
pub struct TempDatabase {
    /// Its address.
    pub url: String,
    name: String,
    pub(crate) server: Server,
}

/// A server to make databases on.
pub(crate) struct Server {
    url: String,
    io: Io,
}

impl TempDatabase {
    /// An empty database on the server at `url`.
    ///
    /// # Errors
    /// Where none may be made there.
    pub fn empty(url: &str) -> Result<Self, Error> {
        Self::from(url, "template0")
    }

    /// A database with the newest schema.
    pub(crate) fn migrated(url: &str) -> Result<Self, Error> {
        let template = Server::new(url)?.template()?;
        Self::from(url, &template)
    }

    fn from(url: &str, template: &str) -> Result<Self, Error> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let server = Server::new(url)?;
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("bestow_test_{}_{made}", std::process::id());
        let session = server.connect(url)?;
        session.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))?;
        session.run(&format!("CREATE DATABASE {name} TEMPLATE {template}"))?;
        Ok(Self {
            url: beside(url, &name)?,
            name,
            server,
        })
    }
}

impl Drop for TempDatabase {
    fn drop(&mut self) {
        let session = self.server.connect(&self.server.url);
        let dropped = session
            .and_then(|session| session.run(&format!("DROP DATABASE {} WITH (FORCE)", self.name)));
        if let Err(error) = dropped {
            tracing::warn!(error.message = %error, "a test's database stays behind");
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server")
    }
}

impl Server {
    fn new(url: &str) -> Result<Self, Error> {
        Ok(Self {
            url: url.to_owned(),
            io: Io::start()?,
        })
    }

    pub(crate) fn connect(&self, url: &str) -> Result<Session, Error> {
        Connector::new(url, &self.io)?.connect(Role::Writes)
    }

    /// The name of a database with the newest schema that nobody is connected to.
    fn template(&self) -> Result<String, Error> {
        let mut digest = DefaultHasher::new();
        migrate::texts().for_each(|text| text.hash(&mut digest));
        let name = format!("bestow_template_{:016x}", digest.finish());
        let session = self.connect(&self.url)?;
        session.run(&format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})"))?;
        let is_there = format!("SELECT COUNT(*) FROM pg_database WHERE datname = '{name}'");
        if session.raw(&is_there)? == 0 {
            let half = format!("{name}_half");
            session.run(&format!("DROP DATABASE IF EXISTS {half} WITH (FORCE)"))?;
            session.run(&format!("CREATE DATABASE {half} TEMPLATE template0"))?;
            // The instant at which the schema was applied is looked at by no test of these.
            migrate::apply_postgres(&self.connect(&beside(&self.url, &half)?)?, 0)?;
            session.run(&format!(
                "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{half}'"
            ))?;
            session.run(&format!("ALTER DATABASE {half} RENAME TO {name}"))?;
        }
        Ok(name)
    }
}

/// The address of another database of the same server.
fn beside(url: &str, name: &str) -> Result<String, Error> {
    let (base, rest) = match url.split_once('?') {
        Some((base, rest)) => (base, format!("?{rest}")),
        None => (url, String::new()),
    };
    let bad = || Error::BadUrl("the address of a test server names no database".into());
    let (server, _) = base.rsplit_once('/').ok_or_else(bad)?;
    Ok(format!("{server}/{name}{rest}"))
}
