//! What a use case can answer besides success, shaped by what its caller can do about it.

use crate::keys::KeyError;

/// An error of a use case. HTTP statuses and exit codes are made from it in one place each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for does not exist, or is not the caller's to see.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// What was sent breaks a rule; the message says which and what to do.
    #[error("{message}")]
    Invalid {
        /// Stable name of the rule.
        code: &'static str,
        /// For a person.
        message: String,
    },
    /// What was asked for cannot be done in the present state.
    #[error("{message}")]
    Conflict {
        /// Stable name of the reason.
        code: &'static str,
        /// For a person.
        message: String,
    },
    /// It was here and has left; the message says where to.
    #[error("{message}")]
    Gone {
        /// Stable name of the reason.
        code: &'static str,
        /// For a person.
        message: String,
    },
    /// Not now: too much of it lately.
    #[error("{message}")]
    TooMany {
        /// Stable name of the rule.
        code: &'static str,
        /// For a person.
        message: String,
        /// When to come again, in seconds.
        retry_after_seconds: u64,
    },
    /// Optimove refused, failed or could not be reached.
    #[error("Optimove: {0}")]
    Optimove(#[from] optimove::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] bestow_store::Error),
    /// The deployment's key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Error {
    /// An [`Error::Invalid`].
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid {
            code,
            message: message.into(),
        }
    }

    /// An [`Error::Conflict`].
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Conflict {
            code,
            message: message.into(),
        }
    }
}

/// The answer of a use case.
pub type Result<T, E = Error> = std::result::Result<T, E>;
