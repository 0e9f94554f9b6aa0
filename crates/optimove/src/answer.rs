//! What an answer means: status first, body second. Pure.

use std::time::Duration;

use crate::error::Error;
use crate::read::{Raw, ReadError, is_html, read_object, trim_body};
use crate::secret::Secret;
use crate::wire::error_message;

/// An answer as it was received.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

/// What "nothing found" means for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// A list without rows.
    NoRows,
    /// The campaign is not known.
    UnknownCampaign,
    /// Something is wrong with the call.
    Error,
}

/// Whether the server says that the session token has run out.
pub(crate) fn is_expired_token(answer: &Answer) -> bool {
    let text = String::from_utf8_lossy(&answer.body).to_lowercase();
    answer.status == 403 && !is_html(trim_body(&text)) && text.contains("expired")
}

/// The body of a success, an empty one for "no rows", or the error that the status stands for.
pub(crate) fn check_status(
    answer: Answer,
    absent: Absent,
    scrub: impl Fn(String) -> String,
) -> Result<Vec<u8>, Error> {
    let Answer {
        status,
        retry_after,
        body,
    } = answer;
    if status == 404 && absent != Absent::Error {
        return nothing_found(&body, absent, scrub);
    }
    let message = || scrub(error_message(&body));
    match status {
        200..=299 => Ok(body),
        400 => Err(Error::BadRequest { message: message() }),
        401 => Err(Error::Unauthorized { message: message() }),
        403 => Err(Error::Forbidden { message: message() }),
        404 => Err(Error::NotFound { message: message() }),
        429 => Err(Error::RateLimited { retry_after }),
        500..=599 => Err(Error::Server {
            status,
            message: message(),
        }),
        _ => Err(Error::Refused {
            status,
            message: message(),
        }),
    }
}

/// A 404: empty, plain text or a JSON string is "nothing"; HTML comes from somewhere else.
fn nothing_found(
    body: &[u8],
    absent: Absent,
    scrub: impl Fn(String) -> String,
) -> Result<Vec<u8>, Error> {
    let text = String::from_utf8_lossy(body);
    let text = trim_body(&text);
    if is_html(text) {
        return Err(Error::malformed(ReadError::Html, body));
    }
    match absent {
        Absent::UnknownCampaign => Err(Error::UnknownCampaign),
        Absent::NoRows if !text.starts_with(['{', '[']) => Ok(Vec::new()),
        Absent::NoRows | Absent::Error => Err(Error::NotFound {
            message: scrub(error_message(body)),
        }),
    }
}

/// Whether the body of a successful write says so: it may be empty, `true`, an object or plain
/// text, but HTML, a JSON string or another `ResponseCode` is an error dressed as a success.
pub(crate) fn check_written(body: &[u8]) -> Result<(), Error> {
    let text = String::from_utf8_lossy(body);
    let text = trim_body(&text);
    let refused = if is_html(text) {
        Some(ReadError::Html)
    } else if text.starts_with('"') {
        Some(ReadError::WrongType {
            expected: "nothing",
            found: "a string",
        })
    } else {
        let code = read_object(text).and_then(|object| object.field("ResponseCode", Raw::integer));
        let failed = matches!(code, Ok(Some(code)) if !matches!(code, Some(200..=299)));
        failed.then_some(ReadError::BadValue {
            field: "ResponseCode",
        })
    };
    refused.map_or(Ok(()), |source| Err(Error::malformed(source, body)))
}

/// Shorter secrets are not looked for: they would be found in ordinary words.
const SECRET_BYTES_MIN: usize = 4;

/// A server's message without our secrets and without URLs, whose paths may be secret.
pub(crate) fn scrub(message: String, secrets: &[Secret]) -> String {
    let mut text = message;
    for secret in secrets
        .iter()
        .filter(|secret| secret.expose().len() >= SECRET_BYTES_MIN)
    {
        text = text.replace(secret.expose(), "***");
    }
    mask_urls(&text)
}

/// Replaces what follows the scheme of each URL by `***`.
fn mask_urls(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = find_scheme(rest) {
        let (before, url) = rest.split_at(at);
        masked.push_str(before);
        let end = url.find(|sign: char| sign.is_whitespace() || "\"'<>".contains(sign));
        let (url, after) = url.split_at(end.unwrap_or(url.len()));
        masked.push_str(url.split_inclusive([':', '%']).next().unwrap_or_default());
        masked.push_str("***");
        rest = after;
    }
    masked.push_str(rest);
    masked
}

/// Where a URL starts, plain or percent-encoded.
fn find_scheme(text: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    ["http:", "https:", "http%3a", "https%3a"]
        .iter()
        .filter_map(|scheme| lower.find(scheme))
        .min()
}
