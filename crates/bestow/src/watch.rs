//! Noticing what other processes changed in the same database, such as a tenant that was added on
//! the command line.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::Result;

/// How often the database is asked whether anything was committed.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Looks between two readings of the directory, which reads all tenants, listeners and tokens.
const LOOKS_PER_REFRESH: u32 = 3;

/// What was seen so far.
#[derive(Debug, Default)]
struct Seen {
    mark: Option<i64>,
    /// Something was committed since the directory was read.
    is_stale: bool,
    /// Looks since the directory was read.
    looks: u32,
}

impl App {
    /// Keeps what is kept at hand no older than a second, until told to stop.
    ///
    /// The database says that something was committed, not what, so a commit of our own counts like
    /// any other.
    pub async fn watch_changes(self: Arc<Self>, stop: CancellationToken) {
        let (mut seen, mut is_failing) = (Seen::default(), false);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            match self.look(&mut seen) {
                Ok(()) => is_failing = false,
                Err(error) if !is_failing => {
                    tracing::error!(error.message = %error, "changes of others cannot be seen");
                    is_failing = true;
                }
                Err(_) => {}
            }
        }
    }

    fn look(&self, seen: &mut Seen) -> Result<()> {
        let mark = self.store.change_mark()?;
        if seen.mark.replace(mark) != Some(mark) {
            self.facts.forget_changeable();
            seen.is_stale = true;
        }
        seen.looks += 1;
        if seen.is_stale && seen.looks >= LOOKS_PER_REFRESH {
            self.directory.refresh(&self.store)?;
            (seen.is_stale, seen.looks) = (false, 0);
            self.work.notify_one();
            self.arrived.notify_one();
        }
        Ok(())
    }
}
