//! The one place that reads the machine's clocks.
//!
//! Where processes share a database, all of them follow the clock of its server: each asks for it now and then, and counts
//! on from there by the machine's steady clock, which runs while a process stands still and which nobody sets.

mod watched;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

use watched::Watched;

/// How long the question for the server's time may take, in milliseconds, for its answer to be of use.
const ASKING_MS_MAX: i64 = 250;

/// Tells the time. Under `--test-clock` it can be set and moved; it runs on at the usual pace from there.
#[derive(Debug, Clone)]
pub struct Clock(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// The machine's, not believed when it jumps.
    Machine(Arc<Watched>),
    /// Milliseconds added to the machine's.
    Moved(Arc<AtomicI64>),
    /// Stands still at this many milliseconds, for tests that step.
    Standing(Arc<AtomicI64>),
}

/// Both clocks of a machine at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// Milliseconds since 1970 UTC, as somebody set it.
    pub wall_ms: i64,
    /// Milliseconds since the machine was started, its sleep included.
    pub steady_ms: i64,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::of_machine(read)
    }

    /// The clock of a machine that is read this way.
    pub fn of_machine(read: fn() -> Reading) -> Self {
        Self(Kind::Machine(Arc::new(Watched::new(read))))
    }

    /// A clock that starts at the machine's time and can be moved.
    pub fn adjustable() -> Self {
        Self(Kind::Moved(Arc::default()))
    }

    /// A clock that stands at an instant until it is moved.
    pub fn standing(at: Timestamp) -> Self {
        Self(Kind::Standing(Arc::new(AtomicI64::new(
            at.as_millisecond(),
        ))))
    }

    /// Milliseconds since 1970 UTC.
    pub fn now_ms(&self) -> i64 {
        match &self.0 {
            Kind::Machine(machine) => machine.now_ms(),
            Kind::Moved(offset) => wall_ms().saturating_add(offset.load(Ordering::SeqCst)),
            Kind::Standing(at) => at.load(Ordering::SeqCst),
        }
    }

    /// The instant, to the millisecond.
    pub fn now(&self) -> Timestamp {
        instant(self.now_ms())
    }

    /// Whether it can be set.
    pub fn is_adjustable(&self) -> bool {
        !matches!(self.0, Kind::Machine(_))
    }

    /// Sets it to an instant, back or forward. False where it cannot be set.
    pub fn set(&self, to: Timestamp) -> bool {
        let to = to.as_millisecond();
        match &self.0 {
            Kind::Machine(_) => return false,
            Kind::Moved(offset) => offset.store(to.saturating_sub(wall_ms()), Ordering::SeqCst),
            Kind::Standing(at) => at.store(to, Ordering::SeqCst),
        }
        true
    }

    /// Whether the machine's clock jumped and nobody has confirmed it since. Time goes on as if it had not.
    pub fn is_doubted(&self) -> bool {
        matches!(&self.0, Kind::Machine(machine) if machine.is_doubted())
    }

    /// The machine's clock is right: it is believed from now on.
    pub fn confirm(&self) {
        if let Kind::Machine(machine) = &self.0 {
            machine.confirm();
        }
    }

    /// Takes the time that `ask` tells, in milliseconds since 1970 UTC, for that of the wall. `None`: there is nobody to
    /// follow. A clock that can be moved follows nobody.
    ///
    /// # Errors
    /// Those of `ask`; then the clock runs on as before.
    pub fn follow<E>(&self, ask: impl FnOnce() -> Result<Option<i64>, E>) -> Result<(), E> {
        let Kind::Machine(machine) = &self.0 else {
            return Ok(());
        };
        let asked_at = machine.steady_ms();
        let Some(told) = ask()? else { return Ok(()) };
        let took = machine.steady_ms() - asked_at;
        // Of a late answer nobody knows when it was right; the first one is better than none.
        if took <= ASKING_MS_MAX || !machine.is_following() {
            machine.follow(told - asked_at - took / 2);
        }
        Ok(())
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

fn read() -> Reading {
    Reading {
        wall_ms: wall_ms(),
        steady_ms: steady_ms(),
    }
}

/// Milliseconds since the machine was started.
pub(crate) fn steady_ms() -> i64 {
    // Of the steady clocks the one that also runs while the machine sleeps, as the wall's does.
    let steady = clock_gettime(ClockId::Boottime);
    steady.tv_sec * 1_000 + steady.tv_nsec / 1_000_000
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
