//! `POST /v1/tenants/{tenant}/eligibility`: may this customer redeem this code now?

use axum::Json;
use axum::extract::State;

use crate::error::Result;
use crate::http::body;
use crate::http::door::InTenant;
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::eligibility::{self, Answer, Question};

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
) -> Result<Json<Answer>, Problem> {
    Ok(Json(eligibility::ask(&shared.app, &tenant, &question)?))
}
