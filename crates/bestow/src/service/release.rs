//! Releasing: pairs held for a code that was unknown are granted once the catalogue knows it; pairs that wait for a
//! unique code, once there is one.
//!
//! What waits for a unique code is kept pair by pair. For the others the rows are still there as they landed, so a
//! release walks them again. It may be cut off anywhere and run again:
//! a pair leaves the held ones in the transaction that grants it.

use std::collections::{BTreeSet, HashSet};

use bestow_core::{CampaignKind, HoldReason, PromotionStatus};
use bestow_store::campaigns::{Campaign, HeldOffer};
use bestow_store::jobs::Job;
use bestow_store::merge::{MergeChunk, NewGrant};
use bestow_store::runs::{Group, GroupEntry, Runs};
use bestow_store::{Error as StoreError, Tx};
use tokio::sync::mpsc;

use crate::actor::WORKER;
use crate::app::App;
use crate::error::{Error, Result};
use crate::ingest::mark;
use crate::service::audit::Object;
use crate::service::codes;
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

/// Wants a look at every campaign with pairs of a code (folded) that are held for its sake.
///
/// # Errors
/// The store's.
pub(crate) fn want_for_code(
    tx: &mut Tx<'_>,
    tenant: i64,
    code_fold: &str,
    run_at: i64,
) -> std::result::Result<(), StoreError> {
    let mut campaigns = BTreeSet::from_iter(tx.campaigns_holding(tenant, code_fold)?);
    campaigns.extend(tx.campaigns_waiting(tenant, code_fold)?);
    campaigns
        .into_iter()
        .try_for_each(|campaign| tx.want_job(tenant, kind::RELEASE, &campaign.to_string(), run_at))
}

/// Grants the held pairs of a campaign whose codes are known by now, after those that wait for a unique code.
pub(crate) async fn grant_held(work: &Work<'_>, campaign: &Campaign) -> Result<()> {
    let tenant = work.job.tenant;
    grant_waiting(work, campaign).await?;
    let offers = work
        .app
        .store
        .peek(|tx| releasable(tx, tenant, campaign.no))?;
    if campaign.is(CampaignKind::Conditional) {
        // Its customers were denied, and Optimove was told so: another round may decide otherwise.
        let offers = offers.iter().map(|offer| offer.no).collect();
        return let_grant(work, offers).await;
    }
    let all = offers.iter().map(|offer| offer.no).collect();
    if !work.may_release(campaign, &all).await? {
        return Ok(());
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

/// Grants pairs that wait for a unique code, as far as the codes go.
async fn grant_waiting(work: &Work<'_>, campaign: &Campaign) -> Result<()> {
    let (tenant, no) = (work.job.tenant, campaign.no);
    let offers = work
        .app
        .store
        .peek(|tx| waiting_with_codes(tx, tenant, no))?;
    let limit = u32::try_from(work.app.config.work.merge_grants_max).unwrap_or(u32::MAX);
    for offer in offers {
        let mut settled = limit;
        while settled == limit && !work.stop.is_cancelled() {
            let (job, lease_ms) = (work.job.clone(), work.lease_ms());
            let (granted, low) = work
                .app
                .bulk("grant_waiting", move |tx| {
                    let is_stopped = tx.stop_of(tenant, no)?.is_some();
                    if is_stopped || !waiting_with_codes(tx, tenant, no)?.contains(&offer) {
                        return Ok((0, Vec::new()));
                    }
                    let granted = tx.grant_waiting(&job, no, offer, limit, lease_ms)?;
                    audit_granted(tx, tenant, no, offer, granted)?;
                    Ok((granted, codes::note_low(tx, tenant)?))
                })
                .await?;
            codes::tell_low(work.app, low);
            settled = granted;
        }
    }
    Ok(())
}

fn audit_granted(
    tx: &mut Tx<'_>,
    tenant: i64,
    campaign: i64,
    offer: u32,
    granted: u32,
) -> std::result::Result<(), StoreError> {
    if granted == 0 {
        return Ok(());
    }
    let detail = serde_json::json!({ "customers": granted });
    let object = Object::Offer {
        campaign_no: campaign,
        offer,
    };
    object.record(tx, tenant, WORKER, "codes.given_to_waiting", &detail)
}

/// Offers with pairs that wait for a unique code although there is one by now, or none is needed any more.
///
/// # Errors
/// The store's.
pub(crate) fn waiting_with_codes(
    tx: &mut Tx<'_>,
    tenant: i64,
    campaign: i64,
) -> std::result::Result<Vec<u32>, StoreError> {
    let mut offers = Vec::new();
    for offer in tx.waiting_offers(tenant, campaign)? {
        let Some(facts) = tx.offer_facts(tenant, offer)? else {
            continue;
        };
        let promotion = tx.promotion(tenant, &facts.code_fold)?;
        if hold_reason(promotion.as_ref().map(|known| known.status.as_str())).is_some() {
            continue;
        }
        let supply = tx.supply(tenant, &facts.code_fold)?;
        if supply.is_none_or(|supply| supply.peek().is_some()) {
            offers.push(offer);
        }
    }
    Ok(offers)
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
        let (counter, offers) = (counter.clone(), offers.clone());
        let low = work
            .app
            .bulk("release_chunk", move |tx| {
                let Released { chunk, repeats } = &released;
                let open = releasable(tx, job.tenant, no)?;
                let is_open = |offer: &u32| open.iter().any(|held| held.no == *offer);
                if tx.stop_of(job.tenant, no)?.is_some() || !offers.iter().all(is_open) {
                    return Ok(None);
                }
                tx.release_chunk(&job, no, chunk, repeats, &counter, lease_ms)?;
                codes::note_low(tx, job.tenant).map(Some)
            })
            .await?;
        let Some(low) = low else { return Ok(()) };
        codes::tell_low(work.app, low);
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

/// Plans the grants of one group. Where ids differ by letter case only, the one that holds a grant, waits for a code or
/// came first is the customer; pairs of the others stay held.
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
        // Who waits for a unique code has their place as by a grant.
        if !facts.held_by(customer)?.is_empty() || facts.waits_for_any(customer)? {
            return Ok(Some(customer));
        }
    }
    Ok(first)
}
