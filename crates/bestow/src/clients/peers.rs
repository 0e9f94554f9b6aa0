//! The budget of calls and the session that all processes on one database share, for one credential.
//!
//! Calls are taken from the database a few at a time. What was taken is used at once or given back: a process that
//! stands still must not come back with calls of long ago.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bestow_store::calls::{CallLimit, CredentialHash, FRESH_MS, LoggedIn, Session as Known, Slice};
use bestow_store::{Error as StoreError, Store, Tx};
use optimove::peers::{LoginTurn, Peers, Place, Session, Waiting};
use optimove::{Error, Secret};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::keys::Keys;
use crate::random::Random;

/// How long calls may wait to be made once they are taken, and a turn to log in.
const FRESH: Duration = Duration::from_millis(FRESH_MS.unsigned_abs());
/// A slice is this part of all calls: few enough that one who holds some keeps nobody waiting.
const SLICE_PARTS: u32 = 20;
/// Longest wait before the database is asked again, in milliseconds: others give back what they do not use.
const ASK_AGAIN_MS_MAX: i64 = 200;
/// Before a slice that could not be ended is tried to be ended again.
const END_AGAIN: Duration = Duration::from_secs(1);
/// After a refused login nobody tries again for this long: the account might be locked for it.
const REFUSED_REST_MS: i64 = 60_000;

/// One credential's part in what is shared.
#[derive(Debug)]
pub(super) struct SharedCalls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    keys: Keys,
    random: Random,
    credential: CredentialHash,
    limit: CallLimit,
    current: Mutex<Option<Arc<Open>>>,
}

/// Calls that this process may make. Ended once it is dropped, which is when the last of them is over.
#[derive(Debug)]
struct Open {
    of: Weak<Inner>,
    /// The process and the slice.
    id: (i64, i64),
    calls: u32,
    made: AtomicU32,
    taken_at: Instant,
}

impl SharedCalls {
    pub(super) fn new(
        store: &Store,
        keys: &Keys,
        random: &Random,
        credential: CredentialHash,
        limit: CallLimit,
    ) -> Self {
        Self(Arc::new(Inner {
            store: store.clone(),
            keys: keys.clone(),
            random: random.clone(),
            credential,
            limit,
            current: Mutex::default(),
        }))
    }
}

impl Peers for SharedCalls {
    fn place(&self) -> Waiting<'_, Result<Place, Error>> {
        Box::pin(self.0.place())
    }

    fn session<'a>(&'a self, expired: Option<&'a Secret>) -> Waiting<'a, Result<Session, Error>> {
        Box::pin(self.0.session(expired))
    }
}

impl Inner {
    async fn place(self: &Arc<Self>) -> Result<Place, Error> {
        loop {
            let node = self.node()?;
            if let Some(open) = self.use_one(node) {
                return Ok(Place::new(open));
            }
            let (taken_at, id) = (Instant::now(), (node, self.number()));
            let (credential, limit) = (self.credential, self.limit);
            let wanted = (limit.calls_max / SLICE_PARTS).max(1);
            let take = move |tx: &mut Tx<'_>| tx.take_calls(&credential, id, wanted, limit);
            match self.tx("take_calls", take).await? {
                Slice::Wait(ms) => sleep(millis(ms)).await,
                Slice::Taken(calls) => {
                    let open = Arc::new(Open {
                        of: Arc::downgrade(self),
                        id,
                        calls,
                        made: AtomicU32::new(0),
                        taken_at,
                    });
                    tokio::spawn(put_away(Arc::downgrade(&open)));
                    let before = self.current().replace(open);
                    drop(before);
                }
            }
        }
    }

    /// One call of the current slice, unless it is used up, or too old, or was taken by a process that counts as gone.
    fn use_one(&self, node: i64) -> Option<Arc<Open>> {
        let mut current = self.current();
        let is_good = |open: &&Arc<Open>| {
            let is_ours = open.id.0 == node && open.taken_at.elapsed() < FRESH;
            is_ours && open.made.load(Ordering::SeqCst) < open.calls
        };
        let Some(open) = current.as_ref().filter(is_good).cloned() else {
            let over = current.take();
            drop(current);
            drop(over);
            return None;
        };
        open.made.fetch_add(1, Ordering::SeqCst);
        Some(open)
    }

    async fn session(self: &Arc<Self>, expired: Option<&Secret>) -> Result<Session, Error> {
        let id = (self.node()?, self.number());
        loop {
            let (asked_at, credential) = (Instant::now(), self.credential);
            let (this, expired) = (Arc::clone(self), expired.cloned());
            let ask = move |tx: &mut Tx<'_>| {
                tx.find_session(&credential, id, |sealed| {
                    let token = this.open(sealed);
                    token.is_none_or(|token| {
                        expired
                            .as_ref()
                            .is_some_and(|old| old.expose() == token.expose())
                    })
                })
            };
            match self.tx("find_session", ask).await? {
                Known::Wait(ms) => sleep(millis(ms)).await,
                Known::Refused { status, message } => {
                    return Err(Error::LoginRefused { status, message });
                }
                Known::Token(sealed) => {
                    let token = self.open(&sealed);
                    return token.map(Session::Token).ok_or_else(|| {
                        peers("the session was sealed with another deployment's key".to_owned())
                    });
                }
                Known::LogIn => {
                    let turn = Box::new(Turn {
                        of: Arc::clone(self),
                        id,
                        is_over: false,
                    });
                    if asked_at.elapsed() < FRESH {
                        return Ok(Session::LogIn(turn));
                    }
                    turn.end(Err(peers("the turn came too late".to_owned())))
                        .await?;
                }
            }
        }
    }

    /// What became of a slice. Said until it is heard, for as long as this process is the one that took it.
    async fn end(of: Weak<Self>, id: (i64, i64), made: u32) {
        while let Some(this) = of.upgrade() {
            if this.node().is_ok_and(|node| node != id.0) {
                return;
            }
            let (credential, window_ms) = (this.credential, this.limit.window_ms);
            let end = move |tx: &mut Tx<'_>| tx.end_calls(&credential, id, made, window_ms);
            if this.tx("end_calls", end).await.is_ok() {
                return;
            }
            drop(this);
            sleep(END_AGAIN).await;
        }
    }

    fn node(&self) -> Result<i64, Error> {
        let node = self.store.node().map_err(|error| store_failed(&error))?;
        node.ok_or_else(|| peers("nobody shares a file".to_owned()))
    }

    fn number(&self) -> i64 {
        // Within the positive numbers of the database.
        (self.random.number() >> 1).cast_signed()
    }

    async fn tx<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Error> {
        let done = self.store.tx::<T, StoreError, _>(name, work).await;
        done.map_err(|error| store_failed(&error))
    }

    fn place_of_token(&self) -> String {
        format!("session/{}", URL_SAFE_NO_PAD.encode(self.credential))
    }

    fn open(&self, sealed: &[u8]) -> Option<Secret> {
        let opened = self.keys.open(&self.place_of_token(), sealed).ok()?;
        String::from_utf8(opened).ok().map(Secret::new)
    }

    fn seal(&self, token: &Secret) -> Vec<u8> {
        let place = self.place_of_token();
        self.keys
            .seal(&place, token.expose().as_bytes(), &self.random)
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Open>>> {
        // One value, replaced as a whole.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives back what was not used in time.
async fn put_away(open: Weak<Open>) {
    sleep(FRESH).await;
    let Some(inner) = open.upgrade().and_then(|open| open.of.upgrade()) else {
        return;
    };
    let mut current = inner.current();
    let is_current = current
        .as_ref()
        .is_some_and(|now| Weak::ptr_eq(&Arc::downgrade(now), &open));
    let over = if is_current { current.take() } else { None };
    drop(current);
    drop(over);
}

impl Drop for Open {
    fn drop(&mut self) {
        // Without a runtime the process is ending, and its end is seen by others.
        if let Ok(runtime) = Handle::try_current() {
            let made = self.made.load(Ordering::SeqCst);
            runtime.spawn(Inner::end(self.of.clone(), self.id, made));
        }
    }
}

/// The turn of this process to log in.
struct Turn {
    of: Arc<Inner>,
    id: (i64, i64),
    is_over: bool,
}

impl Turn {
    async fn say(of: Arc<Inner>, id: (i64, i64), outcome: LoggedIn) -> Result<(), Error> {
        let credential = of.credential;
        let end = move |tx: &mut Tx<'_>| tx.end_login(&credential, id, &outcome);
        of.tx("end_login", end).await
    }
}

impl LoginTurn for Turn {
    fn end(
        mut self: Box<Self>,
        outcome: Result<Secret, Error>,
    ) -> Waiting<'static, Result<(), Error>> {
        self.is_over = true;
        let outcome = match outcome {
            Ok(token) => LoggedIn::Token(self.of.seal(&token)),
            Err(Error::LoginRefused { status, message }) => LoggedIn::Refused {
                status,
                message,
                rest_ms: REFUSED_REST_MS,
            },
            Err(_) => LoggedIn::Nothing,
        };
        Box::pin(Self::say(Arc::clone(&self.of), self.id, outcome))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_over
            && let Ok(runtime) = Handle::try_current()
        {
            let say = Self::say(Arc::clone(&self.of), self.id, LoggedIn::Nothing);
            runtime.spawn(say);
        }
    }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(ms.clamp(1, ASK_AGAIN_MS_MAX).unsigned_abs())
}

fn peers(reason: String) -> Error {
    Error::Peers { reason }
}

fn store_failed(error: &StoreError) -> Error {
    peers(error.to_string())
}
