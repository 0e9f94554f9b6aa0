//! Group `integrations`: the promotion catalogue and the reports on conditional campaigns.

use serde::Serialize;

use super::{object, rows, write_id};
use crate::read::{Object, Raw, ReadError, read_list, read_object};

/// One promotion of the catalogue: an entry of `POST Integrations/AddPromotions`, a row of
/// `GET Integrations/GetPromotions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Promotion {
    /// The promo code; codes compare without letter case.
    #[serde(rename = "PromoCode")]
    pub code: String,
    /// The name that marketers see.
    #[serde(rename = "PromotionName")]
    pub name: String,
}

impl Promotion {
    /// Reads the list; a code sent as a number becomes its text, a row without a code breaks it.
    pub fn read_list(body: &[u8]) -> Result<Vec<Self>, ReadError> {
        rows(body, |row| {
            Ok(Self {
                code: code(row)?,
                name: row.prose("PromotionName")?.unwrap_or_default(),
            })
        })
    }
}

/// An entry of `POST Integrations/DeletePromotions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PromotionCode<'a> {
    /// The code to delete; an unknown one is no error.
    #[serde(rename = "PromoCode")]
    pub code: &'a str,
}

/// Reads the body of `POST Integrations/DeletePromotions` on the server's side.
pub fn read_deleted_codes(body: &[u8]) -> Result<Vec<String>, ReadError> {
    rows(body, code)
}

/// One code of the catalogue: trimmed text, or the text of a number.
fn code(row: &Object<'_>) -> Result<String, ReadError> {
    let text = row.field("PromoCode", |raw: Raw<'_>| {
        if raw.is_number() {
            return Some(raw.json().to_owned());
        }
        raw.string()
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    })?;
    text.flatten()
        .ok_or(ReadError::Missing { field: "PromoCode" })
}

/// Body of `POST Integrations/UpdateCustomerPromotionStatus`: who may get a conditional campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PromotionStatusReport {
    /// `YYYY-MM-DD HH:mm:ss`, optional.
    #[serde(rename = "TimeStamp", skip_serializing_if = "Option::is_none")]
    pub time_stamp: Option<String>,
    /// The campaign that waits.
    #[serde(rename = "CampaignID", serialize_with = "write_id")]
    pub campaign_id: String,
    /// At most [`crate::limits::DECISIONS_MAX`] customers.
    #[serde(rename = "PromosUpdated")]
    pub decisions: Vec<CustomerDecision>,
}

/// One customer in a [`PromotionStatusReport`]; the last report on a customer wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CustomerDecision {
    /// The customer's id exactly as it was received.
    #[serde(rename = "CustomerID")]
    pub customer_id: String,
    /// `true` approves; not reporting a customer is the same as `false`.
    #[serde(rename = "Status")]
    pub approved: bool,
}

impl PromotionStatusReport {
    /// Reads the body on the server's side.
    pub fn read(body: &[u8]) -> Result<Self, ReadError> {
        let report = object(body)?;
        let list = report
            .field("PromosUpdated", Raw::json)?
            .ok_or(ReadError::Missing {
                field: "PromosUpdated",
            })?;
        let decisions = read_list(list)?.into_iter().map(|entry| {
            let entry = read_object(entry.json())?;
            Ok(CustomerDecision {
                customer_id: entry.required_id("CustomerID")?,
                approved: entry
                    .boolean("Status")?
                    .ok_or(ReadError::Missing { field: "Status" })?,
            })
        });
        Ok(Self {
            time_stamp: report.prose("TimeStamp")?,
            campaign_id: report.required_id("CampaignID")?,
            decisions: decisions.collect::<Result<_, _>>()?,
        })
    }
}
