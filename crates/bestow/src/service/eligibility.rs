//! May this customer redeem this code now? Asked at every checkout, so everything it needs is at
//! hand: one look-up in the ledger. Writes nothing.

use bestow_core::{CampaignFacts, GrantFacts, PromoCode, outcome};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::{Error, Result};
use crate::facts::FoundGrant;
use crate::service::codes;
use crate::service::ended::Ends;
use crate::service::grants::{GrantView, Told, campaign_facts, customer_id, sentence, window_of};
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
    /// Why not: the first that applies of `unknown_promotion`, `promotion_paused`, `no_grant`,
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
        return Ok(refused(outcome::Refusal::UnknownPromotion));
    };
    let mut found = app
        .facts
        .grants_for_code(&app.store, tenant.no(), customer, code.fold())
        .await?;
    let ends = Ends::of(app, tenant, customer)?;
    for FoundGrant { row, window, .. } in &mut found {
        *window = ends.cut(row.offer, &row.occurrence, *window);
    }
    let grants: Vec<_> = found.iter().map(|grant| facts_of(tenant, grant)).collect();
    // Read once the facts are: what started meanwhile has started.
    let now = app.clock.now();
    match outcome::eligibility(Some(&promotion.facts), &grants, now) {
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

fn refused(refusal: outcome::Refusal) -> Answer {
    Answer {
        eligible: false,
        reason: Some(refusal.code()),
        grant: None,
    }
}

fn facts_of(tenant: &Tenant, found: &FoundGrant) -> (GrantFacts, CampaignFacts) {
    (
        GrantFacts {
            cleared: found.cleared,
            ..GrantFacts::single_use(window_of(found.window))
        },
        campaign_facts(tenant, &found.campaign),
    )
}
