//! How a round ends, and what is looked at afterwards: whether its campaign was sent to whom it cleared.

use bestow_core::RefuseReason;
use bestow_core::import::Disposition;
use bestow_store::Error as StoreError;
use bestow_store::clearance::Round;
use bestow_store::jobs::Job;

use super::walk::Walker;
use super::{AtRound, Next, State, crashed};
use crate::actor::WORKER;
use crate::app::App;
use crate::error::Result;
use crate::service::audit::Object;
use crate::service::import::is_of_round;
use crate::service::notifications::seconds_ms;
use crate::tenant::Tenant;
use crate::work::kind;

/// Customers walked at once.
const AT_ONCE: usize = 10_000;

/// What a round leaves undecided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Rest {
    customers: u64,
    rows: u64,
    rows_without_code: u64,
    pairs: u64,
}

/// Closes a round for good. What is undecided counts as refused; what is not reported is not cleared from the
/// deadline on, by derivation.
pub(super) async fn close(at: &AtRound<'_>, reason: &'static str) -> Result<Next> {
    let rest = rest_of(at).await?;
    let (job, campaign, round) = (at.work.job.clone(), at.campaign.no, at.round.no);
    let (id, object) = (at.campaign.id.clone(), at.object());
    let too_late = Disposition::Refused(RefuseReason::PastClearance).counter();
    let unfinished = at
        .work
        .app
        .tx("close_round", move |tx| {
            tx.check_lease(&job)?;
            let rounds = tx.rounds(job.tenant, campaign)?;
            let found = rounds.into_iter().find(|known| known.no == round);
            let Some(found) = found else {
                return Err(StoreError::Corrupt(format!("no clearance round {round}")));
            };
            if !tx.close_round(job.tenant, campaign, round, reason)? {
                return Ok(None);
            }
            let counts = [
                ("rows".to_owned(), rest.rows as i64),
                (
                    "rows_without_code".to_owned(),
                    rest.rows_without_code as i64,
                ),
                ("pairs".to_owned(), rest.pairs as i64),
                (too_late.clone(), rest.pairs as i64),
            ];
            tx.add_counts(job.tenant, campaign, &counts)?;
            for import in tx.imports(job.tenant, campaign)? {
                if is_of_round(&import) && import.channel == -round {
                    tx.set_import_state(job.tenant, campaign, -round, "done", None)?;
                }
            }
            let detail = serde_json::json!({
                "round": round, "reason": reason, "customers": found.customers,
                "approved": found.approved, "denied": found.denied, "reported": found.reported,
                "undecided": rest.customers,
            });
            Object::Campaign(&id).record(tx, job.tenant, WORKER, "clearance.closed", &detail)?;
            let detail = unfinished(&found, rest, reason);
            match &detail {
                Some(detail) => tx.find(job.tenant, "clearance_unfinished", &object, detail)?,
                None => tx.resolve_finding(job.tenant, "clearance_infeasible", &object)?,
            }
            Ok(detail)
        })
        .await?;
    at.work.app.facts_changed();
    if let Some(detail) = unfinished {
        tracing::error!(
            tenant.id = at.work.tenant.id(),
            campaign.id = at.campaign.id,
            round,
            "{detail}"
        );
    }
    Ok(Next::Step)
}

/// What is to be said of a round that did not come to its end.
fn unfinished(round: &Round, rest: Rest, reason: &str) -> Option<String> {
    let unreported = round.approved - round.reported.min(round.approved);
    let is_complete = reason == "complete" || (reason == "revoked");
    (!is_complete).then(|| {
        format!(
            "closed ({reason}) with {} customers undecided and {unreported} approved ones not reported: they are not \
             sent to",
            rest.customers
        )
    })
}

/// Counts what lies behind the cursor of decisions.
async fn rest_of(at: &AtRound<'_>) -> Result<Rest> {
    let (store, tenant) = (at.work.app.store.clone(), at.work.job.tenant);
    let (campaign, no) = (at.campaign.no, at.round.no);
    let count = tokio::task::spawn_blocking(move || {
        let rounds = store.peek(|tx| tx.rounds(tenant, campaign))?;
        let round = rounds.into_iter().find(|round| round.no == no);
        let after = round.and_then(|round| round.decided_through);
        let mut walker = Walker::open(&store, tenant, campaign, no, after.as_deref())?;
        let mut rest = Rest::default();
        while let Some((_, listed)) = walker.chunk(AT_ONCE, None)? {
            for one in listed {
                rest.customers += 1;
                rest.rows += one.rows;
                rest.rows_without_code += one.rows_without_code;
                rest.pairs += one.pair_count;
            }
        }
        Ok::<_, StoreError>(rest)
    });
    Ok(count.await.map_err(|error| crashed(&error))??)
}

/// Looks at closed rounds: some time after its deadline a campaign's lists are read anew where they were read before
/// it, and in the end whoever was cleared should have been sent to. Tells when to look again.
pub(super) async fn look_back(
    app: &App,
    job: &Job,
    tenant: &Tenant,
    state: &State,
) -> Result<Option<i64>> {
    let now = app.clock.now_ms();
    let grace = seconds_ms(app.config.work.event_1_grace_seconds);
    let patience = seconds_ms(app.config.work.clearance_executed_seconds);
    let mut next: Option<i64> = None;
    let mut later = |at: i64| next = Some(next.map_or(at, |known| known.min(at)));
    // Optimove may have heard of an approval whose report we never saw answered.
    let was_told = state
        .rounds
        .iter()
        .any(|round| round.sent_through.is_some());
    if !was_told || state.campaign.revoked_at.is_some() {
        return Ok(None);
    }
    for round in state.rounds.iter().filter(|round| round.is_closed()) {
        let (reread_at, sent_by) = (round.deadline + grace, round.deadline + patience);
        if now < reread_at {
            later(reread_at);
            continue;
        }
        // A round may have had nobody left to decide: an earlier one cleared customers who are sent to by this one's
        // deadline.
        reread(app, job, state.campaign.no, round.deadline).await?;
        if round.reported == 0 {
            continue;
        }
        if now < sent_by {
            later(sent_by);
            continue;
        }
        let unsent = unsent(app, job, state, round).await?;
        if unsent > 0 && reread(app, job, state.campaign.no, sent_by).await? {
            // They may have been sent to by a deadline that we never heard of.
            later(now + grace);
            continue;
        }
        find_unsent(app, job, tenant, state, (round, unsent)).await?;
    }
    Ok(next)
}

/// Wants the lists read anew that were wanted before an instant. Whether there were any.
async fn reread(app: &App, job: &Job, campaign: i64, deadline: i64) -> Result<bool> {
    let job = job.clone();
    let wanted = app
        .tx("reread_lists", move |tx| {
            let wanted = tx.reread_lists(job.tenant, campaign, deadline)?;
            if wanted > 0 {
                let now = tx.now_ms();
                tx.want_job(job.tenant, kind::IMPORT, &campaign.to_string(), now)?;
            }
            Ok(wanted)
        })
        .await?;
    if wanted > 0 {
        app.work.notify_one();
    }
    Ok(wanted > 0)
}

/// How many customers of a round were cleared and, as far as the lists tell, not sent to.
async fn unsent(app: &App, job: &Job, state: &State, round: &Round) -> Result<u64> {
    let (store, no, campaign, round_no) =
        (app.store.clone(), job.tenant, state.campaign.no, round.no);
    let through = round.reported_through.clone();
    let count = tokio::task::spawn_blocking(move || {
        let mut walker = Walker::open(&store, no, campaign, round_no, None)?;
        let mut unsent = 0_u64;
        while let Some((_, listed)) = walker.chunk(AT_ONCE, through.as_deref())? {
            for one in listed.iter().filter(|one| !one.pairs.is_empty()) {
                let waits = store.read(|tx| {
                    for row in tx.ledger_rows(no, &one.customer)? {
                        let is_ours = row.occurrence.is_empty()
                            && one.pairs.iter().any(|pair| pair.offer == row.offer);
                        if is_ours && tx.page_channel(no, campaign, row.page)? == Some(-round_no) {
                            return Ok::<_, StoreError>(true);
                        }
                    }
                    Ok(false)
                })?;
                unsent += u64::from(waits);
            }
        }
        Ok::<_, StoreError>(unsent)
    });
    Ok(count.await.map_err(|error| crashed(&error))??)
}

/// Records how many were cleared and never sent to.
async fn find_unsent(
    app: &App,
    job: &Job,
    tenant: &Tenant,
    state: &State,
    (round, unsent): (&Round, u64),
) -> Result<()> {
    let (no, campaign) = (job.tenant, &state.campaign.id);
    let object = Object::Round(campaign, round.no).to_string();
    if unsent > 0 {
        tracing::warn!(
            tenant.id = tenant.id(),
            campaign.id = campaign,
            customers = unsent,
            "customers were cleared and not sent to"
        );
    }
    app.tx("find_unsent", move |tx| {
        let kind = "cleared_not_executed";
        if unsent == 0 {
            return tx.resolve_finding(no, kind, &object);
        }
        let detail = format!(
            "{unsent} customers were cleared, and Optimove does not list them as sent to: their grants do not start"
        );
        tx.find(no, kind, &object, &detail)
    })
    .await
}
