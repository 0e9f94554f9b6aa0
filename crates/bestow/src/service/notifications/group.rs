//! Taking many notifications in with one commit.
//!
//! Whoever comes while a commit is under way waits for the next one, together with all others who came meanwhile.
//! One task writes for all who wait, and ends when nobody does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bestow_store::inbox::NewNotification;
use bestow_store::{Error as StoreError, Store};
use tokio::sync::oneshot;

/// Notifications of one commit, at most.
const GROUP_MAX: usize = 512;
/// Notifications that may wait, at most. Beyond it senders are asked to come again.
const WAITING_MAX: usize = 16_384;

/// A notification and whoever waits for it to be durable.
type Arrival = (NewNotification, oneshot::Sender<Result<(), StoreError>>);

/// Those who wait.
#[derive(Debug, Default)]
pub struct Arrivals(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    queue: VecDeque<Arrival>,
    /// A task is writing, and will look at the queue again.
    is_served: bool,
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
        let is_served = {
            let mut waiting = self.lock();
            if waiting.queue.len() >= WAITING_MAX {
                return Err(StoreError::Unavailable(
                    "too many notifications wait".into(),
                ));
            }
            waiting.queue.push_back((new, sender));
            std::mem::replace(&mut waiting.is_served, true)
        };
        if !is_served {
            // A task of its own: a sender that hangs up must not take the others' writer with it.
            tokio::spawn(Arc::clone(self).serve(store.clone()));
        }
        let gone = || StoreError::Unavailable("the inbox is closing".into());
        durable.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn serve(self: Arc<Self>, store: Store) {
        let _serving = Serving(&self);
        while let Some(group) = self.next_group() {
            write(&store, group).await;
        }
    }

    /// Those who wait now; `None`, and nobody is served any more, where there are none.
    fn next_group(&self) -> Option<Vec<Arrival>> {
        let mut waiting = self.lock();
        if waiting.queue.is_empty() {
            waiting.is_served = false;
            return None;
        }
        let count = waiting.queue.len().min(GROUP_MAX);
        Some(waiting.queue.drain(..count).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets another task serve where this one ends before its time, with its runtime.
struct Serving<'a>(&'a Arrivals);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.lock().is_served = false;
    }
}

/// Writes a group with one commit. Where that fails each is tried by itself, so that one cannot fail the others.
async fn write(store: &Store, group: Vec<Arrival>) {
    let (news, senders): (Vec<_>, Vec<_>) = group.into_iter().unzip();
    let news = Arc::new(news);
    let all = Arc::clone(&news);
    let written: Result<(), StoreError> = store
        .tx("accept_notification", move |tx| {
            all.iter()
                .try_for_each(|new| tx.accept_notification(new).map(|_| ()))
        })
        .await;
    if written.is_ok() {
        // A sender that hung up is no loss: what it sent is durable.
        for sender in senders {
            drop(sender.send(Ok(())));
        }
        return;
    }
    for (place, sender) in senders.into_iter().enumerate() {
        let news = Arc::clone(&news);
        let alone = store.tx("accept_notification", move |tx| {
            tx.accept_notification(&news[place]).map(|_| ())
        });
        drop(sender.send(alone.await));
    }
}
