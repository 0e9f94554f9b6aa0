//! Pools of unique codes: loading, looking up, taking out.

use bestow_core::UniqueCode;

use crate::{Error, Row, Tx, pairs, values};

/// A pool with its figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Number within the tenant.
    pub no: i64,
    /// The promotion's code, folded.
    pub code_fold: String,
    /// Codes ever loaded.
    pub loaded: u64,
    /// Codes that belong to a customer.
    pub assigned: u64,
    /// Codes taken out before anybody had them.
    pub void: u64,
    /// Grants that got the fallback code.
    pub fallbacks: u64,
    /// All codes with a smaller number are taken.
    pub next_code: u32,
    /// The lowest percentage left that was warned of; 100: none.
    pub warned: i64,
}

impl Pool {
    /// Codes that can still be given.
    pub fn free(&self) -> u64 {
        self.loaded.saturating_sub(self.assigned + self.void)
    }
}

macro_rules! pool_columns {
    () => {
        "no, code_fold, loaded, assigned, void, fallbacks, next_code, warned"
    };
}

fn pool(row: &Row<'_>) -> Result<Pool, Error> {
    Ok(Pool {
        no: row.int(0)?,
        code_fold: row.text(1)?,
        loaded: row.count(2)?,
        assigned: row.count(3)?,
        void: row.count(4)?,
        fallbacks: row.count(5)?,
        next_code: row.int(6)? as u32,
        warned: row.int(7)?,
    })
}

/// What a code is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundCode {
    /// `code_pool.no`.
    pub pool: i64,
    /// Its number there.
    pub no: u32,
    /// The promotion it is for, folded.
    pub code_fold: String,
    /// As it is shown.
    pub code: String,
    /// What became of it.
    pub state: CodeState,
}

/// What became of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeState {
    /// Nobody has it yet.
    Free,
    /// Nobody will ever have it.
    Void,
    /// It belongs to a customer.
    Assigned {
        /// The customer, exactly.
        customer: String,
        /// `offer.no` of the grant.
        offer: u32,
        /// Occurrence of the grant.
        occurrence: String,
    },
}

/// Codes that one request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeBatch {
    /// `code_pool.no`.
    pub pool: i64,
    /// Who asks.
    pub actor: String,
    /// What the asker names the request by.
    pub key: String,
}

/// How far a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchState {
    /// How many codes were asked for.
    pub wanted: u64,
    /// How many of them are loaded.
    pub made: u64,
}

impl BatchState {
    /// How many are still to be made.
    pub fn missing(&self) -> u64 {
        self.wanted.saturating_sub(self.made)
    }
}

impl Tx<'_> {
    /// Makes the pool of a promotion, where there is none.
    pub(crate) fn make_pool(&mut self, tenant: i64, code_fold: &str) -> Result<(), Error> {
        self.lock_terms(tenant);
        self.execute(
            "-- make_pool
            INSERT INTO code_pool (tenant, code_fold, no)
            SELECT $1, $2, COALESCE(MAX(no), 0) + 1
            FROM code_pool WHERE tenant = $1
            ON CONFLICT (tenant, code_fold) DO NOTHING",
            values![tenant, code_fold],
        )?;
        Ok(())
    }

    /// The pool of a promotion.
    pub fn pool(&mut self, tenant: i64, code_fold: &str) -> Result<Option<Pool>, Error> {
        self.query_one(
            concat!(
                "-- pool\nSELECT ",
                pool_columns!(),
                " FROM code_pool WHERE tenant = $1 AND code_fold = $2"
            ),
            values![tenant, code_fold],
            pool,
        )
    }

    /// All pools of a tenant, in the order of promotions.
    pub fn pools(&mut self, tenant: i64) -> Result<Vec<Pool>, Error> {
        self.query(
            concat!(
                "-- pools\nSELECT ",
                pool_columns!(),
                " FROM code_pool WHERE tenant = $1 ORDER BY code_fold"
            ),
            values![tenant],
            pool,
        )
    }

    /// Pools with at most this share of their codes left that were warned of at a higher mark only, if at all.
    pub fn pools_at_most(&mut self, tenant: i64, percent: u8) -> Result<Vec<Pool>, Error> {
        self.query(
            concat!(
                "-- pools_at_most\nSELECT ",
                pool_columns!(),
                " FROM code_pool
                WHERE tenant = $1 AND warned > 0 AND (loaded - assigned - void) * 100 <= loaded * $2
                ORDER BY code_fold"
            ),
            values![tenant, i64::from(percent)],
            pool,
        )
    }

    /// Remembers what was warned of.
    pub fn set_pool_warned(&mut self, tenant: i64, pool: i64, percent: i64) -> Result<(), Error> {
        self.execute(
            "-- set_pool_warned
            UPDATE code_pool SET warned = $1 WHERE tenant = $2 AND no = $3",
            values![percent, tenant, pool],
        )?;
        Ok(())
    }

    /// Adds codes to a pool, numbered on in the order given. One that any pool of the tenant has already is left out.
    /// Gives how many were added.
    pub fn load_codes(
        &mut self,
        tenant: i64,
        pool: &Pool,
        codes: &[UniqueCode],
    ) -> Result<u64, Error> {
        self.lock_rows(pairs::LOCK_POOL_NO, values![tenant, pool.no])?;
        let loaded = self.query_one(
            "-- codes_loaded
            SELECT loaded FROM code_pool WHERE tenant = $1 AND no = $2",
            values![tenant, pool.no],
            |row| row.count(0),
        )?;
        let loaded = loaded.ok_or_else(|| Error::Corrupt("a pool vanished".into()))?;
        let mut insert = self.prepare(
            "-- load_code
            INSERT INTO pool_code (tenant, pool, no, code, code_key) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (tenant, code_key) DO NOTHING",
        )?;
        let mut added = 0;
        for code in codes {
            let no = number(loaded + added + 1)?;
            added +=
                insert.execute(values![tenant, pool.no, no, code.spelling(), code.key()])? as u64;
        }
        self.execute(
            "-- count_loaded
            UPDATE code_pool SET loaded = loaded + $1 WHERE tenant = $2 AND no = $3",
            values![added as i64, tenant, pool.no],
        )?;
        Ok(added)
    }

    /// Begins a batch of codes, or finds the one that was begun: it stays as it was asked for first.
    pub fn begin_batch(
        &mut self,
        tenant: i64,
        batch: &CodeBatch,
        wanted: u64,
    ) -> Result<BatchState, Error> {
        let now = self.now_ms();
        self.execute(
            "-- begin_batch
            INSERT INTO code_batch (tenant, pool, actor, key, wanted, created_at) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (tenant, pool, actor, key) DO NOTHING",
            values![tenant, batch.pool, &batch.actor, &batch.key, wanted as i64, now],
        )?;
        self.batch(tenant, batch)
    }

    /// Loads as many of these codes as a batch is short of. Gives how many were added, and how far it is then.
    pub fn load_batch(
        &mut self,
        tenant: i64,
        pool: &Pool,
        batch: &CodeBatch,
        codes: &[UniqueCode],
    ) -> Result<(u64, BatchState), Error> {
        self.lock_rows(pairs::LOCK_POOL_NO, values![tenant, pool.no])?;
        let before = self.batch(tenant, batch)?;
        let missing = usize::try_from(before.missing()).unwrap_or(usize::MAX);
        let added = self.load_codes(tenant, pool, &codes[..codes.len().min(missing)])?;
        self.execute(
            "-- move_batch
            UPDATE code_batch SET made = made + $1 WHERE tenant = $2 AND pool = $3 AND actor = $4 AND key = $5",
            values![added as i64, tenant, batch.pool, &batch.actor, &batch.key],
        )?;
        let made = before.made + added;
        Ok((added, BatchState { made, ..before }))
    }

    fn batch(&mut self, tenant: i64, batch: &CodeBatch) -> Result<BatchState, Error> {
        let found = self.query_one(
            "-- batch
            SELECT wanted, made FROM code_batch WHERE tenant = $1 AND pool = $2 AND actor = $3 AND key = $4",
            values![tenant, batch.pool, &batch.actor, &batch.key],
            |row| {
                Ok(BatchState {
                    wanted: row.count(0)?,
                    made: row.count(1)?,
                })
            },
        )?;
        found.ok_or_else(|| Error::Corrupt("a batch of codes vanished".into()))
    }

    /// A code by its key, whatever became of it.
    pub fn find_code(&mut self, tenant: i64, key: &str) -> Result<Option<FoundCode>, Error> {
        self.query_one(
            "-- find_code
            SELECT c.pool, c.no, p.code_fold, COALESCE(c.code, c.code_key), t.no, t.customer, t.offer, t.occurrence
            FROM pool_code c JOIN code_pool p ON p.tenant = c.tenant AND p.no = c.pool
            LEFT JOIN taken_code t ON t.tenant = c.tenant AND t.pool = c.pool AND t.no = c.no
            WHERE c.tenant = $1 AND c.code_key = $2",
            values![tenant, key],
            |row| {
                let state = match (row.opt_int(4)?, row.opt_text(5)?) {
                    (None, _) => CodeState::Free,
                    (Some(_), None) => CodeState::Void,
                    (Some(_), Some(customer)) => CodeState::Assigned {
                        customer,
                        offer: row.int(6)? as u32,
                        occurrence: row.text(7)?,
                    },
                };
                Ok(FoundCode {
                    pool: row.int(0)?,
                    no: row.int(1)? as u32,
                    code_fold: row.text(2)?,
                    code: row.text(3)?,
                    state,
                })
            },
        )
    }

    /// Takes a free code out for good. Refused by its key where it is taken.
    pub fn void_code(&mut self, tenant: i64, code: &FoundCode) -> Result<(), Error> {
        self.lock_rows(pairs::LOCK_POOL_NO, values![tenant, code.pool])?;
        self.execute(
            "-- void_code
            INSERT INTO taken_code (tenant, pool, no) VALUES ($1, $2, $3)",
            values![tenant, code.pool, code.no],
        )?;
        self.execute(
            "-- count_void
            UPDATE code_pool SET void = void + 1 WHERE tenant = $1 AND no = $2",
            values![tenant, code.pool],
        )?;
        Ok(())
    }

    /// A code of a promotion by its number, as it is shown.
    pub fn code_shown(
        &mut self,
        tenant: i64,
        code_fold: &str,
        no: u32,
    ) -> Result<Option<String>, Error> {
        self.query_one(
            "-- code_shown
            SELECT COALESCE(c.code, c.code_key)
            FROM code_pool p JOIN pool_code c ON c.tenant = p.tenant AND c.pool = p.no
            WHERE p.tenant = $1 AND p.code_fold = $2 AND c.no = $3",
            values![tenant, code_fold, no],
            |row| row.text(0),
        )
    }

    /// Whether any campaign that offers a code has granted something.
    pub fn code_is_granted(&mut self, tenant: i64, code_fold: &str) -> Result<bool, Error> {
        let found = self.query_one(
            "-- code_is_granted
            SELECT 1 FROM offer o JOIN campaign_count n ON n.tenant = o.tenant AND n.campaign = o.campaign
            WHERE o.tenant = $1 AND o.code_fold = $2 AND n.counter = 'granted' AND n.n > 0 LIMIT 1",
            values![tenant, code_fold],
            |row| row.int(0),
        )?;
        Ok(found.is_some())
    }
}

/// A code's number, which a grant keeps in 32 bits.
fn number(no: u64) -> Result<u32, Error> {
    u32::try_from(no).map_err(|_| Error::Corrupt("a pool has more codes than it can number".into()))
}
