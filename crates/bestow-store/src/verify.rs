//! Statements that look for rows which break an invariant. An empty answer is good news.

use crate::{Error, Tx, values};

/// One broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which rule, by a stable name.
    pub rule: &'static str,
    /// Which row.
    pub object: String,
    /// What is wrong with it.
    pub detail: String,
}

impl Tx<'_> {
    /// Campaigns whose counters do not add up, or whose granted pairs are not the grants in the ledger.
    pub fn verify_counts(&mut self, tenant: i64) -> Result<Vec<Violation>, Error> {
        let mut broken = self.query(
            "-- verify_counts
            SELECT c.id,
                COALESCE(SUM(CASE WHEN n.counter = 'pairs' THEN n.n END), 0) AS pairs,
                COALESCE(SUM(CASE WHEN n.counter IN ('granted', 'repeated') OR n.counter LIKE 'held:%'
                    OR n.counter LIKE 'refused:%' THEN n.n END), 0) AS settled
            FROM campaign c LEFT JOIN campaign_count n ON n.tenant = c.tenant AND n.campaign = c.no
            WHERE c.tenant = $1 GROUP BY c.id HAVING pairs <> settled",
            values![tenant],
            |row| {
                let detail = format!("{} pairs received, {} settled", row.int(1)?, row.int(2)?);
                Ok(Violation { rule: "counts_add_up", object: format!("campaign {}", row.text(0)?), detail })
            },
        )?;
        broken.extend(self.query(
            "-- verify_granted
            SELECT c.id, COALESCE(n.n, 0), COALESCE(held.grants, 0)
            FROM campaign c
            LEFT JOIN campaign_count n ON n.tenant = c.tenant AND n.campaign = c.no AND n.counter = 'granted'
            LEFT JOIN (
                SELECT o.campaign AS campaign, SUM(g.grants) AS grants
                FROM (SELECT offer, COUNT(*) AS grants FROM grants WHERE tenant = $1 GROUP BY offer) g
                JOIN offer o ON o.tenant = $1 AND o.no = g.offer
                GROUP BY o.campaign
            ) held ON held.campaign = c.no
            WHERE c.tenant = $1 AND COALESCE(n.n, 0) <> COALESCE(held.grants, 0)",
            values![tenant],
            |row| {
                let detail = format!("{} counted as granted, {} in the ledger", row.int(1)?, row.int(2)?);
                Ok(Violation { rule: "granted_is_in_ledger", object: format!("campaign {}", row.text(0)?), detail })
            },
        )?);
        Ok(broken)
    }

    /// Grants that point to something which is not there or belongs to another campaign.
    pub fn verify_references(&mut self, tenant: i64) -> Result<Vec<Violation>, Error> {
        self.query(
            "-- verify_references
            SELECT g.customer, g.offer, g.window FROM grants g
            LEFT JOIN offer o ON o.tenant = g.tenant AND o.no = g.offer
            LEFT JOIN eligibility_window w ON w.tenant = g.tenant AND w.no = g.window
            WHERE g.tenant = $1 AND (o.no IS NULL OR w.no IS NULL OR o.campaign <> w.campaign)
            LIMIT 100",
            values![tenant],
            |row| {
                let detail = format!("offer {}, window {}", row.int(1)?, row.int(2)?);
                Ok(Violation {
                    rule: "grant_refers",
                    object: format!("customer {}", row.text(0)?),
                    detail,
                })
            },
        )
    }

    /// Imports whose rows are not the rows of their pages.
    pub fn verify_pages(&mut self, tenant: i64) -> Result<Vec<Violation>, Error> {
        self.query(
            "-- verify_pages
            SELECT i.campaign, i.channel, i.rows, COALESCE(SUM(p.rows), 0) AS landed
            FROM import i LEFT JOIN landed_page p
                ON p.tenant = i.tenant AND p.campaign = i.campaign AND p.channel = i.channel AND p.pass = 1
            WHERE i.tenant = $1 GROUP BY i.campaign, i.channel, i.rows HAVING i.rows <> landed",
            values![tenant],
            |row| {
                let object = format!("campaign no {}, channel {}", row.int(0)?, row.int(1)?);
                let detail = format!("{} rows read, {} landed", row.int(2)?, row.int(3)?);
                Ok(Violation { rule: "rows_have_landed", object, detail })
            },
        )
    }

    /// A row of audit records with a gap.
    pub fn verify_audit(&mut self, tenant: i64) -> Result<Vec<Violation>, Error> {
        self.query(
            "-- verify_audit
            SELECT COUNT(*) AS records, COALESCE(MAX(seq), 0) AS newest FROM audit WHERE tenant = $1
            HAVING records <> newest",
            values![tenant],
            |row| {
                let detail = format!(
                    "{} records, the newest is number {}",
                    row.int(0)?,
                    row.int(1)?
                );
                Ok(Violation {
                    rule: "audit_has_no_gap",
                    object: "audit".into(),
                    detail,
                })
            },
        )
    }
}
