//! Group `actions`: campaigns, channels, the codes of a campaign.

use super::{object, rows};
use crate::read::{Codes, Days, Object, Raw, ReadError, read_list, read_object};

/// Answer of `GET Actions/GetCampaignDetails`: the facts of one campaign, which is one occurrence.
///
/// Every field may be absent; what cannot be read as its type is absent too, except for the two
/// numbers of days, which say why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CampaignDetails {
    /// Only some answers echo it; if present it must be the campaign that was asked for.
    pub campaign_id: Option<String>,
    /// The target group that the campaign was sent to.
    pub target_group_id: Option<i64>,
    /// `Test/Control`, `A/B`, `No Control` and the like.
    pub campaign_type: Option<String>,
    /// Days that the promotion lasts.
    pub duration: Days,
    /// Days until the promotion starts.
    pub lead_time: Days,
    /// The marketer's free text.
    pub notes: Option<String>,
    /// Whether several channels carry the campaign.
    pub is_multi_channel: Option<bool>,
    /// Whether the campaign is an occurrence of a recurring plan.
    pub is_recurrence: Option<bool>,
    /// `Successful`, `Failed`; the newest answers leave it out.
    pub status: Option<String>,
    /// Reason of a failure, or empty.
    pub error: Option<String>,
    /// Customers who were sent something.
    pub test_group_size: Option<u64>,
    /// Customers held back as the control group.
    pub control_group_size: Option<u64>,
    /// The channels; empty where the answer names none.
    pub channels: Vec<CampaignChannel>,
    /// The marketer's tags.
    pub tags: Vec<String>,
}

/// One channel in [`CampaignDetails`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignChannel {
    /// The channel's number.
    pub id: Option<i64>,
    /// The channel's name.
    pub name: Option<String>,
}

impl CampaignDetails {
    /// Reads the answer. [`ReadError::Empty`] means that the campaign is not known.
    pub fn read(body: &[u8]) -> Result<Self, ReadError> {
        Self::from_object(&object(body)?)
    }

    fn from_object(object: &Object<'_>) -> Result<Self, ReadError> {
        Ok(Self {
            campaign_id: object.id("CampaignID")?,
            target_group_id: object.integer("TargetGroupID")?,
            campaign_type: object.prose("CampaignType")?,
            duration: object.field("Duration", Raw::days)?.unwrap_or_default(),
            lead_time: object.field("LeadTime", Raw::days)?.unwrap_or_default(),
            notes: object.prose("Notes")?,
            is_multi_channel: object.boolean("IsMultiChannel")?,
            is_recurrence: object.boolean("IsRecurrence")?,
            status: object.prose("Status")?,
            error: object.prose("Error")?,
            test_group_size: object.field("TestGroupSize", Raw::count)?.flatten(),
            control_group_size: object.field("ControlGroupSize", Raw::count)?.flatten(),
            channels: list(object, "Channels")?
                .into_iter()
                .map(CampaignChannel::from_raw)
                .collect::<Result<_, _>>()?,
            tags: list(object, "Tags")?
                .into_iter()
                .map(|tag| tag.prose().into_owned())
                .collect(),
        })
    }
}

impl CampaignChannel {
    /// An object with `Id` and perhaps `Name`, or the bare number.
    fn from_raw(raw: Raw<'_>) -> Result<Self, ReadError> {
        if !raw.json().starts_with('{') {
            return Ok(Self {
                id: raw.integer(),
                name: None,
            });
        }
        let object = read_object(raw.json())?;
        let id = match object.integer("Id")? {
            None => object.integer("ChannelID")?,
            id => id,
        };
        let name = match object.prose("Name")? {
            None => object.prose("ChannelName")?,
            name => name,
        };
        Ok(Self { id, name })
    }
}

/// The elements of a field that should be a list; nothing if it is absent or of another type.
fn list<'a>(object: &Object<'a>, name: &'static str) -> Result<Vec<Raw<'a>>, ReadError> {
    let elements = object.field(name, |raw| read_list(raw.json()).unwrap_or_default())?;
    Ok(elements
        .unwrap_or_default()
        .into_iter()
        .filter(|raw| !raw.is_null())
        .collect())
}

/// One row of `GET Actions/GetExecutedCampaignDetails`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutedCampaign {
    /// The campaign that was executed.
    pub campaign_id: String,
    /// Its facts; `details.campaign_id` repeats the id.
    pub details: CampaignDetails,
}

impl ExecutedCampaign {
    /// Reads the list; a row without a campaign id breaks it.
    pub fn read_list(body: &[u8]) -> Result<Vec<Self>, ReadError> {
        rows(body, |row| {
            Ok(Self {
                campaign_id: row.required_id("CampaignID")?,
                details: CampaignDetails::from_object(row)?,
            })
        })
    }
}

/// Reads the list of `GET Actions/GetExecutedCampaignsByChannel`: campaign ids.
pub fn read_campaign_ids(body: &[u8]) -> Result<Vec<String>, ReadError> {
    rows(body, |row| row.required_id("CampaignID"))
}

/// One row of `GET Actions/GetExecutionChannels`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionChannel {
    /// The channel's number.
    pub channel_id: i64,
    /// The channel's name.
    pub channel_name: Option<String>,
}

impl ExecutionChannel {
    /// Reads the list; a row without a channel number breaks it.
    pub fn read_list(body: &[u8]) -> Result<Vec<Self>, ReadError> {
        rows(body, |row| {
            Ok(Self {
                channel_id: row
                    .integer("ChannelID")?
                    .ok_or(ReadError::Missing { field: "ChannelID" })?,
                channel_name: row.prose("ChannelName")?,
            })
        })
    }
}

/// One row of `GET Actions/GetPromoCodesByCampaign` and its two siblings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromoCodeRow {
    /// Sent by `GetPromoCodes` only.
    pub target_group_id: Option<i64>,
    /// 1 is the test group, or group A.
    pub recipient_group_id: Option<i64>,
    /// The action that carries the codes; 1 is the control group.
    pub action_id: Option<i64>,
    /// The codes; none for an action without a promotion.
    pub promo_code: Codes<'static>,
}

impl PromoCodeRow {
    /// Reads the list.
    pub fn read_list(body: &[u8]) -> Result<Vec<Self>, ReadError> {
        rows(body, |row| {
            Ok(Self {
                target_group_id: row.integer("TargetGroupID")?,
                recipient_group_id: row.integer("RecipientGroupID")?,
                action_id: row.integer("ActionID")?,
                promo_code: row
                    .field("PromoCode", |raw| raw.codes().into_owned())?
                    .unwrap_or_default(),
            })
        })
    }
}
