//! The HTTP server: connections, and what becomes of one request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::answer::{Answer, Refusal, Reply};
use crate::body::{Body, Broken};
use crate::control;
use crate::random::within_percent;
use crate::routes::{Call, Function, Query, credentials};
use crate::shared::Shared;
use crate::switch::{ContentTypeCheck, FaultKind, OnOff, Switches};
use crate::write;

/// Connections open at one time; beyond, callers wait to be accepted.
const CONNECTIONS_MAX: usize = 4_096;
/// Largest body that is read: a list of a million customers by hand.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What the draws for faults are drawn under.
const FAULT: u64 = 0xfa;
/// Wait after the system refused a connection, for instance for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens and serves until the sandbox stops.
pub(crate) async fn start(shared: &Arc<Shared>, listen: SocketAddr) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let (stop, accepting) = (shared.stop.clone(), accept(shared.clone(), listener));
    shared.tasks.spawn(async move {
        stop.run_until_cancelled(accepting).await;
    });
    Ok(address)
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = places.clone().acquire_owned().await {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (stop, serving) = (shared.stop.clone(), serve(shared.clone(), stream, peer));
        shared.tasks.spawn(async move {
            stop.run_until_cancelled(serving).await;
            drop(place);
        });
    }
}

async fn serve(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "answers may be delayed by the system");
    }
    let service = service_fn(move |request| answer(shared.clone(), peer, request));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    // A connection that breaks, by switch or by its caller, is none of the sandbox's errors.
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn answer(
    shared: Arc<Shared>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, Broken> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = body.ok().map(http_body_util::Collected::to_bytes);
    // What is due comes before whatever is asked.
    shared.settle();
    if let Some(rest) = control::path(parts.uri.path()) {
        let request = control::ControlRequest {
            parts: &parts,
            rest,
            peer,
            body,
        };
        return Ok(control::answer(&shared, request).await);
    }
    let switches = shared.switches();
    let handled = handle(&shared, &switches, &parts, body.as_ref());
    tokio::time::sleep(Duration::from_millis(switches.latency_ms.get())).await;
    match handled.fault {
        None => Ok(handled.answer.into_response(switches.transfer)),
        Some(Breakage::Cut) => Ok(handled.answer.into_cut_response(switches.transfer)),
        Some(Breakage::Reset) => Err(Broken),
        Some(Breakage::Silence) => std::future::pending().await,
    }
}

/// What to send, and how the sending breaks.
struct Handled {
    answer: Answer,
    fault: Option<Breakage>,
}

/// Faults that hit an answer after the function has done its work.
#[derive(Clone, Copy)]
enum Breakage {
    Cut,
    Reset,
    Silence,
}

impl From<Answer> for Handled {
    fn from(answer: Answer) -> Self {
        Self {
            answer,
            fault: None,
        }
    }
}

fn handle(shared: &Shared, switches: &Switches, parts: &Parts, body: Option<&Bytes>) -> Handled {
    let refuse = |refusal| Answer::of(Err(refusal), switches);
    let Some(function) = Function::find(parts.uri.path()) else {
        return refuse(Refusal::plain(StatusCode::METHOD_NOT_ALLOWED)).into();
    };
    let login_off = function == Function::Login && switches.login == OnOff::Off;
    if !function.takes(&parts.method) || login_off {
        return refuse(Refusal::plain(StatusCode::METHOD_NOT_ALLOWED)).into();
    }
    let mut tenant = None;
    let handled = match admit(shared, switches, parts, function, &mut tenant) {
        Err(refusal) => refuse(refusal).into(),
        Ok(()) => run(shared, switches, parts, body, function, &mut tenant),
    };
    if let Some(tenant) = tenant {
        count(shared, &tenant, function, handled.answer.status);
    }
    handled
}

fn count(shared: &Shared, tenant: &str, function: Function, status: StatusCode) {
    if let Some(tenant) = shared.world().tenants.get_mut(tenant) {
        *tenant.usage.by_function.entry(function.name()).or_default() += 1;
        *tenant.usage.by_status.entry(status.as_u16()).or_default() += 1;
    }
}

/// Lets a call through: credential, rate limit, role, content type, in this order.
fn admit(
    shared: &Shared,
    switches: &Switches,
    parts: &Parts,
    function: Function,
    tenant: &mut Option<String>,
) -> Result<(), Refusal> {
    if function != Function::Login {
        let at = shared.moment();
        let mut world = shared.world();
        let caller = world.caller(&parts.headers, switches, at.now)?;
        let name = tenant.insert(caller.tenant.clone());
        if let Some(tenant) = world.tenants.get_mut(name) {
            tenant.admit(&caller, switches, at.elapsed)?;
        }
        caller.may_call(function, switches)?;
    }
    let content_type = content_type(&parts.headers);
    let is_json = content_type.eq_ignore_ascii_case("application/json");
    let is_form = content_type.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    let has_body = parts.method == Method::POST || parts.method == Method::PUT;
    let fits = !has_body || is_json || (function == Function::Login && is_form);
    if !fits && switches.content_type_check == ContentTypeCheck::Strict {
        return Err(Refusal::bad_request(
            "The content type must be application/json.",
        ));
    }
    Ok(())
}

/// Runs a call that is let through, unless a fault comes before it.
fn run(
    shared: &Shared,
    switches: &Switches,
    parts: &Parts,
    body: Option<&Bytes>,
    function: Function,
    tenant: &mut Option<String>,
) -> Handled {
    let fault = drawn_fault(shared, switches, function);
    let failed = |status| Answer::of(Err(Refusal::plain(status)), switches).into();
    let breakage = match fault {
        None => None,
        Some(FaultKind::Status500) => return failed(StatusCode::INTERNAL_SERVER_ERROR),
        Some(FaultKind::Status503) => return failed(StatusCode::SERVICE_UNAVAILABLE),
        Some(FaultKind::Html200) => {
            let page = "<!DOCTYPE html><html><body>Please wait a moment.</body></html>";
            return Answer::html(StatusCode::OK, page).into();
        }
        Some(FaultKind::String200) => {
            return Answer::json(StatusCode::OK, "\"The service is busy.\"").into();
        }
        Some(FaultKind::Timeout) => Some(Breakage::Silence),
        Some(FaultKind::Reset) => Some(Breakage::Reset),
        Some(FaultKind::Truncate) => Some(Breakage::Cut),
    };
    let result = match body {
        None => Err(Refusal::bad_request("The body is broken or too large.")),
        Some(body) if function == Function::Login => {
            log_in(shared, switches, &parts.headers, body, tenant)
        }
        Some(body) => {
            let query = Query::new(parts.uri.query().unwrap_or_default());
            let tenant = tenant.as_deref().unwrap_or_default();
            Call {
                shared,
                switches,
                tenant,
                function,
                method: &parts.method,
                query: &query,
                body,
            }
            .run()
        }
    };
    Handled {
        answer: Answer::of(result, switches),
        fault: breakage,
    }
}

fn log_in(
    shared: &Shared,
    switches: &Switches,
    headers: &HeaderMap,
    body: &[u8],
    tenant: &mut Option<String>,
) -> Result<Reply, Refusal> {
    let (user, password) = credentials(content_type(headers), body)?;
    let at = shared.moment();
    let (name, token) = shared
        .world()
        .log_in((&user, &password), switches, shared.seed, at)?;
    *tenant = Some(name);
    let mut json = Vec::new();
    write::text(&mut json, &token);
    Ok(Reply::Json(json))
}

fn drawn_fault(shared: &Shared, switches: &Switches, function: Function) -> Option<FaultKind> {
    if switches.fault_percent.0 == 0 || !switches.fault_functions.covers(function.name()) {
        return None;
    }
    let parts = [shared.seed, FAULT, shared.next_draw()];
    within_percent(&parts, switches.fault_percent.0).then_some(switches.fault_kind)
}

/// The content type without its parameters.
fn content_type(headers: &HeaderMap) -> &str {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    value
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
}
