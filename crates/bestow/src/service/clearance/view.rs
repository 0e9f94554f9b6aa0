//! Rounds as the outside sees them.

use std::collections::BTreeMap;

use bestow_store::clearance::Round;
use bestow_store::{Error as StoreError, Tx};
use serde::Serialize;

use crate::service::view::Instant;

/// A round of clearance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RoundView {
    /// When approval ends.
    pub deadline: Instant,
    /// `wanted`, `reading`, `deciding` or `closed`.
    pub state: String,
    /// Customers decided so far.
    pub customers: u64,
    /// Customers approved.
    pub approved: u64,
    /// Customers who were not, by reason, unless a later round decided anew.
    pub denied: BTreeMap<String, u64>,
    /// Customers reported to Optimove as approved.
    pub reported: u64,
    /// `complete`, or why it ended before: `past`, `deadline`, `list_held`, `suspended` or `revoked`.
    pub close_reason: Option<String>,
}

/// The rounds of a campaign, the earliest deadline first.
///
/// # Errors
/// The store's.
pub(crate) fn rounds(
    tx: &mut Tx<'_>,
    tenant: i64,
    campaign: i64,
) -> Result<Vec<RoundView>, StoreError> {
    let rounds = tx.rounds(tenant, campaign)?;
    rounds
        .into_iter()
        .map(|round| {
            let Round {
                no,
                deadline,
                state,
                customers,
                approved,
                reported,
                close_reason,
                ..
            } = round;
            Ok(RoundView {
                deadline: Instant(deadline),
                state,
                customers,
                approved,
                denied: tx.denials(tenant, campaign, no)?.into_iter().collect(),
                reported,
                close_reason,
            })
        })
        .collect()
}
