//! `/v1/tenants/{tenant}/customers/{customer}/why`: why a customer may use a code, or may not.

use axum::Json as Answer;
use axum::extract::State;
use serde::Deserialize;

use crate::error::Result;
use crate::http::door::InTenant;
use crate::http::page::{Query, Segment};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;
use crate::service::why::{self, WhyView};

/// Which code.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfCode {
    /// In any letter case.
    code: String,
}

/// Why a customer may use a code now, or may not: the whole story in words. Writes nothing.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/customers/{customer}/why", tag = "grants",
    params(("tenant" = String, Path), ("customer" = String, Path), OfCode),
    responses((status = 200, body = WhyView), (status = "default", body = Document)),
)]
pub(crate) async fn tell(
    State(shared): State<Shared>,
    InTenant { tenant, .. }: InTenant,
    Segment(customer): Segment,
    Query(which): Query<OfCode>,
) -> Result<Answer<WhyView>, Problem> {
    shared.rates.customer(tenant.no(), &customer)?;
    let told = why::tell(&shared.app, &tenant, &customer, &which.code).await?;
    Ok(Answer(told))
}
