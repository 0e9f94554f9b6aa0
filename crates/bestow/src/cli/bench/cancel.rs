//! `bestow bench cancel`: a campaign is cancelled while questions about its customers keep coming, on a schedule that
//! waits for no answer. How long after the acknowledgement of event 4 does the last yes arrive?

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bestow_store::Error as StoreError;
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::listener::listener_path;
use super::load::{ANSWER_BYTES_MAX, LATENCY_US_MAX, head, now, post};
use super::rig::{Rig, SandboxProcess, TOKEN, load_runtime};
use super::{Report, Shape, eligibility};
use crate::memory;
use crate::threads;
use crate::work::Workers;

/// Connections unless told otherwise.
const CONNECTIONS: usize = 16;
/// Questions a second, over all connections.
const QUESTIONS_PER_SECOND: u32 = 4_000;
/// No yes may arrive later than this after the acknowledgement.
const LAST_YES: Duration = Duration::from_secs(1);
/// How long the cross-check with Optimove's list is waited for.
const SETTLED_WITHIN: Duration = Duration::from_mins(5);
/// How often it is looked whether that is over.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) fn run(shape: &Shape) -> anyhow::Result<Report> {
    let (server, client) = (threads::answering()?, load_runtime()?);
    let background = threads::working()?;
    let rig = Rig::new(shape)?;
    let customers = shape.customers.max(1);
    let (sandbox, campaign) = server.block_on(eligibility::fill(&rig, customers))?;
    let (address, stop) = server.block_on(rig.serve())?;
    let workers = background.block_on(async { Workers::start(&rig.app) });
    let plan = Plan {
        address,
        connections: shape.connections.unwrap_or(CONNECTIONS).max(1),
        span: Duration::from_secs(shape.seconds.max(2)),
        customers,
        acknowledged: Arc::default(),
    };
    // The same questions before anything is cancelled.
    let before = client.block_on(plan.ask())?;
    ensure!(before.no == 0, "{} customers may not redeem", before.no);
    let (asked, settled) = client.block_on(cancel(&rig, &plan, &sandbox, &campaign))?;
    stop.cancel();
    background.block_on(workers.stop());
    let last_yes = asked
        .last_yes
        .context("nobody was told yes before the cancel")?;
    let acknowledged = *plan
        .acknowledged
        .get()
        .context("event 4 was not acknowledged")?;
    let ms = |quantile| asked.latency.value_at_quantile(quantile) as f64 / 1_000.0;
    let after = last_yes
        .saturating_duration_since(acknowledged)
        .as_secs_f64()
        * 1_000.0;
    let more = [
        ("customers", json!(customers)),
        ("last_yes_after_ack_ms", json!(after)),
        ("yes_after_1_s", json!(asked.late_yes)),
        ("no", json!(asked.no)),
        (
            "settled_after_ack_ms",
            json!(settled.as_secs_f64() * 1_000.0),
        ),
    ];
    let (ours, raw) = (asked.rate(plan.span), before.rate(plan.span));
    Ok(Report {
        bench: "cancel",
        unit: "answers",
        ours,
        raw,
        ratio: ours / raw,
        peak_memory_bytes: memory::peak_bytes(),
        p50_ms: ms(0.5),
        p99_ms: ms(0.99),
        p999_ms: ms(0.999),
        max_ms: asked.latency.max() as f64 / 1_000.0,
        invalid: asked.invalid + asked.late_yes,
        more: more
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect(),
    })
}

/// Asks, and cancels after a third of the time. Gives what was answered, and how long after the acknowledgement
/// Optimove's list was compared.
async fn cancel(
    rig: &Rig,
    plan: &Plan,
    sandbox: &SandboxProcess,
    campaign: &str,
) -> anyhow::Result<(Tally, Duration)> {
    let asking = tokio::spawn(plan.clone().ask_on());
    tokio::time::sleep(plan.span / 3).await;
    sandbox.cancel(campaign).await?;
    let path = listener_path(rig, 4).await?;
    let mut request = Vec::new();
    let body = format!(r#"{{"EventTypeID":4,"CampaignID":{campaign}}}"#);
    post(&mut request, &path, None, &body);
    let answer = Line::connect(plan.address).await?.ask(&request).await?;
    let acknowledged = now();
    ensure!(
        answer.status == 200,
        "event 4 was answered {}",
        answer.status
    );
    // Set once, here.
    let _ = plan.acknowledged.set(acknowledged);
    let tenant = rig.app.tenant("acme")?.no();
    while !is_settled(rig, tenant, campaign)? {
        ensure!(
            acknowledged.elapsed() < SETTLED_WITHIN,
            "the cancel is not settled"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let settled = acknowledged.elapsed();
    Ok((asking.await??, settled))
}

fn is_settled(rig: &Rig, tenant: i64, campaign: &str) -> Result<bool, StoreError> {
    rig.app.store.read(|tx| {
        let Some(found) = tx.campaign(tenant, campaign)? else {
            return Ok(false);
        };
        let notice = tx.cancellation(tenant, found.no)?;
        Ok(notice.is_some_and(|notice| notice.settled_at.is_some()))
    })
}

/// Questions on a schedule.
#[derive(Clone)]
struct Plan {
    address: SocketAddr,
    connections: usize,
    span: Duration,
    customers: u64,
    /// When event 4 was acknowledged.
    acknowledged: Arc<OnceLock<Instant>>,
}

/// What was answered.
struct Tally {
    yes: u64,
    no: u64,
    /// Answers that are neither.
    invalid: u64,
    /// A yes that arrived too late after the acknowledgement.
    late_yes: u64,
    last_yes: Option<Instant>,
    /// From when a question was due, in microseconds.
    latency: Histogram<u64>,
}

impl Tally {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            yes: 0,
            no: 0,
            invalid: 0,
            late_yes: 0,
            last_yes: None,
            latency: Histogram::new_with_max(LATENCY_US_MAX, 3)?,
        })
    }

    fn rate(&self, span: Duration) -> f64 {
        (self.yes + self.no) as f64 / span.as_secs_f64()
    }

    fn note(&mut self, answer: &Answered, at: Instant, acknowledged: Option<&Instant>) {
        if answer.status == 200 && answer.body.starts_with(br#"{"eligible":true"#) {
            self.yes += 1;
            self.last_yes = self.last_yes.max(Some(at));
            let is_late = acknowledged.is_some_and(|ack| at > *ack + LAST_YES);
            self.late_yes += u64::from(is_late);
        } else if answer.status == 200 && answer.body.starts_with(br#"{"eligible":false"#) {
            self.no += 1;
        } else {
            self.invalid += 1;
        }
    }

    fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.yes += other.yes;
        self.no += other.no;
        self.invalid += other.invalid;
        self.late_yes += other.late_yes;
        self.last_yes = self.last_yes.max(other.last_yes);
        self.latency.add(&other.latency)?;
        Ok(())
    }
}

impl Plan {
    async fn ask(&self) -> anyhow::Result<Tally> {
        self.clone().ask_on().await
    }

    /// Asks on all connections for the whole span.
    async fn ask_on(self) -> anyhow::Result<Tally> {
        let start = now();
        let tasks: Vec<_> = (0..self.connections)
            .map(|place| tokio::spawn(self.clone().connection(place, start)))
            .collect();
        let mut all = Tally::new()?;
        for task in tasks {
            all.add(&task.await??)?;
        }
        Ok(all)
    }

    /// Each question has its time, whether the one before is answered or not: who waits for a slow answer asks the next
    /// ones late, and their latency says so.
    async fn connection(self, place: usize, start: Instant) -> anyhow::Result<Tally> {
        let mut client = Line::connect(self.address).await?;
        let every = Duration::from_secs(1) * self.connections as u32 / QUESTIONS_PER_SECOND;
        let (mut tally, mut request) = (Tally::new()?, Vec::new());
        for turn in 0u32.. {
            let due = every * turn;
            if due >= self.span {
                break;
            }
            tokio::time::sleep_until((start + due).into()).await;
            let number = u64::from(turn) * self.connections as u64 + place as u64;
            request.clear();
            let question = eligibility::question(eligibility::drawn(number, self.customers));
            post(
                &mut request,
                "/v1/tenants/acme/eligibility",
                Some(TOKEN),
                &question,
            );
            let answer = client.ask(&request).await?;
            let at = now();
            let waited = at.saturating_duration_since(start + due);
            tally.latency.saturating_record(waited.as_micros() as u64);
            tally.note(&answer, at, self.acknowledged.get());
        }
        Ok(tally)
    }
}

/// A connection with one question on its way at a time.
struct Line {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer.
struct Answered {
    status: u16,
    body: Vec<u8>,
}

impl Line {
    async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("connecting")?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answered> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if let Some((status, body, end)) = head(&self.buffer)
                && self.buffer.len() >= end
            {
                let body = self.buffer[body..end].to_vec();
                return Ok(Answered { status, body });
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
            ensure!(
                self.buffer.len() <= ANSWER_BYTES_MAX,
                "an answer is larger than {ANSWER_BYTES_MAX} bytes"
            );
        }
    }
}
