//! Where grant events are delivered.

use bestow_core::delivery::DeliveryState;

use crate::jobs::Job;
use crate::{Error, Row, Tx, values};

/// A place in what a destination hears: everything before it has become deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// `grant_event.no`.
    pub event: i64,
    /// `grant_block.no` within it; 0: its first.
    pub block: i64,
    /// Place within the block.
    pub entry: i64,
}

/// A destination as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Counted per tenant.
    pub no: i64,
    /// Chosen by the operator.
    pub id: String,
    /// `http` or `jetstream`.
    pub kind: String,
    /// JSON.
    pub settings: String,
    /// Sealed.
    pub secrets: Option<Vec<u8>>,
    /// Where its next delivery begins.
    pub heard: Place,
    /// Tries that failed in a row.
    pub failures: u64,
    /// Milliseconds; nothing is sent before.
    pub rests_until: Option<i64>,
    /// What the newest failed try met.
    pub trouble: Option<String>,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds; what is to be told waits since then.
    pub paused_at: Option<i64>,
}

/// A destination to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewDestination<'a> {
    /// Chosen by the operator.
    pub id: &'a str,
    /// `http` or `jetstream`.
    pub kind: &'a str,
    /// JSON.
    pub settings: &'a str,
    /// Sealed.
    pub secrets: Option<&'a [u8]>,
}

macro_rules! destination_columns {
    () => {
        "no, id, kind, settings, secrets, heard_event, heard_block, heard_entry, failures, rests_until, trouble,
         created_at, paused_at"
    };
}

fn destination(row: &Row<'_>) -> Result<Destination, Error> {
    Ok(Destination {
        no: row.int(0)?,
        id: row.text(1)?,
        kind: row.text(2)?,
        settings: row.text(3)?,
        secrets: row.opt_blob(4)?,
        heard: Place {
            event: row.int(5)?,
            block: row.int(6)?,
            entry: row.int(7)?,
        },
        failures: row.count(8)?,
        rests_until: row.opt_int(9)?,
        trouble: row.opt_text(10)?,
        created_at: row.int(11)?,
        paused_at: row.opt_int(12)?,
    })
}

impl Tx<'_> {
    /// Makes a destination, which hears of what is written down from now on. `None` where there is one with this id.
    pub fn insert_destination(
        &mut self,
        tenant: i64,
        new: &NewDestination<'_>,
    ) -> Result<Option<i64>, Error> {
        let now = self.now_ms();
        if self.destination(tenant, new.id)?.is_some() {
            return Ok(None);
        }
        self.lock_announcements(tenant);
        self.query_one(
            "-- insert_destination
            INSERT INTO destination (tenant, id, kind, settings, secrets, created_at, no, heard_event)
            VALUES ($1, $2, $3, $4, $5, $6,
                (SELECT COALESCE(MAX(no), 0) + 1 FROM destination WHERE tenant = $1),
                (SELECT COALESCE(MAX(no), 0) + 1 FROM grant_event WHERE tenant = $1))
            RETURNING no",
            values![tenant, new.id, new.kind, new.settings, new.secrets, now],
            |row| row.int(0),
        )
    }

    /// The destination with this id.
    pub fn destination(&mut self, tenant: i64, id: &str) -> Result<Option<Destination>, Error> {
        self.query_one(
            concat!(
                "-- destination\nSELECT ",
                destination_columns!(),
                " FROM destination
                WHERE tenant = $1 AND id = $2 AND ended_at IS NULL"
            ),
            values![tenant, id],
            destination,
        )
    }

    /// The destination with this number, unless it is ended.
    pub fn destination_by_no(
        &mut self,
        tenant: i64,
        no: i64,
    ) -> Result<Option<Destination>, Error> {
        self.query_one(
            concat!(
                "-- destination_by_no\nSELECT ",
                destination_columns!(),
                " FROM destination
                WHERE tenant = $1 AND no = $2 AND ended_at IS NULL"
            ),
            values![tenant, no],
            destination,
        )
    }

    /// A tenant's destinations behind an id, in the order of ids.
    pub fn destinations(
        &mut self,
        tenant: i64,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Destination>, Error> {
        self.query(
            concat!(
                "-- destinations\nSELECT ",
                destination_columns!(),
                " FROM destination
                WHERE tenant = $1 AND id > $2 AND ended_at IS NULL ORDER BY id LIMIT $3"
            ),
            values![tenant, after, limit],
            destination,
        )
    }

    /// Gives a destination other settings and secrets.
    pub fn set_destination(
        &mut self,
        tenant: i64,
        no: i64,
        settings: &str,
        secrets: Option<&[u8]>,
    ) -> Result<(), Error> {
        self.execute(
            "-- set_destination
            UPDATE destination SET settings = $1, secrets = $2 WHERE tenant = $3 AND no = $4",
            values![settings, secrets, tenant, no],
        )?;
        Ok(())
    }

    /// Pauses a destination or lets it go on; one that rests for its failures goes on at once.
    pub fn pause_destination(
        &mut self,
        tenant: i64,
        no: i64,
        paused_at: Option<i64>,
    ) -> Result<(), Error> {
        self.execute(
            "-- pause_destination
            UPDATE destination SET paused_at = $1, rests_until = NULL, failures = 0 WHERE tenant = $2 AND no = $3",
            values![paused_at, tenant, no],
        )?;
        Ok(())
    }

    /// Ends a destination for good. Its deliveries stay as they are; its secrets go.
    pub fn end_destination(&mut self, tenant: i64, no: i64) -> Result<(), Error> {
        let now = self.now_ms();
        self.execute(
            "-- end_destination
            UPDATE destination SET ended_at = $1, secrets = NULL WHERE tenant = $2 AND no = $3 AND ended_at IS NULL",
            values![now, tenant, no],
        )?;
        Ok(())
    }

    /// Writes down how a destination fares.
    pub fn set_health(
        &mut self,
        job: &Job,
        no: i64,
        failures: u64,
        rests_until: Option<i64>,
        trouble: Option<&str>,
    ) -> Result<(), Error> {
        self.execute(
            "-- set_health
            UPDATE destination SET failures = $1, rests_until = $2, trouble = $3 WHERE tenant = $4 AND no = $5",
            values![failures as i64, rests_until, trouble, job.tenant, no],
        )?;
        Ok(())
    }

    /// How many deliveries of a destination are in a state.
    pub fn deliveries_in(
        &mut self,
        tenant: i64,
        destination: i64,
        state: DeliveryState,
    ) -> Result<u64, Error> {
        let found = self.query_one(
            "-- deliveries_in
            SELECT COUNT(*) FROM delivery
            WHERE tenant = $1 AND destination = $2 AND state = $3 AND state <> 'delivered'",
            values![tenant, destination, state.as_str()],
            |row| row.count(0),
        )?;
        Ok(found.unwrap_or_default())
    }
}
