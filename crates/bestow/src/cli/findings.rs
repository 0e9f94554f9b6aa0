//! `bestow findings`: differences between Bestow and Optimove.

use clap::Subcommand;

use super::Outcome;
use super::open::{Database, Settings};
use super::output::{json, table};
use crate::actor::Actor;
use crate::service::findings::{self, FindingView, SettleFinding};

/// Differences that somebody should look at.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Findings {
    /// Lists those that are still there.
    List {
        /// The tenant.
        tenant: String,
    },
    /// Takes one off the list that was dealt with; it comes back if the difference is seen again.
    Settle {
        /// The tenant.
        tenant: String,
        /// Its kind, as listed.
        kind: String,
        /// What it is about, as listed.
        object: String,
        /// Why, for people.
        #[arg(long)]
        reason: String,
    },
}

/// Does it.
pub(super) async fn run(settings: &Settings, command: Findings) -> anyhow::Result<Outcome> {
    let app = settings.open(Database::Existing)?;
    match command {
        Findings::List { tenant } => {
            let found = findings::findings(&app, &*app.tenant(&tenant)?, None, u32::MAX)?;
            let rows: Vec<_> = found.into_iter().map(row).collect();
            table(&["KIND", "ABOUT", "SINCE", "SEEN", "WHAT"], &rows);
        }
        Findings::Settle {
            tenant,
            kind,
            object,
            reason,
        } => {
            let wanted = SettleFinding {
                kind,
                object,
                reason,
            };
            json(&findings::settle(&app, &Actor::cli(), &*app.tenant(&tenant)?, wanted).await?)?;
        }
    }
    Ok(Outcome::Done)
}

fn row(view: FindingView) -> Vec<String> {
    vec![
        view.kind,
        view.object,
        view.found_at.to_string(),
        view.seen_at.to_string(),
        view.detail,
    ]
}
