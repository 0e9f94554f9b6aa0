//! Promotions from a CSV file: a head line with `code` and `name`, perhaps `status` and `kind`, then one
//! promotion a line.

use super::{Kind, Put, PutPromotion, Status, get, put};
use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::formula;
use crate::tenant::Tenant;

/// Bytes of a file.
const CSV_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// What became of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CsvReport {
    /// New codes.
    pub created: u64,
    /// Codes that were there and are different now.
    pub changed: u64,
    /// Codes that were there just so.
    pub unchanged: u64,
    /// Lines that were not taken.
    pub refused: Vec<CsvRefusal>,
}

/// A line that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvRefusal {
    /// Counted from 1, the head line included.
    pub line: usize,
    /// Why.
    pub reason: String,
}

/// Writes one promotion for each line. A line that cannot be taken is reported and the others go
/// on; running the same file again changes nothing.
///
/// # Errors
/// [`Error::Invalid`] for a file without the head line or with broken quotes, before anything is
/// written; the store's.
pub async fn import_csv(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    text: &str,
) -> Result<CsvReport> {
    if text.len() > CSV_BYTES_MAX {
        return Err(Error::invalid(
            "bad_csv",
            format!("the file has more than {CSV_BYTES_MAX} bytes"),
        ));
    }
    let mut records = records(text.trim_start_matches('\u{feff}'))?.into_iter();
    let head = records
        .next()
        .ok_or_else(|| Error::invalid("bad_csv", "the file is empty"))?;
    let columns = Columns::find(&head.fields)?;
    let mut report = CsvReport::default();
    for record in records {
        let written = match columns.read(&record.fields) {
            Ok(line) => put(app, actor, tenant, line.code, line.over(app, tenant)?).await,
            Err(error) => Err(error),
        };
        match written {
            Ok((_, Put::Created)) => report.created += 1,
            Ok((_, Put::Changed)) => report.changed += 1,
            Ok((_, Put::Unchanged)) => report.unchanged += 1,
            Err(error @ (Error::Invalid { .. } | Error::Conflict { .. })) => {
                let refusal = CsvRefusal {
                    line: record.line,
                    reason: error.to_string(),
                };
                report.refused.push(refusal);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

/// Where the columns stand.
#[derive(Debug, Clone, Copy)]
struct Columns {
    code: usize,
    name: usize,
    status: Option<usize>,
    kind: Option<usize>,
}

impl Columns {
    fn find(head: &[String]) -> Result<Self> {
        let place = |name: &str| {
            head.iter()
                .position(|h| h.trim().eq_ignore_ascii_case(name))
        };
        let (Some(code), Some(name)) = (place("code"), place("name")) else {
            let message = "the first line must name the columns `code` and `name`";
            return Err(Error::invalid("bad_csv", message));
        };
        Ok(Self {
            code,
            name,
            status: place("status"),
            kind: place("kind"),
        })
    }

    fn read<'a>(&self, fields: &'a [String]) -> Result<Line<'a>> {
        let field = |place: usize| fields.get(place).map_or("", String::as_str);
        let status = match self.status.map_or("", |place| field(place).trim()) {
            "" => None,
            name => Some(
                [
                    Status::Draft,
                    Status::Active,
                    Status::Paused,
                    Status::Archived,
                ]
                .into_iter()
                .find(|status| status.as_str().eq_ignore_ascii_case(name))
                .ok_or_else(|| Error::invalid("bad_status", format!("`{name}` is no status")))?,
            ),
        };
        let kind = match self.kind.map_or("", |place| field(place).trim()) {
            "" => None,
            name => Some(
                [Kind::Shared, Kind::Unique]
                    .into_iter()
                    .find(|kind| kind.as_str().eq_ignore_ascii_case(name))
                    .ok_or_else(|| Error::invalid("bad_kind", format!("`{name}` is no kind")))?,
            ),
        };
        Ok(Line {
            code: formula::unguarded(field(self.code)),
            name: formula::unguarded(field(self.name)),
            status,
            kind,
        })
    }
}

/// What one line says of a promotion.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    code: &'a str,
    name: &'a str,
    status: Option<Status>,
    kind: Option<Kind>,
}

impl Line<'_> {
    /// The promotion that the catalogue has, if any, with what the line says; the rest of it stays.
    fn over(&self, app: &App, tenant: &Tenant) -> Result<PutPromotion> {
        let mut promotion = match get(app, tenant, self.code) {
            Ok(known) => PutPromotion::try_from(known)?,
            Err(Error::NotFound(_)) => PutPromotion::named(""),
            Err(error) => return Err(error),
        };
        self.name.clone_into(&mut promotion.name);
        promotion.status = self.status.unwrap_or(promotion.status);
        promotion.kind = self.kind.unwrap_or(promotion.kind);
        Ok(promotion)
    }
}

/// One record and the line it starts in.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    line: usize,
    fields: Vec<String>,
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
    fn open_quotes_and_missing_columns_are_refused() {
        assert!(records("code,name\nFS20,\"open").is_err());
        assert!(Columns::find(&["code".to_owned()]).is_err());
    }
}
