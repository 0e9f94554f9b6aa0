//! Deciding the held pairs of a triggered campaign again: once its cause may be mended, or in the
//! next minute where a cap per minute held them.

use bestow_store::Error as StoreError;
use bestow_store::jobs::Job;

use super::{Look, MINUTE_MS, Settled, take};
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::notifications::seconds_ms;
use crate::service::{codes, inbox};
use crate::work::run::Ended;

/// Triggers looked at in one transaction.
const TRIGGERS_AT_ONCE: u32 = 100;

/// How far a run has come.
enum Step {
    /// Up to this notification.
    Through(String),
    /// The minute is full; the next one begins then, in milliseconds.
    Full(i64),
    /// Nothing is held behind it.
    End,
}

/// Runs the job: oldest first, each trigger once.
///
/// # Errors
/// The store's.
pub async fn run(app: &App, job: &Job) -> Result<Ended> {
    let campaign: i64 = job.key.parse().map_err(|_| {
        Error::invalid("bad_job", format!("{} is no number of a campaign", job.key))
    })?;
    let mut after = String::new();
    loop {
        match step(app, job, campaign, after).await? {
            Step::Through(last) => after = last,
            Step::Full(next) => return Ok(Ended::Again(next)),
            Step::End => return Ok(Ended::Done),
        }
    }
}

async fn step(app: &App, job: &Job, campaign: i64, after: String) -> Result<Step> {
    let lease_ms = seconds_ms(app.config.work.lease_seconds);
    let (job, snapshot) = (job.clone(), app.directory.snapshot());
    let (step, low) = app
        .bulk("rerun_triggers", move |tx| {
            tx.hold_job(&job, lease_ms)?;
            let Some(tenant) = snapshot.tenant_by_no(job.tenant) else {
                return Ok::<_, StoreError>((Step::End, Vec::new()));
            };
            let mut step = Step::End;
            for id in tx.waiting_triggers(job.tenant, campaign, &after, TRIGGERS_AT_ONCE)? {
                let Some(notification) = tx.notification(job.tenant, &id)? else {
                    continue;
                };
                tx.correlate(inbox::shown_id(&id));
                let taking = take(tx, tenant, &notification, Look::Again)?;
                let (status, reason) = match taking.settled {
                    Settled::Done => ("done", None),
                    Settled::Held(reason) => ("held", Some(reason)),
                };
                if (notification.status.as_str(), notification.reason.as_deref())
                    != (status, reason)
                {
                    tx.settle_notification(job.tenant, &id, status, reason)?;
                }
                if taking.is_minute_full {
                    step = Step::Full((tx.now_ms() / MINUTE_MS + 1) * MINUTE_MS);
                    break;
                }
                step = Step::Through(id);
            }
            Ok((step, codes::note_low(tx, job.tenant)?))
        })
        .await?;
    codes::tell_low(app, low);
    Ok(step)
}
