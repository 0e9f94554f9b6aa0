//! `bestow bench listener`: notifications acknowledged once they are durable, against the lower of the bare database
//! committing the same rows in groups and an empty POST handler in the same server.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use super::load::{Load, now, post};
use super::rig::{Rig, load_runtime};
use super::{Report, Shape};
use crate::memory;
use crate::threads;

/// Rows of one commit of the raw limit.
const RAW_ROWS_PER_COMMIT: usize = 256;
/// Connections unless told otherwise: while some wait for the disk, others are read and answered.
const CONNECTIONS: usize = 512;
/// The same where the database is a server.
const CONNECTIONS_FAR: usize = 1_024;
/// Rows of the raw limit in groups, and with one sync each.
const RAW_ROWS: u64 = 400_000;
const RAW_ROWS_ALONE: u64 = 5_000;

pub(super) fn run(shape: &Shape) -> anyhow::Result<Report> {
    let (server, client) = (threads::answering()?, load_runtime()?);
    let rig = Rig::new(shape)?;
    let grouped = raw_rate(&rig, "groups", RAW_ROWS, RAW_ROWS_PER_COMMIT)?;
    let alone = raw_rate(&rig, "alone", RAW_ROWS_ALONE, 1)?;
    // No Optimove is asked: the workers rest while acknowledgements are measured.
    server.block_on(rig.tenant("http://127.0.0.1:9"))?;
    let path = server.block_on(listener_path(&rig, 13))?;
    let (address, stop) = server.block_on(rig.serve())?;
    let load = Load {
        address,
        connections: rig.connections(shape, CONNECTIONS, CONNECTIONS_FAR),
        span: Duration::from_secs(shape.seconds),
        status: 200,
        begins: b"",
        ends: b"",
    };
    let empty = client.block_on(load.run(|number, out| post(out, "/noop", None, &body(number))))?;
    let ours =
        client.block_on(load.run(move |number, out| post(out, &path, None, &body(number))))?;
    stop.cancel();
    let (rows, arrivals) = rig.app.store.peek(|tx| tx.inbox_size())?;
    ensure!(
        arrivals >= ours.answers,
        "{} acknowledged, {arrivals} kept",
        ours.answers
    );
    let raw = grouped.min(empty.rate());
    let mut more = serde_json::Map::new();
    more.insert("database_in_groups".into(), json!(grouped.round()));
    more.insert("empty_handler".into(), json!(empty.rate().round()));
    more.insert("one_sync_each".into(), json!(alone.round()));
    more.insert("rows_kept".into(), json!(rows));
    Ok(Report {
        bench: "listener",
        unit: "acknowledgements",
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
    })
}

pub(super) fn body(number: u64) -> String {
    format!(
        r#"{{"EventTypeID":13,"TimeStamp":"2026-03-04 09:05","CampaignID":{},"ChannelID":504}}"#,
        10_000_000 + number
    )
}

/// The same rows straight into the bare database, by as many connections as it is fastest with.
fn raw_rate(rig: &Rig, name: &str, rows: u64, per_commit: usize) -> anyhow::Result<f64> {
    let random = &rig.app.random;
    let mut best = 0.0_f64;
    for connections in rig.raw_connections() {
        let mut raw = rig.raw(&format!("{name}-{connections}"), *connections)?;
        let new = (0..rows).map(|number| {
            let identity = format!("13:504:{}", 10_000_000 + number);
            (
                random.id(1_700_000_000_000 + number as i64),
                identity,
                body(number).into_bytes(),
            )
        });
        let start = now();
        raw.database.insert_notifications(new, per_commit)?;
        best = best.max(rows as f64 / start.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// Makes the address of an event known, as registering it would, without an Optimove to register it at.
pub(super) async fn listener_path(rig: &Rig, event: i64) -> anyhow::Result<String> {
    let tenant = rig.app.tenant("acme")?;
    let generation = tenant.settings.listener_generation;
    let secret = rig.app.keys.listener_secret(tenant.id(), event, generation);
    let (no, hash) = (tenant.no(), rig.app.keys.hash(&secret));
    rig.app
        .store
        .tx("bench_listener", move |tx| {
            tx.insert_listener(no, event, generation, &hash)
        })
        .await
        .map_err(|error: bestow_store::Error| error)?;
    rig.app.directory_changed()?;
    Ok(format!("/optimove/listener/{secret}"))
}
