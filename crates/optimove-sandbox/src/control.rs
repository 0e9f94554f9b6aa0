//! The control API under `/_sandbox`: plain JSON, errors as `{"error":"…"}`.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::body::Body;
use crate::outbox::Notification;
use crate::routes::Query;
use crate::shared::Shared;
use crate::spec::TenantSpec;
use crate::switch::Transfer;
use crate::world::Trouble;

mod campaigns;
mod clock;
mod triggers;

pub(crate) use campaigns::view as campaign_view;

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
    /// Lines of JSON, made as they go.
    Lines(Body),
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
        Ok(Reply::Lines(lines)) => return as_lines(lines),
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
        ("POST", ["campaigns"]) => campaigns::add(shared, request),
        ("GET", ["campaigns", id]) => campaigns::show(shared, id, tenant),
        ("POST", ["campaigns", id, "process"]) => campaigns::process(shared, id, tenant, request),
        ("POST", ["campaigns", id, "cancel"]) => campaigns::cancel(shared, id, tenant),
        ("GET", ["campaigns", id, "expected"]) => campaigns::expected(shared, id, tenant),
        ("GET", ["campaigns", id, "statuses"]) => campaigns::statuses(shared, id, tenant),
        ("POST", ["triggers"]) => triggers::trigger(shared, request).await,
        ("POST", ["day", "close"]) => Ok(ok(with_notifications(
            json!({}),
            &shared.close_day(tenant)?,
        ))),
        ("GET", ["clock"]) => Ok(ok(clock::view(shared))),
        ("PUT", ["clock"]) => clock::set(shared, request),
        ("POST", ["clock", "advance"]) => clock::advance(shared, request),
        ("GET", ["switches"]) => Ok(ok(shared.switches().to_json())),
        ("PUT", ["switches"]) => {
            shared.change_switches(&request.json()?)?;
            Ok(ok(shared.switches().to_json()))
        }
        ("GET", ["notifications"]) => notifications(shared, query.get("after")),
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
    /// As `json`, where a body may be left out.
    fn json_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, Problem> {
        match &self.body {
            Some(body) if body.trim_ascii().is_empty() => Ok(T::default()),
            _ => self.json(),
        }
    }

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

fn with_notifications(mut view: Value, ids: &[u64]) -> Value {
    view["notifications"] = ids.into();
    view
}

/// The log, from the beginning or after a notification.
fn notifications(shared: &Shared, after: Option<&str>) -> Result<Reply, Problem> {
    let number = after.map_or(Ok(0), str::parse);
    let wrong = |_| {
        Problem(
            StatusCode::BAD_REQUEST,
            "after is the id of a notification".into(),
        )
    };
    let log = shared.outbox.log(number.map_err(wrong)?);
    let log = log.iter().map(|(id, one)| notification_view(*id, one));
    Ok(ok(json!({ "data": log.collect::<Vec<_>>() })))
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
                "logins": usage.logins,
                "least_ms_between_logins": usage.least_ms_between_logins(),
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

fn as_lines(lines: Body) -> Response<Body> {
    let mut response = Response::new(lines);
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
