//! Under which claim a task writes.
//!
//! A worker that stood still may wake when somebody else has its job. So whatever a job writes is written together with
//! a look at its claim, in the same transaction. The claim travels with the task, so that no use case can forget it.

use bestow_store::jobs::Job;
use tokio::task_local;

task_local! {
    static CLAIM: Job;
}

/// Runs `work` under a claim.
pub(crate) async fn under<T>(claim: Job, work: impl Future<Output = T>) -> T {
    CLAIM.scope(claim, work).await
}

/// The claim that this task writes under; `None` where it is nobody's job.
pub(crate) fn claim() -> Option<Job> {
    CLAIM.try_with(Job::clone).ok()
}
