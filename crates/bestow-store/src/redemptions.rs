//! Uses of grants: what was answered to whom, redemptions and their reversals, pledges, and how far a promotion is
//! used up.

use bestow_core::announce::GrantEvent;

use crate::grants::Used;
pub use crate::kept_answers::{KeptAnswer, NewAnswer};
pub use crate::redemption_terms::RedemptionTerms;
use crate::{Error, Row, Tx, values};

/// Lapsed pledges given back at once, at most.
const LAPSED_AT_ONCE: u32 = 1_000;

/// Which grant, within a tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantKey {
    /// Optimove's customer id, exactly.
    pub customer: String,
    /// `offer.no`.
    pub offer: u32,
    /// Empty unless triggered.
    pub occurrence: String,
}

/// What a redemption takes, or a pledge sets aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taking {
    /// Time-ordered.
    pub id: String,
    /// Of which grant.
    pub grant: GrantKey,
    /// The promotion's code, folded.
    pub code_fold: String,
    /// `promotion.version` whose terms it was made under.
    pub version: i64,
    /// Minor units; 0: nothing was said.
    pub amount_minor: i64,
    /// Three letters.
    pub currency: Option<String>,
    /// `YYYY-MM-DD` in the tenant's zone, of the budgets that it takes from; `None`: of none.
    pub day: Option<String>,
    /// The caller's own word for it.
    pub reference: Option<String>,
    /// Who asked.
    pub actor: String,
}

/// A redemption as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redemption {
    /// What it took.
    pub taking: Taking,
    /// Milliseconds.
    pub redeemed_at: i64,
    /// Milliseconds; `None`: it stands.
    pub reversed_at: Option<i64>,
}

/// A pledge as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pledge {
    /// What it sets aside.
    pub taking: Taking,
    /// Milliseconds.
    pub pledged_at: i64,
    /// Milliseconds, exclusive.
    pub lapses_at: i64,
    /// open, confirmed, cancelled or lapsed; an open one may have lapsed by the clock.
    pub state: String,
}

impl Pledge {
    /// Whether it keeps anything aside at `now_ms`.
    pub fn is_open(&self, now_ms: i64) -> bool {
        self.state == "open" && now_ms < self.lapses_at
    }
}

/// How far a promotion is used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PromotionUse {
    /// Grants that are used, in part or whole, or set aside.
    pub used: u64,
    /// Value in minor units.
    pub spent_minor: i64,
    /// Open pledges among them.
    pub pledged: u64,
}

/// A change of [`PromotionUse`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UseChange {
    /// Grants.
    pub used: i64,
    /// Minor units.
    pub spent_minor: i64,
    /// Pledges.
    pub pledged: i64,
}

macro_rules! redemption_columns {
    () => {
        "r.id, r.customer, r.offer, r.occurrence, r.code_fold, r.version, r.amount_minor, r.currency, r.day,
         r.reference, r.actor, r.redeemed_at, v.reversed_at"
    };
}

macro_rules! redemption_joins {
    () => {
        " FROM redemption r LEFT JOIN reversal v ON v.tenant = r.tenant AND v.id = r.id"
    };
}

macro_rules! pledge_columns {
    () => {
        "id, customer, offer, occurrence, code_fold, version, amount_minor, currency, day, reference, actor,
         pledged_at, lapses_at, state"
    };
}

fn taking(row: &Row<'_>) -> Result<Taking, Error> {
    Ok(Taking {
        id: row.text(0)?,
        grant: GrantKey {
            customer: row.text(1)?,
            offer: row.int(2)? as u32,
            occurrence: row.text(3)?,
        },
        code_fold: row.text(4)?,
        version: row.int(5)?,
        amount_minor: row.int(6)?,
        currency: row.opt_text(7)?,
        day: row.opt_text(8)?,
        reference: row.opt_text(9)?,
        actor: row.text(10)?,
    })
}

fn redemption(row: &Row<'_>) -> Result<Redemption, Error> {
    Ok(Redemption {
        taking: taking(row)?,
        redeemed_at: row.int(11)?,
        reversed_at: row.opt_int(12)?,
    })
}

fn pledge(row: &Row<'_>) -> Result<Pledge, Error> {
    Ok(Pledge {
        taking: taking(row)?,
        pledged_at: row.int(11)?,
        lapses_at: row.int(12)?,
        state: row.text(13)?,
    })
}

impl Tx<'_> {
    /// Adds a redemption, which destinations hear of.
    pub fn add_redemption(&mut self, tenant: i64, new: &Taking) -> Result<(), Error> {
        let now = self.now_ms();
        self.execute(
            "-- add_redemption
            INSERT INTO redemption (tenant, id, customer, offer, occurrence, code_fold, version, amount_minor, currency,
                day, reference, actor, redeemed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            values![
                tenant, &new.id, &new.grant.customer, new.grant.offer, &new.grant.occurrence, &new.code_fold,
                new.version, new.amount_minor, new.currency.as_ref(), new.day.as_ref(), new.reference.as_ref(), &new.actor, now
            ],
        )?;
        self.note_redemption(tenant, new, GrantEvent::Redeemed)
    }

    /// Writes what becomes of a grant.
    pub fn use_grant(&mut self, tenant: i64, grant: &GrantKey, becomes: Used) -> Result<(), Error> {
        let redeemed = (becomes.redeemed > 0).then_some(becomes.redeemed);
        let spent = becomes.is_spent.then_some(1_i64);
        let changed = self.execute(
            "-- use_grant
            UPDATE grants SET redeemed = $1, spent = $2, pledged_until = $3
            WHERE tenant = $4 AND customer = $5 AND offer = $6 AND occurrence = $7",
            values![
                redeemed,
                spent,
                becomes.pledged_until,
                tenant,
                &grant.customer,
                grant.offer,
                &grant.occurrence
            ],
        )?;
        if changed == 1 {
            return Ok(());
        }
        let message = format!(
            "offer {} of a customer is used, and is no grant",
            grant.offer
        );
        Err(Error::Corrupt(message))
    }

    /// Undoes a redemption. False where that was done before.
    pub fn reverse_redemption(
        &mut self,
        tenant: i64,
        id: &str,
        reason: Option<&str>,
        actor: &str,
    ) -> Result<bool, Error> {
        let now = self.now_ms();
        let added = self.execute(
            "-- reverse_redemption
            INSERT INTO reversal (tenant, id, reason, actor, reversed_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (tenant, id) DO NOTHING",
            values![tenant, id, reason, actor, now],
        )?;
        if added == 1
            && let Some(found) = self.redemption(tenant, id)?
        {
            self.note_redemption(tenant, &found.taking, GrantEvent::Reversed)?;
        }
        Ok(added == 1)
    }

    /// A redemption by its id.
    pub fn redemption(&mut self, tenant: i64, id: &str) -> Result<Option<Redemption>, Error> {
        self.query_one(
            concat!(
                "-- redemption\nSELECT ",
                redemption_columns!(),
                redemption_joins!(),
                " WHERE r.tenant = $1 AND r.id = $2"
            ),
            values![tenant, id],
            redemption,
        )
    }

    /// Redemptions behind an id, oldest first.
    pub fn redemptions(
        &mut self,
        tenant: i64,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Redemption>, Error> {
        self.query(
            concat!(
                "-- redemptions\nSELECT ",
                redemption_columns!(),
                redemption_joins!(),
                " WHERE r.tenant = $1 AND r.id > $2 ORDER BY r.id LIMIT $3"
            ),
            values![tenant, after, limit],
            redemption,
        )
    }

    /// As [`Tx::redemptions`], of one customer.
    pub fn redemptions_of(
        &mut self,
        tenant: i64,
        customer: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Redemption>, Error> {
        self.query(
            concat!(
                "-- redemptions_of\nSELECT ",
                redemption_columns!(),
                redemption_joins!(),
                " WHERE r.tenant = $1 AND r.customer = $2 AND r.id > $3 ORDER BY r.id LIMIT $4"
            ),
            values![tenant, customer, after, limit],
            redemption,
        )
    }

    /// Minor units that redemptions have taken of a grant, reversed ones left out.
    pub fn taken_of_grant(&mut self, tenant: i64, grant: &GrantKey) -> Result<i64, Error> {
        let taken = self.query_one(
            "-- taken_of_grant
            SELECT COALESCE(SUM(r.amount_minor), 0) FROM redemption r
            WHERE r.tenant = $1 AND r.customer = $2 AND r.offer = $3 AND r.occurrence = $4
                AND NOT EXISTS (SELECT 1 FROM reversal v WHERE v.tenant = r.tenant AND v.id = r.id)",
            values![tenant, &grant.customer, grant.offer, &grant.occurrence],
            |row| row.int(0),
        )?;
        Ok(taken.unwrap_or_default())
    }

    /// How far a promotion is used up: ever for period `""`, else in a day, week or month.
    pub fn promotion_use(
        &mut self,
        tenant: i64,
        code_fold: &str,
        period: &str,
    ) -> Result<PromotionUse, Error> {
        let found = self.query_one(
            "-- promotion_use
            SELECT used, spent_minor, pledged FROM promotion_use
            WHERE tenant = $1 AND code_fold = $2 AND period = $3",
            values![tenant, code_fold, period],
            |row| {
                Ok(PromotionUse {
                    used: row.count(0)?,
                    spent_minor: row.int(1)?,
                    pledged: row.count(2)?,
                })
            },
        )?;
        Ok(found.unwrap_or_default())
    }

    /// Changes how far a promotion is used up.
    pub fn use_promotion(
        &mut self,
        tenant: i64,
        code_fold: &str,
        period: &str,
        change: UseChange,
    ) -> Result<(), Error> {
        self.execute(
            "-- use_promotion
            INSERT INTO promotion_use (tenant, code_fold, period, used, spent_minor, pledged)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (tenant, code_fold, period) DO UPDATE SET used = promotion_use.used + excluded.used,
                spent_minor = promotion_use.spent_minor + excluded.spent_minor,
                pledged = promotion_use.pledged + excluded.pledged",
            values![
                tenant,
                code_fold,
                period,
                change.used,
                change.spent_minor,
                change.pledged
            ],
        )?;
        Ok(())
    }

    /// Adds an open pledge. Refused by its key where the grant is in a cart.
    pub fn add_pledge(&mut self, tenant: i64, new: &Taking, lapses_at: i64) -> Result<(), Error> {
        let now = self.now_ms();
        self.execute(
            "-- add_pledge
            INSERT INTO pledge (tenant, id, customer, offer, occurrence, code_fold, version, amount_minor, currency, day,
                reference, actor, pledged_at, lapses_at, state)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'open')",
            values![
                tenant, &new.id, &new.grant.customer, new.grant.offer, &new.grant.occurrence, &new.code_fold,
                new.version, new.amount_minor, new.currency.as_ref(), new.day.as_ref(), new.reference.as_ref(), &new.actor, now,
                lapses_at
            ],
        )?;
        Ok(())
    }

    /// Ends an open pledge. False where it was ended before.
    pub fn end_pledge(&mut self, tenant: i64, id: &str, state: &str) -> Result<bool, Error> {
        let now = self.now_ms();
        let changed = self.execute(
            "-- end_pledge
            UPDATE pledge SET state = $1, ended_at = $2 WHERE tenant = $3 AND id = $4 AND state = 'open'",
            values![state, now, tenant, id],
        )?;
        Ok(changed == 1)
    }

    /// A pledge by its id.
    pub fn pledge(&mut self, tenant: i64, id: &str) -> Result<Option<Pledge>, Error> {
        self.query_one(
            concat!(
                "-- pledge\nSELECT ",
                pledge_columns!(),
                " FROM pledge WHERE tenant = $1 AND id = $2"
            ),
            values![tenant, id],
            pledge,
        )
    }

    /// The pledge that keeps a grant in a cart, lapsed by the clock or not.
    pub fn open_pledge(&mut self, tenant: i64, grant: &GrantKey) -> Result<Option<Pledge>, Error> {
        self.query_one(
            concat!(
                "-- open_pledge\nSELECT ",
                pledge_columns!(),
                " FROM pledge WHERE tenant = $1 AND customer = $2 AND offer = $3 AND occurrence = $4
                    AND state = 'open'"
            ),
            values![tenant, &grant.customer, grant.offer, &grant.occurrence],
            pledge,
        )
    }

    /// Pledges of a promotion that have lapsed by the clock and are still to be given back, the oldest first.
    pub fn lapsed_pledges(&mut self, tenant: i64, code_fold: &str) -> Result<Vec<Pledge>, Error> {
        let now = self.now_ms();
        self.query(
            concat!(
                "-- lapsed_pledges\nSELECT ",
                pledge_columns!(),
                " FROM pledge WHERE tenant = $1 AND code_fold = $2 AND lapses_at <= $3 AND state = 'open'
                ORDER BY lapses_at LIMIT $4"
            ),
            values![tenant, code_fold, now, LAPSED_AT_ONCE],
            pledge,
        )
    }
}
