//! `bestow audit`: who did what, when and why, and what proves that the records are those that were written.

use clap::Subcommand;

use super::Outcome;
use super::open::{Database, Settings};
use super::output::line;
use crate::app::App;
use crate::service::{audit, findings};
use crate::tenant::Tenant;

/// Records read at once.
const LISTED_AT_ONCE: u32 = 1_000;

/// Audit records.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Audit {
    /// Prints the records of a tenant, oldest first, one JSON object a line.
    List {
        /// The tenant.
        tenant: String,
        /// Only what came of this notification, request, command or run.
        #[arg(long, value_name = "ID")]
        correlation: Option<String>,
    },
    /// Prints the newest signed checkpoint of every tenant and of the deployment, one JSON object a line, to be kept where
    /// nobody who can write to the database can. `bestow verify --checkpoints FILE` compares with them.
    Checkpoints,
}

/// Does it.
pub(super) fn run(settings: &Settings, command: &Audit) -> anyhow::Result<Outcome> {
    let app = settings.open(Database::Existing)?;
    match command {
        Audit::List {
            tenant,
            correlation,
        } => list(&app, &*app.tenant(tenant)?, correlation.as_deref())?,
        Audit::Checkpoints => {
            for checkpoint in audit::newest(&app)? {
                line(&serde_json::to_string(&checkpoint)?);
            }
        }
    }
    Ok(Outcome::Done)
}

fn list(app: &App, tenant: &Tenant, correlation: Option<&str>) -> anyhow::Result<()> {
    let mut after = 0;
    loop {
        let some = findings::audit(app, tenant, after, LISTED_AT_ONCE)?;
        let Some(last) = some.last() else {
            return Ok(());
        };
        after = last.seq as i64;
        for record in some {
            if correlation.is_none() || record.correlation.as_deref() == correlation {
                line(&serde_json::to_string(&record)?);
            }
        }
    }
}
