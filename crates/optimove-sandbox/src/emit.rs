//! Notifications: who gets them, in what order and how often.
//!
//! Each tenant has one lane for scheduled events. What is in it goes out one after the other, so
//! that the order is that of the events unless a switch says otherwise. Triggers have a lane of
//! their own, where many go out side by side. Retries wait beside the lanes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::event::{Event, Message};
use crate::outbox::{LaneKind, Notification, Order, Place, read_answer, signature};
use crate::random::within_percent;
use crate::shared::Shared;
use crate::switch::{OnOff, Signature, Switches};
use crate::world::Tenant;

/// Notifications waiting in a lane; beyond, they are logged but not sent.
const LANE_ORDERS_MAX: usize = 100_000;
/// Triggers of one tenant on their way at one time.
const TRIGGERS_AT_ONCE_MAX: usize = 256;
/// The event type of triggers.
pub(crate) const TRIGGER: u64 = 11;
/// How long a notification waits for a second one that is to overtake it.
const REORDER_WAIT: Duration = Duration::from_secs(2);

/// What became of a message that was announced.
#[derive(Debug, Default)]
pub(crate) struct Announced {
    /// The notifications, one for each listener.
    pub(crate) ids: Vec<u64>,
    /// Whether a switch dropped all of them; set to false when one is sent after all.
    pub(crate) dropped: Option<Arc<AtomicBool>>,
}

impl Shared {
    /// Tells a tenant's listeners what happened; gives the ids of the notifications.
    pub(crate) fn announce(
        self: &Arc<Self>,
        tenant_name: &str,
        at: Timestamp,
        events: impl IntoIterator<Item = Event>,
    ) -> Vec<u64> {
        let switches = self.switches();
        let notifications = match self.world().tenants.get(tenant_name) {
            None => Vec::new(),
            Some(tenant) => {
                let events = events.into_iter();
                let messages = events.map(|event| event.message(tenant, at, &switches));
                messages
                    .flat_map(|message| self.address(tenant_name, tenant, &message, &switches))
                    .collect()
            }
        };
        let send = |one| self.send_in_lane(one, None, &switches);
        notifications.into_iter().map(send).collect()
    }

    /// Tells a tenant's listeners one thing.
    pub(crate) fn announce_one(
        self: &Arc<Self>,
        tenant_name: &str,
        tenant: &Tenant,
        (message, place): (&Message, Option<Place>),
        switches: &Switches,
    ) -> Announced {
        let mut notifications = self.address(tenant_name, tenant, message, switches);
        let mut announced = Announced::default();
        if !notifications.is_empty() && notifications.iter().all(|one| one.dropped) {
            let dropped = Arc::new(AtomicBool::new(true));
            for one in &mut notifications {
                one.sent_after_all = Some(dropped.clone());
            }
            announced.dropped = Some(dropped);
        }
        for one in notifications {
            announced
                .ids
                .push(self.send_in_lane(one, place.clone(), switches));
        }
        announced
    }

    /// A notification for each listener that hears the message.
    fn address(
        &self,
        tenant_name: &str,
        tenant: &Tenant,
        message: &Message,
        switches: &Switches,
    ) -> Vec<Notification> {
        let touched = switches.notify_events.covers(message.kind);
        let percent = switches.notify_drop.0;
        let listeners = message.listeners(tenant, switches).into_iter();
        let notification = listeners.map(|listener| Notification {
            tenant: tenant_name.to_owned(),
            event_type: message.kind,
            url: listener.url.clone(),
            body: message.body.clone(),
            created_at: self.clock.now(),
            dropped: touched && within_percent(&[self.seed, DROP, self.next_draw()], percent),
            attempts: 0,
            last_status: None,
            last_error: None,
            signing_secret: tenant.signing_secret.clone(),
            sent_after_all: None,
        });
        notification.collect()
    }

    /// Sends a notification of the log once more, at once; gives it as it stands afterwards.
    pub(crate) async fn redeliver(&self, id: u64) -> Option<Notification> {
        self.outbox.find(id)?;
        self.attempt(id).await;
        self.outbox.find(id)
    }

    fn send_in_lane(
        self: &Arc<Self>,
        notification: Notification,
        place: Option<Place>,
        switches: &Switches,
    ) -> u64 {
        let touched = switches.notify_events.covers(notification.event_type);
        let (copies, delay) = if touched {
            (
                switches.notify_duplicate.get(),
                switches.notify_delay_ms.get(),
            )
        } else {
            (0, 0)
        };
        let (tenant, event_type) = (notification.tenant.clone(), notification.event_type);
        let dropped = notification.dropped;
        let due = self.clock.elapsed() + Duration::from_millis(delay);
        let mut state = self.outbox.state();
        let id = state.record(notification);
        if dropped {
            return id;
        }
        let generation = state.generation.clone();
        let kind = match event_type {
            TRIGGER => LaneKind::SideBySide,
            _ => LaneKind::OneByOne,
        };
        let lane = state.lanes.entry((tenant, kind)).or_insert_with(|| {
            let (lane, orders) = mpsc::channel(LANE_ORDERS_MAX);
            self.spawn(generation, self.clone().run_lane(orders, kind));
            lane
        });
        if lane
            .try_send(Order {
                id,
                event_type,
                copies,
                due,
                place,
            })
            .is_err()
        {
            drop(state);
            self.outbox
                .note(id, Err("too many notifications are waiting"));
        }
        id
    }

    pub(crate) fn spawn(
        &self,
        generation: CancellationToken,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn(async move {
            generation.run_until_cancelled(work).await;
        });
    }

    async fn run_lane(self: Arc<Self>, mut orders: mpsc::Receiver<Order>, kind: LaneKind) {
        let places = Arc::new(Semaphore::new(TRIGGERS_AT_ONCE_MAX));
        while let Some(order) = orders.recv().await {
            let switches = self.switches();
            let reorder = switches.notify_reorder == OnOff::On
                && switches.notify_events.covers(order.event_type);
            if reorder {
                let second = tokio::time::timeout(REORDER_WAIT, orders.recv()).await;
                if let Ok(Some(second)) = second {
                    self.deliver(second).await;
                }
                self.deliver(order).await;
            } else if kind == LaneKind::OneByOne {
                self.deliver(order).await;
            } else if let Ok(place) = places.clone().acquire_owned().await {
                let generation = self.outbox.generation();
                let shared = self.clone();
                self.spawn(generation, async move {
                    shared.deliver(order).await;
                    drop(place);
                });
            }
        }
    }

    async fn deliver(self: &Arc<Self>, order: Order) {
        tokio::time::sleep(order.due.saturating_sub(self.clock.elapsed())).await;
        for _ in 0..=order.copies {
            if !self.attempt(order.id).await {
                let generation = self.outbox.generation();
                self.spawn(generation, self.clone().retry(order.id));
            }
        }
        drop(order.place);
    }

    /// Tries again after each wait of the schedule, on the sandbox clock, until it succeeds.
    async fn retry(self: Arc<Self>, id: u64) {
        for retry in 0.. {
            let wait = self.switches().notify_retry_seconds.0.get(retry).copied();
            let Some(wait) = wait else { return };
            let wait = SignedDuration::from_secs(wait as i64);
            let now = self.clock.now();
            self.clock
                .wait_until(now.checked_add(wait).unwrap_or(now))
                .await;
            if self.attempt(id).await {
                return;
            }
        }
    }

    /// Posts the notification once; true if the listener took it.
    async fn attempt(&self, id: u64) -> bool {
        let Some(notification) = self.outbox.find(id) else {
            return true;
        };
        let switches = self.switches();
        if let Some(dropped) = &notification.sent_after_all {
            dropped.store(false, Ordering::Relaxed);
        }
        let outcome = self.post(&notification, &switches).await;
        if let Some(notification) = self.outbox.state().log.get_mut(&id) {
            notification.attempts += 1;
        }
        self.outbox.note(id, outcome);
        outcome.is_ok_and(|status| (200..300).contains(&status))
    }

    async fn post(
        &self,
        notification: &Notification,
        switches: &Switches,
    ) -> Result<u16, &'static str> {
        let mut request = self
            .outbox
            .client()
            .post(&notification.url)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(notification.body.clone());
        if switches.notify_signature == Signature::XHubSignature {
            request = request.header("x-hub-signature", signature(notification));
        }
        let limit = Duration::from_millis(switches.notify_timeout_ms.get());
        match tokio::time::timeout(limit, request.send()).await {
            Err(_) => Err("the listener did not answer in time"),
            Ok(Err(_)) => Err("the listener could not be reached"),
            Ok(Ok(response)) => {
                let status = response.status().as_u16();
                // The status is what counts; a body that breaks off does not matter.
                let _ = tokio::time::timeout(limit, read_answer(response)).await;
                Ok(status)
            }
        }
    }
}

/// What the draws for dropping are drawn under.
const DROP: u64 = 0xd0;
