//! `bestow bench eligibility`: questions about customers of a full ledger, against the lower of the bare database's
//! look-ups and a handler that does nothing in the same server, behind the same layers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use super::load::{Load, now, post};
use super::rig::{Rig, SandboxProcess, TOKEN, load_runtime};
use super::{Report, Shape, import};
use crate::events::Event;
use crate::memory;
use crate::threads;
use crate::work::Workers;

/// Connections unless told otherwise.
const CONNECTIONS: usize = 64;
/// The same where the database is a server.
const CONNECTIONS_FAR: usize = 256;
/// Look-ups of the raw limit, at most, and how many are on their way on each connection to a server.
const RAW_LOOK_UPS_MAX: u64 = 200_000;
const RAW_AT_ONCE: usize = 32;
/// Rows of one transaction that fills the bare database.
const RAW_ROWS_PER_COMMIT: usize = 10_000;

pub(super) fn run(shape: &Shape) -> anyhow::Result<Report> {
    let (server, client) = (threads::answering()?, load_runtime()?);
    let rig = Rig::new(shape)?;
    let customers = shape.customers.max(1);
    drop(server.block_on(fill(&rig, customers))?);
    let (address, stop) = server.block_on(rig.serve())?;
    let load = Load {
        address,
        connections: rig.connections(shape, CONNECTIONS, CONNECTIONS_FAR),
        span: Duration::from_secs(shape.seconds),
        status: 200,
        begins: b"",
        ends: b"",
    };
    let asked = Load {
        begins: br#"{"eligible":true"#,
        ..load
    };
    // Taken in turns, twice, so that a noisy neighbour meets both.
    let (mut ours, mut empty, mut invalid) = (Vec::new(), Vec::new(), 0);
    let mut latency = None;
    for _ in 0..2 {
        let noop = client.block_on(load.run(move |number, out| {
            post(
                out,
                "/v1/tenants/acme/noop",
                Some(TOKEN),
                &question(drawn(number, customers)),
            );
        }))?;
        let real = client.block_on(asked.run(move |number, out| {
            post(
                out,
                "/v1/tenants/acme/eligibility",
                Some(TOKEN),
                &question(drawn(number, customers)),
            );
        }))?;
        empty.push(noop.rate());
        ours.push(real.rate());
        invalid += real.invalid + noop.invalid;
        latency = Some(real);
    }
    stop.cancel();
    let mean = |rates: &[f64]| rates.iter().sum::<f64>() / rates.len() as f64;
    let (ours, empty) = (mean(&ours), mean(&empty));
    let looked_up = look_up_rate(&rig, customers)?;
    let raw = looked_up.min(empty);
    let ms = |quantile| {
        latency
            .as_ref()
            .map_or(0.0, |measured| measured.ms(quantile))
    };
    let mut more = serde_json::Map::new();
    more.insert("grants".into(), json!(customers));
    more.insert("empty_handler".into(), json!(empty.round()));
    more.insert("bare_look_ups".into(), json!(looked_up.round()));
    Ok(Report {
        bench: "eligibility",
        unit: "answers",
        ours,
        raw,
        ratio: ours / raw,
        peak_memory_bytes: memory::peak_bytes(),
        p50_ms: ms(0.5),
        p99_ms: ms(0.99),
        p999_ms: ms(0.999),
        max_ms: ms(1.0),
        invalid,
        more,
    })
}

/// The bare database looking up the same customers, by as many connections as it is fastest with.
fn look_up_rate(rig: &Rig, customers: u64) -> anyhow::Result<f64> {
    let asked: Vec<_> = (0..customers.min(RAW_LOOK_UPS_MAX))
        .map(|number| format!("C{}", drawn(number, customers)))
        .collect();
    let mut best = 0.0_f64;
    for connections in rig.raw_connections() {
        let mut raw = rig.raw(&format!("look-up-{connections}"), *connections)?;
        let rows = (1..=customers).map(|number| format!("C{number}"));
        raw.database.insert_grants(rows, RAW_ROWS_PER_COMMIT)?;
        let start = now();
        let found = raw.database.look_up(&asked, RAW_AT_ONCE)?;
        best = best.max(asked.len() as f64 / start.elapsed().as_secs_f64());
        let asked = asked.len() as u64;
        ensure!(found == asked, "{found} of {asked} customers were found");
    }
    Ok(best)
}

/// Whether a customer may use the code.
pub(super) fn question(customer: u64) -> String {
    format!(r#"{{"customer_id":"C{customer}","promo_code":"FS20"}}"#)
}

/// A customer drawn without order, so that neighbours are not asked about one after the other.
pub(super) fn drawn(number: u64, customers: u64) -> u64 {
    number.wrapping_mul(7_368_787) % customers + 1
}

/// Imports a campaign, so that the ledger is as the service itself makes it. Gives the stand-in and the campaign's id.
pub(super) async fn fill(rig: &Rig, customers: u64) -> anyhow::Result<(SandboxProcess, String)> {
    let sandbox = SandboxProcess::start().await?;
    rig.tenant(sandbox.url()).await?;
    let id = granted(rig, &sandbox, customers).await?;
    Ok((sandbox, id))
}

/// Imports a campaign of the stand-in that a tenant has already. Gives its id.
pub(super) async fn granted(
    rig: &Rig,
    sandbox: &SandboxProcess,
    customers: u64,
) -> anyhow::Result<String> {
    let id = sandbox.campaign(customers).await?;
    let mut events = rig.app.events.subscribe();
    import::want(&rig.app, &id).await?;
    let workers = Workers::start(&Arc::clone(&rig.app));
    loop {
        if let Ok(Event::ImportEnded { .. }) = events.recv().await {
            break;
        }
    }
    workers.stop().await;
    Ok(id)
}
