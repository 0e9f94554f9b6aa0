//! `bestow bench redeem`: redemptions of customers of a full ledger, each with its key, against the lower of the bare
//! database doing the same durable work in groups and a POST handler that does nothing, behind the same layers of the
//! same server.

use std::time::Duration;

use anyhow::ensure;
use bestow_store::raw::RawRedemption;
use serde_json::json;

use super::eligibility::{drawn, fill};
use super::load::{Load, Measured, now, post_with};
use super::rig::{Rig, TOKEN, load_runtime};
use super::{Report, Shape};
use crate::{memory, threads};

/// Connections unless told otherwise: while some wait for the disk, others are read and answered.
const CONNECTIONS: usize = 512;
/// Redemptions of one commit of the raw limit.
const RAW_PER_COMMIT: usize = 256;
/// Redemptions of the raw limit, at most.
const RAW_MAX: u64 = 200_000;
/// Rows of one transaction that fills the bare database.
const RAW_ROWS_PER_COMMIT: usize = 10_000;
/// Bytes of an answer of ours.
const ANSWER_BYTES: usize = 420;

pub(super) fn run(shape: &Shape) -> anyhow::Result<Report> {
    let (server, client) = (threads::answering()?, load_runtime()?);
    let rig = Rig::new(shape)?;
    let customers = shape.customers.max(1);
    drop(server.block_on(fill(&rig, customers))?);
    let (address, stop) = server.block_on(rig.serve())?;
    let load = Load {
        address,
        connections: shape.connections.unwrap_or(CONNECTIONS),
        span: Duration::from_secs(shape.seconds),
        status: 200,
        begins: b"",
        ends: b"",
    };
    let noop = "/v1/tenants/acme/noop";
    let empty = client.block_on(load.run(move |number, out| ask(out, noop, number, customers)))?;
    let redeeming = Load {
        status: 201,
        begins: br#"{"id":"rdm_"#,
        ..load
    };
    let path = "/v1/tenants/acme/redemptions";
    let ours =
        client.block_on(redeeming.run(move |number, out| ask(out, path, number, customers)))?;
    stop.cancel();
    let asked = ours.answers + ours.invalid;
    ensure!(
        asked <= customers,
        "{asked} were asked for and only {customers} hold a grant: use more --customers"
    );
    let kept = rig
        .app
        .store
        .peek(|tx| tx.promotion_use(1, "fs20", ""))
        .map_err(|error: bestow_store::Error| error)?;
    ensure!(
        kept.used >= ours.answers,
        "{} answered, {} kept",
        ours.answers,
        kept.used
    );
    let bare = raw_rate(&rig, customers.min(RAW_MAX))?;
    Ok(report(&ours, empty.rate(), bare, customers))
}

fn report(ours: &Measured, empty: f64, bare: f64, customers: u64) -> Report {
    let raw = bare.min(empty);
    let mut more = serde_json::Map::new();
    more.insert("grants".into(), json!(customers));
    more.insert("database_in_groups".into(), json!(bare.round()));
    more.insert("empty_handler".into(), json!(empty.round()));
    Report {
        bench: "redeem",
        unit: "redemptions",
        ours: ours.rate(),
        raw,
        ratio: ours.rate() / raw,
        peak_memory_bytes: memory::peak_bytes(),
        p50_ms: ours.ms(0.5),
        p99_ms: ours.ms(0.99),
        p999_ms: ours.ms(0.999),
        max_ms: ours.ms(1.0),
        invalid: ours.invalid,
        more,
    }
}

/// Each customer once, without order.
fn ask(out: &mut Vec<u8>, path: &str, number: u64, customers: u64) {
    let customer = drawn(number, customers);
    let body = format!(r#"{{"customer_id":"C{customer}","promo_code":"FS20"}}"#);
    let key = format!("Idempotency-Key: bench-{customer}\r\n");
    post_with(out, path, Some(TOKEN), &key, &body);
}

/// The same redemptions straight into the bare database, which holds as many grants.
fn raw_rate(rig: &Rig, customers: u64) -> anyhow::Result<f64> {
    let random = &rig.app.random;
    let mut raw = rig.raw("redeem", 1)?;
    let rows = (1..=customers).map(|number| format!("C{number}"));
    raw.database.insert_grants(rows, RAW_ROWS_PER_COMMIT)?;
    let asked: Vec<_> = (0..customers)
        .map(|number| {
            let customer = drawn(number, customers);
            RawRedemption {
                id: random.id(1_700_000_000_000 + number as i64),
                key: format!("bench-{customer}"),
                customer: format!("C{customer}"),
                answer: vec![b' '; ANSWER_BYTES],
            }
        })
        .collect();
    let start = now();
    let redeemed = raw.database.redeem(&asked, RAW_PER_COMMIT)?;
    let rate = asked.len() as f64 / start.elapsed().as_secs_f64();
    ensure!(
        redeemed == customers,
        "{redeemed} of {customers} were redeemed"
    );
    Ok(rate)
}
