//! Whether Optimove can be reached for a tenant. Where it cannot, all of the tenant's work rests for a while, instead
//! of each job finding out for itself.

use bestow_store::jobs::Job;
use bestow_store::{Error as StoreError, Tx};

use crate::config::WorkPace;
use crate::error::Error;
use crate::work::kind;

/// Finding: Optimove does not take the tenant's credential.
const CREDENTIAL_REFUSED: &str = "credential_refused";

/// What is wrong with a tenant's Optimove, whichever job notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It does not take the credential. Asking again helps nobody until a person has acted.
    Refused,
    /// No connection, or no answer in time.
    Unreachable,
}

impl Trouble {
    /// `None` for what is wrong with one job only.
    pub(super) fn of(error: &Error) -> Option<Self> {
        let Error::Optimove(error) = error else {
            return None;
        };
        match error {
            optimove::Error::Unauthorized { .. }
            | optimove::Error::Forbidden { .. }
            | optimove::Error::LoginRefused { .. } => Some(Self::Refused),
            optimove::Error::Transport { .. } | optimove::Error::TimedOut { .. } => {
                Some(Self::Unreachable)
            }
            _ => None,
        }
    }
}

/// A wait that doubles from try to try, spread so that not all come back at once. After a refusal it is the longest
/// at once.
pub(super) fn wait_ms(pace: &WorkPace, tries: u64, trouble: Option<Trouble>, spread: u64) -> i64 {
    let most = pace.retry_max_seconds.saturating_mul(1_000).max(1);
    let doubled = pace
        .retry_ms
        .saturating_mul(1 << tries.saturating_sub(1).min(20));
    let wait = match trouble {
        Some(Trouble::Refused) => most,
        _ => doubled.min(most),
    };
    i64::try_from(wait / 2 + spread % (wait / 2 + 1)).unwrap_or(i64::MAX)
}

/// Whether the tenant has another credential by now than the one the job began with.
pub(super) fn is_replaced(
    tx: &mut Tx<'_>,
    job: &Job,
    began_with: Option<&[u8]>,
) -> Result<bool, StoreError> {
    let now = tx.tenant_by_no(job.tenant)?;
    Ok(now.is_some_and(|tenant| Some(tenant.credential.as_slice()) != began_with))
}

/// Lets the tenant's work rest, and tells until when. Failures of jobs that were under way when the rest began count
/// as one.
pub(super) fn note_failure(
    tx: &mut Tx<'_>,
    pace: &WorkPace,
    job: &Job,
    trouble: Trouble,
    message: &str,
    spread: u64,
) -> Result<i64, StoreError> {
    let (now, rest) = (tx.now_ms(), tx.rest(job.tenant)?);
    if trouble == Trouble::Refused {
        tx.find(job.tenant, CREDENTIAL_REFUSED, "tenant", message)?;
    }
    if let Some(rest) = rest.as_ref().filter(|rest| rest.until > now) {
        return Ok(rest.until);
    }
    let failures = rest.map_or(0, |rest| rest.failures) + 1;
    let until = now + wait_ms(pace, failures, Some(trouble), spread);
    tx.begin_rest(job.tenant, until, message)?;
    Ok(until)
}

/// A job that asks Optimove came to its end: whatever was wrong is mended.
pub(super) fn note_success(tx: &mut Tx<'_>, job: &Job) -> Result<(), StoreError> {
    if [kind::RELEASE, kind::TRIGGERS, kind::DELIVER].contains(&job.kind.as_str()) {
        return Ok(());
    }
    tx.end_rest(job.tenant)?;
    tx.resolve_finding(job.tenant, CREDENTIAL_REFUSED, "tenant")
}
