//! Reporting: what is decided, and durable, is told to Optimove in the order of customers.
//!
//! What is told is read back from the ledger, so that nobody is approved whose grants are not there, whatever
//! happened since they were decided.

use std::time::Duration;

use bestow_core::HoldReason;
use bestow_store::Error as StoreError;
use bestow_store::Store;
use bestow_store::clearance::Denial;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt};
use optimove::wire::{CustomerDecision, PromotionStatusReport};
use tokio::sync::watch;

use super::walk::{Listed, Walker};
use super::{AtRound, Progress, Reached, crashed};
use crate::error::Result;

/// Reports on their way at the same time.
const IN_FLIGHT_MAX: usize = 4;
/// Ids of one report that Optimove does not take; beyond it the report itself is at fault.
const BAD_IDS_MAX: usize = 20;
/// How often the clock is looked at while nothing is decided.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A stretch of a round, to be told.
struct Report {
    /// The last customer of it, folded.
    through: String,
    decisions: Vec<CustomerDecision>,
    /// The offers of each customer, in the order of `decisions`.
    offers: Vec<Vec<u32>>,
}

/// What became of a report.
enum Sent {
    /// Optimove has it, but for those at these places.
    Taken { report: Report, bad: Vec<usize> },
    /// It was too late, or nothing may be told any more.
    TooLate,
}

/// Reports what is decided until deciding is over and all of it is told, or the time is up.
pub(super) async fn all(
    at: &AtRound<'_>,
    mut progress: watch::Receiver<Progress>,
) -> Result<Reached> {
    let mut after = at.round.reported_through.clone();
    let mut in_flight: FuturesOrdered<BoxFuture<'_, Result<Sent>>> = FuturesOrdered::new();
    loop {
        let now = progress.borrow_and_update().clone();
        let has_more = now.through > after;
        let may_send = has_more && !at.is_over() && !at.work.stop.is_cancelled();
        if may_send && in_flight.len() < IN_FLIGHT_MAX {
            if let Some(report) = next_report(at, after.clone(), now.through.clone()).await? {
                after = Some(report.through.clone());
                in_flight.push_back(send(at, report).boxed());
                continue;
            }
            // Nothing of this round is left up to there.
            after.clone_from(&now.through);
            continue;
        }
        if !in_flight.is_empty() {
            tokio::select! {
                Some(sent) = in_flight.next() => {
                    if !settle(at, sent?).await? {
                        return Ok(Reached::Stop);
                    }
                }
                // A sender that is gone has said before that it is over.
                Ok(()) = progress.changed(), if !now.is_over && in_flight.len() < IN_FLIGHT_MAX => {}
            }
            continue;
        }
        if has_more {
            return Ok(Reached::Stop);
        }
        if now.is_over {
            return Ok(Reached::End);
        }
        // Whether or not there is news, the clock is looked at again.
        let _ = tokio::time::timeout(LOOK_EVERY, progress.changed()).await;
    }
}

/// The next customers to be told of, behind one and up to another.
async fn next_report(
    at: &AtRound<'_>,
    after: Option<String>,
    until: Option<String>,
) -> Result<Option<Report>> {
    let (store, tenant) = (at.work.app.store.clone(), at.work.job.tenant);
    let (campaign, no, max) = (at.campaign.no, at.round.no, at.schedule.report_max);
    let read = tokio::task::spawn_blocking(move || {
        let mut walker = Walker::open(&store, tenant, campaign, no, after.as_deref())?;
        let Some((through, listed)) = walker.chunk(max, until.as_deref())? else {
            return Ok(None);
        };
        let mut report = Report {
            through,
            decisions: Vec::with_capacity(listed.len()),
            offers: Vec::with_capacity(listed.len()),
        };
        for one in listed {
            let verdict = verdict(&store, tenant, campaign, no, &one)?;
            if let Some(approved) = verdict {
                report.decisions.push(CustomerDecision {
                    customer_id: one.customer,
                    approved,
                });
                let offers = one.pairs.iter().map(|pair| pair.offer);
                report.offers.push(offers.collect());
            }
        }
        Ok::<_, StoreError>(Some(report))
    });
    Ok(read.await.map_err(|error| crashed(&error))??)
}

/// What this round says of a customer, by what is durable. `None`: another round has decided.
fn verdict(
    store: &Store,
    tenant: i64,
    campaign: i64,
    no: i64,
    listed: &Listed,
) -> std::result::Result<Option<bool>, StoreError> {
    store.read(|tx| {
        if let Some(denial) = tx.denial(tenant, campaign, &listed.customer)? {
            return Ok((denial.round == no).then_some(false));
        }
        if listed.pairs.is_empty() {
            return Ok(Some(true));
        }
        let rows = tx.ledger_rows(tenant, &listed.customer)?;
        for pair in &listed.pairs {
            let row = rows
                .iter()
                .find(|row| row.offer == pair.offer && row.occurrence.is_empty());
            let channel = match row {
                Some(row) => tx.page_channel(tenant, campaign, row.page)?,
                None => None,
            };
            if channel != Some(-no) {
                return Ok(None);
            }
        }
        Ok(Some(true))
    })
}

/// Tells Optimove. Where it refuses a report, the ids that it does not take are looked for by halves.
async fn send(at: &AtRound<'_>, report: Report) -> Result<Sent> {
    let (job, campaign, no, lease_ms) = (
        at.work.job.clone(),
        at.campaign.no,
        at.round.no,
        at.work.lease_ms(),
    );
    let through = report.through.clone();
    let may_send = at
        .work
        .app
        .tx("begin_report", move |tx| {
            if tx.stop_of(job.tenant, campaign)?.is_some() {
                return Ok(false);
            }
            tx.begin_report(&job, campaign, no, &through, lease_ms)
        })
        .await?;
    if !may_send {
        return Ok(Sent::TooLate);
    }
    let whole = 0..report.decisions.len();
    let (mut halves, mut bad, mut is_any_taken) = (Vec::from([whole]), Vec::new(), false);
    while let Some(half) = halves.pop() {
        if half.is_empty() {
            continue;
        }
        if at.is_over() {
            return Ok(Sent::TooLate);
        }
        let body = PromotionStatusReport {
            time_stamp: Some(time_stamp(at)),
            campaign_id: at.campaign.id.clone(),
            decisions: report.decisions[half.clone()].to_vec(),
        };
        match at.work.client.update_customer_promotion_status(&body).await {
            Ok(()) => is_any_taken = true,
            Err(error @ optimove::Error::BadRequest { .. }) if half.len() == 1 => {
                bad.push(half.start);
                // Where nothing at all is taken, it is not for the sake of an id.
                if bad.len() > BAD_IDS_MAX || (bad.len() > 1 && !is_any_taken) {
                    return Err(error.into());
                }
            }
            Err(optimove::Error::BadRequest { .. }) => {
                let middle = half.start + half.len() / 2;
                halves.push(middle..half.end);
                halves.push(half.start..middle);
            }
            Err(error) => return Err(error.into()),
        }
    }
    // What came after the deadline was ignored, whatever the answer says.
    if at.work.app.clock.now_ms() >= at.round.deadline {
        return Ok(Sent::TooLate);
    }
    Ok(Sent::Taken { report, bad })
}

/// Makes durable what Optimove has been told. False where nothing more may be told.
async fn settle(at: &AtRound<'_>, sent: Sent) -> Result<bool> {
    let Sent::Taken { report, bad } = sent else {
        return Ok(false);
    };
    let (job, campaign, no, lease_ms) = (
        at.work.job.clone(),
        at.campaign.no,
        at.round.no,
        at.work.lease_ms(),
    );
    let Report {
        through,
        decisions,
        offers,
    } = report;
    let refused: Vec<(Denial, Vec<u32>)> = bad
        .iter()
        .filter(|place| decisions[**place].approved)
        .map(|place| {
            let denial = Denial {
                customer: decisions[*place].customer_id.clone(),
                round: no,
                reason: HoldReason::BadCustomerId.as_str().to_owned(),
                pairs: 0,
            };
            (denial, offers[*place].clone())
        })
        .collect();
    let approved = decisions.iter().filter(|one| one.approved).count() - refused.len();
    let refused_count = refused.len();
    let is_new = at
        .work
        .app
        .tx("settle_report", move |tx| {
            let moved =
                tx.move_reported(&job, campaign, no, &through, approved as u64, lease_ms)?;
            if moved {
                for (denial, offers) in &refused {
                    tx.turn_down(job.tenant, campaign, denial, offers)?;
                }
            }
            Ok::<_, StoreError>(moved)
        })
        .await?;
    at.work.app.facts_changed();
    if refused_count > 0 {
        let detail = format!(
            "Optimove does not take the ids of {refused_count} customers who were to be approved: they are held, and \
             not sent to"
        );
        at.find("clearance_id_refused", detail).await?;
    }
    Ok(is_new)
}

fn time_stamp(at: &AtRound<'_>) -> String {
    let now = at.work.tenant.zone.wall_clock(at.work.app.clock.now());
    now.strftime("%Y-%m-%d %H:%M:%S").to_string()
}
