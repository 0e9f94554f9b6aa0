//! `/v1/tenants/{tenant}/destinations`: the operator's systems that hear of grants.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;

use crate::error::Result;
use crate::http::body::Json;
use crate::http::door::InTenant;
use crate::http::page::{List, PageQuery, Query, Segment};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::destinations::{
    self, DestinationMade, DestinationPatch, DestinationView, NewDestination,
};

/// Destinations, in the order of their ids.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/destinations", tag = "destinations",
    params(("tenant" = String, Path), PageQuery),
    responses((status = 200, body = List<DestinationView>), (status = "default", body = Document)),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Query(which): Query<PageQuery>,
) -> Result<Answer<List<DestinationView>>, Problem> {
    let wanted = which.of("destinations")?;
    let views = destinations::list(&shared.app, &tenant, wanted.after_text(), wanted.one_more())?;
    Ok(Answer(wanted.page_by(views, |view| view.id.clone())))
}

/// Makes a destination. It hears of what happens from then on. The secret that deliveries are signed with is shown
/// this once.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/destinations", tag = "destinations",
    params(("tenant" = String, Path)), request_body = NewDestination,
    responses(
        (status = 201, body = DestinationMade),
        (status = 409, description = "`exists` or `too_many`.", body = Document),
        (status = "default", body = Document),
    ),
)]
pub(crate) async fn create(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Json(new): Json<NewDestination>,
) -> Result<(StatusCode, Answer<DestinationMade>), Problem> {
    let made = destinations::create(&shared.app, &actor, &tenant, new).await?;
    Ok((StatusCode::CREATED, Answer(made)))
}

/// One destination, with how it fares.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/destinations/{id}", tag = "destinations",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = DestinationView), (status = "default", body = Document)),
)]
pub(crate) async fn get(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Segment(id): Segment,
) -> Result<Answer<DestinationView>, Problem> {
    Ok(Answer(destinations::get(&shared.app, &tenant, &id)?))
}

/// Changes what the body names; the rest stays. A destination that rests is tried again at once.
#[utoipa::path(
    patch, path = "/v1/tenants/{tenant}/destinations/{id}", tag = "destinations",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = DestinationPatch,
    responses((status = 200, body = DestinationMade), (status = "default", body = Document)),
)]
pub(crate) async fn update(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Segment(id): Segment,
    Json(patch): Json<DestinationPatch>,
) -> Result<Answer<DestinationMade>, Problem> {
    let made = destinations::update(&shared.app, &actor, &tenant, &id, patch).await?;
    Ok(Answer(made))
}

/// Ends a destination: nothing more is delivered to it. Its deliveries stay listed.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}/destinations/{id}", tag = "destinations",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 204, description = "It is ended."), (status = "default", body = Document)),
)]
pub(crate) async fn end(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    destinations::end(&shared.app, &actor, &tenant, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
