//! Pools of unique codes: their figures, what is loaded into them and taken out, and the warning before they are empty.

mod export;
mod lines;
mod load;

pub use export::{CampaignCodes, CodeRow};
pub use load::{CodesRejected, GENERATED_MAX, Generate, Load, LoadReport, generate};

use bestow_core::id::fold_code;
use bestow_core::pool::{LOW_PERCENTS, low_percent};
use bestow_core::{GivenCode, UniqueCode};
use bestow_store::audit::AuditEntry;
use bestow_store::codes::{CodeState, Pool};
use bestow_store::{Error as StoreError, Tx};
use serde::Serialize;

use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::service::promotions::Kind;
use crate::tenant::Tenant;

/// The finding of a pool that runs low.
const CODES_LOW: &str = "codes_low";

/// How many codes a pool has. Always `loaded = assigned + free + void`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PoolView {
    /// Codes ever loaded.
    pub loaded: u64,
    /// Codes that belong to a customer.
    pub assigned: u64,
    /// Codes that can still be given.
    pub free: u64,
    /// Codes taken out before anybody had them.
    pub void: u64,
    /// Grants that got the fallback code since the pool was empty.
    pub fallbacks: u64,
}

impl From<&Pool> for PoolView {
    fn from(pool: &Pool) -> Self {
        Self {
            loaded: pool.loaded,
            assigned: pool.assigned,
            free: pool.free(),
            void: pool.void,
            fallbacks: pool.fallbacks,
        }
    }
}

/// The figures of a promotion's pool.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] `not_unique` where the promotion gives no unique codes.
pub fn get(app: &App, tenant: &Tenant, code: &str) -> Result<PoolView> {
    let fold = fold_code(code);
    let pool = app.store.read(|tx| unique_pool(tx, tenant.no(), &fold))?;
    Ok(PoolView::from(&pool))
}

/// Takes a free code out of a promotion's pool for good, and gives the figures afterwards. One that was taken out
/// before stays so.
///
/// # Errors
/// [`Error::NotFound`] for a code or promotion that is not there; [`Error::Conflict`] `code_assigned` where a customer
/// has it, `not_unique`.
pub async fn void(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    code: &str,
    unique_code: &str,
) -> Result<PoolView> {
    let unique =
        UniqueCode::parse(unique_code).map_err(|_| Error::NotFound("code in this pool"))?;
    let (no, actor, fold) = (tenant.no(), actor.id.clone(), fold_code(code).into_owned());
    let (view, low) = app
        .store
        .tx("void_code", move |tx| {
            let pool = unique_pool(tx, no, &fold)?;
            let found = tx.find_code(no, unique.key())?;
            let found = found.filter(|found| found.pool == pool.no);
            let found = found.ok_or(Error::NotFound("code in this pool"))?;
            match found.state {
                CodeState::Void => return Ok((PoolView::from(&pool), Vec::new())),
                CodeState::Assigned { .. } => {
                    let message = "a customer has this code: what is given stays given";
                    return Err(Error::conflict("code_assigned", message));
                }
                CodeState::Free => tx.void_code(no, &found)?,
            }
            // The code itself is worth money: its number says which it is.
            tx.audit(&AuditEntry {
                tenant: no,
                actor: &actor,
                action: "code.voided",
                object: &format!("promotion/{fold}/code-no/{}", found.no),
                detail: "{}",
            })?;
            let low = note_low(tx, no)?;
            Ok((PoolView::from(&unique_pool(tx, no, &fold)?), low))
        })
        .await?;
    tell_low(app, low);
    Ok(view)
}

/// The pool of a promotion (by its code folded) that has to be of kind unique.
fn unique_pool(tx: &mut Tx<'_>, tenant: i64, code_fold: &str) -> Result<Pool> {
    let promotion = tx.promotion(tenant, code_fold)?;
    let promotion = promotion.ok_or(Error::NotFound("promotion"))?;
    if promotion.kind != Kind::Unique.as_str() {
        let message = format!(
            "{} is of kind `{}`: only promotions of kind `unique` have codes of their own",
            promotion.code, promotion.kind
        );
        return Err(Error::conflict("not_unique", message));
    }
    let missing = || StoreError::Corrupt(format!("promotion {code_fold} has no pool"));
    Ok(tx.pool(tenant, code_fold)?.ok_or_else(missing)?)
}

/// The unique code that a grant shows, if it gave one.
///
/// # Errors
/// The store's.
pub(crate) fn shown(
    app: &App,
    tenant: i64,
    code_fold: &str,
    given: GivenCode,
) -> std::result::Result<Option<String>, StoreError> {
    match given {
        GivenCode::Shared => Ok(None),
        GivenCode::Fallback => {
            let promotion = app.facts.promotion(&app.store, tenant, code_fold)?;
            Ok(promotion.and_then(|known| known.fallback_code.clone()))
        }
        GivenCode::Own(no) => {
            let found = app.store.peek(|tx| tx.code_shown(tenant, code_fold, no))?;
            let missing =
                || StoreError::Corrupt(format!("code no {no} of {code_fold} is not there"));
            found.ok_or_else(missing).map(Some)
        }
    }
}

/// A pool that has come down to a mark that it was not at before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Low {
    /// The tenant's number.
    tenant: i64,
    code_fold: String,
    percent: u8,
    free: u64,
    loaded: u64,
}

/// Records which pools have run low, once for each mark. To be called in each transaction that takes codes; what it
/// gives goes to [`tell_low`] once that is durable.
///
/// # Errors
/// The store's.
pub(crate) fn note_low(tx: &mut Tx<'_>, tenant: i64) -> std::result::Result<Vec<Low>, StoreError> {
    let mut low = Vec::new();
    for pool in tx.pools_at_most(tenant, LOW_PERCENTS[0])? {
        let Some(percent) = low_percent(pool.loaded, pool.free()) else {
            continue;
        };
        // Nobody has to be told that a pool is empty which nothing was loaded into and nobody asks.
        let is_asked =
            pool.loaded > 0 || !tx.campaigns_waiting(tenant, &pool.code_fold)?.is_empty();
        if i64::from(percent) >= pool.warned || !is_asked {
            continue;
        }
        tx.set_pool_warned(tenant, pool.no, percent.into())?;
        find_low(tx, tenant, &pool)?;
        low.push(Low {
            tenant,
            percent,
            free: pool.free(),
            loaded: pool.loaded,
            code_fold: pool.code_fold,
        });
    }
    Ok(low)
}

fn find_low(tx: &mut Tx<'_>, tenant: i64, pool: &Pool) -> std::result::Result<(), StoreError> {
    let detail = format!("{} of {} unique codes are left", pool.free(), pool.loaded);
    tx.find(tenant, CODES_LOW, &finding_object(&pool.code_fold), &detail)
}

fn finding_object(code_fold: &str) -> String {
    format!("promotion/{code_fold}")
}

/// After codes were loaded: the marks that the pool is above again will be warned of once more.
fn rearm(tx: &mut Tx<'_>, tenant: i64, pool: &Pool) -> std::result::Result<(), StoreError> {
    let percent = low_percent(pool.loaded, pool.free());
    let warned = percent.map_or(100, i64::from).max(pool.warned);
    tx.set_pool_warned(tenant, pool.no, warned)?;
    match percent {
        None => tx.resolve_finding(tenant, CODES_LOW, &finding_object(&pool.code_fold)),
        // It was warned of before it was loaded, and is still low.
        Some(_) if pool.warned < 100 => find_low(tx, tenant, pool),
        Some(_) => Ok(()),
    }
}

/// Tells people of pools that have run low.
pub(crate) fn tell_low(app: &App, low: Vec<Low>) {
    let snapshot = app.directory.snapshot();
    for pool in low {
        let Low {
            tenant,
            code_fold,
            percent,
            free,
            loaded,
        } = pool;
        let Some(tenant) = snapshot.tenant_by_no(tenant) else {
            continue;
        };
        tracing::warn!(
            tenant.id = tenant.id(),
            promotion.code = code_fold,
            codes.free = free,
            codes.loaded = loaded,
            codes.percent = percent,
            "a pool of unique codes runs low"
        );
        app.tell(Event::CodesLow {
            tenant: tenant.id().to_owned(),
            promo_code: code_fold,
            percent,
            free,
            loaded,
        });
    }
}
