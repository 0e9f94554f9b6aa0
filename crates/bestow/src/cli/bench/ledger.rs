//! `bestow bench ledger`: questions one after the other over a full ledger, against the same in one that is a tenth as full;
//! beside them the look-up of rows alone, and how long it takes to verify all of it.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use anyhow::ensure;
use hdrhistogram::Histogram;
use serde_json::json;

use super::eligibility::{drawn, fill, question};
use super::gateway::import_whole;
use super::load::{LATENCY_US_MAX, Load, Measured, now, post};
use super::rig::{Rig, TOKEN, load_runtime, runtime};
use super::{Report, Shape};
use crate::memory;
use crate::service::verify;

/// Look-ups of each measurement, and those before it that only warm up.
const LOOK_UPS: u64 = 50_000;
const WARM_UP: u64 = 10_000;
/// Of so many parts of the ledger the first is measured alone.
const PARTS: u64 = 10;

pub(super) fn run(shape: &Shape) -> anyhow::Result<Report> {
    let (server, client) = (runtime("service", 2)?, load_runtime()?);
    let rig = Rig::new(shape)?;
    let part = (shape.customers / PARTS).max(1);
    let rest = part * (PARTS - 1);
    let (address, stop) = server.block_on(rig.serve())?;
    let span = Duration::from_secs(shape.seconds);
    let look_ups = |customers: Range<u64>| {
        let answers = client.block_on(ask(address, span, customers.clone()))?;
        let rows = server.block_on(look_up(&rig, customers, 1))?;
        anyhow::Ok((answers, rows))
    };
    let (sandbox, _) = server.block_on(fill(&rig, part))?;
    let (small, small_rows) = look_ups(0..part)?;
    server.block_on(import_whole(&rig.app, &sandbox, rest))?;
    drop(sandbox);
    // Those whom only the second campaign reached have one grant each, as all had before.
    let (large, large_rows) = look_ups(part..rest)?;
    stop.cancel();
    let started = now();
    let findings = verify::run(&rig.app)?;
    let verified = started.elapsed();
    ensure!(findings.is_empty(), "the ledger is not right: {findings:?}");
    let mut more = serde_json::Map::new();
    more.insert("grants".into(), json!(part + rest));
    let mut tell = |name: &str, figure: f64| more.insert(name.to_owned(), json!(figure));
    tell("p50_us", 1_000.0 * large.ms(0.5));
    tell("a_tenth_p50_us", 1_000.0 * small.ms(0.5));
    tell("a_tenth_p99_us", 1_000.0 * small.ms(0.99));
    tell("rows_p50_us", 1_000.0 * ms_of(&large_rows, 0.5));
    tell("rows_a_tenth_p50_us", 1_000.0 * ms_of(&small_rows, 0.5));
    tell("verify_seconds", verified.as_secs_f64());
    // By the median: whoever else uses the machine moves the rest.
    let (ours, raw) = (1_000.0 / large.ms(0.5), 1_000.0 / small.ms(0.5));
    Ok(Report {
        bench: "ledger",
        unit: "look-ups",
        ours,
        raw,
        ratio: ours / raw,
        peak_memory_bytes: memory::peak_bytes(),
        p50_ms: large.ms(0.5),
        p99_ms: large.ms(0.99),
        p999_ms: large.ms(0.999),
        max_ms: large.ms(1.0),
        invalid: small.invalid + large.invalid,
        more,
    })
}

/// Asks about customers over one connection, drawn without order from these, as a shop would.
async fn ask(
    address: SocketAddr,
    span: Duration,
    customers: Range<u64>,
) -> anyhow::Result<Measured> {
    let load = Load {
        address,
        connections: 1,
        span,
        status: 200,
        begins: br#"{"eligible":true"#,
        ends: b"",
    };
    let (first, count) = (customers.start, customers.end - customers.start);
    load.run(move |number, out| {
        let question = question(first + drawn(number, count));
        post(out, "/v1/tenants/acme/eligibility", Some(TOKEN), &question);
    })
    .await
}

/// Of nanoseconds.
fn ms_of(latency: &Histogram<u64>, quantile: f64) -> f64 {
    latency.value_at_quantile(quantile) as f64 / 1_000_000.0
}

/// Looks customers up one by one, drawn without order from these, each of whom has so many grants. What each took, in
/// nanoseconds.
pub(super) async fn look_up(
    rig: &Rig,
    customers: Range<u64>,
    grants: usize,
) -> anyhow::Result<Histogram<u64>> {
    let (store, tenant) = (&rig.app.store, rig.app.tenant("acme")?.no());
    let mut latency = Histogram::new_with_max(LATENCY_US_MAX * 1_000, 3)?;
    for number in 0..WARM_UP + LOOK_UPS {
        let customer = customers.start + drawn(number, customers.end - customers.start);
        let customer = format!("C{customer}");
        let asked = now();
        let rows = store.ledger_rows(tenant, &customer).await?;
        ensure!(rows.len() == grants, "{customer} has {} grants", rows.len());
        if number >= WARM_UP {
            latency.saturating_record(asked.elapsed().as_nanos() as u64);
        }
    }
    Ok(latency)
}
