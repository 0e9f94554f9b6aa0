//! Starts cargo as a child process.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::totals::Totals;

/// What the `cargo run` that started us says about *this* package, and settings of an installed
/// Bestow. Children must not inherit either: the first makes build scripts believe that their
/// surroundings changed, which rebuilds them; the second would leak into tests.
const ENVIRONMENT_DROPPED: &[&str] = &[
    "BESTOW_",
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_PRIMARY_PACKAGE",
];

/// Cargo with `arguments`, separated by blanks, to be started in the repository's root.
pub(crate) fn cargo(root: &Path, arguments: &str) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = clean(program);
    command.args(arguments.split_whitespace()).current_dir(root);
    command
}

/// A program that inherits nothing it must not, and no input.
pub(crate) fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if ENVIRONMENT_DROPPED
            .iter()
            .any(|dropped| name.starts_with(dropped))
        {
            command.env_remove(&*name);
        }
    }
    command
}

/// Runs `command` to its end with its output passed through.
///
/// # Errors
/// When it cannot be started or does not end with success.
pub(crate) fn succeed(mut command: Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| cannot_start(&command))?;
    if !status.success() {
        bail!("ended with {status}");
    }
    Ok(())
}

/// Runs a test command to its end, its output passed through line by line, and sums the summaries
/// of its test binaries. The second value is whether the command as a whole succeeded: a binary
/// that does not compile or that crashes fails it without printing a summary. A binary that says
/// nothing for `silence_max` is killed, so that a test that hangs is seen and the others run.
///
/// # Errors
/// When it cannot be started or its output cannot be read or passed on.
pub(crate) fn tests(
    mut command: Command,
    silence_max: Duration,
) -> anyhow::Result<(Totals, Ended)> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| cannot_start(&command))?;
    let output = BufReader::new(child.stdout.take().context("the child has no output")?);
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in output.split(b'\n') {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut totals = Totals::default();
    loop {
        let line = match lines.recv_timeout(silence_max) {
            Ok(line) => line?,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                kill_children(child.id())?;
                let minutes = silence_max.as_secs() / 60;
                format!("killed: nothing was heard for {minutes} minutes").into_bytes()
            }
        };
        let mut ours = io::stdout().lock();
        ours.write_all(&line)?;
        writeln!(ours)?;
        ours.flush()?;
        totals.add_line(&String::from_utf8_lossy(&line));
    }
    let ended = if child.wait()?.success() {
        Ended::Well
    } else {
        Ended::Badly
    };
    Ok((totals, ended))
}

/// Kills what a process has started, and not itself.
fn kill_children(parent: u32) -> anyhow::Result<()> {
    let needle = parent.to_string();
    for process in fs::read_dir("/proc")?.flatten() {
        let Ok(stat) = fs::read_to_string(process.path().join("stat")) else {
            continue;
        };
        // Behind the name, which is in brackets and may hold anything: its state, its parent.
        let behind = stat.rsplit_once(") ").map_or("", |(_, behind)| behind);
        if behind.split(' ').nth(1) == Some(&needle) {
            let kill = format!("kill -KILL {}", process.file_name().display());
            Command::new("sh").args(["-c", &kill]).status()?;
        }
    }
    Ok(())
}

/// How a child ended, by its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Well,
    Badly,
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start {}", command.get_program().display())
}

#[cfg(test)]
mod tests {
    use super::{Ended, clean, tests};
    use std::time::Duration;

    fn shell(script: &str) -> std::process::Command {
        let mut command = clean("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_says_nothing_is_killed_and_the_rest_runs() {
        let script = shell("sleep 600 && exit 0; exit 7");
        let (_, ended) = tests(script, Duration::from_millis(200)).unwrap();
        assert_eq!(ended, Ended::Badly);
    }

    #[test]
    fn what_ends_by_itself_is_left_alone() {
        let (_, ended) = tests(shell("sleep 0.1; echo well"), Duration::from_mins(5)).unwrap();
        assert_eq!(ended, Ended::Well);
    }
}
