//! Triggers that leave with their grants: what is kept of them, and how they go.

use std::collections::BTreeMap;

use crate::jobs::Job;
use crate::{Error, Tx, values};

/// A trigger that may leave: all its pairs are settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeavingTrigger {
    /// What tells it from the next one.
    pub occurrence: String,
    /// Whom it met.
    pub customer: String,
    /// `notification.id`.
    pub notification: String,
    /// Milliseconds.
    pub met_at: i64,
    /// Milliseconds.
    pub taken_at: i64,
    /// Whether the gateway had said yes.
    pub reserved: bool,
    /// JSON: personal fields on the tenant's allow-list.
    pub kept: String,
}

/// Triggers that go in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TriggerChunk {
    /// Each with the offers of its grants.
    pub triggers: Vec<(LeavingTrigger, Vec<u32>)>,
}

// A grant that nothing was ever taken of: no redemption and no cart needs it.
macro_rules! never_used {
    () => {
        "redeemed IS NULL AND spent IS NULL AND pledged_until IS NULL
            AND NOT EXISTS (SELECT 1 FROM redemption r WHERE r.tenant = grants.tenant
                AND r.customer = grants.customer AND r.offer = grants.offer AND r.occurrence = grants.occurrence)"
    };
}
pub(crate) use never_used;

impl Tx<'_> {
    /// Until when triggers of a campaign are in archives before this one, in milliseconds; 0: none is.
    pub fn triggers_archived_before(
        &mut self,
        tenant: i64,
        campaign: i64,
        archive: i64,
    ) -> Result<i64, Error> {
        let found = self.query_one(
            "-- triggers_archived_before
            SELECT COALESCE(MAX(until), 0) FROM archive WHERE tenant = $1 AND campaign = $2 AND no < $3",
            values![tenant, campaign, archive],
            |row| row.int(0),
        )?;
        Ok(found.unwrap_or_default())
    }

    /// Triggers of a campaign behind an occurrence that were met in a time and of which nothing waits.
    pub fn leaving_triggers(
        &mut self,
        tenant: i64,
        campaign: i64,
        (from_ms, until_ms): (i64, i64),
        after: &str,
        limit: u32,
    ) -> Result<Vec<LeavingTrigger>, Error> {
        self.query(
            "-- leaving_triggers
            SELECT t.occurrence, t.customer, t.notification, t.met_at, t.taken_at, t.reserved, t.kept
            FROM trigger_event t
            WHERE t.tenant = $1 AND t.campaign = $2 AND t.occurrence > $3 AND t.met_at >= $4 AND t.met_at < $5
                AND NOT EXISTS (SELECT 1 FROM trigger_pair p WHERE p.tenant = t.tenant AND p.campaign = t.campaign
                    AND p.occurrence = t.occurrence AND p.waits_with IS NOT NULL)
            ORDER BY t.occurrence LIMIT $6",
            values![tenant, campaign, after, from_ms, until_ms, limit],
            |row| {
                Ok(LeavingTrigger {
                    occurrence: row.text(0)?,
                    customer: row.text(1)?,
                    notification: row.text(2)?,
                    met_at: row.int(3)?,
                    taken_at: row.int(4)?,
                    reserved: row.int(5)? == 1,
                    kept: row.text(6)?,
                })
            },
        )
    }

    /// Drops triggers that are in an archive with their grants, and notes how far it has come. A trigger stays as long as
    /// one of its grants does, and those that were ever used do.
    pub fn drop_triggers(
        &mut self,
        job: &Job,
        (no, campaign): (i64, i64),
        chunk: &TriggerChunk,
        lease_ms: i64,
    ) -> Result<(), Error> {
        self.hold_job(job, lease_ms)?;
        let tenant = job.tenant;
        let Some((last, _)) = chunk.triggers.last() else {
            return Ok(());
        };
        let mut drop_grant = self.prepare(concat!(
            "-- drop_triggered_grant\nDELETE FROM grants
            WHERE tenant = $1 AND customer = $2 AND offer = $3 AND occurrence = $4 AND ",
            never_used!()
        ))?;
        let mut drop_pairs = self.prepare(
            "-- drop_trigger_pairs
            DELETE FROM trigger_pair WHERE tenant = $1 AND campaign = $2 AND occurrence = $3
                AND NOT EXISTS (SELECT 1 FROM grants g JOIN offer o ON o.tenant = g.tenant AND o.no = g.offer
                    WHERE g.tenant = $1 AND g.customer = $4 AND g.occurrence = $3 AND o.campaign = $2)
            RETURNING outcome",
        )?;
        let mut drop_event = self.prepare(
            "-- drop_trigger
            DELETE FROM trigger_event WHERE tenant = $1 AND campaign = $2 AND occurrence = $3
                AND NOT EXISTS (SELECT 1 FROM trigger_pair p WHERE p.tenant = $1 AND p.campaign = $2
                    AND p.occurrence = $3)",
        )?;
        let (mut outcomes, mut customers) = (BTreeMap::new(), BTreeMap::new());
        let mut dropped = 0;
        for (trigger, offers) in &chunk.triggers {
            let (customer, occurrence) = (&trigger.customer, &trigger.occurrence);
            let mut its = 0;
            for offer in offers {
                its += drop_grant.execute(values![tenant, customer, *offer, occurrence])? as i64;
            }
            for outcome in drop_pairs
                .query(values![tenant, campaign, occurrence, customer], |row| {
                    row.text(0)
                })?
            {
                *outcomes.entry(outcome).or_default() += 1;
            }
            drop_event.execute(values![tenant, campaign, occurrence])?;
            if its > 0 {
                *customers.entry(customer.as_str()).or_default() += its;
            }
            dropped += its;
        }
        drop((drop_grant, drop_pairs, drop_event));
        self.count_archived(tenant, campaign, &outcomes, &customers)?;
        self.execute(
            "-- move_trigger_drop_cursor
            UPDATE archive SET dropped = dropped + $1, dropped_through = $2
            WHERE tenant = $3 AND no = $4 AND state = 'dropping'",
            values![dropped, &last.occurrence, tenant, no],
        )?;
        Ok(())
    }

    fn count_archived(
        &mut self,
        tenant: i64,
        campaign: i64,
        outcomes: &BTreeMap<String, i64>,
        customers: &BTreeMap<&str, i64>,
    ) -> Result<(), Error> {
        self.execute_many(
            "-- count_archived_pairs
            INSERT INTO archived_pairs (tenant, campaign, outcome, pairs) VALUES ($1, $2, $3, $4)
            ON CONFLICT (tenant, campaign, outcome) DO UPDATE SET pairs = archived_pairs.pairs + excluded.pairs",
            outcomes.iter().map(|(outcome, pairs)| {
                [
                    tenant.into(),
                    campaign.into(),
                    outcome.into(),
                    (*pairs).into(),
                ]
            }),
        )?;
        self.execute_many(
            "-- count_archived_grants
            INSERT INTO archived_grants (tenant, customer, campaign, grants) VALUES ($1, $2, $3, $4)
            ON CONFLICT (tenant, customer, campaign) DO UPDATE SET grants = archived_grants.grants + excluded.grants",
            customers.iter().map(|(customer, grants)| {
                [
                    tenant.into(),
                    (*customer).into(),
                    campaign.into(),
                    (*grants).into(),
                ]
            }),
        )?;
        Ok(())
    }
}
