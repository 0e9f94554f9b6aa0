//! The catalogue: our promotions, which Optimove's list follows.

mod csv;
mod drift;
mod plan;
mod rules;
pub(crate) mod schema;
mod stop;
mod sync;
mod terms;
mod versions;
mod write;

pub use csv::{COLUMNS, Catalogue, CsvReport, cells, import_csv};
pub use drift::{Drift, drift, run};
pub use plan::{ChangedThere, RefusedCode};
pub use stop::{resume, stop};
pub use sync::{CatalogueReport, Foreign, SyncWish, sync, sync_with};
pub(crate) use terms::RedeemTerms;
pub use versions::{VersionView, versions};

use bestow_core::id::fold_code;
use bestow_store::Tx;
use bestow_store::promotions::Promotion;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use rules::{changed, check, check_change, check_own_reward, is_equal, terms};

use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::release;
use crate::service::view::Instant;
use crate::tenant::Tenant;

/// A promotion to be written. Body of `PUT /v1/tenants/{tenant}/promotions/{code}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutPromotion {
    /// Name, as marketers see it in Optimove.
    pub name: String,
    /// Where it stands.
    #[serde(default)]
    pub status: Status,
    /// What the customer is given to type.
    #[serde(default)]
    pub kind: Kind,
    /// What it gives; the meaning is the operator's own.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub reward: Map<String, Value>,
    /// How far it may go.
    #[serde(default)]
    pub limits: Limits,
    /// Whatever the operator wants to keep beside it.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// Days that a triggered grant lasts where its campaign's notes say nothing, 0 to 3650; `null`:
    /// the tenant's default.
    #[serde(default)]
    pub validity_days: Option<u16>,
    /// Of kind `unique`: what everybody gets once the pool is empty; null lets them wait.
    #[serde(default)]
    pub fallback_code: Option<String>,
}

/// Where a promotion stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Being written; not shown to Optimove, not granted.
    Draft,
    /// Granted and redeemable.
    #[default]
    Active,
    /// Granted, and not redeemable for now.
    Paused,
    /// Over for good.
    Archived,
}

impl Status {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Archived => "archived",
        }
    }
}

/// What the customer is given to type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The promo code itself, the same for all.
    #[default]
    Shared,
    /// A code of their own out of the promotion's pool.
    Unique,
}

impl Kind {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Unique => "unique",
        }
    }
}

/// Upper bounds; `null` is no bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Grants that one customer may use; 1 unless said otherwise.
    pub per_customer: Option<u64>,
    /// How often one grant may be used; 1 unless said otherwise. One that is used in parts is used
    /// until nothing is left.
    pub per_grant: u32,
    /// Grants that all customers together may use.
    pub total: Option<u64>,
    /// Value of all redemptions, in minor units of `currency`.
    pub budget_minor: Option<i64>,
    /// Value of the redemptions of one day of the tenant's time zone.
    pub budget_day_minor: Option<i64>,
    /// Value of the redemptions of one week, from Monday.
    pub budget_week_minor: Option<i64>,
    /// Value of the redemptions of one month.
    pub budget_month_minor: Option<i64>,
    /// Three letters.
    pub currency: Option<String>,
    /// What one use costs at most, in minor units of `currency`, where the reward does not say it: a guard reckons with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_case_minor: Option<i64>,
    /// Grants that one campaign may make before a second person has to let it go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign_grants_max: Option<u64>,
    /// What one campaign may cost at most, in minor units of `currency`, before a second person has to let it go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign_liability_max_minor: Option<i64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_customer: Some(1),
            per_grant: 1,
            total: None,
            budget_minor: None,
            budget_day_minor: None,
            budget_week_minor: None,
            budget_month_minor: None,
            currency: None,
            worst_case_minor: None,
            campaign_grants_max: None,
            campaign_liability_max_minor: None,
        }
    }
}

/// A promotion as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PromotionView {
    /// The code, as it was first spelled.
    pub code: String,
    /// Name, as marketers see it.
    pub name: String,
    /// `draft`, `active`, `paused` or `archived`, as it was put.
    pub status: String,
    /// Whether a person stopped it: whatever its status, nothing of it is granted, promised or redeemed.
    pub stopped: bool,
    /// Why it is stopped, for people.
    pub stop_reason: Option<String>,
    /// `shared` or `unique`.
    pub kind: String,
    /// What it gives.
    #[schema(value_type = Object)]
    pub reward: Value,
    /// How far it may go.
    #[schema(value_type = Limits)]
    pub limits: Value,
    /// Whatever is kept beside it.
    #[schema(value_type = Object)]
    pub metadata: Value,
    /// Days that a triggered grant lasts where its campaign's notes say nothing.
    pub validity_days: Option<i64>,
    /// Of kind `unique`: what everybody gets once the pool is empty.
    pub fallback_code: Option<String>,
    /// Rises with every change.
    pub version: i64,
    /// When it was first written.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
}

impl PutPromotion {
    /// An active promotion with this name and nothing else said about it.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            status: Status::default(),
            kind: Kind::default(),
            reward: Map::new(),
            limits: Limits::default(),
            metadata: Map::new(),
            validity_days: None,
            fallback_code: None,
        }
    }
}

impl TryFrom<PromotionView> for PutPromotion {
    type Error = Error;

    /// What would have to be put to write the same promotion.
    fn try_from(view: PromotionView) -> Result<Self> {
        let said = serde_json::json!({
            "name": view.name, "status": view.status, "kind": view.kind,
            "reward": view.reward, "limits": view.limits, "metadata": view.metadata,
            "validity_days": view.validity_days,
            "fallback_code": view.fallback_code,
        });
        serde_json::from_value(said).map_err(|e| {
            let message = format!("promotion {} as stored: {e}", view.code);
            Error::Store(bestow_store::Error::Corrupt(message))
        })
    }
}

/// What a put did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The code is new.
    Created,
    /// Something is different now.
    Changed,
    /// It was so already.
    Unchanged,
}

impl TryFrom<Promotion> for PromotionView {
    type Error = Error;

    fn try_from(promotion: Promotion) -> Result<Self> {
        let json = |text: &str| {
            serde_json::from_str(text).map_err(|e| {
                let message = format!("promotion {} as stored: {e}", promotion.code);
                Error::Store(bestow_store::Error::Corrupt(message))
            })
        };
        Ok(Self {
            status: promotion.put_status().to_owned(),
            stopped: promotion.resumes_as.is_some(),
            reward: json(&promotion.reward)?,
            limits: json(&promotion.limits)?,
            metadata: json(&promotion.metadata)?,
            validity_days: promotion.validity_days,
            version: promotion.version,
            created_at: Instant(promotion.created_at),
            updated_at: Instant(promotion.updated_at),
            code: promotion.code,
            name: promotion.name,
            kind: promotion.kind,
            fallback_code: promotion.fallback_code,
            stop_reason: promotion.stop_reason,
        })
    }
}

/// Writes a promotion. Pairs that are held for its code are looked at again, in the same
/// transaction.
///
/// # Errors
/// [`Error::Invalid`] for a value that breaks a rule; [`Error::Conflict`] `other_spelling` where
/// the catalogue has the code with other letter case: the two would be one; `kind_in_use` and `fallback_in_use` where
/// customers have what would change.
pub async fn put(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    code: &str,
    put: PutPromotion,
) -> Result<(PromotionView, Put)> {
    let mut wanted = check(code, &put)?;
    check_own_reward(tenant, &put.reward)?;
    let (no, actor) = (tenant.no(), actor.id.clone());
    let (written, what) = app
        .store
        .tx("put_promotion", move |tx| {
            let known = tx.promotion(no, &wanted.code_fold)?;
            if let Some(known) = &known {
                if known.code != wanted.code {
                    let message = format!(
                        "the catalogue has this code as {}: letter case does not tell codes apart",
                        known.code
                    );
                    return Err(Error::conflict("other_spelling", message));
                }
                if is_equal(known, &wanted) {
                    return Ok((known.clone(), Put::Unchanged));
                }
                check_change(tx, no, known, &wanted)?;
                stop::keep(known, &mut wanted);
            }
            let written = write_version(tx, no, &wanted, &actor)?;
            let now = tx.now_ms();
            release::want_for_code(tx, no, &wanted.code_fold, now)?;
            let object = Object::Promotion(&written.code);
            let detail = changed(known.as_ref(), &written)?;
            object.record(tx, no, &actor, "promotion.put", &detail)?;
            Ok((
                written,
                if known.is_none() {
                    Put::Created
                } else {
                    Put::Changed
                },
            ))
        })
        .await?;
    if what != Put::Unchanged {
        app.facts_changed();
        app.work.notify_one();
    }
    Ok((written.try_into()?, what))
}

/// Writes a promotion as it is from now on, and keeps its terms.
fn write_version(
    tx: &mut Tx<'_>,
    tenant: i64,
    wanted: &Promotion,
    made_by: &str,
) -> Result<Promotion> {
    let written = tx.put_promotion(tenant, wanted)?;
    tx.add_promotion_version(tenant, &written, &terms(&written)?.to_string(), made_by)?;
    Ok(written)
}

/// One promotion, by its code in any letter case.
///
/// # Errors
/// [`Error::NotFound`].
pub fn get(app: &App, tenant: &Tenant, code: &str) -> Result<PromotionView> {
    let fold = fold_code(code);
    let found = app.store.peek(|tx| tx.promotion(tenant.no(), &fold))?;
    found.ok_or(Error::NotFound("promotion"))?.try_into()
}

/// Promotions behind a code, in the order of codes without letter case. The code to go on from is
/// the last one's.
///
/// # Errors
/// The store's.
pub fn list(app: &App, tenant: &Tenant, after: &str, limit: u32) -> Result<Vec<PromotionView>> {
    let after = fold_code(after);
    let found = app
        .store
        .peek(|tx| tx.promotions(tenant.no(), &after, limit))?;
    found.into_iter().map(PromotionView::try_from).collect()
}
