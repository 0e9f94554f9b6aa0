//! A bonus system of somebody else's: it takes deliveries, and fails in all the ways that such systems do.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bestow::random::Random;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use optimove::sign::{Signer, StandardHeaders};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How many of a hundred requests meet each trouble.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Troubles {
    /// The request never reaches it.
    pub(crate) lost_requests: u64,
    /// It is applied, and the answer never arrives.
    pub(crate) lost_answers: u64,
    /// 500, and nothing was applied.
    pub(crate) failures: u64,
    /// 500, after it was applied.
    pub(crate) late_failures: u64,
    /// 429.
    pub(crate) refusals: u64,
    /// It comes twice.
    pub(crate) repeats: u64,
    /// It takes its time.
    pub(crate) slow: u64,
}

/// What it does with the keys of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Books {
    /// Each is applied once.
    Keyed,
    /// Whatever comes is applied.
    Plain,
}

/// What it has come to.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// How often each event was applied.
    pub(crate) effects: HashMap<String, u64>,
    /// Of each grant what was applied, with the sequence of each.
    pub(crate) grants: HashMap<String, Vec<(i64, String)>>,
    /// The bodies that came under each id, each once.
    pub(crate) bodies: BTreeMap<String, Vec<Bytes>>,
    /// Deliveries that may have been applied, for all that the sender can tell.
    pub(crate) in_doubt: BTreeSet<String>,
    pub(crate) requests: u64,
    pub(crate) events_in_largest: usize,
    pub(crate) unsigned: u64,
}

#[derive(Debug)]
struct Shared {
    seen: Mutex<Seen>,
    troubles: Mutex<Troubles>,
    answer: Mutex<Option<(u16, String)>>,
    secrets: Mutex<Vec<String>>,
    books: Books,
    random: Random,
}

/// The server. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Receiver {
    pub(crate) async fn start(books: Books, troubles: Troubles) -> Self {
        Self::seeded(books, troubles, 3).await
    }

    /// With draws of its own.
    pub(crate) async fn seeded(books: Books, troubles: Troubles, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            troubles: Mutex::new(troubles),
            answer: Mutex::default(),
            secrets: Mutex::default(),
            books,
            random: Random::seeded(seed),
        });
        let served = Arc::clone(&shared);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&served);
                let service = service_fn(move |request| take(Arc::clone(&shared), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self {
            address,
            shared,
            serving,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        locked(&self.shared.seen)
    }

    /// What it wants to see deliveries signed with; any of them will do.
    pub(crate) fn expect_signed(&self, secrets: &[&str]) {
        *locked(&self.shared.secrets) = secrets.iter().map(|&one| one.to_owned()).collect();
    }

    /// From now on it has these troubles.
    pub(crate) fn trouble(&self, troubles: Troubles) {
        *locked(&self.shared.troubles) = troubles;
    }

    /// From now on it does all it can.
    pub(crate) fn recover(&self) {
        *locked(&self.shared.troubles) = Troubles::default();
        *locked(&self.shared.answer) = None;
    }

    /// From now on it answers this and applies nothing.
    pub(crate) fn answer(&self, status: u16, location: &str) {
        *locked(&self.shared.answer) = Some((status, location.to_owned()));
    }

    /// What was applied of each kind of event.
    pub(crate) fn kinds(&self) -> BTreeMap<String, u64> {
        let seen = self.seen();
        let mut kinds = BTreeMap::new();
        for (_, kind) in seen.grants.values().flatten() {
            *kinds.entry(kind.clone()).or_default() += 1;
        }
        kinds
    }

    /// Each grant's events came in their order.
    pub(crate) fn assert_in_order(&self) {
        for (grant, events) in &self.seen().grants {
            assert!(events.is_sorted(), "{grant}: {events:?}");
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The connection is cut where this is an error.
async fn take(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let troubles = *locked(&shared.troubles);
    let happens = |percent: u64| shared.random.number() % 100 < percent;
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    let header = |name: &str| {
        let value = head.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let id = header("webhook-id");
    {
        let mut seen = locked(&shared.seen);
        seen.requests += 1;
        let bodies = seen.bodies.entry(id.clone()).or_default();
        if !bodies.contains(&body) {
            bodies.push(body.clone());
        }
    }
    if happens(troubles.slow) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let doubt = || locked(&shared.seen).in_doubt.insert(id.clone());
    if happens(troubles.lost_requests) {
        doubt();
        return Err(cut());
    }
    if let Some((status, location)) = locked(&shared.answer).clone() {
        return Ok(answer(status, &location));
    }
    if happens(troubles.refusals) {
        return Ok(answer(429, ""));
    }
    if happens(troubles.failures) {
        doubt();
        return Ok(answer(500, ""));
    }
    if !is_signed(&shared, &header, &body) {
        locked(&shared.seen).unsigned += 1;
        return Ok(answer(401, ""));
    }
    for _ in 0..=u64::from(happens(troubles.repeats)) {
        apply(&shared, &body);
    }
    if happens(troubles.lost_answers) {
        doubt();
        return Err(cut());
    }
    let status = if happens(troubles.late_failures) {
        doubt();
        500
    } else {
        204
    };
    Ok(answer(status, ""))
}

fn cut() -> std::io::Error {
    std::io::Error::other("cut")
}

fn answer(status: u16, location: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"said so")));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    if !location.is_empty() {
        let location = location.parse().expect("a location");
        response.headers_mut().insert("location", location);
    }
    response
}

fn is_signed(shared: &Shared, header: &impl Fn(&str) -> String, body: &Bytes) -> bool {
    let secrets = locked(&shared.secrets).clone();
    if secrets.is_empty() {
        return true;
    }
    let signer = Signer::from_standard(secrets.iter().map(String::as_str)).expect("secrets");
    let (id, timestamp, signature) = (
        header("webhook-id"),
        header("webhook-timestamp"),
        header("webhook-signature"),
    );
    let headers = StandardHeaders {
        id: &id,
        timestamp: &timestamp,
        signature: &signature,
    };
    let now = timestamp.parse().unwrap_or_default();
    signer
        .verify_standard(headers, body, now, Duration::from_secs(1))
        .is_ok()
}

fn apply(shared: &Shared, body: &Bytes) {
    let message: Value = serde_json::from_slice(body).expect("JSON");
    let events = message["data"]["events"].as_array().expect("events");
    let mut seen = locked(&shared.seen);
    seen.events_in_largest = seen.events_in_largest.max(events.len());
    for event in events {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let times = seen.effects.entry(text(&event["id"])).or_default();
        if *times > 0 && shared.books == Books::Keyed {
            continue;
        }
        *times += 1;
        let told = (
            event["sequence"].as_i64().expect("a number"),
            text(&event["type"]),
        );
        let grant = text(&event["grant"]["id"]);
        seen.grants.entry(grant).or_default().push(told);
    }
}
