//! The terms of a promotion as they were.

use bestow_core::id::fold_code;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{Error, Result};
use crate::service::view::Instant;
use crate::tenant::Tenant;

/// A promotion between two changes. Never changed itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VersionView {
    /// Counted from 1.
    pub version: i64,
    /// Grants that came from then on are made under it, if its status lets them be made.
    pub made_at: Instant,
    /// `draft`, `active`, `paused`, `archived`, or `stopped` where a person stopped it.
    pub status: String,
    /// Everything else that was said: `name`, `kind`, `reward`, `limits`, `metadata`, `validity_days`, `fallback_code`.
    #[schema(value_type = Object)]
    pub terms: Value,
}

/// Versions of a promotion behind one, oldest first.
///
/// # Errors
/// [`Error::NotFound`]; the store's.
pub fn versions(
    app: &App,
    tenant: &Tenant,
    code: &str,
    after: i64,
    limit: u32,
) -> Result<Vec<VersionView>> {
    let (no, fold) = (tenant.no(), fold_code(code));
    app.store.read(|tx| {
        if tx.promotion(no, &fold)?.is_none() {
            return Err(Error::NotFound("promotion"));
        }
        let found = tx.promotion_history(no, &fold, after, limit)?;
        let view = |(version, document): (bestow_store::promotions::PromotionVersion, String)| {
            let terms = serde_json::from_str(&document).map_err(|e| {
                let message = format!("version {} of {fold}: {e}", version.version);
                Error::Store(bestow_store::Error::Corrupt(message))
            })?;
            Ok(VersionView {
                version: version.version,
                made_at: Instant(version.made_at),
                status: version.status,
                terms,
            })
        };
        found.into_iter().map(view).collect()
    })
}
