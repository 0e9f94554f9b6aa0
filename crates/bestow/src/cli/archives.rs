//! `bestow archives`: grants that have left the ledger.

use clap::Subcommand;

use super::Outcome;
use super::open::{Database, Settings};
use super::output::{json, table};
use crate::app::App;
use crate::service::retention::{self, ArchiveView, ArchivedPlace};
use crate::tenant::Tenant;

/// Rows read at once.
const AT_ONCE: u32 = 1_000;

/// Archives.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Archives {
    /// Lists archives, with the folders of their files.
    List {
        /// The tenant.
        tenant: String,
    },
    /// The grants of one customer that have left the ledger, one JSON object a line.
    Find {
        /// The tenant.
        tenant: String,
        /// The customer.
        customer: String,
    },
}

/// Does it.
pub(super) fn run(settings: &Settings, command: &Archives) -> anyhow::Result<Outcome> {
    let app = settings.open(Database::Existing)?;
    match command {
        Archives::List { tenant } => {
            let rows: Vec<_> = all(&app, &*app.tenant(tenant)?)?
                .into_iter()
                .map(row)
                .collect();
            let head = [
                "ARCHIVE", "CAMPAIGN", "MONTH", "STATE", "GRANTS", "LEFT", "FOLDER",
            ];
            table(&head, &rows);
        }
        Archives::Find { tenant, customer } => {
            let tenant = app.tenant(tenant)?;
            let mut after = ArchivedPlace::default();
            loop {
                let found =
                    retention::of_customer(&app, &tenant, customer, after, AT_ONCE as usize)?;
                let Some((last, _)) = found.last() else { break };
                after = *last;
                for (_, view) in &found {
                    json(view)?;
                }
            }
        }
    }
    Ok(Outcome::Done)
}

fn all(app: &App, tenant: &Tenant) -> anyhow::Result<Vec<ArchiveView>> {
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let some = retention::list(app, tenant, after, AT_ONCE)?;
        let Some(last) = some.last() else {
            return Ok(found);
        };
        after = last.archive;
        found.extend(some);
    }
}

fn row(view: ArchiveView) -> Vec<String> {
    vec![
        view.archive.to_string(),
        view.campaign_id,
        view.month.unwrap_or_default(),
        view.state,
        view.grants.to_string(),
        view.dropped.to_string(),
        view.folder,
    ]
}
