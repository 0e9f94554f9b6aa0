//! Group `actions`: campaigns, their channels, codes and actions.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use jiff::Timestamp;

use super::Call;
use crate::answer::{Refusal, Reply};
use crate::campaign::{Audience, CONTROL_ACTION_ID, Campaign};
use crate::entry::{Entry, State};
use crate::id::CampaignId;
use crate::random::{key, letters};
use crate::write::{List, Object, Style, texts};

/// Name of the control group's action.
const CONTROL_ACTION_NAME: &str = "DN";

/// `GetCampaignDetails`; an unknown campaign is always 404.
pub(super) fn campaign_details(call: &Call) -> Result<Reply, Refusal> {
    let id = call.query.required_number("CampaignID")?;
    let entry = known_campaign(call, id)?.ok_or_else(|| Refusal::plain(StatusCode::NOT_FOUND))?;
    let names = channel_names(call)?;
    let mut json = Vec::new();
    let mut answer = Object::open(&mut json, Style::from(call.switches));
    write_details(&mut answer, &entry, &names, call);
    answer.close();
    Ok(Reply::Json(json))
}

/// `GetExecutedCampaignDetails`: the campaigns executed on a date.
pub(super) fn executed_campaigns(call: &Call) -> Result<Reply, Refusal> {
    let names = channel_names(call)?;
    let executed = executed_on_date(call)?;
    Ok(list(call, executed, |row, entry| {
        row.id("CampaignID", entry.campaign.number());
        write_details(row, &entry, &names, call);
    }))
}

/// `GetExecutedCampaignChannelDetails`: what was sent on one channel.
pub(super) fn channel_details(call: &Call) -> Result<Reply, Refusal> {
    let id = call.query.required_number("CampaignID")?;
    let channel = call.query.required_number("ChannelID")?;
    let entry = known_campaign(call, id)?.filter(|entry| entry.executed_on().is_some());
    let sends = entry.as_ref().map(|entry| sends(entry, channel));
    let sends = sends.unwrap_or_default();
    Ok(list(call, sends, |row, (template, scheduled)| {
        let Some(entry) = &entry else { return };
        let campaign = &entry.campaign;
        let parts = [
            campaign.seed,
            channel,
            template,
            scheduled.as_second() as u64,
        ];
        row.id("ListID", key(&parts) % 100_000);
        row.text("SendID", &letters(&parts, 8));
        row.id("TemplateID", template);
        row.time("ScheduledTime", scheduled, &campaign.zone);
    }))
}

/// `GetExecutedCampaignsByChannel`.
pub(super) fn campaigns_by_channel(call: &Call) -> Result<Reply, Refusal> {
    let channel = call.query.required_number("ChannelID")?;
    let mut executed = executed_on_date(call)?;
    executed.retain(|entry| entry.campaign.channels().contains(&channel));
    Ok(list(call, executed, |row, entry| {
        row.id("CampaignID", entry.campaign.number());
    }))
}

/// `GetExecutionChannels`; the switch `key-casing` knows the spelling seen live.
pub(super) fn execution_channels(call: &Call) -> Result<Reply, Refusal> {
    let live = call.switches.key_casing == crate::switch::KeyCasing::Live;
    let name = if live { "ChannelId" } else { "ChannelID" };
    let channels = call
        .shared
        .with_tenant(call.tenant, |tenant| Ok(tenant.channels.clone()))?;
    Ok(list(call, channels, |row, channel| {
        row.id(name, channel.id);
        row.text("ChannelName", &channel.name);
    }))
}

/// `GetPromoCodes`: the codes of all campaigns of a date.
pub(super) fn promo_codes(call: &Call) -> Result<Reply, Refusal> {
    let executed = executed_on_date(call)?;
    let codes: Vec<_> = executed
        .iter()
        .flat_map(|entry| codes(&entry.campaign))
        .collect();
    Ok(list(call, codes, |row, code| {
        row.id("TargetGroupID", code.target_group);
        write_code(row, &code);
    }))
}

/// `GetPromoCodesByCampaign`.
pub(super) fn promo_codes_by_campaign(call: &Call) -> Result<Reply, Refusal> {
    let id = call.query.required_number("CampaignID")?;
    let entry = known_campaign(call, id)?;
    let codes = entry.iter().flat_map(|entry| codes(&entry.campaign));
    Ok(list(call, codes, |row, code| write_code(row, &code)))
}

/// `GetPromoCodesByTargetGroup`.
pub(super) fn promo_codes_by_target_group(call: &Call) -> Result<Reply, Refusal> {
    let target_group = call.query.required_number("TargetGroupID")?;
    let executed = executed_on_date(call)?;
    let codes = executed.iter().flat_map(|entry| codes(&entry.campaign));
    let codes = codes.filter(|code| code.target_group == target_group);
    Ok(list(call, codes, |row, code| write_code(row, &code)))
}

/// `GetActionName`.
pub(super) fn action_name(call: &Call) -> Result<Reply, Refusal> {
    let id = call.query.required_number("ActionID")?;
    let actions = tenant_actions(call)?;
    let name = actions
        .get(&id)
        .ok_or_else(|| Refusal::plain(StatusCode::NOT_FOUND))?;
    let mut json = Vec::new();
    let mut answer = Object::open(&mut json, Style::from(call.switches));
    answer.text("ActionName", name);
    answer.close();
    Ok(Reply::Json(json))
}

/// `GetAllActions`, the control group's included.
pub(super) fn all_actions(call: &Call) -> Result<Reply, Refusal> {
    Ok(list(call, tenant_actions(call)?, |row, (id, name)| {
        row.id("ActionID", id);
        row.text("ActionName", &name);
    }))
}

fn list<T>(
    call: &Call,
    items: impl IntoIterator<Item = T>,
    mut fill: impl FnMut(&mut Object, T),
) -> Reply {
    let mut list = List::new(Style::from(call.switches));
    for item in items {
        list.row(|row| fill(row, item));
    }
    let (json, rows) = list.finish();
    Reply::Rows(json, rows)
}

/// A campaign that the API knows of.
pub(super) fn known_campaign(call: &Call, id: u64) -> Result<Option<Entry>, Refusal> {
    call.shared.with_tenant(call.tenant, |tenant| {
        Ok(tenant
            .campaigns
            .get(&CampaignId::Number(id))
            .filter(|entry| entry.is_known())
            .cloned())
    })
}

fn executed_on_date(call: &Call) -> Result<Vec<Entry>, Refusal> {
    let date = call.query.required_date("Date")?;
    call.shared.with_tenant(call.tenant, |tenant| {
        let executed = tenant.campaigns.values();
        Ok(executed
            .filter(|entry| entry.executed_on() == Some(date))
            .cloned()
            .collect())
    })
}

fn channel_names(call: &Call) -> Result<BTreeMap<u64, String>, Refusal> {
    call.shared.with_tenant(call.tenant, |tenant| {
        let channels = tenant.channels.iter();
        Ok(channels
            .map(|channel| (channel.id, channel.name.clone()))
            .collect())
    })
}

fn tenant_actions(call: &Call) -> Result<BTreeMap<u64, String>, Refusal> {
    call.shared.with_tenant(call.tenant, |tenant| {
        let mut all = BTreeMap::from([(CONTROL_ACTION_ID, CONTROL_ACTION_NAME.to_owned())]);
        for action in tenant
            .campaigns
            .values()
            .flat_map(|entry| &entry.campaign.actions)
        {
            all.insert(action.id, action.name.clone());
        }
        Ok(all)
    })
}

fn write_details(row: &mut Object, entry: &Entry, names: &BTreeMap<u64, String>, call: &Call) {
    let campaign = &entry.campaign;
    let channels = campaign.channels();
    let status = match entry.state {
        State::Cancelled(..) => "Canceled",
        State::Held if entry.executed_on().is_none() => "Pending",
        _ => "Successful",
    };
    let failing = &call.switches.failing_channels.0;
    let failed = channels.iter().filter(|channel| failing.contains(channel));
    let failed: Vec<String> = failed
        .map(|channel| format!("A template of channel {channel} failed."))
        .collect();
    let control = campaign.control;
    row.id("TargetGroupID", campaign.target_group_id);
    row.text(
        "CampaignType",
        if control > 0 {
            "Test/Control"
        } else {
            "No Control"
        },
    );
    row.integer("Duration", u64::from(campaign.duration_days.unsigned_abs()));
    row.optional("LeadTime", |row, name| {
        row.integer(name, u64::from(campaign.lead_time_days.unsigned_abs()));
    });
    row.optional("Notes", |row, name| row.text(name, &campaign.notes));
    row.optional("IsMultiChannel", |row, name| {
        row.flag(name, channels.len() > 1);
    });
    row.optional("IsRecurrence", |row, name| row.flag(name, false));
    row.optional("Status", |row, name| row.text(name, status));
    row.optional("Error", |row, name| row.text(name, &failed.join(" ")));
    row.optional("TestGroupSize", |row, name| {
        row.integer(name, campaign.audience_size().saturating_sub(control));
    });
    row.optional("ControlGroupSize", |row, name| row.integer(name, control));
    row.optional("Channels", |row, name| {
        row.objects(name, channels, |object, channel| {
            object.id("Id", channel);
            object.text("Name", names.get(&channel).map_or("", String::as_str));
        });
    });
    row.optional("Tags", |row, name| texts(row.name(name), &campaign.tags));
}

/// The templates sent on a channel with their times, each once.
fn sends(entry: &Entry, channel: u64) -> BTreeSet<(u64, Timestamp)> {
    let campaign = &entry.campaign;
    let placements = campaign
        .actions
        .iter()
        .flat_map(|action| &action.placements);
    let on_channel = placements.filter(|placement| placement.channel == channel);
    let scope = entry.sent();
    let mut sends: BTreeSet<_> = on_channel
        .flat_map(|placement| {
            let times = scope.sent_shifts();
            times.map(|later| {
                (
                    placement.template_id,
                    Campaign::schedule(placement, None, later),
                )
            })
        })
        .collect();
    if let Audience::Listed(listed) = &campaign.audience {
        for customer in listed {
            let (Some(action), Some(schedule)) = (customer.action, customer.schedule) else {
                continue;
            };
            let placements = &campaign.actions[action].placements;
            let reached = customer.placements.iter().map(|index| &placements[*index]);
            let on_channel = reached.filter(|placement| placement.channel == channel);
            sends.extend(on_channel.map(|placement| (placement.template_id, schedule)));
        }
    }
    sends
}

/// A code of an action.
struct ActionCode {
    target_group: u64,
    recipient_group: u64,
    action: u64,
    code: String,
}

/// The codes of every action; an action without any has one empty code.
fn codes(campaign: &Campaign) -> Vec<ActionCode> {
    let mut codes = Vec::new();
    for (index, action) in campaign.actions.iter().enumerate() {
        let none = [String::new()];
        let of_action = if action.codes.is_empty() {
            &none[..]
        } else {
            &action.codes[..]
        };
        codes.extend(of_action.iter().map(|code| ActionCode {
            target_group: campaign.target_group_id,
            recipient_group: index as u64 + 1,
            action: action.id,
            code: code.clone(),
        }));
    }
    codes
}

fn write_code(row: &mut Object, code: &ActionCode) {
    row.id("RecipientGroupID", code.recipient_group);
    row.id("ActionID", code.action);
    row.text("PromoCode", &code.code);
}
