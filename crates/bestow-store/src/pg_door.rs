//! The door to the ledger on PostgreSQL: many grants go through it as columns, a statement for all of them.
//!
//! Grants of shared codes are settled by their key. Those of unique codes are looked up first, under the lock of their
//! pool, so that no code is taken for one that is there already.

use std::collections::HashSet;

use bestow_core::GivenCode;

use crate::door::{Door, Gave, OpenPool, Promise, row};
use crate::pairs::{self, GrantKey};
use crate::postgres::Session;
use crate::{Error, Tx};

/// What is to become of one promise.
#[derive(Clone, Copy)]
struct Plan {
    gave: Gave,
    code: GivenCode,
    /// The place of its pool, if it has one.
    pool: Option<usize>,
}

impl<'c> Door<'c> {
    pub(crate) fn give_columns(
        &mut self,
        tx: &mut Tx<'c>,
        session: &Session,
        promises: &[Promise<'_>],
    ) -> Result<Vec<Gave>, Error> {
        let pools = promises
            .iter()
            .map(|promise| self.place_of(tx, promise.offer))
            .collect::<Result<Vec<_>, Error>>()?;
        let mut plans = self.plan(session, promises, &pools)?;
        self.insert_planned(session, promises, &mut plans)?;
        let taken: Vec<_> = promises
            .iter()
            .zip(&plans)
            .filter_map(|(promise, plan)| match *plan {
                Plan {
                    gave: Gave::New,
                    code: GivenCode::Own(no),
                    pool: Some(pool),
                } => Some([
                    self.tenant.into(),
                    self.pools[pool].no.into(),
                    no.into(),
                    promise.customer.into(),
                    promise.offer.into(),
                    promise.occurrence.into(),
                ]),
                _ => None,
            })
            .collect();
        session.query_columns(pairs::TAKE_CODES, &taken)?;
        for (promise, plan) in promises.iter().zip(&plans) {
            if plan.gave == Gave::New {
                self.hear(promise, plan.code);
            }
        }
        Ok(plans.into_iter().map(|plan| plan.gave).collect())
    }

    /// Gives out codes. Whether a shared one makes a new grant is for its key to say.
    fn plan(
        &mut self,
        session: &Session,
        promises: &[Promise<'_>],
        pools: &[Option<usize>],
    ) -> Result<Vec<Plan>, Error> {
        let mut known = self.known(session, promises, pools)?;
        let mut plans = Vec::with_capacity(promises.len());
        for (promise, &pool) in promises.iter().zip(pools) {
            let (gave, code) = match pool {
                None => (Gave::New, GivenCode::Shared),
                Some(_) if known.contains(&key(promise)) => (Gave::Known, GivenCode::Shared),
                Some(place) => match take(&mut self.pools[place]) {
                    Some(code) => {
                        // A second promise of the same grant finds this one.
                        known.insert(key(promise));
                        (Gave::New, code)
                    }
                    None => (Gave::NoFreeCode, GivenCode::Shared),
                },
            };
            plans.push(Plan { gave, code, pool });
        }
        Ok(plans)
    }

    /// Those of the promises with a pool that are grants already.
    fn known<'p>(
        &self,
        session: &Session,
        promises: &[Promise<'p>],
        pools: &[Option<usize>],
    ) -> Result<HashSet<GrantKey<'p>>, Error> {
        let asked: Vec<_> = promises
            .iter()
            .zip(pools)
            .filter_map(|(promise, pool)| pool.map(|_| key(promise)))
            .collect();
        let row = |&(customer, offer, occurrence): &GrantKey<'p>| {
            let tenant = self.tenant.into();
            [tenant, customer.into(), offer.into(), occurrence.into()]
        };
        let rows: Vec<_> = asked.iter().map(row).collect();
        let found = session.query_columns(pairs::KNOWN_GRANTS, &rows)?;
        let found = pairs::grant_keys(&found)?;
        Ok(asked
            .into_iter()
            .filter(|key| found.contains(key))
            .collect())
    }

    fn insert_planned(
        &self,
        session: &Session,
        promises: &[Promise<'_>],
        plans: &mut [Plan],
    ) -> Result<(), Error> {
        let rows: Vec<_> = promises
            .iter()
            .zip(&*plans)
            .filter(|(_, plan)| plan.gave == Gave::New)
            .map(|(promise, plan)| row(self.tenant, promise, plan.code))
            .collect();
        let inserted = session.query_columns(pairs::INSERT_NEW_GRANTS, &rows)?;
        let mut inserted = pairs::grant_keys(&inserted)?;
        for (promise, plan) in promises.iter().zip(plans) {
            if plan.gave != Gave::New || inserted.remove(&key(promise)) {
                continue;
            }
            // Its promotion gave shared codes until a moment ago; the next try finds it.
            if plan.pool.is_some() {
                return Err(Error::Unavailable("a grant was made meanwhile".into()));
            }
            plan.gave = Gave::Known;
        }
        Ok(())
    }
}

/// The code for one more grant, if there is one.
fn take(pool: &mut OpenPool) -> Option<GivenCode> {
    let code = pool.supply.peek()?;
    match code {
        GivenCode::Own(_) => pool.assigned += 1,
        GivenCode::Shared | GivenCode::Fallback => pool.fallbacks += 1,
    }
    pool.supply.take();
    Some(code)
}

fn key<'p>(promise: &Promise<'p>) -> GrantKey<'p> {
    (promise.customer, promise.offer, promise.occurrence)
}
