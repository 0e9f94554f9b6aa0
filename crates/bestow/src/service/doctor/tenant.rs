//! One tenant, looked at here and at Optimove.

use bestow_core::pool::low_percent;
use bestow_store::promotions::Promotion;
use optimove::Error as CallError;
use optimove::rate::Priority;

use super::destinations::destinations;
use super::{Finding, note};
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::ended;
use crate::service::listeners::{self, is_loopback};
use crate::service::promotions;
use crate::tenant::Tenant;

/// Codes named in one finding.
const NAMED_MAX: usize = 5;

/// Everything that can be looked at of a tenant; where Optimove is out of reach, what is here.
pub(super) async fn of_tenant(app: &App, tenant: &Tenant) -> Vec<Finding> {
    let about = format!("tenant {}", tenant.id());
    let mut findings = settings(&about, tenant);
    note(&mut findings, &about, ended_lists(app, &about, tenant));
    note(&mut findings, &about, pools(app, &about, tenant));
    note(&mut findings, &about, undecided(app, &about, tenant));
    note(&mut findings, &about, destinations(app, &about, tenant));
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

/// Campaigns of which nothing is granted until a second person decides.
fn undecided(app: &App, about: &str, tenant: &Tenant) -> Result<Vec<Finding>> {
    let named_max = u32::try_from(NAMED_MAX).unwrap_or(u32::MAX);
    let waiting = app
        .store
        .peek(|tx| tx.campaigns_undecided(tenant.no(), named_max))?;
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    let what = format!("campaigns wait for a second person: {}", waiting.join(", "));
    let fix = format!(
        "see `bestow campaign show {} CAMPAIGN`, then `approve` or `refuse` it",
        tenant.id()
    );
    Ok(vec![Finding::warning(about, what, fix)])
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
