//! `/v1/tenants/{tenant}/exclusions`: customers who may get nothing now.

use axum::Json as Answer;
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};

use crate::error::Result;
use crate::http::body::{Json, has_type, text};
use crate::http::door::InTenant;
use crate::http::page::{List, PageQuery, Query, Segment};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::exclusions::{self, Exclude, ExclusionView, FileReport, Include, Included};
use crate::table::CSV_BYTES_MAX;

/// Excluded customers, in the order of their ids.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/exclusions", tag = "exclusions",
    params(("tenant" = String, Path), PageQuery),
    responses((status = 200, body = List<ExclusionView>), (status = "default", body = Document)),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Query(which): Query<PageQuery>,
) -> Result<Answer<List<ExclusionView>>, Problem> {
    let wanted = which.of("exclusions")?;
    let after = wanted.after_text();
    let views = exclusions::list(&shared.app, &tenant, after, wanted.one_more())?;
    Ok(Answer(wanted.page_by(views, ExclusionView::place)))
}

/// Excludes customers, from everything or from one promotion: from then on they get no grant of it and can redeem none. A
/// table has the columns `customer_id`, perhaps `reason` and `promo_code`; its bad lines are told and the others count.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/exclusions", tag = "exclusions",
    params(("tenant" = String, Path)),
    request_body(content((Exclude = "application/json"), (String = "text/csv"))),
    responses((status = 200, body = FileReport), (status = "default", body = Document)),
)]
pub(crate) async fn exclude(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    request: Request,
) -> Result<Response, Problem> {
    let app = &shared.app;
    if has_type(request.headers(), "text/csv") {
        let text = text(request, CSV_BYTES_MAX, app.config.http.body_seconds_max).await?;
        let report = exclusions::import_csv(app, &actor, &tenant, &text).await?;
        return Ok(Answer(report).into_response());
    }
    let Json(wanted) = Json::from_request(request, &shared).await?;
    let done = exclusions::exclude(app, &actor, &tenant, wanted).await?;
    Ok(Answer(FileReport::from(done)).into_response())
}

/// Lets customers in again. Those who were not excluded make no difference.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}/exclusions", tag = "exclusions",
    params(("tenant" = String, Path)), request_body = Include,
    responses((status = 200, body = Included), (status = "default", body = Document)),
)]
pub(crate) async fn include(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Json(wanted): Json<Include>,
) -> Result<Answer<Included>, Problem> {
    let done = exclusions::include(&shared.app, &actor, &tenant, &wanted).await?;
    Ok(Answer(done))
}

/// Lets one customer in again.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}/exclusions/{customer}", tag = "exclusions",
    params(("tenant" = String, Path), ("customer" = String, Path)),
    responses((status = 200, body = Included), (status = "default", body = Document)),
)]
pub(crate) async fn include_one(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Segment(customer): Segment,
) -> Result<Answer<Included>, Problem> {
    let wanted = exclusions::only(&customer)?;
    let done = exclusions::include(&shared.app, &actor, &tenant, &wanted).await?;
    Ok(Answer(done))
}
