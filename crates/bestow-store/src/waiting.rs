//! Pairs that wait for a unique code: exactly which, so that each is granted once when there are codes again.

use bestow_core::HoldReason;

use crate::door::{Gave, Promise};
use crate::jobs::Job;
use crate::{Error, Tx, pairs, values};

/// A pair that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingPair {
    /// Optimove's customer id, exactly.
    pub customer: String,
    /// `eligibility_window.no`, as its grant will have it.
    pub window: u32,
    /// The landed page that its grant will name.
    pub page: u32,
    /// How many pairs are counted as held for it.
    pub pairs: i64,
}

impl Tx<'_> {
    /// Lets a pair wait that found no code.
    pub(crate) fn wait_for_code(
        &mut self,
        tenant: i64,
        promise: &Promise<'_>,
        pairs: i64,
    ) -> Result<(), Error> {
        self.execute(
            "-- wait_for_code
            INSERT INTO waiting_pair (tenant, offer, customer, window_no, page, pairs) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (tenant, offer, customer) DO UPDATE SET
                window_no = excluded.window_no, pairs = waiting_pair.pairs + excluded.pairs",
            values![
                tenant, promise.offer, promise.customer, promise.window, promise.page, pairs
            ],
        )?;
        Ok(())
    }

    /// Counts further pairs for one that waits, and notes the window that it will have. False where it waits no more.
    pub(crate) fn wait_longer(
        &mut self,
        tenant: i64,
        promise: &Promise<'_>,
        pairs: i64,
    ) -> Result<bool, Error> {
        let changed = self.execute(
            "-- wait_longer
            UPDATE waiting_pair SET window_no = $1, pairs = pairs + $2
            WHERE tenant = $3 AND offer = $4 AND customer = $5",
            values![
                promise.window,
                pairs,
                tenant,
                promise.offer,
                promise.customer
            ],
        )?;
        Ok(changed == 1)
    }

    /// Which of these pairs wait.
    pub(crate) fn wait_for_codes(
        &mut self,
        tenant: i64,
        promises: &[Promise<'_>],
    ) -> Result<Vec<bool>, Error> {
        let Some(session) = self.session() else {
            let waits = |promise: &Promise<'_>| {
                let found = self.waiting(tenant, promise.offer, promise.customer)?;
                Ok(found.is_some())
            };
            return promises.iter().map(waits).collect();
        };
        let rows: Vec<_> = promises
            .iter()
            .map(|p| [tenant.into(), p.offer.into(), p.customer.into()])
            .collect();
        let found = session.query_columns(pairs::WAITING_OF, &rows)?;
        let found = pairs::grant_keys(&found)?;
        let waits = |p: &Promise<'_>| found.contains(&(p.customer, p.offer, ""));
        Ok(promises.iter().map(waits).collect())
    }

    /// The pair of a customer and an offer, if it waits.
    pub fn waiting(
        &mut self,
        tenant: i64,
        offer: u32,
        customer: &str,
    ) -> Result<Option<WaitingPair>, Error> {
        self.query_one(
            "-- waiting
            SELECT customer, window_no, page, pairs FROM waiting_pair
            WHERE tenant = $1 AND offer = $2 AND customer = $3",
            values![tenant, offer, customer],
            waiting_pair,
        )
    }

    /// Offers of a campaign with pairs that wait.
    pub fn waiting_offers(&mut self, tenant: i64, campaign: i64) -> Result<Vec<u32>, Error> {
        self.query(
            "-- waiting_offers
            SELECT o.no FROM offer o WHERE o.tenant = $1 AND o.campaign = $2
                AND EXISTS (SELECT 1 FROM waiting_pair w WHERE w.tenant = o.tenant AND w.offer = o.no)
            ORDER BY o.no",
            values![tenant, campaign],
            |row| Ok(row.int(0)? as u32),
        )
    }

    /// Campaigns with pairs of a code (folded) that wait.
    pub fn campaigns_waiting(&mut self, tenant: i64, code_fold: &str) -> Result<Vec<i64>, Error> {
        self.query(
            "-- campaigns_waiting
            SELECT o.campaign FROM offer o WHERE o.tenant = $1 AND o.code_fold = $2
                AND EXISTS (SELECT 1 FROM waiting_pair w WHERE w.tenant = o.tenant AND w.offer = o.no)
            ORDER BY o.campaign",
            values![tenant, code_fold],
            |row| row.int(0),
        )
    }

    /// Grants at most `limit` of the pairs of an offer that wait, in the order of customers. Gives how many were
    /// settled: fewer than `limit` once the codes or the pairs are used up.
    pub fn grant_waiting(
        &mut self,
        job: &Job,
        campaign: i64,
        offer: u32,
        limit: u32,
        lease_ms: i64,
    ) -> Result<u32, Error> {
        self.hold_job(job, lease_ms)?;
        let tenant = job.tenant;
        let waiting = self.query(
            "-- waiting_pairs
            SELECT customer, window_no, page, pairs FROM waiting_pair
            WHERE tenant = $1 AND offer = $2 ORDER BY customer LIMIT $3",
            values![tenant, offer, limit],
            waiting_pair,
        )?;
        let promises: Vec<_> = waiting
            .iter()
            .map(|pair| Promise {
                customer: &pair.customer,
                offer,
                occurrence: "",
                window: pair.window,
                page: pair.page,
            })
            .collect();
        let mut door = self.open_door(tenant)?;
        let gave = door.give_all(self, &promises)?;
        self.close_door(door)?;
        let (mut granted, mut repeated) = (0, 0);
        // Behind the first that finds no code nothing new was granted: the rest may go on waiting.
        let settled: Vec<_> = waiting
            .iter()
            .zip(&gave)
            .take_while(|(_, gave)| **gave != Gave::NoFreeCode)
            .collect();
        for (pair, gave) in &settled {
            let new = i64::from(**gave == Gave::New);
            granted += new;
            repeated += pair.pairs - new;
        }
        self.execute_many(
            "-- end_waiting
            DELETE FROM waiting_pair WHERE tenant = $1 AND offer = $2 AND customer = $3",
            settled
                .iter()
                .map(|(pair, _)| [tenant.into(), offer.into(), (&pair.customer).into()]),
        )?;
        let counts = [
            ("granted".to_owned(), granted),
            ("repeated".to_owned(), repeated),
            (
                format!("held:{}", HoldReason::NoFreeCode),
                -(granted + repeated),
            ),
        ];
        self.add_counts(tenant, campaign, &counts)?;
        Ok(settled.len() as u32)
    }
}

fn waiting_pair(row: &crate::Row<'_>) -> Result<WaitingPair, Error> {
    Ok(WaitingPair {
        customer: row.text(0)?,
        window: row.int(1)? as u32,
        page: row.int(2)? as u32,
        pairs: row.int(3)?,
    })
}
