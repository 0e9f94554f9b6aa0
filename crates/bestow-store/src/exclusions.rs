//! Customers who may get nothing now, or nothing of one promotion.

use crate::{Error, Row, Tx, Value, values};

/// Customers asked about in one statement.
const ASKED_AT_ONCE: usize = 32;

/// A customer who is excluded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// Optimove's customer id, exactly.
    pub customer: String,
    /// The promotion's code, folded; empty: every promotion.
    pub code_fold: String,
    /// For people.
    pub reason: String,
    /// Milliseconds.
    pub created_at: i64,
    /// Who said so.
    pub created_by: String,
}

impl Tx<'_> {
    /// Excludes customers from a promotion, or from every one where the code (folded) is empty; one who is excluded
    /// already stays so, with the reason that was given first. Says how many are new.
    pub fn exclude(
        &mut self,
        tenant: i64,
        customers: &[String],
        code_fold: &str,
        reason: &str,
        by: &str,
    ) -> Result<u64, Error> {
        let now = self.now_ms();
        let mut insert = self.prepare(
            "-- exclude
            INSERT INTO exclusion (tenant, customer, code_fold, reason, created_at, created_by)
            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, customer, code_fold) DO NOTHING",
        )?;
        let mut added = 0;
        for customer in customers {
            added += insert.execute(values![tenant, customer, code_fold, reason, now, by])? as u64;
        }
        Ok(added)
    }

    /// Lets customers in again, to a promotion or, where the code (folded) is empty, to all that they are not excluded
    /// from by themselves. Says how many were excluded.
    pub fn include(
        &mut self,
        tenant: i64,
        customers: &[String],
        code_fold: &str,
    ) -> Result<u64, Error> {
        let mut delete = self.prepare(
            "-- include
            DELETE FROM exclusion WHERE tenant = $1 AND customer = $2 AND code_fold = $3",
        )?;
        let mut removed = 0;
        for customer in customers {
            removed += delete.execute(values![tenant, customer, code_fold])? as u64;
        }
        Ok(removed)
    }

    /// What a customer is excluded from: codes of promotions (folded), an empty one for all of them.
    pub fn excluded_from(&mut self, tenant: i64, customer: &str) -> Result<Vec<String>, Error> {
        if let Some(known) = self.near(|near| near.excluded_from(tenant, customer)) {
            return Ok(known);
        }
        self.query(
            "-- excluded_from
            SELECT code_fold FROM exclusion WHERE tenant = $1 AND customer = $2 ORDER BY code_fold",
            values![tenant, customer],
            |row| row.text(0),
        )
    }

    /// Whether a customer is excluded from every promotion.
    pub fn is_excluded(&mut self, tenant: i64, customer: &str) -> Result<bool, Error> {
        let from = self.excluded_from(tenant, customer)?;
        Ok(from.iter().any(String::is_empty))
    }

    /// Of these customers those who are excluded from anything, each with what from: a code (folded), or an empty text
    /// for every promotion.
    pub fn excluded_among(
        &mut self,
        tenant: i64,
        customers: &[&str],
    ) -> Result<Vec<(String, String)>, Error> {
        let mut found = Vec::new();
        for asked in customers.chunks(ASKED_AT_ONCE) {
            // The last one is asked about as often as it takes to fill the statement.
            let last = asked.last().copied().unwrap_or_default();
            let mut filled = vec![Value::from(tenant)];
            filled.extend(asked.iter().map(|customer| Value::from(*customer)));
            filled.resize_with(ASKED_AT_ONCE + 1, || Value::from(last));
            found.extend(self.query(
                "-- excluded_among
                SELECT customer, code_fold FROM exclusion WHERE tenant = $1 AND customer IN (
                    $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                    $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33)",
                &filled,
                |row| Ok((row.text(0)?, row.text(1)?)),
            )?);
        }
        Ok(found)
    }

    /// Exclusions behind one, in the order of customers and codes.
    pub fn exclusions(
        &mut self,
        tenant: i64,
        (customer, code_fold): (&str, &str),
        limit: u32,
    ) -> Result<Vec<Exclusion>, Error> {
        self.query(
            "-- exclusions
            SELECT customer, code_fold, reason, created_at, created_by FROM exclusion
            WHERE tenant = $1 AND (customer, code_fold) > ($2, $3) ORDER BY customer, code_fold LIMIT $4",
            values![tenant, customer, code_fold, limit],
            exclusion,
        )
    }

    /// All exclusions of one customer, that from everything first.
    pub fn exclusions_of(&mut self, tenant: i64, customer: &str) -> Result<Vec<Exclusion>, Error> {
        self.query(
            "-- exclusions_of
            SELECT customer, code_fold, reason, created_at, created_by FROM exclusion
            WHERE tenant = $1 AND customer = $2 ORDER BY code_fold",
            values![tenant, customer],
            exclusion,
        )
    }
}

fn exclusion(row: &Row<'_>) -> Result<Exclusion, Error> {
    Ok(Exclusion {
        customer: row.text(0)?,
        code_fold: row.text(1)?,
        reason: row.text(2)?,
        created_at: row.int(3)?,
        created_by: row.text(4)?,
    })
}
