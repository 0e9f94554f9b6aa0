//! `bestow doctor`: what a deployment needs, checked.

use super::Outcome;
use super::open::{Database, Settings, log_to_stderr, open};
use super::output::{line, note};
use crate::service::doctor;

/// One line per finding, with its fix.
pub(super) async fn run(settings: &Settings) -> anyhow::Result<Outcome> {
    let config = settings.load()?;
    log_to_stderr("error")?;
    let mut findings = doctor::files(&config);
    match open(config, Database::Existing) {
        Ok(app) => findings.extend(doctor::app(&app).await),
        Err(error) => findings.push(doctor::Finding::error(
            "database",
            format!("{error:#}"),
            "mend it and run this again: nothing else could be checked",
        )),
    }
    for finding in &findings {
        line(&finding.to_string());
    }
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    note(&format!(
        "{} findings, {errors} of them errors",
        findings.len()
    ));
    Ok(Outcome::from(errors == 0))
}
