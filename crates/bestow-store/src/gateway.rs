//! The gateway's reservations, what is registered as the gateway, and answers that are still to be sent.

use crate::{Error, Row, Tx, Value, values};

/// A yes of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Who was asked about.
    pub customer: String,
    /// `campaign.id` of the question, folded.
    pub campaign: String,
    /// 0: not told.
    pub action: i64,
    /// `campaign.series_id` of the question, folded.
    pub series: Option<String>,
    /// The folded codes, sorted, one a line.
    pub codes: String,
    /// Milliseconds.
    pub asked_at: i64,
    /// Milliseconds, exclusive.
    pub lapses_at: i64,
    /// The occurrence that used it.
    pub consumed_by: Option<String>,
}

impl Reservation {
    /// Whether it holds room at `now_ms`.
    pub fn is_alive(&self, now_ms: i64) -> bool {
        self.consumed_by.is_none() && now_ms < self.lapses_at
    }

    /// What those of a customer are ordered by.
    pub(crate) fn in_order(&self) -> impl Ord + '_ {
        (self.lapses_at, &self.campaign, self.action)
    }

    /// The folded codes it holds room for.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        self.codes.lines()
    }
}

macro_rules! reservation_columns {
    () => {
        "customer, campaign, action, series, codes, asked_at, lapses_at, consumed_by"
    };
}
pub(crate) use reservation_columns;

pub(crate) fn reservation(row: &Row<'_>) -> Result<Reservation, Error> {
    Ok(Reservation {
        customer: row.text(0)?,
        campaign: row.text(1)?,
        action: row.int(2)?,
        series: row.opt_text(3)?,
        codes: row.text(4)?,
        asked_at: row.int(5)?,
        lapses_at: row.int(6)?,
        consumed_by: row.opt_text(7)?,
    })
}

/// In the order of the statements that insert.
pub(crate) fn columns(tenant: i64, new: &Reservation) -> [Value<'_>; 8] {
    [
        tenant.into(),
        (&new.customer).into(),
        (&new.campaign).into(),
        new.action.into(),
        new.series.as_ref().into(),
        (&new.codes).into(),
        new.asked_at.into(),
        new.lapses_at.into(),
    ]
}

/// What we registered as a tenant's gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Of version and address.
    pub address_hash: Vec<u8>,
    /// Milliseconds.
    pub registered_at: i64,
    /// Milliseconds; about when the last question came.
    pub asked_at: Option<i64>,
}

/// An answer that Optimove waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalCall {
    /// Number within the tenant.
    pub no: i64,
    /// Exactly as asked.
    pub user_id: String,
    /// As sent.
    pub campaign: String,
    /// The decision.
    pub allowed: bool,
}

impl Tx<'_> {
    /// The reservations of one customer, whatever became of them.
    pub fn reservations(&mut self, tenant: i64, customer: &str) -> Result<Vec<Reservation>, Error> {
        if let Some(known) = self.near(|near| near.reservations(tenant, customer)) {
            return Ok(known);
        }
        self.query(
            concat!(
                "-- reservations\nSELECT ",
                reservation_columns!(),
                " FROM reservation WHERE tenant = $1 AND customer = $2 ORDER BY lapses_at, campaign, action"
            ),
            values![tenant, customer],
            reservation,
        )
    }

    /// Writes a reservation in place of an older one for the same question, and counts the room that it takes.
    pub fn reserve(&mut self, tenant: i64, new: &Reservation) -> Result<(), Error> {
        if let Some(session) = self.session()
            && session.reserve_later(tenant, new)
        {
            return Ok(());
        }
        self.drop_reservation(tenant, &new.customer, &new.campaign, new.action)?;
        self.execute(
            "-- insert_reservation
            INSERT INTO reservation (tenant, customer, campaign, action, series, codes, asked_at, lapses_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            &columns(tenant, new),
        )?;
        new.codes()
            .try_for_each(|code| self.take(tenant, code, 0, 1))
    }

    /// A trigger uses a reservation: its room is free for the grant. False where it was used before.
    pub fn consume_reservation(
        &mut self,
        tenant: i64,
        used: &Reservation,
        occurrence: &str,
    ) -> Result<bool, Error> {
        let changed = self.execute(
            "-- consume_reservation
            UPDATE reservation SET consumed_by = $1
            WHERE tenant = $2 AND customer = $3 AND campaign = $4 AND action = $5 AND consumed_by IS NULL",
            values![occurrence, tenant, &used.customer, &used.campaign, used.action],
        )?;
        if changed == 1 {
            used.codes()
                .try_for_each(|code| self.take(tenant, code, 0, -1))?;
        }
        Ok(changed == 1)
    }

    /// As [`Tx::drop_lapsed`], at the latest before the commit: for whoever need not know what room there is.
    pub fn drop_lapsed_later(&mut self, tenant: i64, limit: u32) -> Result<(), Error> {
        let now = self.now_ms();
        if let Some(session) = self.session()
            && session.drop_lapsed_later(tenant, now, limit)
        {
            return Ok(());
        }
        self.drop_lapsed(tenant, limit).map(|_| ())
    }

    /// Drops reservations that have lapsed, the longest lapsed first and at most `limit`; their room is free.
    /// Tells how many there were.
    pub fn drop_lapsed(&mut self, tenant: i64, limit: u32) -> Result<usize, Error> {
        let now = self.now_ms();
        if let Some(session) = self.session() {
            return session.drop_lapsed(tenant, now, limit);
        }
        let lapsed = self.query(
            concat!(
                "-- lapsed_reservations\nSELECT ",
                reservation_columns!(),
                " FROM reservation WHERE tenant = $1 AND lapses_at <= $2 ORDER BY lapses_at LIMIT $3"
            ),
            values![tenant, now, limit],
            reservation,
        )?;
        for one in &lapsed {
            self.drop_reservation(tenant, &one.customer, &one.campaign, one.action)?;
        }
        Ok(lapsed.len())
    }

    fn drop_reservation(
        &mut self,
        tenant: i64,
        customer: &str,
        campaign: &str,
        action: i64,
    ) -> Result<(), Error> {
        let dropped = self.query_one(
            "-- drop_reservation
            DELETE FROM reservation WHERE tenant = $1 AND customer = $2 AND campaign = $3 AND action = $4
            RETURNING codes, consumed_by",
            values![tenant, customer, campaign, action],
            |row| Ok((row.text(0)?, row.opt_text(1)?)),
        )?;
        match dropped {
            Some((codes, None)) => codes
                .lines()
                .try_for_each(|code| self.take(tenant, code, 0, -1)),
            _ => Ok(()),
        }
    }

    /// What we registered as a tenant's gateway.
    pub fn registered_gateway(&mut self, tenant: i64) -> Result<Option<Registered>, Error> {
        self.query_one(
            "-- registered_gateway
            SELECT address_hash, registered_at, asked_at FROM gateway WHERE tenant = $1",
            values![tenant],
            |row| {
                Ok(Registered {
                    address_hash: row.blob(0)?,
                    registered_at: row.int(1)?,
                    asked_at: row.opt_int(2)?,
                })
            },
        )
    }

    /// Remembers what was registered as a tenant's gateway.
    pub fn gateway_registered(&mut self, tenant: i64, address_hash: &[u8]) -> Result<(), Error> {
        let now = self.now_ms();
        self.execute(
            "-- gateway_registered
            INSERT INTO gateway (tenant, address_hash, registered_at) VALUES ($1, $2, $3)
            ON CONFLICT (tenant) DO UPDATE SET
                address_hash = excluded.address_hash, registered_at = excluded.registered_at",
            values![tenant, address_hash, now],
        )?;
        Ok(())
    }

    /// Notes that a question came, unless one was noted since `since`. True where it was noted now.
    pub fn note_question(&mut self, tenant: i64, since: i64) -> Result<bool, Error> {
        let now = self.now_ms();
        let changed = self.execute(
            "-- note_question
            UPDATE gateway SET asked_at = $1 WHERE tenant = $2 AND (asked_at IS NULL OR asked_at < $3)",
            values![now, tenant, since],
        )?;
        Ok(changed == 1)
    }

    /// Keeps an answer that is still to be sent.
    pub fn want_approval(
        &mut self,
        tenant: i64,
        user_id: &str,
        campaign: &str,
        allowed: bool,
    ) -> Result<(), Error> {
        let now = self.now_ms();
        self.lock_terms(tenant);
        self.execute(
            "-- want_approval
            INSERT INTO approval_call (tenant, user_id, campaign, allowed, asked_at, no)
            SELECT $1, $2, $3, $4, $5, COALESCE(MAX(no), 0) + 1
            FROM approval_call WHERE tenant = $1",
            values![tenant, user_id, campaign, i64::from(allowed), now],
        )?;
        Ok(())
    }

    /// Answers that are still to be sent, oldest first.
    pub fn approvals_to_send(
        &mut self,
        tenant: i64,
        limit: u32,
    ) -> Result<Vec<ApprovalCall>, Error> {
        self.query(
            "-- approvals_to_send
            SELECT no, user_id, campaign, allowed FROM approval_call WHERE tenant = $1 ORDER BY no LIMIT $2",
            values![tenant, limit],
            |row| {
                Ok(ApprovalCall {
                    no: row.int(0)?,
                    user_id: row.text(1)?,
                    campaign: row.text(2)?,
                    allowed: row.int(3)? == 1,
                })
            },
        )
    }

    /// An answer was sent.
    pub fn approval_sent(&mut self, tenant: i64, no: i64) -> Result<(), Error> {
        self.execute(
            "-- approval_sent
            DELETE FROM approval_call WHERE tenant = $1 AND no = $2",
            values![tenant, no],
        )?;
        Ok(())
    }
}
