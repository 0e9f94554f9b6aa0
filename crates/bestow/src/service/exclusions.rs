//! The exclusion list: customers who may get nothing now, or nothing of one promotion, whatever Optimove picks them for.

mod csv;
mod landing;

use bestow_core::{CustomerId, PromoCode};
use serde::{Deserialize, Serialize};

pub use csv::{FileReport, import_csv};
pub(crate) use landing::refuse_excluded;

use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::grants::{customer_id, sentence};
use crate::service::reason;
use crate::service::view::Instant;
use crate::tenant::Tenant;

/// Customers of one request.
pub const CUSTOMERS_AT_ONCE_MAX: usize = 10_000;
/// Customers to be excluded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Exclude {
    /// Optimove's customer ids, at most 10,000.
    pub customer_ids: Vec<String>,
    /// Why, for people.
    pub reason: String,
    /// Only from this promotion; from everything unless said.
    #[serde(default)]
    pub promo_code: Option<String>,
}

/// Customers to be let in again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Include {
    /// Optimove's customer ids, at most 10,000.
    pub customer_ids: Vec<String>,
    /// To this promotion, from which alone they were excluded.
    #[serde(default)]
    pub promo_code: Option<String>,
}

/// What came of excluding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Excluded {
    /// Customers who were not excluded before.
    pub added: u64,
    /// Customers who were; they keep the reason that was given first.
    pub known: u64,
}

/// What came of letting in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Included {
    /// Customers who are no longer excluded.
    pub removed: u64,
}

/// A customer who is excluded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ExclusionView {
    /// Optimove's customer id.
    pub customer_id: String,
    /// The promotion that it is about, without letter case; null: every one.
    pub promo_code: Option<String>,
    /// Why, for people.
    pub reason: String,
    /// Since when.
    pub created_at: Instant,
    /// A token's id, `admin-token` or `cli`.
    pub created_by: String,
}

/// Whether a customer may get nothing of a promotion (its code folded) now. One look-up by key on the calling thread,
/// which takes microseconds.
///
/// # Errors
/// The store's: whoever asks has to take that for a yes.
pub fn is_excluded(app: &App, tenant: &Tenant, customer: &str, code_fold: &str) -> Result<bool> {
    let from = app
        .store
        .peek(|tx| tx.excluded_from(tenant.no(), customer))?;
    Ok(from.iter().any(|from| from.is_empty() || from == code_fold))
}

/// Excludes customers, from this commit on.
///
/// # Errors
/// [`Error::Invalid`] for no customers, too many, one that cannot be a customer's id, or a bad reason.
pub async fn exclude(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    wanted: Exclude,
) -> Result<Excluded> {
    let customers = checked(&wanted.customer_ids)?;
    let code = code_fold(wanted.promo_code.as_deref())?;
    let reason = reason::needed(&wanted.reason)?;
    let (no, actor) = (tenant.no(), actor.id.clone());
    let excluded = app.tx("exclude", move |tx| {
        let added = tx.exclude(no, &customers, &code, &reason, &actor)?;
        let known = customers.len() as u64 - added;
        let mut detail = serde_json::json!({ "reason": reason, "added": added, "known": known });
        if !code.is_empty() {
            detail["promo_code"] = code.clone().into();
        }
        Object::Exclusions.record(tx, no, &actor, "customers.excluded", &detail)?;
        Ok(Excluded { added, known })
    });
    let excluded = excluded.await?;
    app.facts_changed();
    Ok(excluded)
}

/// Lets customers in again.
///
/// # Errors
/// [`Error::Invalid`] for no customers, too many, or one that cannot be a customer's id.
pub async fn include(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    wanted: &Include,
) -> Result<Included> {
    let customers = checked(&wanted.customer_ids)?;
    let code = code_fold(wanted.promo_code.as_deref())?;
    let (no, actor) = (tenant.no(), actor.id.clone());
    let included = app.tx("include", move |tx| {
        let removed = tx.include(no, &customers, &code)?;
        let mut detail = serde_json::json!({ "asked": customers.len(), "removed": removed });
        if !code.is_empty() {
            detail["promo_code"] = code.clone().into();
        }
        Object::Exclusions.record(tx, no, &actor, "customers.included", &detail)?;
        Ok(Included { removed })
    });
    included.await
}

/// The folded code of what an exclusion is about; empty for everything. The catalogue need not know it yet.
fn code_fold(code: Option<&str>) -> Result<String> {
    let Some(code) = code else {
        return Ok(String::new());
    };
    let code =
        PromoCode::parse(code).map_err(|e| Error::invalid("bad_promo_code", sentence(&e)))?;
    Ok(code.fold().to_owned())
}

impl ExclusionView {
    /// What a list goes on behind: no id and no code has a line end in it.
    pub fn place(&self) -> String {
        let code = self.promo_code.as_deref().unwrap_or_default();
        format!("{}\n{code}", self.customer_id)
    }
}

/// Exclusions behind the [`place`](ExclusionView::place) of one, in the order of ids.
///
/// # Errors
/// The store's.
pub fn list(app: &App, tenant: &Tenant, after: &str, limit: u32) -> Result<Vec<ExclusionView>> {
    let after = after.split_once('\n').unwrap_or((after, ""));
    let found = app
        .store
        .peek(|tx| tx.exclusions(tenant.no(), after, limit))?;
    let view = |found: bestow_store::exclusions::Exclusion| ExclusionView {
        customer_id: found.customer,
        promo_code: Some(found.code_fold).filter(|code| !code.is_empty()),
        reason: found.reason,
        created_at: Instant(found.created_at),
        created_by: found.created_by,
    };
    Ok(found.into_iter().map(view).collect())
}

/// Each once, in the spelling that rows are compared by.
fn checked(ids: &[String]) -> Result<Vec<String>> {
    if ids.is_empty() || ids.len() > CUSTOMERS_AT_ONCE_MAX {
        let message = format!("`customer_ids` must name 1 to {CUSTOMERS_AT_ONCE_MAX} customers");
        return Err(Error::invalid("bad_customer_ids", message));
    }
    let checked = ids.iter().enumerate().map(|(place, id)| {
        let faulty = |e| format!("`customer_ids[{place}]`: {}", sentence(&e));
        CustomerId::check(id)
            .map(str::to_owned)
            .map_err(|e| Error::invalid("bad_customer_id", faulty(e)))
    });
    let mut customers = checked.collect::<Result<Vec<_>>>()?;
    customers.sort_unstable();
    customers.dedup();
    Ok(customers)
}

/// The one customer that a path names.
///
/// # Errors
/// [`Error::Invalid`] with `bad_customer_id`.
pub fn only(customer: &str) -> Result<Include> {
    Ok(Include {
        customer_ids: vec![customer_id(customer)?.to_owned()],
        promo_code: None,
    })
}
