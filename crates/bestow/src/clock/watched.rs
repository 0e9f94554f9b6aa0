//! A wall clock that is not believed when it jumps.
//!
//! A machine has two clocks: one on the wall, which people and programs set, and one that only ever runs on. As long as
//! they run alike the wall is right. Where they part, the wall was set, rightly or not: until a person says so, time goes
//! on from where both were last together, at the pace of the steady one.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use super::Reading;

/// How far the clocks may part within [`TOGETHER_MS`], in milliseconds. Time services correct by less.
const APART_MS_MAX: i64 = 2_000;
/// How long the clocks have to run alike before the wall's small corrections are taken over, in milliseconds.
const TOGETHER_MS: i64 = 60_000;
/// The lead of a server that is not followed.
const NOBODY: i64 = i64::MIN;

/// Both clocks of a machine, and what is believed of them.
#[derive(Debug)]
pub(super) struct Watched {
    read: fn() -> Reading,
    /// The lead over the steady clock of the server that is the wall here; [`NOBODY`]: the machine's own wall is.
    server_ms: AtomicI64,
    /// The wall's lead over the steady clock when they were last together.
    lead_ms: AtomicI64,
    /// When that was, by the steady clock.
    together_ms: AtomicI64,
    /// They parted, and nobody has said that the wall is right.
    is_doubted: AtomicBool,
}

impl Watched {
    /// Believes the wall as it is now.
    pub(super) fn new(read: fn() -> Reading) -> Self {
        let this = Self {
            read,
            server_ms: AtomicI64::new(NOBODY),
            lead_ms: AtomicI64::new(0),
            together_ms: AtomicI64::new(0),
            is_doubted: AtomicBool::new(false),
        };
        this.confirm();
        this
    }

    /// Milliseconds since 1970 UTC: the wall's, or what it would be had nobody set it.
    pub(super) fn now_ms(&self) -> i64 {
        let now = self.reading();
        let lead = now.wall_ms.saturating_sub(now.steady_ms);
        let believed = self.lead_ms.load(Ordering::Acquire);
        if lead.abs_diff(believed) > APART_MS_MAX.unsigned_abs() {
            if !self.is_doubted.swap(true, Ordering::AcqRel) {
                tracing::error!(
                    clock.parted_ms = lead.saturating_sub(believed),
                    "the machine's clock was set; time goes on as before until POST /v1/clock/confirm says that it is right"
                );
            }
            return now.steady_ms.saturating_add(believed);
        }
        let together = self.together_ms.load(Ordering::Relaxed);
        if now.steady_ms.saturating_sub(together) >= TOGETHER_MS {
            self.lead_ms.store(lead, Ordering::Release);
            self.together_ms.store(now.steady_ms, Ordering::Relaxed);
        }
        now.wall_ms
    }

    fn reading(&self) -> Reading {
        let now = (self.read)();
        match self.server_ms.load(Ordering::Acquire) {
            NOBODY => now,
            lead => Reading {
                wall_ms: now.steady_ms.saturating_add(lead),
                ..now
            },
        }
    }

    pub(super) fn steady_ms(&self) -> i64 {
        (self.read)().steady_ms
    }

    /// Whether a server's clock is the wall.
    pub(super) fn is_following(&self) -> bool {
        self.server_ms.load(Ordering::Acquire) != NOBODY
    }

    /// A server's clock leads the steady one by so much. It is the wall from now on, believed at first sight.
    pub(super) fn follow(&self, lead_ms: i64) {
        if self.server_ms.swap(lead_ms, Ordering::AcqRel) == NOBODY {
            self.confirm();
        }
    }

    /// Whether the clocks parted and nobody has confirmed the wall since.
    pub(super) fn is_doubted(&self) -> bool {
        self.is_doubted.load(Ordering::Acquire)
    }

    /// Believes the wall as it is now.
    pub(super) fn confirm(&self) {
        let now = self.reading();
        let lead = now.wall_ms.saturating_sub(now.steady_ms);
        self.lead_ms.store(lead, Ordering::Release);
        self.together_ms.store(now.steady_ms, Ordering::Relaxed);
        self.is_doubted.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const YEAR_MS: i64 = 365 * 86_400_000;

    thread_local! {
        static WALL: Cell<i64> = const { Cell::new(1_000_000_000) };
        static STEADY: Cell<i64> = const { Cell::new(5_000) };
    }

    fn read() -> Reading {
        Reading {
            wall_ms: WALL.get(),
            steady_ms: STEADY.get(),
        }
    }

    /// Both run on, and the wall is moved besides.
    fn pass(ms: i64, wall_moves: i64) {
        WALL.set(WALL.get() + ms + wall_moves);
        STEADY.set(STEADY.get() + ms);
    }

    #[test]
    fn a_wall_that_jumps_is_not_believed_until_it_is_confirmed() {
        for jump in [YEAR_MS, -YEAR_MS, 2_001, -2_001] {
            let clock = Watched::new(read);
            let before = clock.now_ms();
            pass(10_000, jump);
            assert_eq!(clock.now_ms(), before + 10_000);
            pass(YEAR_MS, 0);
            assert_eq!(clock.now_ms(), before + 10_000 + YEAR_MS);
            assert!(clock.is_doubted());
            clock.confirm();
            assert_eq!(clock.now_ms(), before + 10_000 + YEAR_MS + jump);
            assert!(!clock.is_doubted());
        }
    }

    #[test]
    fn a_wall_that_is_set_back_right_is_believed_and_told_of() {
        let clock = Watched::new(read);
        pass(1_000, YEAR_MS);
        clock.now_ms();
        pass(1_000, -YEAR_MS);
        assert_eq!(clock.now_ms(), WALL.get());
        assert!(clock.is_doubted());
    }

    #[test]
    fn small_corrections_are_followed_for_ever() {
        let clock = Watched::new(read);
        for _ in 0..1_000 {
            pass(60_000, 500);
            assert_eq!(clock.now_ms(), WALL.get());
        }
        assert!(!clock.is_doubted());
    }

    #[test]
    fn a_server_that_is_followed_is_the_wall() {
        let clock = Watched::new(read);
        clock.follow(YEAR_MS);
        pass(1_000, YEAR_MS);
        assert_eq!(clock.now_ms(), STEADY.get() + YEAR_MS);
        clock.follow(YEAR_MS + 500);
        assert_eq!(clock.now_ms(), STEADY.get() + YEAR_MS + 500);
        assert!(!clock.is_doubted());
        // It may jump as well as any other.
        clock.follow(-YEAR_MS);
        assert_eq!(clock.now_ms(), STEADY.get() + YEAR_MS);
        assert!(clock.is_doubted());
    }

    #[test]
    fn a_machine_that_sleeps_wakes_up_right() {
        let clock = Watched::new(read);
        // Nobody asked meanwhile, and both ran on.
        pass(YEAR_MS, 1_900);
        assert_eq!(clock.now_ms(), WALL.get());
        assert!(!clock.is_doubted());
    }
}
