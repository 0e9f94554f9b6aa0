//! The switch of one promotion: from its commit on nothing of it is granted, promised or redeemed, until a person lets
//! it go on.
//!
//! A stop is a version of its own, under which nothing can be granted, so whoever decides by a promotion's status
//! decides by it. What the promotion was before is kept beside it.

use bestow_core::PromotionStatus;
use bestow_core::id::fold_code;
use bestow_store::Tx;
use bestow_store::promotions::Promotion;

use super::{PromotionView, write_version};
use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::campaigns::StopReason;
use crate::service::release;
use crate::tenant::Tenant;
use crate::work::kind;

/// A put changes what a promotion goes on as, not that it is stopped.
pub(super) fn keep(known: &Promotion, wanted: &mut Promotion) {
    if known.resumes_as.is_some() {
        let put = std::mem::replace(&mut wanted.status, known.status.clone());
        wanted.resumes_as = Some(put);
        wanted.stop_reason.clone_from(&known.stop_reason);
    }
}

/// Stops a promotion. A repeat changes nothing.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] with `reason_too_long`; the store's.
pub async fn stop(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    code: &str,
    stop: StopReason,
) -> Result<PromotionView> {
    let reason = stop.or("stopped by an operator")?;
    let (no, actor, fold) = (tenant.no(), actor.id.clone(), fold_code(code).into_owned());
    let written = app.store.tx("stop_promotion", move |tx| {
        let known = known(tx, no, &fold)?;
        if known.resumes_as.is_some() {
            return Ok(known);
        }
        let detail = serde_json::json!({ "was": known.status, "reason": reason });
        let wanted = Promotion {
            status: PromotionStatus::Stopped.as_str().to_owned(),
            resumes_as: Some(known.status.clone()),
            stop_reason: Some(reason.clone()),
            ..known
        };
        let written = rewrite(tx, no, &wanted)?;
        Object::Promotion(&written.code).record(tx, no, &actor, "promotion.stopped", &detail)?;
        Ok::<_, Error>(written)
    });
    let written = written.await?;
    app.facts_changed();
    written.try_into()
}

/// Lets a stopped promotion go on as what it was put. What waited for it is looked at again, in the same transaction.
///
/// # Errors
/// [`Error::NotFound`]; the store's.
pub async fn resume(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    code: &str,
) -> Result<PromotionView> {
    let (no, actor, fold) = (tenant.no(), actor.id.clone(), fold_code(code).into_owned());
    let written = app.store.tx("resume_promotion", move |tx| {
        let known = known(tx, no, &fold)?;
        let Some(status) = known.resumes_as.clone() else {
            return Ok(known);
        };
        let detail = serde_json::json!({ "as": status, "was": known.stop_reason });
        let wanted = Promotion {
            status,
            resumes_as: None,
            stop_reason: None,
            ..known
        };
        let written = rewrite(tx, no, &wanted)?;
        let now = tx.now_ms();
        release::want_for_code(tx, no, &fold, now)?;
        for campaign in tx.campaigns_granting(no, &fold)? {
            let key = campaign.to_string();
            tx.want_job(no, kind::IMPORT, &key, now)?;
            tx.want_job(no, kind::CLEARANCE, &key, now)?;
        }
        Object::Promotion(&written.code).record(tx, no, &actor, "promotion.resumed", &detail)?;
        Ok::<_, Error>(written)
    });
    let written = written.await?;
    app.facts_changed();
    app.work.notify_one();
    written.try_into()
}

/// The terms stay whose they were.
fn rewrite(tx: &mut Tx<'_>, tenant: i64, wanted: &Promotion) -> Result<Promotion> {
    let made_by = tx.promotion_made_by(tenant, &wanted.code_fold)?;
    write_version(tx, tenant, wanted, &made_by.unwrap_or_default())
}

fn known(tx: &mut Tx<'_>, tenant: i64, code_fold: &str) -> Result<Promotion> {
    let found = tx.promotion(tenant, code_fold)?;
    found.ok_or(Error::NotFound("promotion"))
}
