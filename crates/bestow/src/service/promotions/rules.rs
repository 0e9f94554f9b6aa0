//! The rules that a promotion keeps, and what may be changed of one that is in use.

use bestow_core::window::DURATION_DAYS_MAX;
use bestow_core::{Currency, PromoCode, UniqueCode};
use bestow_store::Tx;
use bestow_store::promotions::Promotion;
use serde_json::{Map, Value};

use super::terms::Reward;
use super::{Kind, Limits, PutPromotion, RedeemTerms, schema};
use crate::error::{Error, Result};
use crate::service::tenants::check_name;
use crate::tenant::Tenant;

/// Bytes of a promotion's reward or metadata, as JSON.
const DOCUMENT_BYTES_MAX: usize = 16_384;

/// A promotion as it would be stored.
pub(super) fn check(code: &str, put: &PutPromotion) -> Result<Promotion> {
    let code =
        PromoCode::define(code).map_err(|e| Error::invalid("bad_promo_code", e.to_string()))?;
    let limits = check_limits(&put.limits)?;
    RedeemTerms::of(&put.reward, &put.limits).map_err(|e| Error::invalid("bad_reward", e))?;
    Ok(Promotion {
        code_fold: code.fold().to_owned(),
        code: code.as_str().to_owned(),
        name: check_name(&put.name)?,
        status: put.status.as_str().to_owned(),
        kind: put.kind.as_str().to_owned(),
        reward: check_document("reward", &put.reward)?,
        limits,
        metadata: check_document("metadata", &put.metadata)?,
        version: 0,
        created_at: 0,
        updated_at: 0,
        synced_name: None,
        fallback_code: check_fallback(put)?,
        validity_days: check_validity(put.validity_days)?,
        resumes_as: None,
        stop_reason: None,
    })
}

/// A reward of the operator's own keeps the tenant's schema. One of a type that Bestow knows has its own rules, and one
/// that says nothing keeps none.
pub(super) fn check_own_reward(tenant: &Tenant, reward: &Map<String, Value>) -> Result<()> {
    let Some(schema) = &tenant.settings.reward_schema else {
        return Ok(());
    };
    if reward.is_empty() || Reward::is_known(reward) {
        return Ok(());
    }
    schema::check(schema, reward).map_err(|e| Error::invalid("bad_reward", e))
}

fn check_validity(days: Option<u16>) -> Result<Option<i64>> {
    match days {
        Some(days) if days > DURATION_DAYS_MAX => {
            let message = format!("validity_days is 0 to {DURATION_DAYS_MAX}, or null");
            Err(Error::invalid("bad_validity_days", message))
        }
        days => Ok(days.map(i64::from)),
    }
}

/// What a promotion gives cannot change its kind under those who have it.
pub(super) fn check_change(
    tx: &mut Tx<'_>,
    tenant: i64,
    known: &Promotion,
    wanted: &Promotion,
) -> Result<()> {
    if known.kind != wanted.kind && tx.code_is_granted(tenant, &known.code_fold)? {
        let message = format!(
            "campaigns have granted {} as kind `{}`: use another code for another kind",
            known.code, known.kind
        );
        return Err(Error::conflict("kind_in_use", message));
    }
    if known.fallback_code != wanted.fallback_code {
        let pool = tx.pool(tenant, &known.code_fold)?;
        if let Some(given) = pool.map(|pool| pool.fallbacks).filter(|given| *given > 0) {
            let message = format!(
                "{given} customers have the fallback code of {}: it cannot change any more",
                known.code
            );
            return Err(Error::conflict("fallback_in_use", message));
        }
    }
    Ok(())
}

fn check_fallback(put: &PutPromotion) -> Result<Option<String>> {
    let Some(text) = &put.fallback_code else {
        return Ok(None);
    };
    if put.kind != Kind::Unique {
        let message = "a fallback code is for promotions of kind `unique`";
        return Err(Error::invalid("bad_fallback_code", message));
    }
    let code =
        UniqueCode::parse(text).map_err(|e| Error::invalid("bad_fallback_code", e.to_string()))?;
    Ok(Some(code.as_str().to_owned()))
}

fn check_document(field: &str, document: &Map<String, Value>) -> Result<String> {
    let text = serde_json::to_string(document)
        .map_err(|e| Error::invalid("bad_document", format!("{field}: {e}")))?;
    if text.len() > DOCUMENT_BYTES_MAX {
        let message = format!("{field} has more than {DOCUMENT_BYTES_MAX} bytes");
        return Err(Error::invalid("bad_document", message));
    }
    Ok(text)
}

fn check_limits(limits: &Limits) -> Result<String> {
    let wrong = |message: &str| Err(Error::invalid("bad_limits", message));
    if limits.per_customer == Some(0) || limits.total == Some(0) || limits.per_grant == 0 {
        return wrong("a limit is above zero, or null for none");
    }
    let budgets = [
        limits.budget_minor,
        limits.budget_day_minor,
        limits.budget_week_minor,
        limits.budget_month_minor,
    ];
    if budgets.iter().flatten().any(|budget| *budget <= 0) {
        return wrong("a budget is above zero, in minor units, or null for none");
    }
    let worst_case = limits.worst_case_minor;
    let liability_max = limits.campaign_liability_max_minor;
    if worst_case.is_some_and(|each| each < 0) || liability_max.is_some_and(|max| max < 0) {
        return wrong("a cost is in minor units, and not below zero");
    }
    if (worst_case.is_some() || liability_max.is_some()) && limits.currency.is_none() {
        return wrong("a cost needs its currency");
    }
    if limits.facts().has_budget() && limits.currency.is_none() {
        return wrong("a budget needs its currency");
    }
    let currency = limits.currency.as_deref().map(Currency::parse).transpose();
    let currency = currency.map_err(|e| Error::invalid("bad_limits", e.to_string()))?;
    let limits = Limits {
        currency: currency.map(|c| c.as_str().to_owned()),
        ..limits.clone()
    };
    serde_json::to_string(&limits).map_err(|e| Error::invalid("bad_limits", e.to_string()))
}

pub(super) fn is_equal(a: &Promotion, b: &Promotion) -> bool {
    let said = |p: &Promotion| {
        let texts = [
            &p.name,
            p.put_status(),
            &p.kind,
            &p.reward,
            &p.limits,
            &p.metadata,
        ];
        (texts.map(str::to_owned), p.fallback_code.clone())
    };
    said(a) == said(b) && a.validity_days == b.validity_days
}

/// Everything that was said of a promotion, as its version keeps it.
pub(super) fn terms(promotion: &Promotion) -> Result<Value> {
    let json = |text: &str| {
        serde_json::from_str::<Value>(text)
            .map_err(|e| Error::invalid("bad_document", e.to_string()))
    };
    Ok(serde_json::json!({
        "name": promotion.name, "kind": promotion.kind, "reward": json(&promotion.reward)?,
        "limits": json(&promotion.limits)?, "metadata": json(&promotion.metadata)?,
        "validity_days": promotion.validity_days, "fallback_code": promotion.fallback_code,
    }))
}

/// What an audit record says of a promotion that was written.
pub(super) fn changed(before: Option<&Promotion>, after: &Promotion) -> Result<Value> {
    let told = |promotion: &Promotion| {
        let mut told = terms(promotion)?;
        told["status"] = promotion.status.clone().into();
        told["version"] = promotion.version.into();
        Ok::<_, Error>(told)
    };
    Ok(serde_json::json!({ "before": before.map(told).transpose()?, "after": told(after)? }))
}
