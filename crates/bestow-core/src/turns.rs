//! Whose turn it is, where many tenants want the same workers. Pure.
//!
//! Nobody waits for a job of somebody else to end: each tenant's first job starts beyond the usual number of jobs.
//! What is left goes to whoever has the fewest jobs running, then to whoever waits longest.

use std::collections::BTreeMap;

/// A tenant with a job that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The tenant's number.
    pub tenant: i64,
    /// When the longest due of its jobs became due, in milliseconds.
    pub since: i64,
    /// Its last job could not reach Optimove or was refused: one at a time, until one succeeds.
    pub is_on_trial: bool,
}

/// How many jobs may run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// Jobs at once, as long as no other tenant has to wait.
    pub jobs_max: usize,
    /// Jobs at once, when it takes that many for each tenant to have one.
    pub jobs_most: usize,
}

/// The tenant whose job is to start next; `None` where none may.
///
/// `running` counts the jobs of each tenant that has any.
pub fn next(due: &[Due], running: &BTreeMap<i64, usize>, places: Places) -> Option<i64> {
    let in_all: usize = running.values().sum();
    let of = |tenant: &i64| running.get(tenant).copied().unwrap_or_default();
    let may_start = |due: &&Due| match of(&due.tenant) {
        0 => in_all < places.jobs_most.max(places.jobs_max).max(1),
        _ => !due.is_on_trial && in_all < places.jobs_max,
    };
    due.iter()
        .filter(may_start)
        .min_by_key(|due| (of(&due.tenant), due.since, due.tenant))
        .map(|due| due.tenant)
}

/// A tenant with notifications that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// The tenant's number.
    pub tenant: i64,
    /// The id of the first one that waits; ids sort by age.
    pub first: String,
}

/// How many of each tenant's notifications a batch takes, in the order in which they are taken.
///
/// Each tenant has the same share of the batch, those whose oldest has waited longest first. Where more tenants wait
/// than the batch has places, each of the first ones has one place, and the others come with the next batch.
pub fn shares(mut queues: Vec<Queue>, batch_max: u32) -> Vec<(i64, u32)> {
    queues.sort_unstable_by(|a, b| (&a.first, a.tenant).cmp(&(&b.first, b.tenant)));
    let places = usize::try_from(batch_max).unwrap_or(usize::MAX);
    queues.truncate(places);
    let count = u32::try_from(queues.len()).unwrap_or(u32::MAX).max(1);
    let share = (batch_max / count).max(1);
    queues
        .into_iter()
        .map(|queue| (queue.tenant, share))
        .collect()
}
