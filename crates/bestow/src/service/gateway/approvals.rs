//! Sending the decisions that Optimove waits for: the asynchronous gateway. Experimental.

use bestow_store::jobs::Job;
use optimove::rate::Priority;
use optimove::wire::TriggeredApproval;

use crate::app::App;
use crate::error::Result;
use crate::service::notifications::seconds_ms;
use crate::work::run::Ended;

/// Decisions read at once.
const APPROVALS_AT_ONCE: u32 = 50;

/// Sends a tenant's decisions in the order in which they were made. One that is not taken stops the
/// others until its next try.
///
/// # Errors
/// Optimove's and the store's.
pub async fn run(app: &App, job: &Job) -> Result<Ended> {
    let snapshot = app.directory.snapshot();
    let Some(tenant) = snapshot.tenant_by_no(job.tenant) else {
        return Ok(Ended::Done);
    };
    let client = app.client(tenant, Priority::Clearance)?;
    let lease_ms = seconds_ms(app.config.work.lease_seconds);
    loop {
        let calls = app
            .store
            .peek(|tx| tx.approvals_to_send(job.tenant, APPROVALS_AT_ONCE))?;
        if calls.is_empty() {
            return Ok(Ended::Done);
        }
        for call in calls {
            let approval = TriggeredApproval {
                user_id: call.user_id,
                campaign_id: call.campaign,
                allowed: call.allowed,
            };
            client.approve_triggered(&approval).await?;
            let (job, no) = (job.clone(), call.no);
            app.tx("approval_sent", move |tx| {
                tx.hold_job(&job, lease_ms)?;
                tx.approval_sent(job.tenant, no)
            })
            .await?;
        }
    }
}
