//! The catalogue as a table: a head line with `code` and `name`, perhaps more of [`COLUMNS`], then one promotion a line.
//! What is written can be read again, and changes nothing then.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{PromotionView, Put, PutPromotion, get, list, put};
use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::formula;
use crate::table::{self, Refusal};
use crate::tenant::Tenant;

/// Columns of the table. `reward`, `limits` and `metadata` hold JSON; what a line leaves empty stays as it is.
pub const COLUMNS: [&str; 9] = [
    "code",
    "name",
    "status",
    "kind",
    "reward",
    "limits",
    "metadata",
    "validity_days",
    "fallback_code",
];

/// Promotions read at once.
const READ_AT_ONCE: u32 = 1_000;

/// The whole catalogue, promotion by promotion.
pub struct Catalogue {
    app: Arc<App>,
    tenant: Arc<Tenant>,
    read: VecDeque<PromotionView>,
    /// The last code that was read; `None` at the end.
    after: Option<String>,
}

impl Catalogue {
    /// From the first code on.
    pub fn open(app: &Arc<App>, tenant: &Arc<Tenant>) -> Self {
        Self {
            app: Arc::clone(app),
            tenant: Arc::clone(tenant),
            read: VecDeque::new(),
            after: Some(String::new()),
        }
    }

    /// The next promotion; `None` at the end.
    ///
    /// # Errors
    /// The store's.
    pub fn next_promotion(&mut self) -> Result<Option<PromotionView>> {
        if self.read.is_empty()
            && let Some(after) = self.after.take()
        {
            self.read = list(&self.app, &self.tenant, &after, READ_AT_ONCE)?.into();
            self.after = self.read.back().map(|last| last.code.clone());
        }
        Ok(self.read.pop_front())
    }
}

/// What a promotion says in each of [`COLUMNS`].
pub fn cells(view: &PromotionView) -> [String; COLUMNS.len()] {
    [
        view.code.clone(),
        view.name.clone(),
        view.status.clone(),
        view.kind.clone(),
        view.reward.to_string(),
        view.limits.to_string(),
        view.metadata.to_string(),
        view.validity_days
            .map(|days| days.to_string())
            .unwrap_or_default(),
        view.fallback_code.clone().unwrap_or_default(),
    ]
}

/// What became of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CsvReport {
    /// New codes.
    pub created: u64,
    /// Codes that were there and are different now.
    pub changed: u64,
    /// Codes that were there just so.
    pub unchanged: u64,
    /// Lines that were not taken.
    pub refused: Vec<Refusal>,
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
    let (head, records) = table::read(text)?;
    let columns = Columns::find(&head)?;
    let mut report = CsvReport::default();
    for record in records {
        let line = columns.read(&record.fields);
        let written = match line.over(app, tenant) {
            Ok(wanted) => put(app, actor, tenant, line.code, wanted).await,
            Err(error) => Err(error),
        };
        match written {
            Ok((_, Put::Created)) => report.created += 1,
            Ok((_, Put::Changed)) => report.changed += 1,
            Ok((_, Put::Unchanged)) => report.unchanged += 1,
            Err(error @ (Error::Invalid { .. } | Error::Conflict { .. })) => {
                let refusal = Refusal {
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

/// Where the columns stand. Only the first two are needed.
#[derive(Debug, Clone, Copy)]
struct Columns {
    code: usize,
    name: usize,
    others: [Option<usize>; COLUMNS.len() - 2],
}

impl Columns {
    fn find(head: &[String]) -> Result<Self> {
        let place = |name: &str| table::column(head, name);
        let (Some(code), Some(name)) = (place(COLUMNS[0]), place(COLUMNS[1])) else {
            let message = "the first line must name the columns `code` and `name`";
            return Err(Error::invalid("bad_csv", message));
        };
        let mut others = [None; COLUMNS.len() - 2];
        for (other, name) in others.iter_mut().zip(&COLUMNS[2..]) {
            *other = place(name);
        }
        Ok(Self { code, name, others })
    }

    fn read<'a>(&self, fields: &'a [String]) -> Line<'a> {
        let field = |place: usize| {
            let field = fields.get(place).map_or("", String::as_str);
            formula::unguarded(field)
        };
        let said = self.others.map(|place| {
            let said = place.map(|place| field(place).trim());
            said.filter(|said| !said.is_empty())
        });
        let [
            status,
            kind,
            reward,
            limits,
            metadata,
            validity_days,
            fallback_code,
        ] = said;
        Line {
            code: field(self.code),
            name: field(self.name),
            status,
            kind,
            reward,
            limits,
            metadata,
            validity_days,
            fallback_code,
        }
    }
}

/// What one line says of a promotion.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    code: &'a str,
    name: &'a str,
    status: Option<&'a str>,
    kind: Option<&'a str>,
    reward: Option<&'a str>,
    limits: Option<&'a str>,
    metadata: Option<&'a str>,
    validity_days: Option<&'a str>,
    fallback_code: Option<&'a str>,
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
        word("status", self.status, &mut promotion.status)?;
        word("kind", self.kind, &mut promotion.kind)?;
        json("reward", self.reward, &mut promotion.reward)?;
        json("limits", self.limits, &mut promotion.limits)?;
        json("metadata", self.metadata, &mut promotion.metadata)?;
        json(
            "validity_days",
            self.validity_days,
            &mut promotion.validity_days,
        )?;
        if let Some(code) = self.fallback_code {
            promotion.fallback_code = Some(code.to_owned());
        }
        Ok(promotion)
    }
}

/// One of a few words, in any letter case.
fn word<T: DeserializeOwned>(column: &str, said: Option<&str>, to: &mut T) -> Result<()> {
    let Some(said) = said else { return Ok(()) };
    let word = Value::String(said.to_ascii_lowercase());
    *to = serde_json::from_value(word).map_err(|_| {
        let code = if column == "kind" {
            "bad_kind"
        } else {
            "bad_status"
        };
        Error::invalid(code, format!("`{said}` is no {column}"))
    })?;
    Ok(())
}

/// A cell that holds JSON.
fn json<T: DeserializeOwned>(column: &str, said: Option<&str>, to: &mut T) -> Result<()> {
    let Some(said) = said else { return Ok(()) };
    *to = serde_json::from_str(said)
        .map_err(|e| Error::invalid("bad_cell", format!("`{column}`: {e}")))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_columns_are_refused() {
        assert!(Columns::find(&["code".to_owned()]).is_err());
    }
}
