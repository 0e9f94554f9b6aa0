//! The inbox: notifications as they came, and what became of them.

use crate::postgres::Session;
use crate::{Error, Row, Tx, Value, pairs, values};

/// A notification to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotification {
    /// The tenant's number, from the address.
    pub tenant: i64,
    /// Time-ordered id for the case that it is new.
    pub id: String,
    /// From the address.
    pub event_type: i64,
    /// What makes a repeat a repeat.
    pub identity: String,
    /// As read from the body, if readable.
    pub campaign: Option<String>,
    /// As read from the body, if named.
    pub channel: Option<i64>,
    /// The body as it came.
    pub body: Vec<u8>,
}

/// A notification as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The tenant's number.
    pub tenant: i64,
    /// Time-ordered id.
    pub id: String,
    /// Optimove's number of the event.
    pub event_type: i64,
    /// What makes a repeat a repeat.
    pub identity: String,
    /// Campaign, if readable.
    pub campaign: Option<String>,
    /// Channel, if named.
    pub channel: Option<i64>,
    /// Milliseconds; of the first arrival.
    pub received_at: i64,
    /// How often it came.
    pub arrivals: u64,
    /// waiting, done, superseded or held.
    pub status: String,
    /// Why held or superseded.
    pub reason: Option<String>,
    /// The body as it first came.
    pub body: Vec<u8>,
}

macro_rules! notification_columns {
    () => {
        "tenant, id, event_type, identity, campaign, channel, received_at, arrivals, status, reason, body"
    };
}

fn notification(row: &Row<'_>) -> Result<Notification, Error> {
    Ok(Notification {
        tenant: row.int(0)?,
        id: row.text(1)?,
        event_type: row.int(2)?,
        identity: row.text(3)?,
        campaign: row.opt_text(4)?,
        channel: row.opt_int(5)?,
        received_at: row.int(6)?,
        arrivals: row.count(7)?,
        status: row.text(8)?,
        reason: row.opt_text(9)?,
        body: row.blob(10)?,
    })
}

/// What a page of the inbox is filtered by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InboxFilter<'a> {
    /// Only this status.
    pub status: Option<&'a str>,
    /// Only this campaign.
    pub campaign: Option<&'a str>,
}

/// In the order of the statements that insert.
fn columns(new: &NewNotification, now: i64) -> [Value<'_>; 8] {
    [
        new.tenant.into(),
        (&new.id).into(),
        new.event_type.into(),
        (&new.identity).into(),
        new.campaign.as_ref().into(),
        new.channel.into(),
        now.into(),
        (&new.body).into(),
    ]
}

/// [`Tx::accept_notifications`] on PostgreSQL, as columns. It holds by its keys, so it needs no turn.
fn accept_columns(
    session: &Session,
    mut all: Vec<&NewNotification>,
    now: i64,
) -> Result<u64, Error> {
    // In one order everywhere: of two that bring the same, one waits for the other, and never both.
    all.sort_unstable_by_key(|new| (new.tenant, &new.identity));
    let rows: Vec<_> = all.iter().map(|new| columns(new, now)).collect();
    let (plain, careful) = (pairs::INSERT_NOTIFICATIONS, pairs::INSERT_NEW_NOTIFICATIONS);
    let fresh = session.insert_columns(plain, careful, &rows)?;
    if fresh < rows.len() {
        let keys = all
            .iter()
            .map(|new| [new.tenant.into(), (&new.id).into(), (&new.identity).into()]);
        let keys: Vec<_> = keys.collect();
        let missing = session.query_columns(pairs::COUNT_ARRIVALS, &keys)?;
        if !missing.is_empty() {
            let met = "a notification was set aside while its like came";
            return Err(Error::Unavailable(met.into()));
        }
    }
    Ok(fresh as u64)
}

impl Tx<'_> {
    /// Keeps a notification, or counts one more arrival of one that is there. True where it was new.
    pub fn accept_notification(&mut self, new: &NewNotification) -> Result<bool, Error> {
        self.accept_notifications(std::iter::once(new))
            .map(|fresh| fresh == 1)
    }

    /// Does the same for many, and tells how many were new. Cheapest in the order of their ids.
    ///
    /// Two statements, since most are new and a plain insert is several times cheaper than one that may update.
    pub fn accept_notifications<'a>(
        &mut self,
        all: impl IntoIterator<Item = &'a NewNotification>,
    ) -> Result<u64, Error> {
        let now = self.now_ms();
        if let Some(session) = self.session() {
            return accept_columns(session, all.into_iter().collect(), now);
        }
        let mut insert = self.prepare(
            "-- accept_notification
            INSERT INTO notification (tenant, id, event_type, identity, campaign, channel, received_at, body)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (tenant, identity) DO NOTHING",
        )?;
        let mut fresh = 0;
        for new in all {
            let inserted = insert.execute(&columns(new, now))?;
            fresh += inserted as u64;
            if inserted == 0 {
                self.count_arrival(new)?;
            }
        }
        Ok(fresh)
    }

    /// Counts one more arrival, unless what is kept is this very one: a transaction may be run again once it is durable.
    fn count_arrival(&mut self, repeat: &NewNotification) -> Result<(), Error> {
        self.execute(
            "-- count_arrival
            UPDATE notification SET arrivals = arrivals + 1 WHERE tenant = $1 AND identity = $2 AND id <> $3",
            values![repeat.tenant, &repeat.identity, &repeat.id],
        )?;
        Ok(())
    }

    /// Tenants with notifications that nobody has looked at yet, and the oldest one's id of each.
    ///
    /// Goes from tenant to tenant: the cost follows the number of tenants that wait, not of notifications.
    pub fn waiting_tenants(&mut self) -> Result<Vec<(i64, String)>, Error> {
        self.query(
            "-- waiting_tenants
            WITH RECURSIVE waiting (tenant) AS (
                SELECT MIN(tenant) FROM notification WHERE status = 'waiting'
                UNION ALL
                SELECT (SELECT MIN(n.tenant) FROM notification n
                    WHERE n.status = 'waiting' AND n.tenant > waiting.tenant)
                FROM waiting WHERE waiting.tenant IS NOT NULL)
            SELECT w.tenant,
                (SELECT MIN(n.id) FROM notification n WHERE n.status = 'waiting' AND n.tenant = w.tenant)
            FROM waiting w WHERE w.tenant IS NOT NULL ORDER BY w.tenant",
            values![],
            |row| Ok((row.int(0)?, row.text(1)?)),
        )
    }

    /// Notifications of a tenant behind an id that nobody has looked at yet, oldest first.
    pub fn waiting_notifications(
        &mut self,
        tenant: i64,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Notification>, Error> {
        self.query(
            concat!(
                "-- waiting_notifications\nSELECT ",
                notification_columns!(),
                " FROM notification WHERE status = 'waiting' AND tenant = $1 AND id > $2 ORDER BY id LIMIT $3"
            ),
            values![tenant, after, limit],
            notification,
        )
    }

    /// The same, only those that say a campaign was cancelled (event 4): nothing may keep them waiting.
    pub fn waiting_cancels(&mut self, limit: u32) -> Result<Vec<Notification>, Error> {
        self.query(
            concat!(
                "-- waiting_cancels\nSELECT ",
                notification_columns!(),
                " FROM notification WHERE status = 'waiting' AND event_type = 4 ORDER BY id LIMIT $1"
            ),
            values![limit],
            notification,
        )
    }

    /// Sets the identity of a settled notification aside, so that its like counts as new once more.
    pub fn retire_notification(&mut self, tenant: i64, identity: &str) -> Result<bool, Error> {
        let changed = self.execute(
            "-- retire_notification
            UPDATE notification SET identity = 'over:' || id || ':' || identity
            WHERE tenant = $1 AND identity = $2 AND status <> 'waiting'",
            values![tenant, identity],
        )?;
        Ok(changed == 1)
    }

    /// Settles a notification: done, superseded or held with a reason, or waiting again.
    pub fn settle_notification(
        &mut self,
        tenant: i64,
        id: &str,
        status: &str,
        reason: Option<&str>,
    ) -> Result<bool, Error> {
        let now = self.now_ms();
        let changed = self.execute(
            "-- settle_notification
            UPDATE notification SET status = $1, reason = $2, done_at = $3 WHERE tenant = $4 AND id = $5",
            values![status, reason, now, tenant, id],
        )?;
        Ok(changed == 1)
    }

    /// One notification.
    pub fn notification(&mut self, tenant: i64, id: &str) -> Result<Option<Notification>, Error> {
        self.query_one(
            concat!(
                "-- notification\nSELECT ",
                notification_columns!(),
                " FROM notification WHERE tenant = $1 AND id = $2"
            ),
            values![tenant, id],
            notification,
        )
    }

    /// Notifications of a tenant behind an id, oldest first.
    pub fn notifications(
        &mut self,
        tenant: i64,
        filter: InboxFilter<'_>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Notification>, Error> {
        self.query(
            concat!(
                "-- notifications\nSELECT ",
                notification_columns!(),
                " FROM notification WHERE tenant = $1 AND id > $2
                AND (status = $3 OR $3 IS NULL) AND (campaign = $4 OR $4 IS NULL)
                ORDER BY id LIMIT $5"
            ),
            values![tenant, after, filter.status, filter.campaign, limit],
            notification,
        )
    }

    /// How many notifications wait, and how many are held, over all tenants. Counts what has to be done, not what is
    /// done: it costs the same however old the inbox is.
    pub fn inbox_totals(&mut self) -> Result<Vec<(String, u64)>, Error> {
        self.query(
            "-- inbox_totals
            SELECT 'held', COUNT(*) FROM notification WHERE status = 'held'
            UNION ALL
            SELECT 'waiting', COUNT(*) FROM notification WHERE status = 'waiting'",
            values![],
            |row| Ok((row.text(0)?, row.count(1)?)),
        )
    }

    /// Notifications kept, and how often they arrived, over all tenants.
    pub fn inbox_size(&mut self) -> Result<(u64, u64), Error> {
        let found = self.query_one(
            "-- inbox_size
            SELECT COUNT(*), COALESCE(SUM(arrivals), 0) FROM notification",
            values![],
            |row| Ok((row.count(0)?, row.count(1)?)),
        )?;
        Ok(found.unwrap_or_default())
    }
}
