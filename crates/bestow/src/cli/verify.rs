//! `bestow verify`: derives every invariant again, and changes nothing.

use super::Outcome;
use super::open::{Database, Settings};
use super::output::{line, note};
use crate::service::verify;

/// One line per violation on standard output.
pub(super) fn run(settings: &Settings) -> anyhow::Result<Outcome> {
    let app = settings.open(Database::Existing)?;
    let findings = verify::run(&app)?;
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
