//! Starts and ends of windows become events once their instant has come, in the order of time.

use bestow_core::announce::{Due, due};
use bestow_store::jobs::Job;

use crate::app::App;
use crate::error::Result;

/// Starts and ends taken in one transaction.
const AT_ONCE_MAX: u32 = 500;

/// Makes events of whatever is due. Any destination's job does it for the whole tenant.
pub(super) async fn announce(app: &App, job: &Job, lease_ms: i64) -> Result<()> {
    loop {
        let waiting = app
            .store
            .peek(|tx| tx.due_announcements(job.tenant, AT_ONCE_MAX))?;
        if waiting.is_empty() {
            return Ok(());
        }
        let job = job.clone();
        app.tx("announce", move |tx| {
            tx.lock_announcements(job.tenant);
            tx.hold_job(&job, lease_ms)?;
            for row in tx.due_announcements(job.tenant, AT_ONCE_MAX)? {
                match due(row.is_start, row.at, row.suspended_at, row.revoked_at) {
                    Due::Tell => tx.announce_due(job.tenant, &row, true)?,
                    Due::Drop => tx.announce_due(job.tenant, &row, false)?,
                    Due::Wait => {}
                }
            }
            tx.want_other_deliveries(&job)
        })
        .await?;
    }
}
