//! `bestow bench ledger`: look-ups one after the other in a full ledger, against the same in one that is a tenth as full, and
//! how long it takes to verify all of it.

use std::ops::Range;

use anyhow::ensure;
use hdrhistogram::Histogram;
use serde_json::json;

use super::eligibility::{drawn, fill};
use super::gateway::import_whole;
use super::load::{LATENCY_US_MAX, now};
use super::rig::{Rig, runtime};
use super::{Report, Shape};
use crate::memory;
use crate::service::verify;

/// Look-ups of each measurement, and those before it that only warm up.
const LOOK_UPS: u64 = 50_000;
const WARM_UP: u64 = 10_000;
/// Of so many parts of the ledger the first is measured alone.
const PARTS: u64 = 10;

pub(super) fn run(shape: &Shape) -> anyhow::Result<Report> {
    let runtime = runtime("service", 2)?;
    let rig = Rig::new(shape)?;
    let part = (shape.customers / PARTS).max(1);
    let rest = part * (PARTS - 1);
    let (sandbox, _) = runtime.block_on(fill(&rig, part))?;
    let small = runtime.block_on(look_up(&rig, 0..part, 1))?;
    runtime.block_on(import_whole(&rig.app, &sandbox, rest))?;
    drop(sandbox);
    // Those whom only the second campaign reached have one grant each, as all had before.
    let large = runtime.block_on(look_up(&rig, part..rest, 1))?;
    let started = now();
    let findings = verify::run(&rig.app)?;
    let verified = started.elapsed();
    ensure!(findings.is_empty(), "the ledger is not right: {findings:?}");
    let ms = |quantile| ms_of(&large, quantile);
    let mut more = serde_json::Map::new();
    more.insert("grants".into(), json!(part + rest));
    more.insert("p50_us".into(), json!(1_000.0 * ms(0.5)));
    more.insert("a_tenth_p50_us".into(), json!(1_000.0 * ms_of(&small, 0.5)));
    more.insert(
        "a_tenth_p99_us".into(),
        json!(1_000.0 * ms_of(&small, 0.99)),
    );
    more.insert("verify_seconds".into(), json!(verified.as_secs_f64()));
    // By the median: whoever else uses the machine moves the rest.
    let (ours, raw) = (1_000.0 / ms(0.5), 1_000.0 / ms_of(&small, 0.5));
    Ok(Report {
        bench: "ledger",
        unit: "look-ups",
        ours,
        raw,
        ratio: ours / raw,
        peak_memory_bytes: memory::peak_bytes(),
        p50_ms: ms(0.5),
        p99_ms: ms(0.99),
        p999_ms: ms(0.999),
        max_ms: ms(1.0),
        invalid: 0,
        more,
    })
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
