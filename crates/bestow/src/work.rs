//! Who runs the use cases, and when.
//!
//! A scheduler looks at the inbox and at due jobs; a bell rings when there is something new, but nothing depends on it.
//! Tenants take turns: no tenant's flood, and no tenant that is dead, keeps another's work waiting.
//! A job is claimed by lease: whoever holds the newest token may write.

pub(crate) mod fence;
mod reach;
pub mod run;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

pub use turns::Turns;

use crate::app::App;
use crate::error::Result;
use crate::service::audit::Sealer;
use crate::service::{notifications, zones};

/// Kinds of job, as stored.
pub mod kind {
    /// Reads and merges one campaign. Key: its number.
    pub const IMPORT: &str = "import";
    /// Reads a part of a list of one campaign. Key: the campaign's number, the channel, the first row.
    pub const PAGES: &str = "pages";
    /// Wants the channels of a campaign whose event 13 did not come. Key: its number.
    pub const GRACE: &str = "grace";
    /// Held pairs of a campaign may be grantable by now. Key: its number.
    pub const RELEASE: &str = "release";
    /// Decides the held pairs of a triggered campaign again. Key: its number.
    pub const TRIGGERS: &str = "triggers";
    /// Sends the decisions of the asynchronous gateway. No key.
    pub const APPROVALS: &str = "approvals";
    /// Clears the customers of a conditional campaign. Key: its number.
    pub const CLEARANCE: &str = "clearance";
    /// Compares Optimove's lists of executed campaigns with ours. No key.
    pub const SWEEP: &str = "sweep";
    /// Reads the list of actions that ended on a day. Key: the day.
    pub const ENDED: &str = "ended";
    /// Asks Optimove whether a campaign was cancelled. Key: its number.
    pub const CANCEL: &str = "cancel";
    /// Delivers to one destination. Key: its number.
    pub const DELIVER: &str = bestow_store::announcements::DELIVER;
    /// Compares Optimove's list of codes with the catalogue. No key.
    pub const CATALOGUE: &str = "catalogue";
    /// Archives what the tenant has kept for long enough. No key.
    pub const RETENTION: &str = "retention";
    /// Reckons windows to come again by newer zone data. No key.
    pub const ZONES: &str = "zones";
    /// Those that come again and again: every tenant has the first two, and the last one where it is set to.
    pub const REGULAR: [&str; 3] = [SWEEP, CATALOGUE, RETENTION];
    /// Those that run by the clock, though somebody may ask for one run of them.
    pub const BY_THE_CLOCK: [&str; 5] = [SWEEP, CATALOGUE, RETENTION, ENDED, ZONES];
    /// Those that do at once what many things have asked for.
    pub const FOR_MANY: [&str; 2] = [DELIVER, APPROVALS];
}

/// The workers of a running service.
#[derive(Debug)]
pub struct Workers {
    stop: CancellationToken,
    scheduler: JoinHandle<()>,
    sealer: JoinHandle<()>,
}

impl Workers {
    /// Starts them. Must be called within a Tokio runtime.
    pub fn start(app: &Arc<App>) -> Self {
        let stop = CancellationToken::new();
        let scheduler = tokio::spawn(schedule(Arc::clone(app), stop.clone()));
        let sealer = tokio::spawn(Sealer::new(app).run(stop.clone()));
        Self {
            stop,
            scheduler,
            sealer,
        }
    }

    /// Asks them to stop and waits: what they are in the middle of is finished up to its next durable step, and
    /// somebody goes on from there.
    pub async fn stop(self) {
        self.stop.cancel();
        for task in [self.scheduler, self.sealer] {
            if let Err(error) = task.await {
                tracing::error!(error.message = %error, "the work ended before its time");
            }
        }
    }
}

/// Settles the inbox and runs one due job. False where there was nothing to do. For tests that step.
///
/// # Errors
/// The store's.
pub async fn step(app: &Arc<App>) -> Result<bool> {
    want_regular(app).await?;
    let settled = notifications::settle_waiting(app).await?;
    let ran = run::one(app, &CancellationToken::new()).await?;
    Ok(settled || ran)
}

/// Settles a batch of the inbox and starts the jobs that may start, again and again. One task does both, so no bell
/// is rung in vain and nobody competes for a job.
async fn schedule(app: Arc<App>, stop: CancellationToken) {
    let mut jobs = JoinSet::new();
    while !stop.is_cancelled() {
        let settled = settle(&app).await;
        let started = start_jobs(&app, &stop, &mut jobs).await;
        if let Err(error) = settled.as_ref().and(started.as_ref()) {
            tracing::error!(error.message = %error, "the work cannot be looked at");
        }
        if !matches!((settled, started), (Ok(true), _) | (_, Ok(true))) {
            rest(&app, &stop, &mut jobs).await;
        }
    }
    while jobs.join_next().await.is_some() {}
}

async fn settle(app: &App) -> Result<bool> {
    want_regular(app).await?;
    notifications::settle_waiting(app).await
}

/// Starts all jobs that may start. True where one did.
async fn start_jobs(
    app: &Arc<App>,
    stop: &CancellationToken,
    jobs: &mut JoinSet<()>,
) -> Result<bool> {
    let mut has_started = false;
    while let Some(claimed) = run::claim_any(app).await? {
        has_started = true;
        let (app, stop) = (Arc::clone(app), stop.clone());
        jobs.spawn(async move {
            if let Err(error) = run::claimed(&app, claimed, &stop).await {
                tracing::error!(error.message = %error, "the end of a job cannot be written");
            }
        });
    }
    Ok(has_started)
}

async fn rest(app: &App, stop: &CancellationToken, jobs: &mut JoinSet<()>) {
    let poll = Duration::from_millis(app.config.work.poll_ms.max(1));
    tokio::select! {
        () = app.arrived.notified() => {}
        () = app.work.notified() => {}
        () = stop.cancelled() => {}
        Some(_) = jobs.join_next() => {}
        () = tokio::time::sleep(poll) => {}
    }
}

/// Each tenant has its regular jobs waiting; one that is new gets its first.
async fn want_regular(app: &App) -> Result<()> {
    if app.clock.is_doubted() {
        return Ok(());
    }
    zones::want(app).await?;
    let pace = &app.config.work;
    for (kind, every_seconds) in [
        (kind::SWEEP, pace.sweep_seconds),
        (kind::CATALOGUE, pace.catalogue_seconds),
        (kind::RETENTION, pace.retention_seconds),
    ] {
        let mut missing = app.store.peek(|tx| tx.tenants_without_job(kind))?;
        if kind == kind::RETENTION {
            let known = app.directory.snapshot();
            missing.retain(|no| {
                let tenant = known.tenant_by_no(*no);
                tenant.is_some_and(|tenant| tenant.settings.retention_days.is_some())
            });
        }
        if missing.is_empty() {
            continue;
        }
        let every_ms = notifications::seconds_ms(every_seconds);
        app.tx("want_regular", move |tx| {
            let first = tx.now_ms() + every_ms;
            missing
                .iter()
                .try_for_each(|tenant| tx.want_job(*tenant, kind, "", first))
        })
        .await?;
    }
    Ok(())
}
