//! Where Optimove asks before it sends a triggered campaign. The secret in the path is the credential.

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use optimove::wire::{Answer, GatewayReply, GatewayRequest};

use crate::directory::ListenerTarget;
use crate::http::callback::{Callback, read};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Inner;
use crate::service::gateway::{self, Said};
use crate::service::listeners::GATEWAY_PATH;

const GATEWAY: Callback = Callback {
    prefix: GATEWAY_PATH,
    pattern: "/optimove/gateway/{secret}",
    takes: |event_type| event_type == gateway::EVENT,
};

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
        (status = 408, description = "It came too slowly.", body = Document),
        (status = 413, description = "It is too large.", body = Document),
        (status = 415, description = "It is compressed or otherwise encoded.", body = Document),
        (status = 429, description = "Too many at this address: send it again.", body = Document),
        (status = 503, description = "Asynchronous only: ask again.", body = Document),
    ),
)]
pub(crate) async fn ask(shared: &Inner, request: Request) -> Response {
    let answer = |target, request| answer(shared, target, request);
    GATEWAY.serve(shared, request, answer).await
}

async fn answer(shared: &Inner, target: ListenerTarget, request: Request) -> Response {
    let question = match read(shared, request).await {
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
