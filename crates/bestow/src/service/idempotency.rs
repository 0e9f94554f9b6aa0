//! Keys by which a request that is sent again is known to be the same.

use crate::error::{Error, Result};

/// Characters of a key.
pub const KEY_CHARS_MAX: usize = 255;

/// What a caller names a request by, so that sending it again does nothing more. Header `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads a key: 1 to [`KEY_CHARS_MAX`] visible characters of ASCII.
    ///
    /// # Errors
    /// [`Error::Invalid`] `bad_idempotency_key`.
    pub fn parse(text: &str) -> Result<Self> {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_visible && (1..=KEY_CHARS_MAX).contains(&text.len()) {
            return Ok(Self(text.to_owned()));
        }
        let message =
            format!("`Idempotency-Key` must have 1 to {KEY_CHARS_MAX} visible characters of ASCII");
        Err(Error::invalid("bad_idempotency_key", message))
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The refusal of a key that named another request before.
pub(crate) fn reused() -> Error {
    let message = "this `Idempotency-Key` was used for another request: use a new one";
    Error::invalid("idempotency_key_reused", message)
}
