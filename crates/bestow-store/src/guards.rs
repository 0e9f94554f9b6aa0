//! What campaigns would give, weighed before anything of them is granted, and what people decided about it.

use crate::{Error, Tx, values};

/// Earlier runs that a campaign is compared with, the newest ones.
const RUNS_MAX: u32 = 10;

/// What is kept about a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// asked, passed, held, approved or refused.
    pub state: String,
    /// Who wanted to see it before it is granted.
    pub asked_by: Option<String>,
    /// JSON; `None`: not weighed yet.
    pub figures: Option<String>,
    /// JSON.
    pub beyond: Option<String>,
    /// Milliseconds.
    pub weighed_at: Option<i64>,
    /// JSON: the figures that somebody approved.
    pub approved: Option<String>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// Milliseconds.
    pub decided_at: Option<i64>,
    /// Of the decision, for people.
    pub reason: Option<String>,
}

/// What weighing came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighed {
    /// passed, held or approved.
    pub state: &'static str,
    /// What its runs have in common; `None`: not told.
    pub run_of: Option<String>,
    /// Distinct customers.
    pub customers: u64,
    /// JSON.
    pub figures: String,
    /// JSON.
    pub beyond: String,
}

impl Tx<'_> {
    /// What is kept about a campaign.
    pub fn guard(&mut self, tenant: i64, campaign: i64) -> Result<Option<Guard>, Error> {
        self.query_one(
            "-- guard
            SELECT state, asked_by, figures, beyond, weighed_at, approved, decided_by, decided_at, reason
            FROM campaign_guard WHERE tenant = $1 AND campaign = $2",
            values![tenant, campaign],
            |row| {
                Ok(Guard {
                    state: row.text(0)?,
                    asked_by: row.opt_text(1)?,
                    figures: row.opt_text(2)?,
                    beyond: row.opt_text(3)?,
                    weighed_at: row.opt_int(4)?,
                    approved: row.opt_text(5)?,
                    decided_by: row.opt_text(6)?,
                    decided_at: row.opt_int(7)?,
                    reason: row.opt_text(8)?,
                })
            },
        )
    }

    /// Notes that somebody wants to see what a campaign would give before anything of it is granted. False where
    /// somebody did before, or it is decided.
    pub fn ask_to_see(&mut self, tenant: i64, campaign: i64, by: &str) -> Result<bool, Error> {
        let changed = self.execute(
            "-- ask_to_see
            INSERT INTO campaign_guard (tenant, campaign, state, asked_by) VALUES ($1, $2, 'asked', $3)
            ON CONFLICT (tenant, campaign) DO UPDATE SET state = 'asked', asked_by = excluded.asked_by
            WHERE campaign_guard.state = 'passed'",
            values![tenant, campaign, by],
        )?;
        Ok(changed == 1)
    }

    /// Keeps what a campaign would give, and what comes of that. What was decided stays beside it.
    pub fn put_weighed(
        &mut self,
        tenant: i64,
        campaign: i64,
        weighed: &Weighed,
    ) -> Result<(), Error> {
        let now = self.now_ms();
        self.execute(
            "-- put_weighed
            INSERT INTO campaign_guard (tenant, campaign, state, run_of, customers, figures, beyond, weighed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (tenant, campaign) DO UPDATE SET state = excluded.state, run_of = excluded.run_of,
                customers = excluded.customers, figures = excluded.figures, beyond = excluded.beyond,
                weighed_at = excluded.weighed_at
            WHERE campaign_guard.state <> 'refused'",
            values![
                tenant,
                campaign,
                weighed.state,
                weighed.run_of.as_ref(),
                weighed.customers as i64,
                &weighed.figures,
                &weighed.beyond,
                now
            ],
        )?;
        Ok(())
    }

    /// Decides about a campaign that waits for somebody. Approving covers the figures that are in view. False where it
    /// does not wait.
    pub fn decide_guard(
        &mut self,
        tenant: i64,
        campaign: i64,
        state: &str,
        by: &str,
        reason: &str,
    ) -> Result<bool, Error> {
        let now = self.now_ms();
        let changed = self.execute(
            "-- decide_guard
            UPDATE campaign_guard SET state = $1, decided_by = $2, reason = $3, decided_at = $4,
                approved = CASE WHEN $1 = 'approved' THEN figures ELSE approved END
            WHERE tenant = $5 AND campaign = $6 AND state = 'held'",
            values![state, by, reason, now, tenant, campaign],
        )?;
        Ok(changed == 1)
    }

    /// Customers of the largest of the newest earlier runs that were let through; `None` where there was none.
    pub fn largest_run(
        &mut self,
        tenant: i64,
        run_of: &str,
        campaign: i64,
    ) -> Result<Option<u64>, Error> {
        let found = self.query(
            "-- largest_run
            SELECT customers FROM campaign_guard
            WHERE tenant = $1 AND run_of = $2 AND campaign < $3 AND state IN ('passed', 'approved')
            ORDER BY campaign DESC LIMIT $4",
            values![tenant, run_of, campaign, RUNS_MAX],
            |row| row.count(0),
        )?;
        Ok(found.into_iter().max())
    }

    /// Optimove's ids of campaigns that wait for a second person, the first that were heard of.
    pub fn campaigns_undecided(&mut self, tenant: i64, limit: u32) -> Result<Vec<String>, Error> {
        self.query(
            "-- campaigns_undecided
            SELECT c.id FROM campaign_guard g JOIN campaign c ON c.tenant = g.tenant AND c.no = g.campaign
            WHERE g.tenant = $1 AND g.state = 'held' AND c.revoked_at IS NULL ORDER BY g.campaign LIMIT $2",
            values![tenant, limit],
            |row| row.text(0),
        )
    }

    /// What Optimove said of a campaign when it last said something new, as JSON.
    pub fn newest_document(&mut self, tenant: i64, campaign: i64) -> Result<Option<String>, Error> {
        self.query_one(
            "-- newest_document
            SELECT document FROM campaign_details WHERE tenant = $1 AND campaign = $2 ORDER BY version DESC LIMIT 1",
            values![tenant, campaign],
            |row| row.text(0),
        )
    }
}
