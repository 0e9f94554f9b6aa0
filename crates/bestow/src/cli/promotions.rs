//! `bestow promotions`: the catalogue, and its sync with Optimove.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;

use super::Outcome;
use super::open::{Database, Settings};
use super::output::{json, note, table};
use crate::actor::Actor;
use crate::app::App;
use crate::service::promotions::{self, PromotionView, SyncWish};
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
    /// Writes promotions from a CSV file with the columns code, name and perhaps status and kind. Running it
    /// again changes nothing; what the file does not say of a promotion stays.
    Import {
        /// The tenant.
        tenant: String,
        /// The file, `-` for standard input.
        file: PathBuf,
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
    | Promotions::Sync { tenant, .. }) = command;
    let tenant = app.tenant(tenant)?;
    match command {
        Promotions::List { .. } => list(&app, &tenant).map(|()| Outcome::Done),
        Promotions::Import { file, .. } => import(&app, &tenant, file).await,
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
    let row =
        |view: PromotionView| vec![view.code, view.status, view.version.to_string(), view.name];
    let rows: Vec<Vec<String>> = views.into_iter().map(row).collect();
    table(&["CODE", "STATUS", "VERSION", "NAME"], &rows);
    Ok(())
}

async fn import(app: &App, tenant: &Tenant, file: &PathBuf) -> anyhow::Result<Outcome> {
    let text = if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).context("reading standard input")?
    } else {
        std::fs::read_to_string(file)
            .with_context(|| format!("the file {} cannot be read", file.display()))?
    };
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
