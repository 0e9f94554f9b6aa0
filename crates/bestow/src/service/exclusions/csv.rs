//! Exclusions from a CSV file: a head line with `customer_id`, perhaps `reason` and `promo_code`, then one customer a line.

use std::collections::BTreeMap;

use bestow_core::{CustomerId, PromoCode};
use serde::Serialize;

use super::{CUSTOMERS_AT_ONCE_MAX, Exclude, Excluded, exclude};
use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::formula;
use crate::service::grants::sentence;
use crate::service::reason;
use crate::table::{self, Refusal};
use crate::tenant::Tenant;

/// Why, where a file does not say it.
const REASON: &str = "excluded by a file";

/// What became of customers who were to be excluded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FileReport {
    /// Exclusions that are new.
    pub added: u64,
    /// Those that were there.
    pub known: u64,
    /// Lines of a table that were not taken, each with its number, the head line being 1.
    pub refused: Vec<Refusal>,
}

impl From<Excluded> for FileReport {
    fn from(Excluded { added, known }: Excluded) -> Self {
        let refused = Vec::new();
        Self {
            added,
            known,
            refused,
        }
    }
}

/// Excludes the customers of a file. A line that cannot be taken is reported and the others go on; running the same file
/// again changes nothing.
///
/// # Errors
/// [`Error::Invalid`] `bad_csv` for a file that is too large, or without its head line, or with broken quotes, before anything
/// is written; the store's.
pub async fn import_csv(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    text: &str,
) -> Result<FileReport> {
    let (head, records) = table::read(text)?;
    let Some(customer_id) = table::column(&head, "customer_id") else {
        let message = "the first line must name the column `customer_id`";
        return Err(Error::invalid("bad_csv", message));
    };
    let (reason, promo_code) = (
        table::column(&head, "reason"),
        table::column(&head, "promo_code"),
    );
    let mut report = FileReport::default();
    let mut groups: BTreeMap<(String, Option<String>), Vec<String>> = BTreeMap::new();
    for record in &records {
        let cell = |place: Option<usize>| {
            let cell = place.and_then(|place| record.fields.get(place));
            Some(formula::unguarded(cell?.trim())).filter(|cell| !cell.is_empty())
        };
        let customer = cell(Some(customer_id)).unwrap_or_default();
        let code = cell(promo_code);
        let fault = CustomerId::check(customer)
            .map(drop)
            .map_err(|e| sentence(&e));
        let fault = fault.and(code.map_or(Ok(()), |code| {
            PromoCode::parse(code).map(drop).map_err(|e| sentence(&e))
        }));
        let fault = fault.and(reason::given(cell(reason)).map_err(|e| e.to_string()));
        match fault {
            Ok(why) => {
                let why = why.unwrap_or_else(|| REASON.to_owned());
                let group = groups.entry((why, code.map(str::to_owned)));
                group.or_default().push(customer.to_owned());
            }
            Err(reason) => report.refused.push(Refusal {
                line: record.line,
                reason,
            }),
        }
    }
    for ((reason, promo_code), customers) in groups {
        for some in customers.chunks(CUSTOMERS_AT_ONCE_MAX) {
            let wanted = Exclude {
                customer_ids: some.to_vec(),
                reason: reason.clone(),
                promo_code: promo_code.clone(),
            };
            let done = exclude(app, actor, tenant, wanted).await?;
            report.added += done.added;
            report.known += done.known;
        }
    }
    Ok(report)
}
