//! Where Optimove's notifications come in. The secret in the path is the credential.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::directory::ListenerTarget;
use crate::error::Error;
use crate::http::callback::{Callback, read};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Inner;
use crate::service::listeners::LISTENER_PATH;
use crate::service::{gateway, notifications};

const LISTENER: Callback = Callback {
    prefix: LISTENER_PATH,
    pattern: "/optimove/listener/{secret}",
    takes: |event_type| event_type != gateway::EVENT,
};

/// Takes a notification: 2xx once it is durable, and not before. GET, HEAD and an empty POST are
/// set-up probes: 2xx, and nothing is stored. A wrong secret, or another method, gets what an
/// unknown address gets.
#[utoipa::path(
    post, path = "/optimove/listener/{secret}", tag = "public",
    params(("secret" = String, Path, description = "The secret of one tenant and event type.")),
    request_body(content = String, description = "A notification, as Optimove sends it."),
    responses(
        (status = 200, description = "It is stored."),
        (status = 404, description = "No such address."),
        (status = 408, description = "It came too slowly.", body = Document),
        (status = 413, description = "It is too large.", body = Document),
        (status = 415, description = "It is compressed or otherwise encoded.", body = Document),
        (status = 429, description = "Too many at this address: send it again.", body = Document),
        (status = 503, description = "It could not be stored: send it again.", body = Document),
    ),
)]
pub(crate) async fn take(shared: &Inner, request: Request) -> Response {
    let answer = |target, request| answer(shared, target, request);
    LISTENER.serve(shared, request, answer).await
}

async fn answer(shared: &Inner, target: ListenerTarget, request: Request) -> Response {
    match store(shared, target, request).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn store(shared: &Inner, target: ListenerTarget, request: Request) -> Result<(), Problem> {
    let body = read(shared, request).await?;
    if body.is_empty() {
        return Ok(());
    }
    notifications::accept(&shared.app, target, body)
        .await
        .map_err(|error| match error {
            // Whatever is wrong with the store, the sender is to come again.
            Error::Store(error) => {
                let detail = "It could not be stored: send it again.";
                Problem::unavailable("store_unavailable", detail).because(&error)
            }
            other => other.into(),
        })?;
    shared.metrics.count_notification();
    Ok(())
}
