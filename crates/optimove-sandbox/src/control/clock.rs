//! `/_sandbox/clock`.

use std::sync::Arc;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{ControlRequest, Problem, Reply, ok};
use crate::shared::Shared;
use crate::spec::{AdvanceSpec, ClockSpec};

pub(super) fn view(shared: &Shared) -> Value {
    json!({ "now": shared.clock.now().to_string() })
}

pub(super) fn set(shared: &Arc<Shared>, request: &ControlRequest) -> Result<Reply, Problem> {
    let spec: ClockSpec = request.json()?;
    let now = spec.now.parse::<Timestamp>();
    let now = now.map_err(|_| {
        Problem(
            StatusCode::BAD_REQUEST,
            format!("{:?} is not an RFC 3339 instant", spec.now),
        )
    })?;
    move_to(shared, now)
}

pub(super) fn advance(shared: &Arc<Shared>, request: &ControlRequest) -> Result<Reply, Problem> {
    let AdvanceSpec { seconds } = request.json()?;
    let now = shared
        .clock
        .now()
        .checked_add(SignedDuration::from_secs(seconds));
    move_to(shared, now.unwrap_or(Timestamp::MAX))
}

fn move_to(shared: &Arc<Shared>, now: Timestamp) -> Result<Reply, Problem> {
    shared.move_clock(now)?;
    Ok(ok(view(shared)))
}
