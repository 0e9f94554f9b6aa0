//! Triggers that were met, what became of each of their codes, and their grants.

use bestow_core::GivenCode;

use crate::grants::{Used, used};
use crate::{Error, Tx, values};

/// A trigger to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewTrigger<'a> {
    /// `campaign.no`.
    pub campaign: i64,
    /// What tells it from the next one.
    pub occurrence: &'a str,
    /// Who met it.
    pub customer: &'a str,
    /// `notification.id`.
    pub notification: &'a str,
    /// Milliseconds; when it was met.
    pub met_at: i64,
    /// Whether the gateway had said yes.
    pub reserved: bool,
    /// JSON: fields on the tenant's allow-list.
    pub kept: &'a str,
}

/// A trigger as kept, as far as a second look needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Milliseconds; when it was met.
    pub met_at: i64,
    /// Milliseconds; when it was first decided.
    pub taken_at: i64,
    /// Whether the gateway had said yes when it came.
    pub reserved: bool,
}

/// What became of one code of a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TriggerPair<'a> {
    /// `campaign.no`.
    pub campaign: i64,
    /// Of the trigger.
    pub occurrence: &'a str,
    /// The code, folded.
    pub code_fold: &'a str,
    /// A counter of the campaign.
    pub outcome: &'a str,
    /// `notification.id` while it is held.
    pub waits_with: Option<&'a str>,
}

/// A triggered grant of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggeredGrant {
    /// Of the trigger that gave it.
    pub occurrence: String,
    /// Who has it.
    pub customer: String,
    /// `offer.no`.
    pub offer: u32,
    /// `eligibility_window.no`.
    pub window: u32,
    /// Milliseconds; when the trigger was taken.
    pub taken_at: i64,
    /// The unique code that it gave, if any.
    pub code: GivenCode,
    /// How far it is used.
    pub used: Used,
}

/// How far a code's grants and reservations have gone, over all customers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Grants.
    pub granted: u64,
    /// Reservations that hold room.
    pub reserved: u64,
}

impl Tx<'_> {
    /// Whether a campaign is known as a triggered one.
    pub fn is_triggered(&mut self, tenant: i64, campaign: i64) -> Result<bool, Error> {
        let found = self.query_one(
            "-- is_triggered
            SELECT 1 FROM campaign WHERE tenant = $1 AND no = $2 AND kind = 'triggered'",
            values![tenant, campaign],
            |row| row.int(0),
        )?;
        Ok(found.is_some())
    }

    /// Makes a campaign a triggered one, where nothing was ever read of it. True where it is one now.
    pub fn mark_triggered(&mut self, tenant: i64, campaign: i64) -> Result<bool, Error> {
        let changed = self.execute(
            "-- mark_triggered
            UPDATE campaign SET kind = 'triggered'
            WHERE tenant = $1 AND no = $2 AND NOT EXISTS (
                SELECT 1 FROM import i WHERE i.tenant = $1 AND i.campaign = $2)",
            values![tenant, campaign],
        )?;
        Ok(changed == 1)
    }

    /// Keeps a trigger. False where it was there.
    pub fn insert_trigger(&mut self, tenant: i64, new: &NewTrigger<'_>) -> Result<bool, Error> {
        let now = self.now_ms();
        let inserted = self.execute(
            "-- insert_trigger
            INSERT INTO trigger_event (tenant, campaign, occurrence, customer, notification, met_at, taken_at, reserved, kept)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT (tenant, campaign, occurrence) DO NOTHING",
            values![
                tenant, new.campaign, new.occurrence, new.customer, new.notification, new.met_at, now,
                i64::from(new.reserved), new.kept
            ],
        )?;
        Ok(inserted == 1)
    }

    /// One trigger.
    pub fn trigger(
        &mut self,
        tenant: i64,
        campaign: i64,
        occurrence: &str,
    ) -> Result<Option<Trigger>, Error> {
        self.query_one(
            "-- trigger
            SELECT met_at, taken_at, reserved FROM trigger_event
            WHERE tenant = $1 AND campaign = $2 AND occurrence = $3",
            values![tenant, campaign, occurrence],
            |row| {
                Ok(Trigger {
                    met_at: row.int(0)?,
                    taken_at: row.int(1)?,
                    reserved: row.int(2)? == 1,
                })
            },
        )
    }

    /// Writes what became of a code of a trigger.
    pub fn put_trigger_pair(&mut self, tenant: i64, pair: &TriggerPair<'_>) -> Result<(), Error> {
        self.execute(
            "-- put_trigger_pair
            INSERT INTO trigger_pair (tenant, campaign, occurrence, code_fold, outcome, waits_with)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (tenant, campaign, occurrence, code_fold) DO UPDATE SET
                outcome = excluded.outcome, waits_with = excluded.waits_with",
            values![
                tenant,
                pair.campaign,
                pair.occurrence,
                pair.code_fold,
                pair.outcome,
                pair.waits_with
            ],
        )?;
        Ok(())
    }

    /// The codes of a trigger (folded), each with what became of it.
    pub fn trigger_pairs(
        &mut self,
        tenant: i64,
        campaign: i64,
        occurrence: &str,
    ) -> Result<Vec<(String, String)>, Error> {
        self.query(
            "-- trigger_pairs
            SELECT code_fold, outcome FROM trigger_pair
            WHERE tenant = $1 AND campaign = $2 AND occurrence = $3 ORDER BY code_fold",
            values![tenant, campaign, occurrence],
            |row| Ok((row.text(0)?, row.text(1)?)),
        )
    }

    /// Notifications behind an id of which a code is held, oldest first.
    pub fn waiting_triggers(
        &mut self,
        tenant: i64,
        campaign: i64,
        after: &str,
        limit: u32,
    ) -> Result<Vec<String>, Error> {
        self.query(
            "-- waiting_triggers
            SELECT DISTINCT waits_with FROM trigger_pair
            WHERE tenant = $1 AND campaign = $2 AND waits_with IS NOT NULL AND waits_with > $3
            ORDER BY waits_with LIMIT $4",
            values![tenant, campaign, after, limit],
            |row| row.text(0),
        )
    }

    /// How many grants a customer has of a campaign, archived ones too.
    pub fn grants_of_campaign(
        &mut self,
        tenant: i64,
        customer: &str,
        campaign: i64,
    ) -> Result<u64, Error> {
        let found = self.query_one(
            "-- grants_of_campaign
            SELECT COUNT(*) + COALESCE((SELECT SUM(a.grants) FROM archived_grants a
                WHERE a.tenant = $1 AND a.customer = $2 AND a.campaign = $3), 0)
            FROM grants g JOIN offer o ON o.tenant = g.tenant AND o.no = g.offer
            WHERE g.tenant = $1 AND g.customer = $2 AND o.campaign = $3",
            values![tenant, customer, campaign],
            |row| row.count(0),
        )?;
        Ok(found.unwrap_or_default())
    }

    /// Granted triggers of a campaign behind an occurrence and an offer, in the order of both.
    pub fn triggered_grants(
        &mut self,
        tenant: i64,
        campaign: i64,
        after: (&str, u32),
        limit: u32,
    ) -> Result<Vec<TriggeredGrant>, Error> {
        self.query(
            "-- triggered_grants
            SELECT t.occurrence, t.customer, g.offer, g.window_no, t.taken_at, g.code, g.redeemed, g.spent,
                g.pledged_until
            FROM trigger_event t
            JOIN offer o ON o.tenant = t.tenant AND o.campaign = t.campaign
            JOIN grants g ON g.tenant = t.tenant AND g.customer = t.customer AND g.offer = o.no
                AND g.occurrence = t.occurrence
            WHERE t.tenant = $1 AND t.campaign = $2 AND t.occurrence >= $3
                AND (t.occurrence > $3 OR g.offer > $4)
            ORDER BY t.occurrence, g.offer LIMIT $5",
            values![tenant, campaign, after.0, after.1, limit],
            |row| {
                Ok(TriggeredGrant {
                    occurrence: row.text(0)?,
                    customer: row.text(1)?,
                    offer: row.int(2)? as u32,
                    window: row.int(3)? as u32,
                    taken_at: row.int(4)?,
                    code: GivenCode::from_number(row.int(5)?),
                    used: used(row, 6)?,
                })
            },
        )
    }

    /// Grants that a campaign's triggers gave in a minute (counted from 1970).
    pub fn trigger_minute(
        &mut self,
        tenant: i64,
        campaign: i64,
        minute: i64,
    ) -> Result<u64, Error> {
        let found = self.query_one(
            "-- trigger_minute
            SELECT granted FROM trigger_minute WHERE tenant = $1 AND campaign = $2 AND minute = $3",
            values![tenant, campaign, minute],
            |row| row.count(0),
        )?;
        Ok(found.unwrap_or_default())
    }

    /// Counts one more grant of a minute, and forgets the minutes before it.
    pub fn count_trigger_minute(
        &mut self,
        tenant: i64,
        campaign: i64,
        minute: i64,
    ) -> Result<(), Error> {
        self.execute(
            "-- forget_trigger_minutes
            DELETE FROM trigger_minute WHERE tenant = $1 AND campaign = $2 AND minute < $3",
            values![tenant, campaign, minute],
        )?;
        self.execute(
            "-- count_trigger_minute
            INSERT INTO trigger_minute (tenant, campaign, minute, granted) VALUES ($1, $2, $3, 1)
            ON CONFLICT (tenant, campaign, minute) DO UPDATE SET granted = trigger_minute.granted + 1",
            values![tenant, campaign, minute],
        )?;
        Ok(())
    }

    /// How much of a code is taken, over all customers.
    pub fn taken(&mut self, tenant: i64, code_fold: &str) -> Result<Taken, Error> {
        if let Some(known) = self.near(|near| near.taken(tenant, code_fold)) {
            return Ok(known);
        }
        let found = self.query_one(
            "-- taken
            SELECT granted, reserved FROM promotion_count WHERE tenant = $1 AND code_fold = $2",
            values![tenant, code_fold],
            |row| {
                Ok(Taken {
                    granted: row.count(0)?,
                    reserved: row.count(1)?,
                })
            },
        )?;
        Ok(found.unwrap_or_default())
    }

    /// Adds to what is taken of a code.
    pub fn take(
        &mut self,
        tenant: i64,
        code_fold: &str,
        granted: i64,
        reserved: i64,
    ) -> Result<(), Error> {
        self.execute(
            "-- take
            INSERT INTO promotion_count (tenant, code_fold, granted, reserved) VALUES ($1, $2, $3, $4)
            ON CONFLICT (tenant, code_fold) DO UPDATE SET
                granted = promotion_count.granted + excluded.granted,
                reserved = promotion_count.reserved + excluded.reserved",
            values![tenant, code_fold, granted, reserved],
        )?;
        Ok(())
    }

    /// Lets an offer say why pairs of it are held, so that a change of its promotion finds them.
    pub fn hold_offer(&mut self, tenant: i64, offer: u32, reason: &str) -> Result<(), Error> {
        self.execute(
            "-- hold_offer
            UPDATE offer SET hold_reason = $1
            WHERE tenant = $2 AND no = $3 AND (hold_reason IS NULL OR hold_reason <> $1)",
            values![reason, tenant, offer],
        )?;
        Ok(())
    }
}
