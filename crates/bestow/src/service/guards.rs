//! Guards: what a campaign would give is weighed before anything of it is granted. Beyond its bounds it waits for a second
//! person, who sees the figures and is none of those who set what they follow from.

mod figures;
pub(crate) mod weigh;

use bestow_store::Tx;
use bestow_store::campaigns::Campaign;
use bestow_store::guards::Guard;
use serde::Deserialize;

pub use figures::{BeyondView, CodeFigures, FiguresView, GuardView};

use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::campaigns::{self, CampaignView, known};
use crate::service::grants::campaign_id;
use crate::service::reason;
use crate::service::{cancel, import};
use crate::tenant::Tenant;
use crate::work::kind;

/// Why a campaign that waits is let go on, or is not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// For people and the audit; 1 to 500 characters.
    pub reason: String,
}

impl Decision {
    fn reason(self) -> Result<String> {
        reason::needed(&self.reason)
    }
}

/// Reads and weighs a campaign and grants nothing of it until somebody approves. One that nobody heard of is read now.
///
/// # Errors
/// [`Error::Invalid`] for an id that cannot be one; [`Error::Conflict`] `already_granted` where something of it is granted
/// already, `revoked`, `not_listed` for a triggered campaign, which has no list.
pub async fn dry_run(app: &App, actor: &Actor, tenant: &Tenant, id: &str) -> Result<CampaignView> {
    let (no, actor, named) = (tenant.no(), actor.id.clone(), campaign_id(id)?);
    let work = move |tx: &mut Tx<'_>| {
        let (campaign, _) = tx.see_campaign(no, named.as_str(), "scheduled", "operator")?;
        let known = known(tx, no, &named)?;
        if known.revoked_at.is_some() {
            return Err(Error::conflict(
                "revoked",
                "The campaign was revoked, which is final.",
            ));
        }
        if known.kind.as_deref() == Some("triggered") {
            let message = "A triggered campaign has no list to be weighed.";
            return Err(Error::conflict("not_listed", message));
        }
        let guard = tx.guard(no, campaign)?;
        let is_decided = guard.is_some_and(|guard| guard.state == "approved");
        // Of a conditional campaign clearance grants, with nothing merged.
        let counts = tx.counts(no, campaign)?;
        let has_granted = counts
            .iter()
            .any(|(counter, n)| counter == "granted" && *n > 0);
        let is_merged = known.merged_through > 0 || known.merge_to.is_some();
        if has_granted || is_merged || is_decided {
            let message = "Something of the campaign is granted already.";
            return Err(Error::conflict("already_granted", message));
        }
        if !tx.ask_to_see(no, campaign, &actor)? {
            return Ok(());
        }
        if tx.imports(no, campaign)?.is_empty() {
            tx.want_import(no, campaign, 0)?;
        }
        let now = tx.now_ms();
        tx.want_job(no, kind::IMPORT, &campaign.to_string(), now)?;
        let object = Object::Campaign(&known.id);
        object.record(tx, no, &actor, "campaign.dry_run_asked", &"{}")?;
        Ok(())
    };
    app.store.tx("ask_dry_run", work).await?;
    app.work.notify_one();
    campaigns::get(app, tenant, id)
}

/// Lets a campaign go on that waits for a second person: it may give as much as was in view, and waits again where it
/// turns out to be more.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] `reason_needed`, `reason_too_long`; [`Error::Conflict`] `nothing_waits`, or
/// `same_person` for whoever set the bounds, wrote one of the promotions, or asked for the dry run.
pub async fn approve(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    id: &str,
    decision: Decision,
) -> Result<CampaignView> {
    let reason = decision.reason()?;
    let (no, tenant_id) = (tenant.no(), tenant.id().to_owned());
    let (actor, named) = (actor.id.clone(), campaign_id(id)?);
    let work = move |tx: &mut Tx<'_>| {
        let campaign = known(tx, no, &named)?;
        let guard = waiting(tx, no, &campaign)?;
        refuse_the_first(tx, &tenant_id, no, &campaign, &guard, &actor)?;
        tx.decide_guard(no, campaign.no, "approved", &actor, &reason)?;
        import::let_beyond_go_on(tx, no, campaign.no)?;
        record(
            tx,
            no,
            &campaign,
            &guard,
            (&actor, "campaign.approved", &reason),
        )
    };
    app.store.tx("approve_campaign", work).await?;
    app.facts_changed();
    app.work.notify_one();
    campaigns::get(app, tenant, id)
}

/// Refuses a campaign that waits: nothing of it is ever granted.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] `reason_needed`, `reason_too_long`; [`Error::Conflict`] `nothing_waits`.
pub async fn refuse(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    id: &str,
    decision: Decision,
) -> Result<CampaignView> {
    let reason = decision.reason()?;
    let (no, actor, named) = (tenant.no(), actor.id.clone(), campaign_id(id)?);
    let work = move |tx: &mut Tx<'_>| {
        let campaign = known(tx, no, &named)?;
        let guard = waiting(tx, no, &campaign)?;
        tx.decide_guard(no, campaign.no, "refused", &actor, &reason)?;
        if tx.revoke_campaign(no, campaign.no, &format!("refused: {reason}"))? {
            cancel::answered(tx, no, &campaign.id)?;
        }
        let now = tx.now_ms();
        tx.want_job(no, kind::CLEARANCE, &campaign.no.to_string(), now)?;
        record(
            tx,
            no,
            &campaign,
            &guard,
            (&actor, "campaign.refused", &reason),
        )
    };
    app.store.tx("refuse_campaign", work).await?;
    app.facts_changed();
    app.work.notify_one();
    campaigns::get(app, tenant, id)
}

/// What waits for a decision.
fn waiting(tx: &mut Tx<'_>, tenant: i64, campaign: &Campaign) -> Result<Guard> {
    let guard = tx.guard(tenant, campaign.no)?;
    guard
        .filter(|guard| guard.state == "held" && campaign.revoked_at.is_none())
        .ok_or_else(|| Error::conflict("nothing_waits", "The campaign does not wait for anybody."))
}

/// The second person is none of those whose word the figures follow from.
fn refuse_the_first(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    tenant: i64,
    campaign: &Campaign,
    guard: &Guard,
    actor: &str,
) -> Result<()> {
    let same = |what: &str| {
        let message = format!("You {what}: somebody else has to approve.");
        Err(Error::conflict("same_person", message))
    };
    if guard.asked_by.as_deref() == Some(actor) {
        return same("asked for the dry run");
    }
    let row = tx.tenant(tenant_id)?.ok_or(Error::NotFound("tenant"))?;
    if Tenant::read(row)?.settings.guards_set_by.as_deref() == Some(actor) {
        return same("set the bounds");
    }
    for offer in tx.offers(tenant, campaign.no)? {
        if tx.promotion_made_by(tenant, &offer.code_fold)?.as_deref() == Some(actor) {
            return same(&format!("wrote promotion {}", offer.code));
        }
    }
    Ok(())
}

fn record(
    tx: &mut Tx<'_>,
    tenant: i64,
    campaign: &Campaign,
    guard: &Guard,
    (actor, action, reason): (&str, &str, &str),
) -> Result<()> {
    let detail = serde_json::json!({
        "reason": reason, "figures": figures::json(guard.figures.as_deref())?,
        "beyond": figures::json(guard.beyond.as_deref())?,
    });
    Object::Campaign(&campaign.id).record(tx, tenant, actor, action, &detail)?;
    Ok(())
}
