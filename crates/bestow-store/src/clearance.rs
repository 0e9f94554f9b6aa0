//! Clearance rounds: how far each is, whom it denied, and what becomes of its grants.

use crate::door::Promise;
use crate::grants::RoundFacts;
use crate::jobs::Job;
use crate::{Error, Row, Tx, pairs, values};

/// A round as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// Counted per campaign; its pages have channel `-no`.
    pub no: i64,
    /// Milliseconds; `ClearanceRequiredBy`.
    pub deadline: i64,
    /// Milliseconds; when event 5 was taken in.
    pub asked_at: i64,
    /// wanted, reading, deciding or closed.
    pub state: String,
    /// Customers up to here (folded) are decided.
    pub decided_through: Option<String>,
    /// Customers up to here (folded) may be known to Optimove.
    pub sent_through: Option<String>,
    /// Customers up to here (folded) are reported.
    pub reported_through: Option<String>,
    /// Customers decided.
    pub customers: u64,
    /// Customers decided true.
    pub approved: u64,
    /// Customers decided false.
    pub denied: u64,
    /// Customers reported true, and taken.
    pub reported: u64,
    /// Milliseconds.
    pub closed_at: Option<i64>,
    /// complete, or why it ended before.
    pub close_reason: Option<String>,
}

impl Round {
    /// The channel of its pages.
    pub fn channel(&self) -> i64 {
        -self.no
    }

    /// Whether nothing is to be done for it any more.
    pub fn is_closed(&self) -> bool {
        self.state == "closed"
    }
}

macro_rules! round_columns {
    () => {
        "no, deadline, asked_at, state, decided_through, sent_through, reported_through, customers, approved, denied,
         reported, closed_at, close_reason"
    };
}

fn round(row: &Row<'_>) -> Result<Round, Error> {
    Ok(Round {
        no: row.int(0)?,
        deadline: row.int(1)?,
        asked_at: row.int(2)?,
        state: row.text(3)?,
        decided_through: row.opt_text(4)?,
        sent_through: row.opt_text(5)?,
        reported_through: row.opt_text(6)?,
        customers: row.count(7)?,
        approved: row.count(8)?,
        denied: row.count(9)?,
        reported: row.count(10)?,
        closed_at: row.opt_int(11)?,
        close_reason: row.opt_text(12)?,
    })
}

/// A stretch of a round, decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decided {
    /// The last customer in it, folded: where the cursor stands afterwards.
    pub through: String,
    /// Customers decided true.
    pub approved: u64,
    /// Customers decided false.
    pub denied: u64,
}

/// A customer whom a campaign must not reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Optimove's customer id, exactly.
    pub customer: String,
    /// The round that decided so.
    pub round: i64,
    /// Why: a reason to refuse or to hold.
    pub reason: String,
    /// How many pairs are counted for it.
    pub pairs: i64,
}

fn denial(row: &Row<'_>) -> Result<Denial, Error> {
    Ok(Denial {
        customer: row.text(0)?,
        round: row.int(1)?,
        reason: row.text(2)?,
        pairs: row.int(3)?,
    })
}

impl Tx<'_> {
    /// Makes a scheduled campaign a conditional one. True where it is one now.
    pub fn make_conditional(&mut self, tenant: i64, campaign: i64) -> Result<bool, Error> {
        let changed = self.execute(
            "-- make_conditional
            UPDATE campaign SET kind = 'conditional'
            WHERE tenant = $1 AND no = $2 AND kind IN ('scheduled', 'conditional')",
            values![tenant, campaign],
        )?;
        Ok(changed == 1)
    }

    /// Opens a round. Gives its number; `None` where there is one with this deadline, or the campaign is archived.
    pub fn open_round(
        &mut self,
        tenant: i64,
        campaign: i64,
        deadline: i64,
    ) -> Result<Option<i64>, Error> {
        let now = self.now_ms();
        self.lock_rows(pairs::LOCK_CAMPAIGN, values![tenant, campaign])?;
        self.query_one(
            "-- open_round
            INSERT INTO clearance_round (tenant, campaign, deadline, asked_at, state, no)
            SELECT $1, $2, $3, $4, 'wanted', COALESCE(MAX(no), 0) + 1
            FROM clearance_round WHERE tenant = $1 AND campaign = $2
            HAVING NOT EXISTS (SELECT 1 FROM archive WHERE tenant = $1 AND campaign = $2 AND month = '')
            ON CONFLICT (tenant, campaign, deadline) DO NOTHING RETURNING no",
            values![tenant, campaign, deadline, now],
            |row| row.int(0),
        )
    }

    /// All rounds of a campaign, the earliest deadline first.
    pub fn rounds(&mut self, tenant: i64, campaign: i64) -> Result<Vec<Round>, Error> {
        self.query(
            concat!(
                "-- rounds\nSELECT ",
                round_columns!(),
                " FROM clearance_round WHERE tenant = $1 AND campaign = $2 ORDER BY deadline"
            ),
            values![tenant, campaign],
            round,
        )
    }

    /// What decides about the grants of a round.
    pub fn round_facts(
        &mut self,
        tenant: i64,
        campaign: i64,
        no: i64,
    ) -> Result<Option<RoundFacts>, Error> {
        self.query_one(
            "-- round_facts
            SELECT deadline, reported_through FROM clearance_round WHERE tenant = $1 AND campaign = $2 AND no = $3",
            values![tenant, campaign, no],
            |row| {
                Ok(RoundFacts {
                    deadline: row.int(0)?,
                    reported_through: row.opt_text(1)?,
                })
            },
        )
    }

    /// The channel of a landed page: below 0 it is of a clearance round. Never changes.
    pub fn page_channel(
        &mut self,
        tenant: i64,
        campaign: i64,
        page: u32,
    ) -> Result<Option<i64>, Error> {
        self.query_one(
            "-- page_channel
            SELECT channel FROM landed_page WHERE tenant = $1 AND campaign = $2 AND page = $3",
            values![tenant, campaign, page],
            |row| row.int(0),
        )
    }

    /// Moves an open round to another state.
    pub fn set_round_state(
        &mut self,
        job: &Job,
        campaign: i64,
        no: i64,
        state: &str,
    ) -> Result<(), Error> {
        self.check_lease(job)?;
        self.execute(
            "-- set_round_state
            UPDATE clearance_round SET state = $1 WHERE tenant = $2 AND campaign = $3 AND no = $4 AND state <> 'closed'",
            values![state, job.tenant, campaign, no],
        )?;
        Ok(())
    }

    /// Closes a round for good. True where it was open.
    pub fn close_round(
        &mut self,
        tenant: i64,
        campaign: i64,
        no: i64,
        reason: &str,
    ) -> Result<bool, Error> {
        let now = self.now_ms();
        let changed = self.execute(
            "-- close_round
            UPDATE clearance_round SET state = 'closed', closed_at = $1, close_reason = $2
            WHERE tenant = $3 AND campaign = $4 AND no = $5 AND state <> 'closed'",
            values![now, reason, tenant, campaign, no],
        )?;
        Ok(changed == 1)
    }

    /// Moves the cursor of decisions behind a stretch. False where it is there already, or the round is closed.
    pub fn move_decided(
        &mut self,
        tenant: i64,
        campaign: i64,
        no: i64,
        decided: &Decided,
    ) -> Result<bool, Error> {
        let changed = self.execute(
            "-- move_decided
            UPDATE clearance_round SET decided_through = $1, approved = approved + $2, denied = denied + $3,
                customers = customers + $2 + $3
            WHERE tenant = $4 AND campaign = $5 AND no = $6 AND state = 'deciding'
                AND (decided_through IS NULL OR decided_through < $1)",
            values![
                &decided.through,
                decided.approved as i64,
                decided.denied as i64,
                tenant,
                campaign,
                no
            ],
        )?;
        Ok(changed == 1)
    }

    /// Notes that a report up to a customer (folded) is about to be sent. False where nothing may be sent any more:
    /// the round is closed, or the campaign stopped.
    pub fn begin_report(
        &mut self,
        job: &Job,
        campaign: i64,
        no: i64,
        through: &str,
        lease_ms: i64,
    ) -> Result<bool, Error> {
        // A report that is refused again and again is no progress.
        self.keep_job(job, lease_ms)?;
        let changed = self.execute(
            "-- begin_report
            UPDATE clearance_round SET sent_through = CASE
                WHEN sent_through IS NULL OR sent_through < $1 THEN $1 ELSE sent_through END
            WHERE tenant = $2 AND campaign = $3 AND no = $4 AND state <> 'closed' AND NOT EXISTS (
                SELECT 1 FROM campaign c WHERE c.tenant = $2 AND c.no = $3
                    AND (c.suspended_at IS NOT NULL OR c.revoked_at IS NOT NULL))",
            values![through, job.tenant, campaign, no],
        )?;
        Ok(changed == 1)
    }

    /// Moves the cursor of reports behind a customer (folded): `approved` of them were reported true. False where it
    /// is there already.
    pub fn move_reported(
        &mut self,
        job: &Job,
        campaign: i64,
        no: i64,
        through: &str,
        approved: u64,
        lease_ms: i64,
    ) -> Result<bool, Error> {
        self.hold_job(job, lease_ms)?;
        let changed = self.execute(
            "-- move_reported
            UPDATE clearance_round SET reported_through = $1, reported = reported + $2
            WHERE tenant = $3 AND campaign = $4 AND no = $5 AND state <> 'closed'
                AND (reported_through IS NULL OR reported_through < $1)",
            values![through, approved as i64, job.tenant, campaign, no],
        )?;
        Ok(changed == 1)
    }

    /// A customer who was decided true is denied after all: Optimove does not take the id.
    pub fn turn_down(
        &mut self,
        tenant: i64,
        campaign: i64,
        denial: &Denial,
        offers: &[u32],
    ) -> Result<(), Error> {
        self.put_denial(tenant, campaign, denial)?;
        for offer in offers {
            self.execute(
                "-- refuse_grant
                UPDATE grants SET page = 0 WHERE tenant = $1 AND customer = $2 AND offer = $3 AND occurrence = ''",
                values![tenant, &denial.customer, *offer],
            )?;
        }
        self.execute(
            "-- count_turned_down
            UPDATE clearance_round SET approved = approved - 1, denied = denied + 1
            WHERE tenant = $1 AND campaign = $2 AND no = $3",
            values![tenant, campaign, denial.round],
        )?;
        Ok(())
    }

    /// Writes a denial, in place of an earlier one of the same customer.
    pub fn put_denial(&mut self, tenant: i64, campaign: i64, denial: &Denial) -> Result<(), Error> {
        self.execute(
            "-- put_denial
            INSERT INTO clearance_denial (tenant, campaign, customer, round, reason, pairs)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (tenant, campaign, customer) DO UPDATE SET
                round = excluded.round, reason = excluded.reason, pairs = excluded.pairs",
            values![
                tenant,
                campaign,
                &denial.customer,
                denial.round,
                &denial.reason,
                denial.pairs
            ],
        )?;
        Ok(())
    }

    /// Forgets a denial: the customer was approved by a later round.
    pub fn drop_denial(&mut self, tenant: i64, campaign: i64, customer: &str) -> Result<(), Error> {
        self.execute(
            "-- drop_denial
            DELETE FROM clearance_denial WHERE tenant = $1 AND campaign = $2 AND customer = $3",
            values![tenant, campaign, customer],
        )?;
        Ok(())
    }

    /// Whether and why a customer is denied.
    pub fn denial(
        &mut self,
        tenant: i64,
        campaign: i64,
        customer: &str,
    ) -> Result<Option<Denial>, Error> {
        self.query_one(
            "-- denial
            SELECT customer, round, reason, pairs FROM clearance_denial
            WHERE tenant = $1 AND campaign = $2 AND customer = $3",
            values![tenant, campaign, customer],
            denial,
        )
    }

    /// Denials of a round by reason.
    pub fn denials(
        &mut self,
        tenant: i64,
        campaign: i64,
        no: i64,
    ) -> Result<Vec<(String, u64)>, Error> {
        self.query(
            "-- denials
            SELECT reason, COUNT(*) FROM clearance_denial
            WHERE tenant = $1 AND campaign = $2 AND round = $3 GROUP BY reason ORDER BY reason",
            values![tenant, campaign, no],
            |row| Ok((row.text(0)?, row.count(1)?)),
        )
    }

    /// Whether a campaign denied anybody.
    pub fn has_denials(&mut self, tenant: i64, campaign: i64) -> Result<bool, Error> {
        let found = self.query_one(
            "-- has_denials
            SELECT 1 FROM clearance_denial WHERE tenant = $1 AND campaign = $2 LIMIT 1",
            values![tenant, campaign],
            |row| row.int(0),
        )?;
        Ok(found.is_some())
    }

    /// Whether a tenant excludes anybody.
    pub fn has_exclusions(&mut self, tenant: i64) -> Result<bool, Error> {
        let found = self.query_one(
            "-- has_exclusions
            SELECT 1 FROM exclusion WHERE tenant = $1 LIMIT 1",
            values![tenant],
            |row| row.int(0),
        )?;
        Ok(found.is_some())
    }

    /// Gives a grant another window and page: a later round took it over, or its customer was sent to.
    pub fn move_grant(&mut self, tenant: i64, to: &Promise<'_>) -> Result<(), Error> {
        self.execute(
            "-- move_grant
            UPDATE grants SET window_no = $1, page = $2
            WHERE tenant = $3 AND customer = $4 AND offer = $5 AND occurrence = $6",
            values![
                to.window,
                to.page,
                tenant,
                to.customer,
                to.offer,
                to.occurrence
            ],
        )?;
        Ok(())
    }

    /// Wants the lists of a campaign to be read anew that were wanted before an instant, held ones too: what they
    /// showed then is no matter now. Tells how many.
    pub fn reread_lists(
        &mut self,
        tenant: i64,
        campaign: i64,
        wanted_before: i64,
    ) -> Result<usize, Error> {
        let now = self.now_ms();
        self.execute(
            "-- reread_lists
            UPDATE import SET state = 'wanted', pass = 1, skip = 0, wanted_at = $1, done_at = NULL,
                hold_reason = NULL
            WHERE tenant = $2 AND campaign = $3 AND channel >= 0 AND state IN ('done', 'held') AND wanted_at < $4",
            values![now, tenant, campaign, wanted_before],
        )
    }
}
