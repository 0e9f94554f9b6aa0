//! What decides about a redemption beside its grants.

use crate::redemptions::PromotionUse;
use crate::{Error, Tx, values};

/// What a redemption has to know of a promotion, read at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedemptionTerms {
    /// The code, folded.
    pub code_fold: String,
    /// The code, in its first spelling.
    pub code: String,
    /// draft, active, paused or archived.
    pub status: String,
    /// JSON.
    pub reward: String,
    /// JSON.
    pub limits: String,
    /// Rises with every change.
    pub version: i64,
    /// How far it is used up, ever.
    pub used: PromotionUse,
    /// Whether the customer is excluded.
    pub is_excluded: bool,
    /// Milliseconds; when the tenant was suspended.
    pub tenant_suspended_at: Option<i64>,
}

impl Tx<'_> {
    /// What a redemption by this customer has to know of a promotion.
    pub fn redemption_terms(
        &mut self,
        tenant: i64,
        customer: &str,
        code_fold: &str,
    ) -> Result<Option<RedemptionTerms>, Error> {
        self.query_one(
            "-- redemption_terms
            SELECT p.code, p.status, p.reward, p.limits, p.version,
                COALESCE(u.used, 0), COALESCE(u.spent_minor, 0), COALESCE(u.pledged, 0),
                (SELECT COUNT(*) FROM exclusion e
                    WHERE e.tenant = $1 AND e.customer = $2 AND e.code_fold IN ('', $3)),
                (SELECT t.suspended_at FROM tenant t WHERE t.no = $1)
            FROM promotion p
            LEFT JOIN promotion_use u ON u.tenant = p.tenant AND u.code_fold = p.code_fold AND u.period = ''
            WHERE p.tenant = $1 AND p.code_fold = $3",
            values![tenant, customer, code_fold],
            |row| {
                Ok(RedemptionTerms {
                    code_fold: code_fold.to_owned(),
                    code: row.text(0)?,
                    status: row.text(1)?,
                    reward: row.text(2)?,
                    limits: row.text(3)?,
                    version: row.int(4)?,
                    used: PromotionUse {
                        used: row.count(5)?,
                        spent_minor: row.int(6)?,
                        pledged: row.count(7)?,
                    },
                    is_excluded: row.int(8)? > 0,
                    tenant_suspended_at: row.opt_int(9)?,
                })
            },
        )
    }
}
