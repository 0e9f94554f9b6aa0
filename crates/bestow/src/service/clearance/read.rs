//! Reading the list of a round, as an import reads its lists.

use std::collections::BTreeSet;

use bestow_core::HoldReason;
use bestow_core::clearance::{Confirm, Plan, PlanFacts, plan};
use bestow_core::import::{
    PASSES_MAX, PassSummary, SizeBounds, Verdict as Read, completeness, size_check,
};
use bestow_store::Error as StoreError;
use bestow_store::imports::Import;
use bestow_store::runs::{Group, Pages, Runs};
use jiff::SignedDuration;

use super::{AtRound, Next, crashed};
use crate::actor::WORKER;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::guards::weigh::Verdict;
use crate::service::import::{details, read};
use crate::service::merge::CampaignFacts;

/// Details, pages, and whether they are all: the next of these steps. `fresh` names the rounds whose details were
/// read in this run.
pub(super) async fn step(at: &AtRound<'_>, import: &Import, fresh: &mut Vec<i64>) -> Result<Next> {
    if import.state == "read" {
        conclude(at, import).await?;
        return Ok(Next::Step);
    }
    if !fresh.contains(&at.round.no) {
        details::read(at.work, at.campaign, std::slice::from_ref(import)).await?;
        fresh.push(at.round.no);
        return Ok(Next::Step);
    }
    if import.state == "wanted" {
        let rows = at.campaign.expected_size.unwrap_or_default();
        announce_plan(at, &planned(at, rows, rows, rows)).await?;
        let pass = if import.skip == 0 {
            import.pass
        } else {
            import.pass + 1
        };
        begin(at, import, pass, at.work.page_rows()).await?;
        return Ok(Next::Step);
    }
    read::pass(at.work, at.campaign, import).await?;
    Ok(Next::Step)
}

async fn begin(at: &AtRound<'_>, import: &Import, pass: u32, rows: u32) -> Result<()> {
    let (job, campaign, no, channel) = (
        at.work.job.clone(),
        at.campaign.no,
        at.round.no,
        import.channel,
    );
    at.work
        .app
        .tx("begin_round_pass", move |tx| {
            tx.begin_pass(&job, campaign, channel, pass, rows)?;
            tx.set_round_state(&job, campaign, no, "reading")
        })
        .await
}

/// Whether there is time for what is left.
fn planned(at: &AtRound<'_>, rows_to_read: u64, rows: u64, customers: u64) -> Plan {
    let limits = &at.work.app.config.optimove;
    plan(&PlanFacts {
        rows_to_read,
        rows,
        customers,
        page_rows: at.work.page_rows(),
        report_max: at.schedule.report_max,
        calls_max: limits.calls_max,
        window: SignedDuration::from_millis(
            i64::try_from(limits.calls_window_ms).unwrap_or(i64::MAX),
        ),
        now: at.work.app.clock.now(),
        stop_at: at.schedule.stop_at,
    })
}

/// Says at once where a round will hardly be done in time; what can be done is done all the same.
async fn announce_plan(at: &AtRound<'_>, plan: &Plan) -> Result<()> {
    if plan.is_feasible() {
        return Ok(());
    }
    let detail = format!(
        "{} calls are needed until {}, a reserve for failures included, and {} are allowed: customers who are not \
         reported by then are not sent to",
        plan.calls_needed, at.schedule.stop_at, plan.calls_allowed
    );
    at.find("clearance_infeasible", detail).await
}

/// Decides whether a list that was read to its end is complete.
async fn conclude(at: &AtRound<'_>, import: &Import) -> Result<()> {
    let seen = survey(at, import).await?;
    let expected = at.campaign.expected_size;
    let is_approved = at.campaign.size_approved_at.is_some();
    if !is_approved && size_check(seen.customers, expected, SizeBounds::PART).is_err() {
        let reason = HoldReason::SizeMismatch;
        return at.work.hold(at.campaign, import.channel, reason).await;
    }
    let plan = planned(at, 0, import.rows, seen.customers);
    announce_plan(at, &plan).await?;
    let summary = PassSummary {
        pass: u8::try_from(import.pass).unwrap_or(u8::MAX),
        page_size: import.page_rows,
        rows: import.skip,
        distinct_customers: seen.customers,
        added_pairs: seen.added,
    };
    // Each customer has one row then, and none is missing.
    let agreed = expected.filter(|size| import.skip == *size);
    match completeness(summary, agreed, PASSES_MAX) {
        Read::ConfirmAgain { page_size } if plan.confirm == Confirm::Fits => {
            begin(at, import, import.pass + 1, page_size).await
        }
        Read::ConfirmAgain { .. } => complete(at, import, &seen, "no_time").await,
        Read::Complete => complete(at, import, &seen, "yes").await,
        Read::Hold(reason) => at.work.hold(at.campaign, import.channel, reason).await,
    }
}

async fn complete(
    at: &AtRound<'_>,
    import: &Import,
    seen: &Seen,
    confirmed: &'static str,
) -> Result<()> {
    if super::weigh::round(at, import).await? == Verdict::Held {
        return Ok(());
    }
    let (job, campaign, no, import) = (
        at.work.job.clone(),
        at.campaign.no,
        at.round.no,
        import.clone(),
    );
    let (id, customers, added) = (at.campaign.id.clone(), seen.customers, seen.added);
    at.work
        .app
        .tx("complete_round_list", move |tx| {
            tx.check_lease(&job)?;
            if import.pass > 1 && added == 0 && import.pass_from_page > 0 {
                tx.drop_confirmed_rows(&job, campaign, import.channel, import.pass_from_page)?;
            }
            tx.set_import_state(job.tenant, campaign, import.channel, "done", None)?;
            tx.set_round_state(&job, campaign, no, "deciding")?;
            let detail = serde_json::json!({
                "round": no, "rows": import.rows, "customers": customers, "passes": import.pass,
                "confirmed": confirmed,
            });
            Object::Campaign(&id).record(tx, job.tenant, WORKER, "clearance.read", &detail)
        })
        .await
}

/// What the pages of a round say together.
#[derive(Debug, Default)]
struct Seen {
    /// Distinct customers.
    customers: u64,
    /// Pairs, and customers without one, that only the pass that was read last brought.
    added: u64,
}

async fn survey(at: &AtRound<'_>, import: &Import) -> Result<Seen> {
    let (store, tenant, campaign) = (
        at.work.app.store.clone(),
        at.work.job.tenant,
        at.campaign.no,
    );
    let (channel, pass, from_page) = (import.channel, import.pass, import.pass_from_page);
    tokio::task::spawn_blocking(move || {
        let facts = CampaignFacts::read(&store, tenant, campaign)?;
        let pages = Pages::Rounds { through: -channel };
        let mut runs = Runs::over(&store, tenant, campaign, pages, None)?;
        let (mut group, mut seen) = (Group::default(), Seen::default());
        while runs.next_group(&mut group)? {
            let of_round = group
                .entries
                .iter()
                .filter(|entry| facts.channel(entry) == channel);
            let customers: BTreeSet<&str> = of_round.map(|entry| group.customer(entry)).collect();
            seen.customers += customers.len() as u64;
            if pass == 1 {
                continue;
            }
            let pairs = group.entries.chunk_by(|a, b| {
                group.customer(a) == group.customer(b) && (a.offer, a.mark) == (b.offer, b.mark)
            });
            for entries in pairs {
                let mut pages = entries
                    .iter()
                    .filter(|entry| facts.channel(entry) == channel)
                    .map(|entry| entry.page)
                    .peekable();
                let is_new = pages.peek().is_some() && pages.all(|page| page >= from_page);
                seen.added += u64::from(is_new);
            }
        }
        if pass == 1 {
            seen.added = seen.customers;
        }
        Ok::<_, StoreError>(seen)
    })
    .await
    .map_err(|error| crashed(&error))?
    .map_err(Error::Store)
}
