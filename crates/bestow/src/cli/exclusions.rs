//! `bestow exclusions`: customers who may get nothing now, or nothing of one promotion.

use std::path::PathBuf;

use clap::Subcommand;

use super::Outcome;
use super::open::{Database, Settings};
use super::output::{json, note, read_text, table};
use crate::actor::Actor;
use crate::app::App;
use crate::service::exclusions::{self, Exclude, ExclusionView, Include};
use crate::tenant::Tenant;

/// Exclusions listed at once.
const LISTED_AT_ONCE: u32 = 1_000;

/// The exclusion list.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Exclusions {
    /// Lists excluded customers.
    List {
        /// The tenant.
        tenant: String,
    },
    /// Excludes customers: they are granted nothing and can redeem nothing.
    Add {
        /// The tenant.
        tenant: String,
        /// Optimove's customer ids.
        #[arg(required = true)]
        customers: Vec<String>,
        /// Why, for people.
        #[arg(long)]
        reason: String,
        /// Only from this promotion.
        #[arg(long, value_name = "CODE")]
        promo_code: Option<String>,
    },
    /// Lets customers in again.
    Remove {
        /// The tenant.
        tenant: String,
        /// Optimove's customer ids.
        #[arg(required = true)]
        customers: Vec<String>,
        /// To this promotion, from which alone they were excluded.
        #[arg(long, value_name = "CODE")]
        promo_code: Option<String>,
    },
    /// Excludes the customers of a CSV file with the column `customer_id`, perhaps `reason` and `promo_code`; exit code 1 where a
    /// line is not taken.
    Import {
        /// The tenant.
        tenant: String,
        /// The file, `-` for standard input.
        file: PathBuf,
    },
}

/// Does it.
pub(super) async fn run(settings: &Settings, command: Exclusions) -> anyhow::Result<Outcome> {
    let app = settings.open(Database::Existing)?;
    let actor = Actor::cli();
    match command {
        Exclusions::List { tenant } => list(&app, &*app.tenant(&tenant)?)?,
        Exclusions::Add {
            tenant,
            customers,
            reason,
            promo_code,
        } => {
            let wanted = Exclude {
                customer_ids: customers,
                reason,
                promo_code,
            };
            json(&exclusions::exclude(&app, &actor, &*app.tenant(&tenant)?, wanted).await?)?;
        }
        Exclusions::Remove {
            tenant,
            customers,
            promo_code,
        } => {
            let wanted = Include {
                customer_ids: customers,
                promo_code,
            };
            json(&exclusions::include(&app, &actor, &*app.tenant(&tenant)?, &wanted).await?)?;
        }
        Exclusions::Import { tenant, file } => {
            let text = read_text(&file)?;
            let report =
                exclusions::import_csv(&app, &actor, &*app.tenant(&tenant)?, &text).await?;
            for refusal in &report.refused {
                note(&format!("line {}: {}", refusal.line, refusal.reason));
            }
            let refused = report.refused.len();
            note(&format!(
                "{} added, {} known, {refused} refused",
                report.added, report.known
            ));
            return Ok(Outcome::from(refused == 0));
        }
    }
    Ok(Outcome::Done)
}

fn list(app: &App, tenant: &Tenant) -> anyhow::Result<()> {
    let (mut rows, mut after) = (Vec::new(), String::new());
    loop {
        let some = exclusions::list(app, tenant, &after, LISTED_AT_ONCE)?;
        let Some(last) = some.last() else { break };
        after = last.place();
        rows.extend(some.into_iter().map(row));
    }
    table(&["CUSTOMER", "PROMOTION", "SINCE", "BY", "REASON"], &rows);
    Ok(())
}

fn row(view: ExclusionView) -> Vec<String> {
    vec![
        view.customer_id,
        view.promo_code.unwrap_or_default(),
        view.created_at.to_string(),
        view.created_by,
        view.reason,
    ]
}
