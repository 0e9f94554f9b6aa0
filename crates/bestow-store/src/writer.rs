//! The one writer: a thread that owns the writing connection.
//!
//! Whatever waits when it is free is run in one transaction with one sync to disk, so a hundred waiting callers pay
//! for one. Interactive work and bulk work (pages of an import) take turns, a bulk chunk being one small transaction,
//! so that nobody who waits for an answer waits for more than one chunk, and an import cannot be starved.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::clock::Clock;
use crate::error::classify;
use crate::readers::Readers;
use crate::testing_hooks::{Fault, Hooks};
use crate::{Error, Tx};

/// Interactive pieces of work that share one commit, at most.
const GROUP_MAX: usize = 1_024;
/// Work that may wait for the writer, at most. Beyond it callers are told to come back later.
const WAITING_MAX: usize = 65_536;
/// Times a busy database is asked again before the callers are told.
const BUSY_TRIES_MAX: u32 = 10;

/// Which queue a piece of work waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Somebody waits for the answer.
    Interactive,
    /// Chunks of a large job.
    Bulk,
}

/// A piece of work for the writer. It may be run more than once before it is finished once.
pub(crate) trait Work: Send {
    /// The transaction's name, for logs and figures.
    fn name(&self) -> &'static str;
    /// Does the work and keeps its result. `Err` means: undo what I wrote.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Undo>;
    /// Hands the kept result to whoever waits, or the failure of the transaction.
    fn finish(self: Box<Self>, outcome: Result<(), Error>);
}

/// The work answered with an error of its own; its writes must not stay.
pub(crate) struct Undo;

#[derive(Default)]
struct Queues {
    interactive: VecDeque<Box<dyn Work>>,
    bulk: VecDeque<Box<dyn Work>>,
    closing: bool,
}

struct Shared {
    queues: Mutex<Queues>,
    wake: Condvar,
}

/// Handle to the writer thread. Dropping it lets the thread finish what waits, then joins it.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(
        connection: Connection,
        clock: Clock,
        hooks: Arc<Hooks>,
        readers: Arc<Readers>,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            queues: Mutex::new(Queues::default()),
            wake: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                Loop {
                    shared: theirs,
                    connection,
                    clock,
                    hooks,
                    readers,
                }
                .run();
            })
            .map_err(|e| Error::Unavailable(format!("the writer thread: {e}")))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Queues a piece of work; hands it back when too much waits already or the store is closing.
    pub(crate) fn submit(&self, lane: Lane, work: Box<dyn Work>) {
        let refused = {
            let mut queues = lock(&self.shared.queues);
            let full = queues.interactive.len() + queues.bulk.len() >= WAITING_MAX;
            if full || queues.closing {
                Some(work)
            } else {
                match lane {
                    Lane::Interactive => queues.interactive.push_back(work),
                    Lane::Bulk => queues.bulk.push_back(work),
                }
                None
            }
        };
        match refused {
            Some(work) => {
                work.finish(Err(Error::Unavailable(
                    "too much work waits for the writer".into(),
                )));
            }
            None => self.shared.wake.notify_one(),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        lock(&self.shared.queues).closing = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer thread panicked");
        }
    }
}

struct Loop {
    shared: Arc<Shared>,
    connection: Connection,
    clock: Clock,
    hooks: Arc<Hooks>,
    readers: Arc<Readers>,
}

impl Loop {
    fn run(self) {
        let mut last = Lane::Bulk;
        while let Some((lane, group)) = self.next_group(last) {
            self.commit_group(group);
            last = lane;
        }
    }

    /// Waits for work: all the interactive work that waits, or one bulk chunk where interactive work was served last.
    /// `None` when closed and drained.
    fn next_group(&self, last: Lane) -> Option<(Lane, Vec<Box<dyn Work>>)> {
        let mut queues = lock(&self.shared.queues);
        loop {
            let bulk_turn = last == Lane::Interactive || queues.interactive.is_empty();
            if bulk_turn && let Some(chunk) = queues.bulk.pop_front() {
                return Some((Lane::Bulk, vec![chunk]));
            }
            if !queues.interactive.is_empty() {
                let count = queues.interactive.len().min(GROUP_MAX);
                return Some((
                    Lane::Interactive,
                    queues.interactive.drain(..count).collect(),
                ));
            }
            if queues.closing {
                return None;
            }
            queues = self
                .shared
                .wake
                .wait(queues)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Runs the group in one transaction. If one of them wants its writes undone, the whole is rolled back, that one
    /// is answered, and the rest run again: refusals decide before they write, so this is rare.
    fn commit_group(&self, mut group: Vec<Box<dyn Work>>) {
        let mut tries = 0;
        while !group.is_empty() {
            match self.attempt(&mut group) {
                Attempt::Committed => return finish_all(group, &Ok(())),
                Attempt::Apart(place, outcome) => group.remove(place).finish(outcome),
                Attempt::Failed(Error::Unavailable(_)) if tries < BUSY_TRIES_MAX => tries += 1,
                Attempt::Failed(error) => return finish_all(group, &Err(error)),
            }
        }
    }

    fn attempt(&self, group: &mut [Box<dyn Work>]) -> Attempt {
        let name = group.first().map_or("empty", |work| work.name());
        self.readers.let_go();
        if let Err(error) = self.sql("BEGIN IMMEDIATE") {
            return Attempt::Failed(error);
        }
        for (place, work) in group.iter_mut().enumerate() {
            let mut tx = Tx::new(&self.connection, self.clock.now_ms());
            let before = tx.changes();
            // A defect in one piece of work must not take the writer, and so everybody, with it.
            let ran = catch_unwind(AssertUnwindSafe(|| work.run(&mut tx)));
            // A full disk makes the database give up the whole transaction by itself: whatever ran
            // on would commit statement by statement.
            let given_up = self.connection.is_autocommit();
            let apart = match ran {
                Ok(Err(Undo)) if given_up || tx.changes() != before => Ok(()),
                Ok(Ok(())) if given_up => Err(Error::Unavailable(
                    "the database gave up the transaction".into(),
                )),
                Ok(_) => continue,
                Err(_) => Err(Error::Refused {
                    statement: work.name().to_owned(),
                    message: "the work panicked; its writes were undone".to_owned(),
                }),
            };
            self.roll_back();
            return Attempt::Apart(place, apart);
        }
        let fault = self.hooks.before_commit(name);
        if fault == Some(Fault::BeforeCommit) {
            self.roll_back();
            return Attempt::Failed(Error::OutcomeUnknown);
        }
        let committed = self.sql("COMMIT");
        if committed.is_ok() {
            self.readers.changed();
        }
        match committed {
            Ok(()) if fault == Some(Fault::AfterCommit) => Attempt::Failed(Error::OutcomeUnknown),
            Ok(()) => Attempt::Committed,
            Err(error) => {
                self.roll_back();
                Attempt::Failed(error)
            }
        }
    }

    fn sql(&self, sql: &'static str) -> Result<(), Error> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map(|_| ())
            .map_err(|e| classify(sql, &e))
    }

    fn roll_back(&self) {
        // SQLite ends some failed transactions by itself; then there is nothing to roll back.
        if !self.connection.is_autocommit()
            && let Err(error) = self.sql("ROLLBACK")
        {
            tracing::error!(error.message = %error, "a rollback failed");
        }
    }
}

enum Attempt {
    Committed,
    /// Nothing was committed because of the piece at this place, which is to be told this.
    Apart(usize, Result<(), Error>),
    Failed(Error),
}

fn finish_all(group: Vec<Box<dyn Work>>, outcome: &Result<(), Error>) {
    for work in group {
        work.finish(match outcome {
            Ok(()) => Ok(()),
            Err(error) => Err(error.again()),
        });
    }
}

fn lock(queues: &Mutex<Queues>) -> MutexGuard<'_, Queues> {
    // A panicking thread cannot leave the queues half-changed: each lock does one push or pop.
    queues.lock().unwrap_or_else(PoisonError::into_inner)
}
