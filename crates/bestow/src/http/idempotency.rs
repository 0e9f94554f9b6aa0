//! The header `Idempotency-Key`.

use axum::http::HeaderMap;

use crate::http::problem::Problem;
use crate::service::idempotency::IdempotencyKey;

const HEADER: &str = "idempotency-key";

/// The key of a request, if it has one.
///
/// # Errors
/// Where it is none, or where there are several.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let mut given = headers.get_all(HEADER).iter();
    let Some(key) = given.next() else {
        return Ok(None);
    };
    // What is no text, or comes twice, is refused as an empty key is.
    let text = key.to_str().ok().filter(|_| given.next().is_none());
    Ok(Some(IdempotencyKey::parse(text.unwrap_or_default())?))
}
