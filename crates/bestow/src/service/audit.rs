//! Audit records, each written in the transaction of the change it tells of, and sealed a little later.

pub mod chain;
mod check;
mod seal;
mod view;

use std::fmt;

use bestow_store::audit::AuditEntry;
use bestow_store::{Error as StoreError, Tx};

pub(crate) use check::check;
pub use seal::Sealer;
pub use view::{CheckpointView, KeptCheckpoint, kept, list, newest};

use crate::service::redemptions;

/// What an audit record or a finding is about. Its text is kept, so a form once used stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Object<'a> {
    /// A campaign, by Optimove's id.
    Campaign(&'a str),
    /// A round of clearance, by its campaign's id and its number there.
    Round(&'a str, i64),
    /// The pairs of one promo code in a campaign, both by our numbers.
    Offer { campaign_no: i64, offer: u32 },
    /// A destination, by its id.
    Destination(&'a str),
    /// A delivery, by its id.
    Delivery(&'a str),
    /// The list of customers who get nothing.
    Exclusions,
    /// A finding, by its kind and what it is about.
    Finding(&'a str, &'a str),
    /// A notification, by the id it is known under outside.
    Notification(&'a str),
    /// A promotion, by its code.
    Promotion(&'a str),
    /// A redemption, by the id it is kept under.
    Redemption(&'a str),
    /// A tenant, by its slug.
    Tenant(&'a str),
    /// An API token, by its public id.
    Token(&'a str),
}

impl Object<'_> {
    /// Records that somebody did something to it. `detail` is JSON.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn record(
        self,
        tx: &mut Tx<'_>,
        tenant: i64,
        actor: &str,
        action: &str,
        detail: &impl fmt::Display,
    ) -> Result<(), StoreError> {
        tx.audit(&AuditEntry {
            tenant,
            actor,
            action,
            object: &self.to_string(),
            detail: &detail.to_string(),
        })
    }
}

impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Campaign(id) => write!(f, "campaign/{id}"),
            Self::Round(campaign, round) => write!(f, "campaign/{campaign}/round/{round}"),
            Self::Offer { campaign_no, offer } => {
                write!(f, "campaign-no/{campaign_no}/offer/{offer}")
            }
            Self::Destination(id) => write!(f, "destination/{id}"),
            Self::Delivery(id) => write!(f, "delivery/{id}"),
            Self::Exclusions => f.write_str("exclusions"),
            Self::Finding(kind, about) => write!(f, "finding/{kind}/{about}"),
            Self::Notification(id) => write!(f, "notification/{id}"),
            Self::Promotion(code) => write!(f, "promotion/{code}"),
            Self::Redemption(id) => write!(f, "redemption/{}", redemptions::shown_id(id)),
            Self::Tenant(id) => write!(f, "tenant/{id}"),
            Self::Token(id) => write!(f, "token/{id}"),
        }
    }
}
