//! `cargo xtask ha`: a PostgreSQL of three nodes that loses its primary again and again, while the service works on it.
//!
//! The cluster is made here: etcd, and three nodes under Patroni with synchronous replication. The work is the example
//! `ha` of crate `bestow`, which tells on its output when the primary is to die, and hears on its input that it did.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, ensure};

use crate::cargo::{cargo, succeed};
use crate::patroni::Cluster;
use crate::repository;

/// What the work says when it wants the primary to die.
const KILL: &str = "kill the primary";
/// What it is told once the primary is dead.
const KILLED: &str = "killed";
/// What the work says when it wants all three nodes to be there.
const WHOLE: &str = "wait for three nodes";

/// Starts the cluster, runs the work on it, and stops everything.
///
/// # Errors
/// Where a program is missing or does not start, or something was lost or doubled.
pub(crate) fn ha() -> anyhow::Result<ExitCode> {
    let root = repository::root();
    succeed(cargo(
        &root,
        "build --locked -p bestow --bin bestow --example ha",
    ))?;
    let mut cluster = Cluster::start()?;
    writeln!(std::io::stdout(), "cluster: {}", cluster.url())?;
    work(&root, &mut cluster)?;
    Ok(ExitCode::SUCCESS)
}

fn work(root: &Path, cluster: &mut Cluster) -> anyhow::Result<()> {
    let programs = target_folder(root).join("debug");
    let mut child = Command::new(programs.join("examples/ha"))
        .env("BESTOW_HA_DATABASE", cluster.url())
        .env("BESTOW_HA_PROGRAM", programs.join("bestow"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the work")?;
    let mut to = child.stdin.take().context("its input is piped")?;
    let from = child.stdout.take().context("its output is piped")?;
    for line in BufReader::new(from).lines() {
        let line = line?;
        let answer = match &*line {
            KILL => format!("{KILLED} {}", cluster.kill_primary()?),
            WHOLE => {
                cluster.make_whole()?;
                "whole".to_owned()
            }
            _ => {
                writeln!(std::io::stdout(), "{line}")?;
                continue;
            }
        };
        writeln!(to, "{answer}")?;
    }
    drop(to);
    let ended = child.wait()?;
    ensure!(ended.success(), "the work ended with {ended}");
    Ok(())
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder(root: &Path) -> std::path::PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into)
}
