//! Imports: what is wanted, how far the reading has come, and the pages that landed.

use crate::audit::AuditEntry;
use crate::block::Block;
use crate::jobs::Job;
use crate::{Error, Row, Tx, pairs, values};

/// The reading of one campaign on one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Optimove's channel; 0: every channel in one list.
    pub channel: i64,
    /// wanted, reading, read, done or held.
    pub state: String,
    /// Why held.
    pub hold_reason: Option<String>,
    /// 1 lands the rows; later passes confirm that nothing is missing.
    pub pass: u32,
    /// Page size asked for in this pass.
    pub page_rows: u32,
    /// Rows received in this pass: where the next page starts.
    pub skip: u64,
    /// Rows of the first pass.
    pub rows: u64,
    /// First landed page of this pass; 0: none yet.
    pub pass_from_page: u32,
    /// Pairs that this pass brought and earlier ones had not.
    pub pass_added: u64,
    /// Milliseconds; since when it is wanted.
    pub wanted_at: i64,
}

macro_rules! import_columns {
    () => {
        "channel, state, hold_reason, pass, page_rows, skip, rows, pass_from_page, pass_added, wanted_at"
    };
}

fn import(row: &Row<'_>) -> Result<Import, Error> {
    Ok(Import {
        channel: row.int(0)?,
        state: row.text(1)?,
        hold_reason: row.opt_text(2)?,
        pass: row.int(3)? as u32,
        page_rows: row.int(4)? as u32,
        skip: row.count(5)?,
        rows: row.count(6)?,
        pass_from_page: row.int(7)? as u32,
        pass_added: row.count(8)?,
        wanted_at: row.int(9)?,
    })
}

/// A page about to land.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LandingPage {
    /// Optimove's channel; 0: every channel.
    pub channel: i64,
    /// The pass it belongs to.
    pub pass: u32,
    /// Rows of the list before it: must be where the cursor stands.
    pub skip: u64,
    /// Rows in it.
    pub rows: u64,
    /// Rows without a promo code.
    pub rows_without_code: u64,
    /// Pairs of customer and code.
    pub pairs: u64,
    /// Distinct customers within it.
    pub customers: u64,
    /// SHA-256 of the body.
    pub digest: Vec<u8>,
    /// The rows, packed.
    pub blocks: Vec<Block>,
    /// Rows that name nobody.
    pub held: Vec<HeldRow>,
}

/// A row that names nobody, or otherwise cannot stand in order with the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRow {
    /// Place within the page.
    pub row: u32,
    /// Why held.
    pub reason: String,
    /// Pairs in it.
    pub pairs: u32,
    /// A short piece of it, for a person to recognise it by.
    pub extract: String,
}

/// A page as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LandedPage {
    /// Counted per campaign.
    pub page: u32,
    /// Optimove's channel; 0: every channel.
    pub channel: i64,
    /// The pass it belongs to.
    pub pass: u32,
    /// Rows in it.
    pub rows: u64,
    /// Distinct customers within it.
    pub customers: u64,
    /// SHA-256 of the body.
    pub digest: Vec<u8>,
    /// Milliseconds.
    pub landed_at: i64,
}

impl Tx<'_> {
    /// Wants a campaign's channel to be read. True where that was new; an archived campaign is read no more.
    pub fn want_import(&mut self, tenant: i64, campaign: i64, channel: i64) -> Result<bool, Error> {
        let now = self.now_ms();
        let added = self.execute(
            "-- want_import
            INSERT INTO import (tenant, campaign, channel, state, wanted_at)
            SELECT $1, $2, $3, 'wanted', $4
            WHERE NOT EXISTS (SELECT 1 FROM archive WHERE tenant = $1 AND campaign = $2 AND month = '')
            ON CONFLICT (tenant, campaign, channel) DO NOTHING",
            values![tenant, campaign, channel, now],
        )?;
        Ok(added == 1)
    }

    /// Lets a held import go on: from where it stands, or with another pass where one was read to its end.
    pub fn resume_import(
        &mut self,
        tenant: i64,
        campaign: i64,
        channel: i64,
        state: &str,
    ) -> Result<bool, Error> {
        let now = self.now_ms();
        let changed = self.execute(
            "-- resume_import
            UPDATE import SET state = $1, hold_reason = NULL, wanted_at = $2
            WHERE tenant = $3 AND campaign = $4 AND channel = $5 AND state = 'held'",
            values![state, now, tenant, campaign, channel],
        )?;
        Ok(changed == 1)
    }

    /// All imports of a campaign; those below channel 0 are of its clearance rounds, and come first.
    pub fn imports(&mut self, tenant: i64, campaign: i64) -> Result<Vec<Import>, Error> {
        self.query(
            concat!(
                "-- imports\nSELECT ",
                import_columns!(),
                " FROM import WHERE tenant = $1 AND campaign = $2 ORDER BY channel"
            ),
            values![tenant, campaign],
            import,
        )
    }

    /// Starts a pass of an import: from its first row, with a page size of its own.
    pub fn begin_pass(
        &mut self,
        job: &Job,
        campaign: i64,
        channel: i64,
        pass: u32,
        page_rows: u32,
    ) -> Result<(), Error> {
        self.check_lease(job)?;
        self.execute(
            "-- begin_pass
            UPDATE import SET state = 'reading', pass = $1, page_rows = $2, skip = 0, pass_from_page = 0, pass_added = 0
            WHERE tenant = $3 AND campaign = $4 AND channel = $5",
            values![pass, page_rows, job.tenant, campaign, channel],
        )?;
        self.drop_ranges(job.tenant, campaign, channel)
    }

    /// Moves an import to another state.
    pub fn set_import_state(
        &mut self,
        tenant: i64,
        campaign: i64,
        channel: i64,
        state: &str,
        hold_reason: Option<&str>,
    ) -> Result<(), Error> {
        let now = self.now_ms();
        let done_at = (state == "done").then_some(now);
        self.execute(
            "-- set_import_state
            UPDATE import SET state = $1, hold_reason = $2, done_at = $3
            WHERE tenant = $4 AND campaign = $5 AND channel = $6",
            values![state, hold_reason, done_at, tenant, campaign, channel],
        )?;
        Ok(())
    }

    /// Makes a page durable: its rows, counts, audit record and the cursor behind it, all or nothing. Gives the
    /// page's number, or `None` where the cursor stands elsewhere: then this page has landed before.
    pub fn land_page(
        &mut self,
        job: &Job,
        campaign: i64,
        landing: &LandingPage,
        lease_ms: i64,
    ) -> Result<Option<u32>, Error> {
        self.hold_job(job, lease_ms)?;
        let tenant = job.tenant;
        let moved = self.execute(
            "-- move_page_cursor
            UPDATE import SET skip = skip + $1, rows = rows + CASE WHEN pass = 1 THEN $1 ELSE 0 END
            WHERE tenant = $2 AND campaign = $3 AND channel = $4 AND pass = $5 AND skip = $6 AND state = 'reading'",
            values![
                landing.rows as i64, tenant, campaign, landing.channel, landing.pass,
                landing.skip as i64
            ],
        )?;
        if moved == 0 {
            return Ok(None);
        }
        self.keep_page(tenant, campaign, landing).map(Some)
    }

    /// Ends a pass whose list was read to its end.
    pub fn end_pass(&mut self, job: &Job, campaign: i64, channel: i64) -> Result<(), Error> {
        self.check_lease(job)?;
        self.set_import_state(job.tenant, campaign, channel, "read", None)?;
        self.drop_ranges(job.tenant, campaign, channel)
    }

    /// A page behind a cursor that has moved already. Gives its number.
    pub(crate) fn keep_page(
        &mut self,
        tenant: i64,
        campaign: i64,
        landing: &LandingPage,
    ) -> Result<u32, Error> {
        let page = self.insert_page(tenant, campaign, landing)?;
        self.execute(
            "-- note_first_page
            UPDATE import SET pass_from_page = $1
            WHERE tenant = $2 AND campaign = $3 AND channel = $4 AND pass_from_page = 0",
            values![page, tenant, campaign, landing.channel],
        )?;
        self.insert_blocks(tenant, campaign, page, &landing.blocks)?;
        if landing.pass == 1 {
            self.insert_held_rows(tenant, campaign, page, &landing.held)?;
        }
        self.audit_page(tenant, campaign, page, landing)?;
        Ok(page)
    }

    /// The newest page of a campaign's lists of who was sent to; 0: none has landed.
    pub fn last_landed_page(&mut self, tenant: i64, campaign: i64) -> Result<u32, Error> {
        let found = self.query_one(
            "-- last_landed_page
            SELECT COALESCE(MAX(page), 0) FROM landed_page WHERE tenant = $1 AND campaign = $2 AND channel >= 0",
            values![tenant, campaign],
            |row| Ok(row.int(0)? as u32),
        )?;
        Ok(found.unwrap_or_default())
    }

    /// Pages of a campaign, in order.
    pub fn landed_pages(&mut self, tenant: i64, campaign: i64) -> Result<Vec<LandedPage>, Error> {
        self.query(
            "-- landed_pages
            SELECT page, channel, pass, rows, customers, digest, landed_at FROM landed_page
            WHERE tenant = $1 AND campaign = $2 ORDER BY page",
            values![tenant, campaign],
            |row| {
                Ok(LandedPage {
                    page: row.int(0)? as u32,
                    channel: row.int(1)?,
                    pass: row.int(2)? as u32,
                    rows: row.count(3)?,
                    customers: row.count(4)?,
                    digest: row.blob(5)?,
                    landed_at: row.int(6)?,
                })
            },
        )
    }

    /// Rows of a campaign that name nobody: page, row, reason, pairs, extract.
    pub fn held_rows(&mut self, tenant: i64, campaign: i64) -> Result<Vec<(u32, HeldRow)>, Error> {
        self.query(
            "-- held_rows
            SELECT page, row, reason, pairs, extract FROM held_row
            WHERE tenant = $1 AND campaign = $2 AND released_at IS NULL ORDER BY page, row",
            values![tenant, campaign],
            |row| {
                let held = HeldRow {
                    row: row.int(1)? as u32,
                    reason: row.text(2)?,
                    pairs: row.int(3)? as u32,
                    extract: row.text(4)?,
                };
                Ok((row.int(0)? as u32, held))
            },
        )
    }

    /// Refuses where somebody else holds the job by now.
    pub fn check_lease(&mut self, job: &Job) -> Result<(), Error> {
        let check = self.either(
            "-- check_lease
            SELECT 1 FROM job
            WHERE tenant = $1 AND kind = $2 AND key = $3 AND lease_token = $4 AND lease_until IS NOT NULL",
            pairs::CHECK_LEASE,
        );
        let held = self.query_one(
            check,
            values![job.tenant, &job.kind, &job.key, job.token],
            |row| row.int(0),
        )?;
        if held.is_some() {
            Ok(())
        } else {
            Err(Error::LeaseLost)
        }
    }

    fn insert_page(
        &mut self,
        tenant: i64,
        campaign: i64,
        landing: &LandingPage,
    ) -> Result<u32, Error> {
        let now = self.now_ms();
        self.lock_rows(pairs::LOCK_CAMPAIGN, values![tenant, campaign])?;
        self.query_one(
            "-- insert_page
            INSERT INTO landed_page (tenant, campaign, channel, pass, skip, rows, rows_without_code, pairs, customers,
                digest, landed_at, page)
            SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, COALESCE(MAX(page), 0) + 1
            FROM landed_page WHERE tenant = $1 AND campaign = $2
            RETURNING page",
            values![
                tenant, campaign, landing.channel, landing.pass, landing.skip as i64,
                landing.rows as i64, landing.rows_without_code as i64, landing.pairs as i64,
                landing.customers as i64, &landing.digest, now
            ],
            |row| Ok(row.int(0)? as u32),
        )?
        .ok_or_else(|| Error::Corrupt("an insert returned nothing".into()))
    }

    fn insert_blocks(
        &mut self,
        tenant: i64,
        campaign: i64,
        page: u32,
        blocks: &[Block],
    ) -> Result<(), Error> {
        let rows = blocks.iter().enumerate().map(|(number, block)| {
            [
                tenant.into(),
                campaign.into(),
                page.into(),
                (number as i64).into(),
                (&block.last_fold).into(),
                (&block.body).into(),
            ]
        });
        self.execute_many(
            "-- insert_block
            INSERT INTO landed_block (tenant, campaign, page, block, last_fold, body) VALUES ($1, $2, $3, $4, $5, $6)",
            rows,
        )?;
        Ok(())
    }

    fn insert_held_rows(
        &mut self,
        tenant: i64,
        campaign: i64,
        page: u32,
        held: &[HeldRow],
    ) -> Result<(), Error> {
        for row in held {
            let counts = [
                ("rows".to_owned(), 1),
                ("rows_without_code".to_owned(), i64::from(row.pairs == 0)),
                ("pairs".to_owned(), row.pairs.into()),
                (format!("held:{}", row.reason), row.pairs.into()),
            ];
            self.add_counts(tenant, campaign, &counts)?;
            self.execute(
                "-- insert_held_row
                INSERT INTO held_row (tenant, campaign, page, row, reason, pairs, extract)
                VALUES ($1, $2, $3, $4, $5, $6, $7)",
                values![
                    tenant,
                    campaign,
                    page,
                    row.row,
                    &row.reason,
                    row.pairs,
                    &row.extract
                ],
            )?;
        }
        Ok(())
    }

    fn audit_page(
        &mut self,
        tenant: i64,
        campaign: i64,
        page: u32,
        landing: &LandingPage,
    ) -> Result<(), Error> {
        let digest = hex(&landing.digest);
        let detail = format!(
            r#"{{"channel":{},"pass":{},"skip":{},"rows":{},"pairs":{},"sha256":"{digest}"}}"#,
            landing.channel, landing.pass, landing.skip, landing.rows, landing.pairs
        );
        self.audit(&AuditEntry {
            tenant,
            actor: "worker",
            action: "page.landed",
            object: &format!("campaign-no/{campaign}/page/{page}"),
            detail: &detail,
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            text.extend(
                [byte >> 4, byte & 15]
                    .map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')),
            );
            text
        })
}
