//! The document that an answer carries which is not 2xx (RFC 9457).

use http::StatusCode;
use serde::Serialize;

/// The document.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document<'a> {
    /// Always `about:blank`: the code says what the problem is.
    r#type: &'static str,
    /// The status in words.
    title: &'a str,
    /// The status.
    status: u16,
    /// Stable; for programs.
    code: &'a str,
    /// One sentence for people.
    detail: &'a str,
    /// Where the status is 500: what to look for in the log.
    reference: Option<&'a str>,
}

impl<'a> Document<'a> {
    pub(crate) fn new(
        status: &'a StatusCode,
        code: &'a str,
        detail: &'a str,
        reference: Option<&'a str>,
    ) -> Self {
        Self {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code,
            detail,
            reference,
        }
    }

    /// As it is sent.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and a number are always JSON")
    }
}
