//! The threads of a process that serves.
//!
//! Whoever asks something waits for the answer, and behind each answer stands the store's writer; nobody waits for one
//! page of an import. So the threads that answer leave a processor to the writer, and those that do large jobs get what
//! the others leave.

use std::io;
use std::num::NonZero;

use rustix::process::{Pid, setpriority_process};
use tokio::runtime::{Builder, Runtime};

/// How much large jobs give way: where others want the same processor, they get about a tenth of it.
const NICENESS: i32 = 10;
/// Threads that answer, at least: one may be busy with a large answer.
const ANSWERING_MIN: usize = 2;

/// Threads that answer requests.
///
/// # Errors
/// Where the system starts no more threads.
pub fn answering() -> io::Result<Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    Builder::new_multi_thread()
        .thread_name("answer")
        .worker_threads((processors - 1).max(ANSWERING_MIN))
        .enable_all()
        .build()
}

/// Threads that do large jobs.
///
/// # Errors
/// Where the system starts no more threads.
pub fn working() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .thread_name("work")
        .on_thread_start(|| give_way(rustix::thread::gettid()))
        .enable_all()
        .build()
}

/// Lets a thread, and all that it will start, give way to others.
pub(crate) fn give_way(thread: Pid) {
    // A system that does not allow it still does the work.
    if let Err(error) = setpriority_process(Some(thread), NICENESS) {
        tracing::debug!(%error, "a thread cannot give way");
    }
}
