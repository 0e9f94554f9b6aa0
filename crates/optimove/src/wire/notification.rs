//! Notifications: what Optimove posts to a listener.

use std::borrow::Cow;
use std::fmt;

use super::object;
use crate::read::{Codes, Object, Raw, ReadError, check_shape};

/// How deep a notification may nest.
pub const NOTIFICATION_DEPTH_MAX: usize = 32;
/// How many JSON values a notification may hold.
pub const NOTIFICATION_NODES_MAX: usize = 2_000;

/// A notification of any event type, as far as its body can be understood.
///
/// Which fields an event needs is the receiver's to check: tenant and event type come from the URL
/// that was called, and the type in the body is only a cross-check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// `EventTypeID`; may be absent.
    pub event_type: Option<i64>,
    /// The campaign; letters occur in triggered ones. `None` also where the value is unusable.
    pub campaign_id: Option<String>,
    /// The channel; absent in event 13 it means every channel.
    pub channel_id: Option<String>,
    /// `TimeStamp` as sent; zone and seconds may be missing.
    pub time_stamp: Option<String>,
    /// Event 5: the deadline as sent, for [`crate::read::WireTime::parse`].
    pub clearance_required_by: Option<String>,
    /// Event 11: the customer, or the visitor. `None` also where the value is unusable.
    pub customer_id: Option<String>,
    /// Event 11: `isVisitor`, an anonymous user. Absent means a customer.
    pub is_visitor: Option<bool>,
    /// Event 11: the template of the message.
    pub template_id: Option<String>,
    /// Event 11: the promo codes, not split on commas.
    pub promo_codes: Codes<'static>,
    /// Event 11: the campaign's free text.
    pub notes: Option<String>,
    /// Everything else: event parameters and personalization tags, in the order sent.
    pub attributes: Vec<Attribute>,
}

/// A field of a notification that is none of ours.
#[derive(Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The name as sent.
    pub name: String,
    /// The value as sent, as JSON text.
    pub json: String,
}

impl fmt::Debug for Attribute {
    /// Shows the name only: values are personal data, and event 14 carries a key.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ***", self.name)
    }
}

const NAMES: [&str; 11] = [
    "EventTypeID",
    "CampaignID",
    "ChannelID",
    "TimeStamp",
    "ClearanceRequiredBy",
    "CustomerID",
    "isVisitor",
    "is_visitor",
    "TemplateID",
    "PromoCode",
    "Notes",
];

impl Notification {
    /// Reads a notification's body.
    ///
    /// Refused: what is not an object, nests or counts beyond the limits, gives two values to one
    /// field, or has an event type or visitor mark that cannot be read.
    pub fn parse(body: &[u8]) -> Result<Self, ReadError> {
        check_shape(body, NOTIFICATION_DEPTH_MAX, NOTIFICATION_NODES_MAX)?;
        let object = object(body)?;
        let codes = object.field("PromoCode", |raw| raw.codes().into_owned())?;
        Ok(Self {
            event_type: readable(&object, "EventTypeID", Raw::integer)?,
            campaign_id: object.id("CampaignID")?,
            channel_id: object.id("ChannelID")?,
            time_stamp: text(&object, "TimeStamp")?,
            clearance_required_by: text(&object, "ClearanceRequiredBy")?,
            customer_id: object.id("CustomerID")?,
            is_visitor: visitor(&object)?,
            template_id: object.id("TemplateID")?,
            promo_codes: codes.unwrap_or_default(),
            notes: object.prose("Notes")?,
            attributes: object
                .others(&NAMES)
                .map(|(name, raw)| Attribute {
                    name: name.to_owned(),
                    json: raw.json().to_owned(),
                })
                .collect(),
        })
    }
}

/// Text that is not blank.
fn text(object: &Object<'_>, name: &'static str) -> Result<Option<String>, ReadError> {
    Ok(object
        .field(name, |raw| raw.id().map(Cow::into_owned))?
        .flatten())
}

/// Both spellings of the mark; they must agree where both come.
fn visitor(object: &Object<'_>) -> Result<Option<bool>, ReadError> {
    let camel = readable(object, "isVisitor", Raw::boolean)?;
    let snake = readable(object, "is_visitor", Raw::boolean)?;
    match (camel, snake) {
        (Some(one), Some(other)) if one != other => {
            Err(ReadError::TwoValues { field: "isVisitor" })
        }
        _ => Ok(camel.or(snake)),
    }
}

/// A field that may be absent, but must be readable where it is present.
fn readable<'a, T: PartialEq>(
    object: &Object<'a>,
    name: &'static str,
    read: impl Fn(Raw<'a>) -> Option<T>,
) -> Result<Option<T>, ReadError> {
    match object.field(name, read)? {
        None => Ok(None),
        Some(None) => Err(ReadError::BadValue { field: name }),
        Some(value) => Ok(value),
    }
}
