//! Opening connections to PostgreSQL, and the one thread that does their input and output.

use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::poll_fn;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::pg_error::classify;
use crate::postgres::Session;
use crate::{Error, park, pg_tls};

/// How long to wait for a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// Longest run of one statement that writes, in milliseconds. The server ends it then.
const WRITE_MS_MAX: u32 = 60_000;
/// Longest run of one statement that reads, in milliseconds: `verify` reads whole tables.
const READ_MS_MAX: u32 = 300_000;
/// Longest wait for a lock, in milliseconds. The whole transaction is tried again then.
const LOCK_MS_MAX: u32 = 10_000;
/// Longest rest within a transaction that reads, in milliseconds.
const REST_MS_MAX: u32 = 60_000;
/// The same where it writes: a process that stands still must not hold locks that all others wait for.
const WRITE_REST_MS_MAX: u32 = 5_000;
/// A plan is made once for a connection, often while a table is still empty, and would read all of it for ever after:
/// whoever looks up and writes goes by the keys (docs/decisions/0207).
const BY_KEY: &str =
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; ";

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Answers of any size.
    Reads,
    /// Rows by their keys, many times a second.
    LooksUp,
    Writes,
}

/// The thread that does the input and output.
pub(crate) struct Io {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Io {
    pub(crate) fn start() -> Result<Self, Error> {
        let unavailable = |e: std::io::Error| Error::Unavailable(format!("a thread: {e}"));
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(unavailable)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("store-io".into())
            // Ends when the sender is gone, whatever it sent.
            .spawn(move || drop(runtime.block_on(stopped)))
            .map_err(unavailable)?;
        Ok(Self {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's thread for input and output panicked");
        }
    }
}

/// Opens connections to one database.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    handle: Handle,
}

impl Connector {
    /// For the database at `url`, as libpq writes it.
    pub(crate) fn new(url: &str, io: &Io) -> Result<Self, Error> {
        // The parser's words tell what is wrong; the address may hold a password.
        let (rest, tls) = pg_tls::of_address(url)?;
        let mut config: Config = rest
            .parse()
            .map_err(|e: tokio_postgres::Error| Error::BadUrl(format!("postgres: {e}")))?;
        if config.get_application_name().is_none() {
            config.application_name("bestow");
        }
        config.connect_timeout(CONNECT_WAIT);
        Ok(Self {
            config,
            tls,
            handle: io.handle.clone(),
        })
    }

    /// Where the database is, without user and password.
    pub(crate) fn place(&self) -> String {
        let ports = self.config.get_ports();
        let hosts = self
            .config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(at, host)| {
                let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
                match host {
                    Host::Tcp(name) => format!("{name}:{port}"),
                    Host::Unix(path) => format!("{}:{port}", path.display()),
                }
            });
        let hosts: Vec<_> = hosts.collect();
        let database = self.config.get_dbname().unwrap_or_default();
        format!("postgres:{}/{database}", hosts.join(","))
    }

    /// Opens one for statements that callers wait for.
    pub(crate) fn connect(&self, role: Role) -> Result<Session, Error> {
        let this = self.clone();
        let connecting = self.handle.spawn(async move { this.open(role).await });
        let client =
            park::wait(connecting).map_err(|e| Error::Unavailable(format!("connecting: {e}")))?;
        Ok(Session::new(client?, role))
    }

    /// Opens one. To be called on the thread that does the input and output.
    pub(crate) async fn open(&self, role: Role) -> Result<Client, Error> {
        self.open_to_hear(role, None).await
    }

    /// The same; what the database tells on it of its own accord goes to `heard`.
    pub(crate) async fn open_to_hear(
        &self,
        role: Role,
        heard: Option<mpsc::Sender<String>>,
    ) -> Result<Client, Error> {
        // Whatever keeps us from connecting may be mended without us: the server, a password, a database.
        let failed = |e: tokio_postgres::Error| {
            Error::Unavailable(format!("{}: {}", self.place(), classify("connect", &e).1))
        };
        let is_local = |host: &Host| matches!(host, Host::Unix(_));
        let client = if self.config.get_hosts().iter().all(is_local) {
            // A socket of this machine has no TLS, whatever is asked for.
            let mut config = self.config.clone();
            config.ssl_mode(SslMode::Disable);
            let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
            tokio::spawn(carry(connection, heard));
            client
        } else {
            let tls = self.tls.clone();
            let (client, connection) = self.config.connect(tls).await.map_err(failed)?;
            tokio::spawn(carry(connection, heard));
            client
        };
        client
            .batch_execute(&settings(role))
            .await
            .map_err(failed)?;
        Ok(client)
    }

    /// Runs `task` on the thread that does the input and output, until the store is closed.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle.spawn(task));
    }
}

/// Does a connection's input and output until it ends.
async fn carry<S, T>(mut connection: Connection<S, T>, heard: Option<mpsc::Sender<String>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut messages = poll_fn(|context| connection.poll_message(context));
    while let Some(message) = messages.next().await {
        match (message, &heard) {
            (Ok(AsyncMessage::Notification(said)), Some(heard)) => {
                // A listener with so much to do will look anyway.
                let _ = heard.try_send(said.payload().to_owned());
            }
            (Ok(_), _) => {}
            (Err(error), _) => {
                return tracing::warn!(error.message = %error, "a connection to the database ended");
            }
        }
    }
}

pub(crate) fn settings(role: Role) -> String {
    let (statement_ms, rest_ms) = match role {
        Role::Reads | Role::LooksUp => (READ_MS_MAX, REST_MS_MAX),
        Role::Writes => (WRITE_MS_MAX, WRITE_REST_MS_MAX),
    };
    let plans = match role {
        Role::Reads => "",
        Role::LooksUp | Role::Writes => BY_KEY,
    };
    // What is acknowledged is on disk, whatever the default of the database is. A stronger default stays.
    format!(
        "SET statement_timeout = {statement_ms}; SET lock_timeout = {LOCK_MS_MAX}; \
         SET idle_in_transaction_session_timeout = {rest_ms}; SET jit = off; {plans}\
         SELECT set_config('synchronous_commit', 'on', false) \
         WHERE current_setting('synchronous_commit') IN ('off', 'local')"
    )
}
