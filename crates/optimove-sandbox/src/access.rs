//! Who calls, and how often they may: API keys, session tokens, roles, the rate limit.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};

use crate::answer::Refusal;
use crate::random::letters;
use crate::routes::{Function, Group};
use crate::spec::Role;
use crate::switch::{ExpiredBody, IntegrationsRole, LoginWhileValid, OnOff, RetryAfter, Switches};
use crate::world::{Tenant, World};

/// Most sessions remembered; beyond, the one unused for longest goes.
const SESSIONS_MAX: usize = 10_000;
/// The span of the figure `most_in_10_s`.
const USAGE_WINDOW: Duration = Duration::from_secs(10);
/// Shortest time between two logins of one user.
const LOGIN_INTERVAL: Duration = Duration::from_secs(1);

/// A session that a login opened.
#[derive(Debug)]
pub(crate) struct Session {
    tenant: String,
    last_used: Timestamp,
}

/// How much a tenant calls.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    pub(crate) by_function: BTreeMap<&'static str, u64>,
    pub(crate) by_status: BTreeMap<u16, u64>,
    buckets: BTreeMap<String, Bucket>,
    last_login: Option<Duration>,
    login_came: Option<Duration>,
    pub(crate) logins: u64,
    least_between_logins: Option<Duration>,
}

/// The calls of one credential.
#[derive(Debug, Default)]
struct Bucket {
    /// When calls of the current rate window were let through.
    allowed: VecDeque<Duration>,
    /// When calls came, let through or not.
    arrived: VecDeque<Duration>,
    most_in_10_s: usize,
}

/// A caller whose credential is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) tenant: String,
    role: Role,
    /// What the rate limit counts by.
    credential: String,
}

/// The two clocks at one moment: the sandbox world's, and real time since the start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Timestamp,
    pub(crate) elapsed: Duration,
}

impl World {
    /// Finds out who calls. Where a request carries both credentials, the key decides.
    pub(crate) fn caller(
        &mut self,
        headers: &HeaderMap,
        switches: &Switches,
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        let unauthorized = || Refusal::plain(StatusCode::UNAUTHORIZED);
        if let Some(key) = credential(headers, "x-api-key") {
            let on = switches.api_key == OnOff::On;
            return self.key_holder(key).filter(|_| on).ok_or_else(unauthorized);
        }
        let token = credential(headers, "authorization-token");
        let token = token
            .filter(|_| switches.login == OnOff::On)
            .ok_or_else(unauthorized)?;
        let session = self.sessions.get_mut(token).ok_or_else(unauthorized)?;
        if session.left(switches, now).is_none() {
            return Err(Refusal::TokenExpired(match switches.token_expired_body {
                ExpiredBody::Plain => "Authorization-Token Expired",
                ExpiredBody::PlainLower => "Authorization-Token expired",
                ExpiredBody::JsonString => "\"Authorization-Token Expired\"",
            }));
        }
        session.last_used = now;
        Ok(Caller {
            tenant: session.tenant.clone(),
            role: Role::Admin,
            credential: "session".into(),
        })
    }

    fn key_holder(&self, wanted: &str) -> Option<Caller> {
        self.tenants.iter().find_map(|(name, tenant)| {
            let key = tenant.api_keys.iter().find(|key| key.key == wanted)?;
            Some(Caller {
                tenant: name.clone(),
                role: key.role,
                credential: format!("key {}", key.key),
            })
        })
    }

    /// Opens a session.
    pub(crate) fn log_in(
        &mut self,
        (user, password): (&str, &str),
        switches: &Switches,
        seed: u64,
        at: Moment,
    ) -> Result<(String, String), Refusal> {
        let failed = || {
            Refusal::plain(
                StatusCode::from_u16(switches.login_failure.0)
                    .expect("the switch takes two statuses only"),
            )
        };
        let user = user.trim();
        let mut tenants = self.tenants.iter_mut();
        let found = tenants.find(|(_, tenant)| tenant.username.eq_ignore_ascii_case(user));
        let (name, tenant) = found.ok_or_else(failed)?;
        tenant.usage.note_login(at.elapsed);
        if switches.login_while_valid == LoginWhileValid::Reject {
            let sessions = self
                .sessions
                .values()
                .filter(|session| session.tenant == *name);
            if let Some(left) = sessions.filter_map(|one| one.left(switches, at.now)).max() {
                return Err(Refusal::TooManyRequests(retry_after(switches, left)));
            }
        }
        let last_login = tenant.usage.last_login;
        if last_login.is_some_and(|last| at.elapsed.saturating_sub(last) < LOGIN_INTERVAL) {
            return Err(Refusal::TooManyRequests(retry_after(
                switches,
                LOGIN_INTERVAL,
            )));
        }
        tenant.usage.last_login = Some(at.elapsed);
        if tenant.password != password {
            return Err(failed());
        }
        let name = name.clone();
        self.logins += 1;
        let part = |number: u64, length| letters(&[seed, self.logins, number], length);
        let token = format!(
            "{}..{}.{}.{}",
            part(1, 24),
            part(2, 16),
            part(3, 48),
            part(4, 22)
        );
        self.forget_oldest_session();
        let session = Session {
            tenant: name.clone(),
            last_used: at.now,
        };
        self.sessions.insert(token.clone(), session);
        Ok((name, token))
    }

    fn forget_oldest_session(&mut self) {
        if self.sessions.len() < SESSIONS_MAX {
            return;
        }
        let oldest = self
            .sessions
            .iter()
            .min_by_key(|(_, session)| session.last_used);
        if let Some(token) = oldest.map(|(token, _)| token.clone()) {
            self.sessions.remove(&token);
        }
    }
}

impl Session {
    /// How long it is still valid; none if it is not.
    fn left(&self, switches: &Switches, now: Timestamp) -> Option<Duration> {
        let life = SignedDuration::from_secs(switches.token_ttl_seconds.0);
        let left = life.checked_sub(now.duration_since(self.last_used))?;
        Duration::try_from(left).ok().filter(|left| !left.is_zero())
    }
}

impl Caller {
    /// Whether the role allows a function.
    pub(crate) fn may_call(&self, function: Function, switches: &Switches) -> Result<(), Refusal> {
        let allowed = match self.role {
            Role::Admin => true,
            Role::Integrations => match function.group() {
                Group::Everyone | Group::ThirdParties => true,
                Group::Promotions => switches.integrations_role == IntegrationsRole::Wide,
                Group::Clients => false,
            },
        };
        if allowed {
            return Ok(());
        }
        Err(Refusal::plain(
            StatusCode::from_u16(switches.role_refused_status.0)
                .expect("the switch takes two statuses only"),
        ))
    }
}

impl Tenant {
    /// Counts a call and holds it against the rate limit.
    pub(crate) fn admit(
        &mut self,
        caller: &Caller,
        switches: &Switches,
        elapsed: Duration,
    ) -> Result<(), Refusal> {
        let bucket = self
            .usage
            .buckets
            .entry(caller.credential.clone())
            .or_default();
        forget(&mut bucket.arrived, elapsed, USAGE_WINDOW);
        bucket.arrived.push_back(elapsed);
        bucket.most_in_10_s = bucket.most_in_10_s.max(bucket.arrived.len());
        let limit = switches.rate_limit_requests.get();
        if limit == 0 {
            return Ok(());
        }
        let window = Duration::from_millis(switches.rate_limit_window_ms.get());
        forget(&mut bucket.allowed, elapsed, window);
        match bucket.allowed.front() {
            Some(oldest) if bucket.allowed.len() as u64 >= limit => {
                let wait = window.saturating_sub(elapsed.saturating_sub(*oldest));
                Err(Refusal::TooManyRequests(retry_after(switches, wait)))
            }
            _ => {
                bucket.allowed.push_back(elapsed);
                Ok(())
            }
        }
    }
}

impl Usage {
    /// A login came, let through or not.
    fn note_login(&mut self, elapsed: Duration) {
        self.logins += 1;
        if let Some(before) = self.login_came.replace(elapsed) {
            let between = elapsed.saturating_sub(before);
            let least = self
                .least_between_logins
                .map_or(between, |least| least.min(between));
            self.least_between_logins = Some(least);
        }
    }

    /// The shortest time from one login to the next, in milliseconds.
    pub(crate) fn least_ms_between_logins(&self) -> Option<u64> {
        self.least_between_logins
            .map(|least| least.as_millis() as u64)
    }

    /// The most calls that one credential made in any ten seconds.
    pub(crate) fn most_in_10_s(&self) -> usize {
        self.buckets
            .values()
            .map(|bucket| bucket.most_in_10_s)
            .max()
            .unwrap_or(0)
    }
}

fn forget(times: &mut VecDeque<Duration>, elapsed: Duration, window: Duration) {
    while times
        .front()
        .is_some_and(|time| elapsed.saturating_sub(*time) >= window)
    {
        times.pop_front();
    }
}

fn retry_after(switches: &Switches, wait: Duration) -> Option<u64> {
    let seconds = wait.as_millis().div_ceil(1_000) as u64;
    (switches.retry_after == RetryAfter::Seconds).then_some(seconds.max(1))
}

/// A header's value without blanks around it; a blank one is as good as none.
fn credential<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?.trim();
    (!value.is_empty()).then_some(value)
}
