//! Events as they are sent.

use bestow_core::announce::GrantEvent;
use bestow_store::Error as StoreError;
use bestow_store::announcements::Event;
use bestow_store::campaigns::Campaign;
use bestow_store::redemptions::{Redemption, Taking};
use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::stream::{Batch, Told};
use crate::app::App;
use crate::service::codes;
use crate::service::grants::grant_id;
use crate::service::redemptions::shown_id;
use crate::service::view::Instant;
use crate::tenant::Tenant;

/// What an HTTP endpoint is sent.
#[derive(Serialize)]
struct Message<'a> {
    /// `grant.events`, whatever the events are.
    r#type: &'static str,
    /// When the first of them was written down.
    timestamp: Instant,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    tenant: &'a str,
    events: &'a [EventBody],
}

/// One event.
#[derive(Debug, Serialize)]
pub(super) struct EventBody {
    /// Follows from grant, kind and, where there may be several of a kind, instant: the same however often it is sent, and
    /// by whatever delivery.
    pub(super) id: String,
    pub(super) r#type: &'static str,
    /// The instant that it tells of.
    at: Instant,
    /// Rises from event to event of a grant.
    sequence: i64,
    grant: GrantBody,
    /// What was made or undone, where the event tells of a redemption.
    #[serde(skip_serializing_if = "Option::is_none")]
    redemption: Option<RedemptionBody>,
    /// What it came from, as audit records name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<String>,
}

/// A redemption as events tell of it: what never changes about it.
#[derive(Debug, Serialize)]
struct RedemptionBody {
    id: String,
    /// Minor units; nothing where nothing was said.
    amount_minor: Option<i64>,
    currency: Option<String>,
    /// The caller's own word for it.
    reference: Option<String>,
    redeemed_at: Instant,
}

impl RedemptionBody {
    fn new(of: Redemption) -> Self {
        let Taking {
            id,
            amount_minor,
            currency,
            reference,
            ..
        } = of.taking;
        Self {
            id: shown_id(&id),
            amount_minor: (amount_minor > 0).then_some(amount_minor),
            currency,
            reference,
            redeemed_at: Instant(of.redeemed_at),
        }
    }
}

/// A grant as its events tell of it.
#[derive(Debug, Serialize)]
struct GrantBody {
    id: String,
    customer_id: String,
    promo_code: String,
    unique_code: Option<String>,
    campaign_id: String,
    action_id: Option<i64>,
    channel_id: Option<i64>,
    source: String,
    starts_at: Instant,
    ends_at: Option<Instant>,
}

/// The events of a batch.
pub(super) fn events(
    app: &App,
    tenant: &Tenant,
    batch: &Batch,
) -> Result<Vec<EventBody>, StoreError> {
    let mut bodies = Vec::with_capacity(batch.told.len());
    let mut campaign = None;
    for told in &batch.told {
        let of = match &campaign {
            Some((no, campaign)) if *no == told.event.campaign => campaign,
            _ => {
                let no = told.event.campaign;
                let found = app.facts.campaign(&app.store, tenant.no(), no)?;
                &campaign.insert((no, found)).1
            }
        };
        bodies.push(event(app, tenant, of, told)?);
    }
    Ok(bodies)
}

fn event(
    app: &App,
    tenant: &Tenant,
    campaign: &Campaign,
    told: &Told,
) -> Result<EventBody, StoreError> {
    let (note, event) = (told.note(), &told.event);
    let offer = app.facts.offer(&app.store, tenant.no(), note.offer)?;
    let window = app.facts.window(&app.store, tenant.no(), note.window)?;
    let promotion = app
        .facts
        .promotion(&app.store, tenant.no(), &offer.code_fold)?;
    let promo_code = promotion.map_or_else(|| offer.code_fold.clone(), |known| known.code.clone());
    let key = [
        tenant.id(),
        &campaign.id,
        &note.customer,
        &offer.code_fold,
        &note.occurrence,
    ];
    let id = grant_id(&key);
    let kind = event.kind.as_str();
    let short = kind.split_once('.').map_or(kind, |(_, short)| short);
    let redemption = redemption(app, tenant, event)?;
    Ok(EventBody {
        id: match (&redemption, event.kind) {
            // A grant may be redeemed twice at one instant, and a redemption is made and undone once.
            (Some(redemption), _) => format!("{}.{short}", redemption.id),
            // Once for each grant, though it were made again after an old backup was put back.
            (None, GrantEvent::Created | GrantEvent::Revoked) => format!("{id}.{short}"),
            (None, _) => format!("{id}.{short}.{}", event.at),
        },
        r#type: kind,
        at: Instant(event.at),
        sequence: event.no,
        grant: GrantBody {
            id,
            customer_id: note.customer.clone(),
            promo_code,
            unique_code: codes::shown(app, tenant.no(), &offer.code_fold, note.code)?,
            campaign_id: campaign.id.clone(),
            action_id: (window.action != 0).then_some(window.action),
            channel_id: (window.channel != 0).then_some(window.channel),
            source: campaign.kind.clone().unwrap_or_default(),
            starts_at: Instant(window.starts_at),
            ends_at: note.span.ends_at.map(Instant),
        },
        redemption,
        correlation: event.correlation.clone(),
    })
}

/// The redemption that an event tells of.
fn redemption(
    app: &App,
    tenant: &Tenant,
    event: &Event,
) -> Result<Option<RedemptionBody>, StoreError> {
    let Some(id) = &event.redemption else {
        return Ok(None);
    };
    let found = app.store.peek(|tx| tx.redemption(tenant.no(), id))?;
    let found = found.ok_or_else(|| StoreError::Corrupt(format!("no redemption {id}")))?;
    Ok(Some(RedemptionBody::new(found)))
}

/// One event by itself.
pub(super) fn json(event: &EventBody) -> Bytes {
    serde_json::to_vec(event)
        .expect("texts and numbers are always JSON")
        .into()
}

/// The body of a delivery to an HTTP endpoint.
pub(super) fn body(tenant: &Tenant, batch: &Batch, events: &[EventBody]) -> Vec<u8> {
    let first = batch.told.first().map_or(0, |told| told.event.noted_at);
    let message = Message {
        r#type: "grant.events",
        timestamp: Instant(first),
        data: Data {
            tenant: tenant.id(),
            events,
        },
    };
    serde_json::to_vec(&message).expect("texts and numbers are always JSON")
}

/// The id of a delivery: of its events and of where they stand, so that other events never come under the same one,
/// not even after an old copy of the database was put back.
pub(super) fn delivery_id(destination: &str, batch: &Batch, events: &[EventBody]) -> String {
    let mut digest = Sha256::new();
    let place = batch.from;
    digest.update(format!(
        "{destination}\0{}\0{}\0{}",
        place.event, place.block, place.entry
    ));
    for event in events {
        digest.update([0]);
        digest.update(&event.id);
    }
    let digest = digest.finalize();
    let letters = digest.iter().take(16).map(|byte| format!("{byte:02x}"));
    format!("dlv_{}", letters.collect::<String>())
}
