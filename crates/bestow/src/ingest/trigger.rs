//! What is kept of a trigger's body: the fields that decide, and those that the tenant asked for.
//!
//! Event 11 carries attributes of a person that nobody here needs, so its body is reduced before it
//! is stored. What cannot be read is kept as its digest and length: it cannot be told what is in it.

use bestow_core::HoldReason;
use bestow_core::campaign::DurationRead;
use bestow_core::id::{CustomerId, CustomerIdFault};
use bestow_core::notification::NotificationKey;
use bestow_core::trigger::{Person, Stamp};
use optimove::read::{Raw, WireTime, read_object};
use optimove::wire::Notification;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

use super::notification::{Reading, digest};
use crate::tenant::Triggered;

/// What stands before a visitor's id, so that no visitor is taken for a customer.
pub const VISITOR_PREFIX: &str = "visitor:";
/// Objects of a body that hold attributes, too.
const NESTED: [&str; 2] = ["eventParameters", "personalizationTags"];

/// A trigger's body as it is stored.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Kept {
    /// What tells it from the next one; none where it must be held.
    pub occurrence: Option<String>,
    /// Why it must be held as a whole.
    pub hold: Option<String>,
    /// As it came.
    pub time_stamp: Option<String>,
    /// The customer, or the visitor.
    #[serde(rename = "customerID")]
    pub customer_id: Option<String>,
    /// Somebody without an account.
    pub is_visitor: bool,
    /// The campaign.
    #[serde(rename = "campaignID")]
    pub campaign_id: Option<String>,
    /// The channel.
    #[serde(rename = "channelID")]
    pub channel_id: Option<i64>,
    /// The template of the message.
    #[serde(rename = "templateID")]
    pub template_id: Option<String>,
    /// The promo codes, not split on commas.
    pub promo_code: Vec<String>,
    /// The duration in the campaign's notes.
    pub duration_days: Option<u32>,
    /// Attributes on the tenant's list, as they came.
    pub kept: BTreeMap<String, Box<RawValue>>,
    /// Of a body that cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<Unreadable>,
}

/// What is known of a body that cannot be read.
#[derive(Debug, Serialize, Deserialize)]
pub struct Unreadable {
    /// Its length.
    pub bytes: usize,
    /// Its digest, in hexadecimal digits.
    pub sha256: String,
    /// What is wrong with it, without its words.
    pub fault: String,
}

/// The body that is stored in place of `body`, which was read as `reading`.
pub fn reduce(body: &[u8], reading: &Reading, rules: &Triggered) -> Vec<u8> {
    let mut kept = match Notification::parse(body) {
        Ok(notification) => of(&notification, rules),
        Err(fault) => Kept {
            unreadable: Some(Unreadable {
                bytes: body.len(),
                sha256: digest(body),
                fault: fault.to_string(),
            }),
            ..Kept::default()
        },
    };
    kept.hold = reading.hold.map(|reason| reason.as_str().to_owned());
    if let NotificationKey::Triggered { occurrence } = &reading.key {
        kept.occurrence = Some(occurrence.as_str().to_owned());
    }
    serde_json::to_vec(&kept).expect("texts and numbers are always JSON")
}

fn of(notification: &Notification, rules: &Triggered) -> Kept {
    Kept {
        time_stamp: notification.time_stamp.clone(),
        customer_id: notification.customer_id.clone(),
        is_visitor: notification.is_visitor == Some(true),
        campaign_id: notification.campaign_id.clone(),
        channel_id: notification
            .channel_id
            .as_deref()
            .and_then(|id| id.parse().ok()),
        template_id: notification.template_id.clone(),
        promo_code: notification
            .promo_codes
            .texts()
            .map(str::to_owned)
            .collect(),
        duration_days: days_in(notification.notes.as_deref()),
        kept: kept_attributes(notification, rules),
        ..Kept::default()
    }
}

/// Attributes on the list, at the top and one level down where attributes are nested. Of two with
/// one name the first counts.
fn kept_attributes(
    notification: &Notification,
    rules: &Triggered,
) -> BTreeMap<String, Box<RawValue>> {
    let mut kept = BTreeMap::new();
    let mut keep = |name: &str, json: &str| {
        if rules.keeps(name)
            && let Ok(value) = RawValue::from_string(json.to_owned())
        {
            kept.entry(name.to_owned()).or_insert(value);
        }
    };
    for attribute in &notification.attributes {
        let is_nested = NESTED
            .iter()
            .any(|nested| nested.eq_ignore_ascii_case(&attribute.name));
        if is_nested && let Ok(inner) = read_object(&attribute.json) {
            for (name, raw) in inner.others(&[]) {
                keep(name, raw.json());
            }
        } else {
            keep(&attribute.name, &attribute.json);
        }
    }
    kept
}

/// The duration in a campaign's notes: a JSON object with a number of days. Anything else is text
/// for people and gives none.
pub fn days_in(notes: Option<&str>) -> Option<u32> {
    let notes = read_object(notes?).ok()?;
    notes.field("duration", Raw::days).ok()??.whole()
}

/// Days of notes in the words of the decisions.
pub fn duration(days: Option<u32>) -> DurationRead {
    days.map_or(DurationRead::Missing, |days| {
        DurationRead::of_days(i64::from(days))
    })
}

/// The id under which somebody is known here: visitors have a name space of their own.
///
/// # Errors
/// [`CustomerIdFault`].
pub fn subject(id: &str, person: Person) -> Result<CustomerId, CustomerIdFault> {
    match person {
        Person::Customer => CustomerId::parse(id),
        Person::Visitor => {
            let id = CustomerId::check(id)?;
            CustomerId::parse(&format!("{VISITOR_PREFIX}{id}"))
        }
    }
}

impl Kept {
    /// Reads a stored body. One that is not of this form is held.
    pub fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_else(|_| Self {
            hold: Some(HoldReason::UnreadableBody.as_str().to_owned()),
            ..Self::default()
        })
    }

    /// Who met it.
    pub fn person(&self) -> Person {
        if self.is_visitor {
            Person::Visitor
        } else {
            Person::Customer
        }
    }

    /// Its time stamp, as far as it can be read.
    pub fn stamp(&self) -> Stamp {
        let Some(text) = &self.time_stamp else {
            return Stamp::Absent;
        };
        match WireTime::parse(text) {
            Ok(WireTime::Local(wall)) => Stamp::Local(wall),
            Ok(WireTime::Instant(instant)) => Stamp::Instant(instant),
            Err(_) => Stamp::Unreadable,
        }
    }
}
