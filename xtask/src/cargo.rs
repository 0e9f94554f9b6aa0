//! Starts cargo as a child process.

use std::ffi::OsStr;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

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
/// that does not compile or that crashes fails it without printing a summary.
///
/// # Errors
/// When it cannot be started or its output cannot be read or passed on.
pub(crate) fn tests(mut command: Command) -> anyhow::Result<(Totals, Ended)> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| cannot_start(&command))?;
    let mut output = BufReader::new(child.stdout.take().context("the child has no output")?);
    let mut totals = Totals::default();
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        let mut ours = io::stdout().lock();
        ours.write_all(&line)?;
        ours.flush()?;
        totals.add_line(&String::from_utf8_lossy(&line));
        line.clear();
    }
    let ended = if child.wait()?.success() {
        Ended::Well
    } else {
        Ended::Badly
    };
    Ok((totals, ended))
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
