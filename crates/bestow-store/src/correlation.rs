//! What everything that follows from one cause has in common.
//!
//! A notification, a request of the API, a command, or a job that nobody asked for: whatever is written because of it
//! names it. It travels with the task, so no use case can forget it: transactions take it from the task that asks
//! for them, jobs keep it for whoever does them, and audit records and events to be told are written with it.

use std::sync::Arc;

use tokio::task_local;

task_local! {
    static CURRENT: Arc<str>;
}

/// Lets all that `work` writes name `id` as what it came from.
pub async fn under<T>(id: impl Into<Arc<str>>, work: impl Future<Output = T>) -> T {
    CURRENT.scope(id.into(), work).await
}

/// The same for work that becomes a task of its own: what it writes comes from what this task's does.
pub async fn kept<T>(from: Option<Arc<str>>, work: impl Future<Output = T>) -> T {
    match from {
        Some(id) => under(id, work).await,
        None => work.await,
    }
}

/// What this task's writes come from; `None` where nobody said.
pub fn current() -> Option<Arc<str>> {
    CURRENT.try_with(Arc::clone).ok()
}
