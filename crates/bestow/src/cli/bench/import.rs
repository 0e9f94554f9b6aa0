//! `bestow bench import`: shuffled customers from Optimove's list to durable grants, with redemption-sized commits
//! beside it, against the bare database taking the same rows sorted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use bestow_store::Error as StoreError;
use bestow_store::audit::AuditEntry;
use hdrhistogram::Histogram;
use serde_json::json;

use super::load::now;
use super::rig::{Rig, SHARED_CODE, SandboxProcess, runtime};
use super::{Report, Shape};
use crate::actor::Actor;
use crate::app::App;
use crate::events::Event;
use crate::memory;
use crate::service::{codes, promotions};
use crate::work::{Workers, kind};

/// Rows of one transaction of the raw limit: what the bare database is fastest with.
const RAW_ROWS_PER_COMMIT: usize = 10_000;
/// The code that gives each customer one of their own.
const UNIQUE_CODE: &str = "GIFT";
/// Campaigns that take from one pool at the same time.
const CAMPAIGNS_AT_ONCE: u64 = 2;
/// A redemption-sized commit starts so often.
const COMMIT_EVERY: Duration = Duration::from_millis(2);

pub(super) fn run(shape: &Shape) -> anyhow::Result<Report> {
    let customers = shape.customers;
    let runtime = runtime(
        "service",
        std::thread::available_parallelism().map_or(2, usize::from),
    )?;
    let rig = Rig::new(shape)?;
    let raw = raw_rate(&rig, customers)?;
    let imported = runtime.block_on(import(&rig, customers, 1, SHARED_CODE))?;
    let mut report = report(customers, raw, &imported);
    let bytes = rig.app.store.size_bytes()? / customers.max(1);
    report.more.insert("bytes_per_grant".into(), json!(bytes));
    Ok(report)
}

/// The same with a unique code for each customer, beside a shared code.
pub(super) fn run_unique(shape: &Shape) -> anyhow::Result<Report> {
    let customers = shape.customers / CAMPAIGNS_AT_ONCE * CAMPAIGNS_AT_ONCE;
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let runtime = runtime("service", threads)?;
    let rig = Rig::new(shape)?;
    let raw = raw_rate(&rig, customers)?;
    let shared = import(&rig, customers, CAMPAIGNS_AT_ONCE, SHARED_CODE);
    let shared = runtime.block_on(shared)?.rate;
    let rig = Rig::new(shape)?;
    let unique = import(&rig, customers, CAMPAIGNS_AT_ONCE, UNIQUE_CODE);
    let imported = runtime.block_on(unique)?;
    check_codes(&rig, customers)?;
    let mut report = report(customers, raw, &imported);
    let more = &mut report.more;
    more.insert("campaigns_at_once".into(), json!(CAMPAIGNS_AT_ONCE));
    more.insert("shared_code".into(), json!(shared.round()));
    let factor = (shared / imported.rate * 100.0).round() / 100.0;
    more.insert("shared_by_unique".into(), json!(factor));
    Ok(report)
}

/// What an import came to.
struct Imported {
    /// Grants a second.
    rate: f64,
    /// Most memory at once while it ran, in bytes.
    peak: u64,
    /// How long the small commits beside it took, in microseconds.
    commits: Histogram<u64>,
}

fn report(customers: u64, raw: f64, imported: &Imported) -> Report {
    let Imported {
        rate,
        peak,
        commits,
    } = imported;
    let ms = |quantile| commits.value_at_quantile(quantile) as f64 / 1_000.0;
    let mut more = serde_json::Map::new();
    more.insert("customers".into(), json!(customers));
    more.insert("commits_beside".into(), json!(commits.len()));
    Report {
        bench: "import",
        unit: "grants",
        ours: *rate,
        raw,
        ratio: rate / raw,
        peak_memory_bytes: *peak,
        p50_ms: ms(0.5),
        p99_ms: ms(0.99),
        p999_ms: ms(0.999),
        max_ms: commits.max() as f64 / 1_000.0,
        invalid: 0,
        more,
    }
}

/// The bare database taking the same rows sorted by key, by as many connections as it is fastest with.
fn raw_rate(rig: &Rig, customers: u64) -> anyhow::Result<f64> {
    let mut best = 0.0_f64;
    for connections in rig.raw_connections() {
        let mut raw = rig.raw("import", *connections)?;
        let rows = (0..customers).map(|number| format!("C{number:09}"));
        let start = now();
        let inserted = raw.database.insert_grants(rows, RAW_ROWS_PER_COMMIT)?;
        ensure!(
            inserted == customers,
            "the raw run inserted {inserted} of {customers} rows"
        );
        best = best.max(customers as f64 / start.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// Imports campaigns, all at once, of so many customers together, each with this code.
async fn import(rig: &Rig, customers: u64, campaigns: u64, code: &str) -> anyhow::Result<Imported> {
    let sandbox = SandboxProcess::start().await?;
    rig.tenant(sandbox.url()).await?;
    if code == UNIQUE_CODE {
        fill_pool(rig, customers).await?;
    }
    let mut ids = Vec::new();
    for _ in 0..campaigns {
        ids.push(sandbox.campaign_giving(customers / campaigns, code).await?);
    }
    let app = Arc::clone(&rig.app);
    let mut events = app.events.subscribe();
    let stop = Arc::new(AtomicBool::new(false));
    let commits = tokio::spawn(commit_beside(Arc::clone(&app), Arc::clone(&stop)));
    memory::forget_peak().context("asking for the memory of the import alone")?;
    let start = now();
    for id in &ids {
        want(&app, id).await?;
    }
    let workers = Workers::start(&app);
    let mut ended = 0;
    while ended < campaigns {
        match events.recv().await {
            Ok(Event::ImportEnded { state, .. }) => {
                ensure!(state == "done", "the import ended as {state}");
                ended += 1;
            }
            Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let (took, peak) = (start.elapsed(), memory::peak_bytes());
    stop.store(true, Ordering::Relaxed);
    let commits = commits.await??;
    workers.stop().await;
    let granted = app.store.peek(|tx| tx.grants_total())?;
    ensure!(
        granted == customers,
        "{granted} grants for {customers} customers"
    );
    Ok(Imported {
        rate: customers as f64 / took.as_secs_f64(),
        peak,
        commits,
    })
}

/// Makes the promotion of unique codes, with one for each customer.
async fn fill_pool(rig: &Rig, customers: u64) -> anyhow::Result<()> {
    let tenant = rig.app.tenant("acme")?;
    let put = json!({"name": "Gift", "status": "active", "kind": "unique"});
    let put = serde_json::from_value(put)?;
    promotions::put(&rig.app, &Actor::cli(), &tenant, UNIQUE_CODE, put).await?;
    let wanted = codes::Generate {
        count: customers,
        key: None,
    };
    codes::generate(&rig.app, &Actor::cli(), &tenant, UNIQUE_CODE, wanted).await?;
    Ok(())
}

/// Each code was given once: the pool's figures and every grant agree.
fn check_codes(rig: &Rig, customers: u64) -> anyhow::Result<()> {
    let tenant = rig.app.tenant("acme")?;
    let pool = codes::get(&rig.app, &tenant, UNIQUE_CODE)?;
    ensure!(
        pool.assigned == customers && pool.loaded == pool.assigned + pool.free + pool.void,
        "the pool stands at {pool:?}"
    );
    let broken = rig
        .app
        .store
        .read(|tx| tx.verify_codes(tenant.no()))
        .map_err(|error: StoreError| error)?;
    ensure!(broken.is_empty(), "codes do not agree: {broken:?}");
    Ok(())
}

/// Asks for the campaign to be imported, as a notification would.
pub(super) async fn want(app: &App, campaign: &str) -> anyhow::Result<()> {
    let tenant = app.tenant("acme").context("the bench's tenant")?.no();
    let id = campaign.to_owned();
    app.store
        .tx("bench_want", move |tx| {
            let (no, _) = tx.see_campaign(tenant, &id, "scheduled", "bench")?;
            tx.want_import(tenant, no, 504)?;
            let at = tx.now_ms();
            tx.want_job(tenant, kind::IMPORT, &no.to_string(), at)
        })
        .await
        .map_err(|error: StoreError| error.into())
}

/// Small durable commits at a steady pace while the import runs; gives their waits in microseconds.
async fn commit_beside(app: Arc<App>, stop: Arc<AtomicBool>) -> Result<Histogram<u64>, StoreError> {
    let mut waits =
        Histogram::new_with_max(60_000_000, 3).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    let mut pace = tokio::time::interval(COMMIT_EVERY);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        let start = now();
        app.store
            .tx("bench_commit", |tx| {
                tx.audit(&AuditEntry {
                    tenant: 0,
                    actor: "bench",
                    action: "commit",
                    object: "beside an import",
                    detail: "{}",
                })?;
                tx.find(0, "bench", "commit", "beside an import")
            })
            .await
            .map_err(|error: StoreError| error)?;
        waits.saturating_record(start.elapsed().as_micros() as u64);
    }
    Ok(waits)
}
