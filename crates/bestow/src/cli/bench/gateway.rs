//! `bestow bench gateway`: questions about customers of a full ledger, each of which needs a durable yes, while an import
//! runs. A closed loop finds what the machine can do beside the import; then questions come at half of that, whatever the
//! answers take. Before that, without an import: against the lower of the bare database reserving in groups and a handler
//! that does nothing in the same server. Then the store stands still: every answer has
//! to be a valid no.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, ensure};
use bestow_store::Error as StoreError;
use serde_json::json;

use super::eligibility::drawn;
use super::load::{Load, Measured, now, post};
use super::rig::{Rig, SandboxProcess, load_runtime};
use super::{Report, Shape, import};
use crate::app::App;
use crate::events::Event;
use crate::memory;
use crate::service::gateway::EVENT;
use crate::service::listeners::GATEWAY_PATH;
use crate::threads;
use crate::work::Workers;

/// Connections unless told otherwise: enough that a wait for the disk does not hold back the next question.
const CONNECTIONS: usize = 256;
/// How long capacity is looked for.
const PROBE: Duration = Duration::from_secs(2);
/// How long the store stands still.
const STANDSTILL: Duration = Duration::from_secs(1);
/// Customers of the campaign that is imported meanwhile.
const IMPORTED: u64 = 5_000_000;
/// Reservations of the raw limit, and how many share a commit.
const RAW_RESERVATIONS: u64 = 200_000;
const RAW_ROWS_PER_COMMIT: usize = 256;
/// What a yes and a no begin with, behind the user's id.
const YES: &[u8] = br#","allowed":true}"#;
const NO: &[u8] = br#","allowed":false}"#;

pub(super) fn run(shape: &Shape) -> anyhow::Result<Report> {
    let (server, client) = (threads::answering()?, load_runtime()?);
    let background = threads::working()?;
    let rig = Rig::new(shape)?;
    let customers = shape.customers.max(1);
    let sandbox = server.block_on(SandboxProcess::start())?;
    server.block_on(rig.tenant(sandbox.url()))?;
    background.block_on(import_whole(&rig.app, &sandbox, customers))?;
    let path = server.block_on(open(&rig.app))?;
    let (address, stop) = server.block_on(rig.serve())?;
    let span = Duration::from_secs(shape.seconds);
    let load = |span, ends| Load {
        address,
        connections: shape.connections.unwrap_or(CONNECTIONS),
        span,
        status: 200,
        begins: b"",
        ends,
    };
    let ask = |from: u64| {
        let path = path.clone();
        move |number: u64, out: &mut Vec<u8>| {
            post(out, &path, None, &question(from + number, customers));
        }
    };
    let empty = client.block_on(load(PROBE, b"").run(|number, out| {
        post(out, "/noop", None, &question(number, 1_000_000));
    }))?;
    let alone = client.block_on(load(PROBE, YES).run(ask(0)))?;
    let asked = alone.answers + alone.invalid;
    let campaign = server.block_on(sandbox.campaign(IMPORTED))?;
    server.block_on(import::want(&rig.app, &campaign))?;
    let workers = background.block_on(async { Workers::start(&rig.app) });
    // Everybody is asked about once: a repeated question is answered without a commit.
    let most = client.block_on(load(PROBE, b"").run(ask(asked)))?;
    let asked = asked + most.answers + most.invalid;
    let rate = most.rate() / 2.0;
    let ours = client.block_on(load(span, YES).run_at(rate, ask(asked)))?;
    let still_importing = rig.app.store.peek(|tx| tx.jobs())?;
    let is_busy = still_importing.iter().any(|job| job.kind == "import");
    background.block_on(workers.stop());
    let asked = asked + ours.answers + ours.invalid;
    let stopped = stand_still(&rig.app, &server)?;
    let dead = client.block_on(load(STANDSTILL, NO).run(ask(asked)))?;
    drop(stopped);
    stop.cancel();
    ensure!(
        dead.invalid == 0 && ours.invalid == 0,
        "{} and {} answers were none",
        ours.invalid,
        dead.invalid
    );
    let reserved = reserve_rate(&rig)?;
    Ok(report(&Runs {
        empty,
        reserved,
        alone,
        most,
        ours,
        dead,
        rate,
        is_busy,
        customers,
    }))
}

/// Everything that was measured.
struct Runs {
    empty: Measured,
    /// Bare reservations a second.
    reserved: f64,
    /// As many as go without an import beside.
    alone: Measured,
    most: Measured,
    ours: Measured,
    dead: Measured,
    rate: f64,
    is_busy: bool,
    customers: u64,
}

fn report(runs: &Runs) -> Report {
    let Runs {
        empty,
        alone,
        ours,
        dead,
        ..
    } = runs;
    let raw = runs.reserved.min(empty.rate());
    let mut more = serde_json::Map::new();
    more.insert("customers".into(), json!(runs.customers));
    more.insert("asked_per_second".into(), json!(runs.rate.round()));
    more.insert("beside_an_import".into(), json!(runs.most.rate().round()));
    more.insert("database_in_groups".into(), json!(runs.reserved.round()));
    more.insert("empty_handler".into(), json!(empty.rate().round()));
    more.insert("import_lasted".into(), json!(runs.is_busy));
    more.insert("stopped_answers".into(), json!(dead.answers));
    more.insert("stopped_invalid".into(), json!(dead.invalid));
    more.insert("stopped_p99_ms".into(), json!(dead.ms(0.99)));
    more.insert("stopped_max_ms".into(), json!(dead.ms(1.0)));
    Report {
        bench: "gateway",
        unit: "answers",
        ours: alone.rate(),
        raw,
        ratio: alone.rate() / raw,
        peak_memory_bytes: memory::peak_bytes(),
        p50_ms: ours.ms(0.5),
        p99_ms: ours.ms(0.99),
        p999_ms: ours.ms(0.999),
        max_ms: ours.ms(1.0),
        invalid: ours.invalid + dead.invalid,
        more,
    }
}

/// The bare database taking the same reservations, by as many connections as it is fastest with.
fn reserve_rate(rig: &Rig) -> anyhow::Result<f64> {
    let mut best = 0.0_f64;
    for connections in rig.raw_connections() {
        let mut raw = rig.raw(&format!("reserve-{connections}"), *connections)?;
        let customers: Vec<_> = (0..RAW_RESERVATIONS)
            .map(|number| format!("C{}", drawn(number, RAW_RESERVATIONS)))
            .collect();
        let start = now();
        let reserved = raw
            .database
            .insert_reservations(customers.into_iter(), RAW_ROWS_PER_COMMIT)?;
        best = best.max(reserved as f64 / start.elapsed().as_secs_f64());
        ensure!(
            reserved == RAW_RESERVATIONS,
            "the raw run reserved {reserved} times"
        );
    }
    Ok(best)
}

/// Customers far apart, so that neighbours are not asked about one after the other; each once.
fn question(number: u64, customers: u64) -> String {
    let customer = drawn(number, customers);
    let round = number / customers;
    format!(
        r#"{{"user":{{"user_id":"C{customer}","is_visitor":false}},"campaign":{{"id":"rt-{round}","series_id":812,"notes":"{{\"duration\":7}}","tags":[],"action":{{"id":24,"name":"Reload","promo_codes":["CB10"],"channels":[]}}}}}}"#
    )
}

/// Imports a campaign, so that the ledger is as the service itself makes it.
pub(super) async fn import_whole(
    app: &Arc<App>,
    sandbox: &SandboxProcess,
    customers: u64,
) -> anyhow::Result<()> {
    let id = sandbox.campaign(customers).await?;
    import_of(app, &id).await
}

/// Imports a campaign to its end.
pub(super) async fn import_of(app: &Arc<App>, id: &str) -> anyhow::Result<()> {
    let mut events = app.events.subscribe();
    import::want(app, id).await?;
    let workers = Workers::start(app);
    loop {
        if let Ok(Event::ImportEnded { .. }) = events.recv().await {
            break;
        }
    }
    workers.stop().await;
    Ok(())
}

/// Makes the gateway's address known, as registering it would.
async fn open(app: &App) -> anyhow::Result<String> {
    let tenant = app.tenant("acme").context("the bench's tenant")?;
    let (no, generation) = (tenant.no(), tenant.settings.listener_generation);
    let secret = app.keys.listener_secret(tenant.id(), EVENT, generation);
    let hash = app.keys.hash(&secret);
    app.tx("bench_gateway", move |tx| {
        tx.insert_listener(no, EVENT, generation, &hash)
    })
    .await?;
    app.directory_changed()?;
    Ok(format!("{GATEWAY_PATH}{secret}"))
}

/// Keeps the store's one writer until what it gives is dropped, as a disk that hangs would.
fn stand_still(
    app: &Arc<App>,
    server: &tokio::runtime::Runtime,
) -> anyhow::Result<mpsc::Sender<()>> {
    let (let_go, is_let_go) = mpsc::channel::<()>();
    let (holds, is_held) = mpsc::channel();
    let held = std::sync::Mutex::new(Some((holds, is_let_go)));
    let store = app.store.clone();
    server.spawn(async move {
        let hung = store.tx("bench_standstill", move |tx| {
            // A statement, so that a server's turn is taken too.
            tx.jobs()?;
            let held = held.lock().ok().and_then(|mut held| held.take());
            if let Some((holds, is_let_go)) = held {
                // Both ends tell by going away.
                let _ = holds.send(());
                let _ = is_let_go.recv();
            }
            Ok::<_, StoreError>(())
        });
        if let Err(error) = hung.await {
            tracing::error!(error.message = %error, "the store did not stand still");
        }
    });
    is_held.recv().context("the store stands still")?;
    Ok(let_go)
}
