//! Which paths there are, who may use them, and who answers.
//!
//! The router is built from one table, so a route without declared rights cannot exist.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::handler::Handler;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderValue, Method, Request};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::actor::Role;
use crate::app::App;
use crate::http::body::BodyLimits;
use crate::http::door::{At, Client, RequestIds, door};
use crate::http::edge::Edge;
use crate::http::metrics::Metrics;
use crate::http::problem::Problem;
use crate::http::rates::Rates;
use crate::http::{api, gateway, listener};
use crate::roles::NodeRole;
use crate::service::listeners::{GATEWAY_PATH, LISTENER_PATH};

/// Whoever may read.
const READERS: &[Role] = &Role::ALL;
/// Whoever runs the daily business.
const OPERATORS: &[Role] = &[Role::Operator, Role::Admin];
/// Those, and whoever releases what waits for a second person.
const RELEASERS: &[Role] = &[Role::Operator, Role::Approver, Role::Admin];
/// Whoever may be the second person.
const APPROVERS: &[Role] = &[Role::Approver, Role::Admin];
/// Whoever may look at who did what.
const AUDITORS: &[Role] = &[Role::Auditor, Role::Admin];
/// Whoever may do everything.
const ADMINS: &[Role] = &[Role::Admin];

/// Where the machine's clock is confirmed: for every service, not only for tests.
const CONFIRM_CLOCK: &str = "/v1/clock/confirm";

/// Exports written at the same time; each has a thread while it lasts.
const EXPORTS_MAX: usize = 16;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever comes.
    Public,
    /// Tokens of these roles; the answer is narrowed to what the token may see.
    Any(&'static [Role]),
    /// Tokens of these roles that are not bound to a tenant.
    Deployment(&'static [Role]),
    /// Tokens of these roles that may see the tenant in the path.
    Tenant(&'static [Role]),
}

/// A row of the table.
pub struct Route {
    /// HTTP method.
    pub method: Method,
    /// Pattern of the path.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    answer: MethodRouter<Shared>,
}

fn route<H, T>(method: Method, path: &'static str, access: Access, handler: H) -> Route
where
    H: Handler<T, Shared>,
    T: 'static,
{
    let filter =
        MethodFilter::try_from(method.clone()).expect("the table holds the usual methods only");
    Route {
        method,
        path,
        access,
        answer: on(filter, handler),
    }
}

/// Declares how a row of the table with one method is written.
macro_rules! row {
    ($($name:ident $method:ident),+) => {$(
        fn $name<H: Handler<T, Shared>, T: 'static>(
            path: &'static str,
            access: Access,
            handler: H,
        ) -> Route {
            route(Method::$method, path, access, handler)
        }
    )+};
}

row!(get GET, post POST, put PUT, patch PATCH, delete DELETE);

/// What all requests share.
pub(crate) struct Inner {
    pub(crate) app: Arc<App>,
    /// Cancelled once the service stops: streams end.
    pub(crate) stop: CancellationToken,
    pub(crate) metrics: Metrics,
    pub(crate) request_ids: RequestIds,
    pub(crate) exports: Arc<Semaphore>,
    pub(crate) edge: Edge,
    pub(crate) rates: Rates,
}

/// What a handler gets of it.
pub(crate) type Shared = Arc<Inner>;

impl Inner {
    pub(crate) fn api_body_limits(&self) -> BodyLimits {
        let limits = &self.app.config.http;
        BodyLimits {
            bytes_max: limits.api_body_bytes_max,
            seconds_max: limits.body_seconds_max,
        }
    }
}

/// Every route of the service with its rights. Those that move the clock are there only where it
/// can be moved.
#[rustfmt::skip]
pub fn table() -> Vec<Route> {
    use Access::{Any, Deployment, Public, Tenant};
    use api::{archives, audit, campaigns, clock, codes, eligibility, events, exclusions, findings, grants};
    use api::{deliveries, destinations, health, held, listeners, notifications as inbox};
    use api::{promotions, redemptions, tenants, why};
    vec![
        get("/healthz", Public, health::alive),
        get("/readyz", Public, health::ready),
        get("/metrics", Public, health::metrics),

        post("/v1/tenants", Deployment(ADMINS), tenants::create),
        get("/v1/tenants", Any(READERS), tenants::list),
        get("/v1/tenants/{tenant}", Tenant(READERS), tenants::get),
        patch("/v1/tenants/{tenant}", Tenant(ADMINS), tenants::update),
        delete("/v1/tenants/{tenant}", Tenant(ADMINS), tenants::delete),
        post("/v1/tenants/{tenant}/suspend", Tenant(RELEASERS), tenants::suspend),
        post("/v1/tenants/{tenant}/resume", Tenant(RELEASERS), tenants::resume),
        post("/v1/tenants/{tenant}/listeners/sync", Tenant(OPERATORS), listeners::sync),
        post("/v1/tenants/{tenant}/listeners/rotate", Tenant(ADMINS), listeners::rotate),

        get("/v1/tenants/{tenant}/promotions", Tenant(READERS), promotions::list),
        post("/v1/tenants/{tenant}/promotions/import", Tenant(OPERATORS), promotions::import),
        post("/v1/tenants/{tenant}/promotions/sync", Tenant(OPERATORS), promotions::sync),
        get("/v1/tenants/{tenant}/promotions/{code}", Tenant(READERS), promotions::get),
        put("/v1/tenants/{tenant}/promotions/{code}", Tenant(OPERATORS), promotions::put),
        post("/v1/tenants/{tenant}/promotions/{code}/stop", Tenant(RELEASERS), promotions::stop),
        post("/v1/tenants/{tenant}/promotions/{code}/resume", Tenant(RELEASERS), promotions::resume),
        get("/v1/tenants/{tenant}/promotions/{code}/versions", Tenant(READERS), promotions::versions),

        post("/v1/tenants/{tenant}/promotions/{code}/codes", Tenant(OPERATORS), codes::load),
        get("/v1/tenants/{tenant}/promotions/{code}/codes", Tenant(READERS), codes::get),
        delete("/v1/tenants/{tenant}/promotions/{code}/codes/{unique_code}",
            Tenant(OPERATORS), codes::void),
        get("/v1/tenants/{tenant}/campaigns/{id}/codes", Tenant(READERS), codes::of_campaign),

        get("/v1/tenants/{tenant}/customers/{customer}/grants",
            Tenant(READERS), grants::of_customer),
        get("/v1/tenants/{tenant}/customers/{customer}/archived-grants",
            Tenant(READERS), archives::of_customer),
        get("/v1/tenants/{tenant}/customers/{customer}/why", Tenant(READERS), why::tell),
        post("/v1/tenants/{tenant}/eligibility", Tenant(READERS), eligibility::ask),

        post("/v1/tenants/{tenant}/redemptions", Tenant(OPERATORS), redemptions::redeem),
        get("/v1/tenants/{tenant}/redemptions", Tenant(READERS), redemptions::list),
        get("/v1/tenants/{tenant}/redemptions/{id}", Tenant(READERS), redemptions::get),
        post("/v1/tenants/{tenant}/redemptions/{id}/reverse", Tenant(OPERATORS), redemptions::reverse),
        post("/v1/tenants/{tenant}/redemptions/{id}/confirm", Tenant(OPERATORS), redemptions::confirm),
        post("/v1/tenants/{tenant}/redemptions/{id}/cancel", Tenant(OPERATORS), redemptions::cancel),

        get("/v1/tenants/{tenant}/campaigns", Tenant(READERS), campaigns::list),
        get("/v1/tenants/{tenant}/campaigns/{id}", Tenant(READERS), campaigns::get),
        post("/v1/tenants/{tenant}/campaigns/{id}/suspend", Tenant(OPERATORS), campaigns::suspend),
        post("/v1/tenants/{tenant}/campaigns/{id}/resume", Tenant(RELEASERS), campaigns::resume),
        post("/v1/tenants/{tenant}/campaigns/{id}/revoke", Tenant(OPERATORS), campaigns::revoke),
        post("/v1/tenants/{tenant}/campaigns/{id}/dry-run", Tenant(OPERATORS), campaigns::dry_run),
        post("/v1/tenants/{tenant}/campaigns/{id}/approve", Tenant(APPROVERS), campaigns::approve),
        post("/v1/tenants/{tenant}/campaigns/{id}/refuse", Tenant(APPROVERS), campaigns::refuse),
        get("/v1/tenants/{tenant}/campaigns/{id}/grants", Tenant(READERS), grants::of_campaign),

        get("/v1/tenants/{tenant}/notifications", Tenant(READERS), inbox::list),
        get("/v1/tenants/{tenant}/notifications/{id}", Tenant(READERS), inbox::get),
        post("/v1/tenants/{tenant}/notifications/{id}/replay", Tenant(OPERATORS), inbox::replay),
        get("/v1/tenants/{tenant}/held", Tenant(READERS), held::list),
        post("/v1/tenants/{tenant}/held/release", Tenant(RELEASERS), held::release),
        get("/v1/tenants/{tenant}/findings", Tenant(READERS), findings::list),
        post("/v1/tenants/{tenant}/findings/settle", Tenant(OPERATORS), findings::settle),
        get("/v1/tenants/{tenant}/exclusions", Tenant(READERS), exclusions::list),
        post("/v1/tenants/{tenant}/exclusions", Tenant(OPERATORS), exclusions::exclude),
        delete("/v1/tenants/{tenant}/exclusions", Tenant(OPERATORS), exclusions::include),
        delete("/v1/tenants/{tenant}/exclusions/{customer}", Tenant(OPERATORS), exclusions::include_one),
        get("/v1/tenants/{tenant}/archives", Tenant(READERS), archives::list),
        get("/v1/tenants/{tenant}/audit", Tenant(AUDITORS), audit::list),
        get("/v1/tenants/{tenant}/audit/checkpoints", Tenant(AUDITORS), audit::checkpoints),

        get("/v1/tenants/{tenant}/destinations", Tenant(READERS), destinations::list),
        post("/v1/tenants/{tenant}/destinations", Tenant(ADMINS), destinations::create),
        get("/v1/tenants/{tenant}/destinations/{id}", Tenant(READERS), destinations::get),
        patch("/v1/tenants/{tenant}/destinations/{id}", Tenant(ADMINS), destinations::update),
        delete("/v1/tenants/{tenant}/destinations/{id}", Tenant(ADMINS), destinations::end),
        get("/v1/tenants/{tenant}/deliveries", Tenant(READERS), deliveries::list),
        post("/v1/tenants/{tenant}/deliveries/{id}/retry", Tenant(OPERATORS), deliveries::retry),

        get("/v1/events", Any(READERS), events::stream),
        get("/v1/clock", Deployment(ADMINS), clock::get),
        put("/v1/clock", Deployment(ADMINS), clock::set),
        post("/v1/clock/advance", Deployment(ADMINS), clock::advance),
        post(CONFIRM_CLOCK, Deployment(ADMINS), clock::confirm),
    ]
}

fn moves_clock(path: &str) -> bool {
    path.starts_with("/v1/clock") && path != CONFIRM_CLOCK
}

/// Handlers that do nothing behind the same doors: what a bench compares with.
fn bench_table() -> Vec<Route> {
    vec![
        post(
            "/v1/tenants/{tenant}/noop",
            Access::Tenant(READERS),
            api::health::noop,
        ),
        post("/noop", Access::Public, api::health::noop),
    ]
}

/// Which handlers are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    Service,
    /// The service, and the empty handlers of a bench.
    Bench,
}

/// Everything that is offered.
///
/// What Optimove calls stands in front of the router: its address is a secret, not a route.
#[derive(Clone)]
pub(crate) struct Front {
    shared: Shared,
    router: Router,
}

impl Front {
    pub(crate) fn new(app: &Arc<App>, stop: CancellationToken, edge: Edge, offer: Offer) -> Self {
        let (shared, router) = router(app, stop, edge, offer);
        Self { shared, router }
    }

    /// Answers a request that came from this address.
    pub(crate) async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Response {
        let edge = &self.shared.edge;
        if let Some(status) = edge.refusal(&request) {
            return self.shared.see_off_unrouted(status.into_response());
        }
        let client = Client(edge.client(peer, request.headers()));
        let mut request = request.map(Body::new);
        let path = request.uri().path();
        let is_head = request.method() == Method::HEAD;
        let listens = self.shared.app.config.roles.has(NodeRole::Listener);
        let mut answer = if listens && path.starts_with(LISTENER_PATH) {
            listener::take(&self.shared, request).await
        } else if listens && path.starts_with(GATEWAY_PATH) {
            gateway::ask(&self.shared, request).await
        } else {
            request.extensions_mut().insert(client);
            return match self.router.clone().oneshot(request).await {
                Ok(answer) => answer,
                Err(never) => match never {},
            };
        };
        if is_head {
            // As the router has it, so that nothing tells the one from the other.
            let length = HeaderValue::from_static("0");
            answer.headers_mut().insert(CONTENT_LENGTH, length);
        }
        answer
    }
}

fn router(app: &Arc<App>, stop: CancellationToken, edge: Edge, offer: Offer) -> (Shared, Router) {
    let mut routes = table();
    routes.retain(|route| app.clock.is_adjustable() || !moves_clock(route.path));
    let roles = &app.config.roles;
    routes.retain(|route| roles.has(NodeRole::Api) || !route.path.starts_with("/v1/"));
    if offer == Offer::Bench {
        routes.extend(bench_table());
    }
    let shared = Arc::new(Inner {
        app: Arc::clone(app),
        stop,
        metrics: Metrics::new(
            routes
                .iter()
                .map(|route| (route.method.clone(), route.path)),
        ),
        request_ids: RequestIds::new(app),
        exports: Arc::new(Semaphore::new(EXPORTS_MAX)),
        edge,
        rates: Rates::new(&app.config.rates),
    });
    let mut built = Router::new();
    for (place, route) in routes.into_iter().enumerate() {
        let at = At {
            shared: Arc::clone(&shared),
            place,
            path: route.path,
            access: route.access,
        };
        let guarded = route.answer.route_layer(from_fn_with_state(at, door));
        built = built.route(route.path, guarded);
    }
    let built = built
        .method_not_allowed_fallback(wrong_method)
        .fallback(nowhere)
        .with_state(Arc::clone(&shared));
    (shared, built)
}

/// The router adds which methods there are.
async fn wrong_method(State(shared): State<Shared>) -> Response {
    shared.see_off_unrouted(Problem::method_not_allowed().into_response())
}

/// Under `/v1` with a problem document; elsewhere plain, since that is what a wrong listener's
/// secret gets, too.
async fn nowhere(State(shared): State<Shared>, request: axum::extract::Request) -> Response {
    if request.uri().path().starts_with("/v1/") {
        shared.see_off_unrouted(Problem::not_found().into_response())
    } else {
        shared.plain_not_found()
    }
}
