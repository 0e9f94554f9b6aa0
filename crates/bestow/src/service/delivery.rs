//! Delivering: what a destination is to hear becomes batches, and each batch is sent until it is taken or given up.
//!
//! One job delivers to one destination. Batches that share no grant go beside each other; of those that do, the later
//! waits. Everything that has to survive is written down before it matters: a batch before it is sent, and what came of
//! it before the next one about the same grants goes.

pub(crate) mod addresses;
mod announce;
mod flight;
mod http;
mod jetstream;
mod message;
mod runner;
mod sender;
mod stream;

use bestow_store::jobs::Job;
use tokio_util::sync::CancellationToken;

pub(crate) use sender::{Limits, check};

use crate::app::App;
use crate::error::Result;
use crate::work::run::Ended;

/// Delivers to the destination of a job, until nothing can be sent now.
///
/// # Errors
/// The store's; those of settings that the deployment no longer allows.
pub(crate) async fn run(app: &App, job: &Job, stop: &CancellationToken) -> Result<Ended> {
    match runner::Runner::open(app, job)? {
        Some(mut runner) => runner.run(stop).await,
        None => Ok(Ended::Done),
    }
}
