//! Who did what, when and why. Records are only ever added.

use crate::postgres::Numbers;
use crate::{Error, Row, Tx, values};

/// A record to be added, in the transaction of the change it tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditEntry<'a> {
    /// The tenant's number; 0 for the deployment itself.
    pub tenant: i64,
    /// A token's id, `optimove`, `worker`, `cli`.
    pub actor: &'a str,
    /// What was done.
    pub action: &'a str,
    /// To what.
    pub object: &'a str,
    /// JSON: before, after, counts, digests.
    pub detail: &'a str,
}

/// A record as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Place in the tenant's row of records, from 1 without gaps.
    pub seq: u64,
    /// Milliseconds.
    pub at: i64,
    /// Who.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub object: String,
    /// JSON.
    pub detail: String,
    /// What it came from: what [`Tx::correlate`] was told.
    pub correlation: Option<String>,
}

/// What the records of a tenant were at a moment, signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The newest record that it covers.
    pub seq: u64,
    /// When it was signed, in milliseconds.
    pub at: i64,
    /// The hash over all records up to it.
    pub head: Vec<u8>,
    /// The public key.
    pub key: Vec<u8>,
    /// Of the tenant, `seq`, `at` and `head`.
    pub signature: Vec<u8>,
}

macro_rules! checkpoint_columns {
    () => {
        "seq, at, head, key, signature"
    };
}

fn checkpoint(row: &Row<'_>) -> Result<Checkpoint, Error> {
    Ok(Checkpoint {
        seq: row.count(0)?,
        at: row.int(1)?,
        head: row.blob(2)?,
        key: row.blob(3)?,
        signature: row.blob(4)?,
    })
}

impl Tx<'_> {
    /// Adds a record, with what this transaction comes from.
    pub fn audit(&mut self, entry: &AuditEntry<'_>) -> Result<(), Error> {
        let (now, correlation) = (self.now_ms(), self.correlation());
        self.lock_numbers(Numbers::Audit, entry.tenant);
        self.execute(
            "-- audit
            INSERT INTO audit (tenant, at, actor, action, object, detail, correlation, seq)
            SELECT $1, $2, $3, $4, $5, $6, $7, COALESCE(MAX(seq), 0) + 1
            FROM audit WHERE tenant = $1",
            values![
                entry.tenant,
                now,
                entry.actor,
                entry.action,
                entry.object,
                entry.detail,
                correlation.as_deref()
            ],
        )?;
        self.is_audited = true;
        Ok(())
    }

    /// Records of a tenant behind a place, oldest first.
    pub fn audit_records(
        &mut self,
        tenant: i64,
        after: i64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, Error> {
        self.query(
            "-- audit_records
            SELECT seq, at, actor, action, object, detail, correlation FROM audit
            WHERE tenant = $1 AND seq > $2 ORDER BY seq LIMIT $3",
            values![tenant, after, limit],
            |row| {
                Ok(AuditRecord {
                    seq: row.count(0)?,
                    at: row.int(1)?,
                    actor: row.text(2)?,
                    action: row.text(3)?,
                    object: row.text(4)?,
                    detail: row.text(5)?,
                    correlation: row.opt_text(6)?,
                })
            },
        )
    }

    /// The newest checkpoint of a tenant.
    pub fn last_checkpoint(&mut self, tenant: i64) -> Result<Option<Checkpoint>, Error> {
        self.query_one(
            concat!(
                "-- last_checkpoint\nSELECT ",
                checkpoint_columns!(),
                " FROM audit_checkpoint WHERE tenant = $1 ORDER BY seq DESC LIMIT 1"
            ),
            values![tenant],
            checkpoint,
        )
    }

    /// Checkpoints of a tenant behind a record, oldest first.
    pub fn checkpoints(
        &mut self,
        tenant: i64,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Checkpoint>, Error> {
        self.query(
            concat!(
                "-- checkpoints\nSELECT ",
                checkpoint_columns!(),
                " FROM audit_checkpoint WHERE tenant = $1 AND seq > $2 ORDER BY seq LIMIT $3"
            ),
            values![tenant, after, limit],
            checkpoint,
        )
    }

    /// Adds a checkpoint behind the one that covers the records up to `after`; 0: there is none. False where another
    /// process was faster.
    pub fn add_checkpoint(
        &mut self,
        tenant: i64,
        after: u64,
        checkpoint: &Checkpoint,
    ) -> Result<bool, Error> {
        let added = self.execute(
            "-- add_checkpoint
            INSERT INTO audit_checkpoint (tenant, seq, at, head, key, signature)
            SELECT $1, $2, $3, $4, $5, $6
            WHERE (SELECT COALESCE(MAX(seq), 0) FROM audit_checkpoint WHERE tenant = $1) = $7",
            values![
                tenant,
                checkpoint.seq as i64,
                checkpoint.at,
                &checkpoint.head[..],
                &checkpoint.key[..],
                &checkpoint.signature[..],
                after as i64
            ],
        )?;
        Ok(added == 1)
    }
}
