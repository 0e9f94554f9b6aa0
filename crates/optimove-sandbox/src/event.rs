//! What is told to listeners: the bodies of scheduled events, and who hears them.

use bytes::Bytes;
use jiff::Timestamp;

use crate::id::CampaignId;
use crate::switch::{ListenerMatch, OnOff, Switches};
use crate::world::{Listener, Tenant};
use crate::write::{campaign_id, number, text, time_text};

/// Something that happened to a tenant.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    kind: u64,
    campaign: Option<CampaignId>,
    channel: Option<u64>,
    clearance: Option<Timestamp>,
}

/// A notification before anybody is found to hear it.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) kind: u64,
    pub(crate) channel: Option<u64>,
    pub(crate) body: Bytes,
}

impl Event {
    pub(crate) fn of_day(kind: u64) -> Self {
        Self {
            kind,
            campaign: None,
            channel: None,
            clearance: None,
        }
    }

    pub(crate) fn of_campaign(kind: u64, campaign: &CampaignId) -> Self {
        Self {
            campaign: Some(campaign.clone()),
            ..Self::of_day(kind)
        }
    }

    pub(crate) fn of_channel(kind: u64, campaign: &CampaignId, channel: u64) -> Self {
        Self {
            channel: Some(channel),
            ..Self::of_campaign(kind, campaign)
        }
    }

    /// Event 5: approvals are taken until `deadline`.
    pub(crate) fn of_hold(campaign: &CampaignId, deadline: Timestamp) -> Self {
        Self {
            clearance: Some(deadline),
            ..Self::of_campaign(5, campaign)
        }
    }

    /// What is posted about it.
    pub(crate) fn message(&self, tenant: &Tenant, at: Timestamp, switches: &Switches) -> Message {
        let mut json = b"{".to_vec();
        if switches.event_type_in_body == OnOff::On {
            json.extend_from_slice(b"\"EventTypeID\":");
            number(&mut json, self.kind);
            json.push(b',');
        }
        json.extend_from_slice(b"\"TimeStamp\":");
        let local = tenant.zone.to_datetime(at);
        text(&mut json, &local.strftime("%Y-%m-%d %H:%M").to_string());
        if let Some(campaign) = &self.campaign {
            json.extend_from_slice(b",\"CampaignID\":");
            campaign_id(&mut json, campaign);
        }
        if let Some(channel) = self.channel {
            json.extend_from_slice(b",\"ChannelID\":");
            number(&mut json, channel);
        }
        if let Some(deadline) = self.clearance {
            json.extend_from_slice(b",\"ClearanceRequiredBy\":");
            text(
                &mut json,
                &time_text(deadline, &tenant.zone, switches.time_format),
            );
        }
        json.push(b'}');
        Message {
            kind: self.kind,
            channel: self.channel,
            body: json.into(),
        }
    }
}

impl Message {
    /// The listeners that hear it.
    pub(crate) fn listeners<'a>(
        &self,
        tenant: &'a Tenant,
        switches: &Switches,
    ) -> Vec<&'a Listener> {
        let listeners = tenant.listeners.iter();
        let mut matching: Vec<_> = listeners
            .filter(|listener| {
                let same_channel = || listener.channel == self.channel;
                listener.event_type == self.kind
                    && (listener.channel.is_none() || self.channel.is_none() || same_channel())
            })
            .collect();
        let specific = matching.iter().any(|listener| listener.channel.is_some());
        if switches.listener_match == ListenerMatch::MostSpecific && specific {
            matching.retain(|listener| listener.channel.is_some());
        }
        matching
    }
}
