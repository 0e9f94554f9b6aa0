//! What commands print: answers on standard output, everything else on standard error.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context;
use optimove::Error as CallError;

use crate::error::Error;

/// One line of an answer. Whoever read it may have gone, having seen enough (`| head`): what the command does goes on,
/// and how it ended is told by its exit code.
pub(super) fn line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// One line for whoever watches, if anybody does.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// One sentence that says what went wrong and what to do next.
pub(super) fn tell_error(error: &anyhow::Error) {
    let mut text = String::from("bestow: ");
    for (place, cause) in error.chain().enumerate() {
        let cause = cause.to_string();
        // A transparent error repeats its cause word for word.
        if text.ends_with(&cause) {
            continue;
        }
        if place > 0 {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    if let Some(hint) = error.downcast_ref::<Error>().and_then(hint) {
        let _ = write!(text, "; {hint}");
    }
    note(&text.replace('\n', " "));
}

/// What to do next, where the message does not say it itself.
fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::NotFound("tenant") => Some("`bestow tenant list` shows those there are"),
        Error::NotFound("token") => Some("`bestow token list` shows those there are"),
        Error::NotFound("campaign") => Some("`bestow campaign list TENANT` shows those there are"),
        Error::Optimove(
            CallError::Unauthorized { .. }
            | CallError::Forbidden { .. }
            | CallError::LoginRefused { .. },
        ) => Some("give the right credential with `bestow tenant rotate`"),
        Error::Optimove(error) if error.is_retryable() => {
            Some("try again, and look at the base URL with `bestow tenant show` if it stays so")
        }
        _ => None,
    }
}

/// A table: columns as wide as their widest cell, two blanks between them.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells
            .chain([head[column].chars().count()])
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let print = |cells: &[&str]| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(text, "{cell:<width$}  ");
        }
        line(text.trim_end());
    };
    print(head);
    for row in rows {
        print(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// A value as readable JSON.
pub(super) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Channels, or whatever else is numbered, with commas.
pub(super) fn numbers(numbers: &[i64]) -> String {
    let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    if texts.is_empty() {
        "-".to_owned()
    } else {
        texts.join(",")
    }
}

/// What a file says, `-` being standard input.
pub(super) fn read_text(file: &Path) -> anyhow::Result<String> {
    if file.as_os_str() == "-" {
        return io::read_to_string(io::stdin()).context("reading standard input");
    }
    std::fs::read_to_string(file)
        .with_context(|| format!("the file {} cannot be read", file.display()))
}
