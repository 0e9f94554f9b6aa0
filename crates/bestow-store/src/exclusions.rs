//! Customers who may get nothing now.

use crate::{Error, Tx, values};

/// A customer who is excluded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// Optimove's customer id, exactly.
    pub customer: String,
    /// For people.
    pub reason: String,
    /// Milliseconds.
    pub created_at: i64,
    /// Who said so.
    pub created_by: String,
}

impl Tx<'_> {
    /// Excludes customers; one who is excluded already stays so, with the reason that was given first. Says how many
    /// are new.
    pub fn exclude(
        &mut self,
        tenant: i64,
        customers: &[String],
        reason: &str,
        by: &str,
    ) -> Result<u64, Error> {
        let now = self.now_ms();
        let mut insert = self.prepare(
            "-- exclude
            INSERT INTO exclusion (tenant, customer, reason, created_at, created_by) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (tenant, customer) DO NOTHING",
        )?;
        let mut added = 0;
        for customer in customers {
            added += insert.execute(values![tenant, customer, reason, now, by])? as u64;
        }
        Ok(added)
    }

    /// Lets customers in again. Says how many were excluded.
    pub fn include(&mut self, tenant: i64, customers: &[String]) -> Result<u64, Error> {
        let mut delete = self.prepare(
            "-- include
            DELETE FROM exclusion WHERE tenant = $1 AND customer = $2",
        )?;
        let mut removed = 0;
        for customer in customers {
            removed += delete.execute(values![tenant, customer])? as u64;
        }
        Ok(removed)
    }

    /// Whether a customer is excluded.
    pub fn is_excluded(&mut self, tenant: i64, customer: &str) -> Result<bool, Error> {
        if let Some(known) = self.near(|near| near.is_excluded(tenant, customer)) {
            return Ok(known);
        }
        let found = self.query_one(
            "-- is_excluded
            SELECT 1 FROM exclusion WHERE tenant = $1 AND customer = $2",
            values![tenant, customer],
            |row| row.int(0),
        )?;
        Ok(found.is_some())
    }

    /// Excluded customers behind one, in the order of their ids.
    pub fn exclusions(
        &mut self,
        tenant: i64,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Exclusion>, Error> {
        self.query(
            "-- exclusions
            SELECT customer, reason, created_at, created_by FROM exclusion
            WHERE tenant = $1 AND customer > $2 ORDER BY customer LIMIT $3",
            values![tenant, after, limit],
            |row| {
                Ok(Exclusion {
                    customer: row.text(0)?,
                    reason: row.text(1)?,
                    created_at: row.int(2)?,
                    created_by: row.text(3)?,
                })
            },
        )
    }
}
