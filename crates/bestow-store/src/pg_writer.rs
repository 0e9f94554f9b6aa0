//! The connections to PostgreSQL that write, each with a thread of its own.
//!
//! The first takes interactive work and runs all that waits in one transaction, in turn with the first connection of
//! every other process: so whatever such work reads before it writes stays true, as with the one writer of SQLite.
//! The others take chunks of large jobs, each in a transaction of its own beside everything else; the statements of
//! such chunks hold by their keys and by the rows that they lock.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::Clock;
use crate::pg_connect::{Connector, Role};
use crate::pg_error::Failure;
use crate::postgres::{Begin, Session, Uncommitted};
use crate::queue::{Attempt, Group, Lane, Queue, Serves, Undo, Work, finish_all, panicked};
use crate::testing_hooks::{Fault, Hooks};
use crate::{Error, Tx};

/// Interactive pieces of work that share one commit, at most. Each statement is a way to the server and back, and
/// others wait for their turn meanwhile.
const GROUP_MAX: usize = 256;
/// Times a group is run again that met another transaction or lost its connection, before the callers are told.
const TRIES_MAX: u32 = 10;
/// How much longer is waited before each further try to connect.
const CONNECT_PAUSE: Duration = Duration::from_millis(50);

/// Handle to the threads that write. Dropping it lets them finish what waits, then joins them.
pub(crate) struct Writers {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    /// Starts `count` threads; `first` is the connection of the first one, the others open theirs when needed.
    pub(crate) fn start(
        count: u32,
        first: Session,
        connector: &Connector,
        clock: &Clock,
        hooks: &Arc<Hooks>,
    ) -> Result<Self, Error> {
        let queue = Arc::new(Queue::default());
        let mut this = Self {
            queue: Arc::clone(&queue),
            threads: Vec::new(),
        };
        let mut first = Some(first);
        for place in 0..count.max(1) {
            let serves = match place {
                0 if count <= 1 => Serves::All,
                0 => Serves::Turns,
                _ => Serves::NoTurns,
            };
            let mut writer = Writer {
                queue: Arc::clone(&queue),
                serves,
                session: first.take(),
                connector: connector.clone(),
                clock: clock.clone(),
                hooks: Arc::clone(hooks),
            };
            let thread = std::thread::Builder::new()
                .name(format!("store-writer-{place}"))
                .spawn(move || writer.run())
                .map_err(|e| Error::Unavailable(format!("a writer thread: {e}")))?;
            this.threads.push(thread);
        }
        Ok(this)
    }

    /// Queues a piece of work; refuses it when too much waits already or the store is closing.
    pub(crate) fn submit(&self, lane: Lane, work: Box<dyn Work>) {
        self.queue.submit(lane, work);
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!("a writer thread of the store panicked");
            }
        }
    }
}

struct Writer {
    queue: Arc<Queue>,
    serves: Serves,
    /// None until it is needed, and after it was lost.
    session: Option<Session>,
    connector: Connector,
    clock: Clock,
    hooks: Arc<Hooks>,
}

impl Writer {
    fn run(&mut self) {
        let mut run = 0;
        while let Some((lane, group)) = self.queue.next(self.serves, &mut run, GROUP_MAX) {
            self.commit_group(lane, group);
        }
    }

    /// Runs the group in one transaction. If one of them wants its writes undone, the whole is rolled back, that one
    /// is answered, and the rest run again: refusals decide before they write, so this is rare.
    fn commit_group(&mut self, lane: Lane, mut group: Group) {
        let mut tries = 0;
        while !group.is_empty() {
            match self.attempt(lane, &mut group) {
                Attempt::Committed => return finish_all(group, &Ok(())),
                Attempt::Apart(place, outcome) => group.remove(place).finish(outcome),
                Attempt::Failed(Error::Unavailable(_)) if tries < TRIES_MAX => {
                    tries += 1;
                    if self.session.is_none() {
                        std::thread::sleep(CONNECT_PAUSE * tries);
                    }
                }
                Attempt::Failed(error) => return finish_all(group, &Err(error)),
            }
        }
    }

    fn attempt(&mut self, lane: Lane, group: &mut Group) -> Attempt {
        let session = match self.session.take().filter(Session::is_connected) {
            Some(session) => session,
            None => match self.connector.connect(Role::Writes) {
                Ok(session) => session,
                Err(error) => return Attempt::Failed(error),
            },
        };
        session.begin(match lane {
            Lane::Interactive => Begin::InTurn,
            Lane::Beside | Lane::Bulk => Begin::Beside,
        });
        let attempt = self.in_transaction(&session, group);
        session.roll_back();
        if session.is_connected() {
            self.session = Some(session);
        }
        attempt
    }

    /// Runs and commits. Where it does not commit, the caller rolls back.
    fn in_transaction(&self, session: &Session, group: &mut Group) -> Attempt {
        let name = group.first().map_or("empty", |work| work.name());
        // Nobody of the group was answered yet, so its order is free. Who reads ahead goes first: what others write may
        // make what was read untrue.
        group.sort_by_key(|work| work.ahead().is_none());
        let ahead: Vec<_> = group.iter().filter_map(|work| work.ahead()).collect();
        if let Err(error) = session.look_ahead(&ahead) {
            return Attempt::Failed(error);
        }
        for (place, work) in group.iter_mut().enumerate() {
            if let Err(attempt) = self.run_piece(session, place, &mut **work) {
                return attempt;
            }
        }
        let fault = self.hooks.before_commit(name);
        if fault == Some(Fault::BeforeCommit) {
            return Attempt::Failed(Error::OutcomeUnknown);
        }
        match session.commit() {
            Ok(()) if fault == Some(Fault::AfterCommit) => Attempt::Failed(Error::OutcomeUnknown),
            Ok(()) => Attempt::Committed,
            Err(Uncommitted::Surely(error)) => Attempt::Failed(error),
            Err(Uncommitted::Perhaps) => Attempt::Failed(Error::OutcomeUnknown),
        }
    }

    /// Runs one piece of work. `Err` where the transaction must not be committed because of it.
    fn run_piece(
        &self,
        session: &Session,
        place: usize,
        work: &mut dyn Work,
    ) -> Result<(), Attempt> {
        let mut tx = Tx::postgres(session, self.clock.now_ms());
        let before = tx.changes();
        // A defect in one piece of work must not take the writer, and so everybody, with it.
        let ran = catch_unwind(AssertUnwindSafe(|| work.run(&mut tx)));
        let given_up = |why: &str| Error::Unavailable(why.to_owned());
        let apart = match (ran, session.failure()) {
            (Err(_), _) => Err(panicked(work)),
            (Ok(_), Some(Failure::Conflict)) => {
                return Err(Attempt::Failed(given_up(
                    "the transaction met others too often",
                )));
            }
            (Ok(_), Some(Failure::Lost)) => {
                return Err(Attempt::Failed(given_up("the connection was lost")));
            }
            (Ok(Err(Undo)), Some(Failure::Refused)) => Ok(()),
            // It went on although a statement was refused; what it wrote is gone.
            (Ok(Ok(())), Some(Failure::Refused)) => {
                Err(given_up("the database gave up the transaction"))
            }
            (Ok(Err(Undo)), None) if session.changes() != before => Ok(()),
            (Ok(_), None) => return Ok(()),
        };
        Err(Attempt::Apart(place, apart))
    }
}
