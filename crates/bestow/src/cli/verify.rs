//! `bestow verify`: derives every invariant again, and changes nothing.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::Outcome;
use super::open::{Database, Settings};
use super::output::{line, note};
use crate::service::{audit, verify};

/// What `bestow verify` takes beside the settings.
#[derive(Debug, Clone, Args)]
pub(super) struct Verify {
    /// Checkpoints that were kept elsewhere, as `bestow audit checkpoints` printed them: audit records must be what they
    /// say, and none that they cover may be missing.
    #[arg(long, value_name = "FILE")]
    checkpoints: Option<PathBuf>,
}

/// One line per violation on standard output.
pub(super) fn run(settings: &Settings, verify: &Verify) -> anyhow::Result<Outcome> {
    let app = settings.open(Database::Existing)?;
    let kept = match &verify.checkpoints {
        None => Vec::new(),
        Some(path) => {
            let text = std::fs::read_to_string(path);
            let text = text.with_context(|| format!("{} cannot be read", path.display()))?;
            audit::kept(&app, &text)?
        }
    };
    let findings = verify::run_against(&app, &kept)?;
    for finding in &findings {
        line(&finding.to_string());
    }
    match findings.len() {
        0 => note("every invariant holds"),
        n => note(&format!(
            "{n} violations: stop granting and look at the newest audit records first"
        )),
    }
    Ok(Outcome::from(findings.is_empty()))
}
