//! Merging: landed rows, walked in the order of customers, become grants in small transactions.
//!
//! One thread walks and plans, the writer writes; a merge cursor says how far the grants have come.

mod plan;

use bestow_store::Error as StoreError;
use bestow_store::campaigns::Campaign;
use bestow_store::merge::MergeChunk;
use bestow_store::runs::{Group, Runs};
use tokio::sync::mpsc;

pub(crate) use plan::{CampaignFacts, Planner};

use crate::error::{Error, Result};
use crate::events::Event;
use crate::service::codes;
use crate::service::import::Work;

/// Chunks planned ahead of the writer.
const AHEAD_MAX: usize = 2;

/// Begins or goes on with the merge of all landed pages, to its end or until told to stop.
pub(crate) async fn run(work: &Work<'_>, campaign: &Campaign, last_page: u32) -> Result<()> {
    let (job, no) = (work.job.clone(), campaign.no);
    let to = campaign.merge_to.unwrap_or(last_page);
    if campaign.merge_to.is_none() {
        let job = job.clone();
        work.app
            .tx("begin_merge", move |tx| tx.begin_merge(&job, no, to))
            .await?;
    }
    let cursor = campaign.merge_to.and(campaign.merge_cursor.clone());
    if !write_chunks(work, campaign, to, cursor).await? {
        return Ok(());
    }
    work.app
        .tx("end_merge", move |tx| tx.end_merge(&job, no))
        .await
}

/// Writes the planned chunks. False where it was told to stop before the end, or a person stopped what it grants.
async fn write_chunks(
    work: &Work<'_>,
    campaign: &Campaign,
    to: u32,
    cursor: Option<String>,
) -> Result<bool> {
    let mut customers = campaign.merge_to.map_or(0, |_| campaign.merge_customers);
    let (mut chunks, planner) = start_planner(work, campaign, to, cursor);
    while let Some(chunk) = chunks.recv().await {
        if work.stop.is_cancelled() {
            return Ok(false);
        }
        customers += chunk.customers;
        let (job, no, lease_ms) = (work.job.clone(), campaign.no, work.lease_ms());
        let low = work
            .app
            .bulk("merge_chunk", move |tx| {
                if tx.stop_of(job.tenant, no)?.is_some() {
                    return Ok(None);
                }
                tx.merge_chunk(&job, no, &chunk, lease_ms)?;
                codes::note_low(tx, job.tenant).map(Some)
            })
            .await?;
        let Some(low) = low else { return Ok(false) };
        codes::tell_low(work.app, low);
        work.app.tell(Event::Merged {
            tenant: work.tenant.id().to_owned(),
            campaign: campaign.id.clone(),
            customers,
        });
    }
    planner
        .await
        .map_err(|e| Error::Store(StoreError::Unavailable(format!("the planner: {e}"))))??;
    Ok(true)
}

type Planning = tokio::task::JoinHandle<std::result::Result<(), StoreError>>;

/// Walks and plans on a thread of its own; ends early when nobody takes its chunks any more.
fn start_planner(
    work: &Work<'_>,
    campaign: &Campaign,
    to: u32,
    cursor: Option<String>,
) -> (mpsc::Receiver<MergeChunk>, Planning) {
    let (sender, receiver) = mpsc::channel(AHEAD_MAX);
    let store = work.app.store.clone();
    let (tenant, no, merged_through) = (work.job.tenant, campaign.no, campaign.merged_through);
    let chunk_max = work.app.config.work.merge_grants_max;
    let (clock, pace) = (work.app.clock.clone(), work.app.gateway.pace());
    let codes_max = work.tenant.settings.codes_per_row_max;
    let planning = tokio::task::spawn_blocking(move || {
        let facts = CampaignFacts::read(&store, tenant, no)?;
        let mut planner = Planner::new(facts, merged_through, codes_max);
        let mut runs = Runs::open(&store, tenant, no, to, cursor.as_deref())?;
        let mut group = Group::default();
        while runs.next_group(&mut group)? {
            planner.take(&group)?;
            let chunk_max = pace.rows(clock.now_ms(), chunk_max);
            if planner.len() >= chunk_max && sender.blocking_send(planner.chunk()).is_err() {
                return Ok(());
            }
        }
        if planner.len() > 0 {
            // Nobody listening means that the merge was given up; somebody goes on from the cursor.
            let _ = sender.blocking_send(planner.chunk());
        }
        Ok(())
    });
    (receiver, planning)
}
