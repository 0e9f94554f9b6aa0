//! When two notifications are the same one: Optimove sends no delivery id.

use std::fmt;

use jiff::Timestamp;

use crate::id::{CampaignId, ChannelId, CustomerId, Occurrence};

/// What a notification is about. Two with equal keys are one notification that arrived twice; the
/// key's text is unique per tenant in the inbox.
///
/// Texts end in the part that comes from outside, so no two keys share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NotificationKey {
    /// Event 1: a campaign was executed on at least one channel.
    Executed {
        /// Which campaign.
        campaign: CampaignId,
    },
    /// Event 2: today's campaigns are processed.
    CampaignsProcessed {
        /// The body's time stamp, as it came.
        time_stamp: String,
    },
    /// Event 3: today's process is complete.
    DayComplete {
        /// The body's time stamp, as it came.
        time_stamp: String,
    },
    /// Event 4: a campaign was cancelled.
    Cancelled {
        /// Which campaign.
        campaign: CampaignId,
    },
    /// Event 5: a campaign waits for clearance. Another deadline is another round.
    ClearanceAsked {
        /// Which campaign.
        campaign: CampaignId,
        /// `ClearanceRequiredBy`, as an instant: two spellings of one instant are one round.
        deadline: Timestamp,
    },
    /// Event 11: a customer met a trigger.
    Triggered {
        /// What tells it from the next one.
        occurrence: Occurrence,
    },
    /// Event 13: a campaign was executed on a channel.
    ChannelExecuted {
        /// Which campaign.
        campaign: CampaignId,
        /// Which channel; `None` means every channel.
        channel: Option<ChannelId>,
    },
    /// A body that names nothing to go by, or of an unknown type: only the same bytes are the same.
    Unreadable {
        /// Digest of the body, in hexadecimal digits.
        digest: String,
    },
}

impl fmt::Display for NotificationKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Executed { campaign } => write!(out, "1:{campaign}"),
            Self::CampaignsProcessed { time_stamp } => write!(out, "2:{time_stamp}"),
            Self::DayComplete { time_stamp } => write!(out, "3:{time_stamp}"),
            Self::Cancelled { campaign } => write!(out, "4:{campaign}"),
            Self::ClearanceAsked { campaign, deadline } => write!(out, "5:{deadline}:{campaign}"),
            Self::Triggered { occurrence } => write!(out, "11:{occurrence}"),
            Self::ChannelExecuted {
                campaign,
                channel: Some(channel),
            } => {
                write!(out, "13:{channel}:{campaign}")
            }
            Self::ChannelExecuted {
                campaign,
                channel: None,
            } => write!(out, "13:*:{campaign}"),
            Self::Unreadable { digest } => write!(out, "?:{digest}"),
        }
    }
}

/// The parts of event 11 that tell two triggers apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trigger<'a> {
    /// Who met it.
    pub customer: &'a CustomerId,
    /// For which campaign.
    pub campaign: &'a CampaignId,
    /// `templateID`, as text, where the body has one.
    pub template: Option<&'a str>,
    /// `timeStamp`, as it came. Without one the whole body is digested instead.
    pub time_stamp: &'a str,
}

/// The bytes whose digest is the occurrence of a trigger.
///
/// Each part is preceded by its length, so that no two triggers share their bytes by shifting a
/// character from one part to the next.
pub fn trigger_material(trigger: Trigger<'_>) -> Vec<u8> {
    let parts = [
        Some(trigger.customer.as_str()),
        Some(trigger.campaign.as_str()),
        trigger.template,
        Some(trigger.time_stamp.trim()),
    ];
    let mut material = Vec::new();
    for part in parts {
        match part {
            Some(text) => material.extend(format!("{}:{text};", text.len()).into_bytes()),
            None => material.extend(b"-;"),
        }
    }
    material
}
