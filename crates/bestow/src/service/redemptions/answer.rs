//! Answers that are kept, byte for byte.

use bestow_core::Refusal;
use http::StatusCode;

use super::sentence;
use crate::problem::Document;

/// An answer as it was given first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// As HTTP has it: 201, or 409 for a refusal.
    pub status: StatusCode,
    /// JSON: the redemption, or a problem document.
    pub body: Vec<u8>,
}

impl Answered {
    /// A refusal.
    pub(super) fn refused(refusal: Refusal) -> Self {
        let status = StatusCode::CONFLICT;
        let document = Document::new(&status, refusal.code(), sentence(refusal), None);
        Self {
            status,
            body: document.to_bytes(),
        }
    }

    /// Whether it is a redemption or pledge, and no refusal.
    pub fn is_granted(&self) -> bool {
        self.status.is_success()
    }
}
