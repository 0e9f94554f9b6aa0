//! The raw limit under a path: the bare database doing the same durable work, for `bestow bench` to compare with.
//!
//! Same settings, same tables, same statements' shapes; no queue, rows in the best order. SQLite has no other thread;
//! PostgreSQL has as many connections as it is fastest with.

use std::path::Path;

use rusqlite::Connection;

use crate::error::classify;
use crate::pg_raw::RawServer;
use crate::{Error, migrate, sqlite};

/// A database of its own, opened as the store opens it to write.
pub struct RawDatabase(Raw);

enum Raw {
    File(RawFile),
    Server(RawServer),
}

impl RawDatabase {
    /// A fresh database at `path`.
    ///
    /// # Errors
    /// Where the file cannot be made.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let mut connection = sqlite::open_writer(path)?;
        migrate::apply(&mut connection, 0)?;
        Ok(Self(Raw::File(RawFile { connection })))
    }

    /// The empty PostgreSQL database at `url`, over so many connections.
    ///
    /// # Errors
    /// Where it cannot be reached.
    pub fn connect(url: &str, connections: usize) -> Result<Self, Error> {
        RawServer::connect(url, connections).map(|server| Self(Raw::Server(server)))
    }

    /// Inserts grants in the order given, `per_commit` in each transaction; each connection takes a stretch.
    ///
    /// # Errors
    /// The database's.
    pub fn insert_grants(
        &mut self,
        customers: impl Iterator<Item = String>,
        per_commit: usize,
    ) -> Result<u64, Error> {
        match &mut self.0 {
            Raw::File(file) => file.insert_grants(customers, per_commit),
            Raw::Server(server) => server.insert_grants(customers, per_commit),
        }
    }

    /// Inserts notifications, `per_commit` in each transaction. Each gives its id, identity and body.
    ///
    /// # Errors
    /// The database's.
    pub fn insert_notifications(
        &mut self,
        notifications: impl Iterator<Item = (String, String, Vec<u8>)>,
        per_commit: usize,
    ) -> Result<u64, Error> {
        match &mut self.0 {
            Raw::File(file) => file.insert_notifications(notifications, per_commit),
            Raw::Server(server) => server.insert_notifications(notifications, per_commit),
        }
    }

    /// Inserts a reservation for each customer, `per_commit` in each transaction, and counts the room that they take.
    ///
    /// # Errors
    /// The database's.
    pub fn insert_reservations(
        &mut self,
        customers: impl Iterator<Item = String>,
        per_commit: usize,
    ) -> Result<u64, Error> {
        match &mut self.0 {
            Raw::File(file) => file.insert_reservations(customers, per_commit),
            Raw::Server(server) => server.insert_reservations(customers, per_commit),
        }
    }

    /// Redeems a grant of each customer, `per_commit` in each transaction: looks for the key and the grant, and writes
    /// the answer, the redemption, the grant, the promotion's figures and the audit record. Each gives an id, a key, a
    /// customer and the answer.
    ///
    /// # Errors
    /// The database's.
    pub fn redeem(&mut self, asked: &[RawRedemption], per_commit: usize) -> Result<u64, Error> {
        match &mut self.0 {
            Raw::File(file) => file.redeem(asked, per_commit),
            Raw::Server(server) => server.redeem(asked, per_commit),
        }
    }

    /// Looks up the grants of each customer, and tells how many there are. On PostgreSQL, where each is a way to the
    /// server and back, `at_once` are on their way on each connection; a file is looked into one by one.
    ///
    /// # Errors
    /// The database's.
    pub fn look_up(&mut self, customers: &[String], at_once: usize) -> Result<u64, Error> {
        match &mut self.0 {
            Raw::File(file) => file.look_up(customers),
            Raw::Server(server) => server.look_up(customers, at_once),
        }
    }
}

/// What a bare redemption is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRedemption {
    /// Time-ordered.
    pub id: String,
    /// Names the request.
    pub key: String,
    /// Who redeems.
    pub customer: String,
    /// Byte for byte.
    pub answer: Vec<u8>,
}

/// The bare file.
struct RawFile {
    connection: Connection,
}

impl RawFile {
    fn insert_grants(
        &mut self,
        customers: impl Iterator<Item = String>,
        per_commit: usize,
    ) -> Result<u64, Error> {
        const SQL: &str = "-- raw_insert_grant
            INSERT INTO grants (tenant, customer, offer, occurrence, window_no, page) VALUES (1, ?1, 1, '', 1, 1)
            ON CONFLICT (tenant, customer, offer, occurrence) DO NOTHING";
        let mut customers = customers.peekable();
        let mut inserted = 0;
        while customers.peek().is_some() {
            let tx = self.begin()?;
            let mut insert = tx.prepare_cached(SQL).map_err(|e| classify(SQL, &e))?;
            for customer in customers.by_ref().take(per_commit.max(1)) {
                inserted += insert.execute([&customer]).map_err(|e| classify(SQL, &e))? as u64;
            }
            drop(insert);
            tx.commit().map_err(|e| classify("commit", &e))?;
        }
        Ok(inserted)
    }

    fn insert_notifications(
        &mut self,
        notifications: impl Iterator<Item = (String, String, Vec<u8>)>,
        per_commit: usize,
    ) -> Result<u64, Error> {
        const SQL: &str = "-- raw_insert_notification
            INSERT INTO notification (tenant, id, event_type, identity, campaign, channel, received_at, body)
            VALUES (1, ?1, 13, ?2, '5101', 504, 1, ?3)
            ON CONFLICT (tenant, identity) DO NOTHING";
        let mut notifications = notifications.peekable();
        let mut inserted = 0;
        while notifications.peek().is_some() {
            let tx = self.begin()?;
            let mut insert = tx.prepare_cached(SQL).map_err(|e| classify(SQL, &e))?;
            for new in notifications.by_ref().take(per_commit.max(1)) {
                inserted += insert.execute(new).map_err(|e| classify(SQL, &e))? as u64;
            }
            drop(insert);
            tx.commit().map_err(|e| classify("commit", &e))?;
        }
        Ok(inserted)
    }

    fn insert_reservations(
        &mut self,
        customers: impl Iterator<Item = String>,
        per_commit: usize,
    ) -> Result<u64, Error> {
        const SQL: &str = "-- raw_insert_reservation
            INSERT INTO reservation (tenant, customer, campaign, action, codes, asked_at, lapses_at)
            VALUES (1, ?1, 'rt-0', 24, 'cb10', 1, 900001)
            ON CONFLICT (tenant, customer, campaign, action) DO NOTHING";
        const COUNT: &str = "-- raw_count_reservations
            INSERT INTO promotion_count (tenant, code_fold, granted, reserved) VALUES (1, 'cb10', 0, ?1)
            ON CONFLICT (tenant, code_fold) DO UPDATE SET reserved = promotion_count.reserved + excluded.reserved";
        let mut customers = customers.peekable();
        let mut inserted = 0;
        while customers.peek().is_some() {
            let tx = self.begin()?;
            let mut insert = tx.prepare_cached(SQL).map_err(|e| classify(SQL, &e))?;
            let mut of_commit = 0;
            for customer in customers.by_ref().take(per_commit.max(1)) {
                of_commit += insert.execute([&customer]).map_err(|e| classify(SQL, &e))?;
            }
            drop(insert);
            let mut count = tx.prepare_cached(COUNT).map_err(|e| classify(COUNT, &e))?;
            count
                .execute([of_commit as i64])
                .map_err(|e| classify(COUNT, &e))?;
            drop(count);
            tx.commit().map_err(|e| classify("commit", &e))?;
            inserted += of_commit as u64;
        }
        Ok(inserted)
    }

    fn look_up(&self, customers: &[String]) -> Result<u64, Error> {
        const SQL: &str = "-- raw_look_up_in_file
            SELECT offer, window_no, page, occurrence, code FROM grants WHERE tenant = 1 AND customer = ?1";
        let mut look_up = self
            .connection
            .prepare_cached(SQL)
            .map_err(|e| classify(SQL, &e))?;
        let mut found = 0;
        for customer in customers {
            let mut rows = look_up.query([customer]).map_err(|e| classify(SQL, &e))?;
            while rows.next().map_err(|e| classify(SQL, &e))?.is_some() {
                found += 1;
            }
        }
        Ok(found)
    }

    fn redeem(&mut self, asked: &[RawRedemption], per_commit: usize) -> Result<u64, Error> {
        let mut redeemed = 0;
        for group in asked.chunks(per_commit.max(1)) {
            let tx = self.begin()?;
            for one in group {
                redeemed += redeem_one(&tx, one)?;
            }
            tx.commit().map_err(|e| classify("commit", &e))?;
        }
        Ok(redeemed)
    }

    fn begin(&self) -> Result<rusqlite::Transaction<'_>, Error> {
        rusqlite::Transaction::new_unchecked(
            &self.connection,
            rusqlite::TransactionBehavior::Immediate,
        )
        .map_err(|e| classify("begin", &e))
    }
}

/// The fewest statements that a redemption can do with.
fn redeem_one(tx: &Connection, one: &RawRedemption) -> Result<u64, Error> {
    const ANSWER: &str = "-- raw_answer
        SELECT status, body FROM kept_answer WHERE tenant = 1 AND actor = 'cli' AND key = ?1";
    const GRANT: &str = "-- raw_grant
        SELECT redeemed, spent, window_no FROM grants WHERE tenant = 1 AND customer = ?1";
    const KEEP: &str = "-- raw_keep_answer
        INSERT INTO kept_answer (tenant, id, actor, key, request, status, body)
        VALUES (1, ?1, 'cli', ?2, zeroblob(32), 201, ?3)";
    const REDEEM: &str = "-- raw_redeem
        INSERT INTO redemption (tenant, id, customer, offer, occurrence, code_fold, version, amount_minor, actor,
            redeemed_at)
        VALUES (1, ?1, ?2, 1, '', 'fs20', 1, 0, 'cli', 1)";
    const USE: &str = "-- raw_use_grant
        UPDATE grants SET redeemed = 1, spent = 1 WHERE tenant = 1 AND customer = ?1 AND offer = 1 AND occurrence = ''";
    const COUNT: &str = "-- raw_use_promotion
        INSERT INTO promotion_use (tenant, code_fold, period, used, spent_minor, pledged)
        VALUES (1, 'fs20', '', 1, 0, 0)
        ON CONFLICT (tenant, code_fold, period) DO UPDATE SET used = promotion_use.used + 1";
    const AUDIT: &str = "-- raw_audit
        INSERT INTO audit (tenant, at, actor, action, object, detail, seq)
        VALUES (1, 1, 'cli', 'redemption.created', ?1, '{}',
            1 + (SELECT COALESCE(MAX(seq), 0) FROM audit WHERE tenant = 1))";
    let run = |sql: &'static str, values: &[&dyn rusqlite::ToSql]| {
        let mut statement = tx.prepare_cached(sql).map_err(|e| classify(sql, &e))?;
        statement.execute(values).map_err(|e| classify(sql, &e))
    };
    let exists = |sql: &'static str, value: &str| {
        let mut statement = tx.prepare_cached(sql).map_err(|e| classify(sql, &e))?;
        statement.exists([value]).map_err(|e| classify(sql, &e))
    };
    if exists(ANSWER, &one.key)? || !exists(GRANT, &one.customer)? {
        return Ok(0);
    }
    run(KEEP, &[&one.id, &one.key, &one.answer])?;
    run(REDEEM, &[&one.id, &one.customer])?;
    run(COUNT, &[])?;
    run(AUDIT, &[&one.id])?;
    run(USE, &[&one.customer]).map(|changed| changed as u64)
}
