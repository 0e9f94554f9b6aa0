//! `/_sandbox/campaigns`.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::{ControlRequest, Problem, Reply, ok, with_notifications};
use crate::body::Body;
use crate::campaign::{Asking, Kind};
use crate::entry::Entry;
use crate::hold::{Group, Phase};
use crate::id::CampaignId;
use crate::lifecycle::Expectations;
use crate::shared::Shared;

/// Bytes of an answer in lines made at a time.
const PIECE_BYTES: usize = 64 * 1024;

pub(super) fn add(shared: &Shared, request: &ControlRequest) -> Result<Reply, Problem> {
    let entry = shared.add_campaign(request.json()?)?;
    Ok(Reply::Json(StatusCode::CREATED, view(&entry)))
}

pub(super) fn show(shared: &Shared, id: &str, tenant: Option<&str>) -> Result<Reply, Problem> {
    Ok(ok(view(&shared.entry(&id.into(), tenant)?)))
}

pub(super) fn process(
    shared: &Arc<Shared>,
    id: &str,
    tenant: Option<&str>,
    request: &ControlRequest,
) -> Result<Reply, Problem> {
    let id = CampaignId::from(id);
    let sent = shared.process(&id, tenant, &request.json_or_default()?)?;
    let view = view(&shared.entry(&id, tenant)?);
    Ok(ok(with_notifications(view, &sent)))
}

pub(super) fn cancel(
    shared: &Arc<Shared>,
    id: &str,
    tenant: Option<&str>,
) -> Result<Reply, Problem> {
    let id = CampaignId::from(id);
    let sent = shared.cancel(&id, tenant)?;
    let view = view(&shared.entry(&id, tenant)?);
    Ok(ok(with_notifications(view, &sent)))
}

/// The oracle.
pub(super) fn expected(shared: &Shared, id: &str, tenant: Option<&str>) -> Result<Reply, Problem> {
    let lines = match shared.expected(&id.into(), tenant)? {
        Expectations::Executed(expected) => lines(expected, |one, out| one.write_line(out)),
        Expectations::Triggered(expected) => {
            lines(expected.into_iter(), |one, out| one.write_line(out))
        }
    };
    Ok(Reply::Lines(lines))
}

/// The oracle of approvals.
pub(super) fn statuses(shared: &Shared, id: &str, tenant: Option<&str>) -> Result<Reply, Problem> {
    let statuses = shared.statuses(&id.into(), tenant)?;
    Ok(Reply::Lines(lines(statuses, |one, out| {
        one.write_line(out);
    })))
}

/// A campaign as the control API shows it.
pub(crate) fn view(entry: &Entry) -> Value {
    let campaign = &entry.campaign;
    let id = match &campaign.id {
        CampaignId::Number(number) => json!(number),
        CampaignId::Text(text) => json!(text),
    };
    let (approved, denied) = entry.decided();
    let mut view = json!({
        "id": id,
        "tenant": campaign.tenant,
        "kind": campaign.kind.name(),
        "status": entry.state.name(),
        "audience": campaign.audience_size(),
        "control": campaign.control,
        "approved": approved,
        "denied": denied,
        "sent": entry.sent_size(),
        "executed_on": entry.executed_on().map(|date| date.to_string()),
    });
    if let Kind::Triggered(asking) = campaign.kind {
        view["conditional"] = (asking == Asking::First).into();
    }
    if let Some(hold) = &entry.hold {
        let tally = entry.tally();
        view["send_groups"] = hold.groups.iter().map(group_view).collect();
        view["reports"] =
            json!({"in_time": tally.in_time, "late": tally.late, "unknown": tally.unknown});
    }
    view
}

fn group_view(group: &Group) -> Value {
    let status = match group.phase {
        Phase::Waiting => "waiting",
        Phase::Announced => "announced",
        Phase::Executed(_) => "executed",
    };
    json!({
        "status": status,
        "announced_at": group.announced_at.to_string(),
        "clearance_required_by": group.deadline.to_string(),
    })
}

/// Lines of JSON as they are made.
fn lines<T>(
    mut items: impl Iterator<Item = T> + Send + 'static,
    write: impl Fn(&T, &mut Vec<u8>) + Send + 'static,
) -> Body {
    Body::stream(std::iter::from_fn(move || {
        let mut piece = Vec::with_capacity(PIECE_BYTES + 1024);
        while piece.len() < PIECE_BYTES {
            let Some(item) = items.next() else {
                break;
            };
            write(&item, &mut piece);
        }
        (!piece.is_empty()).then(|| Bytes::from(piece))
    }))
}
