//! `/v1/tenants/{tenant}/promotions/{code}/codes` and `/v1/tenants/{tenant}/campaigns/{id}/codes`: unique codes.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::{FromRequest, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use crate::error::Result;
use crate::http::body::{Json, Paced, has_type};
use crate::http::door::InTenant;
use crate::http::export::{self, Format};
use crate::http::idempotency::idempotency_key;
use crate::http::page::{Query, Segment, TwoSegments};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::codes::{self, CampaignCodes, CodeRow, Load, LoadReport, PoolView};
use crate::service::{campaigns, grants, retention};

/// How many codes to make.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Generate {
    /// 1 to 10,000,000.
    generate: u64,
}

/// Of which promotion.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfPromotion {
    /// Only codes of this promotion.
    promo_code: Option<String>,
}

/// Loads unique codes: those of a file of any size with one code a line, or random ones. What was loaded before a
/// break stays; the same file again, or the same number with the same key, loads the rest.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/promotions/{code}/codes", tag = "codes",
    params(
        ("tenant" = String, Path), ("code" = String, Path),
        ("Idempotency-Key" = Option<String>, Header,
            description = "Of `generate`: sent again with the same key, it makes no more codes and answers the same."),
    ),
    request_body(content((String = "text/csv"), (Generate = "application/json"))),
    responses((status = 200, body = LoadReport), (status = "default", body = Document)),
)]
pub(crate) async fn load(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Segment(code): Segment,
    request: Request,
) -> Result<Answer<LoadReport>, Problem> {
    let app = &shared.app;
    if !has_type(request.headers(), "text/csv") {
        let key = idempotency_key(request.headers())?;
        let Json(Generate { generate }) = Json::from_request(request, &shared).await?;
        let wanted = codes::Generate {
            count: generate,
            key,
        };
        let report = codes::generate(app, &actor, &tenant, &code, wanted).await?;
        return Ok(Answer(report));
    }
    let mut load = Load::begin(app, &actor, &tenant, &code)?;
    let mut body = Paced::new(request, app.config.http.body_seconds_max)?;
    while let Some(piece) = body.next().await? {
        load.take(&piece).await?;
    }
    Ok(Answer(load.end().await?))
}

/// How many codes a promotion's pool has.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/promotions/{code}/codes", tag = "codes",
    params(("tenant" = String, Path), ("code" = String, Path)),
    responses((status = 200, body = PoolView), (status = "default", body = Document)),
)]
pub(crate) async fn get(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Segment(code): Segment,
) -> Result<Answer<PoolView>, Problem> {
    Ok(Answer(codes::get(&shared.app, &tenant, &code)?))
}

/// Takes a code out of the pool for good. One that a customer has stays theirs.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}/promotions/{code}/codes/{unique_code}", tag = "codes",
    params(("tenant" = String, Path), ("code" = String, Path), ("unique_code" = String, Path)),
    responses((status = 200, body = PoolView), (status = "default", body = Document)),
)]
pub(crate) async fn void(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    TwoSegments(code, unique_code): TwoSegments,
) -> Result<Answer<PoolView>, Problem> {
    let view = codes::void(&shared.app, &actor, &tenant, &code, &unique_code).await?;
    Ok(Answer(view))
}

/// The unique codes of a campaign as a stream, keyed as Optimove's data connection looks them up; JSON lines unless
/// `Accept: text/csv` asks for a table.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/campaigns/{id}/codes", tag = "codes",
    params(("tenant" = String, Path), ("id" = String, Path), OfPromotion),
    responses(
        (status = 200, content((CodeRow = "application/x-ndjson"), (String = "text/csv"))),
        (status = "default", body = Document),
    ),
)]
pub(crate) async fn of_campaign(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Segment(id): Segment,
    Query(which): Query<OfPromotion>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // Answers 404 and 410 before anything is streamed.
    campaigns::get(&shared.app, &tenant, &id)?;
    let (app, id) = (Arc::clone(&shared.app), grants::campaign_id(&id)?);
    retention::still_listed(&app, &tenant, id.as_str())?;
    let format = Format::asked_for(&headers).unwrap_or(Format::Ndjson);
    export::answer(&shared, format, move || {
        CampaignCodes::open(&app, &tenant, &id, which.promo_code.as_deref())
    })
}
