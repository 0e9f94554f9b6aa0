//! `bestow redemptions`: what was redeemed, and its reversal.

use std::sync::Arc;

use clap::Subcommand;

use super::Outcome;
use super::open::{Database, Settings};
use super::output::{json, table};
use crate::actor::Actor;
use crate::app::App;
use crate::service::redemptions::{self, RedemptionView, Undo};
use crate::tenant::Tenant;

/// Redemptions listed at once.
const LISTED_AT_ONCE: u32 = 1_000;

/// Redemptions.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Redemptions {
    /// Lists redemptions, oldest first.
    List {
        /// The tenant.
        tenant: String,
        /// Only of this customer.
        #[arg(long)]
        customer: Option<String>,
    },
    /// Shows one redemption, or what was set aside for a cart.
    Show {
        /// The tenant.
        tenant: String,
        /// Its id.
        redemption: String,
    },
    /// Undoes a redemption: its grant can be used again while its window lasts.
    Reverse {
        /// The tenant.
        tenant: String,
        /// Its id.
        redemption: String,
        /// Why, for people.
        #[arg(long)]
        reason: Option<String>,
    },
}

/// Does it.
pub(super) async fn run(settings: &Settings, command: Redemptions) -> anyhow::Result<Outcome> {
    let app = settings.open(Database::Existing)?;
    match command {
        Redemptions::List { tenant, customer } => {
            list(&app, &app.tenant(&tenant)?, customer.as_deref())?;
        }
        Redemptions::Show { tenant, redemption } => {
            json(&redemptions::get(&app, &app.tenant(&tenant)?, &redemption)?)?;
        }
        Redemptions::Reverse {
            tenant,
            redemption,
            reason,
        } => {
            let (tenant, undo) = (app.tenant(&tenant)?, Undo { reason });
            let actor = Actor::cli();
            json(&redemptions::reverse(&app, &actor, &tenant, &redemption, &undo).await?)?;
        }
    }
    Ok(Outcome::Done)
}

fn list(app: &App, tenant: &Arc<Tenant>, customer: Option<&str>) -> anyhow::Result<()> {
    let (mut rows, mut after) = (Vec::new(), String::new());
    loop {
        let some = redemptions::list(app, tenant, customer, &after, LISTED_AT_ONCE)?;
        let Some(last) = some.last() else { break };
        after.clone_from(&last.id);
        rows.extend(some.into_iter().map(row));
    }
    let head = [
        "REDEMPTION",
        "STATUS",
        "CUSTOMER",
        "PROMOTION",
        "CAMPAIGN",
        "AMOUNT",
        "AT",
    ];
    table(&head, &rows);
    Ok(())
}

fn row(view: RedemptionView) -> Vec<String> {
    let amount = view.amount_minor.zip(view.currency);
    vec![
        view.id,
        view.status.to_owned(),
        view.customer_id,
        view.promo_code,
        view.campaign_id,
        amount
            .map(|(minor, currency)| format!("{minor} {currency}"))
            .unwrap_or_default(),
        view.redeemed_at
            .map(|at| at.to_string())
            .unwrap_or_default(),
    ]
}
