//! The raw limit on PostgreSQL: several bare connections, each with a thread of its own and a share of the rows.

use std::thread;

use crate::pg_connect::{Connector, Io, Role};
use crate::postgres::{Begin, Session, Uncommitted};
use crate::raw::RawRedemption;
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

/// The rows of a group as columns: ids, keys, customers, answers.
const REDEEM: [&str; 5] = [
    "-- raw_redeem_answers
    INSERT INTO kept_answer (tenant, id, actor, key, request, status, body)
    SELECT 1, id, 'cli', key, '', 201, body FROM UNNEST($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::BYTEA[])
        AS given (id, key, customer, body)",
    "-- raw_redeem_redemptions
    INSERT INTO redemption (tenant, id, customer, offer, occurrence, code_fold, version, amount_minor, actor, redeemed_at)
    SELECT 1, id, customer, 1, '', 'fs20', 1, 0, 'cli', 1
    FROM UNNEST($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::BYTEA[]) AS given (id, key, customer, body)",
    "-- raw_redeem_figures
    INSERT INTO promotion_use (tenant, code_fold, period, used, spent_minor, pledged)
    SELECT 1, 'fs20', '', COUNT(*), 0, 0
    FROM UNNEST($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::BYTEA[]) AS given (id, key, customer, body)
    ON CONFLICT (tenant, code_fold, period) DO UPDATE SET used = promotion_use.used + excluded.used",
    "-- raw_redeem_audit
    INSERT INTO audit (tenant, at, actor, action, object, detail, seq)
    SELECT 1, 1, 'cli', 'redemption.created', id, '{}',
        place + (SELECT COALESCE(MAX(seq), 0) FROM audit WHERE tenant = 1)
    FROM UNNEST($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::BYTEA[]) WITH ORDINALITY
        AS given (id, key, customer, body, place)",
    "-- raw_redeem_grants
    UPDATE grants SET redeemed = 1, spent = 1
    FROM UNNEST($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::BYTEA[]) AS given (id, key, customer, body)
    WHERE grants.tenant = 1 AND grants.customer = given.customer AND offer = 1 AND occurrence = ''
        AND NOT EXISTS (SELECT 1 FROM kept_answer a
            WHERE a.tenant = 1 AND a.actor = 'cli' AND a.key = given.key AND a.id <> given.id)",
];

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

    /// Redeems group by group on one connection: the figures of a promotion are one row, which others would wait for.
    pub(crate) fn redeem(
        &mut self,
        asked: &[RawRedemption],
        per_commit: usize,
    ) -> Result<u64, Error> {
        let Some(first) = self.connections.first() else {
            return Ok(0);
        };
        let session = &first.session;
        let mut redeemed = 0;
        for group in asked.chunks(per_commit.max(1)) {
            let rows: Vec<[Value<'_>; 4]> = group
                .iter()
                .map(|one| {
                    [
                        Value::from(&one.id),
                        Value::from(&one.key),
                        Value::from(&one.customer),
                        Value::from(&one.answer),
                    ]
                })
                .collect();
            session.begin(Begin::Beside);
            let mut changed = 0;
            for sql in REDEEM {
                // The last one changes the grants.
                changed = session.execute_columns(sql, &rows)? as u64;
            }
            redeemed += changed;
            commit(session)?;
        }
        Ok(redeemed)
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
