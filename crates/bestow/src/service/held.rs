//! What waits for a person, by campaign and reason, and running it again.
//!
//! A release goes through the same door as an import: pairs of a code that the catalogue knows by
//! now are granted. What is held for another reason stays until its cause is mended, or until its
//! campaign is resumed.

use std::collections::{BTreeMap, BTreeSet};

use bestow_core::{CampaignId, CampaignKind, HoldReason};
use bestow_store::campaigns::Campaign;
use bestow_store::{Error as StoreError, Tx};
use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::app::App;
use crate::error::Result;
use crate::service::audit::Object;
use crate::service::campaigns::{hold_reason, known};
use crate::service::grants::campaign_id;
use crate::service::release;
use crate::tenant::Tenant;
use crate::work::kind;

/// Campaigns looked through at once.
const CAMPAIGNS_AT_ONCE: u32 = 500;
/// Rows shown as examples of one reason in one campaign.
const EXAMPLES_MAX: usize = 10;

/// Pairs of one campaign that are held for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HeldView {
    /// Optimove's campaign id.
    pub campaign_id: String,
    /// Why they are held.
    pub reason: String,
    /// How many pairs.
    pub pairs: i64,
    /// The codes they carry, where the code is the reason.
    pub promo_codes: Vec<String>,
    /// Some of the rows, where the row is the reason.
    pub examples: Vec<HeldRowView>,
}

/// A row that names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HeldRowView {
    /// Page of the campaign.
    pub page: u32,
    /// Place within the page.
    pub row: u32,
    /// A short piece of it, to recognise it by.
    pub extract: String,
}

/// What to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    reason: Option<HoldReason>,
    campaign: Option<CampaignId>,
}

impl Filter {
    /// From what a request names.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] with `bad_reason` or `bad_campaign_id`.
    pub fn new(reason: Option<&str>, campaign: Option<&str>) -> Result<Self> {
        let reason = reason.map(hold_reason).transpose()?;
        Ok(Self {
            reason,
            campaign: campaign.map(campaign_id).transpose()?,
        })
    }
}

/// What to release: all of the tenant's, or what the fields name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Only what is held for this reason.
    #[serde(default)]
    pub reason: Option<String>,
    /// Only of this campaign.
    #[serde(default)]
    pub campaign_id: Option<String>,
}

/// What is being released.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Released {
    /// Campaigns of which something can be granted by now; work on them has begun.
    pub campaigns: Vec<String>,
}

/// Where a list goes on: the number of a campaign, and the last reason of it that was seen.
pub type Place = (i64, String);

/// What is held behind a place, by campaign and reason.
///
/// # Errors
/// [`crate::Error::NotFound`] where the filter names an unknown campaign; the store's.
pub fn list(
    app: &App,
    tenant: &Tenant,
    filter: &Filter,
    after: Place,
    limit: u32,
) -> Result<Vec<(Place, HeldView)>> {
    let (mut found, (first, seen)) = (Vec::new(), after);
    // The campaign of the place itself may have more reasons.
    let mut behind = first - 1;
    loop {
        let (campaigns, is_last) = app
            .store
            .read(|tx| page_of_campaigns(tx, tenant.no(), filter, behind))?;
        for campaign in campaigns {
            behind = campaign.no;
            for view in app
                .store
                .read(|tx| held_of(tx, tenant.no(), &campaign, filter))?
            {
                if campaign.no > first || (campaign.no == first && view.reason > seen) {
                    found.push(((campaign.no, view.reason.clone()), view));
                }
            }
            if found.len() >= limit as usize {
                found.truncate(limit as usize);
                return Ok(found);
            }
        }
        if is_last {
            return Ok(found);
        }
    }
}

/// Wants everything that can be granted by now to be granted.
///
/// # Errors
/// [`crate::Error::Invalid`] and [`crate::Error::NotFound`] for what the request names; the
/// store's.
pub async fn release(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    wanted: Release,
) -> Result<Released> {
    let filter = Filter::new(wanted.reason.as_deref(), wanted.campaign_id.as_deref())?;
    let (mut released, mut behind) = (Released::default(), 0);
    loop {
        let (no, actor, filter) = (tenant.no(), actor.id.clone(), filter.clone());
        let (campaigns, is_last, last) = app
            .store
            .tx("release_held", move |tx| {
                let (campaigns, is_last) = page_of_campaigns(tx, no, &filter, behind)?;
                let last = campaigns.last().map_or(behind, |campaign| campaign.no);
                let wanted = want_releases(tx, no, &actor, &filter, campaigns)?;
                Ok::<_, crate::Error>((wanted, is_last, last))
            })
            .await?;
        released.campaigns.extend(campaigns);
        behind = last;
        if is_last {
            break;
        }
    }
    app.work.notify_one();
    Ok(released)
}

/// Campaigns behind a number, as far as the filter lets them through; and whether they are the
/// last.
fn page_of_campaigns(
    tx: &mut Tx<'_>,
    tenant: i64,
    filter: &Filter,
    behind: i64,
) -> Result<(Vec<Campaign>, bool)> {
    if let Some(id) = &filter.campaign {
        return Ok((vec![known(tx, tenant, id)?], true));
    }
    let campaigns = tx.campaigns(tenant, behind, CAMPAIGNS_AT_ONCE)?;
    let is_last = campaigns.len() < CAMPAIGNS_AT_ONCE as usize;
    Ok((campaigns, is_last))
}

fn want_releases(
    tx: &mut Tx<'_>,
    tenant: i64,
    actor: &str,
    filter: &Filter,
    campaigns: Vec<Campaign>,
) -> std::result::Result<Vec<String>, StoreError> {
    let (mut wanted, now) = (Vec::new(), tx.now_ms());
    for campaign in campaigns {
        let reasons = releasable_reasons(tx, tenant, &campaign)?;
        if reasons.is_empty()
            || filter
                .reason
                .is_some_and(|one| !reasons.contains(one.as_str()))
        {
            continue;
        }
        tx.want_job(tenant, kind::RELEASE, &campaign.no.to_string(), now)?;
        let detail = serde_json::json!({ "reasons": reasons });
        Object::Campaign(&campaign.id).record(tx, tenant, actor, "held.released", &detail)?;
        wanted.push(campaign.id);
    }
    Ok(wanted)
}

/// Why pairs are held that can be looked at again. Triggers are decided anew, whatever held them;
/// of what was listed, what the catalogue lets through by now.
fn releasable_reasons(
    tx: &mut Tx<'_>,
    tenant: i64,
    campaign: &Campaign,
) -> std::result::Result<BTreeSet<String>, StoreError> {
    if campaign.is(CampaignKind::Triggered) {
        let counts = tx.counts(tenant, campaign.no)?;
        let held = counts.iter().filter(|(_, pairs)| *pairs > 0);
        return Ok(held
            .filter_map(|(counter, _)| Some(counter.strip_prefix("held:")?.to_owned()))
            .collect());
    }
    let offers = release::releasable(tx, tenant, campaign.no)?;
    let mut reasons: BTreeSet<String> = offers.into_iter().map(|offer| offer.hold_reason).collect();
    if !release::waiting_with_codes(tx, tenant, campaign.no)?.is_empty() {
        reasons.insert(HoldReason::NoFreeCode.as_str().to_owned());
    }
    Ok(reasons)
}

/// What is held of one campaign, in the order of reasons.
fn held_of(
    tx: &mut Tx<'_>,
    tenant: i64,
    campaign: &Campaign,
    filter: &Filter,
) -> std::result::Result<Vec<HeldView>, StoreError> {
    let mut by_reason: BTreeMap<String, HeldView> = BTreeMap::new();
    for (counter, pairs) in tx.counts(tenant, campaign.no)? {
        let Some(reason) = counter.strip_prefix("held:") else {
            continue;
        };
        let is_wanted = filter.reason.is_none_or(|wanted| wanted.as_str() == reason);
        if pairs > 0 && is_wanted {
            let view = HeldView {
                campaign_id: campaign.id.clone(),
                reason: reason.to_owned(),
                pairs,
                promo_codes: Vec::new(),
                examples: Vec::new(),
            };
            by_reason.insert(reason.to_owned(), view);
        }
    }
    if by_reason.is_empty() {
        return Ok(Vec::new());
    }
    let waiting = tx.waiting_offers(tenant, campaign.no)?;
    for offer in tx.offers(tenant, campaign.no)? {
        let for_code = waiting.contains(&offer.no);
        let for_code = for_code.then(|| HoldReason::NoFreeCode.as_str().to_owned());
        for reason in offer.hold_reason.into_iter().chain(for_code) {
            if let Some(view) = by_reason.get_mut(&reason) {
                view.promo_codes.push(offer.code.clone());
            }
        }
    }
    for (page, row) in tx.held_rows(tenant, campaign.no)? {
        let view = by_reason.get_mut(&row.reason);
        if let Some(view) = view.filter(|view| view.examples.len() < EXAMPLES_MAX) {
            view.examples.push(HeldRowView {
                page,
                row: row.row,
                extract: row.extract,
            });
        }
    }
    Ok(by_reason.into_values().collect())
}
