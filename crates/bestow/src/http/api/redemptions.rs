//! `/v1/tenants/{tenant}/redemptions`: the use of grants.

use axum::Json as Answer;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use serde::Deserialize;

use crate::http::body::{Ignored, Json, JsonOrNothing};
use crate::http::door::InTenant;
use crate::http::idempotency::idempotency_key;
use crate::http::page::{List, Query, Segment, Wanted};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::redemptions::{self, Answered, Redeem, RedemptionView, Undo};

/// Which redemptions.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Of this customer only.
    customer_id: Option<String>,
    /// Rows of the page: 1 to 1,000; 100 unless said otherwise.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Redeems a grant, or sets it aside for a cart. The same key again gives the first answer again, byte for byte, for at
/// least 400 days. A refusal is a 409 whose code is the first that applies of those that `eligibility` gives.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/redemptions", tag = "redemptions",
    params(
        ("tenant" = String, Path),
        ("Idempotency-Key" = String, Header, description = "Names the request: 1 to 255 visible characters of ASCII."),
    ),
    request_body = Redeem,
    responses((status = 201, body = RedemptionView), (status = "default", body = Document)),
)]
pub(crate) async fn redeem(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    headers: HeaderMap,
    Json(request): Json<Redeem>,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers)?.ok_or_else(|| {
        let detail = "What moves value needs the header `Idempotency-Key`.";
        Problem::bad_request("idempotency_key_required", detail)
    })?;
    shared.rates.customer(tenant.no(), &request.customer_id)?;
    let answer = redemptions::redeem(&shared.app, &actor, &tenant, &key, &request).await?;
    Ok(as_kept(answer))
}

/// The answer as it is kept, in the type of its kind.
fn as_kept(answer: Answered) -> Response {
    let content_type = if answer.is_granted() {
        "application/json"
    } else {
        "application/problem+json"
    };
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Redemptions, oldest first.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/redemptions", tag = "redemptions",
    params(("tenant" = String, Path), Which),
    responses((status = 200, body = List<RedemptionView>), (status = "default", body = Document)),
)]
pub(crate) async fn list(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Query(which): Query<Which>,
) -> Result<Answer<List<RedemptionView>>, Problem> {
    let wanted = Wanted::new("redemptions", which.limit, which.cursor.as_deref())?;
    let (customer, after) = (which.customer_id.as_deref(), wanted.after_text());
    let views = redemptions::list(&shared.app, &tenant, customer, after, wanted.one_more())?;
    Ok(Answer(wanted.page_by(views, |view| view.id.clone())))
}

/// One redemption, or what was set aside to become one.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/redemptions/{id}", tag = "redemptions",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = RedemptionView), (status = "default", body = Document)),
)]
pub(crate) async fn get(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Segment(id): Segment,
) -> Result<Answer<RedemptionView>, Problem> {
    Ok(Answer(redemptions::get(&shared.app, &tenant, &id)?))
}

/// Undoes a redemption. Done once, however often it is asked for.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/redemptions/{id}/reverse", tag = "redemptions",
    params(("tenant" = String, Path), ("id" = String, Path)), request_body = Option<Undo>,
    responses((status = 200, body = RedemptionView), (status = "default", body = Document)),
)]
pub(crate) async fn reverse(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Segment(id): Segment,
    JsonOrNothing(undo): JsonOrNothing<Undo>,
) -> Result<Answer<RedemptionView>, Problem> {
    Ok(Answer(
        redemptions::reverse(&shared.app, &actor, &tenant, &id, &undo).await?,
    ))
}

/// Makes a redemption of what was set aside for a cart. Done once, however often it is asked for.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/redemptions/{id}/confirm", tag = "redemptions",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = RedemptionView), (status = "default", body = Document)),
)]
pub(crate) async fn confirm(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Segment(id): Segment,
    _: Ignored,
) -> Result<Answer<RedemptionView>, Problem> {
    Ok(Answer(
        redemptions::confirm(&shared.app, &actor, &tenant, &id).await?,
    ))
}

/// Gives back what was set aside for a cart. Done once, however often it is asked for.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/redemptions/{id}/cancel", tag = "redemptions",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = RedemptionView), (status = "default", body = Document)),
)]
pub(crate) async fn cancel(
    State(shared): State<Shared>,
    InTenant { actor, tenant }: InTenant,
    Segment(id): Segment,
    _: Ignored,
) -> Result<Answer<RedemptionView>, Problem> {
    Ok(Answer(
        redemptions::cancel(&shared.app, &actor, &tenant, &id).await?,
    ))
}
