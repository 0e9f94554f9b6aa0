//! Addresses that Optimove calls. The secret in the path is the credential.

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use crate::directory::ListenerTarget;
use crate::http::body::{self, BodyLimits};
use crate::http::door::{Seen, guarded, see_off};
use crate::http::problem::Problem;
use crate::http::routes::Inner;

/// One kind of such addresses.
pub(crate) struct Callback {
    /// Path before the secret.
    pub(crate) prefix: &'static str,
    /// Pattern of the path, for the log.
    pub(crate) pattern: &'static str,
    /// Whether an event of this number comes in here.
    pub(crate) takes: fn(event_type: i64) -> bool,
}

impl Callback {
    /// Answers a request. GET and HEAD are set-up probes: 2xx, and nothing is done. A wrong secret, or another method,
    /// gets what an unknown address gets.
    pub(crate) async fn serve<A: Future<Output = Response>>(
        &self,
        shared: &Inner,
        request: Request,
        answer: impl FnOnce(ListenerTarget, Request) -> A,
    ) -> Response {
        let begun = Instant::now();
        // Where the database does not answer, nothing is stored and nobody is allowed anything.
        let _ = shared.app.ensure_fresh();
        let Some((secret, target)) = self.target(shared, &request) else {
            return shared.plain_not_found();
        };
        let method = request.method().clone();
        let answer = if method != Method::POST {
            StatusCode::OK.into_response()
        } else if let Err(problem) = shared.rates.listener(&secret) {
            problem.into_response()
        } else {
            guarded(answer(target, request)).await
        };
        let seen = Seen {
            method: &method,
            path: self.pattern,
            took: begun.elapsed(),
        };
        see_off(&seen, &shared.request_ids.next(), answer)
    }

    /// Where the address leads, and the hash of its secret.
    fn target(&self, shared: &Inner, request: &Request) -> Option<([u8; 32], ListenerTarget)> {
        if ![Method::GET, Method::HEAD, Method::POST].contains(request.method()) {
            return None;
        }
        let secret = request.uri().path().strip_prefix(self.prefix)?;
        let app = &shared.app;
        let hash = app.keys.hash(secret);
        let found = app
            .directory
            .snapshot()
            .listener(&hash, app.clock.now_ms())?;
        (self.takes)(found.event_type).then_some((hash, found))
    }
}

/// Reads the body of such a request.
pub(crate) async fn read(shared: &Inner, request: Request) -> Result<Bytes, Problem> {
    let (head, body) = request.into_parts();
    let limits = &shared.app.config.http;
    let limits = BodyLimits {
        bytes_max: limits.notification_body_bytes_max,
        seconds_max: limits.body_seconds_max,
    };
    body::read(&head.headers, body, limits).await
}
