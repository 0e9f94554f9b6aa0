//! Copies of what all threads share. A lock and a count of holders cost more than a look-up where several processors
//! write to them, so threads that ask at the same time mostly meet different ones.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many copies there are.
const COPIES: usize = 16;
/// Gives each thread the copy it uses.
static NEXT_COPY: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static COPY: usize = NEXT_COPY.fetch_add(1, Ordering::Relaxed) % COPIES;
}

/// A value for each few threads.
#[derive(Debug, Default)]
pub(crate) struct Near<T>([Apart<T>; COPIES]);

/// Apart from its neighbours in the processor's caches.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

impl<T> Near<T> {
    /// The copy of every thread.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|Apart(copy)| copy)
    }
}

impl<T> Deref for Near<T> {
    type Target = T;

    /// The copy of this thread.
    fn deref(&self) -> &T {
        &self.0[COPY.with(|copy| *copy)].0
    }
}
