//! How many jobs of each tenant run in this process, so that the next one is chosen fairly.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Jobs that run, by tenant.
#[derive(Debug, Default, Clone)]
pub struct Turns(Arc<Mutex<BTreeMap<i64, usize>>>);

impl Turns {
    /// How many jobs of each tenant run now; none that has none.
    pub fn running(&self) -> BTreeMap<i64, usize> {
        self.lock().clone()
    }

    /// One job more of a tenant, until the turn is dropped.
    pub(super) fn begin(&self, tenant: i64) -> Turn {
        *self.lock().entry(tenant).or_default() += 1;
        Turn {
            turns: self.clone(),
            tenant,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i64, usize>> {
        // The counts are whole between any two statements, so a panic elsewhere does not spoil them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job that runs.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Turns,
    tenant: i64,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut running = self.turns.lock();
        if let Some(count) = running.get_mut(&self.tenant) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                running.remove(&self.tenant);
            }
        }
    }
}
