//! Work that waits for a connection that writes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::pg_near::Ahead;
use crate::{Error, Tx};

/// Work that may wait, at most. Beyond it callers are told to come back later.
const WAITING_MAX: usize = 65_536;
/// Groups of interactive work that follow each other while a bulk chunk waits. A chunk takes about as long as a group:
/// while people wait, large jobs have a quarter of the time.
const RUN_MAX: u32 = 3;

/// Which queue a piece of work waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Somebody waits for the answer.
    Interactive,
    /// Somebody waits for it, and it holds by its keys whatever is written meanwhile.
    Beside,
    /// Chunks of a large job.
    Bulk,
}

/// Which lanes a connection takes work from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serves {
    All,
    /// What takes turns.
    Turns,
    /// What needs no turn.
    NoTurns,
}

impl Serves {
    const EVERY: [Self; 3] = [Self::All, Self::Turns, Self::NoTurns];

    /// The most urgent first.
    fn lanes(self) -> &'static [Lane] {
        match self {
            Self::All => &[Lane::Interactive, Lane::Beside, Lane::Bulk],
            Self::Turns => &[Lane::Interactive],
            Self::NoTurns => &[Lane::Beside, Lane::Bulk],
        }
    }
}

/// A piece of work for a writer. It may be run more than once before it is finished once.
pub(crate) trait Work: Send {
    /// The transaction's name, for logs and figures.
    fn name(&self) -> &'static str;
    /// What it is about to read, where it knows.
    fn ahead(&self) -> Option<&Ahead>;
    /// Does the work and keeps its result. `Err` means: undo what I wrote.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Undo>;
    /// Hands the kept result to whoever waits, or the failure of the transaction.
    fn finish(self: Box<Self>, outcome: Result<(), Error>);
}

/// The work answered with an error of its own; its writes must not stay.
pub(crate) struct Undo;

/// Pieces of work that are run in one transaction.
pub(crate) type Group = Vec<Box<dyn Work>>;

#[derive(Default)]
struct Lanes {
    interactive: VecDeque<Box<dyn Work>>,
    beside: VecDeque<Box<dyn Work>>,
    bulk: VecDeque<Box<dyn Work>>,
    /// How many wait for work and were not called, of each kind of [`Serves`].
    idle: [u32; Serves::EVERY.len()],
    /// How many were called and are not awake yet.
    called: [u32; Serves::EVERY.len()],
    closing: bool,
}

impl Lanes {
    fn of(&mut self, lane: Lane) -> &mut VecDeque<Box<dyn Work>> {
        match lane {
            Lane::Interactive => &mut self.interactive,
            Lane::Beside => &mut self.beside,
            Lane::Bulk => &mut self.bulk,
        }
    }

    fn waiting(&self) -> usize {
        self.interactive.len() + self.beside.len() + self.bulk.len()
    }
}

/// The lanes of one store.
#[derive(Default)]
pub(crate) struct Queue {
    lanes: Mutex<Lanes>,
    /// For each kind of [`Serves`].
    wakes: [Condvar; Serves::EVERY.len()],
}

impl Queue {
    /// Queues a piece of work; refuses it when too much waits already or the store is closing.
    pub(crate) fn submit(&self, lane: Lane, work: Box<dyn Work>) {
        let mut lanes = self.lock();
        if lanes.waiting() >= WAITING_MAX || lanes.closing {
            drop(lanes);
            return work.finish(Err(Error::Unavailable(
                "too much work waits for the writer".into(),
            )));
        }
        lanes.of(lane).push_back(work);
        // Waking costs more than all the rest, so nobody is woken who is at work or does not serve this lane.
        let serves = Serves::EVERY.into_iter();
        let able = serves.filter(|one| one.lanes().contains(&lane));
        let idle = able.map(|one| one as usize).find(|at| lanes.idle[*at] > 0);
        if let Some(at) = idle {
            lanes.idle[at] -= 1;
            lanes.called[at] += 1;
        }
        drop(lanes);
        if let Some(at) = idle {
            self.wakes[at].notify_one();
        }
    }

    /// Lets what waits be finished, and takes nothing more.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        for wake in &self.wakes {
            wake.notify_all();
        }
    }

    /// Waits for work: all that waits in the most urgent lane, `group_max` at most, or one bulk chunk where nobody waits
    /// or this is turn [`RUN_MAX`] since the last. `run` counts those turns. `None` when closed and drained.
    pub(crate) fn next(
        &self,
        serves: Serves,
        run: &mut u32,
        group_max: usize,
    ) -> Option<(Lane, Group)> {
        let mut lanes = self.lock();
        loop {
            let mut waiting = serves
                .lanes()
                .iter()
                .copied()
                .filter(|lane| !lanes.of(*lane).is_empty());
            let urgent = waiting.next();
            let is_bulk_due = *run >= RUN_MAX && waiting.any(|lane| lane == Lane::Bulk);
            if let Some(urgent) = urgent {
                let lane = if is_bulk_due { Lane::Bulk } else { urgent };
                let (turns, count_max) = match lane {
                    Lane::Bulk => (0, 1),
                    Lane::Interactive | Lane::Beside => (run.saturating_add(1), group_max),
                };
                *run = turns;
                let queue = lanes.of(lane);
                let count = queue.len().min(count_max);
                return Some((lane, queue.drain(..count).collect()));
            }
            if lanes.closing {
                return None;
            }
            let at = serves as usize;
            lanes.idle[at] += 1;
            lanes = self.wakes[at]
                .wait(lanes)
                .unwrap_or_else(PoisonError::into_inner);
            // Whoever wakes uncalled may be another than who was called: either way one fewer waits.
            let waited = if lanes.called[at] > 0 {
                &mut lanes.called
            } else {
                &mut lanes.idle
            };
            waited[at] -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        // A panicking thread cannot leave the lanes half-changed: each lock does one push or pop.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of one try to run a group.
pub(crate) enum Attempt {
    /// All of it is durable.
    Committed,
    /// Nothing was committed because of the piece at this place, which is to be told this.
    Apart(usize, Result<(), Error>),
    /// Nothing is known to be committed, because of this.
    Failed(Error),
}

/// Answers everybody in a group.
pub(crate) fn finish_all(group: Group, outcome: &Result<(), Error>) {
    for work in group {
        work.finish(match outcome {
            Ok(()) => Ok(()),
            Err(error) => Err(error.again()),
        });
    }
}

/// A piece of work that panicked is told so, and takes nobody with it.
pub(crate) fn panicked(work: &dyn Work) -> Error {
    Error::Refused {
        statement: work.name().to_owned(),
        message: "the work panicked; its writes were undone".to_owned(),
    }
}
