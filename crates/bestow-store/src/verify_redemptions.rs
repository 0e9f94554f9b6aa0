//! Whether redemptions, pledges, grants and the figures of promotions say the same.

use crate::verify::Violation;
use crate::{Error, Row, Tx, values};

/// Violations told of one kind.
const TOLD_MAX: u32 = 100;

/// What redemptions and open pledges take of a promotion's budgets on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaySpent {
    /// The promotion's code, folded.
    pub code_fold: String,
    /// `YYYY-MM-DD` in the tenant's zone.
    pub day: String,
    /// Minor units.
    pub spent_minor: i64,
}

/// What is counted as spent of a promotion in a day, week or month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodSpent {
    /// The promotion's code, folded.
    pub code_fold: String,
    /// By its first day.
    pub period: String,
    /// Minor units.
    pub spent_minor: i64,
}

impl Tx<'_> {
    /// Grants, pledges and promotions that are used otherwise than redemptions say.
    pub fn verify_redemptions(&mut self, tenant: i64) -> Result<Vec<Violation>, Error> {
        let mut broken = self.verify_grant_uses(tenant)?;
        broken.extend(self.verify_pledges(tenant)?);
        broken.extend(self.verify_promotion_uses(tenant)?);
        broken.extend(self.verify_answers(tenant)?);
        Ok(broken)
    }

    fn verify_grant_uses(&mut self, tenant: i64) -> Result<Vec<Violation>, Error> {
        let told = |row: &Row<'_>| {
            let detail = format!(
                "offer {}: {} redemptions stand, {} counted",
                row.int(1)?,
                row.int(2)?,
                row.int(3)?
            );
            Ok(Violation {
                rule: "redemptions_add_up",
                object: format!("customer {}", row.text(0)?),
                detail,
            })
        };
        let mut broken = self.query(
            "-- verify_redeemed
            SELECT r.customer, r.offer, r.standing, COALESCE(g.redeemed, 0)
            FROM (SELECT m.customer, m.offer, m.occurrence, COUNT(*) - COUNT(v.id) AS standing
                FROM redemption m LEFT JOIN reversal v ON v.tenant = m.tenant AND v.id = m.id
                WHERE m.tenant = $1 GROUP BY m.customer, m.offer, m.occurrence) r
            LEFT JOIN grants g ON g.tenant = $1 AND g.customer = r.customer AND g.offer = r.offer
                AND g.occurrence = r.occurrence
            WHERE g.tenant IS NULL OR COALESCE(g.redeemed, 0) <> r.standing
            ORDER BY r.customer, r.offer LIMIT $2",
            values![tenant, TOLD_MAX],
            told,
        )?;
        broken.extend(self.query(
            "-- verify_never_redeemed
            SELECT g.customer, g.offer, 0, COALESCE(g.redeemed, 0) FROM grants g
            WHERE g.tenant = $1 AND (g.redeemed IS NOT NULL OR g.spent IS NOT NULL)
                AND (g.redeemed IS NULL OR NOT EXISTS (SELECT 1 FROM redemption r WHERE r.tenant = g.tenant
                    AND r.customer = g.customer AND r.offer = g.offer AND r.occurrence = g.occurrence))
            ORDER BY g.customer, g.offer LIMIT $2",
            values![tenant, TOLD_MAX],
            told,
        )?);
        broken.extend(self.query(
            "-- verify_reversals
            SELECT v.id FROM reversal v WHERE v.tenant = $1
                AND NOT EXISTS (SELECT 1 FROM redemption r WHERE r.tenant = v.tenant AND r.id = v.id)
            ORDER BY v.id LIMIT $2",
            values![tenant, TOLD_MAX],
            |row| {
                Ok(Violation {
                    rule: "reversal_refers",
                    object: format!("redemption {}", row.text(0)?),
                    detail: "it is undone and never was".into(),
                })
            },
        )?);
        Ok(broken)
    }

    fn verify_pledges(&mut self, tenant: i64) -> Result<Vec<Violation>, Error> {
        let told = |row: &Row<'_>| {
            let detail = format!("offer {}: the grant and its cart disagree", row.int(1)?);
            Ok(Violation {
                rule: "pledges_agree",
                object: format!("customer {}", row.text(0)?),
                detail,
            })
        };
        let mut broken = self.query(
            "-- verify_pledges
            SELECT p.customer, p.offer FROM pledge p
            LEFT JOIN grants g ON g.tenant = p.tenant AND g.customer = p.customer AND g.offer = p.offer
                AND g.occurrence = p.occurrence
            WHERE p.tenant = $1 AND p.state = 'open' AND (g.pledged_until IS NULL OR g.pledged_until <> p.lapses_at)
            ORDER BY p.customer, p.offer LIMIT $2",
            values![tenant, TOLD_MAX],
            told,
        )?;
        broken.extend(self.query(
            "-- verify_pledged
            SELECT g.customer, g.offer FROM grants g
            WHERE g.tenant = $1 AND g.pledged_until IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM pledge p WHERE p.tenant = g.tenant AND p.customer = g.customer
                    AND p.offer = g.offer AND p.occurrence = g.occurrence AND p.state = 'open')
            ORDER BY g.customer, g.offer LIMIT $2",
            values![tenant, TOLD_MAX],
            told,
        )?);
        broken.extend(self.query(
            "-- verify_confirmed
            SELECT p.id, p.state FROM pledge p
            LEFT JOIN redemption r ON r.tenant = p.tenant AND r.id = p.id
            WHERE p.tenant = $1 AND (p.state = 'confirmed') <> (r.id IS NOT NULL)
            ORDER BY p.id LIMIT $2",
            values![tenant, TOLD_MAX],
            |row| {
                Ok(Violation {
                    rule: "pledges_agree",
                    object: format!("redemption {}", row.text(0)?),
                    detail: format!("its pledge is {}", row.text(1)?),
                })
            },
        )?);
        Ok(broken)
    }

    fn verify_promotion_uses(&mut self, tenant: i64) -> Result<Vec<Violation>, Error> {
        self.query(
            "-- verify_promotion_uses
            SELECT code_fold, used, used_there, spent, spent_there, pledged, pledged_there FROM (
                SELECT code_fold, SUM(used) AS used, SUM(used_there) AS used_there, SUM(spent) AS spent,
                    SUM(spent_there) AS spent_there, SUM(pledged) AS pledged, SUM(pledged_there) AS pledged_there
                FROM (
                    SELECT code_fold, used, 0 AS used_there, spent_minor AS spent, 0 AS spent_there, pledged,
                        0 AS pledged_there
                    FROM promotion_use WHERE tenant = $1 AND period = ''
                    UNION ALL
                    SELECT o.code_fold, 0, 1, 0, 0, 0, 0 FROM grants g
                    JOIN offer o ON o.tenant = g.tenant AND o.no = g.offer
                    WHERE g.tenant = $1 AND (g.redeemed IS NOT NULL OR g.pledged_until IS NOT NULL)
                    UNION ALL
                    SELECT r.code_fold, 0, 0, 0, r.amount_minor, 0, 0 FROM redemption r
                    WHERE r.tenant = $1
                        AND NOT EXISTS (SELECT 1 FROM reversal v WHERE v.tenant = r.tenant AND v.id = r.id)
                    UNION ALL
                    SELECT p.code_fold, 0, 0, 0, p.amount_minor, 0, 1 FROM pledge p
                    WHERE p.tenant = $1 AND p.state = 'open'
                ) said GROUP BY code_fold
            ) summed
            WHERE used <> used_there OR spent <> spent_there OR pledged <> pledged_there ORDER BY code_fold LIMIT $2",
            values![tenant, TOLD_MAX],
            |row| {
                let detail = format!(
                    "used {} and {} there, spent {} and {} there, in carts {} and {} there",
                    row.int(1)?,
                    row.int(2)?,
                    row.int(3)?,
                    row.int(4)?,
                    row.int(5)?,
                    row.int(6)?
                );
                Ok(Violation {
                    rule: "use_adds_up",
                    object: format!("promotion {}", row.text(0)?),
                    detail,
                })
            },
        )
    }

    fn verify_answers(&mut self, tenant: i64) -> Result<Vec<Violation>, Error> {
        self.query(
            "-- verify_answers
            SELECT a.id FROM kept_answer a WHERE a.tenant = $1 AND a.status = 201
                AND NOT EXISTS (SELECT 1 FROM redemption r WHERE r.tenant = a.tenant AND r.id = a.id)
                AND NOT EXISTS (SELECT 1 FROM pledge p WHERE p.tenant = a.tenant AND p.id = a.id)
            ORDER BY a.id LIMIT $2",
            values![tenant, TOLD_MAX],
            |row| {
                Ok(Violation {
                    rule: "answers_stand",
                    object: format!("redemption {}", row.text(0)?),
                    detail: "it was answered and is not there".into(),
                })
            },
        )
    }

    /// What redemptions and open pledges take of budgets, day by day.
    pub fn spent_by_day(&mut self, tenant: i64) -> Result<Vec<DaySpent>, Error> {
        self.query(
            "-- spent_by_day
            SELECT code_fold, day, SUM(amount_minor) FROM (
                SELECT r.code_fold, r.day, r.amount_minor FROM redemption r
                WHERE r.tenant = $1 AND r.day IS NOT NULL
                    AND NOT EXISTS (SELECT 1 FROM reversal v WHERE v.tenant = r.tenant AND v.id = r.id)
                UNION ALL
                SELECT p.code_fold, p.day, p.amount_minor FROM pledge p
                WHERE p.tenant = $1 AND p.day IS NOT NULL AND p.state = 'open'
            ) taken GROUP BY code_fold, day ORDER BY code_fold, day",
            values![tenant],
            |row| {
                Ok(DaySpent {
                    code_fold: row.text(0)?,
                    day: row.text(1)?,
                    spent_minor: row.int(2)?,
                })
            },
        )
    }

    /// What is counted as spent in days, weeks and months.
    pub fn spent_in_periods(&mut self, tenant: i64) -> Result<Vec<PeriodSpent>, Error> {
        self.query(
            "-- spent_in_periods
            SELECT code_fold, period, spent_minor FROM promotion_use WHERE tenant = $1 AND period <> ''
            ORDER BY code_fold, period",
            values![tenant],
            |row| {
                Ok(PeriodSpent {
                    code_fold: row.text(0)?,
                    period: row.text(1)?,
                    spent_minor: row.int(2)?,
                })
            },
        )
    }
}
