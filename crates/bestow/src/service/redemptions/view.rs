//! Redemptions as the outside sees them.

use std::sync::Arc;

use bestow_core::Minor;
use bestow_core::redemption::Worth;
use bestow_store::Tx;
use bestow_store::redemptions::{Pledge, Redemption, Taking};
use serde::Serialize;

use super::{corrupt, decide, terms};
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::grants::{customer_id, grant_id};
use crate::service::view::Instant;
use crate::tenant::Tenant;

/// What the ids of redemptions begin with.
const PREFIX: &str = "rdm_";

/// A redemption, or what is set aside to become one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RedemptionView {
    /// Of the redemption; the same before and after it is confirmed.
    #[schema(examples("rdm_01kx3m5c0w6vq2t8n4d7h1rz9f"))]
    pub id: String,
    /// `redeemed` or `reversed`; before that `pledged`, `cancelled` or `lapsed` where it was set aside for a cart.
    pub status: &'static str,
    /// Optimove's customer id.
    pub customer_id: String,
    /// The code, in the spelling of the catalogue.
    pub promo_code: String,
    /// The customer's own code, where the promotion gives one.
    pub unique_code: Option<String>,
    /// Optimove's campaign id.
    pub campaign_id: String,
    /// The grant that was used.
    pub grant_id: String,
    /// The version of the promotion under whose terms the grant was made.
    pub promotion_version: i64,
    /// What it took, in minor units; null where nobody said.
    pub amount_minor: Option<i64>,
    /// Three letters.
    pub currency: Option<String>,
    /// What is left of a grant that is used in parts, in minor units.
    pub left_minor: Option<i64>,
    /// The caller's own word for it.
    pub reference: Option<String>,
    /// When it was redeemed.
    pub redeemed_at: Option<Instant>,
    /// When it was undone.
    pub reversed_at: Option<Instant>,
    /// When it was set aside.
    pub pledged_at: Option<Instant>,
    /// When it lapses, or has lapsed, unless it is confirmed before.
    pub lapses_at: Option<Instant>,
}

/// Where it stands, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Redeemed { at: i64 },
    Pledged { at: i64, lapses_at: i64 },
}

impl RedemptionView {
    /// What was just made.
    pub(super) fn new(
        tenant: &Tenant,
        code: &str,
        taking: &Taking,
        campaign: &str,
        unique_code: Option<String>,
        left: Option<Minor>,
        state: State,
    ) -> Self {
        let grant = &taking.grant;
        let key = [
            tenant.id(),
            campaign,
            &grant.customer,
            &taking.code_fold,
            &grant.occurrence,
        ];
        let (status, redeemed_at, pledged_at, lapses_at) = match state {
            State::Redeemed { at } => ("redeemed", Some(at), None, None),
            State::Pledged { at, lapses_at } => ("pledged", None, Some(at), Some(lapses_at)),
        };
        Self {
            id: shown_id(&taking.id),
            status,
            customer_id: grant.customer.clone(),
            promo_code: code.to_owned(),
            unique_code,
            campaign_id: campaign.to_owned(),
            grant_id: grant_id(&key),
            promotion_version: taking.version,
            amount_minor: (taking.amount_minor > 0).then_some(taking.amount_minor),
            currency: taking.currency.clone(),
            left_minor: left.map(|left| left.0),
            reference: taking.reference.clone(),
            redeemed_at: redeemed_at.map(Instant),
            reversed_at: None,
            pledged_at: pledged_at.map(Instant),
            lapses_at: lapses_at.map(Instant),
        }
    }
}

/// The id as it is kept.
///
/// # Errors
/// [`Error::NotFound`] for what can be none.
pub(super) fn id_in(shown: &str) -> Result<&str> {
    let id = shown.strip_prefix(PREFIX);
    id.ok_or(Error::NotFound("redemption"))
}

/// An id that is kept, as it is shown.
pub(crate) fn shown_id(kept: &str) -> String {
    format!("{PREFIX}{kept}")
}

/// A redemption or pledge by its id as it is kept.
pub(super) fn of_id(tx: &mut Tx<'_>, tenant: &Tenant, id: &str) -> Result<RedemptionView> {
    let (redemption, pledge) = (tx.redemption(tenant.no(), id)?, tx.pledge(tenant.no(), id)?);
    let of_pledge = |view: RedemptionView, pledge: &Pledge| RedemptionView {
        pledged_at: Some(Instant(pledge.pledged_at)),
        lapses_at: Some(Instant(pledge.lapses_at)),
        ..view
    };
    match (redemption, pledge) {
        (Some(redemption), pledge) => {
            let view = of_redemption(tx, tenant, &redemption)?;
            Ok(match pledge {
                Some(pledge) => of_pledge(view, &pledge),
                None => view,
            })
        }
        (None, Some(pledge)) => {
            let state = State::Pledged {
                at: pledge.pledged_at,
                lapses_at: pledge.lapses_at,
            };
            let view = of_taking(tx, tenant, &pledge.taking, state)?;
            let status = match pledge.state.as_str() {
                "cancelled" => "cancelled",
                "open" if pledge.is_open(tx.now_ms()) => "pledged",
                _ => "lapsed",
            };
            Ok(RedemptionView { status, ..view })
        }
        (None, None) => Err(Error::NotFound("redemption")),
    }
}

fn of_redemption(
    tx: &mut Tx<'_>,
    tenant: &Tenant,
    redemption: &Redemption,
) -> Result<RedemptionView> {
    let state = State::Redeemed {
        at: redemption.redeemed_at,
    };
    let view = of_taking(tx, tenant, &redemption.taking, state)?;
    Ok(match redemption.reversed_at {
        None => view,
        Some(at) => RedemptionView {
            status: "reversed",
            reversed_at: Some(Instant(at)),
            ..view
        },
    })
}

fn of_taking(
    tx: &mut Tx<'_>,
    tenant: &Tenant,
    taking: &Taking,
    state: State,
) -> Result<RedemptionView> {
    let (no, grant) = (tenant.no(), &taking.grant);
    let found = tx.grant_of(no, &grant.customer, grant.offer, &grant.occurrence)?;
    let found = found.ok_or_else(|| corrupt("a redemption has no grant"))?;
    let unique_code = decide::unique_code(tx, no, &taking.code_fold, found.given)?;
    let promotion = tx.promotion(no, &taking.code_fold)?;
    let code = promotion.as_ref().map_or(&found.code, |known| &known.code);
    let left = match &promotion {
        Some(known) => left_of(tx, no, taking, known)?,
        None => None,
    };
    Ok(RedemptionView::new(
        tenant,
        code,
        taking,
        &found.campaign,
        unique_code,
        left,
        state,
    ))
}

/// What is left of a grant that is used in parts.
fn left_of(
    tx: &mut Tx<'_>,
    tenant: i64,
    taking: &Taking,
    promotion: &bestow_store::promotions::Promotion,
) -> Result<Option<Minor>> {
    let terms = if promotion.version == taking.version {
        terms::as_kept(&taking.code_fold, &promotion.reward, &promotion.limits)?
    } else {
        terms::of_version(tx, tenant, &taking.code_fold, taking.version)?
    };
    match terms.terms.worth {
        Worth::InParts(whole) => {
            let taken = Minor(tx.taken_of_grant(tenant, &taking.grant)?);
            whole.checked_sub(taken).map(Some).map_err(corrupt)
        }
        _ => Ok(None),
    }
}

/// One redemption.
///
/// # Errors
/// [`Error::NotFound`]; the store's.
pub fn get(app: &App, tenant: &Arc<Tenant>, id: &str) -> Result<RedemptionView> {
    let id = id_in(id)?;
    app.store.read(|tx| of_id(tx, tenant, id))
}

/// Redemptions behind one, oldest first; of one customer where it is given. What is only set aside is not among them.
///
/// # Errors
/// [`Error::Invalid`] for a customer id that cannot be one; the store's.
pub fn list(
    app: &App,
    tenant: &Arc<Tenant>,
    customer: Option<&str>,
    after: &str,
    limit: u32,
) -> Result<Vec<RedemptionView>> {
    let customer = customer.map(customer_id).transpose()?;
    let after = after.strip_prefix(PREFIX).unwrap_or(after);
    app.store.read(|tx| {
        let no = tenant.no();
        let found = match customer {
            Some(customer) => tx.redemptions_of(no, customer, after, limit)?,
            None => tx.redemptions(no, after, limit)?,
        };
        found
            .iter()
            .map(|redemption| of_redemption(tx, tenant, redemption))
            .collect()
    })
}
