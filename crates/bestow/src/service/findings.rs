//! What a person looks through: differences that were found, and the record of who did what.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::app::App;
use crate::error::Result;
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
