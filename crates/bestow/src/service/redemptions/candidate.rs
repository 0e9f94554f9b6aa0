//! The grant that a redemption would use, and whether limits and budgets leave room for it.

use bestow_core::redemption::{Take, UsedSoFar, Worth, periods};
use bestow_core::trigger::Standing;
use bestow_core::{
    CampaignFacts, GrantFacts, Minor, PromotionFacts, PromotionStatus, Refusal, outcome,
};
use bestow_store::Tx;
use bestow_store::grants::{Grant, LedgerRow, Used};
use bestow_store::redemptions::{GrantKey, Pledge, PromotionUse, RedemptionTerms};
use jiff::civil::Date;

use super::back::grant_of;
use super::{corrupt, terms};
use crate::clock::instant;
use crate::error::Result;
use crate::facts::cleared;
use crate::service::ended::Ends;
use crate::service::grants::{facts_of_use, spec_of, window_of};
use crate::service::promotions::{Limits, RedeemTerms};
use crate::tenant::Tenant;

/// A yes, or the first refusal that applies.
pub(super) type Verdict<T> = std::result::Result<T, Refusal>;

/// Who would redeem what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) customer: &'a str,
    /// The promotion's code, folded.
    pub(crate) code_fold: &'a str,
}

/// A grant that could be used.
pub(super) struct Candidate {
    pub(super) grant: Grant,
    pub(super) promotion: RedemptionTerms,
    pub(super) facts: PromotionFacts,
    pub(super) version: i64,
    pub(super) terms: RedeemTerms,
    so_far: UsedSoFar,
}

impl Candidate {
    /// The grant nearest to a yes; of all that the customer holds, or the one that is given.
    pub(super) fn find(
        tx: &mut Tx<'_>,
        who: Who<'_>,
        only: Option<&(u32, String)>,
    ) -> Result<Verdict<Self>> {
        let (tenant, fold) = (who.tenant.no(), who.code_fold);
        let Some(promotion) = tx.redemption_terms(tenant, who.customer, fold)? else {
            return Ok(Err(Refusal::UnknownPromotion));
        };
        let mut held = Held::load(tx, who, &promotion)?;
        if let Some((offer, occurrence)) = only {
            held.only(*offer, occurrence);
        }
        let (mut facts, limits) = promotion_facts(fold, &promotion)?;
        let index = match outcome::usable(Some(&facts), &held.facts, instant(tx.now_ms())) {
            Err(refusal) => return Ok(Err(refusal)),
            Ok(index) => index,
        };
        facts.usage.by_customer = held.used_by_others(index);
        let grant = held.grants.swap_remove(index);
        let (version, terms) =
            terms::of_grant(tx, tenant, fold, &promotion, &limits, grant.created_at)?;
        if grant.used.redeemed == 0 && others_in_use(tx, who, &grant)? {
            return Ok(Err(Refusal::LimitReached));
        }
        let so_far = so_far(tx, tenant, &grant, who.customer, &terms)?;
        if so_far.redeemed > 0 {
            // It counts already.
            facts.limits.per_customer = None;
            facts.limits.total = None;
        }
        Ok(Ok(Self {
            grant,
            promotion,
            facts,
            version,
            terms,
            so_far,
        }))
    }

    /// What a redemption takes of it that asks for this amount, or for none in particular.
    pub(super) fn take(&self, asked: Option<Minor>) -> Verdict<Take> {
        self.terms.terms.take(self.so_far, asked)
    }

    /// Whether limits and budgets leave room for it where so much is used, part of it by pledges that have lapsed.
    pub(super) fn covered(
        &self,
        tx: &mut Tx<'_>,
        who: Who<'_>,
        amount: Minor,
        (used, lapsed): (PromotionUse, &[Pledge]),
    ) -> Result<Verdict<()>> {
        let mut facts = self.facts;
        facts.usage.total = used.used;
        facts.usage.spent = Minor(used.spent_minor);
        load_periods(tx, who, &mut facts, lapsed)?;
        Ok(facts.covers(amount))
    }

    /// Whether open pledges, which may have lapsed, are part of what is used up.
    pub(super) fn may_have_lapsed(&self) -> bool {
        self.promotion.used.pledged > 0
    }
}

/// What a redemption would come to that asks for no amount: the key of the grant it would use, or the refusal. Writes
/// nothing.
///
/// # Errors
/// The store's.
pub(crate) fn preview(tx: &mut Tx<'_>, who: Who<'_>) -> Result<Verdict<(u32, String)>> {
    let candidate = match Candidate::find(tx, who, None)? {
        Err(refusal) => return Ok(Err(refusal)),
        Ok(candidate) => candidate,
    };
    let take = match candidate.take(None) {
        Err(refusal) => return Ok(Err(refusal)),
        Ok(take) => take,
    };
    let (mut used, mut lapsed) = (candidate.promotion.used, Vec::new());
    if candidate.may_have_lapsed() {
        lapsed = tx.lapsed_pledges(who.tenant.no(), who.code_fold)?;
    }
    for pledge in &lapsed {
        let grant = grant_of(tx, who.tenant.no(), &pledge.taking.grant)?;
        let counted = u64::from(grant.used.redeemed == 0);
        used.used = used.used.saturating_sub(counted);
        used.spent_minor -= pledge.taking.amount_minor;
    }
    let covered = candidate.covered(tx, who, take.amount_or_zero(), (used, &lapsed))?;
    Ok(covered.map(|()| (candidate.grant.offer, candidate.grant.occurrence)))
}

/// All that a customer holds of a promotion.
pub(super) struct Held {
    pub(super) grants: Vec<Grant>,
    pub(super) facts: Vec<(GrantFacts, CampaignFacts)>,
    counted: Vec<bool>,
}

impl Held {
    pub(super) fn load(tx: &mut Tx<'_>, who: Who<'_>, promotion: &RedemptionTerms) -> Result<Self> {
        let (now, tenant, customer) = (tx.now_ms(), who.tenant, who.customer);
        let mut grants = tx.grants_for_code(tenant.no(), customer, who.code_fold)?;
        let ends = Ends::read(tx, tenant, customer)?;
        for grant in &mut grants {
            let spec = spec_of(grant);
            grant.ends_at = ends.cut(grant.offer, &grant.occurrence, spec).ends_at;
        }
        let suspended = promotion.tenant_suspended_at;
        let facts = grants.iter().map(|grant| {
            let mut facts = facts_of_use(window_of(spec_of(grant)), grant.used);
            facts.cleared = cleared(&grant.clearance, customer);
            if is_in_cart(grant.used, now) {
                facts.uses_max = Some(facts.redeemed_count);
            }
            let campaign = CampaignFacts {
                suspended_at: grant.campaign_suspended_at.or(suspended).map(instant),
                revoked_at: grant.campaign_revoked_at.map(instant),
            };
            (facts, campaign)
        });
        let counted = grants
            .iter()
            .map(|grant| grant.used.redeemed > 0 || is_in_cart(grant.used, now));
        Ok(Self {
            facts: facts.collect(),
            counted: counted.collect(),
            grants,
        })
    }

    /// Leaves all but one grant out; they count all the same.
    pub(super) fn only(&mut self, offer: u32, occurrence: &str) {
        let is_it = |grant: &Grant| grant.offer == offer && grant.occurrence == occurrence;
        let place = self.grants.iter().position(is_it);
        self.grants = place
            .map(|place| self.grants[place].clone())
            .into_iter()
            .collect();
        self.facts = place.map(|place| self.facts[place]).into_iter().collect();
        if let Some(place) = place {
            self.counted.swap(0, place);
        }
    }

    /// Grants that are used, the one at this place left out.
    fn used_by_others(&self, place: usize) -> u64 {
        let others = self.counted.iter().enumerate();
        others
            .filter(|(at, counted)| *at != place && **counted)
            .count() as u64
    }
}

pub(crate) fn is_in_cart(used: Used, now_ms: i64) -> bool {
    used.pledged_until.is_some_and(|until| now_ms < until)
}

/// What decides about the promotion, without what was used of it; and its limits as kept.
pub(super) fn promotion_facts(
    code_fold: &str,
    promotion: &RedemptionTerms,
) -> Result<(PromotionFacts, Limits)> {
    let limits: Limits =
        serde_json::from_str(&promotion.limits).map_err(|e| terms::broken(code_fold, &e))?;
    let status =
        PromotionStatus::parse(&promotion.status).map_err(|e| terms::broken(code_fold, &e))?;
    let facts = PromotionFacts {
        status,
        limits: limits.facts(),
        standing: if promotion.is_excluded {
            Standing::Excluded
        } else {
            Standing::Welcome
        },
        ..PromotionFacts::UNLIMITED
    };
    Ok((facts, limits))
}

/// How far a grant is used. What was taken counts only where it is used in parts.
pub(super) fn so_far(
    tx: &mut Tx<'_>,
    tenant: i64,
    grant: &Grant,
    customer: &str,
    terms: &RedeemTerms,
) -> Result<UsedSoFar> {
    let redeemed = grant.used.redeemed;
    let mut taken = 0;
    if redeemed > 0 && matches!(terms.terms.worth, Worth::InParts(_)) {
        let key = GrantKey {
            customer: customer.to_owned(),
            offer: grant.offer,
            occurrence: grant.occurrence.clone(),
        };
        taken = tx.taken_of_grant(tenant, &key)?;
    }
    Ok(UsedSoFar {
        redeemed,
        taken: Minor(taken),
    })
}

/// Whether as many grants of the customer are in use as the tenant lets be in use at once.
fn others_in_use(tx: &mut Tx<'_>, who: Who<'_>, grant: &Grant) -> Result<bool> {
    let Some(max) = who.tenant.settings.codes_at_once_max else {
        return Ok(false);
    };
    let in_use = in_use(tx, who.tenant, who.customer)?;
    let is_other =
        |row: &&LedgerRow| (row.offer, &row.occurrence) != (grant.offer, &grant.occurrence);
    Ok(in_use.iter().filter(is_other).count() >= max as usize)
}

/// Grants of a customer that are in use: used or in a cart, of whatever promotion, with a window that is open.
pub(crate) fn in_use(tx: &mut Tx<'_>, tenant: &Tenant, customer: &str) -> Result<Vec<LedgerRow>> {
    let (now, no) = (tx.now_ms(), tenant.no());
    let ends = Ends::read(tx, tenant, customer)?;
    let mut in_use = Vec::new();
    for row in tx.ledger_rows(no, customer)? {
        if row.used.redeemed == 0 && !is_in_cart(row.used, now) {
            continue;
        }
        let Some(window) = tx.window_facts(no, row.window)? else {
            continue;
        };
        let window = ends.cut(row.offer, &row.occurrence, window);
        if window.ends_at.is_none_or(|end| now < end) {
            in_use.push(row);
        }
    }
    Ok(in_use)
}

/// What the day, week and month have spent, where that counts; without what pledges took that have lapsed.
fn load_periods(
    tx: &mut Tx<'_>,
    who: Who<'_>,
    facts: &mut PromotionFacts,
    lapsed: &[Pledge],
) -> Result<()> {
    if !facts.limits.has_period_budget() {
        return Ok(());
    }
    let day = who.tenant.zone.wall_clock(instant(tx.now_ms())).date();
    let mut spent = periods(day).map(|period| (period, 0));
    for (period, spent_minor) in &mut spent {
        let used = tx.promotion_use(who.tenant.no(), who.code_fold, period)?;
        *spent_minor = used.spent_minor;
    }
    for taking in lapsed.iter().map(|pledge| &pledge.taking) {
        let day = taking.day.as_deref().map(str::parse::<Date>).transpose();
        let Some(day) = day.map_err(corrupt)? else {
            continue;
        };
        let of_pledge = periods(day);
        for (period, spent_minor) in &mut spent {
            if of_pledge.contains(period) {
                *spent_minor -= taking.amount_minor;
            }
        }
    }
    let [(_, day), (_, week), (_, month)] = spent;
    facts.usage.spent_day = Minor(day);
    facts.usage.spent_week = Minor(week);
    facts.usage.spent_month = Minor(month);
    Ok(())
}
