//! Where Optimove asks before it sends a triggered campaign. The secret in the path is the credential.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use optimove::wire::{Answer, GatewayReply, GatewayRequest};
use tokio::time::Instant;

use crate::directory::ListenerTarget;
use crate::http::door::{Seen, guarded};
use crate::http::listener::read;
use crate::http::problem::{Document, Problem};
use crate::http::routes::{Inner, Shared};
use crate::service::gateway::{self, Said};

/// What stands before the secret.
const PREFIX: &str = "/optimove/gateway/";

/// The gateway's answer.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes what the client library writes")]
pub(crate) struct Reply {
    /// The id that was asked about, exactly as it came.
    user_id: String,
    /// Whether the campaign may go to it.
    allowed: bool,
}

/// Says whether a triggered campaign may go to a user: within the time of the settings, and no
/// where it cannot be decided. A yes is durable. Where the tenant uses the asynchronous gateway the
/// decision is made durable and sent by a call of its own. GET and HEAD are set-up probes.
#[utoipa::path(
    post, path = "/optimove/gateway/{secret}", tag = "public",
    params(("secret" = String, Path, description = "The secret of one tenant's gateway.")),
    request_body(content = String, description = "The question, as Optimove asks it."),
    responses(
        (status = 200, description = "The answer.", body = Reply),
        (status = 202, description = "The decision is durable and will be sent (experimental)."),
        (status = 400, description = "It cannot be read.", body = Document),
        (status = 404, description = "No such address."),
        (status = 413, description = "It is too large.", body = Document),
        (status = 503, description = "Asynchronous only: ask again.", body = Document),
    ),
)]
pub(crate) async fn ask(State(shared): State<Shared>, request: Request) -> Response {
    let begun = Instant::now();
    let Some(target) = target(&shared, &request) else {
        return shared.plain_not_found();
    };
    let method = request.method().clone();
    let answer = guarded(async {
        match method {
            Method::POST => answer(&shared, target, request).await,
            _ => StatusCode::OK.into_response(),
        }
    });
    let answer = answer.await;
    let seen = Seen {
        method: &method,
        path: "/optimove/gateway/{secret}",
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
    found.filter(|target| target.event_type == gateway::EVENT)
}

async fn answer(shared: &Inner, target: ListenerTarget, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let question = match read(shared, &head.headers, body).await {
        Ok(body) => GatewayRequest::parse(&body),
        Err(problem) => return problem.into_response(),
    };
    let question = match question {
        Ok(question) => question,
        Err(fault) => {
            let detail = format!("The question cannot be read: {fault}.");
            return Problem::bad_request("unreadable_question", detail).into_response();
        }
    };
    let said = gateway::ask(&shared.app, target.tenant, &question).await;
    shared.metrics.count_question(said);
    match said {
        Said::Answer(answer) => reply(&question, answer.is_ok()).into_response(),
        Said::Later => StatusCode::ACCEPTED.into_response(),
        Said::AskAgain => {
            let detail = "The decision could not be stored: ask again.";
            Problem::unavailable("store_unavailable", detail).into_response()
        }
    }
}

fn reply(question: &GatewayRequest, is_allowed: bool) -> Json<GatewayReply> {
    Json(question.reply(if is_allowed {
        Answer::Allowed
    } else {
        Answer::Denied
    }))
}
