//! `bestow verify`: derives every invariant again from what is stored. Reads only, and holds one
//! customer at a time.

mod beside;
mod landed;
mod spent;
mod tally;

use std::thread;

use bestow_store::verify::Violation;

use crate::app::App;
use crate::error::Result;
use crate::service::audit::{self, KeptCheckpoint};
use crate::service::{clearance, retention};

/// Campaigns read from the store at once.
const CAMPAIGNS_AT_ONCE: u32 = 500;

/// What stands in place of a tenant where the deployment itself is meant: no slug is like it.
const DEPLOYMENT: &str = "-";

/// A broken invariant, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The tenant's slug; `-`: the deployment itself.
    pub tenant: String,
    /// What is broken.
    pub violation: Violation,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Violation {
            rule,
            object,
            detail,
        } = &self.violation;
        write!(out, "{} {rule}: {object}: {detail}", self.tenant)
    }
}

/// Checks everything, over all tenants. No finding is good news.
///
/// Beside the store's own look at references, counts, pages and audit records, every campaign that
/// is not in the middle of a merge is derived again from its landed rows: who should hold which
/// grant over which window, and how many pairs were granted, repeated, held or refused for which
/// reason. Work may go on meanwhile: a campaign that was changed while it was looked at is looked
/// at again.
///
/// # Errors
/// The store's, such as landed rows that cannot be read.
pub fn run(app: &App) -> Result<Vec<Finding>> {
    run_against(app, &[])
}

/// The same. Audit records are compared with what was signed: beside the checkpoints in the database with those that
/// were kept elsewhere, without which nobody can tell whether the newest are missing.
///
/// # Errors
/// As [`run`].
pub fn run_against(app: &App, kept: &[KeptCheckpoint]) -> Result<Vec<Finding>> {
    let of = |tenant: &str, violations: Vec<Violation>| {
        let tenant = tenant.to_owned();
        violations.into_iter().map(move |violation| Finding {
            tenant: tenant.clone(),
            violation,
        })
    };
    let mut findings: Vec<_> = of(DEPLOYMENT, check_audit(app, 0, kept)?).collect();
    let tenants = app.store.peek(|tx| tx.tenants("", u32::MAX))?;
    for tenant in tenants {
        findings.extend(of(&tenant.id, check_tenant(app, tenant.no, kept)?));
    }
    Ok(findings)
}

fn check_tenant(app: &App, tenant: i64, kept: &[KeptCheckpoint]) -> Result<Vec<Violation>> {
    thread::scope(|scope| {
        let stored = scope.spawn(|| check_stored(app, tenant));
        let audit = scope.spawn(|| check_audit(app, tenant, kept));
        let campaigns = check_campaigns(app, tenant);
        let mut violations = beside::joined(stored)??;
        violations.extend(beside::joined(audit)??);
        violations.extend(retention::check(app, tenant)?);
        violations.extend(campaigns?);
        Ok(violations)
    })
}

/// What the store itself can look at.
fn check_stored(app: &App, tenant: i64) -> Result<Vec<Violation>> {
    app.store.read(|tx| {
        let mut violations = tx.verify_references(tenant)?;
        violations.extend(tx.verify_counts(tenant)?);
        violations.extend(tx.verify_pages(tenant)?);
        violations.extend(tx.verify_codes(tenant)?);
        violations.extend(tx.verify_triggers(tenant)?);
        violations.extend(tx.verify_ends(tenant)?);
        violations.extend(tx.verify_redemptions(tenant)?);
        violations.extend(spent::check(tx, tenant)?);
        Ok(violations)
    })
}

/// Audit records: of a tenant, or 0 for the deployment itself.
fn check_audit(app: &App, tenant: i64, kept: &[KeptCheckpoint]) -> Result<Vec<Violation>> {
    let mut violations = app.store.read(|tx| tx.verify_audit(tenant))?;
    violations.extend(audit::check(app, tenant, kept)?);
    Ok(violations)
}

/// What the campaigns' landed rows say.
fn check_campaigns(app: &App, tenant: i64) -> Result<Vec<Violation>> {
    let (mut violations, mut after) = (Vec::new(), 0);
    loop {
        let campaigns = app
            .store
            .peek(|tx| tx.campaigns(tenant, after, CAMPAIGNS_AT_ONCE))?;
        let Some(last) = campaigns.last() else {
            return Ok(violations);
        };
        after = last.no;
        for campaign in campaigns {
            let no = campaign.no;
            if retention::has_left(app, tenant, no)? {
                continue;
            }
            let found = match clearance::verify::check(app, tenant, &campaign)? {
                Some(found) => found,
                None => landed::check(app, tenant, campaign)?,
            };
            // Of one that left while it was looked at, rows were missing.
            if !found.is_empty() && !retention::has_left(app, tenant, no)? {
                violations.extend(found);
            }
        }
    }
}
