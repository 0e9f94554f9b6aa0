//! `bestow codes`: pools of unique codes.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;

use super::Outcome;
use super::open::{Database, Settings};
use super::output::{json, note};
use crate::actor::Actor;
use crate::app::App;
use crate::service::codes::{self, CampaignCodes, Generate, Load};
use crate::service::grants;
use crate::service::idempotency::IdempotencyKey;
use crate::tenant::Tenant;

/// Bytes of a file read at once.
const PIECE_BYTES: usize = 64 * 1_024;

/// Unique codes.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Codes {
    /// Loads codes from a file of any size, one a line. Running it again loads only what is missing; exit code 1 where
    /// lines are rejected.
    Import {
        /// The tenant.
        tenant: String,
        /// The promotion's code.
        promo_code: String,
        /// The file, `-` for standard input.
        file: PathBuf,
    },
    /// Loads random codes of sixteen characters.
    Generate {
        /// The tenant.
        tenant: String,
        /// The promotion's code.
        promo_code: String,
        /// How many.
        count: u64,
        /// A name for this batch: the same command again makes no more codes.
        #[arg(long, value_name = "KEY")]
        idempotency_key: Option<String>,
    },
    /// Shows how many codes a promotion has loaded, assigned, free and void.
    Show {
        /// The tenant.
        tenant: String,
        /// The promotion's code.
        promo_code: String,
    },
    /// Writes the codes of a campaign to standard output, one JSON object a line, keyed `CUSTOMERID_CAMPAIGNID`.
    Export {
        /// The tenant.
        tenant: String,
        /// Optimove's campaign id.
        campaign: String,
        /// Only codes of this promotion.
        #[arg(long)]
        promo_code: Option<String>,
    },
}

/// Does it.
pub(super) async fn run(settings: &Settings, command: &Codes) -> anyhow::Result<Outcome> {
    let app = settings.open(Database::Existing)?;
    let (Codes::Import { tenant, .. }
    | Codes::Generate { tenant, .. }
    | Codes::Show { tenant, .. }
    | Codes::Export { tenant, .. }) = command;
    let tenant = app.tenant(tenant)?;
    match command {
        Codes::Import {
            promo_code, file, ..
        } => return import(&app, &tenant, promo_code, file).await,
        Codes::Generate {
            promo_code,
            count,
            idempotency_key: key,
            ..
        } => {
            let key = key.as_deref().map(IdempotencyKey::parse).transpose()?;
            let wanted = Generate { count: *count, key };
            let report = codes::generate(&app, &Actor::cli(), &tenant, promo_code, wanted).await?;
            note(&format!("{} codes loaded", report.loaded));
        }
        Codes::Show { promo_code, .. } => json(&codes::get(&app, &tenant, promo_code)?)?,
        Codes::Export {
            campaign,
            promo_code,
            ..
        } => {
            let id = grants::campaign_id(campaign)?;
            export(CampaignCodes::open(
                &app,
                &tenant,
                &id,
                promo_code.as_deref(),
            )?)?;
        }
    }
    Ok(Outcome::Done)
}

async fn import(
    app: &App,
    tenant: &Tenant,
    promo_code: &str,
    file: &Path,
) -> anyhow::Result<Outcome> {
    let mut load = Load::begin(app, &Actor::cli(), tenant, promo_code)?;
    let mut source: Box<dyn Read + Send> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        let opened = std::fs::File::open(file);
        Box::new(opened.with_context(|| format!("the file {} cannot be read", file.display()))?)
    };
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = source.read(&mut piece).context("reading the codes")?;
        if read == 0 {
            break;
        }
        load.take(&piece[..read]).await?;
    }
    let report = load.end().await?;
    for reject in &report.rejects {
        note(&format!("line {}: {}", reject.line, reject.reason));
    }
    note(&format!(
        "{} loaded, {} duplicates, {} rejected",
        report.loaded, report.duplicates, report.rejected
    ));
    Ok(Outcome::from(report.rejected == 0))
}

fn export(mut codes: CampaignCodes) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    while let Some(row) = codes.next_code()? {
        serde_json::to_writer(&mut out, &row)?;
        out.write_all(b"\n")?;
    }
    out.flush().context("writing the codes")
}
