//! Deciding: who of a round is approved. Their grants are durable before anybody is told.

mod deciding;

use std::sync::Arc;

use bestow_core::clearance::{CustomerFacts, Word, decide};
use bestow_core::trigger::Standing;
use tokio::sync::watch;

use deciding::Deciding;

use super::approval::Asker;
use super::walk::{Listed, Walker};
use super::{AtRound, Progress, Reached, crashed};
use crate::error::{Error, Result};
use crate::service::codes;

/// Decides the rest of a round, chunk by chunk, and tells how far it is.
pub(super) async fn all(at: &AtRound<'_>, told: watch::Sender<Progress>) -> Result<Reached> {
    let decided = chunks(at, &told).await;
    told.send_modify(|progress| progress.is_over = true);
    decided
}

async fn chunks(at: &AtRound<'_>, told: &watch::Sender<Progress>) -> Result<Reached> {
    let (store, tenant) = (at.work.app.store.clone(), at.work.job.tenant);
    let (campaign, no) = (at.campaign.no, at.round.no);
    let after = at.round.decided_through.clone();
    let walker = tokio::task::spawn_blocking(move || {
        Walker::open(&store, tenant, campaign, no, after.as_deref())
    });
    let mut walker = walker.await.map_err(|error| crashed(&error))??;
    let max = at.schedule.report_max;
    let asker = Asker::new(at)?;
    loop {
        if at.is_over() || at.work.stop.is_cancelled() {
            return Ok(Reached::Stop);
        }
        let read = tokio::task::spawn_blocking(move || {
            let chunk = walker.chunk(max, None);
            (walker, chunk)
        });
        let (returned, chunk) = read.await.map_err(|error| crashed(&error))?;
        walker = returned;
        let Some((through, mut listed)) = chunk? else {
            return Ok(Reached::End);
        };
        if let Some(asker) = &asker {
            asker.ask(at, &mut listed).await?;
        }
        for part in parts(listed, at.work.app.config.work.merge_grants_max) {
            if write(at, part).await? == Wrote::Stopped {
                return Ok(Reached::Stop);
            }
        }
        // Told in one report, so it is told once it is whole.
        told.send_modify(|progress| progress.through = Some(through));
    }
}

/// Cuts a chunk where transactions should not grow larger, never between ids that are nearly equal.
fn parts(listed: Vec<Listed>, max: usize) -> Vec<Vec<Listed>> {
    let mut parts: Vec<Vec<Listed>> = Vec::new();
    for one in listed {
        match parts.last_mut() {
            Some(part)
                if part.len() < max || part.last().is_some_and(|l| l.fold() == one.fold()) =>
            {
                part.push(one);
            }
            _ => parts.push(vec![one]),
        }
    }
    parts
}

/// What writing a part came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrote {
    /// It is durable.
    Durable,
    /// Nothing may be decided any more.
    Stopped,
}

async fn write(at: &AtRound<'_>, part: Vec<Listed>) -> Result<Wrote> {
    let Some(through) = part.last().map(Listed::fold) else {
        return Err(Error::invalid("empty_part", "a part without customers"));
    };
    let (job, campaign, no, lease_ms) = (
        at.work.job.clone(),
        at.campaign.no,
        at.round.no,
        at.work.lease_ms(),
    );
    let codes_max = at.work.tenant.settings.codes_per_row_max;
    let (part, stop_ms) = (Arc::new(part), at.schedule.stop_at.as_millisecond());
    let (wrote, low) = at
        .work
        .app
        .bulk("decide_clearance", move |tx| {
            tx.hold_job(&job, lease_ms)?;
            let mut deciding = match Deciding::begin(tx, &job, campaign, no, codes_max)? {
                Some(deciding) if deciding.tx.now_ms() < stop_ms => deciding,
                _ => return Ok((Wrote::Stopped, Vec::new())),
            };
            let is_behind = |known: &String| known.as_str() >= through.as_str();
            if deciding
                .round
                .decided_through
                .as_ref()
                .is_some_and(is_behind)
            {
                return Ok((Wrote::Durable, Vec::new()));
            }
            for listed in part.iter() {
                deciding.customer(listed)?;
            }
            deciding.finish(&through)?;
            Ok((Wrote::Durable, codes::note_low(tx, job.tenant)?))
        })
        .await?;
    codes::tell_low(at.work.app, low);
    Ok(wrote)
}

/// Whether the operator's system is worth asking about a customer: not where it is clear without it.
pub(super) fn is_open_question(listed: &Listed) -> bool {
    let facts = CustomerFacts {
        spelling: listed.spelling,
        standing: Standing::Welcome,
        against: listed.against,
        codes: &[],
        codes_max: 0,
        word: Word::NotAsked,
    };
    decide(&facts).is_ok()
}
