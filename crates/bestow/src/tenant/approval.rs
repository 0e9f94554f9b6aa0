//! The operator's own approval endpoint, as kept.

use serde::{Deserialize, Serialize};

/// Who is asked before a customer of a conditional campaign is approved.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Where batches are posted to.
    pub url: String,
    /// What they are signed with: sealed, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_secret: Option<String>,
}

impl std::fmt::Debug for Approval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Approval")
            .field("url", &self.url)
            .field("is_signed", &self.sealed_secret.is_some())
            .finish()
    }
}
