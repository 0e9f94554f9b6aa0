//! `/v1/tenants/{tenant}/findings`: differences between Bestow and Optimove.

use axum::Json as Answer;
use axum::extract::State;

use crate::error::Result;
use crate::http::door::InTenant;
use crate::http::page::{List, PageQuery, Query};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::findings::{self, FindingView};

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
