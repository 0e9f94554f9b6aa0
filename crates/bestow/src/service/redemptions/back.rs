//! What becomes of redemptions and pledges afterwards: confirmed, cancelled, lapsed, reversed.

use std::sync::Arc;

use bestow_core::redemption::periods;
use bestow_core::{Minor, Refusal, outcome};
use bestow_store::Tx;
use bestow_store::grants::{Grant, Used};
use bestow_store::redemptions::{GrantKey, Pledge, Taking, UseChange};
use jiff::civil::Date;
use serde::Deserialize;

use super::candidate::{Held, Who, is_in_cart, promotion_facts, so_far};
use super::decide::record;
use super::view::{self, RedemptionView, id_in};
use super::{corrupt, sentence, terms};
use crate::actor::Actor;
use crate::app::App;
use crate::clock::instant;
use crate::error::{Error, Result};
use crate::service::reason;
use crate::tenant::Tenant;

/// Why a redemption is undone. Body of `POST …/redemptions/{id}/reverse`, which may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Undo {
    /// For people, at most 500 characters.
    pub reason: Option<String>,
}

/// Undoes a redemption: its grant can be used again while its window lasts, and its value is back in the budgets. One
/// that is undone stays so.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] `not_redeemed` for what was only set aside; [`Error::Invalid`].
pub async fn reverse(
    app: &App,
    actor: &Actor,
    tenant: &Arc<Tenant>,
    id: &str,
    undo: &Undo,
) -> Result<RedemptionView> {
    let reason = reason::given(undo.reason.as_deref())?;
    let (id, actor, tenant) = (id_in(id)?.to_owned(), actor.id.clone(), Arc::clone(tenant));
    let work = move |tx: &mut Tx<'_>| {
        let no = tenant.no();
        let Some(found) = tx.redemption(no, &id)? else {
            return Err(match tx.pledge(no, &id)? {
                Some(_) => Error::conflict("not_redeemed", "It was only set aside: cancel it."),
                None => Error::NotFound("redemption"),
            });
        };
        if tx.reverse_redemption(no, &id, reason.as_deref(), &actor)? {
            let taking = &found.taking;
            let grant = grant_of(tx, no, &taking.grant)?;
            let becomes = Used {
                redeemed: grant.used.redeemed.saturating_sub(1),
                is_spent: false,
                ..grant.used
            };
            let change = UseChange {
                used: counted(becomes) - counted(grant.used),
                spent_minor: -taking.amount_minor,
                pledged: 0,
            };
            move_on(tx, no, taking, becomes, change)?;
            record(tx, no, taking, "redemption.reversed", &actor)?;
        }
        view::of_id(tx, &tenant, &id)
    };
    app.store.tx("reverse_redemption", work).await
}

/// Makes a redemption of what was set aside. One that was confirmed stays so.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] `pledge_cancelled` or `pledge_lapsed`, or with a refusal's code where the
/// grant cannot be used any more, such as after a cancel.
pub async fn confirm(
    app: &App,
    actor: &Actor,
    tenant: &Arc<Tenant>,
    id: &str,
) -> Result<RedemptionView> {
    let (id, actor, tenant) = (id_in(id)?.to_owned(), actor.id.clone(), Arc::clone(tenant));
    let work = move |tx: &mut Tx<'_>| {
        if let Some(pledge) = tx.pledge(tenant.no(), &id)? {
            match pledge.state.as_str() {
                "cancelled" => return Err(over("pledge_cancelled", "It was cancelled.")),
                "open" if pledge.is_open(tx.now_ms()) => {
                    confirm_open(tx, &tenant, &pledge, &actor)?;
                }
                "confirmed" => {}
                _ => return Err(over("pledge_lapsed", "It was not confirmed in time.")),
            }
        }
        view::of_id(tx, &tenant, &id)
    };
    app.store.tx("confirm_redemption", work).await
}

fn over(code: &'static str, message: &str) -> Error {
    Error::conflict(code, message)
}

fn confirm_open(tx: &mut Tx<'_>, tenant: &Tenant, pledge: &Pledge, actor: &str) -> Result<()> {
    let (no, taking) = (tenant.no(), &pledge.taking);
    let refuse = |refusal: Refusal| Error::conflict(refusal.code(), sentence(refusal));
    let GrantKey {
        customer,
        offer,
        occurrence,
    } = &taking.grant;
    let promotion = tx.redemption_terms(no, customer, &taking.code_fold)?;
    let promotion = promotion.ok_or_else(|| refuse(Refusal::UnknownPromotion))?;
    let who = Who {
        tenant,
        customer,
        code_fold: &taking.code_fold,
    };
    let mut held = Held::load(tx, who, &promotion)?;
    held.only(*offer, occurrence);
    // Limits and budgets have made room for it; what stops a grant counts until the end.
    let (facts, _) = promotion_facts(&taking.code_fold, &promotion)?;
    for (facts, _) in &mut held.facts {
        facts.uses_max = None;
    }
    let index = outcome::usable(Some(&facts), &held.facts, instant(tx.now_ms())).map_err(refuse)?;
    let grant = &held.grants[index];
    let terms = if promotion.version == taking.version {
        terms::as_kept(&taking.code_fold, &promotion.reward, &promotion.limits)?
    } else {
        terms::of_version(tx, no, &taking.code_fold, taking.version)?
    };
    let so_far = so_far(tx, no, grant, customer, &terms)?;
    let asked = (taking.amount_minor > 0).then_some(Minor(taking.amount_minor));
    let take = terms.terms.take(so_far, asked).map_err(refuse)?;
    tx.end_pledge(no, &taking.id, "confirmed")?;
    tx.add_redemption(no, taking)?;
    let becomes = Used {
        redeemed: grant.used.redeemed.saturating_add(1),
        is_spent: take.uses_up,
        pledged_until: None,
    };
    tx.use_grant(no, &taking.grant, becomes)?;
    let change = UseChange {
        pledged: -1,
        ..UseChange::default()
    };
    tx.use_promotion(no, &taking.code_fold, "", change)?;
    record(tx, no, taking, "redemption.confirmed", actor)
}

/// Gives back what was set aside. What is given back, or has lapsed, stays so.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] `already_confirmed` where it became a redemption.
pub async fn cancel(
    app: &App,
    actor: &Actor,
    tenant: &Arc<Tenant>,
    id: &str,
) -> Result<RedemptionView> {
    let (id, actor, tenant) = (id_in(id)?.to_owned(), actor.id.clone(), Arc::clone(tenant));
    let work = move |tx: &mut Tx<'_>| {
        let no = tenant.no();
        let confirmed = || {
            let message = "It is redeemed: reverse it.";
            Error::conflict("already_confirmed", message)
        };
        match tx.pledge(no, &id)? {
            Some(pledge) if pledge.state == "confirmed" => return Err(confirmed()),
            Some(pledge) if pledge.is_open(tx.now_ms()) => {
                let grant = grant_of(tx, no, &pledge.taking.grant)?;
                end(tx, no, &pledge, grant.used, "cancelled")?;
                record(tx, no, &pledge.taking, "redemption.cancelled", &actor)?;
            }
            Some(_) => {}
            None if tx.redemption(no, &id)?.is_some() => return Err(confirmed()),
            None => return Err(Error::NotFound("redemption")),
        }
        view::of_id(tx, &tenant, &id)
    };
    app.store.tx("cancel_redemption", work).await
}

/// Whether a grant is among those that a promotion's limits count.
pub(super) fn counted(used: Used) -> i64 {
    i64::from(used.redeemed > 0 || used.pledged_until.is_some())
}

/// Writes what becomes of a grant and of its promotion's figures.
pub(super) fn move_on(
    tx: &mut Tx<'_>,
    tenant: i64,
    taking: &Taking,
    becomes: Used,
    change: UseChange,
) -> Result<()> {
    tx.use_grant(tenant, &taking.grant, becomes)?;
    tx.use_promotion(tenant, &taking.code_fold, "", change)?;
    let Some(day) = &taking.day else {
        return Ok(());
    };
    let day: Date = day.parse().map_err(corrupt)?;
    let change = UseChange {
        spent_minor: change.spent_minor,
        ..UseChange::default()
    };
    for period in periods(day) {
        tx.use_promotion(tenant, &taking.code_fold, &period, change)?;
    }
    Ok(())
}

/// Gives back what a pledge kept aside that nobody confirmed in time.
pub(super) fn lapse(tx: &mut Tx<'_>, tenant: i64, grant: &GrantKey, used: Used) -> Result<Used> {
    let pledge = tx.open_pledge(tenant, grant)?;
    let pledge = pledge.ok_or_else(|| corrupt("a grant is in a cart that is not there"))?;
    if is_in_cart(used, tx.now_ms()) {
        return Err(corrupt("a pledge that has not lapsed was to be given back"));
    }
    end(tx, tenant, &pledge, used, "lapsed")
}

fn end(tx: &mut Tx<'_>, tenant: i64, pledge: &Pledge, used: Used, state: &str) -> Result<Used> {
    tx.end_pledge(tenant, &pledge.taking.id, state)?;
    let becomes = Used {
        pledged_until: None,
        ..used
    };
    let change = UseChange {
        used: counted(becomes) - counted(used),
        spent_minor: -pledge.taking.amount_minor,
        pledged: -1,
    };
    move_on(tx, tenant, &pledge.taking, becomes, change)?;
    Ok(becomes)
}

/// Gives back what pledges of a promotion kept aside that have lapsed. False where there was nothing.
pub(super) fn give_back_lapsed(tx: &mut Tx<'_>, tenant: i64, code_fold: &str) -> Result<bool> {
    let lapsed = tx.lapsed_pledges(tenant, code_fold)?;
    for pledge in &lapsed {
        let grant = grant_of(tx, tenant, &pledge.taking.grant)?;
        end(tx, tenant, pledge, grant.used, "lapsed")?;
    }
    Ok(!lapsed.is_empty())
}

pub(super) fn grant_of(tx: &mut Tx<'_>, tenant: i64, key: &GrantKey) -> Result<Grant> {
    let grant = tx.grant_of(tenant, &key.customer, key.offer, &key.occurrence)?;
    grant.ok_or_else(|| corrupt(format!("a redemption of offer {} has no grant", key.offer)))
}
