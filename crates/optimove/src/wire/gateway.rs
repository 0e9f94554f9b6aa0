//! The gateway of triggered conditional execution: may this user get this campaign?

use serde::Serialize;

use super::{object, write_id};
use crate::read::{Codes, Object, Raw, ReadError, body_text, check_shape, read_list, read_object};
use crate::secret::SecretUrl;

use super::notification::{NOTIFICATION_DEPTH_MAX, NOTIFICATION_NODES_MAX};

/// Body of `PUT triggered_conditional_execution_gateway`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GatewayRegistration {
    /// Where Optimove asks.
    pub url: SecretUrl,
}

impl GatewayRegistration {
    /// Reads the body on the server's side.
    pub fn read(body: &[u8]) -> Result<Self, ReadError> {
        let url = object(body)?.required_id("url")?;
        Ok(Self {
            url: SecretUrl::new(url),
        })
    }
}

/// Body of `POST conditional-execution/v2/triggered/approval`: the answer of the asynchronous gateway. Its shape is not
/// documented; this is the synchronous answer with the campaign beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TriggeredApproval {
    /// The id that was asked about, exactly.
    pub user_id: String,
    /// The campaign that was asked about.
    #[serde(serialize_with = "write_id")]
    pub campaign_id: String,
    /// Whether the campaign may be sent to the user.
    pub allowed: bool,
}

impl TriggeredApproval {
    /// Reads the body on the server's side.
    pub fn read(body: &[u8]) -> Result<Self, ReadError> {
        let approval = object(body)?;
        Ok(Self {
            user_id: approval
                .prose("user_id")?
                .ok_or(ReadError::Missing { field: "user_id" })?,
            campaign_id: approval.required_id("campaign_id")?,
            allowed: approval
                .boolean("allowed")?
                .ok_or(ReadError::Missing { field: "allowed" })?,
        })
    }
}

/// What Optimove asks, for one user and one triggered campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayRequest {
    /// The customer's or visitor's id, trimmed as everywhere.
    pub user_id: String,
    /// The same id exactly as sent, for the answer.
    pub user_id_sent: String,
    /// An anonymous user; absent means a customer.
    pub is_visitor: bool,
    /// This occurrence.
    pub campaign_id: String,
    /// The series behind it.
    pub series_id: Option<String>,
    /// The marketer's free text.
    pub notes: Option<String>,
    /// The marketer's tags.
    pub tags: Vec<String>,
    /// The action's number.
    pub action_id: Option<i64>,
    /// The action's name.
    pub action_name: Option<String>,
    /// The action's codes, not split on commas.
    pub promo_codes: Codes<'static>,
    /// The channels that would carry the message.
    pub channels: Vec<GatewayChannel>,
}

/// A channel in a [`GatewayRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayChannel {
    /// The channel's number.
    pub id: Option<i64>,
    /// The channel's name.
    pub name: Option<String>,
    /// The brand, where the tenant has several.
    pub brand_id: Option<String>,
    /// The templates.
    pub templates: Vec<GatewayTemplate>,
}

/// A template in a [`GatewayChannel`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayTemplate {
    /// The template's id.
    pub id: Option<String>,
    /// The template's name.
    pub name: Option<String>,
}

impl GatewayRequest {
    /// Reads the question. Without a user or a campaign there is none.
    pub fn parse(body: &[u8]) -> Result<Self, ReadError> {
        check_shape(body, NOTIFICATION_DEPTH_MAX, NOTIFICATION_NODES_MAX)?;
        let top = object(body)?;
        let user = required_part(&top, "user")?;
        let campaign = required_part(&top, "campaign")?;
        let action = required_part(&campaign, "action")?;
        let is_visitor = match user.field("is_visitor", Raw::boolean)? {
            None => false,
            Some(flag) => flag.ok_or(ReadError::BadValue {
                field: "is_visitor",
            })?,
        };
        let codes = action.field("promo_codes", |raw| raw.codes().into_owned())?;
        Ok(Self {
            user_id: user.required_id("user_id")?,
            user_id_sent: user.prose("user_id")?.unwrap_or_default(),
            is_visitor,
            campaign_id: campaign.required_id("id")?,
            series_id: campaign.id("series_id")?,
            notes: campaign.prose("notes")?,
            tags: elements(&campaign, "tags", |tag| Ok(tag.prose().into_owned()))?,
            action_id: action.integer("id")?,
            action_name: action.prose("name")?,
            promo_codes: codes.unwrap_or_default(),
            channels: elements(&action, "channels", channel)?,
        })
    }

    /// The answer to this question, with the user's id exactly as it came.
    pub fn reply(&self, allowed: Answer) -> GatewayReply {
        GatewayReply {
            user_id: self.user_id_sent.clone(),
            allowed: matches!(allowed, Answer::Allowed),
        }
    }
}

/// What a [`GatewayReply`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The campaign may go to the user.
    Allowed,
    /// It may not, or nobody could tell in time.
    Denied,
}

fn channel(raw: Raw<'_>) -> Result<GatewayChannel, ReadError> {
    let channel = read_object(raw.json())?;
    Ok(GatewayChannel {
        id: channel.integer("id")?,
        name: channel.prose("name")?,
        brand_id: channel.id("brand_id")?,
        templates: elements(&channel, "templates", |raw| {
            let template = read_object(raw.json())?;
            Ok(GatewayTemplate {
                id: template.id("id")?,
                name: template.prose("name")?,
            })
        })?,
    })
}

fn required_part<'a>(object: &Object<'a>, name: &'static str) -> Result<Object<'a>, ReadError> {
    let json = object
        .field(name, Raw::json)?
        .ok_or(ReadError::Missing { field: name })?;
    read_object(json)
}

/// The elements of a list; an absent list has none.
fn elements<'a, T>(
    object: &Object<'a>,
    name: &'static str,
    read: impl Fn(Raw<'a>) -> Result<T, ReadError>,
) -> Result<Vec<T>, ReadError> {
    match object.field(name, Raw::json)? {
        None => Ok(Vec::new()),
        Some(json) => read_list(json)?.into_iter().map(read).collect(),
    }
}

/// The gateway's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GatewayReply {
    /// The id that was asked about, exactly.
    pub user_id: String,
    /// Whether the campaign may be sent to the user.
    pub allowed: bool,
}

impl GatewayReply {
    /// Reads the answer on Optimove's side.
    pub fn read(body: &[u8]) -> Result<Self, ReadError> {
        let reply = read_object(body_text(body)?)?;
        Ok(Self {
            user_id: reply
                .prose("user_id")?
                .ok_or(ReadError::Missing { field: "user_id" })?,
            allowed: reply
                .boolean("allowed")?
                .ok_or(ReadError::Missing { field: "allowed" })?,
        })
    }
}
