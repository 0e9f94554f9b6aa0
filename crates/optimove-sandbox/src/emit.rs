//! Notifications: who gets them, in what order, how often, and a log of all of it.
//!
//! Each tenant has one lane. What is in a lane goes out one after the other, so that the order
//! is that of the events unless a switch says otherwise. Retries wait beside the lane.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::random::within_percent;
use crate::shared::Shared;
use crate::switch::{ListenerMatch, OnOff, Signature, Switches};
use crate::world::{Listener, Tenant};
use crate::write::{number, text};

/// Notifications kept in the log; beyond, the oldest go.
const NOTIFICATIONS_KEPT_MAX: usize = 100_000;
/// Notifications waiting in the lane of one tenant; beyond, they are logged but not sent.
const LANE_ORDERS_MAX: usize = 10_000;
/// How long a notification waits for a second one that is to overtake it.
const REORDER_WAIT: Duration = Duration::from_secs(2);

/// Something that happened to a tenant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    kind: u64,
    campaign: Option<u64>,
    channel: Option<u64>,
}

impl Event {
    pub(crate) fn of_day(kind: u64) -> Self {
        Self {
            kind,
            campaign: None,
            channel: None,
        }
    }

    pub(crate) fn of_campaign(kind: u64, campaign: u64) -> Self {
        Self {
            kind,
            campaign: Some(campaign),
            channel: None,
        }
    }

    pub(crate) fn of_channel(kind: u64, campaign: u64, channel: u64) -> Self {
        Self {
            kind,
            campaign: Some(campaign),
            channel: Some(channel),
        }
    }

    /// The body that is posted.
    fn body(self, tenant: &Tenant, now: Timestamp, switches: &Switches) -> Bytes {
        let mut json = b"{".to_vec();
        if switches.event_type_in_body == OnOff::On {
            json.extend_from_slice(b"\"EventTypeID\":");
            number(&mut json, self.kind);
            json.push(b',');
        }
        json.extend_from_slice(b"\"TimeStamp\":");
        let local = tenant.zone.to_datetime(now);
        text(&mut json, &local.strftime("%Y-%m-%d %H:%M").to_string());
        for (name, value) in [("CampaignID", self.campaign), ("ChannelID", self.channel)] {
            let Some(value) = value else { continue };
            json.push(b',');
            text(&mut json, name);
            json.push(b':');
            number(&mut json, value);
        }
        json.push(b'}');
        json.into()
    }

    /// The listeners that the event goes to.
    fn listeners<'a>(self, tenant: &'a Tenant, switches: &Switches) -> Vec<&'a Listener> {
        let listeners = tenant.listeners.iter();
        let mut matching: Vec<_> = listeners
            .filter(|listener| {
                let same_channel = || listener.channel == self.channel;
                listener.event_type == self.kind
                    && (listener.channel.is_none() || self.channel.is_none() || same_channel())
            })
            .collect();
        let specific = matching.iter().any(|listener| listener.channel.is_some());
        if switches.listener_match == ListenerMatch::MostSpecific && specific {
            matching.retain(|listener| listener.channel.is_some());
        }
        matching
    }
}

/// A notification in the log.
#[derive(Clone, Debug)]
pub(crate) struct Notification {
    pub(crate) tenant: String,
    pub(crate) event_type: u64,
    pub(crate) url: String,
    pub(crate) body: Bytes,
    pub(crate) created_at: Timestamp,
    /// A switch kept it from being sent.
    pub(crate) dropped: bool,
    pub(crate) attempts: u64,
    pub(crate) last_status: Option<u16>,
    pub(crate) last_error: Option<&'static str>,
    signing_secret: String,
}

/// A notification on its way out.
#[derive(Debug)]
struct Order {
    id: u64,
    event_type: u64,
    copies: u64,
    /// Real time before which it does not go.
    due: Duration,
}

/// The log, the lanes, and the client that sends.
#[derive(Debug)]
pub(crate) struct Outbox {
    client: reqwest::Client,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    log: BTreeMap<u64, Notification>,
    last_id: u64,
    lanes: HashMap<String, mpsc::Sender<Order>>,
    /// Cancelled by a reset.
    generation: CancellationToken,
}

impl State {
    fn new(stop: &CancellationToken) -> Self {
        let generation = stop.child_token();
        Self {
            log: BTreeMap::new(),
            last_id: 0,
            lanes: HashMap::new(),
            generation,
        }
    }

    fn record(&mut self, notification: Notification) -> u64 {
        if self.log.len() >= NOTIFICATIONS_KEPT_MAX {
            self.log.pop_first();
        }
        self.last_id += 1;
        self.log.insert(self.last_id, notification);
        self.last_id
    }
}

impl Outbox {
    pub(crate) fn new(stop: &CancellationToken) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: client()?,
            state: Mutex::new(State::new(stop)),
        })
    }

    /// Forgets everything and ends what is under way.
    pub(crate) fn reset(&self, stop: &CancellationToken) {
        let old = std::mem::replace(&mut *self.state(), State::new(stop));
        old.generation.cancel();
    }

    /// All notifications, oldest first.
    pub(crate) fn log(&self) -> Vec<(u64, Notification)> {
        let state = self.state();
        state
            .log
            .iter()
            .map(|(id, notification)| (*id, notification.clone()))
            .collect()
    }

    pub(crate) fn find(&self, id: u64) -> Option<Notification> {
        self.state().log.get(&id).cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, id: u64, outcome: Result<u16, &'static str>) {
        if let Some(notification) = self.state().log.get_mut(&id) {
            notification.last_status = outcome.ok();
            notification.last_error = outcome.err();
        }
    }
}

/// The client that posts notifications. It works without certificates on the machine; listeners
/// with https are then refused.
fn client() -> Result<reqwest::Client, reqwest::Error> {
    // An error here means that the process has chosen a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        let builder = reqwest::Client::builder().no_proxy().tcp_nodelay(true);
        builder.redirect(reqwest::redirect::Policy::none())
    };
    builder()
        .build()
        .or_else(|_| builder().tls_certs_only([]).build())
}

impl Shared {
    /// Tells a tenant's listeners what happened; gives the ids of the notifications.
    pub(crate) fn announce(
        self: &Arc<Self>,
        tenant_name: &str,
        events: impl IntoIterator<Item = Event>,
    ) -> Vec<u64> {
        let (switches, now) = (self.switches(), self.clock.now());
        let mut notifications = Vec::new();
        if let Some(tenant) = self.world().tenants.get(tenant_name) {
            for event in events {
                for listener in event.listeners(tenant, &switches) {
                    let percent = switches.notify_drop.0;
                    let touched = switches.notify_events.covers(event.kind);
                    notifications.push(Notification {
                        tenant: tenant_name.to_owned(),
                        event_type: event.kind,
                        url: listener.url.clone(),
                        body: event.body(tenant, now, &switches),
                        created_at: now,
                        dropped: touched
                            && within_percent(&[self.seed, DROP, self.next_draw()], percent),
                        attempts: 0,
                        last_status: None,
                        last_error: None,
                        signing_secret: tenant.signing_secret.clone(),
                    });
                }
            }
        }
        notifications
            .into_iter()
            .map(|one| self.send_in_lane(one, &switches))
            .collect()
    }

    /// Sends a notification of the log once more, at once; gives it as it stands afterwards.
    pub(crate) async fn redeliver(&self, id: u64) -> Option<Notification> {
        self.outbox.find(id)?;
        self.attempt(id).await;
        self.outbox.find(id)
    }

    fn send_in_lane(self: &Arc<Self>, notification: Notification, switches: &Switches) -> u64 {
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
        let lane = state.lanes.entry(tenant).or_insert_with(|| {
            let (lane, orders) = mpsc::channel(LANE_ORDERS_MAX);
            self.spawn(generation, self.clone().run_lane(orders));
            lane
        });
        if lane
            .try_send(Order {
                id,
                event_type,
                copies,
                due,
            })
            .is_err()
        {
            drop(state);
            self.outbox
                .note(id, Err("too many notifications are waiting"));
        }
        id
    }

    fn spawn(
        &self,
        generation: CancellationToken,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn(async move {
            generation.run_until_cancelled(work).await;
        });
    }

    async fn run_lane(self: Arc<Self>, mut orders: mpsc::Receiver<Order>) {
        while let Some(order) = orders.recv().await {
            let switches = self.switches();
            let reorder = switches.notify_reorder == OnOff::On
                && switches.notify_events.covers(order.event_type);
            if reorder
                && let Ok(Some(second)) = tokio::time::timeout(REORDER_WAIT, orders.recv()).await
            {
                self.deliver(second).await;
            }
            self.deliver(order).await;
        }
    }

    async fn deliver(self: &Arc<Self>, order: Order) {
        tokio::time::sleep(order.due.saturating_sub(self.clock.elapsed())).await;
        for _ in 0..=order.copies {
            if !self.attempt(order.id).await {
                let generation = self.outbox.state().generation.clone();
                self.spawn(generation, self.clone().retry(order.id));
            }
        }
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
            .client
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
            Ok(Ok(response)) => Ok(response.status().as_u16()),
        }
    }
}

/// What the draws for dropping are drawn under.
const DROP: u64 = 0xd0;

/// `sha256=` and the keyed digest of the body in hex.
fn signature(notification: &Notification) -> String {
    use std::fmt::Write as _;
    let mut mac = Hmac::<Sha256>::new_from_slice(notification.signing_secret.as_bytes())
        .expect("a key of any length is accepted");
    mac.update(&notification.body);
    let mut value = "sha256=".to_owned();
    for byte in mac.finalize().into_bytes() {
        write!(value, "{byte:02x}").expect("writing to a string cannot fail");
    }
    value
}
