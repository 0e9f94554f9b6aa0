//! The raw limit under a path: the bare database doing the same durable work, for `bestow bench` to compare with.
//!
//! Same file settings, same tables, same statements' shapes; no queue, no other thread, rows in the best order.

use std::path::Path;

use rusqlite::Connection;

use crate::error::classify;
use crate::{Error, migrate, sqlite};

/// A database of its own, opened like the store's writer.
pub struct RawDatabase {
    connection: Connection,
}

impl RawDatabase {
    /// A fresh database at `path`.
    ///
    /// # Errors
    /// Where the file cannot be made.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let mut connection = sqlite::open_writer(path)?;
        migrate::apply(&mut connection, 0)?;
        Ok(Self { connection })
    }

    /// Inserts grants in the order given, `per_commit` in each transaction.
    ///
    /// # Errors
    /// The database's.
    pub fn insert_grants(
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

    /// Inserts notifications, `per_commit` in each transaction. Each gives its id, identity and body.
    ///
    /// # Errors
    /// The database's.
    pub fn insert_notifications(
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

    fn begin(&self) -> Result<rusqlite::Transaction<'_>, Error> {
        rusqlite::Transaction::new_unchecked(
            &self.connection,
            rusqlite::TransactionBehavior::Immediate,
        )
        .map_err(|e| classify("begin", &e))
    }
}
