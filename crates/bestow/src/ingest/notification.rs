//! A notification's body into what it is about.

use bestow_core::id::{CampaignId, ChannelId};
use bestow_core::notification::{NotificationKey, Trigger, trigger_material};
use bestow_core::trigger::Person;
use bestow_core::window::{Edge, Zone, instant_of};
use bestow_core::{HoldReason, Occurrence};
use optimove::read::WireTime;
use optimove::wire::Notification;
use sha2::{Digest, Sha256};

use super::trigger::subject;

/// What a body says, as far as it can be told before anything is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What makes a repeat a repeat.
    pub key: NotificationKey,
    /// The campaign, if readable.
    pub campaign: Option<CampaignId>,
    /// The channel, if named.
    pub channel: Option<ChannelId>,
    /// Why it must be held, if it must.
    pub hold: Option<HoldReason>,
}

/// Reads a body that came to the address of `event_type`. Never fails: what cannot be read is held under the digest
/// of its bytes.
pub fn read(event_type: i64, body: &[u8], zone: &Zone) -> Reading {
    let unread = |hold| Reading {
        key: NotificationKey::Unreadable {
            digest: digest(body),
        },
        campaign: None,
        channel: None,
        hold: Some(hold),
    };
    let Ok(notification) = Notification::parse(body) else {
        return unread(HoldReason::UnreadableBody);
    };
    if notification
        .event_type
        .is_some_and(|told| told != event_type)
    {
        return unread(HoldReason::EventTypeMismatch);
    }
    let campaign = notification
        .campaign_id
        .as_deref()
        .and_then(|id| CampaignId::parse(id).ok());
    let channel = match notification.channel_id.as_deref().map(ChannelId::parse) {
        Some(Err(_)) => return unread(HoldReason::UnreadableBody),
        Some(Ok(channel)) => Some(channel),
        None => None,
    };
    match key(
        event_type,
        &notification,
        campaign.clone(),
        channel,
        body,
        zone,
    ) {
        Ok(key) => Reading {
            key,
            campaign,
            channel,
            hold: None,
        },
        Err(hold) => Reading {
            campaign,
            channel,
            ..unread(hold)
        },
    }
}

fn key(
    event_type: i64,
    notification: &Notification,
    campaign: Option<CampaignId>,
    channel: Option<ChannelId>,
    body: &[u8],
    zone: &Zone,
) -> Result<NotificationKey, HoldReason> {
    let named = campaign.ok_or(HoldReason::NoCampaignId);
    // Optimove would refuse every call about another; a cancel is heard whatever it names.
    let scheduled = named.clone().and_then(|id| {
        let usable = id.is_scheduled().then_some(id);
        usable.ok_or(HoldReason::NoCampaignId)
    });
    let time_stamp = || {
        notification
            .time_stamp
            .clone()
            .unwrap_or_else(|| digest(body))
    };
    Ok(match event_type {
        1 => NotificationKey::Executed {
            campaign: scheduled?,
        },
        2 => NotificationKey::CampaignsProcessed {
            time_stamp: time_stamp(),
        },
        3 => NotificationKey::DayComplete {
            time_stamp: time_stamp(),
        },
        4 => NotificationKey::Cancelled { campaign: named? },
        5 => NotificationKey::ClearanceAsked {
            campaign: scheduled?,
            deadline: deadline(notification, zone).ok_or(HoldReason::BadClearanceDeadline)?,
        },
        11 => NotificationKey::Triggered {
            occurrence: occurrence(notification, &named?, body)?,
        },
        13 => NotificationKey::ChannelExecuted {
            campaign: scheduled?,
            channel,
        },
        _ => return Err(HoldReason::UnknownEventType),
    })
}

fn deadline(notification: &Notification, zone: &Zone) -> Option<jiff::Timestamp> {
    match WireTime::parse(notification.clearance_required_by.as_deref()?).ok()? {
        WireTime::Instant(instant) => Some(instant),
        WireTime::Local(wall) => instant_of(wall, zone, Edge::Start).ok(),
    }
}

fn occurrence(
    notification: &Notification,
    campaign: &CampaignId,
    body: &[u8],
) -> Result<Occurrence, HoldReason> {
    let customer = notification.customer_id.as_deref().unwrap_or_default();
    let person = match notification.is_visitor {
        Some(true) => Person::Visitor,
        _ => Person::Customer,
    };
    let customer = subject(customer, person).map_err(|_| HoldReason::BadCustomerId)?;
    let text = match notification.time_stamp.as_deref() {
        Some(time_stamp) => digest(&trigger_material(Trigger {
            customer: &customer,
            campaign,
            template: notification.template_id.as_deref(),
            time_stamp,
        })),
        None => digest(body),
    };
    Occurrence::parse(&text).map_err(|_| HoldReason::UnreadableBody)
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
