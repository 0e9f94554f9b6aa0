//! Deliveries: batches of events on their way to destinations.

use bestow_core::delivery::DeliveryState;

use crate::destinations::Place;
use crate::jobs::Job;
use crate::{Error, Row, Tx, values};

/// A delivery as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// `destination.no`.
    pub destination: i64,
    /// Counted per destination.
    pub no: u64,
    /// The same in each try.
    pub id: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Where it begins in what the destination hears.
    pub from: Place,
    /// Where it ends, exclusive.
    pub to: Place,
    /// How many events.
    pub events: u64,
    /// Milliseconds.
    pub planned_at: i64,
    /// Milliseconds; since it was last given up.
    pub first_tried_at: Option<i64>,
    /// Tries since then.
    pub attempts: u64,
    /// Milliseconds; not tried before.
    pub next_at: i64,
    /// A try may have been applied though it failed.
    pub in_doubt: bool,
    /// Times that somebody had it sent again.
    pub redriven: u64,
    /// Milliseconds.
    pub settled_at: Option<i64>,
    /// What the newest failed try met.
    pub detail: Option<String>,
}

/// A delivery to be planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// The same in each try.
    pub id: String,
    /// Where it begins.
    pub from: Place,
    /// Where it ends, exclusive.
    pub to: Place,
    /// How many events; none: the places are passed without a delivery.
    pub events: u64,
}

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TryEnd {
    /// Where it stands now.
    pub state: DeliveryState,
    /// Milliseconds; where it is tried again.
    pub next_at: Option<i64>,
    /// Tries so far.
    pub attempts: u64,
    /// Milliseconds; the first of them.
    pub first_tried_at: i64,
    /// A try may have been applied though it failed.
    pub in_doubt: bool,
    /// What it met.
    pub detail: Option<String>,
}

macro_rules! delivery_columns {
    () => {
        "destination, no, id, state, from_event, from_block, from_entry, to_event, to_block, to_entry, events,
         planned_at, first_tried_at, attempts, next_at, in_doubt, redriven, settled_at, detail"
    };
}

fn delivery(row: &Row<'_>) -> Result<Delivery, Error> {
    let place = |from: usize| -> Result<Place, Error> {
        Ok(Place {
            event: row.int(from)?,
            block: row.int(from + 1)?,
            entry: row.int(from + 2)?,
        })
    };
    Ok(Delivery {
        destination: row.int(0)?,
        no: row.count(1)?,
        id: row.text(2)?,
        state: DeliveryState::parse(row.str(3)?).map_err(|e| Error::Corrupt(e.to_string()))?,
        from: place(4)?,
        to: place(7)?,
        events: row.count(10)?,
        planned_at: row.int(11)?,
        first_tried_at: row.opt_int(12)?,
        attempts: row.count(13)?,
        next_at: row.int(14)?,
        in_doubt: row.int(15)? == 1,
        redriven: row.count(16)?,
        settled_at: row.opt_int(17)?,
        detail: row.opt_text(18)?,
    })
}

impl Tx<'_> {
    /// Plans deliveries of the events behind a destination's place, and moves it behind them. False where the place is
    /// another one by now.
    pub fn plan_deliveries(
        &mut self,
        job: &Job,
        destination: i64,
        from: Place,
        new: &[NewDelivery],
        lease_ms: i64,
    ) -> Result<bool, Error> {
        self.hold_job(job, lease_ms)?;
        let (now, Some(to)) = (self.now_ms(), new.last().map(|last| last.to)) else {
            return Ok(true);
        };
        let moved = self.execute(
            "-- move_heard
            UPDATE destination SET heard_event = $1, heard_block = $2, heard_entry = $3
            WHERE tenant = $4 AND no = $5 AND heard_event = $6 AND heard_block = $7 AND heard_entry = $8",
            values![
                to.event, to.block, to.entry, job.tenant, destination, from.event, from.block,
                from.entry
            ],
        )?;
        if moved == 0 {
            return Ok(false);
        }
        // Whoever plans holds the job, and the destination's row by now.
        let last = self.query_one(
            "-- last_delivery
            SELECT MAX(no) FROM delivery WHERE tenant = $1 AND destination = $2",
            values![job.tenant, destination],
            |row| row.opt_int(0),
        )?;
        let mut no = last.flatten().unwrap_or_default();
        for delivery in new.iter().filter(|one| one.events > 0) {
            no += 1;
            let NewDelivery { from, to, .. } = delivery;
            self.execute(
                "-- insert_delivery
                INSERT INTO delivery (tenant, destination, id, state, from_event, from_block, from_entry,
                    to_event, to_block, to_entry, events, planned_at, next_at, no)
                VALUES ($1, $2, $3, 'waiting', $4, $5, $6, $7, $8, $9, $10, $11, $11, $12)",
                values![
                    job.tenant, destination, &delivery.id, from.event, from.block, from.entry, to.event, to.block,
                    to.entry, delivery.events as i64, now, no
                ],
            )?;
        }
        Ok(true)
    }

    /// Deliveries of a destination in a state, behind a number.
    pub fn open_deliveries(
        &mut self,
        tenant: i64,
        destination: i64,
        state: DeliveryState,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Delivery>, Error> {
        self.query(
            concat!(
                "-- open_deliveries\nSELECT ",
                delivery_columns!(),
                " FROM delivery
                WHERE tenant = $1 AND destination = $2 AND state = $3 AND state <> 'delivered' AND no > $4
                ORDER BY no LIMIT $5"
            ),
            values![
                tenant,
                destination,
                state.as_str(),
                after as i64,
                limit
            ],
            delivery,
        )
    }

    /// A delivery is on its way: from now on it may have been applied.
    pub fn send_delivery(&mut self, job: &Job, destination: i64, no: u64) -> Result<(), Error> {
        self.check_lease(job)?;
        self.execute(
            "-- send_delivery
            UPDATE delivery SET state = 'sending'
            WHERE tenant = $1 AND destination = $2 AND no = $3 AND state = 'waiting'",
            values![job.tenant, destination, no as i64],
        )?;
        Ok(())
    }

    /// Writes down what came of a try.
    pub fn end_try(
        &mut self,
        job: &Job,
        destination: i64,
        no: u64,
        end: &TryEnd,
        lease_ms: i64,
    ) -> Result<(), Error> {
        self.hold_job(job, lease_ms)?;
        let now = self.now_ms();
        let settled_at = end.next_at.is_none().then_some(now);
        self.execute(
            "-- end_try
            UPDATE delivery SET state = $1, next_at = COALESCE($2, next_at), attempts = $3, first_tried_at = $4,
                in_doubt = $5, detail = $6, settled_at = $7
            WHERE tenant = $8 AND destination = $9 AND no = $10 AND state IN ('waiting', 'sending')",
            values![
                end.state.as_str(), end.next_at, end.attempts as i64, end.first_tried_at, i64::from(end.in_doubt),
                end.detail.as_deref(), settled_at, job.tenant, destination, no as i64
            ],
        )?;
        Ok(())
    }

    /// The first destination behind one that was ever delivered to, ended ones included.
    pub fn delivered_to(&mut self, tenant: i64, after: i64) -> Result<Option<i64>, Error> {
        let found = self.query_one(
            "-- delivered_to
            SELECT MIN(destination) FROM delivery WHERE tenant = $1 AND destination > $2",
            values![tenant, after],
            |row| row.opt_int(0),
        )?;
        Ok(found.flatten())
    }

    /// Drops deliveries that were delivered by an instant, in milliseconds, the oldest of a destination first. What was
    /// never delivered stays, and so does the newest: the next one is numbered behind it. How many went; as many as
    /// `limit`: there may be more.
    pub fn drop_delivered(
        &mut self,
        job: &Job,
        destination: i64,
        until: i64,
        limit: u32,
        lease_ms: i64,
    ) -> Result<usize, Error> {
        self.hold_job(job, lease_ms)?;
        self.execute(
            "-- drop_delivered
            DELETE FROM delivery WHERE tenant = $1 AND destination = $2 AND settled_at <= $3
                AND no < (SELECT MAX(l.no) FROM delivery l WHERE l.tenant = $1 AND l.destination = $2)
                AND no IN (
                    SELECT o.no FROM delivery o WHERE o.tenant = $1 AND o.destination = $2 AND o.state = 'delivered'
                    ORDER BY o.no LIMIT $4)",
            values![job.tenant, destination, until, limit],
        )
    }

    /// The delivery with this id.
    pub fn delivery(&mut self, tenant: i64, id: &str) -> Result<Option<Delivery>, Error> {
        self.query_one(
            concat!(
                "-- delivery\nSELECT ",
                delivery_columns!(),
                " FROM delivery WHERE tenant = $1 AND id = $2"
            ),
            values![tenant, id],
            delivery,
        )
    }

    /// Has a delivery that was given up sent again from the start. False where it was not given up.
    pub fn redrive_delivery(&mut self, tenant: i64, id: &str) -> Result<bool, Error> {
        let now = self.now_ms();
        let changed = self.execute(
            "-- redrive_delivery
            UPDATE delivery SET state = 'waiting', next_at = $1, attempts = 0, first_tried_at = NULL,
                redriven = redriven + 1, settled_at = NULL
            WHERE tenant = $2 AND id = $3 AND state IN ('unknown', 'dead')",
            values![now, tenant, id],
        )?;
        Ok(changed == 1)
    }

    /// A tenant's deliveries behind a place in the order of destinations and numbers, all or those of a destination or
    /// in a state.
    pub fn deliveries(
        &mut self,
        tenant: i64,
        destination: Option<i64>,
        state: Option<DeliveryState>,
        after: (i64, u64),
        limit: u32,
    ) -> Result<Vec<Delivery>, Error> {
        let state = state.map(DeliveryState::as_str);
        self.query(
            concat!(
                "-- deliveries\nSELECT ",
                delivery_columns!(),
                " FROM delivery
                WHERE tenant = $1 AND (destination = $2 OR $2 IS NULL) AND (state = $3 OR $3 IS NULL)
                    AND (destination > $4 OR (destination = $4 AND no > $5))
                ORDER BY destination, no LIMIT $6"
            ),
            values![tenant, destination, state, after.0, after.1 as i64, limit],
            delivery,
        )
    }
}
