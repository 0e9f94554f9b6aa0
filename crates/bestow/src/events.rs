//! What can be watched while it happens. A courtesy: the truth is in the store.

use serde::Serialize;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A page of a campaign became durable.
    PageLanded {
        /// The tenant's slug.
        tenant: String,
        /// Optimove's campaign id.
        campaign: String,
        /// Optimove's channel; 0: every channel.
        channel: i64,
        /// Rows of this pass so far.
        rows: u64,
    },
    /// Landed rows became grants.
    Merged {
        /// The tenant's slug.
        tenant: String,
        /// Optimove's campaign id.
        campaign: String,
        /// Customers so far in this merge.
        customers: u64,
    },
    /// A campaign's import came to an end of some kind.
    ImportEnded {
        /// The tenant's slug.
        tenant: String,
        /// Optimove's campaign id.
        campaign: String,
        /// `done` or `held`.
        state: String,
    },
    /// A pool of unique codes has come down to a mark.
    CodesLow {
        /// The tenant's slug.
        tenant: String,
        /// The promotion's code, folded.
        promo_code: String,
        /// The mark: 20, 5 or 0 per cent.
        percent: u8,
        /// Codes that can still be given.
        free: u64,
        /// Codes ever loaded.
        loaded: u64,
    },
}

impl Event {
    /// The tenant it happened to.
    pub fn tenant(&self) -> &str {
        match self {
            Self::PageLanded { tenant, .. }
            | Self::Merged { tenant, .. }
            | Self::ImportEnded { tenant, .. }
            | Self::CodesLow { tenant, .. } => tenant,
        }
    }
}
