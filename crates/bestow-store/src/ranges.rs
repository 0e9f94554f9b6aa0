//! Parts of one list, each read on its own: in any order, by any process.

use crate::imports::LandingPage;
use crate::jobs::Job;
use crate::{Error, Tx, values};

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Its first row, from 0; which of the list's parts it is.
    pub first: u64,
    /// Rows before its next page.
    pub skip: u64,
    /// The first row behind it; `None`: it goes to the end of the list.
    pub until: Option<u64>,
    /// Nothing is left of it to read.
    pub is_read: bool,
}

impl Tx<'_> {
    /// Shares out a list of which nothing has been read yet. False where something has.
    pub fn share_list(
        &mut self,
        job: &Job,
        campaign: i64,
        channel: i64,
        ranges: &[(u64, Option<u64>)],
    ) -> Result<bool, Error> {
        self.check_lease(job)?;
        let is_unread = self.query_one(
            "-- is_unread
            SELECT 1 FROM import
            WHERE tenant = $1 AND campaign = $2 AND channel = $3 AND state = 'reading' AND skip = 0
                AND NOT EXISTS (SELECT 1 FROM page_range r
                    WHERE r.tenant = $1 AND r.campaign = $2 AND r.channel = $3)",
            values![job.tenant, campaign, channel],
            |row| row.int(0),
        )?;
        if is_unread.is_none() {
            return Ok(false);
        }
        let rows = ranges.iter().map(|(first, until)| {
            let first = *first as i64;
            [
                job.tenant.into(),
                campaign.into(),
                channel.into(),
                first.into(),
                until.map(|until| until as i64).into(),
            ]
        });
        self.execute_many(
            "-- share_list
            INSERT INTO page_range (tenant, campaign, channel, first, skip, until) VALUES ($1, $2, $3, $4, $4, $5)",
            rows,
        )?;
        Ok(true)
    }

    /// The parts of a list, in order; none where it is read as a whole.
    pub fn ranges(
        &mut self,
        tenant: i64,
        campaign: i64,
        channel: i64,
    ) -> Result<Vec<Range>, Error> {
        self.query(
            "-- ranges
            SELECT first, skip, until, state FROM page_range
            WHERE tenant = $1 AND campaign = $2 AND channel = $3 ORDER BY first",
            values![tenant, campaign, channel],
            |row| {
                Ok(Range {
                    first: row.count(0)?,
                    skip: row.count(1)?,
                    until: row.opt_int(2)?.map(|until| until as u64),
                    is_read: row.str(3)? == "read",
                })
            },
        )
    }

    /// As [`Tx::land_page`], for a page of the part that begins at `first`: its own cursor moves, and the list's count of
    /// rows with it.
    pub fn land_page_of_range(
        &mut self,
        job: &Job,
        campaign: i64,
        first: u64,
        landing: &LandingPage,
        lease_ms: i64,
    ) -> Result<Option<u32>, Error> {
        self.hold_job(job, lease_ms)?;
        let rows = landing.rows as i64;
        let counted = self.execute(
            "-- count_page_of_range
            UPDATE import SET skip = skip + $1, rows = rows + CASE WHEN pass = 1 THEN $1 ELSE 0 END
            WHERE tenant = $2 AND campaign = $3 AND channel = $4 AND pass = $5 AND state = 'reading'
                AND EXISTS (SELECT 1 FROM page_range r WHERE r.tenant = $2 AND r.campaign = $3 AND r.channel = $4
                    AND r.first = $6 AND r.skip = $7 AND r.state = 'open')",
            values![
                rows, job.tenant, campaign, landing.channel, landing.pass, first as i64,
                landing.skip as i64
            ],
        )?;
        if counted == 0 {
            return Ok(None);
        }
        self.execute(
            "-- move_range_cursor
            UPDATE page_range SET skip = skip + $1
            WHERE tenant = $2 AND campaign = $3 AND channel = $4 AND first = $5",
            values![rows, job.tenant, campaign, landing.channel, first as i64],
        )?;
        self.keep_page(job.tenant, campaign, landing).map(Some)
    }

    /// Nothing is left of a part to read behind `skip`. Tells how many parts are still open. Where the part stands
    /// elsewhere nothing is ended: the import was held or begun anew meanwhile, and pages did not land.
    pub fn end_range(
        &mut self,
        job: &Job,
        campaign: i64,
        channel: i64,
        (first, skip): (u64, u64),
    ) -> Result<u64, Error> {
        self.check_lease(job)?;
        self.execute(
            "-- end_range
            UPDATE page_range SET state = 'read'
            WHERE tenant = $1 AND campaign = $2 AND channel = $3 AND first = $4 AND skip = $5",
            values![job.tenant, campaign, channel, first as i64, skip as i64],
        )?;
        let open = self.query_one(
            "-- open_ranges
            SELECT COUNT(*) FROM page_range
            WHERE tenant = $1 AND campaign = $2 AND channel = $3 AND state = 'open'",
            values![job.tenant, campaign, channel],
            |row| row.count(0),
        )?;
        Ok(open.unwrap_or_default())
    }

    /// Forgets the parts of a list.
    pub(crate) fn drop_ranges(
        &mut self,
        tenant: i64,
        campaign: i64,
        channel: i64,
    ) -> Result<(), Error> {
        self.execute(
            "-- drop_ranges
            DELETE FROM page_range WHERE tenant = $1 AND campaign = $2 AND channel = $3",
            values![tenant, campaign, channel],
        )?;
        Ok(())
    }
}
