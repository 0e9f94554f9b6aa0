//! Triggered conditional execution: who decides, and decisions that come by a call of their own.

use http::{Method, StatusCode};
use serde_json::{Map, Value};

use super::general::{address, object};
use super::{Call, get};
use crate::answer::{Refusal, Reply};
use crate::campaign::Kind;
use crate::id::CampaignId;
use crate::switch::LateStatus;
use crate::world::Tenant;
use crate::write::{Object, Style};

/// `triggered_conditional_execution_gateway`: sets, removes or shows the tenant's one gateway.
pub(super) fn gateway(call: &Call) -> Result<Reply, Refusal> {
    if call.method == Method::GET {
        return show_gateway(call);
    }
    let url = match *call.method {
        Method::PUT => Some(address(&object(call.body)?, "url")?),
        _ => None,
    };
    call.shared.with_tenant(call.tenant, |tenant| {
        tenant.gateways.gateway = url;
        Ok(Reply::Void)
    })
}

fn show_gateway(call: &Call) -> Result<Reply, Refusal> {
    let gateway = |tenant: &mut Tenant| Ok(tenant.gateways.gateway.clone());
    let url = call.shared.with_tenant(call.tenant, gateway)?;
    let url = url.ok_or_else(|| Refusal::plain(StatusCode::NOT_FOUND))?;
    let mut json = Vec::new();
    let mut answer = Object::open(&mut json, Style::from(call.switches));
    answer.text("url", &url);
    answer.close();
    Ok(Reply::Json(json))
}

/// `conditional-execution/v2/triggered/webhooks`: sets the tenant's one webhook.
pub(super) fn register_webhook(call: &Call) -> Result<Reply, Refusal> {
    let url = address(&object(call.body)?, "url")?;
    call.shared.with_tenant(call.tenant, |tenant| {
        tenant.gateways.webhook = Some(url);
        Ok(Reply::Void)
    })
}

/// `conditional-execution/v2/triggered/approval`: decides the oldest question on a user.
pub(super) fn approve(call: &Call) -> Result<Reply, Refusal> {
    let body = object(call.body)?;
    let user = get(&body, "user_id").and_then(Value::as_str);
    let user = user.ok_or_else(|| Refusal::bad_request("user_id is needed."))?;
    let allowed = get(&body, "allowed").and_then(Value::as_bool);
    let allowed = allowed.ok_or_else(|| Refusal::bad_request("allowed is true or false."))?;
    let id = campaign(&body).ok_or_else(|| Refusal::bad_request("A campaign is needed."))?;
    call.shared.with_tenant(call.tenant, |tenant| {
        let entry = tenant.campaigns.get(&id);
        let triggered = |kind| matches!(kind, Kind::Triggered(_));
        if entry.is_some_and(|entry| triggered(entry.campaign.kind)) {
            return Ok(());
        }
        Err(Refusal::bad_request("The campaign is not known."))
    })?;
    let waited = call
        .shared
        .questions
        .decide(call.tenant, &id, user, allowed);
    match call.switches.late_status {
        LateStatus::Refuse if !waited => {
            Err(Refusal::bad_request("No question waits for this decision."))
        }
        LateStatus::Ignore | LateStatus::Refuse => Ok(Reply::Void),
    }
}

/// The campaign of a decision: `campaign` as it was asked or its id alone, or `campaign_id`.
fn campaign(body: &Map<String, Value>) -> Option<CampaignId> {
    let id = match get(body, "campaign") {
        Some(Value::Object(campaign)) => get(campaign, "id")?,
        Some(id) => id,
        None => get(body, "campaign_id")?,
    };
    match id {
        Value::String(text) => Some(CampaignId::read(text.trim())),
        id => id.as_u64().map(CampaignId::Number),
    }
}
