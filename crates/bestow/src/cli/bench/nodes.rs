//! `bestow bench nodes`: what two processes on one database do beside what one does. Each has one processor of its own; the
//! stand-in, the load and this program have what the two leave, and so should the server: `cargo xtask nodes --bench`
//! starts it there.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use bestow_store::Error as StoreError;
use bestow_store::jobs::JobRow;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::json;

use super::listener::{body, listener_path};
use super::load::{Load, now, post};
use super::rig::{Rig, SHARED_CODE, SandboxProcess, TOKEN, load_runtime};
use super::{Report, Shape, import};
use crate::memory;
use crate::work::kind;

/// Processes that are compared with one.
const NODES: usize = 2;
/// Processors that are left for everything else, at least.
const OTHERS_MIN: usize = 2;
/// Campaigns that are imported at once, since the merge of one is one process's work.
const CAMPAIGNS: u64 = 4;
/// Connections to all processes together, unless told otherwise.
const CONNECTIONS: usize = 256;
/// How often it is looked whether the imports are over.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What so many processes did in a second.
struct Rates {
    grants: f64,
    acknowledgements: f64,
}

pub(super) fn run(shape: &Shape) -> anyhow::Result<Report> {
    ensure!(shape.database.is_some(), "nodes share a server: --database");
    // All that there are: whoever started this may have held it to some of them.
    let all = processors()?;
    ensure!(
        all >= NODES + OTHERS_MIN,
        "{all} processors are too few to tell {NODES} processes from one"
    );
    // What is started from here on inherits it.
    stay_on(NODES..all)?;
    let one = measure(shape, 1, NODES..all)?;
    let two = measure(shape, NODES, NODES..all)?;
    let mut more = serde_json::Map::new();
    let mut tell = |name: &str, rate: f64| more.insert(name.to_owned(), json!(rate.round()));
    tell("one_node_acknowledgements", one.acknowledgements);
    tell("two_nodes_acknowledgements", two.acknowledgements);
    let listeners = two.acknowledgements / one.acknowledgements;
    more.insert("acknowledgements_ratio".into(), json!(listeners));
    more.insert("campaigns_at_once".into(), json!(CAMPAIGNS));
    Ok(Report {
        bench: "nodes",
        unit: "grants",
        ours: two.grants,
        raw: one.grants,
        ratio: two.grants / one.grants,
        peak_memory_bytes: memory::peak_bytes(),
        p50_ms: 0.0,
        p99_ms: 0.0,
        p999_ms: 0.0,
        max_ms: 0.0,
        invalid: 0,
        more,
    })
}

fn measure(shape: &Shape, nodes: usize, others: std::ops::Range<usize>) -> anyhow::Result<Rates> {
    let runtime = load_runtime()?;
    let rig = Rig::new(shape)?;
    let sandbox = runtime.block_on(SandboxProcess::start())?;
    runtime.block_on(rig.tenant(sandbox.url()))?;
    let path = runtime.block_on(listener_path(&rig, 13))?;
    let working = start(&rig, nodes, "worker", others.clone())?;
    let grants = runtime.block_on(import_all(&rig, &sandbox, shape.customers))?;
    drop(working);
    // What is acknowledged is not worked off meanwhile.
    let listening = start(&rig, nodes, "listener", others)?;
    let acknowledgements = runtime.block_on(notify_all(shape, &listening, &path))?;
    Ok(Rates {
        grants,
        acknowledgements,
    })
}

/// So many processes that do this, each on a processor of its own.
fn start(
    rig: &Rig,
    nodes: usize,
    roles: &str,
    others: std::ops::Range<usize>,
) -> anyhow::Result<Vec<Node>> {
    let mut running = Vec::new();
    for processor in 0..nodes {
        stay_on(processor..processor + 1)?;
        let started = Node::start(rig, roles);
        stay_on(others.clone())?;
        running.push(started?);
    }
    Ok(running)
}

/// Grants a second, from when the imports are wanted until the last is over.
async fn import_all(rig: &Rig, sandbox: &SandboxProcess, customers: u64) -> anyhow::Result<f64> {
    let each = (customers / CAMPAIGNS).max(1);
    let mut campaigns = Vec::new();
    for _ in 0..CAMPAIGNS {
        campaigns.push(sandbox.campaign_giving(each, SHARED_CODE).await?);
    }
    let start = now();
    for campaign in &campaigns {
        import::want(&rig.app, campaign).await?;
    }
    loop {
        let jobs = rig.app.store.peek(|tx| tx.jobs())?;
        // While the pages of a list are shared out, they alone are work.
        let is_import = |job: &JobRow| [kind::IMPORT, kind::PAGES].contains(&job.kind.as_str());
        if !jobs.iter().any(is_import) {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let took = start.elapsed();
    let granted = rig
        .app
        .store
        .peek(|tx| tx.grants_total())
        .map_err(|error: StoreError| error)?;
    let expected = each * CAMPAIGNS;
    ensure!(granted == expected, "{granted} grants for {expected}");
    Ok(granted as f64 / took.as_secs_f64())
}

/// Acknowledgements a second of all processes together, each asked by its share of the connections.
async fn notify_all(shape: &Shape, nodes: &[Node], path: &str) -> anyhow::Result<f64> {
    let connections = shape.connections.unwrap_or(CONNECTIONS) / nodes.len();
    let loads = nodes.iter().enumerate().map(|(place, node)| async move {
        let load = Load {
            address: node.address,
            connections: connections.max(1),
            span: Duration::from_secs(shape.seconds),
            status: 200,
            begins: b"",
            ends: b"",
        };
        let (path, place) = (path.to_owned(), place as u64);
        // Each is told of campaigns of its own.
        let told = load.run(move |number, out| {
            post(out, &path, None, &body(2 * number + place));
        });
        let told = told.await?;
        ensure!(told.invalid == 0, "{} answers were none", told.invalid);
        anyhow::Ok(told.rate())
    });
    let rates = futures_util::future::try_join_all(loads).await?;
    Ok(rates.iter().sum())
}

/// One process that serves.
struct Node {
    child: Child,
    address: SocketAddr,
}

impl Node {
    fn start(rig: &Rig, roles: &str) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let config = &rig.app.config;
        let child = Command::new(program)
            .arg("serve")
            .env("BESTOW_LISTEN", "127.0.0.1:0")
            .env("BESTOW_DATABASE_URL", &config.database_url)
            .env("BESTOW_DATA_DIR", &config.data_dir)
            .env("BESTOW_ADMIN_TOKEN", TOKEN)
            .env("BESTOW_ROLES", roles)
            .env("BESTOW_LOG", "warn")
            .env(
                "BESTOW_OPTIMOVE__CALLS_MAX",
                config.optimove.calls_max.to_string(),
            )
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a process that serves")?;
        // From here on it is ended, whatever fails.
        let mut this = Self {
            child,
            address: ([127, 0, 0, 1], 0).into(),
        };
        let stdout = this.child.stdout.take().context("its output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://");
        this.address = address.context("its address")?.parse()?;
        Ok(this)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many processors the machine has, and not only those that this process is held to.
fn processors() -> anyhow::Result<usize> {
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online")?;
    let last = online.trim().rsplit(['-', ',']).next().unwrap_or_default();
    let last: usize = last.parse().context("the processors that there are")?;
    Ok(last + 1)
}

/// Keeps this thread, and what it starts, on these processors.
fn stay_on(processors: std::ops::Range<usize>) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    processors.for_each(|processor| set.set(processor));
    sched_setaffinity(None, &set).context("staying on some processors")?;
    ensure!(sched_getaffinity(None)? == set, "the system gave others");
    Ok(())
}
