//! Deliveries that were delivered long ago.

use tokio_util::sync::CancellationToken;

use super::Run;
use crate::error::Result;
use crate::service::notifications::seconds_ms;

/// Deliveries dropped in one transaction.
const AT_ONCE: u32 = 500;

/// Drops those that are older than what the tenant keeps, a little at a time.
pub(super) async fn run(run: &Run<'_>, stop: &CancellationToken) -> Result<()> {
    let lease_ms = seconds_ms(run.app.config.work.lease_seconds);
    let until = run.cutoff.as_millisecond();
    let mut destination = 0;
    while let Some(next) =
        (run.app.store).peek(|tx| tx.delivered_to(run.job.tenant, destination))?
    {
        destination = next;
        let mut dropped = AT_ONCE as usize;
        while dropped == AT_ONCE as usize && !stop.is_cancelled() {
            let job = run.job.clone();
            let drop = run.app.bulk("drop_delivered", move |tx| {
                tx.drop_delivered(&job, next, until, AT_ONCE, lease_ms)
            });
            dropped = drop.await?;
        }
    }
    Ok(())
}
