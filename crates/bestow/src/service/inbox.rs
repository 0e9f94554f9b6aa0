//! The inbox as people see it, and running a notification again.

use bestow_store::inbox::{InboxFilter, Notification};
use serde::Serialize;

use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::view::Instant;
use crate::tenant::Tenant;

/// What leads an id of a notification outside.
const PREFIX: &str = "ntf_";
/// The states of a notification.
const STATUSES: [&str; 4] = ["waiting", "done", "superseded", "held"];

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NotificationView {
    /// Sorts by the time of the first arrival.
    pub id: String,
    /// Optimove's number of the event, from the address it came to.
    pub event_type: i64,
    /// Optimove's campaign id, if it could be read.
    pub campaign_id: Option<String>,
    /// Optimove's channel, if named.
    pub channel_id: Option<i64>,
    /// Of the first arrival.
    pub received_at: Instant,
    /// How often it came.
    pub arrivals: u64,
    /// `waiting`, `done`, `superseded` or `held`.
    pub status: String,
    /// Why held or superseded.
    pub reason: Option<String>,
}

/// A notification with the body as it first came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NotificationWithBody {
    /// The notification.
    #[serde(flatten)]
    pub notification: NotificationView,
    /// The body; bytes that are no UTF-8 are replaced.
    pub body: String,
}

/// What a list is narrowed to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter<'a> {
    /// Only this status.
    pub status: Option<&'a str>,
    /// Only this campaign.
    pub campaign: Option<&'a str>,
}

/// Notifications behind an id, oldest first.
///
/// # Errors
/// [`Error::Invalid`] for a status that is none; the store's.
pub fn list(
    app: &App,
    tenant: &Tenant,
    filter: Filter<'_>,
    after: &str,
    limit: u32,
) -> Result<Vec<NotificationView>> {
    if filter
        .status
        .is_some_and(|status| !STATUSES.contains(&status))
    {
        let message = format!("A notification is one of: {}.", STATUSES.join(", "));
        return Err(Error::invalid("bad_status", message));
    }
    let filter = InboxFilter {
        status: filter.status,
        campaign: filter.campaign,
    };
    let after = after.strip_prefix(PREFIX).unwrap_or(after);
    let found = app
        .store
        .peek(|tx| tx.notifications(tenant.no(), filter, after, limit))?;
    Ok(found.into_iter().map(view).collect())
}

/// One notification.
///
/// # Errors
/// [`Error::NotFound`]; the store's.
pub fn get(app: &App, tenant: &Tenant, id: &str) -> Result<NotificationWithBody> {
    let inner = id
        .strip_prefix(PREFIX)
        .ok_or(Error::NotFound("notification"))?;
    let found = app.store.peek(|tx| tx.notification(tenant.no(), inner))?;
    let found = found.ok_or(Error::NotFound("notification"))?;
    let body = String::from_utf8_lossy(&found.body).into_owned();
    Ok(NotificationWithBody {
        notification: view(found),
        body,
    })
}

/// Runs a notification again, whatever became of it before.
///
/// # Errors
/// [`Error::NotFound`]; the store's.
pub async fn replay(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    id: &str,
) -> Result<NotificationWithBody> {
    let before = get(app, tenant, id)?.notification;
    let inner = id.strip_prefix(PREFIX).unwrap_or(id).to_owned();
    let public_id = before.id.clone();
    let (no, actor) = (tenant.no(), actor.id.clone());
    let detail = serde_json::json!({"was": before.status, "reason": before.reason});
    app.tx("replay_notification", move |tx| {
        tx.settle_notification(no, &inner, "waiting", None)?;
        Object::Notification(&public_id).record(tx, no, &actor, "notification.replayed", &detail)
    })
    .await?;
    app.arrived.notify_one();
    get(app, tenant, id)
}

/// The id of a notification as it is known outside, by the one it is kept under.
pub(crate) fn shown_id(id: &str) -> String {
    format!("{PREFIX}{id}")
}

fn view(found: Notification) -> NotificationView {
    NotificationView {
        id: shown_id(&found.id),
        event_type: found.event_type,
        campaign_id: found.campaign,
        channel_id: found.channel,
        received_at: Instant(found.received_at),
        arrivals: found.arrivals,
        status: found.status,
        reason: found.reason,
    }
}
