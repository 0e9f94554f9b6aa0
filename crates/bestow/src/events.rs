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
}

impl Event {
    /// The tenant it happened to.
    pub fn tenant(&self) -> &str {
        match self {
            Self::PageLanded { tenant, .. }
            | Self::Merged { tenant, .. }
            | Self::ImportEnded { tenant, .. } => tenant,
        }
    }
}
