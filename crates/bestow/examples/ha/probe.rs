//! Asks the service for one customer again and again, and notes for how long it had no answer.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::service::Service;

const PAUSE: Duration = Duration::from_millis(50);

/// Looking until it is ended.
pub(crate) struct Probe {
    stop: CancellationToken,
    looking: JoinHandle<(Duration, u64)>,
}

impl Probe {
    pub(crate) fn start(service: &Service) -> Self {
        let stop = CancellationToken::new();
        let looking = tokio::spawn(look(service.caller(), stop.clone()));
        Self { stop, looking }
    }

    /// The longest time between two good answers, and how many there were.
    pub(crate) async fn end(self) -> anyhow::Result<(Duration, u64)> {
        self.stop.cancel();
        Ok(self.looking.await?)
    }
}

async fn look(caller: bestow::cli::call::Caller, stop: CancellationToken) -> (Duration, u64) {
    let question = json!({"customer_id": "p-1", "promo_code": "FS20"});
    let (mut last, mut longest, mut answered) = (now(), Duration::ZERO, 0);
    while !stop.is_cancelled() {
        let asked = caller
            .json(Method::POST, "/v1/tenants/acme/eligibility", &question)
            .await;
        let gap = last.elapsed();
        longest = longest.max(gap);
        if asked.is_ok_and(|(status, _)| status.is_success()) {
            last = now();
            answered += 1;
        }
        tokio::time::sleep(PAUSE).await;
    }
    (longest, answered)
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long an outage lasts is what is measured"
)]
fn now() -> Instant {
    Instant::now()
}
