//! The one door to the ledger: what becomes a grant becomes one here, with its unique code if its promotion gives one.
//!
//! A door is open within one transaction. It moves the pools on when it is closed; forgetting that cannot give a code
//! twice, since the key of a taken code refuses the second.

use std::collections::HashMap;

use bestow_core::GivenCode;
use bestow_core::announce::{Span, tells};
use bestow_core::pool::{Supply, WhenEmpty};

use crate::announcements::{Moves, Note};
use crate::codes::Pool;
use crate::{Error, Statement, Tx, Value, pairs, values};

/// A grant to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise<'a> {
    /// Optimove's customer id, exactly.
    pub customer: &'a str,
    /// `offer.no`.
    pub offer: u32,
    /// Empty unless triggered.
    pub occurrence: &'a str,
    /// `eligibility_window.no`.
    pub window: u32,
    /// `landed_page.page`; 0: a trigger's.
    pub page: u32,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gave {
    /// It is a grant now.
    New,
    /// It was one before.
    Known,
    /// Its promotion gives unique codes and has none left: nothing was written.
    NoFreeCode,
}

/// The door, open for one transaction. To be closed by [`Tx::close_door`].
#[must_use = "a door that is not closed leaves the pools where they were"]
pub struct Door<'c> {
    pub(crate) tenant: i64,
    insert: Statement<'c>,
    /// Only once a unique code is to be given.
    unique: Option<Unique<'c>>,
    /// Offers met so far, each with the place of its pool if it has one.
    offers: Vec<(u32, Option<usize>)>,
    pub(crate) pools: Vec<OpenPool>,
    /// What was granted, where somebody hears of it.
    heard: Option<Vec<Given>>,
}

/// A grant that was made.
struct Given {
    customer: String,
    offer: u32,
    occurrence: String,
    window: u32,
    code: GivenCode,
}

struct Unique<'c> {
    exists: Statement<'c>,
    take: Statement<'c>,
}

pub(crate) struct OpenPool {
    pub(crate) no: i64,
    pub(crate) supply: Supply,
    pub(crate) assigned: u64,
    pub(crate) fallbacks: u64,
}

const INSERT_GRANT: &str = "-- insert_grant
    INSERT INTO grants (tenant, customer, offer, occurrence, window_no, page, code) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (tenant, customer, offer, occurrence) DO NOTHING";

impl<'c> Tx<'c> {
    /// Opens the door for grants of one tenant.
    pub fn open_door(&mut self, tenant: i64) -> Result<Door<'c>, Error> {
        let heard = self.is_heard(tenant)?.then(Vec::new);
        Ok(Door {
            heard,
            ..self.open_silent_door(tenant)?
        })
    }

    /// The same for grants that no destination hears of yet: those of a clearance round, until they are sent.
    pub fn open_silent_door(&mut self, tenant: i64) -> Result<Door<'c>, Error> {
        Ok(Door {
            tenant,
            insert: self.prepare(INSERT_GRANT)?,
            unique: None,
            offers: Vec::new(),
            pools: Vec::new(),
            heard: None,
        })
    }

    /// Moves the pools behind what was given.
    pub fn close_door(&mut self, door: Door<'_>) -> Result<(), Error> {
        for pool in door.pools {
            if pool.assigned == 0 && pool.fallbacks == 0 {
                continue;
            }
            self.execute(
                "-- move_pool
                UPDATE code_pool SET next_code = $1, assigned = assigned + $2, fallbacks = fallbacks + $3
                WHERE tenant = $4 AND no = $5",
                values![
                    pool.supply.next(),
                    pool.assigned as i64,
                    pool.fallbacks as i64,
                    door.tenant,
                    pool.no
                ],
            )?;
        }
        match door.heard {
            Some(given) => self.note_given(door.tenant, given),
            None => Ok(()),
        }
    }

    fn note_given(&mut self, tenant: i64, given: Vec<Given>) -> Result<(), Error> {
        let (now, mut spans) = (self.now_ms(), HashMap::new());
        let mut notes = Vec::with_capacity(given.len());
        for one in given {
            let span = match spans.get(&one.window) {
                Some(span) => *span,
                None => *spans
                    .entry(one.window)
                    .or_insert(self.span_of(tenant, one.window)?),
            };
            notes.push(Note {
                customer: one.customer,
                offer: one.offer,
                occurrence: one.occurrence,
                window: one.window,
                span,
                code: one.code,
                tells: tells(None, span, now),
            });
        }
        self.note(tenant, &notes, Moves::No)
    }

    /// From when to when a window is open.
    pub(crate) fn span_of(&mut self, tenant: i64, window: u32) -> Result<Span, Error> {
        let facts = self.window_facts(tenant, window)?;
        let facts = facts.ok_or_else(|| Error::Corrupt(format!("window {window} is not there")))?;
        Ok(Span::new(facts.starts_at, facts.ends_at, None))
    }

    /// What a promotion of kind unique gives next; `None` for every other one.
    pub fn supply(&mut self, tenant: i64, code_fold: &str) -> Result<Option<Supply>, Error> {
        Ok(self.open_pool(tenant, code_fold)?.map(|open| open.supply))
    }

    fn open_pool(&mut self, tenant: i64, code_fold: &str) -> Result<Option<OpenPool>, Error> {
        let has_fallback = self.query_one(
            "-- unique_promotion
            SELECT fallback_code IS NOT NULL FROM promotion
            WHERE tenant = $1 AND code_fold = $2 AND kind = 'unique'",
            values![tenant, code_fold],
            |row| Ok(row.int(0)? == 1),
        )?;
        let Some(has_fallback) = has_fallback else {
            return Ok(None);
        };
        self.lock_rows(pairs::LOCK_POOL, values![tenant, code_fold])?;
        let pool = self
            .pool(tenant, code_fold)?
            .ok_or_else(|| Error::Corrupt(format!("promotion {code_fold} has no pool")))?;
        let when_empty = if has_fallback {
            WhenEmpty::GiveFallback
        } else {
            WhenEmpty::Hold
        };
        let void = self.void_ahead(tenant, &pool)?;
        let last = u32::try_from(pool.loaded).unwrap_or(u32::MAX);
        Ok(Some(OpenPool {
            no: pool.no,
            supply: Supply::new(pool.next_code, last, void, when_empty),
            assigned: 0,
            fallbacks: 0,
        }))
    }

    /// Codes that were taken out before their turn came.
    fn void_ahead(&mut self, tenant: i64, pool: &Pool) -> Result<Vec<u32>, Error> {
        if pool.void == 0 {
            return Ok(Vec::new());
        }
        self.query(
            "-- void_ahead
            SELECT no FROM taken_code WHERE tenant = $1 AND pool = $2 AND no >= $3 ORDER BY no",
            values![tenant, pool.no, pool.next_code],
            |row| Ok(row.int(0)? as u32),
        )
    }
}

impl<'c> Door<'c> {
    /// Makes a grant of a promise that is none yet.
    pub fn give(&mut self, tx: &mut Tx<'c>, promise: &Promise<'_>) -> Result<Gave, Error> {
        match self.place_of(tx, promise.offer)? {
            Some(place) => self.give_unique(tx, place, promise),
            None => self.insert(promise, GivenCode::Shared),
        }
    }

    /// The same for many of them. On PostgreSQL they go as columns, a statement for all.
    pub fn give_all(
        &mut self,
        tx: &mut Tx<'c>,
        promises: &[Promise<'_>],
    ) -> Result<Vec<Gave>, Error> {
        match tx.session() {
            None => promises
                .iter()
                .map(|promise| self.give(tx, promise))
                .collect(),
            Some(session) => self.give_columns(tx, session, promises),
        }
    }

    /// The same where none of their promotions gives unique codes: how many of them are grants now that were none
    /// before. `None` where one does give them, and where somebody hears of grants: then it matters which are new.
    pub fn give_shared(
        &mut self,
        tx: &mut Tx<'c>,
        promises: &[Promise<'_>],
    ) -> Result<Option<usize>, Error> {
        if self.heard.is_some() {
            return Ok(None);
        }
        for promise in promises {
            if self.place_of(tx, promise.offer)?.is_some() {
                return Ok(None);
            }
        }
        let tenant = self.tenant;
        let rows = promises
            .iter()
            .map(|promise| row(tenant, promise, GivenCode::Shared));
        let inserted = match tx.session() {
            None => {
                let insert = &mut self.insert;
                rows.map(|row| insert.execute(&row)).sum()
            }
            Some(session) => session.insert_columns(
                pairs::INSERT_GRANTS,
                pairs::INSERT_MISSING_GRANTS,
                &rows.collect::<Vec<_>>(),
            ),
        };
        inserted.map(Some)
    }

    fn give_unique(
        &mut self,
        tx: &mut Tx<'c>,
        place: usize,
        promise: &Promise<'_>,
    ) -> Result<Gave, Error> {
        let Some(code) = self.pools[place].supply.peek() else {
            return self.look_up(tx, promise);
        };
        if self.insert(promise, code)? == Gave::Known {
            return Ok(Gave::Known);
        }
        let tenant = self.tenant;
        match code {
            GivenCode::Own(no) => {
                let pool = self.pools[place].no;
                let Promise {
                    customer,
                    offer,
                    occurrence,
                    ..
                } = *promise;
                let statements = self.unique(tx)?;
                statements
                    .take
                    .execute(values![tenant, pool, no, customer, offer, occurrence])?;
                self.pools[place].assigned += 1;
            }
            GivenCode::Shared | GivenCode::Fallback => self.pools[place].fallbacks += 1,
        }
        self.pools[place].supply.take();
        Ok(Gave::New)
    }

    /// Without a code to give it can still be told whether the grant is there.
    fn look_up(&mut self, tx: &mut Tx<'c>, promise: &Promise<'_>) -> Result<Gave, Error> {
        let tenant = self.tenant;
        let Promise {
            customer,
            offer,
            occurrence,
            ..
        } = *promise;
        let found = self
            .unique(tx)?
            .exists
            .query_one(values![tenant, customer, offer, occurrence], |row| {
                row.int(0)
            })?;
        Ok(if found.is_some() {
            Gave::Known
        } else {
            Gave::NoFreeCode
        })
    }

    fn insert(&mut self, promise: &Promise<'_>, code: GivenCode) -> Result<Gave, Error> {
        let inserted = self.insert.execute(&row(self.tenant, promise, code))?;
        if inserted == 0 {
            return Ok(Gave::Known);
        }
        self.hear(promise, code);
        Ok(Gave::New)
    }

    /// Keeps a grant that was made for whoever hears of it.
    pub(crate) fn hear(&mut self, promise: &Promise<'_>, code: GivenCode) {
        if let Some(heard) = &mut self.heard {
            heard.push(Given {
                customer: promise.customer.to_owned(),
                offer: promise.offer,
                occurrence: promise.occurrence.to_owned(),
                window: promise.window,
                code,
            });
        }
    }

    fn unique(&mut self, tx: &mut Tx<'c>) -> Result<&mut Unique<'c>, Error> {
        match &mut self.unique {
            Some(unique) => Ok(unique),
            none => Ok(none.insert(Unique {
                exists: tx.prepare(
                    "-- grant_exists
                    SELECT 1 FROM grants
                    WHERE tenant = $1 AND customer = $2 AND offer = $3 AND occurrence = $4",
                )?,
                take: tx.prepare(
                    "-- take_code
                    INSERT INTO taken_code (tenant, pool, no, customer, offer, occurrence)
                    VALUES ($1, $2, $3, $4, $5, $6)",
                )?,
            })),
        }
    }

    /// The place of the pool that an offer's grants take their codes from; `None` for a shared code.
    pub(crate) fn place_of(&mut self, tx: &mut Tx<'c>, offer: u32) -> Result<Option<usize>, Error> {
        if let Some((_, place)) = self.offers.iter().find(|(known, _)| *known == offer) {
            return Ok(*place);
        }
        let facts = tx.offer_facts(self.tenant, offer)?;
        let facts = facts.ok_or_else(|| Error::Corrupt(format!("offer {offer} is not there")))?;
        let place = tx.open_pool(self.tenant, &facts.code_fold)?.map(|open| {
            // Offers of several campaigns may share a pool.
            let known = self.pools.iter().position(|one| one.no == open.no);
            known.unwrap_or_else(|| {
                self.pools.push(open);
                self.pools.len() - 1
            })
        });
        self.offers.push((offer, place));
        Ok(place)
    }
}

/// In the order of the statements that insert.
pub(crate) fn row<'p>(tenant: i64, promise: &Promise<'p>, code: GivenCode) -> [Value<'p>; 7] {
    [
        tenant.into(),
        promise.customer.into(),
        promise.offer.into(),
        promise.occurrence.into(),
        promise.window.into(),
        promise.page.into(),
        code.number().into(),
    ]
}
