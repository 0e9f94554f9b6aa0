//! The terms that a grant was made under, read in the transaction that acts on it.

use bestow_core::PromotionStatus;
use bestow_core::redemption::{VersionFacts, version_of};
use bestow_store::Tx;
use bestow_store::redemptions::RedemptionTerms;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::corrupt;
use crate::clock::instant;
use crate::error::Result;
use crate::service::promotions::{Limits, RedeemTerms};

/// What is read of a version's document.
#[derive(Deserialize)]
struct Said {
    reward: Map<String, Value>,
    limits: Limits,
}

/// The version that a grant of a promotion was made under, and its terms. Limits on all of a promotion's grants are not
/// among them: those count as they are now.
pub(super) fn of_grant(
    tx: &mut Tx<'_>,
    tenant: i64,
    code_fold: &str,
    current: &RedemptionTerms,
    limits: &Limits,
    created_at: i64,
) -> Result<(i64, RedeemTerms)> {
    let now = || RedeemTerms::read(&current.reward, limits).map_err(|e| broken(code_fold, &e));
    if current.version == 1 {
        return Ok((1, now()?));
    }
    let mut versions = Vec::new();
    for version in tx.promotion_versions(tenant, code_fold)? {
        let status = PromotionStatus::parse(&version.status).map_err(corrupt)?;
        versions.push(VersionFacts {
            version: version.version,
            made_at: instant(version.made_at),
            is_grantable: status.grantable().is_ok(),
        });
    }
    match version_of(&versions, instant(created_at)) {
        Some(version) if version != current.version => {
            Ok((version, of_version(tx, tenant, code_fold, version)?))
        }
        _ => Ok((current.version, now()?)),
    }
}

/// Terms out of reward and limits as kept.
pub(super) fn as_kept(code_fold: &str, reward: &str, limits: &str) -> Result<RedeemTerms> {
    let limits = serde_json::from_str(limits).map_err(|e| broken(code_fold, &e))?;
    RedeemTerms::read(reward, &limits).map_err(|e| broken(code_fold, &e))
}

/// The terms of one version.
pub(super) fn of_version(
    tx: &mut Tx<'_>,
    tenant: i64,
    code_fold: &str,
    version: i64,
) -> Result<RedeemTerms> {
    let document = tx.promotion_document(tenant, code_fold, version)?;
    let document =
        document.ok_or_else(|| broken(code_fold, &format!("version {version} is gone")))?;
    let said: Said = serde_json::from_str(&document).map_err(|e| broken(code_fold, &e))?;
    RedeemTerms::of(&said.reward, &said.limits).map_err(|e| broken(code_fold, &e))
}

pub(super) fn broken(code_fold: &str, what: &dyn std::fmt::Display) -> crate::error::Error {
    corrupt(format!("promotion {code_fold}: {what}"))
}
