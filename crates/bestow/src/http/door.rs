//! The door that every request comes in by and every answer leaves by: who is it, may they, and
//! what is noted of it.

use std::any::Any;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bestow_store::correlation;
use futures_util::FutureExt;
use tokio::time::Instant;

use crate::actor::{ADMIN_TOKEN, Actor};
use crate::app::App;
use crate::error::Error;
use crate::http::page::{bad_path, is_well_encoded};
use crate::http::problem::Problem;
use crate::http::routes::{Access, Inner, Shared};
use crate::service::tokens;
use crate::tenant::Tenant;

/// A request that takes longer is told of in the log.
const SLOW_AFTER: Duration = Duration::from_secs(1);
/// Carries the id under which the log knows the request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What keeps a browser from making more of an answer than it is.
const GUARDS: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// A door: before one route.
#[derive(Clone)]
pub(crate) struct At {
    pub(crate) shared: Shared,
    /// Place in the table.
    pub(crate) place: usize,
    /// Pattern of the path; the path itself holds secrets and customer ids.
    pub(crate) path: &'static str,
    pub(crate) access: Access,
}

/// Lets a request in, if it may come in, and its answer out.
pub(crate) async fn door(State(at): State<At>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let id = at.shared.request_ids.next();
    let answer = match admit(&at, &mut request) {
        Ok(()) => correlation::under(&*id, guarded(next.run(request))).await,
        Err(problem) => problem.into_response(),
    };
    let seen = Seen {
        method: &method,
        path: at.path,
        took: begun.elapsed(),
    };
    at.shared
        .metrics
        .count(at.place, answer.status(), seen.took);
    see_off(&seen, &id, answer)
}

/// An answer in any case: a panic is one with status 500.
pub(crate) async fn guarded(answer: impl Future<Output = Response>) -> Response {
    let caught = AssertUnwindSafe(answer).catch_unwind().await;
    caught.unwrap_or_else(|panic| Problem::internal(&words(panic.as_ref())).into_response())
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without words"))
}

/// Who came in, and for which tenant.
#[derive(Clone)]
struct Admitted {
    actor: Actor,
    tenant: Option<Arc<Tenant>>,
}

fn admit(at: &At, request: &mut Request) -> Result<(), Problem> {
    let path = request.uri().path();
    if !is_well_encoded(path) {
        return Err(bad_path());
    }
    let (Access::Any(roles) | Access::Deployment(roles) | Access::Tenant(roles)) = at.access else {
        return Ok(());
    };
    let app = &at.shared.app;
    app.ensure_fresh()?;
    let token = bearer(request.headers());
    let actor = token.and_then(|token| tokens::authenticate(app, token));
    let Some(actor) = actor else {
        return Err(stranger(&at.shared, request));
    };
    if actor.id != ADMIN_TOKEN {
        at.shared.rates.token(&actor.id)?;
    }
    let is_bound = actor.tenant.is_some();
    if !roles.contains(&actor.role) || (is_bound && matches!(at.access, Access::Deployment(_))) {
        return Err(Problem::forbidden());
    }
    let tenant = match at.access {
        Access::Tenant(_) => Some(tenant_in(app, &actor, path)?),
        _ => None,
    };
    request.extensions_mut().insert(Admitted { actor, tenant });
    Ok(())
}

/// The address that a request came from, as far as it is known.
#[derive(Clone, Copy)]
pub(crate) struct Client(pub(crate) IpAddr);

/// What somebody without a valid token gets.
fn stranger(shared: &Inner, request: &Request) -> Problem {
    let client = request.extensions().get::<Client>();
    let counted = client.map_or(Ok(()), |client| shared.rates.refused(client.0));
    counted.err().unwrap_or_else(Problem::unauthorized)
}

/// The token that a request shows.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The tenant that the path names. One that the token may not see is answered like one that is not
/// there.
fn tenant_in(app: &App, actor: &Actor, path: &str) -> Result<Arc<Tenant>, Problem> {
    let rest = path.strip_prefix("/v1/tenants/").unwrap_or_default();
    // An id is made of letters that need no encoding.
    let id = rest.split('/').next().unwrap_or_default();
    let may_see = |tenant: &Arc<Tenant>| actor.tenant.is_none_or(|own| own == tenant.no());
    let found = app.tenant(id).ok().filter(may_see);
    found.ok_or_else(|| Error::NotFound("tenant").into())
}

/// Who asks, on a route that is not of one tenant.
pub(crate) struct Asker(pub(crate) Actor);

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        admitted(parts).map(|admitted| Self(admitted.actor))
    }
}

/// Who asks, and the tenant that the path names.
pub(crate) struct InTenant {
    pub(crate) actor: Actor,
    pub(crate) tenant: Arc<Tenant>,
}

impl<S: Sync> FromRequestParts<S> for InTenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Admitted { actor, tenant } = admitted(parts)?;
        let tenant =
            tenant.ok_or_else(|| Problem::internal("a route without a tenant asks for it"))?;
        Ok(Self { actor, tenant })
    }
}

fn admitted(parts: &mut Parts) -> Result<Admitted, Problem> {
    let admitted = parts.extensions.remove::<Admitted>();
    admitted.ok_or_else(|| Problem::internal("a public route asks who came in"))
}

/// What is noted of a request.
pub(crate) struct Seen<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'static str,
    pub(crate) took: Duration,
}

/// Gives an answer what every answer has, and notes what came of the request, which is known by `id`.
pub(crate) fn see_off(seen: &Seen<'_>, id: &str, mut answer: Response) -> Response {
    let problem = answer.extensions_mut().remove::<Problem>();
    note(seen, answer.status(), id, problem.as_ref());
    if let Some(problem) = problem {
        answer = problem.write(id);
    }
    let headers = answer.headers_mut();
    for (name, value) in GUARDS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, id);
    }
    answer
}

impl Inner {
    /// As [`see_off`], for what has no route.
    pub(crate) fn see_off_unrouted(&self, answer: Response) -> Response {
        let seen = Seen {
            method: &Method::GET,
            path: "(none)",
            took: Duration::ZERO,
        };
        see_off(&seen, &self.request_ids.next(), answer)
    }

    /// The answer to an address that is not there, in no way to be told from that to a wrong
    /// secret.
    pub(crate) fn plain_not_found(&self) -> Response {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::NOT_FOUND;
        self.see_off_unrouted(answer)
    }
}

fn note(seen: &Seen<'_>, status: StatusCode, id: &str, problem: Option<&Problem>) {
    let (method, route) = (seen.method.as_str(), seen.path);
    let (status, duration_ms) = (status.as_u16(), seen.took.as_millis() as u64);
    let code = problem.map(|problem| problem.code);
    let error = problem.and_then(|problem| problem.cause.as_deref());
    match status {
        500 => tracing::error!(
            request.id = id,
            request.method = method,
            request.route = route,
            request.duration_ms = duration_ms,
            error,
            "a request failed"
        ),
        501.. => tracing::warn!(
            request.id = id,
            request.method = method,
            request.route = route,
            answer.status = status,
            answer.code = code,
            request.duration_ms = duration_ms,
            error,
            "a request was not served"
        ),
        300.. => tracing::info!(
            request.id = id,
            request.method = method,
            request.route = route,
            answer.status = status,
            answer.code = code,
            request.duration_ms = duration_ms,
            "a request was refused"
        ),
        _ if seen.took > SLOW_AFTER => tracing::info!(
            request.id = id,
            request.method = method,
            request.route = route,
            answer.status = status,
            request.duration_ms = duration_ms,
            "a request was served slowly"
        ),
        _ => tracing::debug!(
            request.id = id,
            request.method = method,
            request.route = route,
            answer.status = status,
            request.duration_ms = duration_ms,
            "a request was served"
        ),
    }
}

/// Ids of requests: some letters of this process, then a number.
pub(crate) struct RequestIds {
    process: String,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new(app: &App) -> Self {
        let process = format!("req_{:08x}", app.random.number() as u32);
        Self {
            process,
            next: AtomicU64::new(1),
        }
    }

    pub(crate) fn next(&self) -> String {
        format!(
            "{}-{}",
            self.process,
            self.next.fetch_add(1, Ordering::Relaxed)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer_that_says_nothing_of_it() {
        let mut answer = guarded(async { panic!("a secret {}", "detail") }).await;
        let problem = answer.extensions_mut().remove::<Problem>().unwrap();
        assert_eq!(problem.cause.as_deref(), Some("panicked: a secret detail"));
        let written = problem.write("req_1");
        assert_eq!(written.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(written.into_body(), 10_000)
            .await
            .unwrap();
        let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (&document["code"], &document["reference"]),
            (&"internal".into(), &"req_1".into())
        );
        assert!(!document.to_string().contains("secret"), "{document}");
    }
}
