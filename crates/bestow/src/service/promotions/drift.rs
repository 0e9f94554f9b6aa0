//! Drift: Optimove's list differs from the catalogue. Looked for every day, told as findings, and repaired only
//! where the tenant says so.

use std::collections::BTreeMap;

use bestow_store::jobs::Job;
use optimove::rate::Priority;

use super::plan::{ChangedThere, Deletions, Plan};
use super::sync::{SyncWish, codes, read_plan, sync_with};
use crate::actor::Actor;
use crate::app::App;
use crate::error::Result;
use crate::service::audit::Object;
use crate::service::notifications::seconds_ms;
use crate::tenant::{CatalogueSync, Tenant};
use crate::work::run::Ended;

/// Finding: somebody changed a code of ours in Optimove by hand.
const CHANGED_THERE: &str = "catalogue_changed_there";
/// Finding: a sync would write something.
const DRIFT: &str = "catalogue_drift";
/// Codes that have a finding of their own, at most.
const CHANGED_NAMED_MAX: usize = 100;

/// How Optimove's list differs from the catalogue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drift {
    /// Codes that Optimove's list lacks.
    pub missing: Vec<String>,
    /// Codes that are there under another name.
    pub named_otherwise: Vec<String>,
    /// Codes that are over here and still there.
    pub left_over: Vec<String>,
    /// Codes that somebody changed there by hand; the missing and the renamed among them stand above, too.
    pub changed_there: Vec<ChangedThere>,
}

impl From<Plan> for Drift {
    fn from(plan: Plan) -> Self {
        Self {
            missing: codes(&plan.add),
            named_otherwise: codes(&plan.rename),
            left_over: plan.delete,
            changed_there: plan.changed_there,
        }
    }
}

/// Compares without writing anything.
///
/// # Errors
/// Optimove's.
pub async fn drift(app: &App, tenant: &Tenant) -> Result<Drift> {
    let (plan, _) = read_plan(
        app,
        tenant,
        &app.client(tenant, Priority::Catalogue)?,
        &Deletions::Unused,
    )
    .await?;
    Ok(plan.into())
}

/// The daily look: tells of drift, or syncs where the tenant wants that.
///
/// # Errors
/// Optimove's and the store's.
pub async fn run(app: &App, job: &Job) -> Result<Ended> {
    let tenant = &app.tenant_by_no(job.tenant)?;
    match tenant.settings.catalogue_sync {
        CatalogueSync::Manual => record(app, tenant, &drift(app, tenant).await?).await?,
        CatalogueSync::Daily => {
            let report = sync_with(app, &Actor::worker(), tenant, &SyncWish::default()).await?;
            tracing::info!(
                tenant.id = tenant.id(),
                catalogue.added = report.added.len(),
                catalogue.renamed = report.renamed.len(),
                catalogue.deleted = report.deleted.len(),
                catalogue.refused = report.refused.len(),
                "the catalogue was synced"
            );
        }
    }
    let next = app.clock.now_ms() + seconds_ms(app.config.work.catalogue_seconds);
    Ok(Ended::Again(next))
}

/// Brings the findings in line with what is found.
pub(super) async fn record(app: &App, tenant: &Tenant, drift: &Drift) -> Result<()> {
    let (no, wanted) = (tenant.no(), findings(drift));
    app.tx("record_drift", move |tx| {
        for open in tx.findings(no)? {
            let is_about_this = [CHANGED_THERE, DRIFT].contains(&open.kind.as_str());
            if is_about_this && !wanted.contains_key(&(open.kind.clone(), open.object.clone())) {
                tx.resolve_finding(no, &open.kind, &open.object)?;
            }
        }
        wanted
            .iter()
            .try_for_each(|((kind, object), detail)| tx.find(no, kind, object, detail))
    })
    .await
}

/// By kind and object: in words.
fn findings(drift: &Drift) -> BTreeMap<(String, String), String> {
    let mut findings = BTreeMap::new();
    for one in drift.changed_there.iter().take(CHANGED_NAMED_MAX) {
        let key = (
            CHANGED_THERE.to_owned(),
            Object::Promotion(&one.code).to_string(),
        );
        findings.insert(key, sentence(one));
    }
    let (missing, named_otherwise, left_over) = (
        drift.missing.len(),
        drift.named_otherwise.len(),
        drift.left_over.len(),
    );
    if missing + named_otherwise + left_over > 0 {
        let detail = format!(
            "Optimove's list lacks {missing} of our promotions, has {named_otherwise} under another name, and still \
             has {left_over} that are over: a sync repairs it"
        );
        findings.insert((DRIFT.to_owned(), "catalogue".to_owned()), detail);
    }
    findings
}

fn sentence(one: &ChangedThere) -> String {
    let ours = &one.ours;
    match (&one.theirs, &one.agreed) {
        (None, _) => format!("somebody deleted it in Optimove; here it is {ours}"),
        (Some(theirs), None) => {
            format!("it was in Optimove before us, as {theirs}; here it is {ours}")
        }
        (Some(theirs), Some(agreed)) => {
            format!("somebody renamed it in Optimove from {agreed} to {theirs}; here it is {ours}")
        }
    }
}
