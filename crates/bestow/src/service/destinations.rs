//! Destinations: the operator's systems that hear of grants.

mod form;

use bestow_core::TenantId;
use bestow_core::delivery::DeliveryState;
use bestow_store::announcements::DELIVER;
use bestow_store::destinations::{Destination, NewDestination as NewRow};
use bestow_store::{Error as StoreError, Tx};
use serde::Serialize;
use serde_json::json;

pub use form::{DestinationPatch, NewDestination};
pub(crate) use form::{Kind, Secrets, Settings, secrets_place};

use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::delivery;
use crate::service::view::Instant;
use crate::tenant::Tenant;

/// Destinations of one tenant.
pub(crate) const DESTINATIONS_MAX: u32 = 16;

/// A destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DestinationView {
    /// Chosen by the operator.
    pub id: String,
    /// `http` or `jetstream`.
    pub kind: String,
    /// Where events are delivered to.
    pub url: String,
    /// `honoured`: it applies each key once, so what is in doubt is sent again. `ignored`: what may have been applied
    /// is never sent again by itself.
    pub keys: String,
    /// Events of one delivery, at most.
    pub batch_events_max: u32,
    /// Deliveries under way at the same time, at most.
    pub concurrency: u32,
    /// Events sent in a second, at most; null: as fast as it takes them.
    pub events_per_second: Option<u32>,
    /// Of a `jetstream`: what its subjects begin with.
    pub subject_prefix: Option<String>,
    /// Secrets that deliveries are signed with.
    pub secrets: usize,
    /// `delivering`, `resting` (it failed several times in a row) or `paused`.
    pub status: &'static str,
    /// What the newest failed try met, since the last success.
    pub trouble: Option<String>,
    /// While it rests: until then.
    pub rests_until: Option<Instant>,
    /// Events of which nothing is planned yet, counted by what they tell of: a campaign counts as one.
    pub events_behind: u64,
    /// Deliveries planned and not settled.
    pub waiting: u64,
    /// Deliveries that may have been applied or not.
    pub unknown: u64,
    /// Deliveries that were given up.
    pub dead: u64,
    /// When it was made. It hears of what happens from then on.
    pub created_at: Instant,
}

/// A destination that was made or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DestinationMade {
    /// As it is now.
    #[serde(flatten)]
    pub destination: DestinationView,
    /// The secret that was made for it, shown this once; null where none was.
    pub secret: Option<String>,
}

/// Makes a destination, which hears of what happens from now on.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::Conflict`] with `exists` or `too_many`; the store's.
pub async fn create(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    new: NewDestination,
) -> Result<DestinationMade> {
    let id = TenantId::parse(&new.id).map_err(|_| {
        let message = "`id` must have 1 to 63 letters a to z, digits, `-` and `_`, and begin with a letter or digit";
        Error::invalid("bad_id", message)
    })?;
    let (settings, secrets, secret) = new.read(app)?;
    delivery::check(&settings, &secrets, &delivery::Limits::of(app)?)?;
    let (id, no) = (id.as_str().to_owned(), tenant.no());
    let sealed = secrets.seal(app, tenant, &id);
    let (kind, settings) = (settings.kind.as_str(), settings.to_json());
    let (actor, made) = (actor.id.clone(), id.clone());
    app.store
        .tx("create_destination", move |tx| {
            if tx.destinations(no, "", DESTINATIONS_MAX)?.len() as u32 == DESTINATIONS_MAX {
                let message = format!("a tenant has at most {DESTINATIONS_MAX} destinations");
                return Err(Error::conflict("too_many", message));
            }
            let row = NewRow {
                id: &made,
                kind,
                settings: &settings,
                secrets: Some(&sealed),
            };
            if tx.insert_destination(no, &row)?.is_none() {
                let message = format!("there is a destination `{made}` already");
                return Err(Error::conflict("exists", message));
            }
            let detail = json!({ "kind": kind, "settings": settings });
            let object = Object::Destination(&made);
            Ok(object.record(tx, no, &actor, "destination.created", &detail)?)
        })
        .await?;
    let destination = get(app, tenant, &id)?;
    Ok(DestinationMade {
        destination,
        secret,
    })
}

/// One destination.
///
/// # Errors
/// [`Error::NotFound`]; the store's.
pub fn get(app: &App, tenant: &Tenant, id: &str) -> Result<DestinationView> {
    app.store.read(|tx| {
        let found = known(tx, tenant.no(), id)?;
        view(app, tx, tenant, found)
    })
}

/// Destinations behind an id, in the order of ids.
///
/// # Errors
/// The store's.
pub fn list(app: &App, tenant: &Tenant, after: &str, limit: u32) -> Result<Vec<DestinationView>> {
    app.store.read(|tx| {
        let found = tx.destinations(tenant.no(), after, limit)?;
        found
            .into_iter()
            .map(|found| view(app, tx, tenant, found))
            .collect()
    })
}

/// Changes what the patch names; the rest stays.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; the store's.
pub async fn update(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    id: &str,
    patch: DestinationPatch,
) -> Result<DestinationMade> {
    let found = app.store.peek(|tx| known(tx, tenant.no(), id))?;
    let (was, secrets) = (Settings::read(&found)?, Secrets::open(app, tenant, &found)?);
    let (settings, secrets, secret) = patch.apply(app, &was, secrets)?;
    delivery::check(&settings, &secrets, &delivery::Limits::of(app)?)?;
    let sealed = secrets.seal(app, tenant, &found.id);
    let (is_paused, was_paused) = (patch.paused, found.paused_at.is_some());
    let detail = json!({
        "before": was, "after": settings, "paused": is_paused.unwrap_or(was_paused),
        "secrets": secrets.signing.len(), "new_secret": secret.is_some(),
    });
    let (no, actor, settings) = (tenant.no(), actor.id.clone(), settings.to_json());
    app.tx("update_destination", move |tx| {
        tx.set_destination(no, found.no, &settings, Some(&sealed))?;
        let now = tx.now_ms();
        match is_paused {
            Some(true) if !was_paused => tx.pause_destination(no, found.no, Some(now))?,
            Some(false) | None if !was_paused || is_paused.is_some() => {
                tx.pause_destination(no, found.no, None)?;
            }
            _ => {}
        }
        tx.want_job(no, DELIVER, &found.no.to_string(), now)?;
        Object::Destination(&found.id).record(tx, no, &actor, "destination.changed", &detail)
    })
    .await?;
    app.work.notify_one();
    let destination = get(app, tenant, id)?;
    Ok(DestinationMade {
        destination,
        secret,
    })
}

/// Ends a destination: nothing more is delivered to it, and its secrets are forgotten. Its deliveries stay listed.
///
/// # Errors
/// [`Error::NotFound`]; the store's.
pub async fn end(app: &App, actor: &Actor, tenant: &Tenant, id: &str) -> Result<()> {
    let (no, actor, id) = (tenant.no(), actor.id.clone(), id.to_owned());
    app.store
        .tx("end_destination", move |tx| {
            let found = known(tx, no, &id)?;
            tx.end_destination(no, found.no)?;
            Ok(Object::Destination(&id).record(tx, no, &actor, "destination.ended", &json!({}))?)
        })
        .await
}

/// The destination with this id.
///
/// # Errors
/// [`Error::NotFound`]; the store's.
pub(crate) fn known(tx: &mut Tx<'_>, tenant: i64, id: &str) -> Result<Destination> {
    tx.destination(tenant, id)?
        .ok_or(Error::NotFound("destination"))
}

/// When the oldest of what a destination has not taken yet was noted or planned. Milliseconds.
///
/// # Errors
/// [`Error::NotFound`]; the store's.
pub(crate) fn oldest_untold_at(app: &App, tenant: &Tenant, id: &str) -> Result<Option<i64>> {
    app.store.read(|tx| {
        let found = known(tx, tenant.no(), id)?;
        let mut instants = Vec::new();
        for state in [DeliveryState::Waiting, DeliveryState::Sending] {
            let first = tx.open_deliveries(tenant.no(), found.no, state, 0, 1)?;
            instants.extend(first.iter().map(|delivery| delivery.planned_at));
        }
        let unplanned = tx.grant_events(tenant.no(), found.heard.event, 1)?;
        instants.extend(unplanned.iter().map(|event| event.noted_at));
        Ok(instants.into_iter().min())
    })
}

fn view(
    app: &App,
    tx: &mut Tx<'_>,
    tenant: &Tenant,
    found: Destination,
) -> Result<DestinationView> {
    let settings = Settings::read(&found)?;
    let secrets = Secrets::open(app, tenant, &found)?;
    let last = tx.last_grant_event(tenant.no())?;
    let mut count =
        |state| -> Result<u64, StoreError> { tx.deliveries_in(tenant.no(), found.no, state) };
    let rests_until = found.rests_until.filter(|at| *at > app.clock.now_ms());
    Ok(DestinationView {
        status: match (found.paused_at, rests_until) {
            (Some(_), _) => "paused",
            (None, Some(_)) => "resting",
            (None, None) => "delivering",
        },
        id: found.id,
        kind: found.kind,
        url: settings.url,
        keys: settings.keys.as_str().to_owned(),
        batch_events_max: settings.batch_events_max,
        concurrency: settings.concurrency,
        events_per_second: settings.events_per_second,
        subject_prefix: settings.subject_prefix,
        secrets: secrets.signing.len(),
        trouble: found.trouble,
        rests_until: rests_until.map(Instant),
        events_behind: u64::try_from(last + 1 - found.heard.event).unwrap_or_default(),
        waiting: count(DeliveryState::Waiting)? + count(DeliveryState::Sending)?,
        unknown: count(DeliveryState::Unknown)?,
        dead: count(DeliveryState::Dead)?,
        created_at: Instant(found.created_at),
    })
}
