//! May this customer redeem this code now? Asked at every checkout, so everything it needs is at
//! hand: one look-up in the ledger. Writes nothing.

use bestow_core::trigger::Standing;
use bestow_core::{CampaignFacts, GrantFacts, Minor, PromoCode, PromotionFacts, Refusal, outcome};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::{Error, Result};
use crate::facts::FoundGrant;
use crate::service::codes;
use crate::service::ended::Ends;
use crate::service::exclusions::is_excluded;
use crate::service::grants::{
    GrantView, Told, campaign_facts, customer_id, facts_of_use, sentence, window_of,
};
use crate::service::redemptions::{Who, is_in_cart, preview};
use crate::tenant::Tenant;

/// The question.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Optimove's customer id.
    pub customer_id: String,
    /// In any letter case.
    pub promo_code: String,
}

/// The answer. A no is an answer, not an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Answer {
    /// Whether it may.
    pub eligible: bool,
    /// Why not: the first that applies of `unknown_promotion`, `promotion_paused`, `no_grant`, `excluded`,
    /// `revoked`, `suspended`, `not_cleared`, `not_started`, `expired`, `already_redeemed`,
    /// `limit_reached`, `budget_exhausted`.
    pub reason: Option<&'static str>,
    /// The grant that would be used; null where the answer is no.
    pub grant: Option<GrantView>,
}

/// Answers the question.
///
/// # Errors
/// [`Error::Invalid`] with `bad_customer_id` or `bad_promo_code`; the store's.
pub async fn ask(app: &App, tenant: &Tenant, question: &Question) -> Result<Answer> {
    let customer = customer_id(&question.customer_id)?;
    let code = PromoCode::parse(&question.promo_code)
        .map_err(|e| Error::invalid("bad_promo_code", sentence(&e)))?;
    let Some(promotion) = app.facts.promotion(&app.store, tenant.no(), code.fold())? else {
        return Ok(refused(Refusal::UnknownPromotion));
    };
    let mut found = app
        .facts
        .grants_for_code(&app.store, tenant.no(), customer, code.fold())
        .await?;
    let ends = Ends::of(app, tenant, customer)?;
    for FoundGrant { row, window, .. } in &mut found {
        *window = ends.cut(row.offer, &row.occurrence, *window);
    }
    // Read once the facts are: what started meanwhile has started.
    let now = app.clock.now();
    let grants: Vec<_> = found
        .iter()
        .map(|grant| facts_of(tenant, grant, now))
        .collect();
    let mut facts = promotion.facts;
    facts.standing = standing(app, tenant, customer, &found, code.fold())?;
    let answer = match outcome::usable(Some(&facts), &grants, now) {
        Ok(index) => {
            let who = Who {
                tenant,
                customer,
                code_fold: code.fold(),
            };
            covered(app, who, facts, &found, index)?
        }
        Err(refusal) => Err(refusal),
    };
    match answer {
        Err(refusal) => Ok(refused(refusal)),
        Ok(index) => {
            let FoundGrant {
                row,
                offer,
                window,
                campaign,
                created_at,
                cleared,
            } = &found[index];
            let unique_code = codes::shown(app, tenant.no(), code.fold(), row.code)?;
            let told = Told {
                customer,
                code: &promotion.code,
                code_fold: &offer.code_fold,
                occurrence: &row.occurrence,
                unique_code: unique_code.as_deref(),
                window: *window,
                campaign,
                created_at: *created_at,
                cleared: *cleared,
                used: row.used,
            };
            let grant = Some(GrantView::new(tenant, told, now));
            Ok(Answer {
                eligible: true,
                reason: None,
                grant,
            })
        }
    }
}

fn refused(refusal: Refusal) -> Answer {
    Answer {
        eligible: false,
        reason: Some(refusal.code()),
        grant: None,
    }
}

/// Whoever has nothing is not looked up among those who may not have anything.
fn standing(
    app: &App,
    tenant: &Tenant,
    customer: &str,
    found: &[FoundGrant],
    code_fold: &str,
) -> Result<Standing> {
    let may_be = !found.is_empty() && app.facts.has_exclusions(&app.store, tenant.no())?;
    Ok(
        if may_be && is_excluded(app, tenant, customer, code_fold)? {
            Standing::Excluded
        } else {
            Standing::Welcome
        },
    )
}

/// The place of the grant that would be used, where limits and budgets leave room for it.
fn covered(
    app: &App,
    who: Who<'_>,
    mut facts: PromotionFacts,
    found: &[FoundGrant],
    index: usize,
) -> Result<std::result::Result<usize, Refusal>> {
    let counts_others = who.tenant.settings.codes_at_once_max.is_some();
    if facts.limits.total.is_some() || facts.limits.has_budget() || counts_others {
        // What all customers have used is not at hand: the redemption itself says what it would say.
        let previewed = app.store.read(|tx| preview(tx, who))?;
        return Ok(previewed.and_then(|(offer, occurrence)| {
            let is_it =
                |one: &FoundGrant| one.row.offer == offer && one.row.occurrence == occurrence;
            found.iter().position(is_it).ok_or(Refusal::NoGrant)
        }));
    }
    let now_ms = app.clock.now_ms();
    let others = found.iter().enumerate().filter(|(place, grant)| {
        let used = grant.row.used;
        *place != index && (used.redeemed > 0 || is_in_cart(used, now_ms))
    });
    facts.usage.by_customer = others.count() as u64;
    if found[index].row.used.redeemed > 0 {
        facts.limits.per_customer = None;
    }
    Ok(facts.covers(Minor::ZERO).map(|()| index))
}

fn facts_of(tenant: &Tenant, found: &FoundGrant, now: Timestamp) -> (GrantFacts, CampaignFacts) {
    let mut facts = facts_of_use(window_of(found.window), found.row.used);
    facts.cleared = found.cleared;
    if is_in_cart(found.row.used, now.as_millisecond()) {
        facts.uses_max = Some(facts.redeemed_count);
    }
    (facts, campaign_facts(tenant, &found.campaign))
}
