//! The control API under `/_sandbox`: plain JSON, errors as `{"error":"…"}`.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::body::Body;
use crate::emit::Notification;
use crate::oracle::Expected;
use crate::routes::Query;
use crate::shared::Shared;
use crate::spec::{AdvanceSpec, ClockSpec, TenantSpec};
use crate::switch::Transfer;
use crate::world::{Entry, State, Trouble};

/// Bytes of the oracle's answer made at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// The clock can be set from 1970 up to this second, the end of the year 9000.
const CLOCK_SECOND_MAX: i64 = 221_845_391_999;

/// The part of a path after `/_sandbox`, if it is one of the control API.
pub(crate) fn path(path: &str) -> Option<&str> {
    let rest = path.trim_start_matches('/').strip_prefix("_sandbox")?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// A request to the control API.
pub(crate) struct ControlRequest<'a> {
    pub(crate) parts: &'a Parts,
    /// The path after `/_sandbox`.
    pub(crate) rest: &'a str,
    pub(crate) peer: SocketAddr,
    pub(crate) body: Option<Bytes>,
}

/// An answer of the control API.
enum Reply {
    Json(StatusCode, Value),
    Lines(Expected),
}

/// Why the control API refuses.
struct Problem(StatusCode, String);

impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Wrong(message) => Self(StatusCode::BAD_REQUEST, message),
            Trouble::NotFound(message) => Self(StatusCode::NOT_FOUND, message),
            Trouble::Conflict(message) => Self(StatusCode::CONFLICT, message),
        }
    }
}

/// Answers a request to the control API.
pub(crate) async fn answer(shared: &Arc<Shared>, request: ControlRequest<'_>) -> Response<Body> {
    let reply = match guard(shared, &request) {
        Ok(()) => route(shared, &request).await,
        Err(problem) => Err(problem),
    };
    let (status, value) = match reply {
        Ok(Reply::Lines(expected)) => return lines(expected),
        Ok(Reply::Json(status, value)) => (status, value),
        Err(Problem(status, message)) => (status, json!({ "error": message })),
    };
    Answer::json(status, value.to_string()).into_response(Transfer::ContentLength)
}

/// Serves callers on this machine or, where a token is set, those who know it.
fn guard(shared: &Shared, request: &ControlRequest) -> Result<(), Problem> {
    match &shared.control_token {
        None if request.peer.ip().to_canonical().is_loopback() => Ok(()),
        None => Err(Problem(
            StatusCode::FORBIDDEN,
            "the control API serves this machine only, unless it is started with a token".into(),
        )),
        Some(token) => {
            let given = request.parts.headers.get(header::AUTHORIZATION);
            let given = given.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
            if given.is_some_and(|given| given.trim() == token) {
                return Ok(());
            }
            Err(Problem(
                StatusCode::UNAUTHORIZED,
                "a bearer token is needed".into(),
            ))
        }
    }
}

async fn route(shared: &Arc<Shared>, request: &ControlRequest<'_>) -> Result<Reply, Problem> {
    let query = Query::new(request.parts.uri.query().unwrap_or_default());
    let tenant = query.get("tenant");
    let segments: Vec<&str> = request
        .rest
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    match (request.parts.method.as_str(), &segments[..]) {
        ("PUT", ["tenants", name]) => put_tenant(shared, name, request),
        ("POST", ["campaigns"]) => {
            let entry = shared.add_campaign(request.json()?)?;
            Ok(Reply::Json(StatusCode::CREATED, campaign_view(&entry)))
        }
        ("GET", ["campaigns", id]) => {
            Ok(ok(campaign_view(&shared.entry(campaign_id(id)?, tenant)?)))
        }
        ("POST", ["campaigns", id, "process"]) => {
            let id = campaign_id(id)?;
            let sent = shared.process(id, tenant)?;
            Ok(ok(with_notifications(
                campaign_view(&shared.entry(id, tenant)?),
                sent,
            )))
        }
        ("POST", ["campaigns", id, "cancel"]) => {
            let id = campaign_id(id)?;
            let sent = shared.cancel(id, tenant)?;
            Ok(ok(with_notifications(
                campaign_view(&shared.entry(id, tenant)?),
                sent,
            )))
        }
        ("GET", ["campaigns", id, "expected"]) => {
            Ok(Reply::Lines(shared.expected(campaign_id(id)?, tenant)?))
        }
        ("POST", ["triggers"]) => Err(Problem(
            StatusCode::BAD_REQUEST,
            "triggers are not played yet, only scheduled campaigns are".into(),
        )),
        ("POST", ["day", "close"]) => {
            Ok(ok(with_notifications(json!({}), shared.close_day(tenant)?)))
        }
        ("GET", ["clock"]) => Ok(ok(clock_view(shared))),
        ("PUT", ["clock"]) => set_clock(shared, request),
        ("POST", ["clock", "advance"]) => advance_clock(shared, request),
        ("GET", ["switches"]) => Ok(ok(shared.switches().to_json())),
        ("PUT", ["switches"]) => {
            shared.change_switches(&request.json()?)?;
            Ok(ok(shared.switches().to_json()))
        }
        ("GET", ["notifications"]) => {
            let log = shared.outbox.log();
            let log: Vec<_> = log
                .iter()
                .map(|(id, one)| notification_view(*id, one))
                .collect();
            Ok(ok(json!({ "data": log })))
        }
        ("POST", ["notifications", id, "redeliver"]) => redeliver(shared, id).await,
        ("GET", ["requests"]) => requests(shared, tenant),
        ("POST", ["reset"]) => {
            shared.reset();
            Ok(ok(json!({})))
        }
        _ => Err(Problem(
            StatusCode::NOT_FOUND,
            format!(
                "the control API has no {} {}",
                request.parts.method, request.rest
            ),
        )),
    }
}

impl ControlRequest<'_> {
    fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let wrong = |message: String| Problem(StatusCode::BAD_REQUEST, message);
        let body = self.body.as_ref();
        let body = body.ok_or_else(|| wrong("the body is broken or too large".into()))?;
        serde_json::from_slice(body).map_err(|error| wrong(format!("the body is wrong: {error}")))
    }
}

fn ok(value: Value) -> Reply {
    Reply::Json(StatusCode::OK, value)
}

fn campaign_id(text: &str) -> Result<u64, Problem> {
    let unknown = || {
        Problem(
            StatusCode::NOT_FOUND,
            format!("there is no campaign {text}"),
        )
    };
    text.parse().map_err(|_| unknown())
}

fn put_tenant(shared: &Shared, name: &str, request: &ControlRequest) -> Result<Reply, Problem> {
    let spec: TenantSpec = request.json()?;
    let mut world = shared.world();
    let created = world.put_tenant(name, spec)?;
    let tenant = &world.tenants[name];
    let channels = tenant.channels.iter();
    let channels: Vec<_> = channels
        .map(|channel| json!({"id": channel.id, "name": channel.name}))
        .collect();
    let view = json!({
        "name": name,
        "time_zone": tenant.zone.iana_name().unwrap_or("UTC"),
        "username": tenant.username,
        "channels": channels,
    });
    Ok(Reply::Json(
        if created {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        },
        view,
    ))
}

fn campaign_view(entry: &Entry) -> Value {
    let campaign = &entry.campaign;
    let sent = match entry.state {
        State::Executed(_) => campaign.sent_size(),
        State::Draft | State::Cancelled(_) => 0,
    };
    json!({
        "id": campaign.id,
        "tenant": campaign.tenant,
        "kind": "scheduled",
        "status": entry.state.name(),
        "audience": campaign.audience_size(),
        "control": campaign.control,
        "approved": 0,
        "denied": 0,
        "sent": sent,
        "executed_on": entry.executed_on().map(|date| date.to_string()),
    })
}

fn with_notifications(mut view: Value, ids: Vec<u64>) -> Value {
    view["notifications"] = ids.into();
    view
}

fn clock_view(shared: &Shared) -> Value {
    json!({ "now": shared.clock.now().to_string() })
}

fn set_clock(shared: &Shared, request: &ControlRequest) -> Result<Reply, Problem> {
    let spec: ClockSpec = request.json()?;
    let now = spec.now.parse::<Timestamp>();
    let now = now.map_err(|_| {
        Problem(
            StatusCode::BAD_REQUEST,
            format!("{:?} is not an RFC 3339 instant", spec.now),
        )
    })?;
    move_clock(shared, now)
}

fn advance_clock(shared: &Shared, request: &ControlRequest) -> Result<Reply, Problem> {
    let AdvanceSpec { seconds } = request.json()?;
    let now = shared
        .clock
        .now()
        .checked_add(SignedDuration::from_secs(seconds));
    move_clock(shared, now.unwrap_or(Timestamp::MAX))
}

fn move_clock(shared: &Shared, now: Timestamp) -> Result<Reply, Problem> {
    if !shared.clock.may_be_set() {
        let message = "the clock can be set only where the sandbox is started with a test clock";
        return Err(Problem(StatusCode::NOT_FOUND, message.into()));
    }
    if !(0..=CLOCK_SECOND_MAX).contains(&now.as_second()) {
        let message = "the clock goes from 1970 to 9000";
        return Err(Problem(StatusCode::BAD_REQUEST, message.into()));
    }
    shared.clock.set(now);
    Ok(ok(clock_view(shared)))
}

fn notification_view(id: u64, notification: &Notification) -> Value {
    json!({
        "id": id,
        "tenant": notification.tenant,
        "event_type": notification.event_type,
        "url": notification.url,
        "body": String::from_utf8_lossy(&notification.body),
        "created_at": notification.created_at.to_string(),
        "dropped": notification.dropped,
        "attempts": notification.attempts,
        "last_status": notification.last_status,
        "last_error": notification.last_error,
    })
}

async fn redeliver(shared: &Shared, id: &str) -> Result<Reply, Problem> {
    let unknown = || {
        Problem(
            StatusCode::NOT_FOUND,
            format!("there is no notification {id}"),
        )
    };
    let number: u64 = id.parse().map_err(|_| unknown())?;
    let notification = shared.redeliver(number).await.ok_or_else(unknown)?;
    Ok(ok(notification_view(number, &notification)))
}

fn requests(shared: &Shared, wanted: Option<&str>) -> Result<Reply, Problem> {
    let world = shared.world();
    let tenants = world.tenants.iter();
    let mut all: Map<String, Value> = tenants
        .map(|(name, tenant)| {
            let usage = &tenant.usage;
            let by_status: Map<String, Value> = usage
                .by_status
                .iter()
                .map(|(status, count)| (status.to_string(), (*count).into()))
                .collect();
            let view = json!({
                "by_function": usage.by_function,
                "by_status": by_status,
                "most_in_10_s": usage.most_in_10_s(),
            });
            (name.clone(), view)
        })
        .collect();
    let Some(wanted) = wanted else {
        return Ok(ok(Value::Object(all)));
    };
    let one = all.remove(wanted);
    let unknown = || {
        Problem(
            StatusCode::NOT_FOUND,
            format!("there is no tenant {wanted}"),
        )
    };
    one.map(ok).ok_or_else(unknown)
}

/// The oracle's answer as it is made.
fn lines(mut expected: Expected) -> Response<Body> {
    let pieces = std::iter::from_fn(move || {
        let mut piece = Vec::with_capacity(PIECE_BYTES + 1024);
        while piece.len() < PIECE_BYTES {
            let Some(expectation) = expected.next() else {
                break;
            };
            expectation.write_line(&mut piece);
        }
        (!piece.is_empty()).then(|| Bytes::from(piece))
    });
    let mut response = Response::new(Body::stream(pieces));
    let content_type = http::HeaderValue::from_static("application/x-ndjson");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    /// Whether a caller from an address outside this machine gets in.
    #[tokio::test]
    async fn without_a_token_only_this_machine_is_served() {
        let shared = Shared::new(Config::default()).unwrap();
        for (peer, served) in [
            ("127.0.0.1:9", true),
            ("[::1]:9", true),
            ("[::ffff:127.0.0.1]:9", true),
            ("192.0.2.1:9", false),
            ("[2001:db8::1]:9", false),
        ] {
            let (parts, ()) = http::Request::new(()).into_parts();
            let peer = peer.parse().unwrap();
            let request = ControlRequest {
                parts: &parts,
                rest: "",
                peer,
                body: None,
            };
            let refusal = guard(&shared, &request).err();
            assert_eq!(refusal.is_none(), served, "{peer}");
            assert!(refusal.is_none_or(|problem| problem.0 == StatusCode::FORBIDDEN));
        }
    }
}
