//! Noticing what other processes changed in the same database, such as a tenant that was added on the command line, and
//! telling them what changed here.
//!
//! Others say so when they can. Whether they did is not relied on: the database is asked, and what is kept at hand is
//! not used once it was too long ago that it answered.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::bell::{self, Word};
use crate::clock::steady_ms;
use crate::error::Result;
use crate::work::run::release_of_the_gone;

/// How often the database is asked whether anything was committed.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Looks between two readings of the directory, which reads all tenants, listeners and tokens.
const LOOKS_PER_REFRESH: u32 = 3;
/// Looks between two questions for the database's time and for processes that are gone.
const LOOKS_PER_QUESTION: u32 = 5;
/// What is kept at hand is used for so long after the database was last asked, in milliseconds of the steady clock.
const FRESH_MS_MAX: i64 = 1_000;
/// Between two things told to others: what comes meanwhile is told together.
const TELL_PAUSE: Duration = Duration::from_millis(10);
/// Nobody watches, so nobody promised anything.
const UNWATCHED: i64 = i64::MAX;

/// What is known of the changes of others.
#[derive(Debug)]
pub struct Watch {
    seen: Mutex<Seen>,
    /// Milliseconds of the steady clock: what is kept at hand was right then; [`UNWATCHED`] while nobody looks.
    right_at: AtomicI64,
    /// Rung when another process says that the directory has changed.
    called: Notify,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            seen: Mutex::default(),
            right_at: AtomicI64::new(UNWATCHED),
            called: Notify::new(),
        }
    }
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Seen {
    mark: Option<i64>,
    /// Something was committed since the directory was read.
    is_stale: bool,
    /// Looks since the directory was read.
    looks: u32,
}

/// When a change makes the directory be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Once it is its turn.
    InTurn,
    /// At once.
    Now,
}

impl Watch {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Whole between any two statements.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// Keeps what is kept at hand no older than a second, and tells others what changed here, until told to stop.
    ///
    /// The database says that something was committed, not what, so a commit of our own counts like
    /// any other.
    pub async fn watch_changes(self: Arc<Self>, stop: CancellationToken) {
        let ours = Arc::downgrade(&self);
        self.store.hear(move |text| {
            if let Some(app) = ours.upgrade() {
                app.heard(text);
            }
        });
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.look_often() => {}
            () = self.tell_others() => {}
        }
        self.watch.right_at.store(UNWATCHED, Ordering::SeqCst);
    }

    /// Makes sure that what is kept at hand was right within the last second. It was not where this process stood still,
    /// or where the database did not answer.
    ///
    /// # Errors
    /// The store's: what is at hand must not be used then.
    pub fn ensure_fresh(&self) -> Result<()> {
        let right_at = self.watch.right_at.load(Ordering::Relaxed);
        if right_at == UNWATCHED || steady_ms() - right_at <= FRESH_MS_MAX {
            return Ok(());
        }
        self.look(Reading::Now)
    }

    async fn look_often(&self) {
        let (mut looks, mut is_failing) = (0_u32, false);
        loop {
            let reading = tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => Reading::InTurn,
                () = self.watch.called.notified() => Reading::Now,
            };
            looks = looks.wrapping_add(1);
            let looked = self.look(reading);
            let asked = if looks.is_multiple_of(LOOKS_PER_QUESTION) {
                self.ask_the_server().await
            } else {
                Ok(())
            };
            match looked.and(asked) {
                Ok(()) => is_failing = false,
                Err(error) if !is_failing => {
                    tracing::error!(error.message = %error, "changes of others cannot be seen");
                    is_failing = true;
                }
                Err(_) => {}
            }
        }
    }

    /// What time it is, and whose jobs nobody does any more.
    async fn ask_the_server(&self) -> Result<()> {
        self.clock.follow(|| self.store.server_now_ms())?;
        release_of_the_gone(self).await?;
        Ok(())
    }

    fn look(&self, reading: Reading) -> Result<()> {
        let mut seen = self.watch.seen();
        let asked_at = steady_ms();
        let mark = self.store.change_mark()?;
        if seen.mark.replace(mark) != Some(mark) {
            self.facts.forget_changeable();
            seen.is_stale = true;
        }
        seen.looks += 1;
        if seen.is_stale && (seen.looks >= LOOKS_PER_REFRESH || reading == Reading::Now) {
            self.directory.refresh(&self.store)?;
            (seen.is_stale, seen.looks) = (false, 0);
            self.work.ring_here();
            self.arrived.ring_here();
        }
        if !seen.is_stale {
            self.watch.right_at.store(asked_at, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Another process, or this one, said something. On the store's own thread: nothing is asked here.
    fn heard(&self, text: &str) {
        for word in bell::words(text) {
            match word {
                Word::Work => self.work.ring_here(),
                Word::Arrived => self.arrived.ring_here(),
                Word::Facts => self.facts.forget_changeable(),
                Word::Directory => self.watch.called.notify_one(),
            }
        }
    }

    async fn tell_others(&self) {
        if !self.store.is_shared() {
            return std::future::pending().await;
        }
        loop {
            let text = self.crier.next().await;
            if let Err(error) = self.store.cry(&text) {
                tracing::debug!(error.message = %error, "other processes could not be told");
            }
            tokio::time::sleep(TELL_PAUSE).await;
        }
    }
}
