//! Statements that look for rows which break an invariant. An empty answer is good news.

use crate::{Error, Tx, values};

/// One broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which rule, by a stable name.
    pub rule: &'static str,
    /// Which row.
    pub object: String,
    /// What is wrong with it.
    pub detail: String,
}

impl Tx<'_> {
    /// Campaigns whose counters do not add up, or whose granted pairs are not the grants in the ledger.
    pub fn verify_counts(&mut self, tenant: i64) -> Result<Vec<Violation>, Error> {
        let mut broken = self.query(
            "-- verify_counts
            SELECT id, pairs, settled FROM (SELECT c.id,
                COALESCE(SUM(CASE WHEN n.counter = 'pairs' THEN n.n END), 0) AS pairs,
                COALESCE(SUM(CASE WHEN n.counter IN ('granted', 'repeated') OR n.counter LIKE 'held:%'
                    OR n.counter LIKE 'refused:%' THEN n.n END), 0) AS settled
            FROM campaign c LEFT JOIN campaign_count n ON n.tenant = c.tenant AND n.campaign = c.no
            WHERE c.tenant = $1 GROUP BY c.id) counted WHERE pairs <> settled ORDER BY id",
            values![tenant],
            |row| {
                let detail = format!("{} pairs received, {} settled", row.int(1)?, row.int(2)?);
                Ok(Violation { rule: "counts_add_up", object: format!("campaign {}", row.text(0)?), detail })
            },
        )?;
        broken.extend(self.query(
            "-- verify_granted
            SELECT c.id, COALESCE(n.n, 0), COALESCE(held.grants, 0), COALESCE(away.grants, 0)
            FROM campaign c
            LEFT JOIN campaign_count n ON n.tenant = c.tenant AND n.campaign = c.no AND n.counter = 'granted'
            LEFT JOIN (
                SELECT o.campaign AS campaign, SUM(g.grants) AS grants
                FROM (SELECT offer, COUNT(*) AS grants FROM grants WHERE tenant = $1 GROUP BY offer) g
                JOIN offer o ON o.tenant = $1 AND o.no = g.offer
                GROUP BY o.campaign
            ) held ON held.campaign = c.no
            LEFT JOIN (SELECT campaign, SUM(dropped) AS grants FROM archive WHERE tenant = $1 GROUP BY campaign) away
                ON away.campaign = c.no
            WHERE c.tenant = $1 AND COALESCE(n.n, 0) <> COALESCE(held.grants, 0) + COALESCE(away.grants, 0)
            ORDER BY c.id",
            values![tenant],
            |row| {
                let detail = format!(
                    "{} counted as granted, {} in the ledger, {} archived", row.int(1)?, row.int(2)?, row.int(3)?
                );
                Ok(Violation { rule: "granted_is_in_ledger", object: format!("campaign {}", row.text(0)?), detail })
            },
        )?);
        Ok(broken)
    }

    /// Triggered campaigns whose outcomes are not what is counted, and held pairs that nothing will find.
    pub fn verify_triggers(&mut self, tenant: i64) -> Result<Vec<Violation>, Error> {
        let mut broken = self.query(
            "-- verify_trigger_outcomes
            SELECT c.id, n.counter, n.n, COALESCE(p.pairs, 0) + COALESCE(a.pairs, 0)
            FROM campaign c
            JOIN campaign_count n ON n.tenant = c.tenant AND n.campaign = c.no
            LEFT JOIN (
                SELECT campaign, outcome, COUNT(*) AS pairs FROM trigger_pair WHERE tenant = $1
                GROUP BY campaign, outcome
            ) p ON p.campaign = n.campaign AND p.outcome = n.counter
            LEFT JOIN archived_pairs a ON a.tenant = n.tenant AND a.campaign = n.campaign AND a.outcome = n.counter
            WHERE c.tenant = $1 AND c.kind = 'triggered'
                AND n.counter NOT IN ('rows', 'rows_without_code', 'pairs')
                AND n.n <> COALESCE(p.pairs, 0) + COALESCE(a.pairs, 0)
                AND NOT EXISTS (SELECT 1 FROM import i WHERE i.tenant = $1 AND i.campaign = c.no)",
            values![tenant],
            |row| {
                let detail = format!("{} counted as {}, {} kept", row.int(2)?, row.text(1)?, row.int(3)?);
                Ok(Violation { rule: "triggers_add_up", object: format!("campaign {}", row.text(0)?), detail })
            },
        )?;
        broken.extend(self.query(
            "-- verify_trigger_waits
            SELECT campaign, occurrence, outcome FROM trigger_pair
            WHERE tenant = $1 AND (waits_with IS NOT NULL) <> (outcome LIKE 'held:%') LIMIT 100",
            values![tenant],
            |row| {
                let object = format!("campaign no {}, occurrence {}", row.int(0)?, row.text(1)?);
                let detail = format!("{} and its mark of waiting disagree", row.text(2)?);
                Ok(Violation {
                    rule: "held_triggers_wait",
                    object,
                    detail,
                })
            },
        )?);
        Ok(broken)
    }

    /// Grants that point to something which is not there or belongs to another campaign.
    pub fn verify_references(&mut self, tenant: i64) -> Result<Vec<Violation>, Error> {
        self.query(
            "-- verify_references
            SELECT g.customer, g.offer, g.window_no FROM grants g
            LEFT JOIN offer o ON o.tenant = g.tenant AND o.no = g.offer
            LEFT JOIN eligibility_window w ON w.tenant = g.tenant AND w.no = g.window_no
            WHERE g.tenant = $1 AND (o.no IS NULL OR w.no IS NULL OR o.campaign <> w.campaign)
            ORDER BY g.customer, g.offer, g.occurrence LIMIT 100",
            values![tenant],
            |row| {
                let detail = format!("offer {}, window {}", row.int(1)?, row.int(2)?);
                Ok(Violation {
                    rule: "grant_refers",
                    object: format!("customer {}", row.text(0)?),
                    detail,
                })
            },
        )
    }

    /// Imports whose rows are not the rows of their pages.
    pub fn verify_pages(&mut self, tenant: i64) -> Result<Vec<Violation>, Error> {
        self.query(
            "-- verify_pages
            SELECT i.campaign, i.channel, i.rows, COALESCE(SUM(p.rows), 0)
            FROM import i LEFT JOIN landed_page p
                ON p.tenant = i.tenant AND p.campaign = i.campaign AND p.channel = i.channel AND p.pass = 1
            WHERE i.tenant = $1 GROUP BY i.campaign, i.channel, i.rows
            HAVING i.rows <> COALESCE(SUM(p.rows), 0) ORDER BY i.campaign, i.channel",
            values![tenant],
            |row| {
                let object = format!("campaign no {}, channel {}", row.int(0)?, row.int(1)?);
                let detail = format!("{} rows read, {} landed", row.int(2)?, row.int(3)?);
                Ok(Violation { rule: "rows_have_landed", object, detail })
            },
        )
    }

    /// Pools whose figures are not what their codes say, and codes and grants that do not point to each other.
    pub fn verify_codes(&mut self, tenant: i64) -> Result<Vec<Violation>, Error> {
        let mut broken = self.query(
            "-- verify_pools
            SELECT code_fold, loaded, assigned, void, codes, owned, nobodys, passed, next_code
            FROM (SELECT p.code_fold, p.loaded, p.assigned, p.void,
                (SELECT COUNT(*) FROM pool_code c WHERE c.tenant = p.tenant AND c.pool = p.no) AS codes,
                (SELECT COUNT(t.customer) FROM taken_code t WHERE t.tenant = p.tenant AND t.pool = p.no) AS owned,
                (SELECT COUNT(*) FROM taken_code t
                    WHERE t.tenant = p.tenant AND t.pool = p.no AND t.customer IS NULL) AS nobodys,
                (SELECT COUNT(*) FROM taken_code t
                    WHERE t.tenant = p.tenant AND t.pool = p.no AND t.no < p.next_code) AS passed,
                p.next_code
            FROM code_pool p WHERE p.tenant = $1) counted
            WHERE loaded <> codes OR assigned <> owned OR void <> nobodys OR passed <> next_code - 1
            ORDER BY code_fold",
            values![tenant],
            |row| {
                let detail = format!(
                    "loaded {} and {} there, assigned {} and {} there, void {} and {} there, {} taken before number {}",
                    row.int(1)?, row.int(4)?, row.int(2)?, row.int(5)?, row.int(3)?, row.int(6)?, row.int(7)?,
                    row.int(8)?
                );
                Ok(Violation { rule: "codes_add_up", object: format!("pool of {}", row.text(0)?), detail })
            },
        )?;
        broken.extend(self.query(
            "-- verify_code_owners
            SELECT t.pool, t.no, t.customer FROM taken_code t
            LEFT JOIN grants g ON g.tenant = t.tenant AND g.customer = t.customer AND g.offer = t.offer
                AND g.occurrence = t.occurrence
            LEFT JOIN offer o ON o.tenant = t.tenant AND o.no = t.offer
            LEFT JOIN code_pool p ON p.tenant = t.tenant AND p.no = t.pool
            WHERE t.tenant = $1 AND t.customer IS NOT NULL
                AND ((g.code IS NULL AND NOT EXISTS (SELECT 1 FROM archive a
                        WHERE a.tenant = o.tenant AND a.campaign = o.campaign AND a.dropped > 0))
                    OR g.code <> t.no OR p.code_fold IS NULL OR p.code_fold <> o.code_fold)
            ORDER BY t.pool, t.no LIMIT 100",
            values![tenant],
            |row| {
                let object = format!("pool no {}, code no {}", row.int(0)?, row.int(1)?);
                let detail = format!("customer {} has no grant with it", row.text(2)?);
                Ok(Violation { rule: "code_has_grant", object, detail })
            },
        )?);
        broken.extend(self.query(
            "-- verify_grant_codes
            SELECT g.customer, g.offer, g.code FROM grants g
            JOIN offer o ON o.tenant = g.tenant AND o.no = g.offer
            LEFT JOIN promotion m ON m.tenant = o.tenant AND m.code_fold = o.code_fold AND m.kind = 'unique'
            LEFT JOIN code_pool p ON p.tenant = o.tenant AND p.code_fold = o.code_fold
            LEFT JOIN taken_code t ON t.tenant = p.tenant AND t.pool = p.no AND t.no = g.code
            WHERE g.tenant = $1 AND (g.code <> 0 OR m.kind IS NOT NULL) AND g.code <> -1
                AND (t.customer IS NULL OR t.customer <> g.customer OR t.offer <> g.offer
                    OR t.occurrence <> g.occurrence)
            ORDER BY g.customer, g.offer, g.occurrence LIMIT 100",
            values![tenant],
            |row| {
                let detail = format!("offer {}: code no {} is not its own", row.int(1)?, row.int(2)?);
                Ok(Violation { rule: "grant_has_code", object: format!("customer {}", row.text(0)?), detail })
            },
        )?);
        broken.extend(self.verify_waiting(tenant)?);
        Ok(broken)
    }

    /// Pairs that wait for a code and are granted, or are not counted as held.
    fn verify_waiting(&mut self, tenant: i64) -> Result<Vec<Violation>, Error> {
        let mut broken = self.query(
            "-- verify_waiting
            SELECT w.customer, w.offer FROM waiting_pair w
            JOIN grants g ON g.tenant = w.tenant AND g.customer = w.customer AND g.offer = w.offer
                AND g.occurrence = ''
            WHERE w.tenant = $1 ORDER BY w.offer, w.customer LIMIT 100",
            values![tenant],
            |row| {
                let detail = format!("offer {} is granted and waits for a code", row.int(1)?);
                Ok(Violation {
                    rule: "waiting_is_not_granted",
                    object: format!("customer {}", row.text(0)?),
                    detail,
                })
            },
        )?;
        // Pairs of triggers wait with their triggers, those that clearance held with their customer.
        broken.extend(self.query(
            "-- verify_waiting_counts
            SELECT c.id, COALESCE(n.n, 0), COALESCE(w.pairs, 0)
            FROM campaign c
            LEFT JOIN campaign_count n
                ON n.tenant = c.tenant AND n.campaign = c.no AND n.counter = 'held:no_free_code'
            LEFT JOIN (
                SELECT counted.campaign AS campaign, SUM(counted.pairs) AS pairs FROM (
                    SELECT o.campaign AS campaign, one.pairs AS pairs
                    FROM waiting_pair one JOIN offer o ON o.tenant = one.tenant AND o.no = one.offer
                    WHERE one.tenant = $1
                    UNION ALL
                    SELECT d.campaign AS campaign, d.pairs AS pairs
                    FROM clearance_denial d WHERE d.tenant = $1 AND d.reason = 'no_free_code'
                ) counted GROUP BY counted.campaign
            ) w ON w.campaign = c.no
            WHERE c.tenant = $1 AND COALESCE(c.kind, '') <> 'triggered'
                AND NOT EXISTS (SELECT 1 FROM archive a WHERE a.tenant = $1 AND a.campaign = c.no) AND COALESCE(n.n, 0) <> COALESCE(w.pairs, 0)
            ORDER BY c.id",
            values![tenant],
            |row| {
                let detail = format!(
                    "{} counted as held for a code, {} waiting",
                    row.int(1)?,
                    row.int(2)?
                );
                Ok(Violation {
                    rule: "held_for_code_waits",
                    object: format!("campaign {}", row.text(0)?),
                    detail,
                })
            },
        )?);
        Ok(broken)
    }

    /// A row of audit records with a gap.
    pub fn verify_audit(&mut self, tenant: i64) -> Result<Vec<Violation>, Error> {
        self.query(
            "-- verify_audit
            SELECT COUNT(*), COALESCE(MAX(seq), 0) FROM audit WHERE tenant = $1
            HAVING COUNT(*) <> COALESCE(MAX(seq), 0)",
            values![tenant],
            |row| {
                let detail = format!(
                    "{} records, the newest is number {}",
                    row.int(0)?,
                    row.int(1)?
                );
                Ok(Violation {
                    rule: "audit_has_no_gap",
                    object: "audit".into(),
                    detail,
                })
            },
        )
    }
}
