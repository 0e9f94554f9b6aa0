//! The store on PostgreSQL.

use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Clock;
use crate::pairs::Sharing;
use crate::pg_connect::{Connector, Io, Role};
use crate::pg_look_ups::LookUps;
use crate::pg_readers::Readers;
use crate::pg_writer::Writers;
use crate::postgres::Session;
use crate::store::{Durability, Migrate, Options};
use crate::testing_hooks::Hooks;
use crate::{Error, Tx, migrate, pairs, pg_hear, values};

/// What an address of PostgreSQL starts with.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Connections to one database. Fields are dropped in this order: the thread that all of them need comes last.
pub(crate) struct Postgres {
    pub(crate) writers: Writers,
    pub(crate) readers: Readers,
    pub(crate) look_ups: LookUps,
    presence: Mutex<Option<Presence>>,
    pub(crate) clock: Clock,
    connector: Connector,
    url: String,
    #[cfg_attr(
        not(feature = "testing"),
        expect(dead_code, reason = "only tests set switches")
    )]
    pub(crate) hooks: Arc<Hooks>,
    _io: Io,
}

/// A connection that stays: its lock says that this process is there, and it looks whether anybody committed.
struct Presence {
    session: Session,
    node: i64,
}

/// Whether an address is one of PostgreSQL.
pub(crate) fn is_address(url: &str) -> bool {
    SCHEMES.iter().any(|scheme| url.starts_with(scheme))
}

/// Whether anybody was ever added to the database at `url`.
pub(crate) fn exists(url: &str) -> Result<bool, Error> {
    let io = Io::start()?;
    let session = Connector::new(url, &io)?.connect(Role::Reads)?;
    let mut tx = Tx::postgres(&session, 0);
    Ok(tx.has_schema()? && !tx.tenants("", 1)?.is_empty())
}

/// A connection whose lock says that its process serves from the database.
pub(crate) struct Claim {
    session: Session,
    sharing: Sharing,
    _io: Io,
}

impl Drop for Claim {
    fn drop(&mut self) {
        // The end of the connection gives it back too, but nobody can wait for the server to see that.
        if let Err(error) = Tx::postgres(&self.session, 0).release_serving(self.sharing) {
            tracing::debug!(error.message = %error, "the right to serve ended with its connection");
        }
    }
}

/// Claims the right to serve from the database at `url`, which may be empty.
pub(crate) fn claim(url: &str, sharing: Sharing) -> Result<Claim, Error> {
    let io = Io::start()?;
    let connector = Connector::new(url, &io)?;
    let session = connector.connect(Role::Reads)?;
    if !Tx::postgres(&session, 0).claim_serving(sharing)? {
        return Err(Error::InUse(connector.place()));
    }
    Ok(Claim {
        session,
        sharing,
        _io: io,
    })
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Claim")
    }
}

impl Postgres {
    pub(crate) fn open(url: &str, options: &Options) -> Result<Self, Error> {
        let io = Io::start()?;
        let connector = Connector::new(url, &io)?;
        let first = connector.connect(Role::Writes)?;
        match options.migrate {
            Migrate::Apply => migrate::apply_postgres(&first, options.clock.now_ms())?,
            Migrate::Refuse => migrate::check_postgres(&first)?,
        }
        let hooks = Arc::new(Hooks::default());
        let pool = options.connections;
        Ok(Self {
            writers: Writers::start(pool.writers, first, &connector, &options.clock, &hooks)?,
            readers: Readers::new(pool.readers, connector.clone(), options.clock.clone()),
            look_ups: LookUps::start(&connector),
            presence: Mutex::new(None),
            clock: options.clock.clone(),
            connector,
            url: url.to_owned(),
            hooks,
            _io: io,
        })
    }

    /// Claims the right to serve from this database.
    pub(crate) fn claim(&self, sharing: Sharing) -> Result<Claim, Error> {
        claim(&self.url, sharing)
    }

    /// Where the database is.
    pub(crate) fn place(&self) -> String {
        self.connector.place()
    }

    pub(crate) fn connect(&self, role: Role) -> Result<Session, Error> {
        self.connector.connect(role)
    }

    /// A digest of which transactions are over: it differs once another one is, in this database or beside it.
    pub(crate) fn change_mark(&self) -> Result<i64, Error> {
        self.present(|tx, _| tx.change_mark())
    }

    /// The number of this process. Another one once its connection was lost: what was held under the old one is given
    /// away by then.
    pub(crate) fn node(&self) -> Result<i64, Error> {
        self.present(|_, node| Ok(node))
    }

    /// The server's own time.
    pub(crate) fn server_now_ms(&self) -> Result<i64, Error> {
        self.present(|tx, _| tx.server_now_ms())
    }

    /// Says a word to all processes that listen.
    pub(crate) fn cry(&self, word: &str) -> Result<(), Error> {
        self.present(|tx, _| {
            tx.execute(pairs::CRY, values![pg_hear::CHANNEL, word])
                .map(|_| ())
        })
    }

    /// Gives what others say to `on`; see [`pg_hear::start`].
    pub(crate) fn hear(&self, on: impl Fn(&str) + Send + Sync + 'static) {
        pg_hear::start(&self.connector, on);
    }

    fn present<T>(
        &self,
        work: impl FnOnce(&mut Tx<'_>, i64) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut kept = self.presence.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.take().filter(|one| one.session.is_connected());
        let present = known.map_or_else(|| self.join(), Ok)?;
        let done = work(&mut Tx::postgres(&present.session, 0), present.node);
        // Each statement stands alone here, so one that was refused spoils nothing for the next.
        present.session.roll_back();
        *kept = Some(present);
        done
    }

    fn join(&self) -> Result<Presence, Error> {
        let session = self.connector.connect(Role::Reads)?;
        let node = Tx::postgres(&session, 0).join_nodes()?;
        Ok(Presence { session, node })
    }

    /// Asks the server for the settings that decide whether a commit survives.
    pub(crate) fn durability(&self) -> Result<Durability, Error> {
        let session = self.connector.connect(Role::Writes)?;
        let mut tx = Tx::postgres(&session, 0);
        let lacks: Vec<_> = tx
            .query(pairs::DURABILITY, &[], |row| {
                Ok((row.text(0)?, row.text(1)?))
            })?
            .into_iter()
            .filter(|(_, value)| value == "off" || value == "local")
            .map(|(name, value)| format!("{name} is {value}"))
            .collect();
        let damaged = tx
            .query_one(pairs::CHECKSUM_FAILURES, &[], |row| row.opt_int(0))?
            .flatten();
        Ok(Durability {
            settings: if lacks.is_empty() {
                Ok(())
            } else {
                Err(lacks.join(", "))
            },
            integrity: match damaged {
                Some(pages) if pages > 0 => {
                    Err(format!("{pages} pages did not match their checksum"))
                }
                _ => Ok(()),
            },
        })
    }
}
