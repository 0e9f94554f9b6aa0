//! The inbox: taking notifications in, and finding out what each asks for.
//!
//! A notification is a hint. Taking it in stores it and nothing else; settling it wants reads of Optimove's lists,
//! which say what is true.

mod group;

use std::collections::BTreeSet;

use bestow_core::notification::NotificationKey;
use bestow_core::turns::{self, Queue};
use bestow_core::{HoldReason, Zone};
use bestow_store::inbox::{NewNotification, Notification};
use bestow_store::{Error as StoreError, Tx};
use bytes::Bytes;

pub use group::Arrivals;

use crate::app::App;
use crate::directory::{ListenerTarget, Snapshot};
use crate::error::Result;
use crate::ingest::notification as reading;
use crate::ingest::trigger;
use crate::service::clearance::{self, Asked};
use crate::service::codes;
use crate::service::triggered::{self, Look, Settled};
use crate::service::{cancel, ended, inbox};
use crate::tenant::Tenant;
use crate::work::kind;

/// Notifications settled in one transaction.
const SETTLED_AT_ONCE_MAX: u32 = 200;
/// Notices of a cancel that are settled before them, in the same transaction.
const CANCELS_FIRST_MAX: u32 = 50;
/// Why events that this release does not act on are held.
const NOT_SUPPORTED: &str = "event_not_supported";

/// Takes a notification in. It is durable when this returns; many at once share a commit.
///
/// # Errors
/// The store's: then nothing is promised, and the sender may come again.
pub async fn accept(app: &App, target: ListenerTarget, body: Bytes) -> Result<()> {
    let new = read_new(app, target, body);
    Ok(app.arrivals.accept(&app.store, new).await?)
}

fn read_new(app: &App, target: ListenerTarget, body: Bytes) -> NewNotification {
    let snapshot = app.directory.snapshot();
    let tenant = snapshot.tenant_by_no(target.tenant);
    let read = match tenant {
        Some(tenant) => reading::read(target.event_type, &body, &tenant.zone),
        None => reading::read(target.event_type, &body, &Zone::utc()),
    };
    let body = match target.event_type {
        11 => {
            let rules = tenant.map(|tenant| tenant.settings.triggered.clone());
            trigger::reduce(&body, &read, &rules.unwrap_or_default())
        }
        _ => body.into(),
    };
    NewNotification {
        tenant: target.tenant,
        id: app.random.id(app.clock.now_ms()),
        event_type: target.event_type,
        identity: read.key.to_string(),
        campaign: read.campaign.map(|id| id.as_str().to_owned()),
        channel: read.channel.map(|channel| channel.0),
        body,
    }
}

/// Settles waiting notifications, oldest first. False where none waits.
///
/// # Errors
/// The store's.
pub async fn settle_waiting(app: &App) -> Result<bool> {
    let (waits, stops) = app.store.read(|tx| {
        let stops = !tx.waiting_cancels(1)?.is_empty();
        Ok::<_, StoreError>((tx.waiting_tenants()?, stops))
    })?;
    if waits.is_empty() {
        return Ok(false);
    }
    let snapshot = app.directory.snapshot();
    let grace_ms = seconds_ms(app.config.work.event_1_grace_seconds);
    let (settled, stopped, low) = app
        .tx("settle_notifications", move |tx| {
            // Where this is run again after a commit of unknown outcome, the first run did the stopping.
            let (mut settled, mut stopped) = (false, stops);
            let mut triggered = BTreeSet::new();
            for notification in next_batch(tx)? {
                tx.correlate(inbox::shown_id(&notification.id));
                if let Some(outcome) = settle(tx, &snapshot, &notification, grace_ms)? {
                    settled = true;
                    stopped |= matches!(outcome, Outcome::Stopped);
                }
                if notification.event_type == 11 {
                    triggered.insert(notification.tenant);
                }
            }
            let mut low = Vec::new();
            for tenant in triggered {
                low.extend(codes::note_low(tx, tenant)?);
            }
            Ok::<_, StoreError>((settled, stopped, low))
        })
        .await?;
    codes::tell_low(app, low);
    if stopped {
        app.facts_changed();
    }
    Ok(settled)
}

/// The notifications to be settled next: tenants take turns, so that a flood of one delays the others by a batch at
/// most. What a tenant leaves of its share goes to those who have more.
fn next_batch(tx: &mut Tx<'_>) -> std::result::Result<Vec<Notification>, StoreError> {
    let queues = tx.waiting_tenants()?.into_iter();
    let queues = queues.map(|(tenant, first)| Queue { tenant, first });
    // What stops a campaign goes before whatever else waits.
    let cancels = tx.waiting_cancels(CANCELS_FIRST_MAX)?;
    let mut batch: Vec<Notification> = Vec::new();
    let mut have_more = Vec::new();
    for (tenant, share) in turns::shares(queues.collect(), SETTLED_AT_ONCE_MAX) {
        let some = tx.waiting_notifications(tenant, "", share)?;
        if let Some(last) = some
            .last()
            .filter(|_| some.len() as u64 == u64::from(share))
        {
            have_more.push((tenant, last.id.clone()));
        }
        batch.extend(some);
    }
    for (tenant, last) in have_more {
        let left =
            SETTLED_AT_ONCE_MAX.saturating_sub(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        if left == 0 {
            break;
        }
        batch.extend(tx.waiting_notifications(tenant, &last, left)?);
    }
    let is_first = |one: &Notification| cancels.iter().any(|cancel| cancel.id == one.id);
    batch.retain(|one| one.event_type != 4 || !is_first(one));
    Ok(cancels.into_iter().chain(batch).collect())
}

/// What a notification asks for, in the transaction that settles it. `None` where it has to wait.
fn settle(
    tx: &mut Tx<'_>,
    snapshot: &Snapshot,
    notification: &Notification,
    grace_ms: i64,
) -> std::result::Result<Option<Outcome>, StoreError> {
    let Some(tenant) = snapshot.tenant_by_no(notification.tenant) else {
        // The tenant was added by another process a moment ago; a later look finds it.
        return Ok(None);
    };
    let outcome = match notification.event_type {
        11 => match triggered::take(tx, tenant, notification, Look::First)?.settled {
            Settled::Done => Outcome::Done,
            Settled::Held(reason) => Outcome::Held(reason),
        },
        _ => act_on(tx, tenant, notification, grace_ms)?,
    };
    let (status, reason) = match outcome {
        Outcome::Done | Outcome::Stopped => ("done", None),
        Outcome::Superseded(reason) => ("superseded", Some(reason)),
        Outcome::Held(reason) => ("held", Some(reason)),
    };
    if status == "held" {
        tracing::warn!(
            tenant.id = tenant.id(),
            notification.id,
            reason,
            "a notification is held"
        );
    }
    tx.settle_notification(notification.tenant, &notification.id, status, reason)?;
    Ok(Some(outcome))
}

/// What a notification asks for that is not a trigger.
fn act_on(
    tx: &mut Tx<'_>,
    tenant: &Tenant,
    notification: &Notification,
    grace_ms: i64,
) -> std::result::Result<Outcome, StoreError> {
    let read = reading::read(notification.event_type, &notification.body, &tenant.zone);
    if let NotificationKey::ClearanceAsked { campaign, deadline } = &read.key {
        return Ok(match clearance::ask(tx, tenant, campaign, *deadline)? {
            Asked::Opened => Outcome::Done,
            Asked::Known => Outcome::Superseded("already_asked"),
            Asked::NotConditional => Outcome::Held(HoldReason::EventTypeMismatch.as_str()),
        });
    }
    Ok(match (read.hold, read.campaign) {
        (Some(hold), _) => Outcome::Held(hold.as_str()),
        (None, Some(campaign)) if notification.event_type == 4 => {
            let at = notification.received_at;
            if cancel::heard(tx, tenant.no(), campaign.as_str(), at)? {
                Outcome::Stopped
            } else {
                Outcome::Superseded("already_stopped")
            }
        }
        (None, Some(campaign)) => {
            let channel = read.channel.map(|channel| channel.0);
            act(
                tx,
                tenant,
                notification.event_type,
                campaign.as_str(),
                channel,
                grace_ms,
            )?
        }
        (None, None) => day_event(tx, tenant, notification.event_type)?,
    })
}

enum Outcome {
    Done,
    Stopped,
    Superseded(&'static str),
    Held(&'static str),
}

fn act(
    tx: &mut Tx<'_>,
    tenant: &Tenant,
    event_type: i64,
    campaign: &str,
    channel: Option<i64>,
    grace_ms: i64,
) -> std::result::Result<Outcome, StoreError> {
    let now = tx.now_ms();
    let see = |tx: &mut Tx<'_>| tx.see_campaign(tenant.no(), campaign, "scheduled", "notification");
    match event_type {
        1 => {
            let (no, _) = see(tx)?;
            if tenant.settings.scheduled_channels.is_empty() {
                return want(tx, tenant, no, 0);
            }
            // Each channel's event 13 says more; this one only makes sure that none is missed.
            tx.want_job(tenant.no(), kind::GRACE, &no.to_string(), now + grace_ms)?;
            Ok(Outcome::Done)
        }
        13 => {
            let (no, _) = see(tx)?;
            want(tx, tenant, no, channel.unwrap_or(0))
        }
        _ => Ok(Outcome::Held(HoldReason::UnknownEventType.as_str())),
    }
}

fn want(
    tx: &mut Tx<'_>,
    tenant: &Tenant,
    campaign: i64,
    channel: i64,
) -> std::result::Result<Outcome, StoreError> {
    if !tx.want_import(tenant.no(), campaign, channel)? {
        return Ok(Outcome::Superseded("already_wanted"));
    }
    let now = tx.now_ms();
    tx.want_job(tenant.no(), kind::IMPORT, &campaign.to_string(), now)?;
    Ok(Outcome::Done)
}

/// Events 2 and 3 say that a day's campaigns are all out: the moment to look for those nobody told us of.
fn day_event(
    tx: &mut Tx<'_>,
    tenant: &Tenant,
    event_type: i64,
) -> std::result::Result<Outcome, StoreError> {
    if !matches!(event_type, 2 | 3) {
        return Ok(Outcome::Held(NOT_SUPPORTED));
    }
    let now = tx.now_ms();
    tx.want_job(tenant.no(), kind::SWEEP, "", now)?;
    if event_type == 3 {
        ended::want_today(tx, tenant)?;
    }
    Ok(Outcome::Done)
}

pub(crate) fn seconds_ms(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX)
}
