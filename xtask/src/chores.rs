//! The commands beside `test`.

use std::fs;
use std::io::{self, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::api::{self, Effort};
use crate::cargo::{self, cargo};
use crate::ha::target_folder;
use crate::postgres::{self, Server};
use crate::{fuzz, gate, repository};

/// Processes that `nodes --bench` compares with one, each on a processor of its own.
const NODES: usize = 2;

/// A half-open, non-empty range of simulation seeds, written `A..B`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seeds {
    first: u64,
    end: u64,
}

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, end) = text
            .split_once("..")
            .ok_or("write a range as A..B, such as 0..1000")?;
        let number = |text: &str| {
            text.parse::<u64>()
                .map_err(|error| format!("`{text}` is no seed: {error}"))
        };
        let seeds = Self {
            first: number(first)?,
            end: number(end)?,
        };
        if seeds.first >= seeds.end {
            return Err("the range is empty: write the lower seed first".to_owned());
        }
        Ok(seeds)
    }
}

/// Plays the simulation of crate `bestow` once for each seed of the range.
///
/// # Errors
/// When the child cannot be run.
pub(crate) fn sim(seeds: &Seeds) -> anyhow::Result<ExitCode> {
    let root = repository::root();
    let mut command = cargo(
        &root,
        "test --locked -p bestow --test it -- sim::range --exact --nocapture",
    );
    command.env(
        "BESTOW_SIM_SEEDS",
        format!("{}..{}", seeds.first, seeds.end),
    );
    let (totals, ended) = cargo::tests(command, Duration::MAX)?;
    let ran = gate::judge(totals, ended).map_err(|error| format!("simulation: {error:#}"));
    gate::close(&mut io::stdout(), totals, &[], ran)
}

/// Plays rounds of things that go wrong among three processes, on a private server.
///
/// # Errors
/// When the server does not start or the child cannot be run.
pub(crate) fn nodes(rounds: u32) -> anyhow::Result<ExitCode> {
    let (root, server) = (repository::root(), Server::start(None)?);
    let mut command = cargo(
        &root,
        "test --locked -p bestow --features postgres-tests --test it -- nodes::rounds:: --nocapture",
    );
    command
        .env(postgres::URL_VARIABLE, server.url())
        .env("BESTOW_NODES_ROUNDS", rounds.to_string());
    let (totals, ended) = cargo::tests(command, Duration::MAX)?;
    let ran = gate::judge(totals, ended).map_err(|error| format!("rounds: {error:#}"));
    gate::close(&mut io::stdout(), totals, &[], ran)
}

/// Measures two processes beside one on a private server that has what processors they leave.
///
/// # Errors
/// When the server does not start or the child cannot be run.
pub(crate) fn nodes_bench() -> anyhow::Result<ExitCode> {
    let root = repository::root();
    cargo::succeed(cargo(
        &root,
        "build --locked --release -p bestow --bin bestow",
    ))?;
    // What is started from here on inherits it; the bench itself goes beyond it for the two.
    let others = format!("{NODES}-{}", thread::available_parallelism()?.get() - 1);
    let myself = std::process::id().to_string();
    let stays = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", &others, &myself])
        .stdout(Stdio::null())
        .status()
        .context("cannot start taskset")?;
    ensure!(stays.success(), "taskset ended with {stays}");
    let server = Server::start(None)?;
    let program = target_folder(&root).join("release/bestow");
    let ended = Command::new(program)
        .args(["bench", "nodes", "--database", server.url()])
        .status()
        .context("cannot start the bench")?;
    ensure!(ended.success(), "the bench ended with {ended}");
    Ok(ExitCode::SUCCESS)
}

/// Migrates so many grants while they are written and read, and tells how long anybody waited.
///
/// # Errors
/// When the server does not start or the child cannot be run.
pub(crate) fn migrations(rows: u64) -> anyhow::Result<ExitCode> {
    let server = Server::start(None)?;
    let mut command = cargo(
        &repository::root(),
        "test --locked -p bestow-store --all-features --test it -- on_postgres::online --nocapture",
    );
    command
        .env(postgres::URL_VARIABLE, server.url())
        .env("BESTOW_MIGRATION_ROWS", rows.to_string());
    let (totals, ended) = cargo::tests(command, Duration::MAX)?;
    let ran = gate::judge(totals, ended).map_err(|error| format!("migrations: {error:#}"));
    gate::close(&mut io::stdout(), totals, &[], ran)
}

/// Asks the service for a long time.
///
/// # Errors
/// Where an answer is not as described, or something does not start.
pub(crate) fn fuzz_api(effort: Effort) -> anyhow::Result<ExitCode> {
    api::fuzz(&repository::root(), effort)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the fuzz targets for so many seconds each.
///
/// # Errors
/// Where a target does not build, or finds something.
pub(crate) fn fuzz(seconds: u32) -> anyhow::Result<ExitCode> {
    fuzz::run(&repository::root(), seconds)?;
    Ok(ExitCode::SUCCESS)
}

/// Lends a database server to whoever works on one crate.
///
/// # Errors
/// When it does not start.
pub(crate) fn postgres() -> anyhow::Result<ExitCode> {
    let server = Server::start(None)?;
    writeln!(
        io::stdout(),
        "{}='{}'",
        postgres::URL_VARIABLE,
        server.url()
    )?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(ExitCode::SUCCESS)
}

/// Asks the binary for its API description and writes it to `docs/openapi.json`.
///
/// # Errors
/// When the binary cannot be built or run, or what it prints is not a JSON object.
pub(crate) fn openapi() -> anyhow::Result<ExitCode> {
    let root = repository::root();
    let output = cargo(
        &root,
        "run --quiet --locked -p bestow --bin bestow -- openapi",
    )
    .stderr(Stdio::inherit())
    .output()
    .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("`bestow openapi` ended with {}", output.status);
    }
    let text = String::from_utf8(output.stdout).context("`bestow openapi` printed no UTF-8")?;
    let document: serde_json::Value =
        serde_json::from_str(&text).context("`bestow openapi` printed no JSON")?;
    ensure!(
        document.is_object(),
        "`bestow openapi` printed JSON that is no object"
    );
    let path = root.join("docs/openapi.json");
    fs::write(&path, format!("{}\n", text.trim_end()))
        .with_context(|| format!("cannot write {}", path.display()))?;
    writeln!(io::stdout(), "wrote {}", path.display())?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::Seeds;

    #[test]
    fn a_range_of_seeds_is_read() {
        assert_eq!("7..20".parse(), Ok(Seeds { first: 7, end: 20 }));
    }

    #[test]
    fn a_range_that_holds_no_seed_is_refused() {
        for text in [
            "", "7", "7..", "..7", "7..7", "9..7", "-1..2", "a..b", "1..=2",
        ] {
            assert!(text.parse::<Seeds>().is_err(), "{text:?} was taken");
        }
    }
}
