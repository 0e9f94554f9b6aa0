//! The one writer: a thread that owns the writing connection.
//!
//! Whatever waits when it is free is run in one transaction with one sync to disk, so a hundred waiting callers pay
//! for one. Interactive work and bulk work (pages of an import) take turns, a bulk chunk being one small transaction,
//! so that nobody who waits for an answer waits for more than one chunk, and an import cannot be starved.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::clock::Clock;
use crate::error::classify;
use crate::queue::{Attempt, Group, Lane, Queue, Serves, Undo, Work, finish_all, panicked};
use crate::readers::Readers;
use crate::testing_hooks::{Fault, Hooks};
use crate::{Error, Tx};

/// Interactive pieces of work that share one commit, at most.
const GROUP_MAX: usize = 1_024;
/// Times a busy database is asked again before the callers are told.
const BUSY_TRIES_MAX: u32 = 10;

/// Handle to the writer thread. Dropping it lets the thread finish what waits, then joins it.
pub(crate) struct Writer {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(
        connection: Connection,
        clock: Clock,
        hooks: Arc<Hooks>,
        readers: Arc<Readers>,
    ) -> Result<Self, Error> {
        let queue = Arc::new(Queue::default());
        let theirs = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                Loop {
                    queue: theirs,
                    connection,
                    clock,
                    hooks,
                    readers,
                }
                .run();
            })
            .map_err(|e| Error::Unavailable(format!("the writer thread: {e}")))?;
        Ok(Self {
            queue,
            thread: Some(thread),
        })
    }

    /// Queues a piece of work; refuses it when too much waits already or the store is closing.
    pub(crate) fn submit(&self, lane: Lane, work: Box<dyn Work>) {
        self.queue.submit(lane, work);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer thread panicked");
        }
    }
}

struct Loop {
    queue: Arc<Queue>,
    connection: Connection,
    clock: Clock,
    hooks: Arc<Hooks>,
    readers: Arc<Readers>,
}

impl Loop {
    fn run(self) {
        let mut run = 0;
        while let Some((_, group)) = self.queue.next(Serves::All, &mut run, GROUP_MAX) {
            self.commit_group(group);
        }
    }

    /// Runs the group in one transaction. If one of them wants its writes undone, the whole is rolled back, that one
    /// is answered, and the rest run again: refusals decide before they write, so this is rare.
    fn commit_group(&self, mut group: Group) {
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
            let mut tx = Tx::sqlite(&self.connection, self.clock.now_ms());
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
                Err(_) => Err(panicked(&**work)),
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
