//! `/v1/tenants/{tenant}/findings`: differences between Bestow and Optimove.

use axum::Json as Answer;
use axum::extract::State;

use crate::error::Result;
use crate::http::body::Json;
use crate::http::door::InTenant;
use crate::http::page::{List, PageQuery, Query};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::findings::{self, FindingView, SettleFinding, SettledFinding};

/// Differences that are still there, by kind and object.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/findings", tag = "record",
    params(("tenant" = String, Path), PageQuery),
    responses((status = 200, body = List<FindingView>), (status = "default", body = Document)),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Query(which): Query<PageQuery>,
) -> Result<Answer<List<FindingView>>, Problem> {
    let wanted = which.of("findings")?;
    let after = wanted.after(|key| {
        let (kind, object) = key.split_once('\n')?;
        Some((kind.to_owned(), object.to_owned()))
    })?;
    let found = findings::findings(&shared.app, &tenant, after.as_ref(), wanted.one_more())?;
    let keyed = found
        .into_iter()
        .map(|view| (format!("{}\n{}", view.kind, view.object), view));
    Ok(Answer(wanted.page(keyed.collect())))
}

/// Settles a finding that a person has dealt with. It is listed again if the difference is seen again.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/findings/settle", tag = "record",
    params(("tenant" = String, Path)), request_body = SettleFinding,
    responses((status = 200, body = SettledFinding), (status = "default", body = Document)),
)]
pub(crate) async fn settle(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Json(wanted): Json<SettleFinding>,
) -> Result<Answer<SettledFinding>, Problem> {
    let done = findings::settle(&shared.app, &actor, &tenant, wanted).await?;
    Ok(Answer(done))
}
