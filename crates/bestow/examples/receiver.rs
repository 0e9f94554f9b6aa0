//! A receiver of deliveries: verifies the signature, applies each event once, answers 2xx when that is durable.
//!
//! ```text
//! BESTOW_SECRETS="whsec_…" cargo run -p bestow --example receiver -- 127.0.0.1:9090 events.log
//! ```
//!
//! Its books are a file with one line for each event that was applied. A bonus system would apply the event and keep its
//! id in one transaction of its database; everything else stays as it is here.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use optimove::sign::{Signer, StandardHeaders};
use serde::Deserialize;

/// Deliveries have up to 1,000 events of a few hundred bytes.
const BODY_BYTES_MAX: usize = 4 << 20;
/// How far the sender's clock may be from ours.
const TOLERANCE: Duration = Duration::from_mins(5);

#[derive(Deserialize)]
struct Delivery {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    tenant: String,
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    id: String,
    r#type: String,
    grant: Grant,
}

#[derive(Deserialize)]
struct Grant {
    customer_id: String,
    promo_code: String,
}

/// What was applied.
struct Books {
    applied: HashSet<String>,
    file: std::fs::File,
}

struct Receiver {
    signer: Signer,
    books: Mutex<Books>,
}

impl Books {
    fn open(path: &str) -> std::io::Result<Self> {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(path)?;
        let lines = BufReader::new(file.try_clone()?).lines();
        let ids = lines
            .map_while(Result::ok)
            .filter_map(|line| line.split(' ').next().map(str::to_owned));
        Ok(Self {
            applied: ids.collect(),
            file,
        })
    }

    /// Applies what was not applied before, and returns once that is on the disk.
    fn apply(&mut self, data: &Data) -> std::io::Result<()> {
        let mut lines = String::new();
        for event in data
            .events
            .iter()
            .filter(|event| !self.applied.contains(&event.id))
        {
            let Grant {
                customer_id,
                promo_code,
            } = &event.grant;
            let Event {
                id, r#type: kind, ..
            } = event;
            let line = format!("{id} {kind} {} {customer_id} {promo_code}\n", data.tenant);
            lines.push_str(&line);
        }
        self.file.write_all(lines.as_bytes())?;
        self.file.sync_data()?;
        self.applied
            .extend(data.events.iter().map(|event| event.id.clone()));
        Ok(())
    }
}

async fn take(
    State(receiver): State<Arc<Receiver>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let signed = StandardHeaders {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    if receiver
        .signer
        .verify_standard(signed, &body, now_second(), TOLERANCE)
        .is_err()
    {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(delivery) = serde_json::from_slice::<Delivery>(&body) else {
        return StatusCode::UNPROCESSABLE_ENTITY;
    };
    let mut books = receiver
        .books
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    match books.apply(&delivery.data) {
        Ok(()) => StatusCode::NO_CONTENT,
        // It comes again, with the same keys.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a program of its own has a clock of its own"
)]
fn now_second() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next().unwrap_or_else(|| "127.0.0.1:9090".into());
    let path = arguments.next().unwrap_or_else(|| "events.log".into());
    let secrets = std::env::var("BESTOW_SECRETS")
        .context("set BESTOW_SECRETS to the destination's secrets")?;
    let receiver = Receiver {
        // Several while they are being changed.
        signer: Signer::from_standard(secrets.split_whitespace())?,
        books: Mutex::new(Books::open(&path)?),
    };
    let app = Router::new()
        .route("/", post(take))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::new(receiver));
    let listener = tokio::net::TcpListener::bind(&listen).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
