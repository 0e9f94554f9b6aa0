//! `bestow held`: what waits for a person.

use clap::Subcommand;

use super::Outcome;
use super::open::{Database, Settings};
use super::output::{json, table};
use crate::actor::Actor;
use crate::app::App;
use crate::service::held::{self, Filter, HeldView, Place, Release};
use crate::tenant::Tenant;

/// Campaigns and reasons listed at once.
const LISTED_AT_ONCE: u32 = 1_000;

/// Pairs of customer and code that are held.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Held {
    /// Lists what is held, by campaign and reason.
    List {
        /// The tenant.
        tenant: String,
        /// Only what is held for this reason.
        #[arg(long)]
        reason: Option<String>,
        /// Only of this campaign.
        #[arg(long, value_name = "CAMPAIGN")]
        campaign: Option<String>,
    },
    /// Runs held pairs again: those whose code the catalogue knows by now are granted.
    Release {
        /// The tenant.
        tenant: String,
        /// Only what is held for this reason.
        #[arg(long)]
        reason: Option<String>,
        /// Only of this campaign.
        #[arg(long, value_name = "CAMPAIGN")]
        campaign: Option<String>,
    },
}

/// Does it.
pub(super) async fn run(settings: &Settings, command: Held) -> anyhow::Result<Outcome> {
    let app = settings.open(Database::Existing)?;
    match command {
        Held::List {
            tenant,
            reason,
            campaign,
        } => {
            let filter = Filter::new(reason.as_deref(), campaign.as_deref())?;
            list(&app, &*app.tenant(&tenant)?, &filter)?;
        }
        Held::Release {
            tenant,
            reason,
            campaign,
        } => {
            let wanted = Release {
                reason,
                campaign_id: campaign,
            };
            json(&held::release(&app, &Actor::cli(), &*app.tenant(&tenant)?, wanted).await?)?;
        }
    }
    Ok(Outcome::Done)
}

fn list(app: &App, tenant: &Tenant, filter: &Filter) -> anyhow::Result<()> {
    let (mut rows, mut after) = (Vec::new(), Place::default());
    loop {
        let some = held::list(app, tenant, filter, after, LISTED_AT_ONCE)?;
        let Some((last, _)) = some.last() else { break };
        after = last.clone();
        rows.extend(some.into_iter().map(|(_, view)| row(view)));
    }
    table(&["CAMPAIGN", "REASON", "PAIRS", "CODES"], &rows);
    Ok(())
}

fn row(view: HeldView) -> Vec<String> {
    vec![
        view.campaign_id,
        view.reason,
        view.pairs.to_string(),
        view.promo_codes.join(","),
    ]
}
