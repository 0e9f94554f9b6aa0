//! `/_sandbox/triggers`.

use std::sync::Arc;

use serde_json::json;

use super::{ControlRequest, Problem, Reply, ok};
use crate::shared::Shared;
use crate::spec::TriggerSpec;

/// Lets a customer meet a trigger, and answers what came of it.
pub(super) async fn trigger(
    shared: &Arc<Shared>,
    request: &ControlRequest<'_>,
) -> Result<Reply, Problem> {
    let spec: TriggerSpec = request.json()?;
    let outcome = shared.trigger(&spec).await?;
    Ok(ok(json!({
        "action": outcome.action,
        "asked": outcome.asked,
        "allowed": outcome.allowed,
        "answer_status": outcome.answer_status,
        "problem": outcome.problem,
        "waited_ms": outcome.waited_ms,
        "sent": outcome.sent,
        "notification_ids": outcome.notification_ids,
    })))
}
