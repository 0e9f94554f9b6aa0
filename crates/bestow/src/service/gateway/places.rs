//! How many questions are under way, and what goes slower while they come.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

/// Questions under way at the same time. Whoever comes on top hears no at once.
const QUESTIONS_MAX: usize = 4_096;
/// After the last question chunks are as large as ever again.
const QUIET_MS: i64 = 2_000;
/// Rows of a chunk while questions come.
const GENTLE_ROWS: usize = 500;
/// How often it is asked whether it is to be noted.
const NOTE_ASKED_EVERY_MS: i64 = 10_000;

/// Places for questions under way.
#[derive(Debug)]
pub struct Places {
    pub(super) free: Semaphore,
    pace: Arc<Pace>,
    /// When a question was last noted, by tenant, in milliseconds.
    noted: Mutex<HashMap<i64, i64>>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            free: Semaphore::new(QUESTIONS_MAX),
            pace: Arc::default(),
            noted: Mutex::default(),
        }
    }
}

impl Places {
    /// A question came.
    pub(super) fn asked(&self, now_ms: i64) {
        self.pace.asked_at.store(now_ms, Ordering::Relaxed);
    }

    /// How large the chunks of others may be.
    pub(crate) fn pace(&self) -> Arc<Pace> {
        Arc::clone(&self.pace)
    }

    /// Whether the database is to be asked to note a question: it is not for each of many.
    pub(super) fn is_to_be_noted(&self, tenant: i64, now_ms: i64) -> bool {
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let last = noted.get(&tenant);
        last.is_none_or(|last| (now_ms - last).abs() >= NOTE_ASKED_EVERY_MS)
    }

    pub(super) fn noted(&self, tenant: i64, now_ms: i64) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.insert(tenant, now_ms);
    }
}

/// Keeps the chunks of large jobs small while questions come: each of them waits for one chunk.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Milliseconds; the last question.
    asked_at: AtomicI64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            asked_at: AtomicI64::new(i64::MIN),
        }
    }
}

impl Pace {
    /// Rows of a chunk that is begun now, where there is nobody to wait for it `most`.
    pub(crate) fn rows(&self, now_ms: i64, most: usize) -> usize {
        let asked_at = self.asked_at.load(Ordering::Relaxed);
        if now_ms.saturating_sub(asked_at) > QUIET_MS {
            most
        } else {
            most.min(GENTLE_ROWS)
        }
    }
}
