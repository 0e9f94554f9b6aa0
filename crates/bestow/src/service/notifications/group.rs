//! Taking many notifications in with one commit.
//!
//! Whoever comes while the writer is busy waits, together with all others who come meanwhile: it takes them all the
//! moment it is free.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bestow_store::inbox::NewNotification;
use bestow_store::{Error as StoreError, Store};
use tokio::sync::oneshot;

/// Notifications of one commit, at most.
const GROUP_MAX: usize = 1_024;
/// Notifications that may wait, at most. Beyond it senders are asked to come again.
const WAITING_MAX: usize = 16_384;

/// A notification and whoever waits for it to be durable.
type Arrival = (NewNotification, oneshot::Sender<Result<(), StoreError>>);

/// Those who wait.
#[derive(Debug, Default)]
pub struct Arrivals(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    queue: Vec<Arrival>,
    /// The writer has been asked to take what is here.
    is_called: bool,
}

impl Arrivals {
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
        let gone = || StoreError::Unavailable("the inbox is closing".into());
        durable.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Calls the writer until nobody waits who was not taken.
    async fn call(self: Arc<Self>, store: Store) {
        let mut waiting = Uncalled(Some(Arc::clone(&self)));
        loop {
            let group = Arc::new(Mutex::new(Group::default()));
            let (taken, arrivals) = (Arc::clone(&group), Arc::clone(&self));
            let written = store
                .tx("accept_notification", move |tx| {
                    // Taken at the last moment, once: a second run of the transaction finds the same group.
                    let mut group = taken.lock().unwrap_or_else(PoisonError::into_inner);
                    if group.arrivals.is_empty() {
                        *group = arrivals.take();
                    }
                    let all = group.arrivals.iter().map(|(new, _)| new);
                    tx.accept_notifications(all).map(|_| ())
                })
                .await;
            let mut group =
                std::mem::take(&mut *group.lock().unwrap_or_else(PoisonError::into_inner));
            if group.arrivals.is_empty() {
                // The transaction was never begun: those who wait are told so.
                group = self.take();
            }
            let is_last = group.is_last;
            if is_last {
                waiting.0 = None;
            }
            answer(&store, group.arrivals, written).await;
            if is_last {
                return;
            }
        }
    }

    fn take(&self) -> Group {
        let (mut arrivals, is_last) = {
            let mut waiting = self.lock();
            // The rest keeps its turn. Mostly there is none, and all that happens under the lock is an exchange.
            let rest = waiting.queue.len().min(GROUP_MAX);
            let rest = waiting.queue.split_off(rest);
            let arrivals = std::mem::replace(&mut waiting.queue, rest);
            waiting.is_called = !waiting.queue.is_empty();
            (arrivals, !waiting.is_called)
        };
        // In the order of their keys the database only ever adds at the end.
        arrivals.sort_unstable_by(|(one, _), (other, _)| one.id.cmp(&other.id));
        Group { arrivals, is_last }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those that one transaction takes.
#[derive(Default)]
struct Group {
    arrivals: Vec<Arrival>,
    /// Nobody was left waiting: whoever comes next calls the writer.
    is_last: bool,
}

/// Lets somebody else call the writer where a caller ends before its time, with its runtime.
struct Uncalled(Option<Arc<Arrivals>>);

impl Drop for Uncalled {
    fn drop(&mut self) {
        if let Some(arrivals) = &self.0 {
            arrivals.lock().is_called = false;
        }
    }
}

/// Answers those who wait. Where the commit failed each is tried by itself, so that one cannot fail the others.
async fn answer(store: &Store, group: Vec<Arrival>, written: Result<(), StoreError>) {
    for (new, sender) in group {
        let written = if written.is_ok() {
            Ok(())
        } else {
            let alone = store.tx("accept_notification", move |tx| {
                tx.accept_notification(&new).map(|_| ())
            });
            alone.await
        };
        // A sender that hung up is no loss: what it sent is durable.
        drop(sender.send(written));
    }
}
