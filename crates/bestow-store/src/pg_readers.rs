//! The connections to PostgreSQL that read: opened when needed, kept, and never more than so many.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::pg_connect::{Connector, Role};
use crate::postgres::{Begin, Session};
use crate::{Error, Tx};

/// Longest wait for a connection that others read from.
const WAIT: Duration = Duration::from_secs(30);

/// How many statements a read has to see at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Several: they share a snapshot.
    Snapshot,
    /// One, or some whose rows do not change.
    LookUp,
}

/// The reading connections of one store.
pub(crate) struct Readers {
    connector: Connector,
    clock: Clock,
    sessions_max: u32,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Session>,
    /// Idle ones and those in use.
    open: u32,
}

impl Readers {
    pub(crate) fn new(sessions_max: u32, connector: Connector, clock: Clock) -> Self {
        Self {
            connector,
            clock,
            sessions_max: sessions_max.max(1),
            pool: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    /// Runs a read.
    pub(crate) fn with<T, E: From<Error>>(
        &self,
        reading: Reading,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let place = self.place()?;
        let session = match place.take_idle() {
            Some(session) => session,
            None => self.connector.connect(Role::Reads)?,
        };
        if reading == Reading::Snapshot {
            session.begin(Begin::Read);
        }
        let answer = work(&mut Tx::postgres(&session, self.clock.now_ms()));
        session.roll_back();
        if session.is_connected() {
            place.give_back(session);
        }
        answer
    }

    /// Waits until there may be one more connection in use.
    fn place(&self) -> Result<Place<'_>, Error> {
        let pool = self.lock();
        let (mut pool, waited) = self
            .returned
            .wait_timeout_while(pool, WAIT, |pool| {
                pool.idle.is_empty() && pool.open >= self.sessions_max
            })
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(Error::Unavailable(
                "all connections that read are in use".into(),
            ));
        }
        if pool.idle.is_empty() {
            pool.open += 1;
            return Ok(Place {
                readers: self,
                session: None.into(),
            });
        }
        let session = pool.idle.pop().filter(Session::is_connected);
        Ok(Place {
            readers: self,
            session: session.into(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        // A panicking thread cannot leave the pool half-changed: each lock does one push or pop.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to use one connection. One that is not given back is counted out, a panic included.
struct Place<'r> {
    readers: &'r Readers,
    session: std::cell::Cell<Option<Session>>,
}

impl Place<'_> {
    fn take_idle(&self) -> Option<Session> {
        self.session.take()
    }

    fn give_back(&self, session: Session) {
        self.session.set(Some(session));
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let session = self.session.take();
        let mut pool = self.readers.lock();
        match session {
            Some(session) => pool.idle.push(session),
            None => pool.open -= 1,
        }
        drop(pool);
        self.readers.returned.notify_one();
    }
}
