//! Differences between us and Optimove: recorded, shown, never silently repaired.

use crate::{Error, Row, Tx, values};

/// A finding as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of difference.
    pub kind: String,
    /// About what.
    pub object: String,
    /// In words.
    pub detail: String,
    /// Milliseconds; first seen.
    pub found_at: i64,
    /// Milliseconds; last seen.
    pub seen_at: i64,
    /// Milliseconds; settled.
    pub resolved_at: Option<i64>,
}

macro_rules! finding_columns {
    () => {
        "kind, object, detail, found_at, seen_at, resolved_at"
    };
}

fn finding(row: &Row<'_>) -> Result<Finding, Error> {
    Ok(Finding {
        kind: row.text(0)?,
        object: row.text(1)?,
        detail: row.text(2)?,
        found_at: row.int(3)?,
        seen_at: row.int(4)?,
        resolved_at: row.opt_int(5)?,
    })
}

impl Tx<'_> {
    /// Records a difference, or that it is still there.
    pub fn find(
        &mut self,
        tenant: i64,
        kind: &str,
        object: &str,
        detail: &str,
    ) -> Result<(), Error> {
        let now = self.now_ms();
        self.execute(
            "-- find
            INSERT INTO finding (tenant, kind, object, detail, found_at, seen_at) VALUES ($1, $2, $3, $4, $5, $5)
            ON CONFLICT (tenant, kind, object) DO UPDATE SET
                detail = excluded.detail, seen_at = excluded.seen_at, resolved_at = NULL",
            values![tenant, kind, object, detail, now],
        )?;
        Ok(())
    }

    /// Settles a difference that is no more.
    pub fn resolve_finding(&mut self, tenant: i64, kind: &str, object: &str) -> Result<(), Error> {
        let now = self.now_ms();
        self.execute(
            "-- resolve_finding
            UPDATE finding SET resolved_at = $1
            WHERE tenant = $2 AND kind = $3 AND object = $4 AND resolved_at IS NULL",
            values![now, tenant, kind, object],
        )?;
        Ok(())
    }

    /// A finding, whether it is open or settled.
    pub fn finding(
        &mut self,
        tenant: i64,
        kind: &str,
        object: &str,
    ) -> Result<Option<Finding>, Error> {
        self.query_one(
            concat!(
                "-- finding\nSELECT ",
                finding_columns!(),
                " FROM finding
                WHERE tenant = $1 AND kind = $2 AND object = $3"
            ),
            values![tenant, kind, object],
            finding,
        )
    }

    /// Open findings of a tenant.
    pub fn findings(&mut self, tenant: i64) -> Result<Vec<Finding>, Error> {
        self.query(
            concat!(
                "-- findings\nSELECT ",
                finding_columns!(),
                " FROM finding
                WHERE tenant = $1 AND resolved_at IS NULL ORDER BY kind, object"
            ),
            values![tenant],
            finding,
        )
    }
}
