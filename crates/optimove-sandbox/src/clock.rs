//! The sandbox clock, and the one place that looks at the real one.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::ClockMode;

/// Tells the time of the sandbox world, and how long the process has been running.
#[derive(Debug)]
pub(crate) struct Clock {
    mode: ClockMode,
    started: Instant,
    started_at: Timestamp,
    offset: watch::Sender<SignedDuration>,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the sandbox's one source of time"
    )]
    pub(crate) fn new(mode: ClockMode) -> Self {
        Self {
            mode,
            started: Instant::now(),
            started_at: Timestamp::now(),
            offset: watch::Sender::new(SignedDuration::ZERO),
        }
    }

    /// Real time since the start: for rate limits and waits, never set back.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The time in the sandbox world.
    pub(crate) fn now(&self) -> Timestamp {
        let offset = *self.offset.borrow();
        let now = self.real_now();
        now.checked_add(offset).unwrap_or(now)
    }

    /// Whether the clock may be set.
    pub(crate) fn may_be_set(&self) -> bool {
        self.mode == ClockMode::Test
    }

    /// Sets the clock, back or forward; it runs on from there.
    pub(crate) fn set(&self, now: Timestamp) {
        self.offset
            .send_replace(now.duration_since(self.real_now()));
    }

    /// Back to real time.
    pub(crate) fn reset(&self) {
        self.offset.send_replace(SignedDuration::ZERO);
    }

    /// Waits until the sandbox world has reached `due`, however the clock is moved meanwhile.
    pub(crate) async fn wait_until(&self, due: Timestamp) {
        let mut moved = self.offset.subscribe();
        loop {
            let left = due.duration_since(self.now());
            let Ok(left) = Duration::try_from(left) else {
                return;
            };
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                // The sender lives as long as `self`, so this ends only by a change.
                _ = moved.changed() => {}
            }
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the sandbox's one source of time"
    )]
    fn real_now(&self) -> Timestamp {
        match self.mode {
            ClockMode::System => Timestamp::now(),
            // A jump of the machine's clock must not move a test.
            ClockMode::Test => {
                let now = SignedDuration::try_from(self.elapsed())
                    .ok()
                    .and_then(|elapsed| self.started_at.checked_add(elapsed).ok());
                now.unwrap_or(self.started_at)
            }
        }
    }
}
