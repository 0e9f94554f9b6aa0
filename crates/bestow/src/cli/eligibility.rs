//! `bestow eligibility`: may a customer use a code now?

use clap::Args;

use super::Outcome;
use super::open::{Database, Settings};
use super::output::json;
use crate::service::eligibility::{self, Question};

/// Whose code.
#[derive(Debug, Clone, Args)]
pub(super) struct Eligibility {
    /// The tenant.
    tenant: String,
    /// Optimove's customer id.
    customer: String,
    /// The promo code, in any letter case.
    code: String,
}

/// Prints the answer that a shop would get. A no is an answer, too.
pub(super) async fn run(settings: &Settings, asked: Eligibility) -> anyhow::Result<Outcome> {
    let app = settings.open(Database::Existing)?;
    let tenant = app.tenant(&asked.tenant)?;
    let question = Question {
        customer_id: asked.customer,
        promo_code: asked.code,
    };
    json(&eligibility::ask(&app, &tenant, &question).await?)?;
    Ok(Outcome::Done)
}
