//! What a person looks through: differences that were found, and the record of who did what.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::reason;
use crate::service::view::Instant;
use crate::tenant::Tenant;

/// A difference between Bestow and Optimove that is still there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FindingView {
    /// What kind of difference.
    pub kind: String,
    /// About what.
    pub object: String,
    /// In words.
    pub detail: String,
    /// First seen.
    pub found_at: Instant,
    /// Last seen.
    pub seen_at: Instant,
}

/// Open findings behind a (kind, object), in that order.
///
/// # Errors
/// The store's.
pub fn findings(
    app: &App,
    tenant: &Tenant,
    after: Option<&(String, String)>,
    limit: u32,
) -> Result<Vec<FindingView>> {
    let found = app.store.peek(|tx| tx.findings(tenant.no()))?;
    let is_behind = |finding: &FindingView| {
        after.is_none_or(|(kind, object)| (&finding.kind, &finding.object) > (kind, object))
    };
    let views = found.into_iter().map(|finding| FindingView {
        kind: finding.kind,
        object: finding.object,
        detail: finding.detail,
        found_at: Instant(finding.found_at),
        seen_at: Instant(finding.seen_at),
    });
    Ok(views.filter(is_behind).take(limit as usize).collect())
}

/// A finding that a person has dealt with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettleFinding {
    /// Its kind, as listed.
    pub kind: String,
    /// What it is about, as listed.
    pub object: String,
    /// Why it is settled, for people; 1 to 500 characters.
    pub reason: String,
}

/// What came of settling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SettledFinding {
    /// False where it was settled before.
    pub settled: bool,
}

/// Settles a finding: it is listed no longer, unless the difference is seen again.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] for its reason; the store's.
pub async fn settle(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    wanted: SettleFinding,
) -> Result<SettledFinding> {
    let reason = reason::needed(&wanted.reason)?;
    let (no, actor) = (tenant.no(), actor.id.clone());
    let settled = app
        .store
        .tx("settle_finding", move |tx| {
            let SettleFinding { kind, object, .. } = &wanted;
            let found = tx.finding(no, kind, object)?;
            let found = found.ok_or(Error::NotFound("finding"))?;
            if found.resolved_at.is_some() {
                return Ok(false);
            }
            tx.resolve_finding(no, kind, object)?;
            let detail = serde_json::json!({ "reason": reason, "was": found.detail });
            Object::Finding(kind, object).record(tx, no, &actor, "finding.settled", &detail)?;
            Ok::<_, Error>(true)
        })
        .await?;
    Ok(SettledFinding { settled })
}

/// Who did what, when and why.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AuditView {
    /// Place in the tenant's records, from 1 without gaps.
    pub seq: u64,
    /// When.
    pub at: Instant,
    /// A token's id, `admin-token`, `cli`, `worker` or `optimove`.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub object: String,
    /// Before, after, counts, digests.
    #[schema(value_type = Object)]
    pub detail: Box<RawValue>,
    /// What it came from.
    pub correlation: Option<String>,
}

/// Records behind a place, oldest first.
///
/// # Errors
/// The store's.
pub fn audit(app: &App, tenant: &Tenant, after: i64, limit: u32) -> Result<Vec<AuditView>> {
    let records = app
        .store
        .peek(|tx| tx.audit_records(tenant.no(), after, limit))?;
    let views = records.into_iter().map(|record| AuditView {
        seq: record.seq,
        at: Instant(record.at),
        actor: record.actor,
        action: record.action,
        object: record.object,
        detail: as_json(record.detail),
        correlation: record.correlation,
    });
    Ok(views.collect())
}

/// The detail as it is kept; what is no JSON is shown as `null` rather than breaking the answer
/// around it.
fn as_json(text: String) -> Box<RawValue> {
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
