//! Optimove's daily list of ended actions: how far each day is read, and the grants it ended.

use std::collections::BTreeMap;

use bestow_core::campaign::ListedEnds;

use crate::jobs::Job;
use crate::verify::Violation;
use crate::{Error, Row, Tx, pairs, values};

/// A day's list as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedDay {
    /// The date asked for, YYYY-MM-DD in the tenant's zone.
    pub day: String,
    /// wanted, reading, read (while the day went on) or done (after it).
    pub state: String,
    /// When the newest reading was begun, in milliseconds; `None`: there was none.
    pub begun_at: Option<i64>,
    /// Rows received in this reading.
    pub skip: u64,
    /// Rows of the newest reading.
    pub rows: u64,
    /// Grants that it ended, over all readings.
    pub ended: u64,
    /// Rows of the newest reading that fit no grant of ours.
    pub unmatched: u64,
}

macro_rules! day_columns {
    () => {
        "day, state, begun_at, skip, rows, ended, unmatched"
    };
}

fn day(row: &Row<'_>) -> Result<EndedDay, Error> {
    Ok(EndedDay {
        day: row.text(0)?,
        state: row.text(1)?,
        begun_at: row.opt_int(2)?,
        skip: row.count(3)?,
        rows: row.count(4)?,
        ended: row.count(5)?,
        unmatched: row.count(6)?,
    })
}

/// A grant that a list ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GrantEnd {
    /// Optimove's customer id.
    pub customer: String,
    /// `offer.no`.
    pub offer: u32,
    /// Empty unless triggered.
    pub occurrence: String,
    /// Milliseconds, exclusive.
    pub ended_at: i64,
}

/// A page of a day's list, matched to grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndedPage {
    /// Rows of the list before it.
    pub skip: u64,
    /// Its rows.
    pub rows: u64,
    /// Rows that fit no grant.
    pub unmatched: u64,
    /// What it ends, in the order of customers.
    pub ends: Vec<GrantEnd>,
}

/// A code of a campaign whose windows are not all over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferInUse {
    /// Folded.
    pub code_fold: String,
    /// What the daily lists have ended of its campaign.
    pub listed: ListedEnds,
}

/// The grants of a campaign that a list may end: of a conditional one only those whose customers were sent to. Where
/// nobody was and a window is open for ever, by when all of them should have been.
macro_rules! listed_ends {
    () => {
        "CASE c.kind WHEN 'conditional' THEN c.sent ELSE COALESCE(n.n, 0) END, c.ended,
            CASE WHEN c.kind = 'conditional' AND c.sent = 0 AND c.windows_end_at = 9223372036854775807 THEN (
                SELECT MAX(r.deadline) FROM clearance_round r WHERE r.tenant = c.tenant AND r.campaign = c.no
            ) END"
    };
}

/// The columns of `listed_ends!`, the first of a row.
fn listed(row: &Row<'_>, patience_ms: i64) -> Result<ListedEnds, Error> {
    let deadline = row.opt_int(2)?;
    let given_up = deadline.map(|ms| ms.saturating_add(patience_ms));
    Ok(ListedEnds::new(row.count(0)?, row.count(1)?, given_up))
}

macro_rules! join_granted {
    () => {
        "LEFT JOIN campaign_count n ON n.tenant = c.tenant AND n.campaign = c.no AND n.counter = 'granted'"
    };
}

impl Tx<'_> {
    /// What the daily lists have ended of a campaign. A conditional one that was sent to nobody is given up
    /// `patience_ms` after its last deadline.
    pub fn listed_ends(
        &mut self,
        tenant: i64,
        campaign: i64,
        patience_ms: i64,
    ) -> Result<ListedEnds, Error> {
        let found = self.query_one(
            concat!(
                "-- listed_ends\nSELECT ",
                listed_ends!(),
                " FROM campaign c ",
                join_granted!(),
                " WHERE c.tenant = $1 AND c.no = $2"
            ),
            values![tenant, campaign],
            |row| listed(row, patience_ms),
        )?;
        Ok(found.unwrap_or_default())
    }

    /// Codes with a grant window that is still open or to come, by their campaigns; `patience_ms` as in
    /// [`Tx::listed_ends`].
    pub fn offers_in_use(
        &mut self,
        tenant: i64,
        now_ms: i64,
        patience_ms: i64,
    ) -> Result<Vec<OfferInUse>, Error> {
        self.query(
            concat!(
                "-- offers_in_use\nSELECT ",
                listed_ends!(),
                ", o.code_fold FROM offer o JOIN campaign c ON c.tenant = o.tenant AND c.no = o.campaign ",
                join_granted!(),
                " WHERE o.tenant = $1 AND c.revoked_at IS NULL
                    AND (c.windows_end_at IS NULL OR c.windows_end_at > $2)
                ORDER BY o.code_fold, o.no"
            ),
            values![tenant, now_ms],
            |row| {
                Ok(OfferInUse {
                    listed: listed(row, patience_ms)?,
                    code_fold: row.text(3)?,
                })
            },
        )
    }

    /// Wants a day's list. False where it was wanted before.
    pub fn want_ended_day(&mut self, tenant: i64, day: &str) -> Result<bool, Error> {
        let now = self.now_ms();
        let changed = self.execute(
            "-- want_ended_day
            INSERT INTO ended_day (tenant, day, state, wanted_at) VALUES ($1, $2, 'wanted', $3)
            ON CONFLICT (tenant, day) DO NOTHING",
            values![tenant, day, now],
        )?;
        Ok(changed == 1)
    }

    /// The newest day that was ever wanted.
    pub fn last_ended_day(&mut self, tenant: i64) -> Result<Option<String>, Error> {
        let found = self.query_one(
            "-- last_ended_day
            SELECT MAX(day) FROM ended_day WHERE tenant = $1",
            values![tenant],
            |row| row.opt_text(0),
        )?;
        Ok(found.flatten())
    }

    /// When the first campaign of a tenant was heard of, in milliseconds.
    pub fn first_campaign_at(&mut self, tenant: i64) -> Result<Option<i64>, Error> {
        let found = self.query_one(
            "-- first_campaign_at
            SELECT MIN(first_seen_at) FROM campaign WHERE tenant = $1",
            values![tenant],
            |row| row.opt_int(0),
        )?;
        Ok(found.flatten())
    }

    /// One day's list.
    pub fn ended_day(&mut self, tenant: i64, date: &str) -> Result<Option<EndedDay>, Error> {
        self.query_one(
            concat!(
                "-- ended_day\nSELECT ",
                day_columns!(),
                " FROM ended_day WHERE tenant = $1 AND day = $2"
            ),
            values![tenant, date],
            day,
        )
    }

    /// Days whose lists were not read since they were over, oldest first.
    pub fn open_ended_days(&mut self, tenant: i64) -> Result<Vec<EndedDay>, Error> {
        self.query(
            concat!(
                "-- open_ended_days\nSELECT ",
                day_columns!(),
                " FROM ended_day WHERE tenant = $1 AND state <> 'done' ORDER BY day"
            ),
            values![tenant],
            day,
        )
    }

    /// The same, only those that no job of this kind is for.
    pub fn ended_days_without_job(
        &mut self,
        tenant: i64,
        kind: &str,
    ) -> Result<Vec<String>, Error> {
        self.query(
            "-- ended_days_without_job
            SELECT d.day FROM ended_day d LEFT JOIN job j ON j.tenant = d.tenant AND j.kind = $1 AND j.key = d.day
            WHERE d.tenant = $2 AND d.state <> 'done' AND j.key IS NULL ORDER BY d.day",
            values![kind, tenant],
            |row| row.text(0),
        )
    }

    /// Starts to read a day's list from its first row, unless a reading is under way.
    pub fn begin_ended_day(&mut self, job: &Job, date: &str) -> Result<(), Error> {
        self.check_lease(job)?;
        let now = self.now_ms();
        self.execute(
            "-- begin_ended_day
            UPDATE ended_day SET state = 'reading', skip = 0, rows = 0, unmatched = 0, begun_at = $1
            WHERE tenant = $2 AND day = $3 AND state <> 'reading'",
            values![now, job.tenant, date],
        )?;
        Ok(())
    }

    /// Ends the grants of a page and moves the cursor behind it, all or nothing. The first end of a grant stays; one
    /// that has left for an archive since the page was matched gets none. False where the page was taken before.
    pub fn land_ended_page(
        &mut self,
        job: &Job,
        date: &str,
        page: &EndedPage,
        lease_ms: i64,
    ) -> Result<bool, Error> {
        self.hold_job(job, lease_ms)?;
        let moved = self.execute(
            "-- move_ended_cursor
            UPDATE ended_day SET skip = skip + $1, rows = rows + $1, unmatched = unmatched + $2
            WHERE tenant = $3 AND day = $4 AND state = 'reading' AND skip = $5",
            values![
                page.rows as i64,
                page.unmatched as i64,
                job.tenant,
                date,
                page.skip as i64
            ],
        )?;
        if moved == 0 {
            return Ok(false);
        }
        let insert = self.either(
            "-- insert_grant_end
            INSERT INTO grant_end (tenant, customer, offer, occurrence, ended_at, day)
            SELECT tenant, customer, offer, occurrence, $1, $2 FROM grants
            WHERE tenant = $3 AND customer = $4 AND offer = $5 AND occurrence = $6
            ON CONFLICT (tenant, customer, offer, occurrence) DO NOTHING",
            pairs::INSERT_GRANT_END,
        );
        let mut insert = self.prepare(insert)?;
        let (mut ended, mut of_offers) = (0, BTreeMap::new());
        let mut new = Vec::new();
        for end in &page.ends {
            let is_new = insert.execute(values![
                end.ended_at,
                date,
                job.tenant,
                &end.customer,
                end.offer,
                &end.occurrence
            ])?;
            ended += is_new;
            if is_new == 1 {
                new.push(end);
            }
            *of_offers.entry(end.offer).or_default() += is_new;
        }
        drop(insert);
        self.count_ended(job.tenant, of_offers)?;
        self.note_ends(job.tenant, &new)?;
        self.execute(
            "-- add_ended
            UPDATE ended_day SET ended = ended + $1 WHERE tenant = $2 AND day = $3",
            values![ended as i64, job.tenant, date],
        )?;
        Ok(true)
    }

    /// Counts ends for the campaigns of their offers, in one order everywhere.
    fn count_ended(&mut self, tenant: i64, offers: BTreeMap<u32, usize>) -> Result<(), Error> {
        let mut campaigns = BTreeMap::<i64, i64>::new();
        for (offer, ended) in offers {
            if let Some(facts) = self.offer_facts(tenant, offer)? {
                *campaigns.entry(facts.campaign).or_default() += ended as i64;
            }
        }
        self.execute_many(
            "-- count_ended
            UPDATE campaign SET ended = ended + $1 WHERE tenant = $2 AND no = $3",
            campaigns
                .into_iter()
                .map(|(campaign, ended)| [ended.into(), tenant.into(), campaign.into()]),
        )?;
        Ok(())
    }

    /// Ends the reading of a day's list: `read` while the day goes on, `done` once it is over.
    pub fn finish_ended_day(&mut self, job: &Job, date: &str, state: &str) -> Result<(), Error> {
        self.check_lease(job)?;
        let now = self.now_ms();
        self.execute(
            "-- finish_ended_day
            UPDATE ended_day SET state = $1, done_at = $2 WHERE tenant = $3 AND day = $4",
            values![state, now, job.tenant, date],
        )?;
        Ok(())
    }

    /// What the daily lists ended of one customer.
    pub fn grant_ends(&mut self, tenant: i64, customer: &str) -> Result<Vec<GrantEnd>, Error> {
        self.query(
            "-- grant_ends
            SELECT offer, occurrence, ended_at FROM grant_end WHERE tenant = $1 AND customer = $2",
            values![tenant, customer],
            |row| {
                Ok(GrantEnd {
                    customer: customer.to_owned(),
                    offer: row.int(0)? as u32,
                    occurrence: row.text(1)?,
                    ended_at: row.int(2)?,
                })
            },
        )
    }

    /// Ends of grants that are not there, and days and campaigns whose ends are not as many as they say.
    pub fn verify_ends(&mut self, tenant: i64) -> Result<Vec<Violation>, Error> {
        let mut broken = self.query(
            "-- verify_grant_ends
            SELECT e.customer, e.offer, e.day FROM grant_end e
            LEFT JOIN grants g ON g.tenant = e.tenant AND g.customer = e.customer AND g.offer = e.offer
                AND g.occurrence = e.occurrence
            WHERE e.tenant = $1 AND g.customer IS NULL LIMIT 100",
            values![tenant],
            |row| {
                Ok(Violation {
                    rule: "end_refers",
                    object: format!("customer {}", row.text(0)?),
                    detail: format!("offer {}, ended on {}", row.int(1)?, row.text(2)?),
                })
            },
        )?;
        broken.extend(self.query(
            "-- verify_ended_days
            SELECT d.day, d.ended, COALESCE(e.ends, 0) + d.archived, d.rows, d.unmatched FROM ended_day d
            LEFT JOIN (SELECT day, COUNT(*) AS ends FROM grant_end WHERE tenant = $1 GROUP BY day) e
                ON e.day = d.day
            WHERE d.tenant = $1 AND (d.ended <> COALESCE(e.ends, 0) + d.archived OR d.unmatched > d.rows)",
            values![tenant],
            |row| {
                let detail = format!(
                    "{} counted as ended, {} are; {} of {} rows unmatched",
                    row.int(1)?,
                    row.int(2)?,
                    row.int(4)?,
                    row.int(3)?
                );
                Ok(Violation {
                    rule: "ended_adds_up",
                    object: format!("day {}", row.text(0)?),
                    detail,
                })
            },
        )?);
        broken.extend(self.query(
            "-- verify_ended_campaigns
            SELECT c.id, c.ended, COALESCE(e.ends, 0) + COALESCE(a.ends, 0) FROM campaign c
            LEFT JOIN (
                SELECT o.campaign AS campaign, COUNT(*) AS ends FROM grant_end g
                JOIN offer o ON o.tenant = g.tenant AND o.no = g.offer
                WHERE g.tenant = $1 GROUP BY o.campaign
            ) e ON e.campaign = c.no
            LEFT JOIN (SELECT campaign, SUM(dropped_ends) AS ends FROM archive WHERE tenant = $1 GROUP BY campaign) a
                ON a.campaign = c.no
            WHERE c.tenant = $1 AND c.ended <> COALESCE(e.ends, 0) + COALESCE(a.ends, 0) ORDER BY c.id",
            values![tenant],
            |row| {
                let detail = format!("{} counted as ended, {} are", row.int(1)?, row.int(2)?);
                Ok(Violation {
                    rule: "ended_adds_up",
                    object: format!("campaign {}", row.text(0)?),
                    detail,
                })
            },
        )?);
        Ok(broken)
    }
}
