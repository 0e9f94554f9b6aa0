//! `/v1/clock`: moving the time, for tests, only there where the clock can be moved; and confirming it.

use axum::Json as Answer;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Result;
use crate::http::body::{Ignored, Json};
use crate::http::problem::{Document, Problem};
use crate::http::routes::Inner;
use crate::http::routes::Shared;
use crate::service::view::Instant;

/// The first and the last year that the clock may be set to.
const YEARS: std::ops::RangeInclusive<i16> = 1970..=2299;

/// The time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Now {
    /// The instant.
    now: Instant,
}

/// The time to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetClock {
    /// RFC 3339, in the years 1970 to 2299.
    #[schema(format = DateTime)]
    now: String,
}

/// How far to move the time.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Advance {
    /// Seconds, forward or (below zero) back.
    seconds: i64,
}

/// The time by this service.
#[utoipa::path(
    get, path = "/v1/clock", tag = "clock",
    responses((status = 200, body = Now), (status = "default", body = Document)),
)]
pub(crate) async fn get(State(shared): State<Shared>) -> Answer<Now> {
    now(&shared)
}

/// Sets the time, back or forward; it runs on from there.
#[utoipa::path(
    put, path = "/v1/clock", tag = "clock", request_body = SetClock,
    responses((status = 200, body = Now), (status = "default", body = Document)),
)]
pub(crate) async fn set(
    State(shared): State<Shared>,
    Json(wanted): Json<SetClock>,
) -> Result<Answer<Now>, Problem> {
    let to: Timestamp = wanted.now.parse().map_err(|_| out_of_bounds())?;
    move_to(&shared, to)
}

/// Moves the time, back or forward; it runs on from there.
#[utoipa::path(
    post, path = "/v1/clock/advance", tag = "clock", request_body = Advance,
    responses((status = 200, body = Now), (status = "default", body = Document)),
)]
pub(crate) async fn advance(
    State(shared): State<Shared>,
    Json(wanted): Json<Advance>,
) -> Result<Answer<Now>, Problem> {
    let ms = wanted
        .seconds
        .checked_mul(1_000)
        .and_then(|by| shared.app.clock.now_ms().checked_add(by));
    let to = ms
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .ok_or_else(out_of_bounds)?;
    move_to(&shared, to)
}

/// Says that the machine's clock is right, after it jumped. Until then time goes on as if it had not.
#[utoipa::path(
    post, path = "/v1/clock/confirm", tag = "clock",
    responses((status = 200, body = Now), (status = "default", body = Document)),
)]
pub(crate) async fn confirm(State(shared): State<Shared>, _: Ignored) -> Answer<Now> {
    let before = shared.app.clock.now_ms();
    shared.app.clock.confirm();
    let now = now(&shared);
    tracing::warn!(
        clock.moved_ms = now.0.now.0 - before,
        "the machine's clock was confirmed"
    );
    shared.app.work.ring_here();
    now
}

fn move_to(shared: &Inner, to: Timestamp) -> Result<Answer<Now>, Problem> {
    let year = to.to_zoned(jiff::tz::TimeZone::UTC).year();
    if !YEARS.contains(&year) || !shared.app.clock.set(to) {
        return Err(out_of_bounds());
    }
    // Jobs may be due by now.
    shared.app.work.ring_here();
    Ok(now(shared))
}

fn now(shared: &Inner) -> Answer<Now> {
    Answer(Now {
        now: Instant(shared.app.clock.now_ms()),
    })
}

fn out_of_bounds() -> Problem {
    let detail = "The clock can be set to an RFC 3339 instant in the years 1970 to 2299.";
    Problem::unprocessable("bad_instant", detail)
}
