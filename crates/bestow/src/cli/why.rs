//! `bestow why`: why a customer may use a code, or may not.

use clap::Args;

use super::Outcome;
use super::open::{Database, Settings};
use super::output::line;
use crate::service::why as service;

/// Whose code.
#[derive(Debug, Clone, Args)]
pub(super) struct Why {
    /// The tenant.
    tenant: String,
    /// Optimove's customer id.
    customer: String,
    /// The promo code, in any letter case.
    code: String,
}

/// A line for each thing that happened, and the answer at the end.
pub(super) async fn run(settings: &Settings, why: &Why) -> anyhow::Result<Outcome> {
    let app = settings.open(Database::Existing)?;
    let tenant = app.tenant(&why.tenant)?;
    let told = service::tell(&app, &tenant, &why.customer, &why.code).await?;
    for step in &told.story {
        let at = step.at.map_or_else(String::new, |at| at.to_string());
        let campaign = step.campaign_id.as_deref().unwrap_or_default();
        line(&format!("{at:24}  {campaign:10}  {}", step.text));
    }
    line(&told.summary);
    Ok(Outcome::Done)
}
