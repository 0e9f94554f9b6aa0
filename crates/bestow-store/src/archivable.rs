//! Which campaigns may leave the ledger.

use crate::{Error, Tx, values};

/// A triggered campaign, and how far its triggers are archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggeredCampaign {
    /// `campaign.no`.
    pub no: i64,
    /// Milliseconds.
    pub first_seen_at: i64,
    /// Milliseconds; 0: nothing is.
    pub archived_until: i64,
}

impl Tx<'_> {
    /// Campaigns behind a number that are not triggered, whose windows have all ended by an instant or for which the
    /// daily lists have ended as many grants as there are, and which are not archived.
    pub fn ended_campaigns(
        &mut self,
        tenant: i64,
        after: i64,
        ended_by_ms: i64,
        limit: u32,
    ) -> Result<Vec<i64>, Error> {
        self.query(
            "-- ended_campaigns
            SELECT c.no FROM campaign c
            WHERE c.tenant = $1 AND c.no > $2 AND c.kind IN ('scheduled', 'conditional')
                AND (c.windows_end_at <= $3 OR c.ended > 0)
                AND NOT EXISTS (SELECT 1 FROM archive a WHERE a.tenant = c.tenant AND a.campaign = c.no AND a.month = '')
            ORDER BY c.no LIMIT $4",
            values![tenant, after, ended_by_ms, limit],
            |row| row.int(0),
        )
    }

    /// Triggered campaigns behind a number.
    pub fn triggered_campaigns(
        &mut self,
        tenant: i64,
        after: i64,
        limit: u32,
    ) -> Result<Vec<TriggeredCampaign>, Error> {
        self.query(
            "-- triggered_campaigns
            SELECT c.no, c.first_seen_at,
                (SELECT COALESCE(MAX(a.until), 0) FROM archive a WHERE a.tenant = c.tenant AND a.campaign = c.no)
            FROM campaign c WHERE c.tenant = $1 AND c.no > $2 AND c.kind = 'triggered' ORDER BY c.no LIMIT $3",
            values![tenant, after, limit],
            |row| {
                Ok(TriggeredCampaign {
                    no: row.int(0)?,
                    first_seen_at: row.int(1)?,
                    archived_until: row.int(2)?,
                })
            },
        )
    }

    /// Whether a campaign has jobs of one of these kinds, or rounds or a cancel that are not settled.
    pub fn has_work(&mut self, tenant: i64, campaign: i64, kinds: &[&str]) -> Result<bool, Error> {
        for kind in kinds {
            let found = self.query_one(
                "-- job_of_campaign
                SELECT 1 FROM job WHERE tenant = $1 AND kind = $2 AND (key = $3 OR key LIKE $3 || '/%')",
                values![tenant, *kind, &campaign.to_string()],
                |row| row.int(0),
            )?;
            if found.is_some() {
                return Ok(true);
            }
        }
        let open = self.query_one(
            "-- unsettled_campaign
            SELECT 1 FROM campaign c WHERE c.tenant = $1 AND c.no = $2 AND (c.merge_to IS NOT NULL
                OR EXISTS (SELECT 1 FROM import i
                    WHERE i.tenant = $1 AND i.campaign = $2 AND i.state <> 'done')
                OR EXISTS (SELECT 1 FROM clearance_round r
                    WHERE r.tenant = $1 AND r.campaign = $2 AND r.state <> 'closed')
                OR EXISTS (SELECT 1 FROM cancellation x
                    WHERE x.tenant = $1 AND x.campaign = $2 AND x.settled_at IS NULL))",
            values![tenant, campaign],
            |row| row.int(0),
        )?;
        Ok(open.is_some())
    }
}
