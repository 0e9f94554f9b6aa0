//! Tables that people bring as CSV files.

use std::borrow::Cow;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::formula;

/// Bytes of a file.
pub(crate) const CSV_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// A line that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Refusal {
    /// Counted from 1, the head line included.
    pub line: usize,
    /// Why.
    pub reason: String,
}

/// The head line of a file, and the records behind it.
///
/// # Errors
/// [`Error::Invalid`] with `bad_csv` for a file that is empty or too large, or with broken quotes.
pub(crate) fn read(text: &str) -> Result<(Vec<String>, Vec<Record>)> {
    if text.len() > CSV_BYTES_MAX {
        let message = format!("the file has more than {CSV_BYTES_MAX} bytes");
        return Err(Error::invalid("bad_csv", message));
    }
    let mut records = records(text.trim_start_matches('\u{feff}'))?;
    if records.is_empty() {
        return Err(Error::invalid("bad_csv", "the file is empty"));
    }
    let head = records.remove(0).fields;
    Ok((head, records))
}

/// Where a column stands, by its name in any letter case.
pub(crate) fn column(head: &[String], name: &str) -> Option<usize> {
    head.iter()
        .position(|cell| cell.trim().eq_ignore_ascii_case(name))
}

/// A cell as it is written for a spreadsheet: never a formula, and quoted where need be.
pub(crate) fn cell(text: &str) -> String {
    quoted(&formula::guarded(text)).into_owned()
}

/// A cell, quoted where need be.
pub(crate) fn quoted(cell: &str) -> Cow<'_, str> {
    if cell.contains([',', '"', '\r', '\n']) || cell.trim() != cell {
        format!("\"{}\"", cell.replace('"', "\"\"")).into()
    } else {
        cell.into()
    }
}

/// One record and the line it starts in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Counted from 1.
    pub(crate) line: usize,
    /// Without their quotes.
    pub(crate) fields: Vec<String>,
}

/// Splits a file into records: commas between fields, quotes around what holds commas, line ends or
/// (doubled) quotes. Empty lines are passed over.
fn records(text: &str) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    let (mut fields, mut field) = (Vec::new(), String::new());
    let (mut line, mut started_in) = (1, 1);
    let mut is_quoted = false;
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        line += usize::from(sign == '\n');
        match sign {
            '"' if is_quoted && signs.peek() == Some(&'"') => {
                field.push('"');
                signs.next();
            }
            '"' if is_quoted => is_quoted = false,
            '"' if field.is_empty() => is_quoted = true,
            ',' if !is_quoted => fields.push(std::mem::take(&mut field)),
            '\r' if !is_quoted && signs.peek() == Some(&'\n') => {}
            '\n' if !is_quoted => {
                fields.push(std::mem::take(&mut field));
                push(&mut records, started_in, std::mem::take(&mut fields));
                started_in = line;
            }
            sign => field.push(sign),
        }
    }
    if is_quoted {
        let message = format!("the quotes that open in line {started_in} are never closed");
        return Err(Error::invalid("bad_csv", message));
    }
    fields.push(field);
    push(&mut records, started_in, fields);
    Ok(records)
}

fn push(records: &mut Vec<Record>, line: usize, fields: Vec<String>) {
    if fields.iter().any(|field| !field.trim().is_empty()) {
        records.push(Record { line, fields });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_commas_line_ends_and_quotes() {
        let found =
            records("code,name\r\nFS20,\"20 spins, \"\"free\"\"\nfor all\"\n\nCB10,Cash").unwrap();
        let fields = |line: usize, fields: [&str; 2]| Record {
            line,
            fields: fields.map(str::to_owned).to_vec(),
        };
        let wanted = [
            fields(1, ["code", "name"]),
            fields(2, ["FS20", "20 spins, \"free\"\nfor all"]),
            fields(5, ["CB10", "Cash"]),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn open_quotes_and_empty_files_are_refused() {
        assert!(read("code,name\nFS20,\"open").is_err());
        assert!(read(" \n").is_err());
    }

    #[test]
    fn cells_come_back_as_they_were_and_are_no_formulas() {
        for text in [
            "plain",
            "a,b",
            "say \"so\"",
            "two\nlines",
            "=1+1",
            "'=x",
            "-7,5",
            "",
        ] {
            let written = cell(text);
            assert!(
                !written
                    .trim_start_matches('"')
                    .starts_with(['=', '+', '-', '@']),
                "{written}"
            );
            let read = records(&format!("head\n{written},x")).unwrap();
            assert_eq!(formula::unguarded(&read[1].fields[0]), text);
        }
    }
}
