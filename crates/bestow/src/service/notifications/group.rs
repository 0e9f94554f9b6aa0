//! Taking many notifications in with one commit.
//!
//! Whoever comes while the writer is busy waits, together with all others who come meanwhile: it takes them all the
//! moment it is free, and is called again by the next who comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bestow_store::inbox::NewNotification;
use bestow_store::{Error as StoreError, Store};
use tokio::sync::oneshot;

use crate::bell::Bell;

/// Notifications of one commit, at most.
const GROUP_MAX: usize = 1_024;
/// Notifications that may wait, at most. Beyond it senders are asked to come again.
const WAITING_MAX: usize = 16_384;

/// A notification and whoever waits for it to be durable.
type Arrival = (NewNotification, oneshot::Sender<Written>);

/// What became of a notification. It goes back to where it was made: memory is freed cheapest there.
type Written = (Result<(), StoreError>, NewNotification);

/// Those who wait.
#[derive(Debug)]
pub struct Arrivals {
    waiting: Mutex<Waiting>,
    /// Rung when some are durable.
    arrived: Arc<Bell>,
}

#[derive(Debug, Default)]
struct Waiting {
    queue: Vec<Arrival>,
    /// The writer has been asked to take what is here.
    is_called: bool,
}

impl Arrivals {
    pub(crate) fn new(arrived: Arc<Bell>) -> Self {
        Self {
            waiting: Mutex::default(),
            arrived,
        }
    }

    /// Takes one in; it is durable when this returns.
    ///
    /// # Errors
    /// The store's; [`StoreError::Unavailable`] where too many wait.
    pub(super) async fn accept(
        self: &Arc<Self>,
        store: &Store,
        new: NewNotification,
    ) -> Result<(), StoreError> {
        let (sender, durable) = oneshot::channel();
        let is_called = {
            let mut waiting = self.lock();
            if waiting.queue.len() >= WAITING_MAX {
                return Err(StoreError::Unavailable(
                    "too many notifications wait".into(),
                ));
            }
            waiting.queue.push((new, sender));
            std::mem::replace(&mut waiting.is_called, true)
        };
        if !is_called {
            // A task of its own: a sender that hangs up must not take the others' answers with it.
            tokio::spawn(Arc::clone(self).call(store.clone()));
        }
        let gone = |_| StoreError::Unavailable("the inbox is closing".into());
        let (written, _) = durable.await.map_err(gone)?;
        written
    }

    /// Has the writer take those who wait, and answers them; again where it could not take all.
    async fn call(self: Arc<Self>, store: Store) {
        loop {
            let mut called = Called(Some(&self));
            let group = Arc::new(Mutex::new(Vec::new()));
            let (taken, arrivals) = (Arc::clone(&group), Arc::clone(&self));
            let written = store.beside("accept_notification", move |tx| {
                // Taken at the last moment, once: a second run of the transaction finds the same group.
                let mut group = taken.lock().unwrap_or_else(PoisonError::into_inner);
                if group.is_empty() {
                    *group = arrivals.take();
                }
                let all = group.iter().map(|(new, _)| new);
                tx.accept_notifications(all).map(|_| ())
            });
            let written = written.await;
            called.0 = None;
            let group = std::mem::take(&mut *group.lock().unwrap_or_else(PoisonError::into_inner));
            let group = match written {
                // The transaction was never begun: those who wait are told so.
                Err(_) if group.is_empty() => self.take(),
                _ => group,
            };
            self.arrived.notify_one();
            answer(&store, group, written).await;
            if !self.is_to_be_called() {
                return;
            }
        }
    }

    /// Whether somebody waits for whom nobody called the writer; then the asker does.
    fn is_to_be_called(&self) -> bool {
        let mut waiting = self.lock();
        let is_left = !waiting.is_called && !waiting.queue.is_empty();
        waiting.is_called |= is_left;
        is_left
    }

    /// Takes those who wait, all of them or as many as one transaction takes.
    fn take(&self) -> Vec<Arrival> {
        let mut group = {
            let mut waiting = self.lock();
            let rest = waiting.queue.len().min(GROUP_MAX);
            let rest = waiting.queue.split_off(rest);
            waiting.is_called = false;
            std::mem::replace(&mut waiting.queue, rest)
        };
        // In the order of their keys the database only ever adds at the end.
        group.sort_unstable_by(|(one, _), (other, _)| one.id.cmp(&other.id));
        group
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets somebody else call the writer where a caller ends before its time, with its runtime.
struct Called<'a>(Option<&'a Arrivals>);

impl Drop for Called<'_> {
    fn drop(&mut self) {
        if let Some(arrivals) = self.0 {
            arrivals.lock().is_called = false;
        }
    }
}

/// Answers those who wait. Where the commit failed each is tried by itself, so that one cannot fail the others.
async fn answer(store: &Store, group: Vec<Arrival>, written: Result<(), StoreError>) {
    for (new, sender) in group {
        // A sender that hung up is no loss: what it sent is durable.
        drop(sender.send(match &written {
            Ok(()) => (Ok(()), new),
            Err(_) => alone(store, new).await,
        }));
    }
}

async fn alone(store: &Store, new: NewNotification) -> Written {
    let this = new.clone();
    let written = store.tx("accept_notification", move |tx| {
        tx.accept_notification(&this).map(|_| ())
    });
    (written.await, new)
}
