//! What destinations are to hear of: blocks of grants, the starts and ends of their windows, and the events made of
//! them. Nothing is written for a tenant without a destination.
//!
//! There is no row for each grant: the transaction that writes grants adds one block of them, and events refer to
//! blocks.

use std::collections::{BTreeMap, BTreeSet};

use bestow_core::GivenCode;
use bestow_core::announce::{GrantEvent, Span, Tells, start_told_at};

use crate::jobs::Job;
use crate::postgres::Numbers;
use crate::{Error, Tx, values};

/// The kind of the jobs that deliver. Key: `destination.no`.
pub const DELIVER: &str = "deliver";

/// What is to be told of one grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Optimove's customer id, exactly.
    pub customer: String,
    /// `offer.no`.
    pub offer: u32,
    /// Empty unless triggered.
    pub occurrence: String,
    /// `eligibility_window.no`.
    pub window: u32,
    /// When it can be redeemed.
    pub span: Span,
    /// The unique code that it gave, if any.
    pub code: GivenCode,
    /// What is to be told.
    pub tells: Tells,
}

/// A block of them, as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Counted per tenant, in the order in which they were written.
    pub no: i64,
    /// `campaign.no`.
    pub campaign: i64,
    /// Milliseconds.
    pub made_at: i64,
    /// Smallest and largest of its customers' ids.
    pub customers: (String, String),
    /// In the order in which they were written.
    pub notes: Vec<Note>,
}

/// An event to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Counted per tenant, without gaps.
    pub no: i64,
    /// What happened.
    pub kind: GrantEvent,
    /// `campaign.no`.
    pub campaign: i64,
    /// The block whose grants it is about; `None`: all of the campaign.
    pub block: Option<i64>,
    /// Blocks up to this one were there.
    pub through: i64,
    /// Milliseconds; the instant that it tells of.
    pub at: i64,
    /// Milliseconds; when it was written down.
    pub noted_at: i64,
    /// The redemption that was made or undone, if it tells of one.
    pub redemption: Option<String>,
    /// What it came from; `None`: nobody said.
    pub correlation: Option<String>,
}

/// A start or end of windows whose instant has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRow {
    /// Milliseconds.
    pub at: i64,
    /// Otherwise an end.
    pub is_start: bool,
    /// `grant_block.no`.
    pub block: i64,
    /// `campaign.no`.
    pub campaign: i64,
    /// Milliseconds.
    pub suspended_at: Option<i64>,
    /// Milliseconds.
    pub revoked_at: Option<i64>,
}

/// Whether the notes change grants of earlier blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moves {
    /// They are the first of their grants.
    No,
    /// They may be.
    Yes,
}

impl Tx<'_> {
    /// Whether anybody hears of a tenant's grants.
    pub fn is_heard(&mut self, tenant: i64) -> Result<bool, Error> {
        let found = self.query_one(
            "-- is_heard
            SELECT 1 FROM destination WHERE tenant = $1 AND ended_at IS NULL LIMIT 1",
            values![tenant],
            |row| row.int(0),
        )?;
        Ok(found.is_some())
    }

    /// Writes down what is to be told of grants that this transaction made or changed. Of a campaign that was taken
    /// back nothing new is told.
    pub fn note(&mut self, tenant: i64, notes: &[Note], moves: Moves) -> Result<(), Error> {
        let mut of_campaigns = BTreeMap::<i64, Vec<&Note>>::new();
        let mut campaigns = BTreeMap::new();
        for note in notes.iter().filter(|note| note.tells != Tells::default()) {
            let campaign = if let Some(campaign) = campaigns.get(&note.offer) {
                *campaign
            } else {
                let facts = self.offer_facts(tenant, note.offer)?;
                let facts = facts.ok_or_else(|| Error::Corrupt("no such offer".into()))?;
                campaigns.insert(note.offer, facts.campaign);
                facts.campaign
            };
            of_campaigns.entry(campaign).or_default().push(note);
        }
        if of_campaigns.is_empty() {
            return Ok(());
        }
        // Before the campaigns are read, so that a revocation either sees the blocks or is seen here.
        self.lock_announcements(tenant);
        let mut next_at = None;
        for (campaign, notes) in of_campaigns {
            let known = self.campaign_by_no(tenant, campaign)?;
            if known.is_some_and(|known| known.revoked_at.is_none()) {
                let at = self.note_block(tenant, campaign, &notes, moves)?;
                next_at = next_at.min(at).or(at);
            }
        }
        match next_at {
            Some(at) => self.want_deliveries(tenant, at),
            None => Ok(()),
        }
    }

    /// Writes one block, and tells when the first of its events is due.
    fn note_block(
        &mut self,
        tenant: i64,
        campaign: i64,
        notes: &[&Note],
        moves: Moves,
    ) -> Result<Option<i64>, Error> {
        let now = self.now_ms();
        let no = self.insert_block(tenant, campaign, notes, moves)?;
        let creates = notes.iter().any(|note| note.tells.creation);
        if creates {
            self.insert_event(tenant, GrantEvent::Created, campaign, Some(no), now, None)?;
        }
        let starts = notes.iter().filter(|note| note.tells.start);
        let ends = notes.iter().filter(|note| note.tells.end);
        let dues: BTreeSet<_> = starts
            .map(|note| (start_told_at(note.tells, note.span, now), "start"))
            .chain(ends.filter_map(|note| note.span.ends_at.map(|at| (at, "end"))))
            .collect();
        let first_due = dues.first().map(|(at, _)| *at);
        self.execute_many(
            "-- insert_grant_due
            INSERT INTO grant_due (tenant, at, what, block) VALUES ($1, $2, $3, $4)
            ON CONFLICT (tenant, at, what, block) DO NOTHING",
            dues.into_iter()
                .map(|(at, what)| [tenant.into(), at.into(), what.into(), no.into()]),
        )?;
        Ok(if creates { Some(now) } else { first_due })
    }

    fn insert_block(
        &mut self,
        tenant: i64,
        campaign: i64,
        notes: &[&Note],
        moves: Moves,
    ) -> Result<i64, Error> {
        let now = self.now_ms();
        let customers = || notes.iter().map(|note| &*note.customer);
        let (first, last) = (customers().min(), customers().max());
        let body = crate::notes::pack(notes);
        self.lock_announcements(tenant);
        let no = self.query_one(
            "-- insert_grant_block
            INSERT INTO grant_block (tenant, campaign, moves, entries, first_customer, last_customer, made_at, body, no)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8,
                (SELECT COALESCE(MAX(no), 0) + 1 FROM grant_block WHERE tenant = $1))
            RETURNING no",
            values![tenant, campaign, i64::from(moves == Moves::Yes), notes.len() as i64, first, last, now, &body],
            |row| row.int(0),
        )?;
        no.ok_or_else(|| Error::Corrupt("a block was not written".into()))
    }

    /// Writes down that a grant was redeemed, or that this was undone. What is told of the grant itself is nothing new,
    /// and it is told of a campaign that was taken back, too.
    pub(crate) fn note_use(
        &mut self,
        tenant: i64,
        grant: &Note,
        kind: GrantEvent,
        redemption: &str,
    ) -> Result<(), Error> {
        let offer = self.offer_facts(tenant, grant.offer)?;
        let offer = offer.ok_or_else(|| Error::Corrupt("no such offer".into()))?;
        let (campaign, now) = (offer.campaign, self.now_ms());
        let block = self.insert_block(tenant, campaign, &[grant], Moves::No)?;
        self.insert_event(tenant, kind, campaign, Some(block), now, Some(redemption))?;
        self.want_deliveries(tenant, now)
    }

    /// Writes down that something happened to a whole campaign.
    pub(crate) fn note_campaign(
        &mut self,
        tenant: i64,
        campaign: i64,
        kind: GrantEvent,
    ) -> Result<(), Error> {
        if !self.is_heard(tenant)? {
            return Ok(());
        }
        let now = self.now_ms();
        self.insert_event(tenant, kind, campaign, None, now, None)?;
        self.want_deliveries(tenant, now)
    }

    fn insert_event(
        &mut self,
        tenant: i64,
        kind: GrantEvent,
        campaign: i64,
        block: Option<i64>,
        at: i64,
        redemption: Option<&str>,
    ) -> Result<(), Error> {
        let (now, correlation) = (self.now_ms(), self.correlation());
        self.lock_announcements(tenant);
        self.execute(
            "-- insert_grant_event
            INSERT INTO grant_event (tenant, kind, campaign, block, at, noted_at, redemption, correlation, no, through)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8,
                (SELECT COALESCE(MAX(no), 0) + 1 FROM grant_event WHERE tenant = $1),
                (SELECT COALESCE(MAX(no), 0) FROM grant_block WHERE tenant = $1))",
            values![tenant, kind.as_str(), campaign, block, at, now, redemption, correlation.as_deref()],
        )?;
        Ok(())
    }

    /// Wants the jobs of all destinations that are delivered to.
    fn want_deliveries(&mut self, tenant: i64, at: i64) -> Result<(), Error> {
        let destinations = self.query(
            "-- heard_by
            SELECT no FROM destination WHERE tenant = $1 AND ended_at IS NULL ORDER BY no",
            values![tenant],
            |row| row.int(0),
        )?;
        destinations
            .into_iter()
            .try_for_each(|no| self.want_job(tenant, DELIVER, &no.to_string(), at))
    }

    /// Keeps others from writing down events until this transaction ends. To be called before a job is held, as whoever
    /// writes grants does it in that order.
    pub fn lock_announcements(&mut self, tenant: i64) {
        self.lock_numbers(Numbers::Announcements, tenant);
    }

    /// Starts and ends whose instant has come, the earliest first. Starts of suspended campaigns are left out.
    pub fn due_announcements(&mut self, tenant: i64, limit: u32) -> Result<Vec<DueRow>, Error> {
        let now = self.now_ms();
        self.query(
            "-- due_announcements
            SELECT d.at, d.what, d.block, b.campaign, c.suspended_at, c.revoked_at
            FROM grant_due d JOIN grant_block b ON b.tenant = d.tenant AND b.no = d.block
            JOIN campaign c ON c.tenant = b.tenant AND c.no = b.campaign
            WHERE d.tenant = $1 AND d.at <= $2
                AND (d.what = 'end' OR c.suspended_at IS NULL OR c.revoked_at IS NOT NULL)
            ORDER BY d.at, d.what, d.block LIMIT $3",
            values![tenant, now, limit],
            |row| {
                Ok(DueRow {
                    at: row.int(0)?,
                    is_start: row.str(1)? == "start",
                    block: row.int(2)?,
                    campaign: row.int(3)?,
                    suspended_at: row.opt_int(4)?,
                    revoked_at: row.opt_int(5)?,
                })
            },
        )
    }

    /// When the next start or end comes that is not due yet.
    pub fn next_announcement_at(&mut self, tenant: i64) -> Result<Option<i64>, Error> {
        let now = self.now_ms();
        let found = self.query_one(
            "-- next_announcement_at
            SELECT MIN(at) FROM grant_due WHERE tenant = $1 AND at > $2",
            values![tenant, now],
            |row| row.opt_int(0),
        )?;
        Ok(found.flatten())
    }

    /// Takes a start or end out, and makes an event of it where it is told.
    pub fn announce_due(&mut self, tenant: i64, due: &DueRow, is_told: bool) -> Result<(), Error> {
        let (what, kind) = if due.is_start {
            ("start", GrantEvent::Activated)
        } else {
            ("end", GrantEvent::Expired)
        };
        self.execute(
            "-- drop_grant_due
            DELETE FROM grant_due WHERE tenant = $1 AND at = $2 AND what = $3 AND block = $4",
            values![tenant, due.at, what, due.block],
        )?;
        if is_told {
            self.insert_event(tenant, kind, due.campaign, Some(due.block), due.at, None)?;
        }
        Ok(())
    }

    /// Wants the other destinations' jobs after events were written down by one of them.
    pub fn want_other_deliveries(&mut self, job: &Job) -> Result<(), Error> {
        let now = self.now_ms();
        self.execute(
            "-- want_other_deliveries
            UPDATE job SET run_at = CASE WHEN lease_until IS NULL AND run_at > $1 THEN $1 ELSE run_at END,
                again = CASE WHEN lease_until IS NULL THEN again ELSE 1 END
            WHERE tenant = $2 AND kind = $3 AND key <> $4",
            values![now, job.tenant, &job.kind, &job.key],
        )?;
        Ok(())
    }

    /// Events from a number on.
    pub fn grant_events(
        &mut self,
        tenant: i64,
        from: i64,
        limit: u32,
    ) -> Result<Vec<Event>, Error> {
        self.query(
            "-- grant_events
            SELECT no, kind, campaign, block, through, at, noted_at, redemption, correlation FROM grant_event
            WHERE tenant = $1 AND no >= $2 ORDER BY no LIMIT $3",
            values![tenant, from, limit],
            |row| {
                let kind = GrantEvent::parse(row.str(1)?);
                Ok(Event {
                    no: row.int(0)?,
                    kind: kind.map_err(|e| Error::Corrupt(e.to_string()))?,
                    campaign: row.int(2)?,
                    block: row.opt_int(3)?,
                    through: row.int(4)?,
                    at: row.int(5)?,
                    noted_at: row.int(6)?,
                    redemption: row.opt_text(7)?,
                    correlation: row.opt_text(8)?,
                })
            },
        )
    }

    /// The number of the newest event; 0: none.
    pub fn last_grant_event(&mut self, tenant: i64) -> Result<i64, Error> {
        let found = self.query_one(
            "-- last_grant_event
            SELECT COALESCE(MAX(no), 0) FROM grant_event WHERE tenant = $1",
            values![tenant],
            |row| row.int(0),
        )?;
        Ok(found.unwrap_or_default())
    }

    /// One block.
    pub fn grant_block(&mut self, tenant: i64, no: i64) -> Result<Option<Block>, Error> {
        self.query_one(
            "-- grant_block
            SELECT no, campaign, made_at, first_customer, last_customer, body FROM grant_block
            WHERE tenant = $1 AND no = $2",
            values![tenant, no],
            block,
        )
    }

    /// The number of the last block; 0: there is none.
    pub fn last_block(&mut self, tenant: i64) -> Result<i64, Error> {
        let found = self.query_one(
            "-- last_block
            SELECT MAX(no) FROM grant_block WHERE tenant = $1",
            values![tenant],
            |row| row.opt_int(0),
        )?;
        Ok(found.flatten().unwrap_or_default())
    }

    /// The number of a campaign's first block from one on, up to another.
    pub fn next_block_of(
        &mut self,
        tenant: i64,
        campaign: i64,
        from: i64,
        through: i64,
    ) -> Result<Option<i64>, Error> {
        let found = self.query_one(
            "-- next_block_of
            SELECT MIN(no) FROM grant_block WHERE tenant = $1 AND campaign = $2 AND no >= $3 AND no <= $4",
            values![tenant, campaign, from, through],
            |row| row.opt_int(0),
        )?;
        Ok(found.flatten())
    }

    /// Later blocks of a block's campaign that may change its grants, up to a number.
    pub fn moves_of(&mut self, tenant: i64, of: &Block, through: i64) -> Result<Vec<Block>, Error> {
        self.query(
            "-- moves_of
            SELECT no, campaign, made_at, first_customer, last_customer, body FROM grant_block
            WHERE tenant = $1 AND campaign = $2 AND moves = 1 AND no > $3 AND no <= $4
                AND first_customer <= $5 AND last_customer >= $6
            ORDER BY no",
            values![
                tenant,
                of.campaign,
                of.no,
                through,
                &of.customers.1,
                &of.customers.0
            ],
            block,
        )
    }
}

fn block(row: &crate::Row<'_>) -> Result<Block, Error> {
    Ok(Block {
        no: row.int(0)?,
        campaign: row.int(1)?,
        made_at: row.int(2)?,
        customers: (row.text(3)?, row.text(4)?),
        notes: crate::notes::unpack(&row.blob(5)?)?,
    })
}
