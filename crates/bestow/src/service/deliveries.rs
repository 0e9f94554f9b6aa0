//! Deliveries as people see them, and those that they have sent again.

use bestow_core::delivery::DeliveryState;
use bestow_store::announcements::DELIVER;
use bestow_store::deliveries::Delivery;
use serde::Serialize;
use serde_json::json;

use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::destinations::known;
use crate::service::grants::sentence;
use crate::service::view::Instant;
use crate::tenant::Tenant;

/// A delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DeliveryView {
    /// The key that the destination is sent with each try.
    pub id: String,
    /// The destination; null where it was ended.
    pub destination: Option<String>,
    /// `waiting`, `sending`, `delivered`, `unknown`, `dead` or `overtaken`.
    pub state: &'static str,
    /// Events in it.
    pub events: u64,
    /// Tries since it was planned or last sent again by hand.
    pub attempts: u64,
    /// Times that somebody had it sent again.
    pub redriven: u64,
    /// Whether a try may have been applied though it failed.
    pub in_doubt: bool,
    /// When it was planned.
    pub planned_at: Instant,
    /// While it waits: not tried before.
    pub next_at: Option<Instant>,
    /// When it was settled.
    pub settled_at: Option<Instant>,
    /// What the newest failed try met.
    pub detail: Option<String>,
}

/// Which deliveries.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Only to this destination.
    pub destination: Option<&'a str>,
    /// Only in this state.
    pub state: Option<&'a str>,
}

/// Where a list of deliveries goes on: the destination's number and the delivery's.
pub type DeliveryPlace = (i64, u64);

/// Deliveries behind a place, by destination and in the order in which they were planned.
///
/// # Errors
/// [`Error::NotFound`] for a destination; [`Error::Invalid`] with `bad_state`; the store's.
pub fn list(
    app: &App,
    tenant: &Tenant,
    filter: Filter<'_>,
    after: DeliveryPlace,
    limit: u32,
) -> Result<Vec<(DeliveryPlace, DeliveryView)>> {
    let state = filter.state.map(DeliveryState::parse).transpose();
    let state = state.map_err(|e| Error::invalid("bad_state", sentence(&e)))?;
    let no = tenant.no();
    app.store.read(|tx| {
        let destination = filter
            .destination
            .map(|id| known(tx, no, id).map(|found| found.no))
            .transpose()?;
        let found = tx.deliveries(no, destination, state, after, limit)?;
        let mut views = Vec::with_capacity(found.len());
        for delivery in found {
            let to = tx.destination_by_no(no, delivery.destination)?;
            let place = (delivery.destination, delivery.no);
            views.push((place, view(delivery, to.map(|to| to.id))));
        }
        Ok(views)
    })
}

/// Has a delivery sent again that was given up or may have been applied: with the same id, and without what gives where
/// the grant is over by now.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] with `not_given_up`; the store's.
pub async fn retry(app: &App, actor: &Actor, tenant: &Tenant, id: &str) -> Result<DeliveryView> {
    let (no, actor, wanted) = (tenant.no(), actor.id.clone(), id.to_owned());
    let again = app
        .store
        .tx("retry_delivery", move |tx| {
            let found = tx
                .delivery(no, &wanted)?
                .ok_or(Error::NotFound("delivery"))?;
            let to = tx.destination_by_no(no, found.destination)?;
            let Some(to) = to else {
                let message = "its destination was ended";
                return Err(Error::conflict("destination_ended", message));
            };
            if !tx.redrive_delivery(no, &wanted)? {
                let message = format!("the delivery is {}, so it is not sent again", found.state);
                return Err(Error::conflict("not_given_up", message));
            }
            let now = tx.now_ms();
            tx.want_job(no, DELIVER, &to.no.to_string(), now)?;
            let detail = json!({ "destination": to.id, "was": found.state.as_str() });
            Object::Delivery(&wanted).record(tx, no, &actor, "delivery.retried", &detail)?;
            let again = tx
                .delivery(no, &wanted)?
                .ok_or(Error::NotFound("delivery"))?;
            Ok(view(again, Some(to.id)))
        })
        .await?;
    app.work.notify_one();
    Ok(again)
}

fn view(delivery: Delivery, destination: Option<String>) -> DeliveryView {
    let waits = delivery.state == DeliveryState::Waiting;
    DeliveryView {
        id: delivery.id,
        destination,
        state: delivery.state.as_str(),
        events: delivery.events,
        attempts: delivery.attempts,
        redriven: delivery.redriven,
        in_doubt: delivery.in_doubt,
        planned_at: Instant(delivery.planned_at),
        next_at: waits.then_some(Instant(delivery.next_at)),
        settled_at: delivery.settled_at.map(Instant),
        detail: delivery.detail,
    }
}
