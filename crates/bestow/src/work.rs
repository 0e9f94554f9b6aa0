//! Who runs the use cases, and when.
//!
//! Workers look at the inbox and at due jobs; a bell rings when there is something new, but nothing depends on it.
//! A job is claimed by lease: whoever holds the newest token may write.

pub mod run;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::Result;
use crate::service::notifications;

/// Kinds of job, as stored.
pub mod kind {
    /// Reads and merges one campaign. Key: its number.
    pub const IMPORT: &str = "import";
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
}

/// The workers of a running service.
#[derive(Debug)]
pub struct Workers {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Workers {
    /// Starts them. Must be called within a Tokio runtime.
    pub fn start(app: &Arc<App>) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(settle_loop(Arc::clone(app), stop.clone()));
        for _ in 0..app.config.work.jobs_max.max(1) {
            tasks.spawn(job_loop(Arc::clone(app), None, stop.clone()));
        }
        // Long imports must not keep a deadline waiting.
        tasks.spawn(job_loop(
            Arc::clone(app),
            Some(kind::CLEARANCE),
            stop.clone(),
        ));
        Self { stop, tasks }
    }

    /// Asks them to stop and waits: what they are in the middle of is finished up to its next durable step, and
    /// somebody goes on from there.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Settles the inbox and runs one due job. False where there was nothing to do. For tests that step.
///
/// # Errors
/// The store's.
pub async fn step(app: &Arc<App>) -> Result<bool> {
    want_sweeps(app).await?;
    let settled = notifications::settle_waiting(app).await?;
    let ran = run::one(app, &CancellationToken::new()).await?;
    Ok(settled || ran)
}

async fn settle_loop(app: Arc<App>, stop: CancellationToken) {
    let poll = poll_interval(&app);
    while !stop.is_cancelled() {
        let settled = match want_sweeps(&app).await {
            Ok(()) => notifications::settle_waiting(&app).await,
            Err(error) => Err(error),
        };
        match settled {
            Ok(true) => app.work.notify_waiters(),
            Ok(false) => rest(&app.arrived, &stop, poll).await,
            Err(error) => {
                tracing::error!(error.message = %error, "the inbox cannot be settled");
                rest(&app.arrived, &stop, poll).await;
            }
        }
    }
}

async fn job_loop(app: Arc<App>, only: Option<&'static str>, stop: CancellationToken) {
    let poll = poll_interval(&app);
    while !stop.is_cancelled() {
        match run::one_of(&app, only, &stop).await {
            Ok(true) => {}
            Ok(false) => rest(&app.work, &stop, poll).await,
            Err(error) => {
                tracing::error!(error.message = %error, "jobs cannot be run");
                rest(&app.work, &stop, poll).await;
            }
        }
    }
}

/// Each tenant has a sweep waiting; one that is new gets its first.
async fn want_sweeps(app: &App) -> Result<()> {
    let swept: Vec<i64> = app.store.peek(|tx| tx.tenants_with_job(kind::SWEEP))?;
    let snapshot = app.directory.snapshot();
    let missing: Vec<i64> = snapshot
        .tenants()
        .map(|tenant| tenant.no())
        .filter(|no| !swept.contains(no))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let every_ms = notifications::seconds_ms(app.config.work.sweep_seconds);
    app.tx("want_sweeps", move |tx| {
        let first = tx.now_ms() + every_ms;
        missing
            .iter()
            .try_for_each(|tenant| tx.want_job(*tenant, kind::SWEEP, "", first))
    })
    .await
}

async fn rest(bell: &Notify, stop: &CancellationToken, poll: Duration) {
    tokio::select! {
        () = bell.notified() => {}
        () = stop.cancelled() => {}
        () = tokio::time::sleep(poll) => {}
    }
}

fn poll_interval(app: &App) -> Duration {
    Duration::from_millis(app.config.work.poll_ms.max(1))
}
