//! `bestow bench delivery`: grants told to a receiver on this machine, against what the receiver takes of the same
//! batches when they are ready beforehand.
//!
//! The receiver reads each batch, checks its signature and counts its events; it keeps nothing, so what is measured is
//! the sender.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::ensure;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use optimove::sign::{Signer, StandardHeaders};
use serde_json::json;
use tokio::net::TcpListener;

use super::eligibility::granted;
use super::load::now;
use super::rig::{Rig, SandboxProcess, load_runtime};
use super::{Report, Shape};
use crate::actor::Actor;
use crate::memory;
use crate::service::destinations::{self, DestinationPatch, NewDestination};
use crate::threads;
use crate::work::Workers;

/// Deliveries under way at the same time, unless told otherwise.
const CONNECTIONS: usize = 8;
/// Events of a delivery.
const BATCH: u64 = 1_000;
/// What each event has exactly once.
const MARK: &[u8] = b"\"sequence\":";
/// How often it is looked whether all is there.
const LOOK: Duration = Duration::from_millis(5);
const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// What the receiver has seen.
struct Seen {
    signer: Signer,
    events: AtomicU64,
    refused: AtomicU64,
}

pub(super) fn run(shape: &Shape) -> anyhow::Result<Report> {
    let (server, client) = (threads::answering()?, load_runtime()?);
    let rig = Rig::with(shape, |config| {
        config.delivery.allow_networks = "127.0.0.1".into();
    })?;
    let (events, connections) = (
        shape.customers.max(1),
        shape.connections.unwrap_or(CONNECTIONS),
    );
    let seen = Arc::new(Seen {
        signer: Signer::from_standard([SECRET])?,
        events: AtomicU64::new(0),
        refused: AtomicU64::new(0),
    });
    let address = client.block_on(receive(Arc::clone(&seen)))?;
    let ours = server.block_on(deliver(&rig, &seen, address, events, connections))?;
    let peak_memory_bytes = memory::peak_bytes();
    let raw = server.block_on(send_ready(&seen, address, events, connections))?;
    let invalid = seen.refused.load(Ordering::Relaxed);
    let mut more = serde_json::Map::new();
    more.insert("grants".into(), json!(events));
    more.insert("connections".into(), json!(connections));
    Ok(Report {
        bench: "delivery",
        unit: "events",
        ours,
        raw,
        ratio: ours / raw,
        peak_memory_bytes,
        p50_ms: 0.0,
        p99_ms: 0.0,
        p999_ms: 0.0,
        max_ms: 0.0,
        invalid,
        more,
    })
}

/// Starts the receiver and gives its address.
async fn receive(seen: Arc<Seen>) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            let service = service_fn(move |request| take(Arc::clone(&seen), request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
        }
    });
    Ok(address)
}

async fn take(
    seen: Arc<Seen>,
    request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|all| all.to_bytes());
    let header = |name: &str| {
        let value = head.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    };
    let signed = StandardHeaders {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    let at = signed.timestamp.parse().unwrap_or_default();
    let mut answer = Response::new(Empty::new());
    match body {
        Ok(body)
            if seen
                .signer
                .verify_standard(signed, &body, at, Duration::ZERO)
                .is_ok() =>
        {
            let events = body
                .windows(MARK.len())
                .filter(|part| *part == MARK)
                .count();
            seen.events.fetch_add(events as u64, Ordering::Relaxed);
        }
        _ => {
            seen.refused.fetch_add(1, Ordering::Relaxed);
            *answer.status_mut() = StatusCode::UNAUTHORIZED;
        }
    }
    Ok(answer)
}

/// Grants a campaign while its destination is paused, then lets it hear of it. Events a second.
async fn deliver(
    rig: &Rig,
    seen: &Seen,
    address: SocketAddr,
    events: u64,
    connections: usize,
) -> anyhow::Result<f64> {
    let sandbox = SandboxProcess::start().await?;
    rig.tenant(sandbox.url()).await?;
    let (actor, tenant) = (Actor::cli(), rig.app.tenant("acme")?);
    let new = json!({
        "id": "bench", "kind": "http", "url": format!("http://{address}/"), "secret": SECRET,
        "concurrency": connections,
    });
    let new: NewDestination = serde_json::from_value(new)?;
    destinations::create(&rig.app, &actor, &tenant, new).await?;
    let paused = |paused| DestinationPatch {
        paused: Some(paused),
        ..DestinationPatch::default()
    };
    destinations::update(&rig.app, &actor, &tenant, "bench", paused(true)).await?;
    granted(rig, &sandbox, events).await?;
    drop(sandbox);
    // Created and activated: the campaign's windows have begun.
    let wanted = events * 2;
    let start = now();
    destinations::update(&rig.app, &actor, &tenant, "bench", paused(false)).await?;
    let workers = Workers::start(&Arc::clone(&rig.app));
    while seen.events.load(Ordering::Relaxed) < wanted {
        tokio::time::sleep(LOOK).await;
    }
    let rate = wanted as f64 / start.elapsed().as_secs_f64();
    workers.stop().await;
    let had = seen.events.load(Ordering::Relaxed);
    ensure!(had == wanted, "{had} events arrived, {wanted} were to");
    Ok(rate)
}

/// The same number of events in batches that are ready and signed. Events a second.
async fn send_ready(
    seen: &Seen,
    address: SocketAddr,
    events: u64,
    connections: usize,
) -> anyhow::Result<f64> {
    let event = json!({
        "id": "grt_05dg9jn8cvzk2q4w7m1h6rtx3e.activated.1806039000000", "type": "grant.activated",
        "at": "2027-03-25T06:30:00Z", "sequence": 1_234,
        "grant": {
            "id": "grt_05dg9jn8cvzk2q4w7m1h6rtx3e", "customer_id": "C123456", "promo_code": "FS20",
            "unique_code": null, "campaign_id": "5101", "action_id": 24, "channel_id": 504, "source": "scheduled",
            "starts_at": "2027-03-25T06:30:00Z", "ends_at": "2027-04-01T05:30:00Z",
        },
    });
    let all = vec![event; BATCH as usize];
    let message = json!({"type": "grant.events", "data": {"tenant": "acme", "events": all}});
    let body = Bytes::from(message.to_string());
    let signature = seen.signer.sign_standard("dlv_ready", 1, &body);
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()?;
    let before = seen.events.load(Ordering::Relaxed);
    let batches = (events * 2).div_ceil(BATCH);
    let start = now();
    let sent = stream::iter(0..batches).map(|_| {
        let request = client
            .post(format!("http://{address}/"))
            .header("webhook-id", "dlv_ready")
            .header("webhook-timestamp", 1)
            .header("webhook-signature", signature.clone())
            .body(body.clone());
        tokio::spawn(request.send())
    });
    let mut answers = sent.buffer_unordered(connections);
    while let Some(answer) = answers.next().await {
        answer??.error_for_status()?;
    }
    let took = start.elapsed().as_secs_f64();
    let had = seen.events.load(Ordering::Relaxed) - before;
    Ok(had as f64 / took)
}
