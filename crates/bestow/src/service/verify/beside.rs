//! Looking at several things at once.

use std::thread::ScopedJoinHandle;

use bestow_store::Error as StoreError;

/// What came of a thread.
///
/// # Errors
/// [`StoreError::Corrupt`] where it panicked: nothing is known of what it looked at.
pub(super) fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> Result<T, StoreError> {
    let panicked = |_| StoreError::Corrupt("a thread of the verification panicked".into());
    thread.join().map_err(panicked)
}
