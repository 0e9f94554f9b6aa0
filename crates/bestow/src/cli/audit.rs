//! `bestow audit`: what proves that the audit records are those that were written.

use clap::Subcommand;

use super::Outcome;
use super::open::{Database, Settings};
use super::output::json;
use crate::service::audit;

/// Audit records.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Audit {
    /// Prints the newest signed checkpoint of every tenant and of the deployment, one JSON object a line, to be kept where
    /// nobody who can write to the database can. `bestow verify --checkpoints FILE` compares with them.
    Checkpoints,
}

/// Does it.
pub(super) fn run(settings: &Settings, command: &Audit) -> anyhow::Result<Outcome> {
    let app = settings.open(Database::Existing)?;
    match command {
        Audit::Checkpoints => {
            for checkpoint in audit::newest(&app)? {
                json(&checkpoint)?;
            }
        }
    }
    Ok(Outcome::Done)
}
