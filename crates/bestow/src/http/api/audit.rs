//! `/v1/tenants/{tenant}/audit`: who did what, when and why.

use axum::Json as Answer;
use axum::extract::State;

use crate::error::Result;
use crate::http::door::InTenant;
use crate::http::page::{List, PageQuery, Query};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::audit::{self as service, CheckpointView};
use crate::service::findings::{self, AuditView};

/// The record, oldest first.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/audit", tag = "record",
    params(("tenant" = String, Path), PageQuery),
    responses((status = 200, body = List<AuditView>), (status = "default", body = Document)),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Query(which): Query<PageQuery>,
) -> Result<Answer<List<AuditView>>, Problem> {
    let wanted = which.of("audit")?;
    let after = wanted.after(|key| key.parse().ok())?.unwrap_or_default();
    let found = findings::audit(&shared.app, &tenant, after, wanted.one_more())?;
    Ok(Answer(wanted.page_by(found, |view| view.seq)))
}

/// Signed heads of the chain of records, oldest first: kept elsewhere, they show later whether a record was changed.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/audit/checkpoints", tag = "record",
    params(("tenant" = String, Path), PageQuery),
    responses((status = 200, body = List<CheckpointView>), (status = "default", body = Document)),
)]
pub(crate) async fn checkpoints(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Query(which): Query<PageQuery>,
) -> Result<Answer<List<CheckpointView>>, Problem> {
    let wanted = which.of("audit_checkpoints")?;
    let after = wanted.after(|key| key.parse().ok())?.unwrap_or_default();
    let found = service::list(&shared.app, &tenant, after, wanted.one_more())?;
    Ok(Answer(wanted.page_by(found, |view| view.seq)))
}
