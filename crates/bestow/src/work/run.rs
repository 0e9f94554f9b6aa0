//! Running one job: claim, do, and settle the claim by what came of it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bestow_core::turns::{self, Due, Places};
use bestow_store::jobs::Job;
use bestow_store::{Error as StoreError, Tx, correlation};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::{Error, Result};
use crate::service::notifications::seconds_ms;
use crate::service::{
    cancel, clearance, delivery, ended, gateway, import, promotions, release, retention, sweep,
    triggered, zones,
};
use crate::work::reach::{self, Trouble};
use crate::work::turns::{Turn, Turns};
use crate::work::{fence, kind};

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

/// Destinations delivered to at the same time.
const DELIVERIES_MAX: usize = 64;

/// A round of clearance has a deadline, so its job never waits longer than this between tries, in milliseconds.
const CLEARANCE_RETRY_MAX: i64 = 15_000;

/// How long a job waits that needs a clock beyond doubt, in milliseconds.
const DOUBTED_WAIT_MS: i64 = 60_000;
/// How often a claim is kept in the time that it lasts.
const KEEPS_PER_LEASE: u64 = 3;

/// A job that is claimed and counted as running.
#[derive(Debug)]
pub(super) struct Claimed {
    job: Job,
    /// What it began with; another one by now may be the one that is right.
    credential: Option<Vec<u8>>,
    _turn: Turn,
}

/// Claims and runs one due job. False where none may start.
///
/// # Errors
/// The store's, where not even the claim can be settled.
pub async fn one(app: &App, stop: &CancellationToken) -> Result<bool> {
    let Some(claim) = claim_any(app).await? else {
        return Ok(false);
    };
    claimed(app, claim, stop).await?;
    Ok(true)
}

/// Claims a job that may start: the one whose turn it is, or one that cannot wait for its turn. One caller at a time.
pub(super) async fn claim_any(app: &App) -> Result<Option<Claimed>> {
    if let Some(claimed) = claim(app).await? {
        return Ok(Some(claimed));
    }
    let urgent = app.config.work.jobs_max.max(1);
    match claim_of_kind(app, kind::CLEARANCE, &app.urgent_turns, urgent).await? {
        Some(claimed) => Ok(Some(claimed)),
        None => claim_of_kind(app, kind::DELIVER, &app.delivery_turns, DELIVERIES_MAX).await,
    }
}

/// Claims the job whose turn it is.
async fn claim(app: &App) -> Result<Option<Claimed>> {
    let due = app.store.peek(|tx| tx.due_turns())?;
    let due: Vec<Due> = due
        .into_iter()
        .map(|turn| Due {
            tenant: turn.tenant,
            since: turn.since,
            is_on_trial: turn.has_rested,
        })
        .collect();
    let work = &app.config.work;
    let places = Places {
        jobs_max: work.jobs_max,
        jobs_most: work.jobs_most,
    };
    let Some(tenant) = turns::next(&due, &app.turns.running(), places) else {
        return Ok(None);
    };
    let lease_ms = seconds_ms(work.lease_seconds);
    let node = app.store.node()?;
    let claimed = app
        .tx("claim_job", move |tx| {
            let job = tx.claim_job_of_tenant(tenant, lease_ms)?;
            signed(tx, job, node)
        })
        .await?;
    Ok(claimed.map(|job| Claimed::new(app, job, &app.turns)))
}

/// Claims a job of a kind that has places of its own: long imports must not keep a deadline waiting, nor a destination,
/// and neither must a rest of the tenant's Optimove.
async fn claim_of_kind(
    app: &App,
    only: &'static str,
    turns: &Turns,
    places: usize,
) -> Result<Option<Claimed>> {
    let running: usize = turns.running().values().sum();
    if running >= places {
        return Ok(None);
    }
    let now = app.clock.now_ms();
    let is_due = app.store.peek(|tx| tx.next_job_of_kind_at(only))?;
    if is_due.is_none_or(|at| at > now) {
        return Ok(None);
    }
    let lease_ms = seconds_ms(app.config.work.lease_seconds);
    let node = app.store.node()?;
    let claimed = app
        .tx("claim_job", move |tx| {
            let job = tx.claim_job_of(Some(only), lease_ms)?;
            signed(tx, job, node)
        })
        .await?;
    Ok(claimed.map(|job| Claimed::new(app, job, turns)))
}

fn signed(
    tx: &mut Tx<'_>,
    job: Option<Job>,
    node: Option<i64>,
) -> std::result::Result<Option<Job>, StoreError> {
    if let (Some(job), Some(node)) = (&job, node) {
        tx.sign_job(job, node)?;
    }
    Ok(job)
}

/// Gives back the jobs of processes that are gone, so that nobody waits for the end of their leases. How many.
///
/// # Errors
/// The store's.
pub async fn release_of_the_gone(app: &App) -> Result<usize> {
    let gone = app.store.peek(|tx| tx.gone_holders())?;
    if gone.is_empty() {
        return Ok(0);
    }
    let released = app.tx("release_leases_of_the_gone", move |tx| {
        gone.iter()
            .try_fold(0, |all, node| Ok(all + tx.release_leases_of(*node)?))
    });
    let released = released.await?;
    app.work.notify_one();
    Ok(released)
}

impl Claimed {
    fn new(app: &App, job: Job, turns: &Turns) -> Self {
        let snapshot = app.directory.snapshot();
        let tenant = snapshot.tenant_by_no(job.tenant);
        Self {
            credential: tenant.map(|tenant| tenant.row.credential.clone()),
            _turn: turns.begin(job.tenant),
            job,
        }
    }
}

/// Runs a claimed job and settles its claim.
pub(super) async fn claimed(app: &App, claimed: Claimed, stop: &CancellationToken) -> Result<()> {
    let job = &claimed.job;
    let running = Box::pin(run(app, job, stop));
    let running = correlation::under(cause(job), fence::under(job.clone(), running));
    let ran = tokio::select! {
        ran = running => ran,
        lost = keep(app, job) => Err(lost),
    };
    let settled = settle(app, &claimed, ran).await;
    if let Err(Error::Store(StoreError::LeaseLost)) = settled {
        // Somebody else has the job by now; what this run wanted to write was refused.
        app.stale_writes.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            job.kind,
            job.key,
            job.token,
            tenant.no = job.tenant,
            "a job was taken over by somebody else; what was written too late was refused"
        );
        return Ok(());
    }
    settled
}

/// What the work on a job comes from: the one thing that asked for it, or else this run of it.
fn cause(job: &Job) -> String {
    let asked = job.correlation.clone();
    asked
        .filter(|_| !kind::FOR_MANY.contains(&job.kind.as_str()))
        .unwrap_or_else(|| format!("run_{}-{}", job.kind, job.token))
}

async fn run(app: &App, job: &Job, stop: &CancellationToken) -> Result<Ended> {
    match job.kind.as_str() {
        // A day that was read stays read, and what has left stays away: which day it is has to be beyond doubt.
        kind::ENDED | kind::RETENTION if app.clock.is_doubted() => {
            Ok(Ended::Again(app.clock.now_ms() + DOUBTED_WAIT_MS))
        }
        kind::IMPORT => import::run(app, job, stop).await,
        kind::PAGES => import::share::run(app, job, stop).await,
        kind::CLEARANCE => clearance::run(app, job, stop).await,
        kind::GRACE => sweep::grace(app, job).await,
        kind::RELEASE => release::run(app, job).await,
        kind::TRIGGERS => triggered::run(app, job).await,
        kind::APPROVALS => gateway::send_approvals(app, job).await,
        kind::SWEEP => sweep::run(app, job).await,
        kind::CATALOGUE => promotions::run(app, job).await,
        kind::ENDED => ended::run(app, job, stop).await,
        kind::CANCEL => cancel::run(app, job, stop).await,
        kind::DELIVER => delivery::run(app, job, stop).await,
        kind::ZONES => zones::run(app, job, stop).await,
        kind::RETENTION => retention::run(app, job, stop).await,
        other => Err(Error::invalid(
            "unknown_job",
            format!("there is no job of kind {other}"),
        )),
    }
}

/// Keeps the claim while the job runs, however long it waits for something. Ends only once the claim is lost.
async fn keep(app: &App, job: &Job) -> Error {
    let lease_ms = seconds_ms(app.config.work.lease_seconds);
    let pause = Duration::from_millis(lease_ms.unsigned_abs() / KEEPS_PER_LEASE);
    loop {
        tokio::time::sleep(pause).await;
        let claim = job.clone();
        let kept = app.tx("keep_job", move |tx| tx.keep_job(&claim, lease_ms));
        match kept.await {
            Err(lost @ Error::Store(StoreError::LeaseLost)) => return lost,
            Ok(()) => {}
            Err(error) => tracing::warn!(error.message = %error, "a claim could not be kept"),
        }
    }
}

async fn settle(app: &App, claimed: &Claimed, ran: Result<Ended>) -> Result<()> {
    let job = claimed.job.clone();
    let next = match ran {
        Ok(Ended::Done) => None,
        Ok(Ended::Again(at)) => Some(at),
        Ok(Ended::Stopped) => {
            let now = app.clock.now_ms();
            return app
                .tx("finish_job", move |tx| tx.finish_job(&job, Some(now)))
                .await;
        }
        Err(lost @ Error::Store(StoreError::LeaseLost)) => return Err(lost),
        Err(error) => return fail(app, claimed, &error).await,
    };
    app.tx("finish_job", move |tx| {
        reach::note_success(tx, &job)?;
        // The next run is nobody's wish but the clock's.
        if kind::BY_THE_CLOCK.contains(&job.kind.as_str()) && job.correlation.is_some() {
            tx.drop_correlation(&job)?;
        }
        tx.finish_job(&job, next)
    })
    .await
}

async fn fail(app: &App, claimed: &Claimed, error: &Error) -> Result<()> {
    let (job, message) = (claimed.job.clone(), error.to_string());
    tracing::warn!(
        job.kind,
        job.key,
        job.attempts,
        tenant.no = job.tenant,
        error.message = message,
        "a job failed and will be tried again"
    );
    let (work, spread) = (app.config.work.clone(), app.random.number());
    let (trouble, began_with) = (Trouble::of(error), claimed.credential.clone());
    app.tx("fail_job", move |tx| {
        let now = tx.now_ms();
        let wait = reach::wait_ms(&work, job.attempts, trouble, spread);
        let at = match trouble {
            None => now + wait,
            Some(Trouble::Refused) if reach::is_replaced(tx, &job, began_with.as_deref())? => now,
            Some(trouble) => {
                reach::note_failure(tx, &work, &job, trouble, &message, spread)?.max(now + wait)
            }
        };
        let at = match job.kind.as_str() {
            kind::CLEARANCE => at.min(now + CLEARANCE_RETRY_MAX),
            _ => at,
        };
        note_campaign_error(tx, &job, &message)?;
        tx.fail_job(&job, at, &message)
    })
    .await
}

fn note_campaign_error(
    tx: &mut Tx<'_>,
    job: &Job,
    message: &str,
) -> std::result::Result<(), StoreError> {
    // The campaign's number stands first in the key, or alone.
    let campaign = job.key.split('/').next().unwrap_or_default().parse();
    match (job.kind.as_str(), campaign) {
        (kind::IMPORT | kind::PAGES | kind::CLEARANCE, Ok(campaign)) => {
            tx.set_campaign_error(job.tenant, campaign, Some(message))
        }
        _ => Ok(()),
    }
}
