//! Builds a request, sends it within its limits, and says what the answer means.
//!
//! The only place that speaks HTTP. The order is: credential, place in the call budget, send, status,
//! body. The status is looked at before the body, and the body counts only when it is complete.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Method, Response};
use tokio::time::{Instant, timeout, timeout_at};

use crate::answer::{Absent, Answer, check_status, is_expired_token, scrub};
use crate::client::{Auth, Limits};
use crate::error::Error;
use crate::peers::Peers;
use crate::rate::{CallBudget, Priority};
use crate::read::ReadError;
use crate::retry::{CallKind, Decision, Failure, RetryPolicy, decide};
use crate::secret::Secret;
use crate::token::{DoorPolicy, Token, TokenCell};
use crate::wire::{Login, read_token};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const AUTHORIZATION_TOKEN: HeaderName = HeaderName::from_static("authorization-token");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Of an error body no more than this is read.
const ERROR_BYTES_MAX: usize = 64 * 1_024;

/// One call of the API, ready to be sent any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path below the base URL, without a leading slash.
    pub(crate) path: String,
    /// Name and value, percent-encoded where that is needed.
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<Bytes>,
    pub(crate) kind: CallKind,
    pub(crate) absent: Absent,
}

/// Everything that calls of one credential share.
#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) client: reqwest::Client,
    /// Base URL without a slash at its end.
    pub(crate) base: String,
    pub(crate) login_path: String,
    pub(crate) auth: Auth,
    pub(crate) limits: Limits,
    pub(crate) policy: RetryPolicy,
    pub(crate) budget: Arc<CallBudget>,
    pub(crate) peers: Option<Arc<dyn Peers>>,
    pub(crate) token: TokenCell,
    pub(crate) jitter: Jitter,
}

impl Http {
    /// Makes a call, repeats it as the policy allows, and reads the answer.
    pub(crate) async fn run<T>(
        &self,
        priority: Priority,
        call: &Call,
        read: impl Fn(Vec<u8>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let error = match self.attempt(priority, call).await.and_then(&read) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Some((failure, hint)) = failure_of(&error) else {
                return Err(error);
            };
            match decide(
                &self.policy,
                call.kind,
                attempt,
                failure,
                hint,
                self.jitter.next(),
            ) {
                Decision::Stop => return Err(error),
                Decision::Wait(wait) => {
                    tracing::debug!(path = call.path, attempt, %error, "optimove.call.again");
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// One attempt; an expired token is replaced and the call made once more.
    async fn attempt(&self, priority: Priority, call: &Call) -> Result<Vec<u8>, Error> {
        let token = self.current_token(None).await?;
        let mut answer = self.send(priority, call, token.as_ref()).await?;
        let mut used = token;
        if let Some(token) = &used
            && is_expired_token(&answer)
        {
            let fresh = self.current_token(Some(token.generation)).await?;
            answer = self.send(priority, call, fresh.as_ref()).await?;
            used = fresh;
        }
        if let (401, Some(token)) = (answer.status, &used) {
            self.token.forget(token.generation).await;
        }
        let secrets = self.secrets(used.as_ref());
        check_status(answer, call.absent, |text| scrub(text, &secrets))
    }

    /// The session token; `None` where an API key is used.
    async fn current_token(&self, expired: Option<u64>) -> Result<Option<Token>, Error> {
        let Auth::Login {
            user_name,
            password,
        } = &self.auth
        else {
            return Ok(None);
        };
        let login = || self.login(user_name, password);
        let door = DoorPolicy {
            retry: &self.policy,
            peers: self.peers.as_deref(),
        };
        self.token
            .get(expired, &door, || self.jitter.next(), login)
            .await
            .map(Some)
    }

    /// Refuses a credential that no header can carry, before anything is sent.
    pub(crate) fn check_credential(&self) -> Result<(), Error> {
        match &self.auth {
            Auth::ApiKey(key) => sensitive(key).map(drop),
            Auth::Login { .. } => Ok(()),
        }
    }

    /// Logs in once. Everything but a token and a 429 counts as refused or as a broken call.
    async fn login(&self, user_name: &str, password: &Secret) -> Result<Secret, Error> {
        let body = Login {
            user_name: user_name.to_owned(),
            password: password.clone(),
        };
        let call = Call {
            method: Method::POST,
            path: self.login_path.clone(),
            query: Vec::new(),
            body: Some(to_json(&body)?),
            kind: CallKind::Login,
            absent: Absent::Error,
        };
        // Others wait behind this call, whatever they are for.
        let answer = self.send(Priority::Clearance, &call, None).await?;
        let status = answer.status;
        let secrets = self.secrets(None);
        match check_status(answer, call.absent, |text| scrub(text, &secrets)) {
            Ok(body) => read_token(&body).map_err(|source| match source {
                // Of what might be a token not even the shape is shown.
                ReadError::Html | ReadError::Empty => Error::malformed(source, &body),
                source => Error::malformed(source, b""),
            }),
            Err(
                Error::Unauthorized { message }
                | Error::Forbidden { message }
                | Error::Server {
                    status: 500,
                    message,
                },
            ) => Err(Error::LoginRefused { status, message }),
            Err(error) => Err(error),
        }
    }

    /// Sends a request and receives the whole answer, within the budget and the limits.
    async fn send(
        &self,
        priority: Priority,
        call: &Call,
        token: Option<&Token>,
    ) -> Result<Answer, Error> {
        let headers = self.headers(call, token)?;
        let mut request = self
            .client
            .request(call.method.clone(), self.url(call))
            .headers(headers);
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        let permit = self.budget.acquire(priority).await?;
        let limit = self.limits.total_timeout;
        let answer = timeout(limit, async {
            let response = request.send().await.map_err(transport)?;
            self.receive(response).await
        });
        let answer = answer.await.unwrap_or(Err(Error::TimedOut { limit }));
        drop(permit);
        if let Ok(answer) = &answer
            && answer.status == 429
        {
            self.budget.on_rate_limited(answer.retry_after);
        }
        answer
    }

    /// Receives the body in pieces, watching its size and its speed.
    async fn receive(&self, mut response: Response) -> Result<Answer, Error> {
        let status = response.status();
        let retry_after = hint(response.headers());
        let bytes_max = if status.is_success() {
            self.limits.body_bytes_max
        } else {
            ERROR_BYTES_MAX
        };
        let announced = response.content_length().unwrap_or(0);
        if status.is_success() && announced > bytes_max as u64 {
            return Err(Error::TooLarge { bytes_max });
        }
        let mut body = Vec::with_capacity(announced.min(bytes_max as u64) as usize);
        let started = Instant::now();
        let bytes_per_s_min = self.limits.throughput_bytes_per_s_min;
        loop {
            let due =
                started + self.limits.throughput_grace + time_for(body.len(), bytes_per_s_min);
            let Ok(chunk) = timeout_at(due, response.chunk()).await else {
                return Err(Error::TooSlow { bytes_per_s_min });
            };
            let Some(chunk) = chunk.map_err(transport)? else {
                break;
            };
            if body.len() + chunk.len() > bytes_max {
                if status.is_success() {
                    return Err(Error::TooLarge { bytes_max });
                }
                body.extend_from_slice(&chunk[..bytes_max - body.len()]);
                break;
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status: status.as_u16(),
            retry_after,
            body,
        })
    }

    fn headers(&self, call: &Call, token: Option<&Token>) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, JSON);
        headers.insert(CACHE_CONTROL, NO_STORE);
        if call.body.is_some() {
            headers.insert(CONTENT_TYPE, JSON);
        }
        match (&self.auth, token) {
            (Auth::ApiKey(key), _) => headers.insert(API_KEY, sensitive(key)?),
            (Auth::Login { .. }, Some(token)) => {
                headers.insert(AUTHORIZATION_TOKEN, sensitive(&token.text)?)
            }
            (Auth::Login { .. }, None) => None,
        };
        Ok(headers)
    }

    fn url(&self, call: &Call) -> String {
        let mut url = format!("{}/{}", self.base, call.path);
        for (index, (name, value)) in call.query.iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.push_str(value);
        }
        url
    }

    /// What a server might echo and nobody should see.
    fn secrets(&self, token: Option<&Token>) -> Vec<Secret> {
        let own = match &self.auth {
            Auth::ApiKey(key) => key.clone(),
            Auth::Login { password, .. } => password.clone(),
        };
        std::iter::once(own)
            .chain(token.map(|token| token.text.clone()))
            .collect()
    }
}

/// How an error counts for the retry decision, with the wait that the server asked for.
fn failure_of(error: &Error) -> Option<(Failure, Option<Duration>)> {
    let failure = match error {
        Error::RateLimited { retry_after } => return Some((Failure::Status(429), *retry_after)),
        Error::Server { status, .. } | Error::Refused { status, .. } => Failure::Status(*status),
        Error::Malformed { .. } | Error::OtherCampaign => Failure::Unreadable,
        Error::Transport { .. } => Failure::Transport,
        Error::TimedOut { .. } => Failure::TimedOut,
        Error::TooSlow { .. } => Failure::TooSlow,
        Error::TooLarge { .. } => Failure::TooLarge,
        _ => return None,
    };
    Some((failure, None))
}

/// The value of `Retry-After` in seconds; dates are not used, since no clock is at hand.
fn hint(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

/// How long this many bytes may take at the least speed.
fn time_for(bytes: usize, bytes_per_s_min: u64) -> Duration {
    let millis = (bytes as u64).saturating_mul(1_000) / bytes_per_s_min.max(1);
    Duration::from_millis(millis)
}

fn sensitive(secret: &Secret) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| Error::Setup {
        reason: "the credential has signs that no header can carry".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// A broken connection with its causes, without the URL.
fn transport(error: reqwest::Error) -> Error {
    let error = error.without_url();
    let mut detail = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        detail.push_str(": ");
        detail.push_str(&error.to_string());
        cause = error.source();
    }
    Error::Transport { detail }
}

pub(crate) fn to_json(body: &impl serde::Serialize) -> Result<Bytes, Error> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|error| Error::Setup {
            reason: format!("the request cannot be written: {error}"),
        })
}

/// Numbers that spread waits: a counter, mixed. Not for secrets.
#[derive(Debug)]
pub(crate) struct Jitter(AtomicU64);

impl Jitter {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    fn next(&self) -> u64 {
        let mut mixed = self
            .0
            .fetch_add(Self::STEP, Ordering::Relaxed)
            .wrapping_add(Self::STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
