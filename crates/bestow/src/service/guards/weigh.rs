//! Weighing a campaign: its list is gone through as the merge will go through it, and nothing is written but what was
//! found.

use std::collections::{BTreeMap, HashSet};

use bestow_core::guard::{Beyond, CodeWeight, Figures, WorstCase, weigh};
use bestow_core::{HoldReason, Minor, Money};
use bestow_store::campaigns::Campaign;
use bestow_store::guards::{Guard, Weighed};
use bestow_store::jobs::Job;
use bestow_store::runs::{Group, Runs};
use bestow_store::{Error as StoreError, Store, Tx};
use serde::Deserialize;

use super::figures::{BeyondView, FiguresView};
use crate::actor::WORKER;
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::campaigns;
use crate::service::merge::{CampaignFacts, Planner};
use crate::service::promotions::{Limits, RedeemTerms};
use crate::tenant::{Guards, Tenant};

/// Rows of a list between two looks at what they would come to.
const ROWS_AT_ONCE: usize = 4_096;

type Stored<T> = std::result::Result<T, StoreError>;

/// What a list would come to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counted {
    /// Distinct customers.
    pub(crate) customers: u64,
    /// Grants by offer.
    pub(crate) grants: BTreeMap<u32, u64>,
    /// By the names of the campaign's counters.
    pub(crate) counters: BTreeMap<String, i64>,
}

impl Counted {
    pub(crate) fn count(&mut self, counter: &str, n: i64) {
        *self.counters.entry(counter.to_owned()).or_default() += n;
    }
}

/// Which lists are weighed, and how.
#[derive(Debug)]
pub(crate) struct Lists {
    tenant: i64,
    campaign: i64,
    /// Up to this landed page.
    to: u32,
    codes_max: usize,
    /// Offers whose pairs are held, and are to be granted now.
    released: HashSet<u32>,
}

impl Lists {
    /// The lists of a campaign up to a landed page, as they are to be merged.
    pub(crate) fn new(tenant: &Tenant, campaign: i64, to: u32) -> Self {
        Self {
            tenant: tenant.no(),
            campaign,
            to,
            codes_max: tenant.settings.codes_per_row_max,
            released: HashSet::new(),
        }
    }

    /// The same, with what some offers hold.
    pub(crate) fn releasing(self, released: HashSet<u32>) -> Self {
        Self { released, ..self }
    }

    /// What they would come to, counted on a thread of its own.
    pub(crate) async fn count(self, store: &Store) -> Result<Counted> {
        let store = store.clone();
        let counting = tokio::task::spawn_blocking(move || count_lists(&store, &self));
        Ok(counting.await.map_err(|error| crashed(&error))??)
    }
}

/// The plan of a merge from nothing, which nobody writes.
fn count_lists(store: &Store, lists: &Lists) -> Stored<Counted> {
    let facts = CampaignFacts::read(store, lists.tenant, lists.campaign)?;
    let facts = facts.releasing(&lists.released);
    let mut planner = Planner::new(facts, 0, lists.codes_max);
    let mut runs = Runs::open(store, lists.tenant, lists.campaign, lists.to, None)?;
    let (mut group, mut counted) = (Group::default(), Counted::default());
    loop {
        let is_more = runs.next_group(&mut group)?;
        if is_more {
            planner.take(&group)?;
        }
        if planner.len() >= ROWS_AT_ONCE || !is_more {
            let chunk = planner.chunk();
            counted.customers += chunk.customers;
            for grant in &chunk.grants {
                *counted.grants.entry(grant.offer).or_default() += 1;
            }
            for (counter, n) in &chunk.counts {
                counted.count(counter, *n);
            }
            counted.count("granted", chunk.grants.len() as i64);
            let beside = chunk.beside.iter().map(|(_, n)| i64::from(*n)).sum();
            counted.count("repeated", beside);
        }
        if !is_more {
            return Ok(counted);
        }
    }
}

/// Whether anything bounds a campaign, or somebody wants to see it.
pub(crate) fn is_guarded(tx: &mut Tx<'_>, tenant: &Tenant, campaign: i64) -> Stored<bool> {
    if tenant.settings.guards != Guards::default() || tx.guard(tenant.no(), campaign)?.is_some() {
        return Ok(true);
    }
    for offer in tx.offers(tenant.no(), campaign)? {
        if let Some((limits, _)) = terms(tx, tenant.no(), &offer.code_fold)?
            && (limits.campaign_grants_max.is_some()
                || limits.campaign_liability_max_minor.is_some())
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Limits and terms of a promotion as it is now.
fn terms(tx: &mut Tx<'_>, tenant: i64, code_fold: &str) -> Stored<Option<(Limits, RedeemTerms)>> {
    let Some(promotion) = tx.promotion(tenant, code_fold)? else {
        return Ok(None);
    };
    let corrupt = |e: String| StoreError::Corrupt(format!("promotion {code_fold}: {e}"));
    let limits: Limits =
        serde_json::from_str(&promotion.limits).map_err(|e| corrupt(e.to_string()))?;
    let terms = RedeemTerms::read(&promotion.reward, &limits).map_err(corrupt)?;
    Ok(Some((limits, terms)))
}

/// What a campaign would give, in the words of the decision.
fn figures(tx: &mut Tx<'_>, tenant: i64, campaign: i64, counted: &Counted) -> Stored<Figures> {
    let mut codes = Vec::new();
    for offer in tx.offers(tenant, campaign)? {
        let grants = counted.grants.get(&offer.no).copied().unwrap_or_default();
        let Some((limits, terms)) = terms(tx, tenant, &offer.code_fold)? else {
            continue;
        };
        let worst: WorstCase = terms.worst_case(&limits);
        let budget = limits.budget_minor.zip(terms.currency);
        codes.push(CodeWeight {
            code: offer.code,
            grants,
            worst,
            total: limits.total,
            budget: budget.map(|(amount, currency)| Money {
                amount: Minor(amount),
                currency,
            }),
            grants_max: limits.campaign_grants_max,
            liability_max: limits.campaign_liability_max_minor.map(Minor),
        });
    }
    Ok(Figures {
        customers: counted.customers,
        codes,
    })
}

/// What the runs of a plan have in common: Optimove tells their target group, and no plan.
fn run_of(tx: &mut Tx<'_>, tenant: i64, campaign: i64) -> Stored<Option<String>> {
    #[derive(Deserialize)]
    struct Told {
        target_group_id: Option<i64>,
    }
    let document = tx.newest_document(tenant, campaign)?;
    let told = document.and_then(|text| serde_json::from_str::<Told>(&text).ok());
    let group = told.and_then(|told| told.target_group_id);
    Ok(group.map(|group| format!("target_group/{group}")))
}

/// Whether nothing more of a campaign is granted until somebody decides, or for ever.
pub(crate) fn is_waiting(tx: &mut Tx<'_>, tenant: i64, campaign: i64) -> Stored<bool> {
    let guard = tx.guard(tenant, campaign)?;
    Ok(guard.is_some_and(|guard| ["held", "refused"].contains(&&*guard.state)))
}

/// Whether a campaign may be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may.
    Passed,
    /// It waits for a second person.
    Held,
}

/// Weighs a campaign by what its list would come to, and writes what was found. Where it has to wait, `channels` of its
/// lists are held, in the same transaction.
pub(crate) async fn settle(
    app: &App,
    job: &Job,
    tenant: &Tenant,
    campaign: &Campaign,
    counted: Counted,
    channels: Vec<i64>,
) -> Result<Verdict> {
    let (job, guards) = (job.clone(), tenant.settings.guards.clone());
    let (no, id) = (campaign.no, campaign.id.clone());
    let verdict = app.tx("weigh_campaign", move |tx| {
        tx.check_lease(&job)?;
        let figures = figures(tx, job.tenant, no, &counted)?;
        let run_of = run_of(tx, job.tenant, no)?;
        let largest = match &run_of {
            Some(run_of) => tx.largest_run(job.tenant, run_of, no)?,
            None => None,
        };
        let guard = tx.guard(job.tenant, no)?;
        let mut beyond = weigh(&figures, &guards.bounds(), largest);
        let is_asked = guard.as_ref().is_some_and(|guard| guard.asked_by.is_some());
        if guards.dry_run || is_asked {
            beyond.insert(0, Beyond::DryRun);
        }
        let is_approved = is_approved(guard.as_ref(), &figures)?;
        let (verdict, state) = match (beyond.is_empty(), is_approved) {
            (_, true) => (Verdict::Passed, "approved"),
            (true, false) => (Verdict::Passed, "passed"),
            (false, false) => (Verdict::Held, "held"),
        };
        let beyond: Vec<_> = beyond
            .iter()
            .map(|one| BeyondView::new(one, &figures))
            .collect();
        let counters = counted.counters.clone().into_iter().collect();
        let view = FiguresView::new(&figures, campaigns::counts(counters));
        let text =
            |json: serde_json::Result<String>| json.map_err(|e| StoreError::Corrupt(e.to_string()));
        let weighed = Weighed {
            state,
            run_of,
            customers: figures.customers,
            figures: text(serde_json::to_string(&view))?,
            beyond: text(serde_json::to_string(&beyond))?,
        };
        tx.put_weighed(job.tenant, no, &weighed)?;
        if verdict == Verdict::Held {
            hold(tx, &job, (no, &id), &channels, &weighed)?;
        }
        Ok(verdict)
    });
    let verdict = verdict.await?;
    if verdict == Verdict::Held {
        tracing::warn!(
            tenant.id = tenant.id(),
            campaign.id = campaign.id,
            "a campaign waits for a second person"
        );
    }
    Ok(verdict)
}

fn hold(
    tx: &mut Tx<'_>,
    job: &Job,
    (campaign, id): (i64, &str),
    channels: &[i64],
    weighed: &Weighed,
) -> Stored<()> {
    let reason = HoldReason::BeyondBounds.as_str();
    for channel in channels {
        tx.set_import_state(job.tenant, campaign, *channel, "held", Some(reason))?;
    }
    tx.set_campaign_error(job.tenant, campaign, Some(reason))?;
    let detail = format!(
        r#"{{"beyond":{},"figures":{}}}"#,
        weighed.beyond, weighed.figures
    );
    Object::Campaign(id).record(tx, job.tenant, WORKER, "campaign.held", &detail)
}

/// Whether somebody approved at least as much.
fn is_approved(guard: Option<&Guard>, figures: &Figures) -> Stored<bool> {
    let Some(approved) = guard.and_then(|guard| guard.approved.as_deref()) else {
        return Ok(false);
    };
    let approved: FiguresView = serde_json::from_str(approved)
        .map_err(|e| StoreError::Corrupt(format!("what was approved: {e}")))?;
    Ok(figures.totals().are_within(&approved.totals()))
}

/// A task of ours that was torn down: this try ends, another goes on from what is durable.
pub(crate) fn crashed(error: &tokio::task::JoinError) -> Error {
    Error::Store(StoreError::Unavailable(format!(
        "weighing ended early: {error}"
    )))
}
