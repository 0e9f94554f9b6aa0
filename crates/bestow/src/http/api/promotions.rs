//! `/v1/tenants/{tenant}/promotions`: the catalogue.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bestow_core::id::fold_code;

use crate::error::Result;
use crate::http::body::{Ignored, Json, JsonOrNothing, text};
use crate::http::door::InTenant;
use crate::http::export::{self, Format};
use crate::http::page::{List, PageQuery, Query, Segment};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::campaigns::StopReason;
use crate::service::promotions::{
    self, Catalogue, CatalogueReport, CsvReport, PromotionView, Put, PutPromotion, SyncWish,
    VersionView,
};
use crate::table::CSV_BYTES_MAX;

/// Writes a promotion. Pairs that are held for its code are looked at again.
#[utoipa::path(
    put, path = "/v1/tenants/{tenant}/promotions/{code}", tag = "promotions",
    params(("tenant" = String, Path), ("code" = String, Path)), request_body = PutPromotion,
    responses(
        (status = 201, description = "The code is new.", body = PromotionView),
        (status = 200, description = "It was there.", body = PromotionView),
        (status = "default", body = Document),
    ),
)]
pub(crate) async fn put(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Segment(code): Segment,
    Json(put): Json<PutPromotion>,
) -> Result<(StatusCode, Answer<PromotionView>), Problem> {
    let (view, put) = promotions::put(&shared.app, &actor, &tenant, &code, put).await?;
    let status = match put {
        Put::Created => StatusCode::CREATED,
        Put::Changed | Put::Unchanged => StatusCode::OK,
    };
    Ok((status, Answer(view)))
}

/// Stops a promotion at once: nothing of it is granted, promised by the gateway, cleared or redeemed until a person lets
/// it go on. Everything else about it stays.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/promotions/{code}/stop", tag = "promotions",
    params(("tenant" = String, Path), ("code" = String, Path)), request_body = Option<StopReason>,
    responses((status = 200, body = PromotionView), (status = "default", body = Document)),
)]
pub(crate) async fn stop(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Segment(code): Segment,
    JsonOrNothing(stop): JsonOrNothing<StopReason>,
) -> Result<Answer<PromotionView>, Problem> {
    let view = promotions::stop(&shared.app, &actor, &tenant, &code, stop).await?;
    Ok(Answer(view))
}

/// Lets a stopped promotion go on as what it was put. What waited for it is granted.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/promotions/{code}/resume", tag = "promotions",
    params(("tenant" = String, Path), ("code" = String, Path)),
    responses((status = 200, body = PromotionView), (status = "default", body = Document)),
)]
pub(crate) async fn resume(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Segment(code): Segment,
    _: Ignored,
) -> Result<Answer<PromotionView>, Problem> {
    let view = promotions::resume(&shared.app, &actor, &tenant, &code).await?;
    Ok(Answer(view))
}

/// One promotion, by its code in any letter case.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/promotions/{code}", tag = "promotions",
    params(("tenant" = String, Path), ("code" = String, Path)),
    responses((status = 200, body = PromotionView), (status = "default", body = Document)),
)]
pub(crate) async fn get(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Segment(code): Segment,
) -> Result<Answer<PromotionView>, Problem> {
    Ok(Answer(promotions::get(&shared.app, &tenant, &code)?))
}

/// The terms of a promotion as they were, from its first version on.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/promotions/{code}/versions", tag = "promotions",
    params(("tenant" = String, Path), ("code" = String, Path), PageQuery),
    responses((status = 200, body = List<VersionView>), (status = "default", body = Document)),
)]
pub(crate) async fn versions(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Segment(code): Segment,
    Query(which): Query<PageQuery>,
) -> Result<Answer<List<VersionView>>, Problem> {
    let wanted = which.of("versions")?;
    let after = wanted.after(|key| key.parse().ok())?.unwrap_or_default();
    let views = promotions::versions(&shared.app, &tenant, &code, after, wanted.one_more())?;
    Ok(Answer(wanted.page_by(views, |view| view.version)))
}

/// The catalogue, in the order of codes; all of it at once as JSON lines or, with `Accept: text/csv`, as a table that can
/// be imported again.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/promotions", tag = "promotions",
    params(("tenant" = String, Path), PageQuery),
    responses(
        (status = 200, content(
            (List<PromotionView> = "application/json"), (PromotionView = "application/x-ndjson"), (String = "text/csv"),
        )),
        (status = "default", body = Document),
    ),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Query(which): Query<PageQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(format) = Format::asked_for(&headers) {
        let app = Arc::clone(&shared.app);
        return export::answer(&shared, format, move || Ok(Catalogue::open(&app, &tenant)));
    }
    let wanted = which.of("promotions")?;
    let after = wanted.after_text();
    let views = promotions::list(&shared.app, &tenant, after, wanted.one_more())?;
    let key = |view: &PromotionView| fold_code(&view.code).into_owned();
    Ok(Answer(wanted.page_by(views, key)).into_response())
}

/// Writes the promotions of a table with the columns `code` and `name`, perhaps more of those that the export has. A bad
/// line is told and changes nothing, and the others count; the same table again changes nothing.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/promotions/import", tag = "promotions",
    params(("tenant" = String, Path)), request_body(content((String = "text/csv"))),
    responses((status = 200, body = CsvReport), (status = "default", body = Document)),
)]
pub(crate) async fn import(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    request: Request,
) -> Result<Answer<CsvReport>, Problem> {
    let app = &shared.app;
    let text = text(request, CSV_BYTES_MAX, app.config.http.body_seconds_max).await?;
    Ok(Answer(
        promotions::import_csv(app, &actor, &tenant, &text).await?,
    ))
}

/// Makes Optimove's list of codes follow the catalogue, or only tells what that would write. Codes
/// of others stay.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/promotions/sync", tag = "promotions",
    params(("tenant" = String, Path)), request_body = Option<SyncWish>,
    responses((status = 200, body = CatalogueReport), (status = "default", body = Document)),
)]
pub(crate) async fn sync(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    JsonOrNothing(wish): JsonOrNothing<SyncWish>,
) -> Result<Answer<CatalogueReport>, Problem> {
    Ok(Answer(
        promotions::sync_with(&shared.app, &actor, &tenant, &wish).await?,
    ))
}
