//! Batches under way to one destination.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};

use super::sender::{Attempt, Ready, Sender};

/// A try that has come to its end.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) no: u64,
    /// Rests of the destination before it was begun.
    pub(super) rests: u64,
    pub(super) attempt: Attempt,
}

/// One to be begun.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) no: u64,
    pub(super) id: String,
    pub(super) at_second: i64,
    pub(super) rests: u64,
    pub(super) ready: Ready,
}

/// All that are under way. They end with it.
#[derive(Debug, Default)]
pub(super) struct Flights {
    tasks: JoinSet<Landed>,
    numbers: HashSet<u64>,
}

impl Flights {
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    pub(super) fn contains(&self, no: u64) -> bool {
        self.numbers.contains(&no)
    }

    /// Begins a try.
    pub(super) fn begin(&mut self, sender: &Arc<Sender>, departure: Departure) {
        let sender = Arc::clone(sender);
        self.numbers.insert(departure.no);
        self.tasks.spawn(async move {
            let Departure {
                no,
                id,
                at_second,
                rests,
                ready,
            } = departure;
            let attempt = sender.send(&id, at_second, ready).await;
            Landed { no, rests, attempt }
        });
    }

    /// Waits for the next one that ends, and takes all that have ended by then.
    ///
    /// # Errors
    /// Where one ended without saying how.
    pub(super) async fn landed(&mut self) -> Result<Vec<Landed>, JoinError> {
        let mut landed = Vec::new();
        let mut next = self.tasks.join_next().await;
        while let Some(one) = next {
            let one = one?;
            self.numbers.remove(&one.no);
            landed.push(one);
            next = self.tasks.try_join_next();
        }
        Ok(landed)
    }
}
