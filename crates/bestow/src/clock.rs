//! The one place that reads the wall clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use jiff::Timestamp;

/// Tells the time. Under `--test-clock` it can be set and moved; it runs on at the usual pace from there.
#[derive(Debug, Clone)]
pub struct Clock {
    /// Milliseconds added to the wall clock; `None` where the clock may not be moved.
    offset_ms: Option<Arc<AtomicI64>>,
    /// Stands still at this many milliseconds, for tests that step.
    standing: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self {
            offset_ms: None,
            standing: None,
        }
    }

    /// A clock that starts at the machine's time and can be moved.
    pub fn adjustable() -> Self {
        Self {
            offset_ms: Some(Arc::default()),
            standing: None,
        }
    }

    /// A clock that stands at an instant until it is moved.
    pub fn standing(at: Timestamp) -> Self {
        Self {
            offset_ms: None,
            standing: Some(Arc::new(AtomicI64::new(at.as_millisecond()))),
        }
    }

    /// Milliseconds since 1970 UTC.
    pub fn now_ms(&self) -> i64 {
        if let Some(standing) = &self.standing {
            return standing.load(Ordering::SeqCst);
        }
        let offset = self
            .offset_ms
            .as_ref()
            .map_or(0, |offset| offset.load(Ordering::SeqCst));
        wall_ms().saturating_add(offset)
    }

    /// The instant, to the millisecond.
    pub fn now(&self) -> Timestamp {
        instant(self.now_ms())
    }

    /// Whether it can be set.
    pub fn is_adjustable(&self) -> bool {
        self.offset_ms.is_some() || self.standing.is_some()
    }

    /// Sets it to an instant, back or forward. False where it cannot be set.
    pub fn set(&self, to: Timestamp) -> bool {
        if let Some(standing) = &self.standing {
            standing.store(to.as_millisecond(), Ordering::SeqCst);
        } else if let Some(offset) = &self.offset_ms {
            offset.store(
                to.as_millisecond().saturating_sub(wall_ms()),
                Ordering::SeqCst,
            );
        } else {
            return false;
        }
        true
    }

    /// Moves it by milliseconds, back or forward. False where it cannot be set.
    pub fn advance(&self, by_ms: i64) -> bool {
        self.set(instant(self.now_ms().saturating_add(by_ms)))
    }
}

/// An instant from stored milliseconds; what lies beyond the range of instants becomes its edge.
pub fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the wall clock"
)]
fn wall_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
