//! `bestow listeners`: wanted against registered listeners, and their repair.

use clap::Subcommand;

use super::Outcome;
use super::open::{Database, Settings};
use super::output::{json, note};
use crate::actor::Actor;
use crate::service::listeners;

/// Listeners.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Listeners {
    /// Compares, and changes nothing; exit code 1 where they differ.
    Show {
        /// The tenant.
        tenant: String,
    },
    /// Registers, moves and removes until they match.
    Sync {
        /// The tenant.
        tenant: String,
    },
}

/// Does it.
pub(super) async fn run(settings: &Settings, command: &Listeners) -> anyhow::Result<Outcome> {
    let app = settings.open(Database::Existing)?;
    match command {
        Listeners::Show { tenant } => {
            let comparison = listeners::show(&app, app.tenant(tenant)?.as_ref()).await?;
            json(&comparison)?;
            if !comparison.is_right() {
                note(&format!(
                    "the listeners differ: `bestow listeners sync {tenant}` repairs them"
                ));
            }
            Ok(Outcome::from(comparison.is_right()))
        }
        Listeners::Sync { tenant } => {
            let tenant = app.tenant(tenant)?;
            json(&listeners::sync(&app, &Actor::cli(), &tenant).await?)?;
            Ok(Outcome::Done)
        }
    }
}
