//! `bestow bench`: measures one path and, in the same run, the raw limit under it.
//!
//! The raw limit is the lower of what the bare database takes for the same durable work and what an empty handler in
//! the same server answers. Figures are rates and ratios of one run on one machine; only the ratio travels.

mod cancel;
mod delivery;
mod eligibility;
mod gateway;
mod import;
mod ledger;
mod listener;
mod load;
mod nodes;
mod redeem;
mod retention;
mod rig;

pub(crate) use load::now;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::line;

/// What is measured.
#[derive(Debug, Clone, Subcommand)]
pub enum Bench {
    /// Customers of one campaign, in shuffled order, from Optimove's list to durable grants.
    Import(ImportShape),
    /// Notifications acknowledged once they are durable.
    Listener(Shape),
    /// Questions whether a customer may redeem a code now.
    Eligibility(Shape),
    /// Look-ups in a ledger of all customers, beside one of a tenth of them; and how long it takes to verify all.
    Ledger(Shape),
    /// Imports and notifications of two processes on one server, beside those of one. Each has a processor of its own.
    Nodes(Shape),
    /// Questions to the gateway at half of the machine's capacity, while an import runs.
    Gateway(Shape),
    /// Redemptions, each durable and with its key.
    Redeem(Shape),
    /// Redemptions while ended campaigns leave the ledger, and look-ups with history and without.
    Retention(Shape),
    /// How long after a cancel is acknowledged anybody is still told yes.
    Cancel(Shape),
    /// Grants told to a receiver on this machine, beside what it takes of batches that are ready.
    Delivery(Shape),
}

/// How large and how long.
#[derive(Debug, Clone, Args)]
pub struct Shape {
    /// Customers of the campaign (import, eligibility, ledger, redeem, retention, cancel, delivery).
    #[arg(long, default_value_t = 1_000_000)]
    pub customers: u64,
    /// Connections of the load (listener, eligibility, redeem, cancel), or deliveries at once (delivery).
    #[arg(long)]
    pub connections: Option<usize>,
    /// Seconds of each measurement (listener, eligibility, redeem, retention, cancel).
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
    /// Measure on this PostgreSQL server instead of SQLite, in databases of their own.
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// Print one JSON object as the last line.
    #[arg(long)]
    pub json: bool,
}

/// As [`Shape`], and what the campaign gives.
#[derive(Debug, Clone, Args)]
pub struct ImportShape {
    #[command(flatten)]
    shape: Shape,
    /// Give each customer a unique code, two campaigns at once out of one pool, and tell what that costs beside the
    /// same campaigns with a shared code.
    #[arg(long)]
    unique: bool,
}

/// One measurement beside its limit.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What was measured.
    pub bench: &'static str,
    /// What is counted per second.
    pub unit: &'static str,
    /// Ours, per second.
    pub ours: f64,
    /// The raw limit of the same run, per second.
    pub raw: f64,
    /// Ours by raw.
    pub ratio: f64,
    /// Most memory that the service's process ever had, in bytes.
    pub peak_memory_bytes: u64,
    /// Median latency.
    pub p50_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// 99.9th percentile.
    pub p999_ms: f64,
    /// Longest.
    pub max_ms: f64,
    /// Answers that were not what they should be.
    pub invalid: u64,
    /// Further figures of this bench, by name.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

/// Runs a bench and prints its report.
///
/// # Errors
/// Where something cannot be started, or an answer is not what it should be.
pub fn run(bench: &Bench) -> anyhow::Result<()> {
    let (report, json) = match bench {
        Bench::Import(ImportShape { shape, unique }) => {
            let run = if *unique {
                import::run_unique
            } else {
                import::run
            };
            (run(shape)?, shape.json)
        }
        Bench::Listener(shape) => (listener::run(shape)?, shape.json),
        Bench::Eligibility(shape) => (eligibility::run(shape)?, shape.json),
        Bench::Ledger(shape) => (ledger::run(shape)?, shape.json),
        Bench::Nodes(shape) => (nodes::run(shape)?, shape.json),
        Bench::Gateway(shape) => (gateway::run(shape)?, shape.json),
        Bench::Redeem(shape) => (redeem::run(shape)?, shape.json),
        Bench::Retention(shape) => (retention::run(shape)?, shape.json),
        Bench::Cancel(shape) => (cancel::run(shape)?, shape.json),
        Bench::Delivery(shape) => (delivery::run(shape)?, shape.json),
    };
    print(&report, json)
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    let Report {
        bench,
        unit,
        ours,
        raw,
        ratio,
        ..
    } = report;
    line(&format!(
        "{bench}: {ours:.0} {unit}/s, raw limit {raw:.0}, ratio {:.0} %",
        ratio * 100.0
    ));
    line(&format!(
        "latency: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, max {:.2} ms; invalid answers {}",
        report.p50_ms, report.p99_ms, report.p999_ms, report.max_ms, report.invalid
    ));
    line(&format!(
        "peak memory: {} MiB",
        report.peak_memory_bytes / (1 << 20)
    ));
    for (name, value) in &report.more {
        line(&format!("{name}: {value}"));
    }
    if json {
        line(&serde_json::to_string(report)?);
    }
    Ok(())
}
