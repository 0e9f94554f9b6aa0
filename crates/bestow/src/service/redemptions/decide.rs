//! The decision on a request to redeem, and its writing. Runs on the writer's thread, in one transaction.

use bestow_core::redemption::Take;
use bestow_core::{GivenCode, Refusal, UniqueCode};
use bestow_store::Tx;
use bestow_store::codes::CodeState;
use bestow_store::grants::{Grant, Used};
use bestow_store::redemptions::{GrantKey, KeptAnswer, NewAnswer, Taking, UseChange};
use http::StatusCode;

use super::ask::{Asked, Typed};
use super::candidate::{Candidate, Verdict, Who};
use super::view::{RedemptionView, State};
use super::{Answered, Decided, back, corrupt};
use crate::clock::instant;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::promotions::RedeemTerms;
use crate::tenant::Tenant;

/// Answers that one request takes with it whose time is over.
const SWEPT_MAX: u32 = 128;

/// Decides and writes, or finds the answer that was given before.
pub(super) fn run(tx: &mut Tx<'_>, asked: &Asked) -> Result<Decided> {
    let tenant = asked.tenant.no();
    if let Some(kept) = tx.kept_answer(tenant, &asked.actor, &asked.key)? {
        return replay(asked, kept);
    }
    let Some(target) = Target::find(tx, asked)? else {
        return keep(tx, asked, Answered::refused(Refusal::NoGrant), true);
    };
    let answer = match Chosen::find(tx, asked, &target)? {
        Err(refusal) => Answered::refused(refusal),
        Ok(chosen) => {
            let view = chosen.write(tx, asked)?;
            let body = serde_json::to_vec(&view).map_err(corrupt)?;
            Answered {
                status: StatusCode::CREATED,
                body,
            }
        }
    };
    keep(tx, asked, answer, false)
}

fn replay(asked: &Asked, kept: KeptAnswer) -> Result<Decided> {
    if kept.request != asked.digest {
        return Ok(Decided::KeyReused);
    }
    let answer = Answered {
        status: StatusCode::from_u16(kept.status).map_err(corrupt)?,
        body: kept.body,
    };
    Ok(Decided::Answered {
        answer,
        missed: false,
    })
}

fn keep(tx: &mut Tx<'_>, asked: &Asked, answer: Answered, missed: bool) -> Result<Decided> {
    let tenant = asked.tenant.no();
    tx.keep_answer(
        tenant,
        &NewAnswer {
            id: &asked.id,
            actor: &asked.actor,
            key: &asked.key,
            request: &asked.digest,
            status: answer.status.as_u16(),
            body: &answer.body,
        },
    )?;
    if let Some(before) = &asked.sweep_before {
        tx.drop_answers(tenant, before, SWEPT_MAX)?;
    }
    Ok(Decided::Answered { answer, missed })
}

/// What a request is about.
struct Target {
    code_fold: String,
    /// The one grant that gave the unique code.
    grant: Option<(u32, String)>,
}

impl Target {
    /// `None` where a unique code is nobody's or somebody else's: the two look the same.
    fn find(tx: &mut Tx<'_>, asked: &Asked) -> Result<Option<Self>> {
        let code = match &asked.code {
            Typed::Promo(fold) => {
                return Ok(Some(Self {
                    code_fold: fold.clone(),
                    grant: None,
                }));
            }
            Typed::Unique(code) => code,
        };
        let tenant = asked.tenant.no();
        let Some(found) = tx.find_code(tenant, code.key())? else {
            return Self::find_fallback(tx, asked, code);
        };
        Ok(match found.state {
            CodeState::Assigned {
                customer,
                offer,
                occurrence,
            } if customer == asked.customer => Some(Self {
                code_fold: found.code_fold,
                grant: Some((offer, occurrence)),
            }),
            CodeState::Assigned { .. } | CodeState::Free | CodeState::Void => None,
        })
    }

    /// A fallback code belongs to everybody whose grant gave it.
    fn find_fallback(tx: &mut Tx<'_>, asked: &Asked, code: &UniqueCode) -> Result<Option<Self>> {
        let tenant = asked.tenant.no();
        for (code_fold, fallback) in tx.fallback_codes(tenant)? {
            let is_it = UniqueCode::parse(&fallback).is_ok_and(|one| one.key() == code.key());
            if !is_it {
                continue;
            }
            let grants = tx.grants_for_code(tenant, &asked.customer, &code_fold)?;
            let gave = |grant: &&Grant| grant.given == GivenCode::Fallback;
            if let Some(grant) = grants.iter().find(gave) {
                let grant = Some((grant.offer, grant.occurrence.clone()));
                return Ok(Some(Self { code_fold, grant }));
            }
        }
        Ok(None)
    }
}

/// A grant that is to be used, and what it takes.
struct Chosen {
    candidate: Candidate,
    take: Take,
}

impl Chosen {
    fn find(tx: &mut Tx<'_>, asked: &Asked, target: &Target) -> Result<Verdict<Self>> {
        let who = Who {
            tenant: &asked.tenant,
            customer: &asked.customer,
            code_fold: &target.code_fold,
        };
        let candidate = match Candidate::find(tx, who, target.grant.as_ref())? {
            Err(refusal) => return Ok(Err(refusal)),
            Ok(candidate) => candidate,
        };
        check_currency(asked, &candidate.terms)?;
        let take = match candidate.take(asked.amount) {
            Err(refusal) => return Ok(Err(refusal)),
            Ok(take) => take,
        };
        if take.amount.is_none() && candidate.facts.limits.has_budget() {
            let message = "The promotion has a budget: `amount_minor` says what is taken of it.";
            return Err(Error::invalid("amount_required", message));
        }
        let amount = take.amount_or_zero();
        let mut covered = candidate.covered(tx, who, amount, (candidate.promotion.used, &[]))?;
        // Pledges that have lapsed are given back before anybody is refused.
        while covered.is_err()
            && candidate.may_have_lapsed()
            && back::give_back_lapsed(tx, who.tenant.no(), who.code_fold)?
        {
            let used = tx.promotion_use(who.tenant.no(), who.code_fold, "")?;
            covered = candidate.covered(tx, who, amount, (used, &[]))?;
        }
        Ok(covered.map(|()| Self { candidate, take }))
    }

    fn write(self, tx: &mut Tx<'_>, asked: &Asked) -> Result<RedemptionView> {
        let (tenant, now) = (asked.tenant.no(), tx.now_ms());
        let Candidate {
            mut grant,
            promotion,
            facts,
            version,
            terms,
            ..
        } = self.candidate;
        let key = GrantKey {
            customer: asked.customer.clone(),
            offer: grant.offer,
            occurrence: grant.occurrence.clone(),
        };
        if grant.used.pledged_until.is_some() {
            // It can only have lapsed, or the grant could not be used.
            grant.used = back::lapse(tx, tenant, &key, grant.used)?;
        }
        let amount = self.take.amount_or_zero();
        let counts_in_periods = facts.limits.has_period_budget() && amount.0 > 0;
        let currency = self.take.amount.and(terms.currency.or(asked.currency));
        let taking = Taking {
            id: asked.id.clone(),
            grant: key,
            code_fold: promotion.code_fold,
            version,
            amount_minor: amount.0,
            currency: currency.map(|currency| currency.to_string()),
            day: counts_in_periods.then(|| today(&asked.tenant, now)),
            reference: asked.reference.clone(),
            actor: asked.actor.clone(),
        };
        let state = match asked.pledge_ms {
            None => State::Redeemed { at: now },
            Some(ms) => State::Pledged {
                at: now,
                lapses_at: now.saturating_add(ms),
            },
        };
        let (becomes, pledged) = if let State::Pledged { lapses_at, .. } = state {
            tx.add_pledge(tenant, &taking, lapses_at)?;
            let becomes = Used {
                pledged_until: Some(lapses_at),
                ..grant.used
            };
            (becomes, 1)
        } else {
            tx.add_redemption(tenant, &taking)?;
            let becomes = Used {
                redeemed: grant.used.redeemed.saturating_add(1),
                is_spent: self.take.uses_up,
                pledged_until: None,
            };
            (becomes, 0)
        };
        let change = UseChange {
            used: back::counted(becomes) - back::counted(grant.used),
            spent_minor: amount.0,
            pledged,
        };
        back::move_on(tx, tenant, &taking, becomes, change)?;
        let action = if pledged == 0 {
            "redemption.created"
        } else {
            "redemption.pledged"
        };
        record(tx, tenant, &taking, action, &asked.actor)?;
        let unique_code = unique_code(tx, tenant, &taking.code_fold, grant.given)?;
        Ok(RedemptionView::new(
            &asked.tenant,
            &promotion.code,
            &taking,
            &grant.campaign,
            unique_code,
            self.take.left,
            state,
        ))
    }
}

fn check_currency(asked: &Asked, terms: &RedeemTerms) -> Result<()> {
    match (asked.currency, terms.currency) {
        (Some(asked), Some(terms)) if asked != terms => {
            let message = format!("The promotion is in {terms}, and {asked} was asked for.");
            Err(Error::invalid("currency_mismatch", message))
        }
        _ => Ok(()),
    }
}

fn today(tenant: &Tenant, now_ms: i64) -> String {
    tenant.zone.wall_clock(instant(now_ms)).date().to_string()
}

/// The code that a grant gave, as it is shown.
pub(super) fn unique_code(
    tx: &mut Tx<'_>,
    tenant: i64,
    code_fold: &str,
    given: GivenCode,
) -> Result<Option<String>> {
    Ok(match given {
        GivenCode::Shared => None,
        GivenCode::Own(no) => tx.code_shown(tenant, code_fold, no)?,
        GivenCode::Fallback => {
            let promotion = tx.promotion(tenant, code_fold)?;
            promotion.and_then(|promotion| promotion.fallback_code)
        }
    })
}

/// Tells what was done. Who the customer is stands in the redemption alone.
pub(super) fn record(
    tx: &mut Tx<'_>,
    tenant: i64,
    taking: &Taking,
    action: &str,
    actor: &str,
) -> Result<()> {
    let detail = serde_json::json!({
        "promo_code": taking.code_fold, "version": taking.version,
        "amount_minor": taking.amount_minor, "currency": taking.currency,
    });
    Object::Redemption(&taking.id).record(tx, tenant, actor, action, &detail)?;
    Ok(())
}
