//! Grants as the outside sees them: of one customer, and of one campaign.
//!
//! Nothing here is stored: the status follows from the facts and the instant of asking, and the id
//! from the key.

mod walk;

use std::collections::HashMap;
use std::sync::Arc;

use bestow_core::id::fold_code;
use bestow_core::{
    CampaignFacts, CampaignId, Clearance, CustomerId, GrantFacts, GrantStatus, Window, grant,
};
use bestow_store::campaigns::{Campaign, Walls, WindowSpec};
use bestow_store::grants::{Grant as GrantRow, Used};
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::clock::instant;
use crate::error::{Error, Result};
use crate::facts::cleared;
use crate::service::codes;
use crate::service::ended::Ends;
use crate::service::view::Instant;
use crate::tenant::Tenant;

pub use walk::{CampaignGrants, CampaignPlace};

/// Rows read at once when the grants of one customer are listed by status.
const CUSTOMER_GRANTS_AT_ONCE: u32 = 500;

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GrantView {
    /// Stable; follows from tenant, campaign, customer, promo code and occurrence.
    #[schema(examples("grt_05dg9jn8cvzk2q4w7m1h6rtx3e"))]
    pub id: String,
    /// Optimove's customer id, as received.
    pub customer_id: String,
    /// The code, in the spelling of the catalogue.
    pub promo_code: String,
    /// The customer's own code, where the promotion gives one; the fallback code once its pool was empty.
    pub unique_code: Option<String>,
    /// Optimove's campaign id.
    pub campaign_id: String,
    /// Optimove's action, if told.
    pub action_id: Option<i64>,
    /// Optimove's channel, if told.
    pub channel_id: Option<i64>,
    /// `scheduled`, `conditional`, `triggered` or `manual`.
    pub source: String,
    /// `pending`, `awaiting_clearance`, `active`, `suspended`, `redeemed`, `expired`, `revoked` or
    /// `not_cleared`.
    pub status: &'static str,
    /// It can be redeemed from then on.
    pub starts_at: Instant,
    /// It cannot be redeemed from then on; null where only Optimove's daily list ends it.
    pub ends_at: Option<Instant>,
    /// Redemptions, reversed ones taken off.
    pub redeemed_count: u32,
    /// When the page of Optimove's list that gave it landed here.
    pub created_at: Instant,
}

/// Everything that a view of a grant is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) customer: &'a str,
    /// As it is to be shown.
    pub(crate) code: &'a str,
    /// As it compares.
    pub(crate) code_fold: &'a str,
    /// Empty unless triggered.
    pub(crate) occurrence: &'a str,
    /// The customer's own code, as it is shown.
    pub(crate) unique_code: Option<&'a str>,
    pub(crate) window: WindowSpec,
    pub(crate) campaign: &'a Campaign,
    /// Milliseconds; when the page that gave it landed.
    pub(crate) created_at: i64,
    pub(crate) cleared: Clearance,
    pub(crate) used: Used,
}

impl GrantView {
    /// A grant as it is at `now`.
    pub(crate) fn new(tenant: &Tenant, told: Told<'_>, now: Timestamp) -> Self {
        let Told {
            customer,
            campaign,
            window,
            ..
        } = told;
        let facts = GrantFacts {
            cleared: told.cleared,
            ..facts_of_use(window_of(window), told.used)
        };
        let key = [
            tenant.id(),
            &campaign.id,
            customer,
            told.code_fold,
            told.occurrence,
        ];
        Self {
            id: grant_id(&key),
            customer_id: customer.to_owned(),
            promo_code: told.code.to_owned(),
            unique_code: told.unique_code.map(str::to_owned),
            campaign_id: campaign.id.clone(),
            action_id: (window.action != 0).then_some(window.action),
            channel_id: (window.channel != 0).then_some(window.channel),
            // Whatever gave it had said the kind.
            source: campaign.kind.clone().unwrap_or_default(),
            status: grant::status(&facts, &campaign_facts(tenant, campaign), now).as_str(),
            starts_at: Instant(window.starts_at),
            ends_at: window.ends_at.map(Instant),
            redeemed_count: facts.redeemed_count,
            created_at: Instant(told.created_at),
        }
    }
}

/// The facts of a grant that is used so far; what is known of its clearance is to be added.
pub(crate) fn facts_of_use(window: Window, used: Used) -> GrantFacts {
    GrantFacts {
        redeemed_count: used.redeemed,
        uses_max: used.is_spent.then_some(used.redeemed),
        ..GrantFacts::single_use(window)
    }
}

/// What stops a campaign; a suspended tenant stops each of its campaigns.
pub(crate) fn campaign_facts(tenant: &Tenant, campaign: &Campaign) -> CampaignFacts {
    CampaignFacts {
        suspended_at: campaign
            .suspended_at
            .or(tenant.row.suspended_at)
            .map(instant),
        revoked_at: campaign.revoked_at.map(instant),
    }
}

/// The window in the words of the decisions.
pub(crate) fn window_of(spec: WindowSpec) -> Window {
    Window {
        starts_at: instant(spec.starts_at),
        ends_at: spec.ends_at.map(instant),
    }
}

/// A customer id as a path or body names it.
///
/// # Errors
/// [`Error::Invalid`] with `bad_customer_id`.
pub fn customer_id(text: &str) -> Result<&str> {
    CustomerId::check(text).map_err(|e| Error::invalid("bad_customer_id", sentence(&e)))
}

/// A campaign id as a path names it, in its canonical form.
///
/// # Errors
/// [`Error::Invalid`] with `bad_campaign_id`.
pub fn campaign_id(text: &str) -> Result<CampaignId> {
    CampaignId::parse(text).map_err(|e| Error::invalid("bad_campaign_id", sentence(&e)))
}

/// A fault as a sentence of its own.
pub(crate) fn sentence(fault: &impl ToString) -> String {
    let mut text = fault.to_string();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text.push('.');
    text
}

/// Where a list of one customer's grants goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerPlace {
    /// The offer of the last row seen.
    pub offer: i64,
    /// Its occurrence.
    pub occurrence: String,
}

/// Grants of one customer behind a place, in a stable order; only those of one status where it is
/// given.
///
/// # Errors
/// [`Error::Invalid`] for an id or a status that cannot be one; the store's.
pub fn of_customer(
    app: &App,
    tenant: &Tenant,
    customer: &str,
    status: Option<&str>,
    after: Option<CustomerPlace>,
    limit: u32,
) -> Result<Vec<(CustomerPlace, GrantView)>> {
    let customer = customer_id(customer)?;
    let status = status.map(GrantStatus::parse).transpose();
    let status = status.map_err(|e| Error::invalid("bad_status", sentence(&e)))?;
    let (now, mut campaigns) = (app.clock.now(), HashMap::new());
    let mut place = after.unwrap_or(CustomerPlace {
        offer: -1,
        occurrence: String::new(),
    });
    let mut found = Vec::new();
    loop {
        let rows = app.store.peek(|tx| {
            let CustomerPlace { offer, occurrence } = &place;
            tx.customer_grants(
                tenant.no(),
                customer,
                *offer,
                occurrence,
                CUSTOMER_GRANTS_AT_ONCE,
            )
        })?;
        let is_last = rows.len() < CUSTOMER_GRANTS_AT_ONCE as usize;
        let ends = Ends::of(app, tenant, customer)?;
        for mut row in rows {
            row.ends_at = ends.cut(row.offer, &row.occurrence, spec_of(&row)).ends_at;
            let campaign = campaign_of(app, tenant, &row.campaign, &mut campaigns)?;
            let view = of_row(app, tenant, customer, &row, &campaign, now)?;
            place = CustomerPlace {
                offer: row.offer.into(),
                occurrence: row.occurrence,
            };
            if status.is_none_or(|status| status.as_str() == view.status) {
                found.push((place.clone(), view));
            }
            if found.len() >= limit as usize {
                return Ok(found);
            }
        }
        if is_last {
            return Ok(found);
        }
    }
}

fn campaign_of(
    app: &App,
    tenant: &Tenant,
    id: &str,
    known: &mut HashMap<String, Arc<Campaign>>,
) -> Result<Arc<Campaign>> {
    if let Some(campaign) = known.get(id) {
        return Ok(Arc::clone(campaign));
    }
    let found = app.store.peek(|tx| tx.campaign(tenant.no(), id))?;
    let campaign = Arc::new(found.ok_or(Error::NotFound("campaign"))?);
    known.insert(id.to_owned(), Arc::clone(&campaign));
    Ok(campaign)
}

fn of_row(
    app: &App,
    tenant: &Tenant,
    customer: &str,
    row: &GrantRow,
    campaign: &Campaign,
    now: Timestamp,
) -> Result<GrantView> {
    let code_fold = fold_code(&row.code);
    let unique_code = codes::shown(app, tenant.no(), &code_fold, row.given)?;
    let told = Told {
        customer,
        code: &spelling(app, tenant, &code_fold, &row.code)?,
        code_fold: &code_fold,
        occurrence: &row.occurrence,
        unique_code: unique_code.as_deref(),
        window: spec_of(row),
        campaign,
        created_at: row.created_at,
        cleared: cleared(&row.clearance, customer),
        used: row.used,
    };
    Ok(GrantView::new(tenant, told, now))
}

pub(crate) fn spec_of(row: &GrantRow) -> WindowSpec {
    WindowSpec {
        starts_at: row.starts_at,
        ends_at: row.ends_at,
        action: row.action,
        channel: row.channel,
        walls: Walls::default(),
    }
}

/// The catalogue's spelling of a code; the campaign's own where the catalogue has none.
fn spelling(app: &App, tenant: &Tenant, code_fold: &str, own: &str) -> Result<String> {
    let promotion = app.facts.promotion(&app.store, tenant.no(), code_fold)?;
    Ok(promotion.map_or_else(|| own.to_owned(), |promotion| promotion.code.clone()))
}

/// The id of a grant: 128 bits of a digest of its key, in 26 characters. The parts hold no control
/// characters, so that none can pass for two.
pub(crate) fn grant_id(key: &[&str]) -> String {
    let mut digest = Sha256::new();
    for (place, part) in key.iter().enumerate() {
        if place > 0 {
            digest.update([0]);
        }
        digest.update(part);
    }
    let digest = digest.finalize();
    let (first, _) = digest
        .split_first_chunk::<16>()
        .expect("a SHA-256 has 32 bytes");
    let bits = u128::from_be_bytes(*first);
    let mut id = *b"grt_00000000000000000000000000";
    for (place, letter) in id.iter_mut().rev().take(26).enumerate() {
        *letter = BASE32[(bits >> (place * 5)) as usize & 31];
    }
    str::from_utf8(&id)
        .expect("digits and letters are ASCII")
        .to_owned()
}

/// Digits and letters without look-alikes.
const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
