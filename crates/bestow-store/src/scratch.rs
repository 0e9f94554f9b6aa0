//! PostgreSQL databases that live for a while: for demos, benches and tests.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::Error;
use crate::pg_connect::{Connector, Io, Role};
use crate::postgres::Session;
use crate::postgres_engine::is_address;

/// An empty database beside another one, dropped with this.
#[derive(Debug)]
pub struct Scratch {
    url: String,
    name: String,
    server: Server,
}

/// A server to make databases on.
pub(crate) struct Server {
    url: String,
    io: Io,
}

impl Scratch {
    /// An empty database on the server at `url`, which must name a database to ask from.
    ///
    /// # Errors
    /// [`Error::BadUrl`]; [`Error::Unavailable`] where the server cannot be reached; [`Error::Refused`] where this
    /// user may make no database.
    pub fn beside(url: &str) -> Result<Self, Error> {
        Self::copied(Server::new(url)?, "template0")
    }

    pub(crate) fn copied(server: Server, template: &str) -> Result<Self, Error> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("bestow_scratch_{}_{made}", std::process::id());
        let session = server.connect(&server.url)?;
        session.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))?;
        session.run(&format!("CREATE DATABASE {name} TEMPLATE {template}"))?;
        Ok(Self {
            url: server.address_of(&name)?,
            name,
            server,
        })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    #[cfg(feature = "testing")]
    pub(crate) fn raw(&self, sql: &str) -> Result<i64, Error> {
        self.session()?.raw(sql)
    }

    /// A connection to it.
    #[cfg(feature = "testing")]
    pub(crate) fn session(&self) -> Result<Session, Error> {
        self.server.connect(&self.url)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let session = self.server.connect(&self.server.url);
        let dropped = session
            .and_then(|session| session.run(&format!("DROP DATABASE {} WITH (FORCE)", self.name)));
        if let Err(error) = dropped {
            tracing::warn!(database = self.name, error.message = %error, "a database stays behind");
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server")
    }
}

impl Server {
    pub(crate) fn new(url: &str) -> Result<Self, Error> {
        if !is_address(url) {
            return Err(Error::BadUrl(
                "databases that go by themselves are made on PostgreSQL".into(),
            ));
        }
        Ok(Self {
            url: url.to_owned(),
            io: Io::start()?,
        })
    }

    pub(crate) fn connect(&self, url: &str) -> Result<Session, Error> {
        Connector::new(url, &self.io)?.connect(Role::Writes)
    }

    /// A connection to the database that it was named by.
    #[cfg(feature = "testing")]
    pub(crate) fn session(&self) -> Result<Session, Error> {
        self.connect(&self.url)
    }

    /// The address of another database of the same server.
    pub(crate) fn address_of(&self, name: &str) -> Result<String, Error> {
        let (base, rest) = match self.url.split_once('?') {
            Some((base, rest)) => (base, format!("?{rest}")),
            None => (&*self.url, String::new()),
        };
        let bad = || Error::BadUrl("the address of a server names no database".into());
        let (_, path) = base.split_once("://").ok_or_else(bad)?;
        let (server, _) = path.rsplit_once('/').ok_or_else(bad)?;
        Ok(format!("postgres://{server}/{name}{rest}"))
    }
}
