//! Rules of a tenant that are one word each.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is done with a cancelled campaign where Optimove cannot tell whether it was cancelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnconfirmedRule {
    /// It is revoked, and marked as unconfirmed.
    #[default]
    Revoke,
    /// It stays suspended until a person decides.
    Suspend,
}

impl UnconfirmedRule {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revoke => "revoke",
            Self::Suspend => "suspend",
        }
    }

    /// The rule that a stored tenant has.
    pub(super) fn stored(name: &str) -> Self {
        if name == Self::Suspend.as_str() {
            Self::Suspend
        } else {
            Self::Revoke
        }
    }
}

/// What ends a tenant's grants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryRule {
    /// The campaign's duration.
    #[default]
    Duration,
    /// Optimove's daily list of ended actions.
    EndedByDate,
    /// Whichever is first.
    Both,
}

impl ExpiryRule {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::EndedByDate => "ended_by_date",
            Self::Both => "both",
        }
    }

    /// The rule that a stored tenant has.
    pub(super) fn stored(name: &str) -> Self {
        [Self::EndedByDate, Self::Both]
            .into_iter()
            .find(|rule| rule.as_str() == name)
            .unwrap_or_default()
    }
}
