//! `bestow promotions`: the catalogue, and its sync with Optimove.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;

use super::Outcome;
use super::open::{Database, Settings};
use super::output::{json, line, note, read_text, table};
use crate::actor::Actor;
use crate::app::App;
use crate::service::campaigns::StopReason;
use crate::service::promotions::{self, Catalogue, PromotionView, SyncWish};
use crate::table::cell;
use crate::tenant::Tenant;

/// Promotions listed at once.
const LISTED_AT_ONCE: u32 = 1_000;

/// The catalogue.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Promotions {
    /// Lists the catalogue.
    List {
        /// The tenant.
        tenant: String,
    },
    /// Writes the catalogue as a table to standard output, in CSV; it can be imported again.
    Export {
        /// The tenant.
        tenant: String,
    },
    /// Writes promotions from a CSV file with the columns code, name and perhaps more of those that the export has.
    /// Running it again changes nothing; what the file does not say of a promotion stays.
    Import {
        /// The tenant.
        tenant: String,
        /// The file, `-` for standard input.
        file: PathBuf,
    },
    /// Stops a promotion at once: nothing of it is granted, promised or redeemed until it is resumed.
    Stop {
        /// The tenant.
        tenant: String,
        /// The code, in any letter case.
        code: String,
        /// Why, for people.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Lets a stopped promotion go on.
    Resume {
        /// The tenant.
        tenant: String,
        /// The code, in any letter case.
        code: String,
    },
    /// Makes Optimove's list follow the catalogue; exit code 1 where something is refused.
    Sync {
        /// The tenant.
        tenant: String,
        /// Only print what would be written.
        #[arg(long)]
        plan: bool,
        /// Delete archived codes of ours although a campaign uses them or somebody renamed them
        /// there.
        #[arg(long)]
        force: bool,
    },
}

/// Does it.
pub(super) async fn run(settings: &Settings, command: &Promotions) -> anyhow::Result<Outcome> {
    let app = settings.open(Database::Existing)?;
    let (Promotions::List { tenant }
    | Promotions::Import { tenant, .. }
    | Promotions::Export { tenant }
    | Promotions::Stop { tenant, .. }
    | Promotions::Resume { tenant, .. }
    | Promotions::Sync { tenant, .. }) = command;
    let tenant = app.tenant(tenant)?;
    match command {
        Promotions::List { .. } => list(&app, &tenant).map(|()| Outcome::Done),
        Promotions::Export { .. } => export(&app, &tenant).map(|()| Outcome::Done),
        Promotions::Import { file, .. } => import(&app, &tenant, file).await,
        Promotions::Stop { code, reason, .. } => {
            let reason = reason.clone();
            let stop = StopReason { reason };
            json(&promotions::stop(&app, &Actor::cli(), &tenant, code, stop).await?)?;
            Ok(Outcome::Done)
        }
        Promotions::Resume { code, .. } => {
            json(&promotions::resume(&app, &Actor::cli(), &tenant, code).await?)?;
            Ok(Outcome::Done)
        }
        Promotions::Sync { plan, force, .. } => {
            let wish = SyncWish {
                dry_run: *plan,
                force: *force,
            };
            let report = promotions::sync_with(&app, &Actor::cli(), &tenant, &wish).await?;
            json(&report)?;
            Ok(Outcome::from(report.refused.is_empty()))
        }
    }
}

fn list(app: &App, tenant: &Tenant) -> anyhow::Result<()> {
    let mut views: Vec<PromotionView> = Vec::new();
    loop {
        let after = views.last().map_or("", |last| &last.code);
        let some = promotions::list(app, tenant, after, LISTED_AT_ONCE)?;
        if some.is_empty() {
            break;
        }
        views.extend(some);
    }
    let row = |view: PromotionView| {
        let status = if view.stopped {
            "stopped".to_owned()
        } else {
            view.status
        };
        vec![view.code, status, view.version.to_string(), view.name]
    };
    let rows: Vec<Vec<String>> = views.into_iter().map(row).collect();
    table(&["CODE", "STATUS", "VERSION", "NAME"], &rows);
    Ok(())
}

fn export(app: &Arc<App>, tenant: &Arc<Tenant>) -> anyhow::Result<()> {
    line(&promotions::COLUMNS.join(","));
    let mut catalogue = Catalogue::open(app, tenant);
    while let Some(view) = catalogue.next_promotion()? {
        line(&promotions::cells(&view).map(|text| cell(&text)).join(","));
    }
    Ok(())
}

async fn import(app: &App, tenant: &Tenant, file: &Path) -> anyhow::Result<Outcome> {
    let text = read_text(file)?;
    let report = promotions::import_csv(app, &Actor::cli(), tenant, &text).await?;
    for refusal in &report.refused {
        note(&format!("line {}: {}", refusal.line, refusal.reason));
    }
    note(&format!(
        "{} created, {} changed, {} unchanged, {} refused",
        report.created,
        report.changed,
        report.unchanged,
        report.refused.len()
    ));
    Ok(Outcome::from(report.refused.is_empty()))
}
