//! The log of notifications, the lanes that they go out by, and the client that sends them.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// Notifications kept in the log; beyond, the oldest go.
const NOTIFICATIONS_KEPT_MAX: usize = 100_000;
/// Triggers that wait to be sent; beyond, the next ones wait before they are taken, so that none
/// leaves the log unsent.
const TRIGGERS_WAITING_MAX: usize = 25_000;
/// Bytes of a listener's answer that are read, so that its connection can be used again.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

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
    pub(crate) signing_secret: String,
    /// Set when it is sent after all, for who waits for that.
    pub(crate) sent_after_all: Option<Arc<AtomicBool>>,
}

/// A notification on its way out.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) id: u64,
    pub(crate) event_type: u64,
    pub(crate) copies: u64,
    /// Real time before which it does not go.
    pub(crate) due: Duration,
    /// The place of a trigger among those that wait, given back when it is gone.
    pub(crate) place: Option<Place>,
}

/// A place among the triggers that wait to be sent.
pub(crate) type Place = Arc<OwnedSemaphorePermit>;

/// The log, the lanes, and the client that sends.
#[derive(Debug)]
pub(crate) struct Outbox {
    client: reqwest::Client,
    state: Mutex<State>,
    places: Arc<Semaphore>,
}

/// Whether what is in a lane goes out one by one or side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LaneKind {
    OneByOne,
    SideBySide,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) log: BTreeMap<u64, Notification>,
    last_id: u64,
    pub(crate) lanes: HashMap<(String, LaneKind), mpsc::Sender<Order>>,
    /// Cancelled by a reset.
    pub(crate) generation: CancellationToken,
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

    pub(crate) fn record(&mut self, notification: Notification) -> u64 {
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
            places: Arc::new(Semaphore::new(TRIGGERS_WAITING_MAX)),
        })
    }

    /// Forgets everything and ends what is under way.
    pub(crate) fn reset(&self, stop: &CancellationToken) {
        let old = std::mem::replace(&mut *self.state(), State::new(stop));
        old.generation.cancel();
    }

    /// The notifications after one of them, oldest first.
    pub(crate) fn log(&self, after: u64) -> Vec<(u64, Notification)> {
        let state = self.state();
        state
            .log
            .range(after.saturating_add(1)..)
            .map(|(id, notification)| (*id, notification.clone()))
            .collect()
    }

    pub(crate) fn find(&self, id: u64) -> Option<Notification> {
        self.state().log.get(&id).cloned()
    }

    /// The client that posts, which the gateway is asked with too.
    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// A place for a trigger, waited for where too many triggers wait.
    pub(crate) async fn place(&self) -> Option<Place> {
        self.places.clone().acquire_owned().await.ok().map(Arc::new)
    }

    /// What a reset cancels.
    pub(crate) fn generation(&self) -> CancellationToken {
        self.state().generation.clone()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, id: u64, outcome: Result<u16, &'static str>) {
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

/// The body of an answer, unless it breaks off or is too long.
pub(crate) async fn read_answer(mut response: reqwest::Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.ok()? {
        body.extend_from_slice(&piece);
        if body.len() > ANSWER_BYTES_MAX {
            return None;
        }
    }
    Some(body)
}

/// `sha256=` and the keyed digest of the body in hex.
pub(crate) fn signature(notification: &Notification) -> String {
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
