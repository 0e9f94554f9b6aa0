//! Bodies as they travel: what is written strictly as documented, and read tolerantly.
//!
//! One file per area of the API. Request bodies have a writer (`Serialize`, documented names) and a
//! reader, so that a server that stands in for Optimove can use the same types.

mod actions;
mod customers;
mod gateway;
mod general;
mod integrations;
mod notification;
mod problem;
mod row;

pub use actions::{
    CampaignChannel, CampaignDetails, ExecutedCampaign, ExecutionChannel, PromoCodeRow,
    read_campaign_ids,
};
pub use customers::{EndedRow, ExecutionRow, OwnedRow, Page, RefusedPage};
pub use gateway::{
    Answer, GatewayChannel, GatewayRegistration, GatewayReply, GatewayRequest, GatewayTemplate,
    TriggeredApproval,
};
pub use general::{
    EVENT_TYPES, LastDataUpdate, Login, RegisterEventListener, RegisteredListener,
    UnregisterEventListener, read_token,
};
pub use integrations::{
    CustomerDecision, Promotion, PromotionCode, PromotionStatusReport, read_deleted_codes,
};
pub use notification::{Attribute, NOTIFICATION_DEPTH_MAX, NOTIFICATION_NODES_MAX, Notification};
pub use problem::error_message;

use crate::read::{Object, ReadError, body_text, read_list, read_object};

/// Reads a body that must be an object.
fn object(body: &[u8]) -> Result<Object<'_>, ReadError> {
    read_object(body_text(body)?)
}

/// Reads a list of objects; an empty body and `null` are lists without rows.
fn rows<T>(
    body: &[u8],
    read: impl Fn(&Object<'_>) -> Result<T, ReadError>,
) -> Result<Vec<T>, ReadError> {
    let elements = match read_list(body_text(body)?) {
        Ok(elements) => elements,
        Err(ReadError::Empty) => Vec::new(),
        Err(error) => return Err(error),
    };
    elements
        .into_iter()
        .map(|element| {
            if !element.json().starts_with('{') {
                return Err(ReadError::WrongType {
                    expected: "an object",
                    found: element.kind(),
                });
            }
            read(&read_object(element.json())?)
        })
        .collect()
}

/// An id for the wire: a number where it is one, text otherwise.
fn write_id<S: serde::Serializer>(id: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let leading_zero = id.len() > 1 && id.starts_with('0');
    match id.parse::<u64>() {
        Ok(number) if !leading_zero && !id.starts_with('+') => serializer.serialize_u64(number),
        _ => serializer.serialize_str(id),
    }
}
