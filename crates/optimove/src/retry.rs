//! Whether a failed call is made again, and after which wait. Pure: no clock, no randomness.

use std::time::Duration;

/// What kind of call it is; every call of this API is a read or an idempotent write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// A GET: may be repeated freely.
    Read,
    /// A POST or PUT that has the same effect when it arrives twice: may be repeated as well.
    IdempotentWrite,
    /// A login: counted by the server, so only a 429 is waited for.
    Login,
}

/// How one attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// An answer with a status that is no success.
    Status(u16),
    /// An answer with a success status that could not be read.
    Unreadable,
    /// No connection, or it broke before the answer was complete.
    Transport,
    /// The whole call took too long.
    TimedOut,
    /// The body came too slowly.
    TooSlow,
    /// The body was too large.
    TooLarge,
}

/// How often and how patiently calls are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included.
    pub attempts_max: u32,
    /// Wait after the first failure; doubles with each further one.
    pub wait_first: Duration,
    /// Wait after the first 429; doubles with each further one.
    pub rate_limited_wait_first: Duration,
    /// No computed wait is longer.
    pub wait_max: Duration,
    /// A server that asks for a longer wait than this is not waited for here.
    pub hint_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts_max: 5,
            wait_first: Duration::from_millis(250),
            rate_limited_wait_first: Duration::from_secs(2),
            wait_max: Duration::from_secs(30),
            hint_max: Duration::from_mins(2),
        }
    }
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Make the same call again after this wait.
    Wait(Duration),
    /// Give the failure to the caller.
    Stop,
}

/// Decides after attempt number `attempt` (1 is the first) of a call.
///
/// `hint` is the wait that the server asked for; `jitter` any number, used to spread the wait over
/// the upper half of its span.
pub fn decide(
    policy: &RetryPolicy,
    kind: CallKind,
    attempt: u32,
    failure: Failure,
    hint: Option<Duration>,
    jitter: u64,
) -> Decision {
    if attempt >= policy.attempts_max || !is_worth_repeating(kind, failure) {
        return Decision::Stop;
    }
    let first = match failure {
        Failure::Status(429) => policy.rate_limited_wait_first,
        _ => policy.wait_first,
    };
    let doublings = attempt.saturating_sub(1).min(16);
    let span = first.saturating_mul(1 << doublings).min(policy.wait_max);
    let wait = spread(span, jitter);
    match hint {
        Some(hint) if hint > policy.hint_max => Decision::Stop,
        // A little beyond what was asked for, so that nobody comes back at the very same moment.
        Some(hint) => Decision::Wait(wait.max(hint.saturating_add(wait / 8))),
        None => Decision::Wait(wait),
    }
}

fn is_worth_repeating(kind: CallKind, failure: Failure) -> bool {
    match (kind, failure) {
        (CallKind::Login, failure) => failure == Failure::Status(429),
        (_, Failure::Status(status)) => matches!(status, 408 | 425 | 429 | 500..=599),
        (_, Failure::TooLarge) => false,
        (_, Failure::Unreadable | Failure::Transport | Failure::TimedOut | Failure::TooSlow) => {
            true
        }
    }
}

/// From half the span to the whole of it.
fn spread(span: Duration, jitter: u64) -> Duration {
    let half = u64::try_from(span.as_nanos() / 2).unwrap_or(u64::MAX);
    Duration::from_nanos(half).saturating_add(Duration::from_nanos(jitter % half.max(1)))
}
