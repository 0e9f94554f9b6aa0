//! Bodies of requests: never more than the limit, never longer than the time limit, never encoded.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tokio::time::error::Elapsed;

use crate::http::problem::Problem;
use crate::http::routes::Shared;

/// Objects and lists within each other.
const JSON_DEPTH_MAX: usize = 32;
/// Room made for a body that is only announced.
const ROOM_BYTES_MAX: usize = 16 * 1_024;
/// Pace of a body of any size.
const PACE_BYTES_PER_SECOND_MIN: u64 = 4_096;

/// How much of a body is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    pub(crate) bytes_max: usize,
    pub(crate) seconds_max: u64,
}

/// Reads a body to its end, or says why not. One that announces more than the limit is not read at
/// all.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    limits: BodyLimits,
) -> Result<Bytes, Problem> {
    refuse_encoded(headers)?;
    if body.size_hint().lower() > limits.bytes_max as u64 {
        return Err(too_large(limits.bytes_max));
    }
    let whole = whole(Limited::new(body, limits.bytes_max));
    match within(Duration::from_secs(limits.seconds_max), whole).await {
        Ok(Ok(whole)) => Ok(whole),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(limits.bytes_max)),
        Ok(Err(_)) => Err(Problem::bad_request(
            "broken_body",
            "The body ended before it was complete.",
        )),
        Err(_) => {
            let detail = format!("The body was not complete within {} s.", limits.seconds_max);
            Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "slow_body",
                detail,
            ))
        }
    }
}

/// As [`tokio::time::timeout`], for what is mostly there already: a timer is set only for what is not there at the second
/// look. At the first the connection has not been told yet that its body is wanted.
async fn within<F: Future>(time: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut looks = 0;
    let early = poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if looks == 0 => {
            looks = 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        Poll::Pending => Poll::Ready(None),
    });
    match early.await {
        Some(done) => Ok(done),
        None => tokio::time::timeout(time, future).await,
    }
}

/// All of a body. Its end is not asked for where its length says that it is reached: that would set a timer and run
/// the connection once more, for every request.
async fn whole(mut body: Limited<Body>) -> Result<Bytes, BoxError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut whole = Vec::with_capacity(announced.min(ROOM_BYTES_MAX));
    while !body.is_end_stream()
        && let Some(frame) = body.frame().await
    {
        if let Ok(piece) = frame?.into_data() {
            whole.extend_from_slice(&piece);
        }
    }
    Ok(whole.into())
}

fn refuse_encoded(headers: &HeaderMap) -> Result<(), Problem> {
    let encoding = headers.get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        let detail = "The body may not be compressed or otherwise encoded.";
        return Err(unsupported("encoded_body", detail));
    }
    Ok(())
}

fn too_large(bytes_max: usize) -> Problem {
    let detail = format!("The body may have at most {bytes_max} bytes.");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

fn unsupported(code: &'static str, detail: &'static str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, detail)
}

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        if !is_json(&head.headers) {
            let detail = "The body must be JSON: Content-Type: application/json.";
            return Err(unsupported("not_json", detail));
        }
        parse(&read(&head.headers, body, shared.api_body_limits()).await?).map(Self)
    }
}

/// A JSON body, or none: then everything is as by default.
pub(crate) struct JsonOrNothing<T>(pub(crate) T);

impl<T: DeserializeOwned + Default> FromRequest<Shared> for JsonOrNothing<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Problem> {
        if request.body().is_end_stream() {
            return Ok(Self(T::default()));
        }
        Json::from_request(request, shared)
            .await
            .map(|Json(value)| Self(value))
    }
}

/// No body that anybody would look at: what comes is read, within the limits, and forgotten.
pub(crate) struct Ignored;

impl FromRequest<Shared> for Ignored {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        read(&head.headers, body, shared.api_body_limits())
            .await
            .map(|_| Self)
    }
}

/// A body of any size, piece by piece. Instead of an end, it has a pace: a client that keeps us waiting is given up.
pub(crate) struct Paced {
    body: Body,
    seconds_max: u64,
    /// How long the client has kept us waiting in all.
    waited: Duration,
    bytes: u64,
}

impl Paced {
    /// The body of a request; the first `seconds_max` seconds of waiting are free.
    ///
    /// # Errors
    /// Where it is compressed or otherwise encoded.
    pub(crate) fn new(request: Request, seconds_max: u64) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        refuse_encoded(&head.headers)?;
        Ok(Self {
            body,
            seconds_max,
            waited: Duration::ZERO,
            bytes: 0,
        })
    }

    /// The next piece; `None` at the end of a body that is complete.
    ///
    /// # Errors
    /// Where it breaks off, or comes more slowly than it may.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let earned = Duration::from_secs(self.bytes / PACE_BYTES_PER_SECOND_MIN);
        let allowed = Duration::from_secs(self.seconds_max) + earned;
        let begun = Instant::now();
        let frame = tokio::time::timeout(allowed.saturating_sub(self.waited), self.body.frame());
        let frame = frame.await.map_err(|_| {
            let detail = format!(
                "The body came too slowly: at least {PACE_BYTES_PER_SECOND_MIN} bytes a second."
            );
            Problem::new(StatusCode::REQUEST_TIMEOUT, "slow_body", detail)
        })?;
        self.waited += begun.elapsed();
        match frame {
            None => Ok(None),
            Some(Ok(frame)) => {
                let piece = frame.into_data().unwrap_or_default();
                self.bytes += piece.len() as u64;
                Ok(Some(piece))
            }
            Some(Err(_)) => Err(Problem::bad_request(
                "broken_body",
                "The body ended before it was complete.",
            )),
        }
    }
}

/// A body that is a text, whole.
///
/// # Errors
/// Where it is larger than `bytes_max`, no text, or comes too slowly.
pub(crate) async fn text(
    request: Request,
    bytes_max: usize,
    seconds_max: u64,
) -> Result<String, Problem> {
    let mut body = Paced::new(request, seconds_max)?;
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await? {
        if bytes.len() + piece.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| Problem::bad_request("bad_text", "The body is not UTF-8."))
}

fn is_json(headers: &HeaderMap) -> bool {
    has_type(headers, "application/json")
}

/// Whether the body says that it is of this type, whatever it says of its letters.
pub(crate) fn has_type(headers: &HeaderMap, essence: &str) -> bool {
    let Some(Ok(value)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) else {
        return false;
    };
    let found = value.split(';').next().unwrap_or_default().trim();
    found.eq_ignore_ascii_case(essence)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if is_deeper_than(bytes, JSON_DEPTH_MAX) {
        let detail = format!("The body is nested deeper than {JSON_DEPTH_MAX} levels.");
        return Err(Problem::bad_request("json_too_deep", detail));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        if error.is_data() {
            Problem::unprocessable(
                "invalid_body",
                format!("The body is not acceptable: {error}."),
            )
        } else {
            Problem::bad_request("bad_json", format!("The body is not JSON: {error}."))
        }
    })
}

/// Whether brackets outside of texts open more than `depth_max` levels.
fn is_deeper_than(json: &[u8], depth_max: usize) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > depth_max {
                    return true;
                }
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_texts() {
        assert!(!is_deeper_than(br#"{"a":["]]]]{{{{[[[[\"[[["]}"#, 2));
        assert!(is_deeper_than(br#"{"a":[[1]]}"#, 2));
        assert!(!is_deeper_than("[]".repeat(100).as_bytes(), 1));
    }
}
