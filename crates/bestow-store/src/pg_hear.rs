//! Listening to what other processes say about their commits.
//!
//! Only ever a courtesy: what is said while nobody listens is lost, and whoever listens looks by itself, too.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::Error;
use crate::pg_connect::{Connector, Role};

/// Where it is said.
pub(crate) const CHANNEL: &str = "bestow";
/// Before a lost connection is made again.
const AGAIN: Duration = Duration::from_millis(500);
/// Words that wait for a listener who is busy; what comes on top is lost.
const WAITING_MAX: usize = 64;

/// Listens for as long as the connector's thread is there. `on` is given each word, and an empty one whenever something
/// may have been missed.
pub(crate) fn start(connector: &Connector, on: impl Fn(&str) + Send + Sync + 'static) {
    let ours = connector.clone();
    connector.spawn(async move {
        loop {
            if let Err(error) = listen(&ours, &on).await {
                tracing::debug!(error.message = %error, "nothing can be heard of other processes");
            }
            tokio::time::sleep(AGAIN).await;
        }
    });
}

/// Until the connection ends.
async fn listen(connector: &Connector, on: &impl Fn(&str)) -> Result<(), Error> {
    let (sender, mut words) = mpsc::channel(WAITING_MAX);
    let client = connector.open_to_hear(Role::Reads, Some(sender)).await?;
    let listening = client.batch_execute(&format!("LISTEN {CHANNEL}")).await;
    listening.map_err(|e| Error::Unavailable(format!("listening: {e}")))?;
    on("");
    while let Some(word) = words.recv().await {
        on(&word);
    }
    Ok(())
}
