//! `bestow doctor`: what a deployment needs, checked one by one. Reads only, here and at Optimove.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;

use bestow_core::pool::low_percent;
use bestow_store::promotions::Promotion;
use jiff::civil::date;
use jiff::tz::TimeZone;
use optimove::Error as CallError;
use optimove::rate::Priority;

use crate::app::App;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::service::ended;
use crate::service::listeners::{self, is_loopback};
use crate::service::promotions;
use crate::tenant::Tenant;

/// An admin token shorter than this can be guessed.
const ADMIN_TOKEN_CHARS_MIN: usize = 24;
/// A job that is due for longer than this waits for a worker that is not there.
const OVERDUE_MS: i64 = 600_000;
/// Tries after which a job that keeps failing is told of.
const FAILED_TRIES_MIN: u64 = 5;
/// Codes named in one finding.
const NAMED_MAX: usize = 5;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Something does not work.
    Error,
    /// It works, and a person should know.
    Warning,
}

/// Something that is not as it should be, and what mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at.
    pub about: String,
    /// What is wrong with it.
    pub what: String,
    /// What to do.
    pub fix: String,
}

impl Finding {
    /// Something does not work.
    pub fn error(
        about: impl Into<String>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            about: about.into(),
            what: what.into(),
            fix: fix.into(),
        }
    }

    /// A person should know.
    pub fn warning(
        about: impl Into<String>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(about, what, fix)
        }
    }

    /// Whether something does not work.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let severity = if self.is_error() { "error" } else { "warning" };
        write!(
            out,
            "{severity}: {}: {}; {}",
            self.about, self.what, self.fix
        )
    }
}

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

async fn of_tenant(app: &App, tenant: &Tenant) -> Vec<Finding> {
    let about = format!("tenant {}", tenant.id());
    let mut findings = settings(&about, tenant);
    note(&mut findings, &about, ended_lists(app, &about, tenant));
    note(&mut findings, &about, pools(app, &about, tenant));
    if let Err(error) = reach(app, tenant).await {
        findings.push(unreachable(&about, tenant, &error));
        return findings;
    }
    findings.extend(listener_findings(app, &about, tenant).await);
    findings.extend(catalogue(app, &about, tenant).await);
    findings
}

fn settings(about: &str, tenant: &Tenant) -> Vec<Finding> {
    let mut findings = Vec::new();
    if tenant.zone.name() == "UTC" {
        let what = "its zone is UTC, which few clients of Optimove are on";
        let fix = "set the zone that schedule times are meant in, or leave it if UTC is right";
        findings.push(Finding::warning(about, what, fix));
    }
    if tenant.settings.scheduled_channels.is_empty() {
        let what =
            "it has no scheduled channel: campaigns are read over all channels at once, on event 1";
        let fix = "name its channels, so that event 13 starts each as soon as it is complete";
        findings.push(Finding::warning(about, what, fix));
    }
    findings
}

/// Days whose lists of ended actions nobody has read.
fn ended_lists(app: &App, about: &str, tenant: &Tenant) -> Result<Vec<Finding>> {
    let Some((days, oldest)) = ended::behind(app, tenant)? else {
        return Ok(Vec::new());
    };
    let what = format!(
        "the lists of ended actions of {days} days are not read to their end, the oldest of {oldest}: \
         what ended on them may still be redeemed"
    );
    let fix = "see that `bestow serve` runs and what its job `ended` fails with";
    Ok(vec![Finding::error(about, what, fix)])
}

/// Pools of unique codes that are low or empty.
fn pools(app: &App, about: &str, tenant: &Tenant) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let pools = app.store.peek(|tx| tx.pools(tenant.no()))?;
    for pool in pools {
        let promotion = app
            .facts
            .promotion(&app.store, tenant.no(), &pool.code_fold)?;
        let is_offered = |promotion: &Promotion| {
            promotion.kind == "unique" && ["active", "paused"].contains(&&*promotion.status)
        };
        let Some(promotion) = promotion.filter(|promotion| is_offered(promotion)) else {
            continue;
        };
        if low_percent(pool.loaded, pool.free()).is_none() {
            continue;
        }
        let what = format!(
            "{} of {} unique codes of {} are left",
            pool.free(),
            pool.loaded,
            promotion.code
        );
        let fix = format!(
            "load more with `bestow codes import {} {} FILE`",
            tenant.id(),
            promotion.code
        );
        findings.push(Finding::warning(about, what, fix));
    }
    Ok(findings)
}

/// Whether the credential opens, and Optimove takes it.
async fn reach(app: &App, tenant: &Tenant) -> Result<()> {
    let client = app.client(tenant, Priority::Catalogue)?;
    client.get_last_data_update().await?;
    Ok(())
}

fn unreachable(about: &str, tenant: &Tenant, error: &Error) -> Finding {
    let fix = match error {
        Error::Key(_) => {
            "restore the key file that belongs to this database, \
             or give the credential again with `bestow tenant rotate`"
        }
        Error::Optimove(
            CallError::Unauthorized { .. }
            | CallError::Forbidden { .. }
            | CallError::LoginRefused { .. },
        ) => "give the right credential with `bestow tenant rotate`; the key needs the role Admin",
        _ => "see that this machine reaches the base URL, and that it is the right one",
    };
    let what = format!("{error} ({})", tenant.row.base_url);
    Finding::error(about, what, fix)
}

async fn listener_findings(app: &App, about: &str, tenant: &Tenant) -> Vec<Finding> {
    let repair = format!("run `bestow listeners sync {}`", tenant.id());
    let mut findings = Vec::new();
    if let Some(url) = app.public_url.get()
        && url.starts_with("http://")
        && !is_loopback(url)
    {
        let what = "its public URL is plain http: the secrets in its path travel in the open";
        findings.push(Finding::warning(
            about,
            what,
            "put TLS in front and set BESTOW_PUBLIC_URL to https",
        ));
    }
    match listeners::show(app, tenant).await {
        Ok(found) if found.is_right() => {}
        Ok(found) => {
            let what = format!(
                "{} listeners are missing, {} go elsewhere, {} are left over",
                found.missing.len(),
                found.elsewhere.len(),
                found.stale.len()
            );
            findings.push(Finding::error(about, what, repair));
        }
        Err(error) => findings.push(Finding::error(about, error.to_string(), repair)),
    }
    findings
}

async fn catalogue(app: &App, about: &str, tenant: &Tenant) -> Vec<Finding> {
    let repair = format!("run `bestow promotions sync {}`", tenant.id());
    let drift = match promotions::drift(app, tenant).await {
        Ok(drift) => drift,
        Err(error) => return vec![Finding::error(about, error.to_string(), repair)],
    };
    let by_hand: Vec<String> = drift
        .changed_there
        .iter()
        .map(|one| one.code.clone())
        .collect();
    let differences = [
        ("Somebody changed in Optimove by hand", &by_hand),
        ("Optimove's list lacks", &drift.missing),
        (
            "Optimove's list has under another name",
            &drift.named_otherwise,
        ),
        ("Optimove's list still has the archived", &drift.left_over),
    ];
    differences
        .into_iter()
        .filter(|(_, codes)| !codes.is_empty())
        .map(|(what, codes)| {
            let mut named = codes
                .iter()
                .take(NAMED_MAX)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ");
            if codes.len() > NAMED_MAX {
                named.push_str(", …");
            }
            let what = format!("{what} {} of our promotions ({named})", codes.len());
            Finding::error(about, what, repair.clone())
        })
        .collect()
}
