//! Where Optimove's notifications come in. The secret in the path is the credential.

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use crate::directory::ListenerTarget;
use crate::error::Error;
use crate::http::body::{self, BodyLimits};
use crate::http::door::{Seen, guarded};
use crate::http::problem::{Document, Problem};
use crate::http::routes::{Inner, Shared};
use crate::service::{gateway, notifications};

/// What stands before the secret.
const PREFIX: &str = "/optimove/listener/";

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
        (status = 413, description = "It is too large.", body = Document),
        (status = 503, description = "It could not be stored: send it again.", body = Document),
    ),
)]
pub(crate) async fn take(State(shared): State<Shared>, request: Request) -> Response {
    let begun = Instant::now();
    let Some(target) = target(&shared, &request) else {
        return shared.plain_not_found();
    };
    let method = request.method().clone();
    let answer = guarded(async {
        let stored = store(&shared, target, request).await;
        stored.map_or_else(IntoResponse::into_response, |()| {
            StatusCode::OK.into_response()
        })
    });
    let answer = answer.await;
    let seen = Seen {
        method: &method,
        path: "/optimove/listener/{secret}",
        took: begun.elapsed(),
    };
    shared.see_off(&seen, answer)
}

fn target(shared: &Inner, request: &Request) -> Option<ListenerTarget> {
    if ![Method::GET, Method::HEAD, Method::POST].contains(request.method()) {
        return None;
    }
    let secret = request.uri().path().strip_prefix(PREFIX)?;
    let app = &shared.app;
    let found = app
        .directory
        .snapshot()
        .listener(&app.keys.hash(secret), app.clock.now_ms());
    found.filter(|target| target.event_type != gateway::EVENT)
}

async fn store(shared: &Inner, target: ListenerTarget, request: Request) -> Result<(), Problem> {
    let (head, body) = request.into_parts();
    if head.method != Method::POST {
        return Ok(());
    }
    let body = read(shared, &head.headers, body).await?;
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

/// Reads a body of Optimove's.
pub(crate) async fn read(
    shared: &Inner,
    headers: &HeaderMap,
    body: Body,
) -> Result<Bytes, Problem> {
    let limits = &shared.app.config.http;
    let limits = BodyLimits {
        bytes_max: limits.notification_body_bytes_max,
        seconds_max: limits.body_seconds_max,
    };
    body::read(headers, body, limits).await
}
