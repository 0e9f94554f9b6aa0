//! Waiting on the calling thread for what another thread brings.
//!
//! Transactions are synchronous and reads run where the caller stands, inside a runtime too, which forbids a second
//! one on the same thread. So the thread just sleeps until it is woken.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

struct Sleeper(Thread);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    static WAKER: Waker = Waker::from(Arc::new(Sleeper(std::thread::current())));
}

/// Runs `work` to its end. Only for work that some other thread brings forward.
pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let waker = WAKER.with(Waker::clone);
    let mut context = Context::from_waker(&waker);
    loop {
        match work.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            // A wake that comes before this is remembered, and one too many only costs another look.
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Lets `work` send what it has to send, and does not wait for its answer.
pub(crate) fn send_off<T>(work: impl Future<Output = T>) {
    let mut work = pin!(work);
    // Whether it is answered at once or later: nobody asks.
    let _ = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
}
