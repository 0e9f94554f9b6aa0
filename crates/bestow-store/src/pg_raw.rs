//! The raw limit on PostgreSQL: several bare connections, each with a thread of its own and a share of the rows.

use std::thread;

use crate::pg_connect::{Connector, Io, Role};
use crate::postgres::{Begin, Session, Uncommitted};
use crate::{Error, Value, migrate};

/// Rows as columns; the rest of a grant is the same in all of them.
const INSERT_GRANTS: &str = "-- raw_insert_grants
    INSERT INTO grants (tenant, customer, offer, occurrence, window_no, page)
    SELECT 1, customer, 1, '', 1, 1 FROM UNNEST($1::TEXT[]) AS given (customer)
    ON CONFLICT (tenant, customer, offer, occurrence) DO NOTHING";
const INSERT_NOTIFICATIONS: &str = "-- raw_insert_notifications
    INSERT INTO notification (tenant, id, event_type, identity, campaign, channel, received_at, body)
    SELECT 1, id, 13, identity, '5101', 504, 1, body
    FROM UNNEST($1::TEXT[], $2::TEXT[], $3::BYTEA[]) AS given (id, identity, body)
    ON CONFLICT (tenant, identity) DO NOTHING";
const INSERT_RESERVATIONS: &str = "-- raw_insert_reservations
    INSERT INTO reservation (tenant, customer, campaign, action, codes, asked_at, lapses_at)
    SELECT 1, customer, 'rt-0', 24, 'cb10', 1, 900001 FROM UNNEST($1::TEXT[]) AS given (customer)
    ON CONFLICT (tenant, customer, campaign, action) DO NOTHING";
const COUNT_RESERVATIONS: &str = "-- raw_count_reservations
    INSERT INTO promotion_count (tenant, code_fold, granted, reserved) VALUES (1, 'cb10', 0, $1)
    ON CONFLICT (tenant, code_fold) DO UPDATE SET reserved = promotion_count.reserved + excluded.reserved";
const LOOK_UP: &str = "-- raw_look_up
    SELECT offer, window_no, page, occurrence, code FROM grants WHERE tenant = 1 AND customer = $1";

/// Connections to a database of its own.
pub(crate) struct RawServer {
    connections: Vec<Connection>,
}

/// One with its own thread for input and output, so that they do not wait for each other.
struct Connection {
    session: Session,
    _io: Io,
}

impl RawServer {
    pub(crate) fn connect(url: &str, connections: usize) -> Result<Self, Error> {
        let connections = (0..connections.max(1)).map(|_| {
            let io = Io::start()?;
            let session = Connector::new(url, &io)?.connect(Role::Writes)?;
            Ok(Connection { session, _io: io })
        });
        let connections = connections.collect::<Result<Vec<_>, Error>>()?;
        if let Some(first) = connections.first() {
            migrate::apply_postgres(&first.session, 0)?;
        }
        Ok(Self { connections })
    }

    pub(crate) fn insert_grants(
        &mut self,
        customers: impl Iterator<Item = String>,
        per_commit: usize,
    ) -> Result<u64, Error> {
        let customers: Vec<_> = customers.collect();
        self.insert(&customers, per_commit, INSERT_GRANTS, |customer| {
            [customer.into()]
        })
    }

    pub(crate) fn insert_notifications(
        &mut self,
        notifications: impl Iterator<Item = (String, String, Vec<u8>)>,
        per_commit: usize,
    ) -> Result<u64, Error> {
        let notifications: Vec<_> = notifications.collect();
        let sql = INSERT_NOTIFICATIONS;
        self.insert(&notifications, per_commit, sql, |(id, identity, body)| {
            [id.into(), identity.into(), body.into()]
        })
    }

    pub(crate) fn insert_reservations(
        &mut self,
        customers: impl Iterator<Item = String>,
        per_commit: usize,
    ) -> Result<u64, Error> {
        let customers: Vec<_> = customers.collect();
        self.share(&customers, |session, share| {
            let mut inserted = 0;
            for chunk in share.chunks(per_commit.max(1)) {
                let rows: Vec<_> = chunk.iter().map(|customer| [customer.into()]).collect();
                session.begin(Begin::Beside);
                let of_commit = session.execute_columns(INSERT_RESERVATIONS, &rows)?;
                // Last, since all wait for each other here.
                let count = session.prepare(COUNT_RESERVATIONS)?;
                session.execute(&count, &[(of_commit as i64).into()])?;
                commit(session)?;
                inserted += of_commit as u64;
            }
            Ok(inserted)
        })
    }

    /// Looks customers up, so many on their way at once on each connection.
    pub(crate) fn look_up(&mut self, customers: &[String], at_once: usize) -> Result<u64, Error> {
        self.share(customers, |session, share| {
            let statement = session.prepare(LOOK_UP)?;
            let rows = share.iter().map(|customer| [Value::from(customer)]);
            session
                .execute_many_at_once(&statement, rows, at_once)
                .map(|found| found as u64)
        })
    }

    fn insert<T: Sync, const N: usize>(
        &mut self,
        all: &[T],
        per_commit: usize,
        sql: &'static str,
        row: impl Fn(&T) -> [Value<'_>; N] + Sync,
    ) -> Result<u64, Error> {
        self.share(all, |session, share| {
            let mut inserted = 0;
            for chunk in share.chunks(per_commit.max(1)) {
                let rows: Vec<_> = chunk.iter().map(&row).collect();
                session.begin(Begin::Beside);
                inserted += session.execute_columns(sql, &rows)? as u64;
                commit(session)?;
            }
            Ok(inserted)
        })
    }

    /// Gives each connection a stretch of `all`, and sums up what came of it.
    fn share<T: Sync>(
        &mut self,
        all: &[T],
        work: impl Fn(&Session, &[T]) -> Result<u64, Error> + Sync,
    ) -> Result<u64, Error> {
        let stretch = all.len().div_ceil(self.connections.len()).max(1);
        thread::scope(|scope| {
            let started: Vec<_> = self
                .connections
                .iter_mut()
                .zip(all.chunks(stretch))
                .map(|(connection, share)| {
                    let work = &work;
                    scope.spawn(move || work(&connection.session, share))
                })
                .collect();
            started
                .into_iter()
                .map(|thread| {
                    let panicked = |_| Error::Unavailable("a raw connection panicked".into());
                    thread.join().map_err(panicked)?
                })
                .sum()
        })
    }
}

fn commit(session: &Session) -> Result<(), Error> {
    session.commit().map_err(|uncommitted| match uncommitted {
        Uncommitted::Surely(error) => error,
        Uncommitted::Perhaps => Error::OutcomeUnknown,
    })
}
