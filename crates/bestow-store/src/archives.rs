//! Archives: grants that leave the ledger for files, and how far they have.
//!
//! A campaign is closed first, then its rows are written to files, and only once those were found whole do the rows go,
//! some at a time. Each step leaves a state that the next one goes on from.

use std::collections::BTreeMap;

use crate::archived_triggers::never_used;
use crate::jobs::Job;
use crate::{Error, Row, Tx, Value, values};

/// An archive as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Counted per tenant.
    pub no: i64,
    /// `campaign.no`.
    pub campaign: i64,
    /// Optimove's campaign id.
    pub campaign_id: String,
    /// `YYYY-MM`: triggers met until its end; empty: all of the campaign.
    pub month: String,
    /// Milliseconds; the exclusive end of that month; 0: all of it.
    pub until: i64,
    /// writing, dropping or dropped.
    pub state: String,
    /// Folder of its files, beneath that of all archives.
    pub place: String,
    /// Of its files, a line each.
    pub tallies: String,
    /// Grants in its files.
    pub grants: u64,
    /// Of them, those that have left the ledger.
    pub dropped: u64,
    /// How far they have: a customer (folded), or an occurrence.
    pub dropped_through: Option<String>,
    /// Milliseconds.
    pub begun_at: i64,
    /// Milliseconds.
    pub written_at: Option<i64>,
    /// Milliseconds.
    pub dropped_at: Option<i64>,
}

/// What is to be archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewArchive {
    /// `campaign.no`.
    pub campaign: i64,
    /// As [`Archive::month`].
    pub month: String,
    /// As [`Archive::until`].
    pub until: i64,
    /// As [`Archive::place`].
    pub place: String,
}

/// A grant to be dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    /// Whose it is.
    pub customer: String,
    /// `offer.no`.
    pub offer: u32,
    /// Empty unless triggered.
    pub occurrence: String,
}

impl Leaving {
    fn key(&self, tenant: i64) -> [Value<'_>; 4] {
        [
            tenant.into(),
            (&self.customer).into(),
            self.offer.into(),
            (&self.occurrence).into(),
        ]
    }
}

macro_rules! archive_columns {
    () => {
        "a.no, a.campaign, c.id, a.month, a.until, a.state, a.place, a.tallies, a.grants, a.dropped, a.dropped_through,
         a.begun_at, a.written_at, a.dropped_at
         FROM archive a JOIN campaign c ON c.tenant = a.tenant AND c.no = a.campaign"
    };
}

fn archive(row: &Row<'_>) -> Result<Archive, Error> {
    Ok(Archive {
        no: row.int(0)?,
        campaign: row.int(1)?,
        campaign_id: row.text(2)?,
        month: row.text(3)?,
        until: row.int(4)?,
        state: row.text(5)?,
        place: row.text(6)?,
        tallies: row.text(7)?,
        grants: row.count(8)?,
        dropped: row.count(9)?,
        dropped_through: row.opt_text(10)?,
        begun_at: row.int(11)?,
        written_at: row.opt_int(12)?,
        dropped_at: row.opt_int(13)?,
    })
}

impl Tx<'_> {
    /// Closes a campaign, or what was triggered until the end of a month, and begins its archive.
    pub fn begin_archive(&mut self, job: &Job, new: &NewArchive) -> Result<(), Error> {
        self.check_lease(job)?;
        self.lock_terms(job.tenant);
        let now = self.now_ms();
        self.execute(
            "-- begin_archive
            INSERT INTO archive (tenant, campaign, month, until, state, place, begun_at, no)
            SELECT $1, $2, $3, $4, 'writing', $5, $6, COALESCE(MAX(no), 0) + 1 FROM archive WHERE tenant = $1
            ON CONFLICT (tenant, campaign, month) DO NOTHING",
            values![job.tenant, new.campaign, &new.month, new.until, &new.place, now],
        )?;
        Ok(())
    }

    /// Opens a campaign again of which nothing was dropped.
    pub fn give_archive_up(&mut self, job: &Job, no: i64) -> Result<(), Error> {
        self.check_lease(job)?;
        self.execute(
            "-- give_archive_up
            DELETE FROM archive WHERE tenant = $1 AND no = $2 AND state = 'writing'",
            values![job.tenant, no],
        )?;
        Ok(())
    }

    /// The files are whole and were read again: what is in them may go.
    pub fn archive_is_written(
        &mut self,
        job: &Job,
        no: i64,
        grants: u64,
        tallies: &str,
    ) -> Result<(), Error> {
        self.check_lease(job)?;
        let now = self.now_ms();
        self.execute(
            "-- archive_is_written
            UPDATE archive SET state = 'dropping', grants = $1, tallies = $2, written_at = $3
            WHERE tenant = $4 AND no = $5 AND state = 'writing'",
            values![grants as i64, tallies, now, job.tenant, no],
        )?;
        Ok(())
    }

    /// Drops grants that are in an archive, and notes how far it has come. Grants that were ever used stay.
    pub fn drop_grants(
        &mut self,
        job: &Job,
        no: i64,
        leaving: &[Leaving],
        through: &str,
        lease_ms: i64,
    ) -> Result<(), Error> {
        self.hold_job(job, lease_ms)?;
        let tenant = job.tenant;
        let dropped = self.execute_many(
            concat!(
                "-- drop_grant\nDELETE FROM grants
                WHERE tenant = $1 AND customer = $2 AND offer = $3 AND occurrence = $4 AND ",
                never_used!()
            ),
            leaving.iter().map(|one| one.key(tenant)),
        )?;
        let ends = self.drop_ends(tenant, leaving)?;
        self.execute(
            "-- move_drop_cursor
            UPDATE archive SET dropped = dropped + $1, dropped_ends = dropped_ends + $2, dropped_through = $3
            WHERE tenant = $4 AND no = $5 AND state = 'dropping'",
            values![dropped as i64, ends, through, tenant, no],
        )?;
        Ok(())
    }

    /// Drops what the daily lists said of grants that are gone. How many.
    fn drop_ends(&mut self, tenant: i64, leaving: &[Leaving]) -> Result<i64, Error> {
        let mut drop_end = self.prepare(
            "-- drop_end
            DELETE FROM grant_end WHERE tenant = $1 AND customer = $2 AND offer = $3 AND occurrence = $4
                AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.tenant = grant_end.tenant
                    AND g.customer = grant_end.customer AND g.offer = grant_end.offer
                    AND g.occurrence = grant_end.occurrence)
            RETURNING day",
        )?;
        let has_ends = self.query_one(
            "-- has_ends
            SELECT 1 FROM ended_day WHERE tenant = $1 AND ended > archived LIMIT 1",
            values![tenant],
            |row| row.int(0),
        )?;
        if has_ends.is_none() {
            return Ok(0);
        }
        let mut days = BTreeMap::<String, i64>::new();
        for one in leaving {
            let key = values![tenant, &one.customer, one.offer, &one.occurrence];
            for day in drop_end.query(key, |row| row.text(0))? {
                *days.entry(day).or_default() += 1;
            }
        }
        drop(drop_end);
        let all = days.values().sum();
        self.execute_many(
            "-- count_archived_ends
            UPDATE ended_day SET archived = archived + $1 WHERE tenant = $2 AND day = $3",
            days.iter()
                .map(|(day, ends)| [(*ends).into(), tenant.into(), day.into()]),
        )?;
        Ok(all)
    }

    /// Drops the rows of a campaign's first page that has some. False where none has.
    pub fn drop_page_rows(
        &mut self,
        job: &Job,
        campaign: i64,
        lease_ms: i64,
    ) -> Result<bool, Error> {
        self.hold_job(job, lease_ms)?;
        let dropped = self.execute(
            "-- drop_blocks
            DELETE FROM landed_block WHERE tenant = $1 AND campaign = $2 AND page = (
                SELECT MIN(b.page) FROM landed_block b WHERE b.tenant = $1 AND b.campaign = $2)",
            values![job.tenant, campaign],
        )?;
        Ok(dropped > 0)
    }

    /// Drops some denials of a campaign. False where there is none.
    pub fn drop_denials(
        &mut self,
        job: &Job,
        campaign: i64,
        limit: u32,
        lease_ms: i64,
    ) -> Result<bool, Error> {
        self.hold_job(job, lease_ms)?;
        let dropped = self.execute(
            "-- drop_denials
            DELETE FROM clearance_denial WHERE tenant = $1 AND campaign = $2 AND customer IN (
                SELECT d.customer FROM clearance_denial d WHERE d.tenant = $1 AND d.campaign = $2
                ORDER BY d.customer LIMIT $3)",
            values![job.tenant, campaign, limit],
        )?;
        Ok(dropped > 0)
    }

    /// Nothing is left to drop.
    pub fn end_archive(&mut self, job: &Job, no: i64) -> Result<bool, Error> {
        self.check_lease(job)?;
        let now = self.now_ms();
        let changed = self.execute(
            "-- end_archive
            UPDATE archive SET state = 'dropped', dropped_at = $1
            WHERE tenant = $2 AND no = $3 AND state = 'dropping'",
            values![now, job.tenant, no],
        )?;
        Ok(changed == 1)
    }

    /// The archive that is under way, if one is.
    pub fn open_archive(&mut self, tenant: i64) -> Result<Option<Archive>, Error> {
        self.query_one(
            concat!(
                "-- open_archive\nSELECT ",
                archive_columns!(),
                " WHERE a.tenant = $1 AND a.state <> 'dropped' ORDER BY a.no LIMIT 1"
            ),
            values![tenant],
            archive,
        )
    }

    /// Archives behind a number.
    pub fn archives(&mut self, tenant: i64, after: i64, limit: u32) -> Result<Vec<Archive>, Error> {
        self.query(
            concat!(
                "-- archives\nSELECT ",
                archive_columns!(),
                " WHERE a.tenant = $1 AND a.no > $2 ORDER BY a.no LIMIT $3"
            ),
            values![tenant, after, limit],
            archive,
        )
    }

    /// The archive that all of a campaign is in, or on its way to.
    pub fn archive_of(&mut self, tenant: i64, campaign: i64) -> Result<Option<Archive>, Error> {
        self.query_one(
            concat!(
                "-- archive_of\nSELECT ",
                archive_columns!(),
                " WHERE a.tenant = $1 AND a.campaign = $2 AND a.month = ''"
            ),
            values![tenant, campaign],
            archive,
        )
    }

    /// Until when triggers of a campaign are archived, in milliseconds; 0: none is.
    pub fn triggers_archived_until(&mut self, tenant: i64, campaign: i64) -> Result<i64, Error> {
        let found = self.query_one(
            "-- triggers_archived_until
            SELECT COALESCE(MAX(until), 0) FROM archive WHERE tenant = $1 AND campaign = $2",
            values![tenant, campaign],
            |row| row.int(0),
        )?;
        Ok(found.unwrap_or_default())
    }

    /// Denials of a campaign behind a customer: customer, round, reason, pairs.
    pub fn denials_behind(
        &mut self,
        tenant: i64,
        campaign: i64,
        after: &str,
        limit: u32,
    ) -> Result<Vec<(String, i64, String, i64)>, Error> {
        self.query(
            "-- denials_behind
            SELECT customer, round, reason, pairs FROM clearance_denial
            WHERE tenant = $1 AND campaign = $2 AND customer > $3 ORDER BY customer LIMIT $4",
            values![tenant, campaign, after, limit],
            |row| Ok((row.text(0)?, row.int(1)?, row.text(2)?, row.int(3)?)),
        )
    }
}
