//! Weighing a round before anybody of it is decided: those who are told yes cannot be told no again.

use bestow_core::import::Disposition;
use bestow_store::imports::Import;
use bestow_store::{Error as StoreError, Store};

use super::AtRound;
use super::walk::{Listed, Walker};
use crate::error::Result;
use crate::service::guards::weigh::{Counted, Verdict, crashed, is_guarded, settle};

/// Customers gone through at once.
const CUSTOMERS_AT_ONCE: usize = 4_096;

/// Weighs a round that was read to its end, together with all others of its campaign. They are weighed as if everybody
/// in them were approved.
pub(super) async fn round(at: &AtRound<'_>, import: &Import) -> Result<Verdict> {
    let (app, tenant) = (at.work.app, at.work.tenant);
    let (store, no, campaign) = (app.store.clone(), at.work.job.tenant, at.campaign.no);
    if !app.store.read(|tx| is_guarded(tx, tenant, campaign))? {
        return Ok(Verdict::Passed);
    }
    let rounds = app.store.peek(|tx| tx.rounds(no, campaign))?;
    let last = rounds.iter().map(|round| round.no).max();
    let last = last.unwrap_or(at.round.no);
    let counting = tokio::task::spawn_blocking(move || count(&store, no, campaign, last));
    let counted = counting.await.map_err(|error| crashed(&error))??;
    let channels = vec![import.channel];
    settle(app, at.work.job, tenant, at.campaign, counted, channels).await
}

fn count(
    store: &Store,
    tenant: i64,
    campaign: i64,
    last: i64,
) -> std::result::Result<Counted, StoreError> {
    let mut walker = Walker::through(store, tenant, campaign, last)?;
    let mut counted = Counted::default();
    while let Some((_, listed)) = walker.chunk(CUSTOMERS_AT_ONCE, None)? {
        for one in &listed {
            add(&mut counted, one);
        }
    }
    Ok(counted)
}

fn add(counted: &mut Counted, one: &Listed) {
    counted.customers += 1;
    counted.count("rows", one.rows as i64);
    counted.count("rows_without_code", one.rows_without_code as i64);
    counted.count("pairs", one.pair_count as i64);
    if let Some(against) = one.against {
        counted.count(&against.counter(), one.pair_count as i64);
        return;
    }
    for pair in &one.pairs {
        *counted.grants.entry(pair.offer).or_default() += 1;
        counted.count(&Disposition::Grant.counter(), 1);
        counted.count(&Disposition::Repeat.counter(), pair.counted as i64 - 1);
    }
}
