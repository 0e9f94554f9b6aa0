//! The session token of a login: one for all calls, fetched by one call at a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

use crate::error::Error;
use crate::peers::{Peers, Session};
use crate::retry::{CallKind, Decision, Failure, RetryPolicy, decide};
use crate::secret::Secret;

/// From the end of one login to the start of the next: Optimove counts more than one a second.
pub(crate) const LOGIN_SPACING: Duration = Duration::from_secs(1);
/// After a refused login nobody tries again for this long: the account might be locked for it.
pub(crate) const LOGIN_REFUSED_PAUSE: Duration = Duration::from_mins(1);

/// A token and which one it is, so that a late complaint about an old one is told apart.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: Secret,
    pub(crate) generation: u64,
}

/// How logins go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DoorPolicy<'p> {
    pub(crate) retry: &'p RetryPolicy,
    /// The other processes with this credential, if there are any.
    pub(crate) peers: Option<&'p dyn Peers>,
}

/// Holds the current token, and the door through which one login at a time goes.
#[derive(Debug, Default)]
pub(crate) struct TokenCell {
    door: Mutex<Door>,
    /// Logins that ended. Read before the door, it tells which failures happened while waiting.
    logins_ended: AtomicU64,
}

#[derive(Debug, Default)]
struct Door {
    token: Option<Token>,
    /// One that the server does not know (any more): other processes may not have noticed yet.
    dead: Option<Secret>,
    generation: u64,
    last_login: Option<Instant>,
    failure: Option<Failed>,
}

impl Door {
    fn take(&mut self, text: Secret) -> Token {
        self.generation += 1;
        self.failure = None;
        let token = Token {
            text,
            generation: self.generation,
        };
        self.token = Some(token.clone());
        token
    }
}

#[derive(Debug)]
struct Failed {
    login: u64,
    refused_until: Option<Instant>,
    error: Error,
}

impl TokenCell {
    /// The current token, or a new one where there is none or the server called `expired` expired.
    ///
    /// Callers that come while a login is under way share its outcome, good or bad.
    pub(crate) async fn get<L: Future<Output = Result<Secret, Error>>>(
        &self,
        expired: Option<u64>,
        policy: &DoorPolicy<'_>,
        jitter: impl Fn() -> u64,
        login: impl Fn() -> L,
    ) -> Result<Token, Error> {
        let seen = self.logins_ended.load(Ordering::Acquire);
        let mut door = self.door.lock().await;
        if let Some(token) = &door.token
            && Some(token.generation) != expired
        {
            return Ok(token.clone());
        }
        if let Some(failed) = &door.failure
            && (failed.login > seen || failed.refused_until.is_some_and(|at| Instant::now() < at))
        {
            return Err(failed.error.clone());
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            let tried = match policy.peers {
                Some(peers) => self.shared(&mut door, peers, &login).await,
                None => self.login_once(&mut door, login()).await,
            };
            let error = match tried {
                Ok(token) => return Ok(token),
                Err(error) => error,
            };
            let Error::RateLimited { retry_after } = error else {
                return Err(self.fail(&mut door, error));
            };
            let failure = Failure::Status(429);
            match decide(
                policy.retry,
                CallKind::Login,
                attempt,
                failure,
                retry_after,
                jitter(),
            ) {
                Decision::Wait(wait) => sleep(wait).await,
                Decision::Stop => return Err(self.fail(&mut door, error)),
            }
        }
    }

    /// Forgets a token that the server does not know (any more).
    pub(crate) async fn forget(&self, generation: u64) {
        let mut door = self.door.lock().await;
        if door
            .token
            .as_ref()
            .is_some_and(|token| token.generation == generation)
        {
            door.dead = door.token.take().map(|token| token.text);
        }
    }

    /// The token of another process, or one login for all of them.
    async fn shared<L: Future<Output = Result<Secret, Error>>>(
        &self,
        door: &mut Door,
        peers: &dyn Peers,
        login: &impl Fn() -> L,
    ) -> Result<Token, Error> {
        let known = door.token.as_ref().map(|token| token.text.clone());
        let session = peers.session(known.or(door.dead.clone()).as_ref()).await?;
        let turn = match session {
            Session::Token(text) => return Ok(door.take(text)),
            Session::LogIn(turn) => turn,
        };
        let outcome = self.login_once(door, login()).await;
        let told = outcome.as_ref().map(|token| token.text.clone());
        // Whoever cannot be told waits until this process is gone; the token is good all the same.
        if let Err(error) = turn.end(told.map_err(Clone::clone)).await {
            tracing::warn!(%error, "optimove.login.untold");
        }
        outcome
    }

    async fn login_once(
        &self,
        door: &mut Door,
        login: impl Future<Output = Result<Secret, Error>>,
    ) -> Result<Token, Error> {
        if let Some(last) = door.last_login {
            sleep_until(last + LOGIN_SPACING).await;
        }
        // Noted before as well as after: the caller may be dropped half-way, the login not.
        door.last_login = Some(Instant::now());
        let result = login.await;
        door.last_login = Some(Instant::now());
        self.logins_ended.fetch_add(1, Ordering::AcqRel);
        Ok(door.take(result?))
    }

    fn fail(&self, door: &mut Door, error: Error) -> Error {
        let refused = matches!(error, Error::LoginRefused { .. });
        door.failure = Some(Failed {
            login: self.logins_ended.load(Ordering::Acquire),
            refused_until: refused.then(|| Instant::now() + LOGIN_REFUSED_PAUSE),
            error: error.clone(),
        });
        error
    }
}

#[cfg(test)]
mod tests;
