//! What the rules of triggers need to know, read in the transaction that acts on it.

use bestow_core::grant::status;
use bestow_core::promotion::Limits as CoreLimits;
use bestow_core::trigger::{CodeFacts, Standing, Supply};
use bestow_core::window::Duration;
use bestow_core::{CampaignFacts, GrantFacts, GrantStatus, PromotionKind, PromotionStatus};
use bestow_store::gateway::Reservation;
use bestow_store::grants::Grant;
use bestow_store::promotions::Promotion;
use bestow_store::triggers::Taken;
use bestow_store::{Error as StoreError, Tx};

use crate::clock::instant;
use crate::facts::cleared;
use crate::service::grants::facts_of_use;
use crate::service::promotions::Limits;

/// Lapsed reservations dropped at once where a limit seems to be reached.
const LAPSED_AT_ONCE: u32 = 1_000;

type Stored<T> = Result<T, StoreError>;

/// One customer of one tenant, and what the gateway has promised them.
pub(crate) struct Asked<'a> {
    pub(crate) tenant: i64,
    pub(crate) customer: &'a str,
    /// Their reservations, whatever became of them.
    pub(crate) reservations: &'a [Reservation],
    /// The one that this question or trigger stands on.
    pub(crate) own: Option<&'a Reservation>,
}

/// Whether they may get anything now.
pub(crate) fn standing(tx: &mut Tx<'_>, tenant: i64, customer: &str) -> Stored<Standing> {
    Ok(if tx.is_excluded(tenant, customer)? {
        Standing::Excluded
    } else {
        Standing::Welcome
    })
}

/// Whether they may get anything of a promotion now.
fn standing_with(
    tx: &mut Tx<'_>,
    tenant: i64,
    customer: &str,
    code_fold: &str,
) -> Stored<Standing> {
    let from = tx.excluded_from(tenant, customer)?;
    Ok(if from.iter().any(|from| from == code_fold) {
        Standing::Excluded
    } else {
        Standing::Welcome
    })
}

impl Asked<'_> {
    /// What is known about a code for them. Counts only what a limit asks for.
    pub(crate) fn code(&self, tx: &mut Tx<'_>, code_fold: &str) -> Stored<CodeFacts> {
        let Some(promotion) = tx.promotion(self.tenant, code_fold)? else {
            return Ok(unknown());
        };
        let limits = limits(&promotion)?;
        let by_customer = match limits.per_customer {
            Some(_) => self.promised(tx, code_fold)?,
            None => 0,
        };
        let by_all = match limits.total {
            Some(total) => self.taken(tx, code_fold, total)?,
            None => 0,
        };
        Ok(CodeFacts {
            status: Some(promotion_status(&promotion)?),
            limits,
            validity: promotion
                .validity_days
                .and_then(|days| Duration::from_days(days).ok()),
            by_customer,
            by_all,
            supply: supply(tx, self.tenant, &promotion)?,
            standing: standing_with(tx, self.tenant, self.customer, code_fold)?,
        })
    }

    /// Promises to them that are not over: grants, and reservations for other questions.
    fn promised(&self, tx: &mut Tx<'_>, code_fold: &str) -> Stored<u64> {
        let now = tx.now_ms();
        let grants = tx.grants_for_code(self.tenant, self.customer, code_fold)?;
        let grants = grants
            .iter()
            .filter(|grant| !is_over(grant, self.customer, now))
            .count();
        let others = self.reservations.iter().filter(|one| {
            Some(*one) != self.own && one.is_alive(now) && one.codes().any(|code| code == code_fold)
        });
        Ok((grants + others.count()) as u64)
    }

    /// Grants to all customers, and all reservations but their own. Where these leave no room, the
    /// lapsed ones are dropped first.
    fn taken(&self, tx: &mut Tx<'_>, code_fold: &str, total: u64) -> Stored<u64> {
        let now = tx.now_ms();
        let is_ours =
            |one: &Reservation| one.is_alive(now) && one.codes().any(|code| code == code_fold);
        let own = u64::from(self.own.is_some_and(is_ours));
        let sum = |taken: Taken| (taken.granted + taken.reserved).saturating_sub(own);
        let taken = tx.taken(self.tenant, code_fold)?;
        if sum(taken) < total || taken.reserved <= own {
            return Ok(sum(taken));
        }
        tx.drop_lapsed(self.tenant, LAPSED_AT_ONCE)?;
        Ok(sum(tx.taken(self.tenant, code_fold)?))
    }
}

fn unknown() -> CodeFacts {
    CodeFacts {
        status: None,
        limits: CoreLimits::default(),
        validity: None,
        by_customer: 0,
        by_all: 0,
        supply: Supply::Ready,
        standing: Standing::Welcome,
    }
}

pub(crate) fn limits(promotion: &Promotion) -> Stored<CoreLimits> {
    let kept: Limits =
        serde_json::from_str(&promotion.limits).map_err(|e| corrupt(promotion, &e))?;
    Ok(kept.facts())
}

pub(crate) fn promotion_status(promotion: &Promotion) -> Stored<PromotionStatus> {
    PromotionStatus::parse(&promotion.status).map_err(|e| corrupt(promotion, &e))
}

fn corrupt(promotion: &Promotion, what: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("promotion {}: {what}", promotion.code_fold))
}

/// Whether there is a code to hand out: the pool of a promotion of kind unique may be empty.
fn supply(tx: &mut Tx<'_>, tenant: i64, promotion: &Promotion) -> Stored<Supply> {
    if promotion.kind != PromotionKind::Unique.as_str() {
        return Ok(Supply::Ready);
    }
    let supply = tx.supply(tenant, &promotion.code_fold)?;
    Ok(match supply.map(|supply| supply.peek()) {
        Some(None) => Supply::Empty,
        Some(Some(_)) | None => Supply::Ready,
    })
}

/// Whether a grant to this customer counts for nothing any more: it was not used, and can never be.
pub(crate) fn is_over(grant: &Grant, customer: &str, now_ms: i64) -> bool {
    let window = bestow_core::Window {
        starts_at: instant(grant.starts_at),
        ends_at: grant.ends_at.map(instant),
    };
    let campaign = CampaignFacts {
        suspended_at: grant.campaign_suspended_at.map(instant),
        revoked_at: grant.campaign_revoked_at.map(instant),
    };
    let facts = GrantFacts {
        cleared: cleared(&grant.clearance, customer),
        ..facts_of_use(window, grant.used)
    };
    if grant.used.redeemed > 0 {
        return false;
    }
    match status(&facts, &campaign, instant(now_ms)) {
        GrantStatus::Pending
        | GrantStatus::AwaitingClearance
        | GrantStatus::Active
        | GrantStatus::Suspended
        | GrantStatus::Redeemed => false,
        GrantStatus::Expired | GrantStatus::Revoked | GrantStatus::NotCleared => true,
    }
}
