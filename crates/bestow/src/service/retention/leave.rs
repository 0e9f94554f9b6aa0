//! Dropping what is in an archive, a little at a time.

use bestow_store::archived_triggers::TriggerChunk;
use bestow_store::archives::{Archive, Leaving};
use bestow_store::holders::{HolderGroup, Holders};
use bestow_store::runs::{Pages, Runs};
use bestow_store::{Error as StoreError, Store};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::layout::files_of;
use super::{Run, month, on_a_thread, record, write};
use crate::error::Result;
use crate::service::notifications::seconds_ms;

/// Chunks looked up ahead of the writer.
const AHEAD_MAX: usize = 2;
/// Denials dropped in one transaction.
const DENIALS_AT_ONCE: u32 = 1_000;

/// Grants that go in one transaction.
#[derive(Default)]
struct Chunk {
    leaving: Vec<Leaving>,
    /// The last customer in it, folded.
    through: String,
}

/// Drops what is in an archive, once its files were found to be as they were written. Goes on where it was.
pub(super) async fn run(run: &Run<'_>, archive: Archive, stop: &CancellationToken) -> Result<()> {
    let (files, folder) = (
        files_of(&archive.month),
        run.app.config.archive_dir().join(&archive.place),
    );
    let told = archive.tallies.clone();
    on_a_thread(move || write::check(files, &folder, &told)).await?;
    let is_at_end = if archive.month.is_empty() {
        campaign(run, &archive, stop).await?
    } else {
        triggers(run, &archive, stop).await?
    };
    if !is_at_end {
        return Ok(());
    }
    let job = run.job.clone();
    run.app
        .tx("end_archive", move |tx| {
            if tx.end_archive(&job, archive.no)? {
                let folder = &archive.place;
                let detail = serde_json::json!({ "month": archive.month, "folder": folder });
                record(tx, job.tenant, archive.campaign, "archive.dropped", &detail)?;
            }
            Ok::<_, StoreError>(())
        })
        .await
}

/// Grants go first: the rows of Optimove's lists say whose they are. False where it was told to stop.
async fn campaign(run: &Run<'_>, archive: &Archive, stop: &CancellationToken) -> Result<bool> {
    let lease_ms = seconds_ms(run.app.config.work.lease_seconds);
    let (mut chunks, looking) = look_up(run, archive);
    while let Some(chunk) = chunks.recv().await {
        if stop.is_cancelled() {
            return Ok(false);
        }
        let (job, no) = (run.job.clone(), archive.no);
        run.app
            .bulk("drop_grants", move |tx| {
                tx.drop_grants(&job, no, &chunk.leaving, &chunk.through, lease_ms)
            })
            .await?;
    }
    let looked = looking.await;
    looked.map_err(|e| StoreError::Unavailable(format!("a task ended early: {e}")))??;
    let campaign = archive.campaign;
    loop {
        let job = run.job.clone();
        let has_dropped = run
            .app
            .bulk("drop_rows", move |tx| {
                Ok::<_, StoreError>(
                    tx.drop_page_rows(&job, campaign, lease_ms)?
                        || tx.drop_denials(&job, campaign, DENIALS_AT_ONCE, lease_ms)?,
                )
            })
            .await?;
        if !has_dropped {
            return Ok(true);
        }
        if stop.is_cancelled() {
            return Ok(false);
        }
    }
}

type Looking = JoinHandle<std::result::Result<(), StoreError>>;

/// Looks up on a thread of its own which grants there are; ends early when nobody takes them any more.
fn look_up(run: &Run<'_>, archive: &Archive) -> (mpsc::Receiver<Chunk>, Looking) {
    let (sender, receiver) = mpsc::channel(AHEAD_MAX);
    let (store, tenant, no) = (run.app.store.clone(), run.job.tenant, archive.campaign);
    let after = archive.dropped_through.clone();
    let (clock, pace) = (run.app.clock.clone(), run.app.gateway.pace());
    let rows_max = run.app.config.work.merge_grants_max;
    let looking = tokio::task::spawn_blocking(move || {
        let (offers, mut holders) = open(&store, tenant, no, after.as_deref())?;
        let (mut found, mut chunk) = (HolderGroup::default(), Chunk::default());
        while holders.next_group(&mut found)? {
            found.group.fold().clone_into(&mut chunk.through);
            for (customer, rows) in found.holders() {
                let its = rows.iter().filter(|row| offers.contains(&row.offer));
                chunk.leaving.extend(its.map(|row| Leaving {
                    customer: customer.to_owned(),
                    offer: row.offer,
                    occurrence: row.occurrence.clone(),
                }));
            }
            let is_full = chunk.leaving.len() >= pace.rows(clock.now_ms(), rows_max);
            if is_full && sender.blocking_send(std::mem::take(&mut chunk)).is_err() {
                return Ok(());
            }
        }
        if !chunk.leaving.is_empty() {
            // Nobody listening means that it was given up; somebody goes on from the cursor.
            let _ = sender.blocking_send(chunk);
        }
        Ok(())
    });
    (receiver, looking)
}

fn open(
    store: &Store,
    tenant: i64,
    campaign: i64,
    after: Option<&str>,
) -> std::result::Result<(Vec<u32>, Holders), StoreError> {
    let offers = store.peek(|tx| tx.offers(tenant, campaign))?;
    let offers = offers.into_iter().map(|offer| offer.no).collect();
    let runs = Runs::over(store, tenant, campaign, Pages::All, after)?;
    Ok((offers, Holders::over(store, tenant, runs, |_| true)))
}

/// Triggers go with their grants. False where it was told to stop.
async fn triggers(run: &Run<'_>, archive: &Archive, stop: &CancellationToken) -> Result<bool> {
    let lease_ms = seconds_ms(run.app.config.work.lease_seconds);
    let (tenant, no, campaign) = (run.job.tenant, archive.no, archive.campaign);
    let mut after = archive.dropped_through.clone().unwrap_or_default();
    while !stop.is_cancelled() {
        let (store, from) = (run.app.store.clone(), after.clone());
        let which = (no, campaign, archive.until);
        let found = on_a_thread(move || month::some(&store, tenant, which, &from)).await?;
        let Some((last, _)) = found.last() else {
            return Ok(true);
        };
        after.clone_from(&last.occurrence);
        let triggers = found.into_iter().map(|(trigger, rows)| {
            let offers = rows.into_iter().map(|row| row.offer).collect();
            (trigger, offers)
        });
        let chunk = TriggerChunk {
            triggers: triggers.collect(),
        };
        let job = run.job.clone();
        run.app
            .bulk("drop_triggers", move |tx| {
                tx.drop_triggers(&job, (no, campaign), &chunk, lease_ms)
            })
            .await?;
    }
    Ok(false)
}
