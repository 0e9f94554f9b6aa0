//! What became of notices that a campaign was cancelled, and the cross-check with Optimove's list.

use crate::jobs::Job;
use crate::{Error, Tx, values};

/// A notice as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancellation {
    /// Milliseconds; when the notification was taken in.
    pub notified_at: i64,
    /// asking, confirmed, contradicted, unconfirmed or overruled.
    pub state: String,
    /// What the first look was worth: contradicts or `cannot_tell`; `None`: no look yet.
    pub doubt: Option<String>,
    /// The list of cancelled customers beside ours.
    pub counts: ListCounts,
    /// Milliseconds; nothing is left to be asked.
    pub settled_at: Option<i64>,
}

/// Optimove's list of cancelled customers beside our grants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListCounts {
    /// Its rows.
    pub rows: u64,
    /// Distinct pairs in it.
    pub listed: u64,
    /// Listed pairs without a grant here.
    pub not_ours: u64,
    /// Grants here that it does not list.
    pub not_listed: u64,
}

/// A pair of the list: a customer and an offer of the campaign.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedPair {
    /// As spelled.
    pub customer: String,
    /// `offer.no`.
    pub offer: u32,
}

impl Tx<'_> {
    /// Takes a notice down. False where an earlier one about this campaign is not settled yet.
    pub fn begin_cancellation(
        &mut self,
        tenant: i64,
        campaign: i64,
        notified_at: i64,
    ) -> Result<bool, Error> {
        let changed = self.execute(
            "-- begin_cancellation
            INSERT INTO cancellation (tenant, campaign, notified_at, state) VALUES ($1, $2, $3, 'asking')
            ON CONFLICT (tenant, campaign) DO UPDATE SET notified_at = excluded.notified_at, state = 'asking',
                doubt = NULL, rows = 0, listed = 0, not_ours = 0, not_listed = 0, settled_at = NULL
            WHERE cancellation.settled_at IS NOT NULL",
            values![tenant, campaign, notified_at],
        )?;
        Ok(changed == 1)
    }

    /// The newest notice about a campaign.
    pub fn cancellation(
        &mut self,
        tenant: i64,
        campaign: i64,
    ) -> Result<Option<Cancellation>, Error> {
        self.query_one(
            "-- cancellation
            SELECT notified_at, state, doubt, rows, listed, not_ours, not_listed, settled_at
            FROM cancellation WHERE tenant = $1 AND campaign = $2",
            values![tenant, campaign],
            |row| {
                Ok(Cancellation {
                    notified_at: row.int(0)?,
                    state: row.text(1)?,
                    doubt: row.opt_text(2)?,
                    counts: ListCounts {
                        rows: row.count(3)?,
                        listed: row.count(4)?,
                        not_ours: row.count(5)?,
                        not_listed: row.count(6)?,
                    },
                    settled_at: row.opt_int(7)?,
                })
            },
        )
    }

    /// Notes what the first look was worth.
    pub fn doubt_cancellation(
        &mut self,
        job: &Job,
        campaign: i64,
        doubt: &str,
    ) -> Result<(), Error> {
        self.check_lease(job)?;
        self.execute(
            "-- doubt_cancellation
            UPDATE cancellation SET doubt = $1 WHERE tenant = $2 AND campaign = $3 AND settled_at IS NULL",
            values![doubt, job.tenant, campaign],
        )?;
        Ok(())
    }

    /// Decides what a notice was worth. False where that is decided already.
    pub fn decide_cancellation(
        &mut self,
        job: &Job,
        campaign: i64,
        state: &str,
    ) -> Result<bool, Error> {
        self.check_lease(job)?;
        let changed = self.execute(
            "-- decide_cancellation
            UPDATE cancellation SET state = $1
            WHERE tenant = $2 AND campaign = $3 AND state = 'asking' AND settled_at IS NULL",
            values![state, job.tenant, campaign],
        )?;
        Ok(changed == 1)
    }

    /// Ends a notice with what the list said. False where it is ended already.
    pub fn settle_cancellation(
        &mut self,
        job: &Job,
        campaign: i64,
        counts: ListCounts,
    ) -> Result<bool, Error> {
        self.check_lease(job)?;
        let now = self.now_ms();
        let changed = self.execute(
            "-- settle_cancellation
            UPDATE cancellation SET rows = $1, listed = $2, not_ours = $3, not_listed = $4, settled_at = $5
            WHERE tenant = $6 AND campaign = $7 AND settled_at IS NULL",
            values![
                counts.rows as i64, counts.listed as i64, counts.not_ours as i64,
                counts.not_listed as i64, now, job.tenant, campaign
            ],
        )?;
        Ok(changed == 1)
    }

    /// Has the list of a confirmed notice compared once more. False where it was never compared, or is being compared.
    pub fn compare_again(&mut self, tenant: i64, campaign: i64) -> Result<bool, Error> {
        let changed = self.execute(
            "-- compare_again
            UPDATE cancellation SET settled_at = NULL
            WHERE tenant = $1 AND campaign = $2 AND state = 'confirmed' AND settled_at IS NOT NULL",
            values![tenant, campaign],
        )?;
        Ok(changed == 1)
    }

    /// A person decided before Optimove did. True where it was still being asked.
    pub fn overrule_cancellation(&mut self, tenant: i64, campaign: i64) -> Result<bool, Error> {
        let now = self.now_ms();
        let changed = self.execute(
            "-- overrule_cancellation
            UPDATE cancellation SET state = 'overruled', settled_at = $1
            WHERE tenant = $2 AND campaign = $3 AND settled_at IS NULL",
            values![now, tenant, campaign],
        )?;
        Ok(changed == 1)
    }

    /// How many of these pairs have a grant. Quickest in the order of customers.
    pub fn pairs_granted(&mut self, tenant: i64, pairs: &[ListedPair]) -> Result<u64, Error> {
        let mut find = self.prepare(
            "-- pair_granted
            SELECT 1 FROM grants WHERE tenant = $1 AND customer = $2 AND offer = $3 LIMIT 1",
        )?;
        let mut granted = 0;
        for pair in pairs {
            let found = find.query_one(values![tenant, &pair.customer, pair.offer], |row| {
                row.int(0)
            })?;
            granted += u64::from(found.is_some());
        }
        Ok(granted)
    }
}
