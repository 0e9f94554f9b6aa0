//! Notifications come from many senders at once while the primary dies.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::ensure;
use http::Method;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::probe::Probe;
use crate::service::Service;

const SENDERS: usize = 16;
/// Acknowledged before the primary dies, and again after it died.
const EACH: u64 = 2_000;

/// Floods; gives how many were acknowledged, all of which are there once.
pub(crate) async fn run(service: &Service) -> anyhow::Result<usize> {
    // What is sent is about campaigns that nobody knows: it is to be kept, not worked on.
    service.suspend()?;
    let (next, good) = (
        Arc::new(AtomicU64::new(1_000_000)),
        Arc::new(AtomicU64::new(0)),
    );
    let stop = CancellationToken::new();
    let to = service.sender(13)?;
    let senders: Vec<JoinHandle<Vec<String>>> = (0..SENDERS)
        .map(|_| {
            tokio::spawn(send(
                to.clone(),
                Arc::clone(&next),
                Arc::clone(&good),
                stop.clone(),
            ))
        })
        .collect();
    reach(&good, EACH).await;
    let probe = Probe::start(service);
    crate::kill_primary().await?;
    let then = good.load(Ordering::SeqCst);
    reach(&good, then + EACH).await;
    stop.cancel();
    let mut acknowledged = BTreeSet::new();
    for sender in senders {
        acknowledged.extend(sender.await?);
    }
    crate::told("notifications come", probe).await?;
    let mut kept = BTreeSet::new();
    for one in service.rows("/v1/tenants/acme/notifications").await? {
        let campaign = one["campaign_id"].as_str().unwrap_or_default().to_owned();
        let is_new = kept.insert((one["event_type"].to_string(), campaign.clone()));
        ensure!(is_new, "{campaign} is kept twice");
    }
    let kept: BTreeSet<_> = kept.into_iter().map(|(_, campaign)| campaign).collect();
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    ensure!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    crate::make_whole().await?;
    Ok(acknowledged.len())
}

async fn reach(good: &AtomicU64, goal: u64) {
    while good.load(Ordering::SeqCst) < goal {
        tokio::time::sleep(crate::LOOK).await;
    }
}

async fn send(
    (caller, path): (bestow::cli::call::Caller, String),
    next: Arc<AtomicU64>,
    good: Arc<AtomicU64>,
    stop: CancellationToken,
) -> Vec<String> {
    let mut mine = Vec::new();
    while !stop.is_cancelled() {
        let campaign = next.fetch_add(1, Ordering::SeqCst);
        let event = json!({"EventTypeID": 13, "CampaignID": campaign, "ChannelID": 504});
        match caller.json(Method::POST, &path, &event).await {
            Ok((status, _)) if status.is_success() => {
                mine.push(campaign.to_string());
                good.fetch_add(1, Ordering::SeqCst);
            }
            // Not acknowledged: Optimove would send it again later.
            Ok(_) | Err(_) => tokio::time::sleep(crate::LOOK).await,
        }
    }
    mine
}
