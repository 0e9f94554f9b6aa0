//! `bestow doctor`: what a deployment needs, checked one by one. Reads only, here and at Optimove.

mod destinations;
mod finding;
mod tenant;

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;

use jiff::civil::date;
use jiff::tz::TimeZone;

use crate::app::App;
use crate::config::Config;
use crate::error::Result;

pub use finding::{Finding, Severity};
use tenant::of_tenant;

/// An admin token shorter than this can be guessed.
const ADMIN_TOKEN_CHARS_MIN: usize = 24;
/// A job that is due for longer than this waits for a worker that is not there.
const OVERDUE_MS: i64 = 600_000;
/// Tries after which a job that keeps failing is told of.
const FAILED_TRIES_MIN: u64 = 5;

/// Checks what is there before the database is opened: data directory, key file, settings that can
/// be judged alone.
pub fn files(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let dir = config.data_dir.display().to_string();
    if let Err(error) = tempfile::tempfile_in(&config.data_dir) {
        let what = format!("{dir} cannot be written to: {error}");
        findings.push(Finding::error(
            "data directory",
            what,
            "let the user that runs Bestow own it",
        ));
    }
    let key = config.key_file();
    match std::fs::metadata(&key) {
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            let what = format!("others may read {}", key.display());
            let fix = format!("run `chmod 600 {}`", key.display());
            findings.push(Finding::error("key file", what, fix));
        }
        Ok(_) => {}
        Err(error) => {
            let what = format!("{} cannot be read: {error}", key.display());
            findings.push(Finding::error(
                "key file",
                what,
                "restore it from your backup",
            ));
        }
    }
    let token = config.admin_token.0.chars().count();
    if (1..ADMIN_TOKEN_CHARS_MIN).contains(&token) {
        let what = format!("it has {token} characters");
        let fix = format!(
            "take {ADMIN_TOKEN_CHARS_MIN} random ones, or tokens from `bestow token create`"
        );
        findings.push(Finding::warning("BESTOW_ADMIN_TOKEN", what, fix));
    }
    findings
}

/// Checks everything that an opened database and Optimove can tell.
pub async fn app(app: &App) -> Vec<Finding> {
    let mut findings = Vec::new();
    note(&mut findings, "database", durability(app));
    note(&mut findings, "clock", clock(app));
    note(&mut findings, "jobs", jobs(app));
    note(&mut findings, "inbox", inbox(app));
    let mut tenants: Vec<_> = app.directory.snapshot().tenants().cloned().collect();
    tenants.sort_by(|a, b| a.id().cmp(b.id()));
    if tenants.is_empty() {
        let fix = "add one with `bestow tenant add`";
        findings.push(Finding::warning("tenants", "there is none", fix));
    }
    for tenant in tenants {
        if !tenant.is_suspended() {
            findings.extend(of_tenant(app, &tenant).await);
        }
    }
    findings
}

/// A check that could not be made is a finding itself.
fn note(findings: &mut Vec<Finding>, about: &str, checked: Result<Vec<Finding>>) {
    match checked {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(Finding::error(
            about,
            error.to_string(),
            "mend it and run this again",
        )),
    }
}

fn durability(app: &App) -> Result<Vec<Finding>> {
    let durability = app.store.durability()?;
    let mut findings = Vec::new();
    if let Err(lacks) = &durability.settings {
        findings.push(Finding::error(
            "database",
            format!("{lacks}: what is acknowledged may be lost"),
            "keep a file on a local disk that takes a write-ahead log, or mend the server's settings",
        ));
    }
    if let Err(words) = durability.integrity {
        let what = format!(
            "its integrity check says: {}",
            words.lines().next().unwrap_or_default()
        );
        findings.push(Finding::error(
            "database",
            what,
            "stop, and restore from the newest backup that is whole",
        ));
    }
    Ok(findings)
}

/// A clock that is years off, or behind what was recorded before.
fn clock(app: &App) -> Result<Vec<Finding>> {
    let now = app.clock.now();
    let year = TimeZone::UTC.to_datetime(now).date();
    let fix = "let the machine keep time with NTP: windows and expiry follow its clock";
    let tenants = app.store.peek(|tx| tx.tenants("", u32::MAX))?;
    let newest = tenants
        .iter()
        .map(|tenant| tenant.created_at)
        .max()
        .unwrap_or_default();
    if year < date(2025, 1, 1) || year > date(2100, 1, 1) {
        return Ok(vec![Finding::error(
            "clock",
            format!("it shows {now}"),
            fix,
        )]);
    }
    if newest > now.as_millisecond() {
        let what = format!("it shows {now}, and a tenant was added after that");
        return Ok(vec![Finding::error("clock", what, fix)]);
    }
    Ok(Vec::new())
}

fn jobs(app: &App) -> Result<Vec<Finding>> {
    let now = app.clock.now_ms();
    let jobs = app.store.peek(|tx| tx.jobs())?;
    let mut findings = Vec::new();
    let overdue = jobs
        .iter()
        .filter(|job| !job.leased && job.run_at < now - OVERDUE_MS)
        .count();
    if overdue > 0 {
        let what = format!(
            "{overdue} are due for more than {} minutes",
            OVERDUE_MS / 60_000
        );
        findings.push(Finding::warning(
            "jobs",
            what,
            "see that `bestow serve` runs on this database",
        ));
    }
    let mut failing: HashMap<&str, usize> = HashMap::new();
    for job in jobs.iter().filter(|job| job.attempts >= FAILED_TRIES_MIN) {
        *failing
            .entry(job.last_error.as_deref().unwrap_or("unknown"))
            .or_default() += 1;
    }
    for (error, count) in failing {
        let what = format!("{count} keep failing with: {error}");
        findings.push(Finding::error(
            "jobs",
            what,
            "mend the cause; they go on by themselves",
        ));
    }
    Ok(findings)
}

fn inbox(app: &App) -> Result<Vec<Finding>> {
    let totals = app.store.peek(|tx| tx.inbox_totals())?;
    let held = totals
        .iter()
        .find(|(status, _)| status == "held")
        .map_or(0, |(_, n)| *n);
    if held == 0 {
        return Ok(Vec::new());
    }
    let what = format!("{held} notifications are held");
    let fix = "look at GET /v1/tenants/{tenant}/notifications?status=held, \
               mend the cause and replay them";
    Ok(vec![Finding::warning("inbox", what, fix)])
}
