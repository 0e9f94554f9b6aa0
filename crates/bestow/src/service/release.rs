//! Releasing: pairs held for a code that was unknown are granted once the catalogue knows it.
//!
//! The rows are still there as they landed, so a release walks them again. It may be cut off anywhere and run again:
//! a pair leaves the held ones in the transaction that grants it.

use std::collections::{BTreeSet, HashSet};

use bestow_core::{CampaignKind, HoldReason, PromotionStatus};
use bestow_store::campaigns::{Campaign, HeldOffer};
use bestow_store::jobs::Job;
use bestow_store::merge::{MergeChunk, NewGrant};
use bestow_store::runs::{Group, GroupEntry, Runs};
use bestow_store::{Error as StoreError, Tx};
use tokio::sync::mpsc;

use crate::app::App;
use crate::error::{Error, Result};
use crate::ingest::mark;
use crate::service::import::Work;
use crate::service::merge::CampaignFacts;
use crate::work::kind;
use crate::work::run::Ended;

/// Chunks planned ahead of the writer.
const AHEAD_MAX: usize = 2;

/// Hands a campaign whose held pairs may be grantable to its import, which does one thing at a time.
///
/// # Errors
/// The store's.
pub async fn run(app: &App, job: &Job) -> Result<Ended> {
    let job = job.clone();
    app.tx("want_release", move |tx| {
        let now = tx.now_ms();
        let campaign = job.key.parse().unwrap_or_default();
        // The pairs of a triggered campaign are not in landed rows.
        let next = if tx.is_triggered(job.tenant, campaign)? {
            kind::TRIGGERS
        } else {
            kind::IMPORT
        };
        tx.want_job(job.tenant, next, &job.key, now)
    })
    .await?;
    app.work.notify_one();
    Ok(Ended::Done)
}

/// Grants of some customers, and how many further pairs of each were held beside it.
#[derive(Default)]
struct Released {
    chunk: MergeChunk,
    repeats: Vec<u32>,
}

/// Grants the held pairs of a campaign whose codes are known by now.
pub(crate) async fn grant_held(work: &Work<'_>, campaign: &Campaign) -> Result<()> {
    let tenant = work.job.tenant;
    let offers = work
        .app
        .store
        .peek(|tx| releasable(tx, tenant, campaign.no))?;
    if campaign.kind == CampaignKind::Conditional.as_str() {
        // Its customers were denied, and Optimove was told so: another round may decide otherwise.
        let offers = offers.iter().map(|offer| offer.no).collect();
        return let_grant(work, offers).await;
    }
    let reasons: BTreeSet<&str> = offers
        .iter()
        .map(|offer| offer.hold_reason.as_str())
        .collect();
    for reason in reasons {
        let of_reason = offers.iter().filter(|offer| offer.hold_reason == reason);
        grant_offers(
            work,
            campaign,
            of_reason.map(|offer| offer.no).collect(),
            reason,
        )
        .await?;
    }
    Ok(())
}

/// Offers that hold their pairs although their promotion may be granted by now.
///
/// # Errors
/// The store's.
pub(crate) fn releasable(
    tx: &mut Tx<'_>,
    tenant: i64,
    campaign: i64,
) -> std::result::Result<Vec<HeldOffer>, StoreError> {
    let held = tx.held_offers(tenant, campaign)?;
    Ok(held
        .into_iter()
        .filter(|offer| hold_reason(Some(&offer.promotion_status)).is_none())
        .collect())
}

/// Why pairs of a code are held, from the status of its promotion (`None`: the catalogue does not know the code).
pub(crate) fn hold_reason(promotion_status: Option<&str>) -> Option<HoldReason> {
    let Some(status) = promotion_status else {
        return Some(HoldReason::UnknownCode);
    };
    match PromotionStatus::parse(status) {
        Ok(status) => status.grantable().err(),
        Err(_) => Some(HoldReason::InactivePromotion),
    }
}

async fn grant_offers(
    work: &Work<'_>,
    campaign: &Campaign,
    offers: HashSet<u32>,
    reason: &str,
) -> Result<()> {
    let (mut chunks, planner) = start_planner(work, campaign, offers.clone());
    let counter = format!("held:{reason}");
    while let Some(released) = chunks.recv().await {
        if work.stop.is_cancelled() {
            return Ok(());
        }
        let (job, no, lease_ms) = (work.job.clone(), campaign.no, work.lease_ms());
        let counter = counter.clone();
        work.app
            .bulk("release_chunk", move |tx| {
                let Released { chunk, repeats } = &released;
                tx.release_chunk(&job, no, chunk, repeats, &counter, lease_ms)
            })
            .await?;
    }
    planner
        .await
        .map_err(|e| Error::Store(StoreError::Unavailable(format!("the planner: {e}"))))??;
    let_grant(work, offers).await
}

/// From now on these offers grant.
async fn let_grant(work: &Work<'_>, offers: HashSet<u32>) -> Result<()> {
    let job = work.job.clone();
    work.app
        .tx("end_release", move |tx| {
            tx.check_lease(&job)?;
            offers
                .iter()
                .try_for_each(|offer| tx.let_offer_grant(job.tenant, *offer))
        })
        .await
}

type Planning = tokio::task::JoinHandle<std::result::Result<(), StoreError>>;

fn start_planner(
    work: &Work<'_>,
    campaign: &Campaign,
    offers: HashSet<u32>,
) -> (mpsc::Receiver<Released>, Planning) {
    let (sender, receiver) = mpsc::channel(AHEAD_MAX);
    let store = work.app.store.clone();
    let (tenant, no, through) = (work.job.tenant, campaign.no, campaign.merged_through);
    let chunk_max = work.app.config.work.merge_grants_max;
    let planning = tokio::task::spawn_blocking(move || {
        let facts = CampaignFacts::read(&store, tenant, no)?;
        let mut runs = Runs::open(&store, tenant, no, through, None)?;
        let (mut group, mut released) = (Group::default(), Released::default());
        while runs.next_group(&mut group)? {
            take(&facts, &offers, &group, &mut released)?;
            if released.repeats.len() >= chunk_max
                && sender.blocking_send(std::mem::take(&mut released)).is_err()
            {
                return Ok(());
            }
        }
        // Nobody listening means that the release was given up; it starts over next time.
        let _ = sender.blocking_send(released);
        Ok(())
    });
    (receiver, planning)
}

/// Plans the grants of one group. Where ids differ by letter case only, the one that holds a grant or came first is
/// the customer; pairs of the others stay held.
fn take(
    facts: &CampaignFacts,
    offers: &HashSet<u32>,
    group: &Group,
    released: &mut Released,
) -> std::result::Result<(), StoreError> {
    let owner = owner(facts, offers, group)?;
    let same = |a: &GroupEntry, b: &GroupEntry| {
        group.customer(a) == group.customer(b) && (a.offer, a.mark) == (b.offer, b.mark)
    };
    for entries in group.entries.chunk_by(same) {
        let first = &entries[0];
        if first.mark != mark::GRANT || !offers.contains(&first.offer) {
            continue;
        }
        if owner != Some(group.customer(first)) {
            continue;
        }
        let start = released.chunk.text.len() as u32;
        released.chunk.text.push_str(group.customer(first));
        let end = released.chunk.text.len() as u32;
        let window = facts.union(entries, &mut released.chunk.new_windows);
        let Some(counted) = facts.counted_first(entries).checked_sub(1) else {
            continue;
        };
        released.repeats.push(counted);
        let grant = NewGrant {
            start,
            end,
            offer: first.offer,
            window,
            page: first.page,
        };
        released.chunk.grants.push(grant);
    }
    Ok(())
}

/// Whose pairs of a group are released.
fn owner<'g>(
    facts: &CampaignFacts,
    offers: &HashSet<u32>,
    group: &'g Group,
) -> std::result::Result<Option<&'g str>, StoreError> {
    let is_released =
        |entry: &&GroupEntry| entry.mark == mark::GRANT && offers.contains(&entry.offer);
    let first = group
        .entries
        .iter()
        .filter(is_released)
        .min_by_key(|entry| (entry.page, entry.row))
        .map(|entry| group.customer(entry));
    let customers: BTreeSet<&str> = group
        .entries
        .iter()
        .map(|entry| group.customer(entry))
        .collect();
    if first.is_none() || customers.len() == 1 {
        return Ok(first);
    }
    for customer in customers {
        if !facts.held_by(customer)?.is_empty() {
            return Ok(Some(customer));
        }
    }
    Ok(first)
}
