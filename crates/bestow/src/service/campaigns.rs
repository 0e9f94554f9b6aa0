//! Campaigns as the outside sees them, and what a person may do to one: suspend it, let it go on,
//! and take it back.

use std::collections::BTreeMap;

use bestow_core::campaign::{
    CampaignProgress, ImportState, LatestEnd, ListedEnds, campaign_status,
};
use bestow_core::{CampaignId, HoldReason};
use bestow_store::campaigns::{Campaign, SuspendedBy};
use bestow_store::imports::Import;
use bestow_store::{Error as StoreError, Tx};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::app::App;
use crate::clock::instant;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::cancel::{self, CancellationView};
use crate::service::clearance::{self, RoundView};
use crate::service::ended;
use crate::service::grants::{campaign_facts, campaign_id};
use crate::service::guards::GuardView;
use crate::service::import;
use crate::service::reason;
use crate::service::view::Instant;
use crate::tenant::Tenant;

/// A campaign with its counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CampaignView {
    /// Optimove's campaign id.
    pub id: String,
    /// `scheduled`, `conditional` or `triggered`; null where nothing is known but that it was cancelled.
    pub kind: Option<String>,
    /// `announced`, `importing`, `awaiting_clearance`, `running`, `ended`, `suspended`, `revoked`
    /// or `failed`.
    pub status: &'static str,
    /// As applied to its windows; null until Optimove was asked.
    pub duration_days: Option<i64>,
    /// As applied to its windows; null until Optimove was asked.
    pub lead_time_days: Option<i64>,
    /// `campaign`, or which default stands in and why.
    pub duration_source: Option<String>,
    /// Optimove's channels: as the campaign names them, else those that are read.
    pub channels: Vec<i64>,
    /// When approval ends, for conditional campaigns: the deadline of their last round.
    pub clearance_required_by: Option<Instant>,
    /// Rounds of clearance, the earliest deadline first; empty unless it is conditional.
    pub rounds: Vec<RoundView>,
    /// Always `pairs = granted + repeated + held + refused`.
    pub counts: Counts,
    /// How far each list of it is read.
    pub imports: Vec<ImportView>,
    /// When it was first heard of.
    pub first_seen_at: Instant,
    /// Since when nothing of it can be redeemed; null unless it is suspended.
    pub suspended_at: Option<Instant>,
    /// When it was taken back for good.
    pub revoked_at: Option<Instant>,
    /// Why it is suspended or revoked.
    pub stop_reason: Option<String>,
    /// What was found before anything of it was granted; null where nothing bounds it.
    pub guard: Option<GuardView>,
    /// What Optimove's notice of a cancel has come to; null where there was none.
    pub cancellation: Option<CancellationView>,
    /// What the last try to import it died of.
    pub last_error: Option<String>,
}

/// Counts of a campaign.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Counts {
    /// Rows of Optimove's lists.
    pub rows: i64,
    /// Rows without a promo code: no pair, no error.
    pub rows_without_code: i64,
    /// Pairs of customer and code.
    pub pairs: i64,
    /// Pairs that became grants.
    pub granted: i64,
    /// Pairs whose grant was there already.
    pub repeated: i64,
    /// Pairs that wait for a person, by reason.
    pub held: BTreeMap<String, i64>,
    /// Pairs that get nothing, by reason.
    pub refused: BTreeMap<String, i64>,
}

/// How far one list of a campaign is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ImportView {
    /// Optimove's channel; null: every channel in one list.
    pub channel_id: Option<i64>,
    /// `wanted`, `reading`, `read`, `done` or `held`.
    pub state: String,
    /// Why held.
    pub hold_reason: Option<String>,
    /// 1 reads the rows; later passes confirm that none is missing.
    pub pass: u32,
    /// Rows received in this pass so far.
    pub rows_of_pass: u64,
    /// Rows received in the first pass.
    pub rows: u64,
}

/// Why something is suspended, stopped or taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopReason {
    /// For people; at most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl StopReason {
    pub(crate) fn or(self, usual: &str) -> Result<String> {
        let given = reason::given(self.reason.as_deref())?;
        Ok(given.unwrap_or_else(|| usual.to_owned()))
    }
}

/// Campaigns behind a number, in the order they were first heard of, each with its number.
///
/// # Errors
/// The store's.
pub fn list(
    app: &App,
    tenant: &Tenant,
    after: i64,
    limit: u32,
) -> Result<Vec<(i64, CampaignView)>> {
    let (now, patience) = (app.clock.now(), ended::patience(app));
    let views = app.store.read(|tx| {
        let campaigns = tx.campaigns(tenant.no(), after, limit)?;
        let views = campaigns.into_iter().map(|campaign| {
            let no = campaign.no;
            Ok((no, view(tx, tenant, campaign, now, patience)?))
        });
        views.collect::<std::result::Result<Vec<_>, StoreError>>()
    })?;
    Ok(views)
}

/// One campaign.
///
/// # Errors
/// [`Error::Invalid`] for an id that cannot be one; [`Error::NotFound`]; the store's.
pub fn get(app: &App, tenant: &Tenant, id: &str) -> Result<CampaignView> {
    let (id, now) = (campaign_id(id)?, app.clock.now());
    let patience = ended::patience(app);
    app.store.read(|tx| {
        let campaign = known(tx, tenant.no(), &id)?;
        Ok(view(tx, tenant, campaign, now, patience)?)
    })
}

/// Suspends a campaign until a person lets it go on: nothing of it can be redeemed meanwhile. It takes
/// the place of the suspension of a cancel, which Optimove's answers may lift. A repeat changes
/// nothing.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] with `reason_too_long`; [`Error::Conflict`] with `revoked`
/// where it was taken back for good; the store's.
pub async fn suspend(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    id: &str,
    stop: StopReason,
) -> Result<CampaignView> {
    let reason = stop.or("suspended by an operator")?;
    let (no, actor, named) = (tenant.no(), actor.id.clone(), campaign_id(id)?);
    app.store
        .tx("suspend_campaign", move |tx| {
            let campaign = known(tx, no, &named)?;
            refuse_revoked(&campaign)?;
            if tx.suspend_campaign(no, campaign.no, SuspendedBy::Operator, &reason)? {
                let detail = serde_json::json!({ "reason": reason });
                let object = Object::Campaign(&campaign.id);
                object.record(tx, no, &actor, "campaign.suspended", &detail)?;
            }
            Ok::<_, Error>(())
        })
        .await?;
    app.facts_changed();
    get(app, tenant, id)
}

fn refuse_revoked(campaign: &Campaign) -> Result<()> {
    if campaign.revoked_at.is_none() {
        return Ok(());
    }
    let message = "The campaign was revoked, which is final.";
    Err(Error::conflict("revoked", message))
}

/// Lets a campaign go on: held imports continue from where they stand (an odd size is approved by
/// this), and a suspension is lifted. Where there is nothing to resume, nothing changes.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] with `revoked` where it was taken back for good; the
/// store's.
pub async fn resume(app: &App, actor: &Actor, tenant: &Tenant, id: &str) -> Result<CampaignView> {
    let (no, actor, named) = (tenant.no(), actor.id.clone(), campaign_id(id)?);
    app.store
        .tx("resume_campaign", move |tx| {
            let campaign = known(tx, no, &named)?;
            refuse_revoked(&campaign)?;
            let lifted = tx.lift_suspension(no, campaign.no)?;
            if lifted {
                cancel::overruled(tx, no, &campaign)?;
                import::go_on(tx, no, campaign.no)?;
            }
            let resumed = import::resume(tx, no, campaign.no)?;
            if lifted || resumed {
                let detail = serde_json::json!({
                    "suspension_lifted": lifted, "imports_resumed": resumed,
                    "was": campaign.stop_reason,
                });
                let object = Object::Campaign(&campaign.id);
                object.record(tx, no, &actor, "campaign.resumed", &detail)?;
            }
            Ok::<_, Error>(())
        })
        .await?;
    app.facts_changed();
    app.work.notify_one();
    get(app, tenant, id)
}

/// Takes a campaign back for good: none of its grants can be redeemed from then on. A repeat
/// changes nothing.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] with `reason_too_long`; the store's.
pub async fn revoke(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    id: &str,
    stop: StopReason,
) -> Result<CampaignView> {
    let reason = stop.or("revoked by an operator")?;
    let (no, actor, named) = (tenant.no(), actor.id.clone(), campaign_id(id)?);
    app.store
        .tx("revoke_campaign", move |tx| {
            let campaign = known(tx, no, &named)?;
            if tx.revoke_campaign(no, campaign.no, &reason)? {
                cancel::answered(tx, no, &campaign.id)?;
                let detail = serde_json::json!({ "reason": reason });
                let object = Object::Campaign(&campaign.id);
                object.record(tx, no, &actor, "campaign.revoked", &detail)?;
            }
            Ok::<_, Error>(())
        })
        .await?;
    app.facts_changed();
    get(app, tenant, id)
}

/// The campaign with this id.
///
/// # Errors
/// [`Error::NotFound`]; the store's.
pub(crate) fn known(tx: &mut Tx<'_>, tenant: i64, id: &CampaignId) -> Result<Campaign> {
    tx.campaign(tenant, id.as_str())?
        .ok_or(Error::NotFound("campaign"))
}

fn view(
    tx: &mut Tx<'_>,
    tenant: &Tenant,
    campaign: Campaign,
    now: Timestamp,
    patience: i64,
) -> std::result::Result<CampaignView, StoreError> {
    let imports = tx.imports(tenant.no(), campaign.no)?;
    let counts = counts(tx.counts(tenant.no(), campaign.no)?);
    let cancellation = tx.cancellation(tenant.no(), campaign.no)?;
    let guard = tx.guard(tenant.no(), campaign.no)?;
    let rounds = clearance::rounds(tx, tenant.no(), campaign.no)?;
    let required_by = rounds.last().map(|round| round.deadline);
    let listed = ended::of_campaign(tx, tenant, campaign.no, patience)?;
    let progress = progress(&campaign, &imports, required_by, listed);
    let imports = import::lists(imports);
    let status = campaign_status(&campaign_facts(tenant, &campaign), &progress, now);
    Ok(CampaignView {
        status: status.as_str(),
        channels: channels(&campaign, &imports),
        clearance_required_by: required_by,
        rounds,
        counts,
        imports: imports.into_iter().map(import_view).collect(),
        first_seen_at: Instant(campaign.first_seen_at),
        id: campaign.id,
        kind: campaign.kind,
        duration_days: campaign.duration_days,
        lead_time_days: campaign.lead_time_days,
        duration_source: campaign.duration_source,
        suspended_at: campaign.suspended_at.map(Instant),
        revoked_at: campaign.revoked_at.map(Instant),
        stop_reason: campaign.stop_reason,
        guard: guard.map(GuardView::try_from).transpose()?,
        cancellation: cancellation.map(CancellationView::from),
        last_error: campaign.last_error,
    })
}

fn progress(
    campaign: &Campaign,
    imports: &[Import],
    required_by: Option<Instant>,
    listed: ListedEnds,
) -> CampaignProgress {
    let lists: Vec<ImportState> = imports
        .iter()
        .map(|import| match import.state.as_str() {
            "wanted" => ImportState::Waiting,
            "done" => ImportState::Complete,
            "held" => ImportState::Stopped,
            _ => ImportState::Running,
        })
        .collect();
    CampaignProgress {
        import: ImportState::of_all(&lists),
        clearance_deadline: required_by.map(|at| instant(at.0)),
        latest_end: match campaign.windows_end_at {
            None => LatestEnd::NoGrants,
            Some(i64::MAX) => LatestEnd::Open,
            Some(ms) => LatestEnd::At(instant(ms)),
        }
        .cut(listed),
    }
}

fn channels(campaign: &Campaign, imports: &[Import]) -> Vec<i64> {
    let told = import::told_channels(campaign);
    if told.is_empty() {
        imports
            .iter()
            .map(|import| import.channel)
            .filter(|channel| *channel != 0)
            .collect()
    } else {
        told
    }
}

fn import_view(import: Import) -> ImportView {
    ImportView {
        channel_id: (import.channel != 0).then_some(import.channel),
        state: import.state,
        hold_reason: import.hold_reason,
        pass: import.pass,
        rows_of_pass: import.skip,
        rows: import.rows,
    }
}

pub(crate) fn counts(kept: Vec<(String, i64)>) -> Counts {
    let mut counts = Counts::default();
    for (counter, n) in kept {
        match (counter.as_str(), counter.split_once(':')) {
            ("rows", _) => counts.rows = n,
            ("rows_without_code", _) => counts.rows_without_code = n,
            ("pairs", _) => counts.pairs = n,
            ("granted", _) => counts.granted = n,
            ("repeated", _) => counts.repeated = n,
            // A reason that is used up by a release stays in the table with 0.
            (_, Some((_, _))) if n == 0 => {}
            (_, Some(("held", reason))) => drop(counts.held.insert(reason.to_owned(), n)),
            (_, Some(("refused", reason))) => drop(counts.refused.insert(reason.to_owned(), n)),
            _ => {}
        }
    }
    counts
}

/// A reason to hold, as a filter names it.
///
/// # Errors
/// [`Error::Invalid`] with `bad_reason`.
pub(crate) fn hold_reason(text: &str) -> Result<HoldReason> {
    HoldReason::parse(text)
        .map_err(|e| Error::invalid("bad_reason", crate::service::grants::sentence(&e)))
}
