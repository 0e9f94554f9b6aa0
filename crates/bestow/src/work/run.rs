//! Running one job: claim, do, and settle the claim by what came of it.

use bestow_store::Error as StoreError;
use bestow_store::jobs::Job;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::{Error, Result};
use crate::service::notifications::seconds_ms;
use crate::service::{cancel, clearance, ended, gateway, import, release, sweep, triggered};
use crate::work::kind;

/// How a job ended, where it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is left to do.
    Done,
    /// To be run again at an instant, in milliseconds.
    Again(i64),
    /// The service is stopping; somebody goes on at once.
    Stopped,
}

/// A round of clearance has a deadline, so its job never waits longer than this between tries, in milliseconds.
const CLEARANCE_RETRY_MAX: i64 = 15_000;

/// Claims and runs one due job. False where none is due.
///
/// # Errors
/// The store's, where not even the claim can be settled.
pub async fn one(app: &App, stop: &CancellationToken) -> Result<bool> {
    one_of(app, None, stop).await
}

/// As [`one`], of one kind only where that is given.
///
/// # Errors
/// As [`one`].
pub async fn one_of(
    app: &App,
    only: Option<&'static str>,
    stop: &CancellationToken,
) -> Result<bool> {
    let lease_ms = seconds_ms(app.config.work.lease_seconds);
    let claimed = app
        .tx("claim_job", move |tx| tx.claim_job_of(only, lease_ms))
        .await?;
    let Some(job) = claimed else { return Ok(false) };
    let ran = match job.kind.as_str() {
        kind::IMPORT => import::run(app, &job, stop).await,
        kind::CLEARANCE => clearance::run(app, &job, stop).await,
        kind::GRACE => sweep::grace(app, &job).await,
        kind::RELEASE => release::run(app, &job).await,
        kind::TRIGGERS => triggered::run(app, &job).await,
        kind::APPROVALS => gateway::send_approvals(app, &job).await,
        kind::SWEEP => sweep::run(app, &job).await,
        kind::ENDED => ended::run(app, &job, stop).await,
        kind::CANCEL => cancel::run(app, &job, stop).await,
        other => Err(Error::invalid(
            "unknown_job",
            format!("there is no job of kind {other}"),
        )),
    };
    match settle(app, &job, ran).await {
        // With the lease lost, somebody else has the job by now; what this run wanted to write was refused.
        Ok(()) | Err(Error::Store(StoreError::LeaseLost)) => Ok(true),
        Err(error) => Err(error),
    }
}

async fn settle(app: &App, job: &Job, ran: Result<Ended>) -> Result<()> {
    let settled = job.clone();
    match ran {
        Ok(Ended::Done) => {
            app.tx("finish_job", move |tx| tx.finish_job(&settled, None))
                .await?;
        }
        Ok(Ended::Again(at)) => {
            app.tx("finish_job", move |tx| tx.finish_job(&settled, Some(at)))
                .await?;
        }
        Ok(Ended::Stopped) => {
            let now = app.clock.now_ms();
            app.tx("finish_job", move |tx| tx.finish_job(&settled, Some(now)))
                .await?;
        }
        Err(Error::Store(StoreError::LeaseLost)) => {}
        Err(error) => {
            let message = error.to_string();
            tracing::warn!(
                job.kind,
                job.key,
                job.attempts,
                tenant.no = job.tenant,
                error.message = message,
                "a job failed and will be tried again"
            );
            let mut wait = backoff_ms(app, job.attempts, &error);
            if job.kind == kind::CLEARANCE {
                wait = wait.min(CLEARANCE_RETRY_MAX);
            }
            let at = app.clock.now_ms() + wait;
            app.tx("fail_job", move |tx| {
                note_campaign_error(tx, &settled, &message)?;
                tx.fail_job(&settled, at, &message)
            })
            .await?;
        }
    }
    Ok(())
}

fn note_campaign_error(
    tx: &mut bestow_store::Tx<'_>,
    job: &Job,
    message: &str,
) -> std::result::Result<(), StoreError> {
    match (job.kind.as_str(), job.key.parse()) {
        (kind::IMPORT | kind::CLEARANCE, Ok(campaign)) => {
            tx.set_campaign_error(job.tenant, campaign, Some(message))
        }
        _ => Ok(()),
    }
}

/// A wait that doubles from try to try, spread so that jobs do not all come back at once. A refused credential
/// waits the longest at once: asking again helps nobody until a person has acted.
fn backoff_ms(app: &App, attempts: u64, error: &Error) -> i64 {
    let work = &app.config.work;
    let most = work.retry_max_seconds.saturating_mul(1_000).max(1);
    let refused = matches!(
        error,
        Error::Optimove(
            optimove::Error::Unauthorized { .. }
                | optimove::Error::Forbidden { .. }
                | optimove::Error::LoginRefused { .. }
        )
    );
    let doubled = work
        .retry_ms
        .saturating_mul(1 << attempts.saturating_sub(1).min(20));
    let wait = if refused { most } else { doubled.min(most) };
    let spread = app.random.number() % (wait / 2 + 1);
    i64::try_from(wait / 2 + spread).unwrap_or(i64::MAX)
}
