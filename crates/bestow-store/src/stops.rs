//! What a person stopped: nothing more of it is granted, by whoever is in the middle of it.

use crate::{Error, Tx, values};

/// What stands in the way of granting a campaign's pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Its tenant is suspended.
    Tenant,
    /// A person suspended it.
    Campaign,
    /// The promotion of one of its codes is stopped.
    Promotion,
}

impl Tx<'_> {
    /// Whether a person stopped the granting of a campaign. A cancel and a revocation do not: what is granted of such a
    /// campaign can never be used.
    pub fn stop_of(&mut self, tenant: i64, campaign: i64) -> Result<Option<Stop>, Error> {
        let found = self.query_one(
            "-- stop_of
            SELECT (SELECT t.suspended_at FROM tenant t WHERE t.no = $1),
                (SELECT c.suspended_at FROM campaign c
                    WHERE c.tenant = $1 AND c.no = $2 AND c.suspended_by = 'operator' AND c.revoked_at IS NULL),
                (SELECT COUNT(*) FROM offer o JOIN promotion p ON p.tenant = o.tenant AND p.code_fold = o.code_fold
                    WHERE o.tenant = $1 AND o.campaign = $2 AND o.hold_reason IS NULL AND p.status = 'stopped')",
            values![tenant, campaign],
            |row| Ok((row.opt_int(0)?, row.opt_int(1)?, row.int(2)?)),
        )?;
        Ok(match found {
            Some((Some(_), _, _)) => Some(Stop::Tenant),
            Some((_, Some(_), _)) => Some(Stop::Campaign),
            Some((_, _, promotions)) if promotions > 0 => Some(Stop::Promotion),
            _ => None,
        })
    }
}
