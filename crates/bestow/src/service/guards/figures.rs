//! The figures of a campaign as they are kept, shown and approved.

use std::collections::BTreeMap;

use bestow_core::guard::{Beyond, Figures, Totals, WorstCase};
use bestow_core::{Currency, Minor};
use bestow_store::Error as StoreError;
use bestow_store::guards::Guard;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::{Error, Result};
use crate::service::campaigns::Counts;
use crate::service::view::Instant;

/// What was found of a campaign before anything of it was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct GuardView {
    /// `asked`, `passed`, `held`, `approved` or `refused`.
    pub state: String,
    /// What it is beyond, where it waits or waited.
    pub beyond: Vec<BeyondView>,
    /// What it would give; null until it is read.
    pub figures: Option<FiguresView>,
    /// Who asked for a dry run.
    pub asked_by: Option<String>,
    /// When it was last weighed.
    pub weighed_at: Option<Instant>,
    /// Who approved or refused.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Instant>,
    /// Why.
    pub reason: Option<String>,
}

/// A bound that a campaign is beyond.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BeyondView {
    /// `dry_run`, `customers`, `growth`, `liability`, `liability_unknown`, `promotion_grants` or `promotion_liability`.
    pub bound: String,
    /// The code whose promotion it is.
    pub promo_code: Option<String>,
    /// Of amounts.
    pub currency: Option<String>,
    /// The figure; null where nobody knows it.
    pub figure: Option<u64>,
    /// The bound.
    pub max: Option<u64>,
}

/// What a campaign would give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FiguresView {
    /// Distinct customers in its list.
    pub customers: u64,
    /// Grants.
    pub grants: u64,
    /// What they cost at most, in minor units, by currency.
    #[schema(value_type = Object)]
    pub liability_minor: BTreeMap<String, i64>,
    /// Grants of which nobody knows what they cost.
    pub grants_of_unknown_cost: u64,
    /// By code.
    pub codes: Vec<CodeFigures>,
    /// What would become of its rows and pairs.
    pub counts: Counts,
}

/// What a campaign would give of one code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CodeFigures {
    /// The code.
    pub promo_code: String,
    /// Grants of it.
    pub grants: u64,
    /// What one of them costs at most; null where nobody knows.
    pub worst_case_minor: Option<i64>,
    /// What all of them cost at most: no more than can be used, nor than the budget covers.
    pub liability_minor: Option<i64>,
    /// Of both.
    pub currency: Option<String>,
}

impl FiguresView {
    pub(super) fn new(figures: &Figures, counts: Counts) -> Self {
        let codes = figures.codes.iter().map(|code| {
            let worst = match code.worst {
                WorstCase::Each(each) => Some(each),
                WorstCase::Unknown => None,
            };
            let liability = code.liability();
            CodeFigures {
                promo_code: code.code.clone(),
                grants: code.grants,
                worst_case_minor: worst.map(|each| each.amount.0),
                liability_minor: liability.map(|all| all.amount.0),
                currency: worst.or(liability).map(|money| money.currency.to_string()),
            }
        });
        let liability = figures.liability().into_iter();
        Self {
            customers: figures.customers,
            grants: figures.grants(),
            liability_minor: liability
                .map(|(currency, amount)| (currency.to_string(), amount.0))
                .collect(),
            grants_of_unknown_cost: figures.unknown(),
            codes: codes.collect(),
            counts,
        }
    }

    /// What somebody approves by approving these.
    pub(super) fn totals(&self) -> Totals {
        let liability = self
            .liability_minor
            .iter()
            .filter_map(|(currency, amount)| {
                let currency = Currency::parse(currency).ok()?;
                Some((currency, Minor(*amount)))
            });
        Totals {
            customers: self.customers,
            grants: self.grants,
            liability: liability.collect(),
            unknown: self.grants_of_unknown_cost,
        }
    }
}

impl BeyondView {
    pub(super) fn new(beyond: &Beyond, figures: &Figures) -> Self {
        let plain = |bound: &str, figure: Option<u64>, max: Option<u64>| Self {
            bound: bound.to_owned(),
            promo_code: None,
            currency: None,
            figure,
            max,
        };
        let minor = |amount: Minor| u64::try_from(amount.0).unwrap_or_default();
        let of_code = |code: &str| figures.codes.iter().find(|one| one.code == code);
        match beyond {
            Beyond::DryRun => plain("dry_run", None, None),
            Beyond::Customers { max } => plain("customers", Some(figures.customers), Some(*max)),
            Beyond::Growth { max, .. } => plain("growth", Some(figures.customers), Some(*max)),
            Beyond::LiabilityUnknown => plain("liability_unknown", None, None),
            Beyond::Liability {
                currency,
                amount,
                max,
            } => Self {
                currency: Some(currency.to_string()),
                ..plain("liability", Some(minor(*amount)), Some(minor(*max)))
            },
            Beyond::PromotionGrants { code, max } => Self {
                promo_code: Some(code.clone()),
                ..plain(
                    "promotion_grants",
                    of_code(code).map(|one| one.grants),
                    Some(*max),
                )
            },
            Beyond::PromotionLiability { code, amount, max } => {
                let liability = of_code(code).and_then(|one| one.liability());
                Self {
                    promo_code: Some(code.clone()),
                    currency: liability.map(|money| money.currency.to_string()),
                    ..plain("promotion_liability", amount.map(minor), Some(minor(*max)))
                }
            }
        }
    }
}

impl TryFrom<Guard> for GuardView {
    type Error = StoreError;

    fn try_from(guard: Guard) -> std::result::Result<Self, StoreError> {
        let corrupt = |e: serde_json::Error| StoreError::Corrupt(format!("a guard as kept: {e}"));
        let figures = guard.figures.as_deref().map(serde_json::from_str);
        let beyond = guard.beyond.as_deref().map(serde_json::from_str);
        Ok(Self {
            figures: figures.transpose().map_err(corrupt)?,
            beyond: beyond.transpose().map_err(corrupt)?.unwrap_or_default(),
            state: guard.state,
            asked_by: guard.asked_by,
            weighed_at: guard.weighed_at.map(Instant),
            decided_by: guard.decided_by,
            decided_at: guard.decided_at.map(Instant),
            reason: guard.reason,
        })
    }
}

/// JSON as kept.
pub(super) fn json(kept: Option<&str>) -> Result<Value> {
    let kept = kept.unwrap_or("null");
    serde_json::from_str(kept)
        .map_err(|e| Error::Store(StoreError::Corrupt(format!("a guard as kept: {e}"))))
}
