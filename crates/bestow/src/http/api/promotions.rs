//! `/v1/tenants/{tenant}/promotions`: the catalogue.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use bestow_core::id::fold_code;

use crate::error::Result;
use crate::http::body::{Json, JsonOrNothing};
use crate::http::door::InTenant;
use crate::http::page::{List, PageQuery, Query, Segment};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::promotions::{
    self, CatalogueReport, PromotionView, Put, PutPromotion, SyncWish, VersionView,
};

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

/// The catalogue, in the order of codes.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/promotions", tag = "promotions",
    params(("tenant" = String, Path), PageQuery),
    responses((status = 200, body = List<PromotionView>), (status = "default", body = Document)),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Query(which): Query<PageQuery>,
) -> Result<Answer<List<PromotionView>>, Problem> {
    let wanted = which.of("promotions")?;
    let after = wanted.after_text();
    let views = promotions::list(&shared.app, &tenant, after, wanted.one_more())?;
    let key = |view: &PromotionView| fold_code(&view.code).into_owned();
    Ok(Answer(wanted.page_by(views, key)))
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
