//! One of several processes that serve from one database.

use std::ops::Deref;

use crate::home::Home;
use crate::process::Process;

/// What nodes are started with: leases last a second.
const SETTINGS: [(&str, &str); 9] = [
    ("BESTOW_LOG", "off"),
    ("BESTOW_WORK__LEASE_SECONDS", "1"),
    ("BESTOW_WORK__POLL_MS", "100"),
    ("BESTOW_WORK__RETRY_MS", "20"),
    ("BESTOW_WORK__RETRY_MAX_SECONDS", "1"),
    ("BESTOW_WORK__EMPTY_ANSWER_WAIT_MS", "1"),
    ("BESTOW_WORK__SWEEP_SECONDS", "1000000"),
    ("BESTOW_WORK__CATALOGUE_SECONDS", "1000000"),
    ("BESTOW_OPTIMOVE__RETRY_MS", "20"),
];

/// One of several.
pub(crate) struct Node(Process);

impl Deref for Node {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.0
    }
}

impl Node {
    /// Starts one with these settings beside, or instead of, those that all have.
    pub(crate) fn start(home: &Home, more: &[(&str, &str)]) -> Self {
        Self(Process::start(home, &[&SETTINGS, more].concat()))
    }

    /// One of its numbers; `None` where it does not answer.
    pub(crate) async fn number(&self, name: &str) -> Option<u64> {
        let mut found = None;
        let told = self.caller.lines("/metrics", |line| {
            let text = std::str::from_utf8(line)?;
            let number = text.strip_prefix(name).map(str::trim);
            found = found.or(number.and_then(|number| number.parse().ok()));
            Ok(())
        });
        told.await.ok()?;
        found
    }

    /// Writes of this process that were refused, since others had its jobs; `None` where it does not answer.
    pub(crate) async fn stale_writes(&self) -> Option<u64> {
        self.number("bestow_stale_writes_refused_total").await
    }

    /// SIGKILL: no handler, no flush, no goodbye.
    pub(crate) fn kill(self) {
        self.0.kill();
    }

    /// SIGTERM, and waits for its end.
    pub(crate) fn end(self) {
        self.0.end();
    }
}
