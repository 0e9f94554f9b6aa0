//! The reason that a person gives for a change, which the store keeps beside it.

use crate::error::{Error, Result};

/// Characters of a reason.
const CHARS_MAX: usize = 500;

/// The reason as it is kept: trimmed, one line, `None` where none was given.
///
/// # Errors
/// [`Error::Invalid`] `reason_too_long` beyond 500 characters; `bad_reason` for control characters: people read reasons on one
/// line, and PostgreSQL cannot keep a NUL.
pub(crate) fn given(text: Option<&str>) -> Result<Option<String>> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if text.chars().count() > CHARS_MAX {
        let message = format!("The reason may have at most {CHARS_MAX} characters.");
        return Err(Error::invalid("reason_too_long", message));
    }
    if text.contains(char::is_control) {
        let message = "The reason is one line, without control characters.";
        return Err(Error::invalid("bad_reason", message));
    }
    Ok(Some(text.to_owned()))
}

/// As [`given`], where a reason must be given.
///
/// # Errors
/// Those of [`given`]; [`Error::Invalid`] `reason_needed`.
pub(crate) fn needed(text: &str) -> Result<String> {
    given(Some(text))?.ok_or_else(|| {
        let message = "Say why: `reason` is kept beside the change.";
        Error::invalid("reason_needed", message)
    })
}
