//! Whether the service lives, whether it can serve, and its numbers. They name no tenant and need
//! no token.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Error, Result};
use crate::http::body::Ignored;
use crate::http::problem::{Document, Problem};
use crate::http::routes::Shared;

/// How the service is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
}

const OK: Answer<Health> = Answer(Health { status: "ok" });

/// Whether the process answers.
#[utoipa::path(get, path = "/healthz", tag = "public", responses((status = 200, body = Health)))]
pub(crate) async fn alive() -> Answer<Health> {
    OK
}

/// Whether it can serve: the store answers, and the service is not stopping.
#[utoipa::path(
    get, path = "/readyz", tag = "public",
    responses((status = 200, body = Health), (status = 503, body = Document)),
)]
pub(crate) async fn ready(State(shared): State<Shared>) -> Result<Answer<Health>, Problem> {
    if shared.stop.is_cancelled() {
        return Err(Problem::unavailable(
            "stopping",
            "The service is being stopped.",
        ));
    }
    shared
        .app
        .store
        .read(|tx| tx.tenant_by_no(0))
        .map_err(|error| Problem::from(Error::Store(error)))?;
    Ok(OK)
}

/// Numbers for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "public",
    responses((status = 200, content_type = "text/plain", body = String)),
)]
pub(crate) async fn metrics(State(shared): State<Shared>) -> Result<Response, Problem> {
    let text = shared.metrics.write(&shared.app)?;
    Ok((
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response())
}

/// Takes what comes and does nothing with it: what a bench compares a handler with.
pub(crate) async fn noop(_: Ignored) -> Answer<Health> {
    OK
}
