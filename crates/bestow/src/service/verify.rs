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
use crate::service::{clearance, retention};

/// Campaigns read from the store at once.
const CAMPAIGNS_AT_ONCE: u32 = 500;

/// A broken invariant, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The tenant's slug.
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
    let mut findings = Vec::new();
    let tenants = app.store.peek(|tx| tx.tenants("", u32::MAX))?;
    for tenant in tenants {
        let violations = check_tenant(app, tenant.no)?;
        findings.extend(violations.into_iter().map(|violation| Finding {
            tenant: tenant.id.clone(),
            violation,
        }));
    }
    Ok(findings)
}

fn check_tenant(app: &App, tenant: i64) -> Result<Vec<Violation>> {
    thread::scope(|scope| {
        let stored = scope.spawn(|| check_stored(app, tenant));
        let campaigns = check_campaigns(app, tenant);
        let mut violations = beside::joined(stored)??;
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
        violations.extend(tx.verify_audit(tenant)?);
        violations.extend(tx.verify_ends(tenant)?);
        violations.extend(tx.verify_redemptions(tenant)?);
        violations.extend(spent::check(tx, tenant)?);
        Ok(violations)
    })
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
