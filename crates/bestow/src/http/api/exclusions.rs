//! `/v1/tenants/{tenant}/exclusions`: customers who may get nothing now.

use axum::Json as Answer;
use axum::extract::State;

use crate::error::Result;
use crate::http::body::Json;
use crate::http::door::InTenant;
use crate::http::page::{List, PageQuery, Query, Segment};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::exclusions::{self, Exclude, Excluded, ExclusionView, Include, Included};

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
    Ok(Answer(
        wanted.page_by(views, |view| view.customer_id.clone()),
    ))
}

/// Excludes customers: from then on they get no grant by clearance, trigger or gateway.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/exclusions", tag = "exclusions",
    params(("tenant" = String, Path)), request_body = Exclude,
    responses((status = 200, body = Excluded), (status = "default", body = Document)),
)]
pub(crate) async fn exclude(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Json(wanted): Json<Exclude>,
) -> Result<Answer<Excluded>, Problem> {
    let done = exclusions::exclude(&shared.app, &actor, &tenant, wanted).await?;
    Ok(Answer(done))
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
