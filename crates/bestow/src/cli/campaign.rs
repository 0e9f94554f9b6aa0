//! `bestow campaign`: what happened to a campaign, with counts that add up.

use clap::Subcommand;

use super::Outcome;
use super::open::{Database, Settings};
use super::output::{json, table};
use crate::actor::Actor;
use crate::app::App;
use crate::service::campaigns::{self, CampaignView, StopReason};
use crate::service::guards::{self, Decision};
use crate::tenant::Tenant;

/// Campaigns listed at once.
const LISTED_AT_ONCE: u32 = 1_000;

/// Campaigns.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Campaign {
    /// Lists campaigns, in the order they were first heard of.
    List {
        /// The tenant.
        tenant: String,
    },
    /// Shows one campaign with its counts and imports.
    Show {
        /// The tenant.
        tenant: String,
        /// Optimove's campaign id.
        campaign: String,
    },
    /// Suspends a campaign until it is resumed: nothing of it can be redeemed meanwhile.
    Suspend {
        /// The tenant.
        tenant: String,
        /// Optimove's campaign id.
        campaign: String,
        /// Why, for people.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Lets a held import go on (an odd size is approved by this) and lifts a suspension.
    Resume {
        /// The tenant.
        tenant: String,
        /// Optimove's campaign id.
        campaign: String,
    },
    /// Reads and weighs a campaign and grants nothing of it until somebody approves; `show` tells what was found.
    DryRun {
        /// The tenant.
        tenant: String,
        /// Optimove's campaign id.
        campaign: String,
    },
    /// Lets a campaign go on that waits for a second person.
    Approve {
        /// The tenant.
        tenant: String,
        /// Optimove's campaign id.
        campaign: String,
        /// Why, for people and the audit.
        #[arg(long)]
        reason: String,
    },
    /// Refuses a campaign that waits for a second person: nothing of it is ever granted.
    Refuse {
        /// The tenant.
        tenant: String,
        /// Optimove's campaign id.
        campaign: String,
        /// Why, for people and the audit.
        #[arg(long)]
        reason: String,
    },
    /// Takes a campaign back for good.
    Revoke {
        /// The tenant.
        tenant: String,
        /// Optimove's campaign id.
        campaign: String,
        /// Why, for people.
        #[arg(long)]
        reason: Option<String>,
    },
}

/// Does it.
pub(super) async fn run(settings: &Settings, command: &Campaign) -> anyhow::Result<Outcome> {
    let app = settings.open(Database::Existing)?;
    let actor = Actor::cli();
    match command {
        Campaign::List { tenant } => list(&app, app.tenant(tenant)?.as_ref())?,
        Campaign::Show { tenant, campaign } => {
            json(&campaigns::get(
                &app,
                app.tenant(tenant)?.as_ref(),
                campaign,
            )?)?;
        }
        Campaign::Suspend {
            tenant,
            campaign,
            reason,
        } => {
            let (tenant, reason) = (app.tenant(tenant)?, reason.clone());
            let stop = StopReason { reason };
            json(&campaigns::suspend(&app, &actor, &tenant, campaign, stop).await?)?;
        }
        Campaign::Resume { tenant, campaign } => {
            let tenant = app.tenant(tenant)?;
            json(&campaigns::resume(&app, &actor, &tenant, campaign).await?)?;
        }
        Campaign::DryRun { tenant, campaign } => {
            let tenant = app.tenant(tenant)?;
            json(&guards::dry_run(&app, &actor, &tenant, campaign).await?)?;
        }
        Campaign::Approve {
            tenant,
            campaign,
            reason,
        } => {
            let (tenant, reason) = (app.tenant(tenant)?, reason.clone());
            let decision = Decision { reason };
            json(&guards::approve(&app, &actor, &tenant, campaign, decision).await?)?;
        }
        Campaign::Refuse {
            tenant,
            campaign,
            reason,
        } => {
            let (tenant, reason) = (app.tenant(tenant)?, reason.clone());
            let decision = Decision { reason };
            json(&guards::refuse(&app, &actor, &tenant, campaign, decision).await?)?;
        }
        Campaign::Revoke {
            tenant,
            campaign,
            reason,
        } => {
            let (tenant, revocation) = (
                app.tenant(tenant)?,
                StopReason {
                    reason: reason.clone(),
                },
            );
            json(&campaigns::revoke(&app, &actor, &tenant, campaign, revocation).await?)?;
        }
    }
    Ok(Outcome::Done)
}

fn list(app: &App, tenant: &Tenant) -> anyhow::Result<()> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut after = 0;
    loop {
        let some = campaigns::list(app, tenant, after, LISTED_AT_ONCE)?;
        let Some((last, _)) = some.last() else { break };
        after = *last;
        rows.extend(some.into_iter().map(|(_, view)| row(view)));
    }
    let head = [
        "CAMPAIGN",
        "STATUS",
        "ROWS",
        "PAIRS",
        "GRANTED",
        "REPEATED",
        "HELD",
        "REFUSED",
        "LAST ERROR",
    ];
    table(&head, &rows);
    Ok(())
}

fn row(view: CampaignView) -> Vec<String> {
    let counts = view.counts;
    vec![
        view.id,
        view.status.to_owned(),
        counts.rows.to_string(),
        counts.pairs.to_string(),
        counts.granted.to_string(),
        counts.repeated.to_string(),
        counts.held.values().sum::<i64>().to_string(),
        counts.refused.values().sum::<i64>().to_string(),
        view.last_error.unwrap_or_default(),
    ]
}
