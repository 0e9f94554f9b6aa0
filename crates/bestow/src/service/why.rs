//! Why a customer may use a code, or may not: the whole story, from Optimove's notification to the redemption, out of what
//! is stored. Writes nothing.

mod against;
mod told;
mod words;

use std::sync::Arc;

use bestow_core::{PromoCode, Refusal};
use serde::Serialize;

use crate::app::App;
use crate::error::{Error, Result};
use crate::service::eligibility::{self, Question};
use crate::service::grants::{customer_id, sentence};
use crate::service::view::Instant;
use crate::tenant::Tenant;

/// Campaigns that are told of: the newest that offer the code.
const CAMPAIGNS_MAX: u32 = 20;

/// The story of one customer and promo code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WhyView {
    /// Optimove's customer id.
    pub customer_id: String,
    /// As it was asked for.
    pub promo_code: String,
    /// When this was so.
    pub at: Instant,
    /// Whether the customer may use the code now.
    pub eligible: bool,
    /// Why not, as eligibility says it.
    pub reason: Option<&'static str>,
    /// The same in a sentence.
    pub summary: String,
    /// What is known of it: campaign by campaign, of the twenty newest that offer the code, the latest last; of each in the
    /// order in which things happen.
    pub story: Vec<StepView>,
}

/// Something that happened, or that is so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct StepView {
    /// When; null: it is so since what stands before it.
    pub at: Option<Instant>,
    /// Optimove's campaign id; null: it is not about a campaign.
    pub campaign_id: Option<String>,
    /// `excluded`, `stopped`, `in_use`, `not_offered`, `heard`, `notified`, `terms`, `weighed`, `waits`, `approved`, `unread`, `not_listed`,
    /// `listed`, `other_codes`, `held`, `refused`, `denied`, `granted`, `suspended`, `revoked`, `redeemed`, `reversed` or `archived`.
    pub what: &'static str,
    /// In a sentence.
    pub text: String,
}

/// Tells the story.
///
/// # Errors
/// [`Error::Invalid`] with `bad_customer_id` or `bad_promo_code`; the store's.
pub async fn tell(app: &App, tenant: &Arc<Tenant>, customer: &str, code: &str) -> Result<WhyView> {
    let customer = customer_id(customer)?;
    let parsed = PromoCode::parse(code);
    let parsed = parsed.map_err(|e| Error::invalid("bad_promo_code", sentence(&e)))?;
    let question = Question {
        customer_id: customer.to_owned(),
        promo_code: code.to_owned(),
    };
    let answer = eligibility::ask(app, tenant, &question).await?;
    let mut story = against::everything(app, tenant, customer, parsed.fold())?;
    if answer.reason == Some(Refusal::LimitReached.code()) {
        story.extend(against::stacking(app, tenant, customer)?);
    }
    let mut offers = app
        .store
        .peek(|tx| tx.offers_of_code(tenant.no(), parsed.fold(), CAMPAIGNS_MAX))?;
    if offers.is_empty() {
        story.push(words::not_offered());
    }
    offers.reverse();
    for (campaign, offer) in &offers {
        story.extend(told::of_campaign(app, tenant, customer, *campaign, offer)?);
    }
    Ok(WhyView {
        customer_id: customer.to_owned(),
        promo_code: code.to_owned(),
        at: Instant(app.clock.now_ms()),
        eligible: answer.eligible,
        reason: answer.reason,
        summary: words::summary(&answer),
        story,
    })
}
