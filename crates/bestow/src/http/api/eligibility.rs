//! `POST /v1/tenants/{tenant}/eligibility`: may this customer redeem this code now?

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;

use crate::http::body;
use crate::http::door::InTenant;
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::eligibility::{self, Answer, Question};

/// Room for a usual answer, so that it is written in one piece.
const ANSWER_BYTES: usize = 640;

/// May this customer redeem this code now? Writes nothing.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/eligibility", tag = "grants",
    params(("tenant" = String, Path)), request_body = Question,
    responses((status = 200, body = Answer), (status = "default", body = Document)),
)]
pub(crate) async fn ask(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    body::Json(question): body::Json<Question>,
) -> Result<Response, Problem> {
    shared.rates.customer(tenant.no(), &question.customer_id)?;
    let answer = eligibility::ask(&shared.app, &tenant, &question).await?;
    let mut body = Vec::with_capacity(ANSWER_BYTES);
    serde_json::to_writer(&mut body, &answer).expect("texts, numbers and flags are always JSON");
    let mut response = Response::new(Body::from(body));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}
