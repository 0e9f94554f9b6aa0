//! `bestow move`, `backup` and `restore`: the whole database somewhere else.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use bestow_store::copy::{self, Copy, Progress, Tally};
use bestow_store::{Error as StoreError, Lock, Sharing, Store};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::Outcome;
use super::open::{Database, Settings, log_to_stderr, open};
use super::output::{line, note};
use crate::clock::Clock;
use crate::config::Config;
use crate::service::verify;

/// How often a service that is asked to stop is looked for.
const STOPPED_EVERY: Duration = Duration::from_millis(500);
/// Rows between two lines of progress where nobody watches a bar.
const LINE_ROWS: u64 = 500_000;

/// Where to move to.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Move {
    /// An empty database: `postgres://USER@HOST/DATABASE` or `sqlite:PATH`.
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Serve from the database of these settings again though it was moved: the copy is given up.
    #[arg(long)]
    take_back: bool,
}

/// Where to put a backup.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The file to make, an SQLite database whatever it is a backup of.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// What to restore.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// A file that `bestow backup` made.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
}

/// Copies while the service goes on, then, once it is stopped, what it wrote meanwhile.
pub(super) async fn run_move(settings: &Settings, command: &Move) -> anyhow::Result<Outcome> {
    let mut config = settings.load()?;
    log_to_stderr("warn")?;
    let from = config.database_url();
    let Some(to) = &command.to else {
        copy::take_back(&from)?;
        note("taken back: never start the service on the copy again");
        return Ok(Outcome::Done);
    };
    config.database_url.clone_from(to);
    let to = config.database_url();
    check_room(&to)?;
    let _target = Store::claim(&to, Sharing::Alone)?;
    let now_ms = Clock::system().now_ms();
    let copy = Copy::moving(&from, &to, now_ms)?;
    note("the first pass: the service may go on");
    with_progress(|tell| copy.ahead(tell))?;
    let _source = wait_for_stop(&from).await?;
    note("the last pass: what was written meanwhile");
    let tallies = with_progress(|tell| copy.finish(now_ms, tell))?;
    tell_tallies(&tallies);
    let outcome = verified(config)?;
    note(
        "moved: set BESTOW_DATABASE_URL to the new address wherever Bestow runs; it does not start on the old one again",
    );
    Ok(outcome)
}

/// One moment of the database, beside whatever runs.
pub(super) fn run_backup(settings: &Settings, command: &Backup) -> anyhow::Result<Outcome> {
    let config = settings.load()?;
    log_to_stderr("warn")?;
    check_room(&format!("sqlite:{}", command.to.display()))?;
    let now_ms = Clock::system().now_ms();
    let copy = Copy::backup(&config.database_url(), &command.to, now_ms)?;
    let tallies = with_progress(|tell| copy.finish(now_ms, tell))?;
    tell_tallies(&tallies);
    note("backed up; the key file is not in it: keep it elsewhere");
    Ok(Outcome::Done)
}

/// A backup as the database of these settings, which must be empty.
pub(super) fn run_restore(settings: &Settings, command: &Restore) -> anyhow::Result<Outcome> {
    let config = settings.load()?;
    log_to_stderr("warn")?;
    let to = config.database_url();
    check_room(&to)?;
    let _target = Store::claim(&to, Sharing::Alone)?;
    let now_ms = Clock::system().now_ms();
    let copy = Copy::restoring(&command.from, &to, now_ms)?;
    let tallies = with_progress(|tell| copy.finish(now_ms, tell))?;
    tell_tallies(&tallies);
    verified(config)
}

/// Refuses a file in a folder that is not there, before anything is read for it.
fn check_room(url: &str) -> anyhow::Result<()> {
    let folder = url
        .strip_prefix("sqlite:")
        .and_then(|path| Path::new(path).parent())
        .filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => bail!("there is no folder {}", folder.display()),
        _ => Ok(()),
    }
}

/// The right to serve from `url`, as soon as nobody else has it.
async fn wait_for_stop(url: &str) -> anyhow::Result<Lock> {
    let mut is_told = false;
    loop {
        match Store::claim(url, Sharing::Alone) {
            Err(StoreError::InUse(_)) => {}
            claimed => return Ok(claimed?),
        }
        if !std::mem::replace(&mut is_told, true) {
            note("stop the service now: the last pass begins as soon as it has ended");
        }
        tokio::time::sleep(STOPPED_EVERY).await;
    }
}

/// A bar on a terminal, lines elsewhere.
fn with_progress<T>(
    pass: impl FnOnce(&mut copy::Tell<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    if !std::io::stderr().is_terminal() {
        let mut next = LINE_ROWS;
        return pass(&mut |progress: &Progress| {
            if progress.rows >= next {
                next = progress.rows + LINE_ROWS;
                note(&format!(
                    "{}: {} of {} rows, {} written",
                    progress.table, progress.rows, progress.rows_total, progress.written
                ));
            }
            Ok(())
        });
    }
    let bar = ProgressBar::new(0);
    let style = "{bar:32} {percent:>3}% {human_pos} rows {per_sec} {msg}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    let ended = pass(&mut |progress: &Progress| {
        bar.set_length(progress.rows_total.max(progress.rows));
        bar.set_position(progress.rows);
        bar.set_message(progress.table.clone());
        Ok(())
    });
    bar.finish_and_clear();
    ended
}

/// One line for each table with rows in it.
fn tell_tallies(tallies: &[Tally]) {
    for tally in tallies.iter().filter(|tally| tally.rows > 0) {
        line(&tally.to_string());
    }
}

/// Whether every invariant holds in the database of these settings.
fn verified(config: Config) -> anyhow::Result<Outcome> {
    let findings = verify::run(&*open(config, Database::Existing)?)?;
    for finding in &findings {
        line(&finding.to_string());
    }
    note(&format!("verify: {} violations", findings.len()));
    Ok(Outcome::from(findings.is_empty()))
}
