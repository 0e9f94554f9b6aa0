//! `/v1/tenants/{tenant}/archives`: grants that have left the ledger.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;

use crate::error::Result;
use crate::http::door::InTenant;
use crate::http::page::{List, PageQuery, Query, Segment};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::retention::{self, ArchiveView, ArchivedGrantView, ArchivedPlace};

/// Archives, in the order in which they were begun.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/archives", tag = "record",
    params(("tenant" = String, Path), PageQuery),
    responses((status = 200, body = List<ArchiveView>), (status = "default", body = Document)),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Query(which): Query<PageQuery>,
) -> Result<Answer<List<ArchiveView>>, Problem> {
    let wanted = which.of("archives")?;
    let after = wanted.after(|key| key.parse().ok())?.unwrap_or_default();
    let views = retention::list(&shared.app, &tenant, after, wanted.one_more())?;
    Ok(Answer(
        wanted.page_by(views, |view| view.archive.to_string()),
    ))
}

/// The grants of one customer that have left the ledger, read from the files of archives.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/customers/{customer}/archived-grants", tag = "grants",
    params(("tenant" = String, Path), ("customer" = String, Path), PageQuery),
    responses((status = 200, body = List<ArchivedGrantView>), (status = "default", body = Document)),
)]
pub(crate) async fn of_customer(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Segment(customer): Segment,
    Query(which): Query<PageQuery>,
) -> Result<Answer<List<ArchivedGrantView>>, Problem> {
    let wanted = which.of("archived_grants")?;
    let after = wanted.after(place)?.unwrap_or_default();
    let (app, limit) = (Arc::clone(&shared.app), wanted.one_more() as usize);
    let read = tokio::task::spawn_blocking(move || {
        retention::of_customer(&app, &tenant, &customer, after, limit)
    });
    let found = read.await.map_err(|error| Problem::internal(&error))??;
    let keyed = found
        .into_iter()
        .map(|(ArchivedPlace { archive, seen }, view)| (format!("{archive}\n{seen}"), view));
    Ok(Answer(wanted.page(keyed.collect())))
}

fn place(key: &str) -> Option<ArchivedPlace> {
    let (archive, seen) = key.split_once('\n')?;
    Some(ArchivedPlace {
        archive: archive.parse().ok()?,
        seen: seen.parse().ok()?,
    })
}
