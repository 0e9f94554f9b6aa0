//! Campaigns, what Optimove said of them, their offers, windows and counters.

use bestow_core::CampaignKind;
use bestow_core::announce::GrantEvent;

use crate::{Error, Row, Tx, values};

/// A campaign as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// Number within the tenant, for narrow rows.
    pub no: i64,
    /// Optimove's campaign id, as text.
    pub id: String,
    /// scheduled, conditional or triggered; `None` where nobody said yet: a cancel was heard first.
    pub kind: Option<String>,
    /// Milliseconds.
    pub first_seen_at: i64,
    /// What told us first.
    pub seen_by: String,
    /// 0: Optimove was not asked yet.
    pub details_version: i64,
    /// As applied to its windows.
    pub duration_days: Option<i64>,
    /// As applied to its windows.
    pub lead_time_days: Option<i64>,
    /// `campaign`, or which default and why.
    pub duration_source: Option<String>,
    /// `TestGroupSize`, if told.
    pub expected_size: Option<u64>,
    /// JSON list of channel numbers, if told.
    pub details_channels: Option<String>,
    /// Milliseconds; an operator let an odd size pass.
    pub size_approved_at: Option<i64>,
    /// Landed pages up to this one are grants.
    pub merged_through: u32,
    /// A merge is under way up to this page.
    pub merge_to: Option<u32>,
    /// The last customer merged in it, folded.
    pub merge_cursor: Option<String>,
    /// Distinct customers seen by it so far.
    pub merge_customers: u64,
    /// Distinct customers when last merged whole.
    pub customers: Option<u64>,
    /// Milliseconds; latest end of its windows.
    pub windows_end_at: Option<i64>,
    /// Milliseconds.
    pub suspended_at: Option<i64>,
    /// Whose suspension it is.
    pub suspended_by: Option<SuspendedBy>,
    /// Milliseconds.
    pub revoked_at: Option<i64>,
    /// Why suspended or revoked.
    pub stop_reason: Option<String>,
    /// What the last try died of.
    pub last_error: Option<String>,
}

macro_rules! campaign_columns {
    () => {
        "no, id, kind, first_seen_at, seen_by, details_version, duration_days, lead_time_days, duration_source,
         expected_size, details_channels, size_approved_at, merged_through, merge_to, merge_cursor, merge_customers,
         customers, windows_end_at, suspended_at, revoked_at, stop_reason, last_error, suspended_by"
    };
}
pub(crate) use campaign_columns;

pub(crate) fn campaign(row: &Row<'_>) -> Result<Campaign, Error> {
    Ok(Campaign {
        no: row.int(0)?,
        id: row.text(1)?,
        kind: row.opt_text(2)?,
        first_seen_at: row.int(3)?,
        seen_by: row.text(4)?,
        details_version: row.int(5)?,
        duration_days: row.opt_int(6)?,
        lead_time_days: row.opt_int(7)?,
        duration_source: row.opt_text(8)?,
        expected_size: row.opt_int(9)?.and_then(|n| u64::try_from(n).ok()),
        details_channels: row.opt_text(10)?,
        size_approved_at: row.opt_int(11)?,
        merged_through: row.int(12)? as u32,
        merge_to: row.opt_int(13)?.map(|n| n as u32),
        merge_cursor: row.opt_text(14)?,
        merge_customers: row.count(15)?,
        customers: row.opt_int(16)?.and_then(|n| u64::try_from(n).ok()),
        windows_end_at: row.opt_int(17)?,
        suspended_at: row.opt_int(18)?,
        revoked_at: row.opt_int(19)?,
        stop_reason: row.opt_text(20)?,
        last_error: row.opt_text(21)?,
        suspended_by: row.opt_text(22)?.as_deref().and_then(SuspendedBy::parse),
    })
}

impl Campaign {
    /// Whether it is of this kind, as far as anybody said.
    pub fn is(&self, kind: CampaignKind) -> bool {
        self.kind.as_deref() == Some(kind.as_str())
    }
}

/// Whose suspension of a campaign it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuspendedBy {
    /// A cancel that Optimove told of; what comes of asking Optimove may lift it.
    Cancel,
    /// A person; only a person lifts it.
    Operator,
}

impl SuspendedBy {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Operator => "operator",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Cancel, Self::Operator]
            .into_iter()
            .find(|by| by.as_str() == text)
    }
}

/// What GetCampaignDetails said, as far as it is acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDetails {
    /// As applied.
    pub duration_days: Option<i64>,
    /// As applied.
    pub lead_time_days: Option<i64>,
    /// `campaign`, or which default and why.
    pub duration_source: String,
    /// `TestGroupSize`, if told.
    pub expected_size: Option<i64>,
    /// JSON list of channel numbers, if told.
    pub channels: Option<String>,
    /// The answer as read.
    pub document: String,
}

/// An eligibility window with what gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WindowSpec {
    /// Milliseconds.
    pub starts_at: i64,
    /// Milliseconds, exclusive; `None`: ended by the daily list.
    pub ends_at: Option<i64>,
    /// Optimove's action; 0: not told.
    pub action: i64,
    /// Optimove's channel; 0: not told.
    pub channel: i64,
    /// What it was reckoned from.
    pub walls: Walls,
}

/// What clocks on the wall show at a window's edges, in milliseconds as if they were UTC; `None`: the edge is an
/// instant of its own, or there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Walls {
    /// At the start.
    pub starts: Option<i64>,
    /// At the end.
    pub ends: Option<i64>,
}

/// One promo code of one campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Number within the tenant.
    pub no: u32,
    /// The code, folded.
    pub code_fold: String,
    /// As the campaign spells it first.
    pub code: String,
    /// Why its pairs are held; `None`: they are granted.
    pub hold_reason: Option<String>,
    /// A release of its held pairs was begun: some are in the ledger, or wait for a unique code.
    pub is_released_in_part: bool,
}

/// An offer that holds its pairs, and what has become of its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldOffer {
    /// Number within the tenant.
    pub no: u32,
    /// Why its pairs are held.
    pub hold_reason: String,
    /// draft, active, paused or archived.
    pub promotion_status: String,
}

impl Tx<'_> {
    /// The number of a campaign; makes the campaign known if it was not. The first kind that is told stays. True
    /// where it was new.
    pub fn see_campaign(
        &mut self,
        tenant: i64,
        id: &str,
        kind: &str,
        seen_by: &str,
    ) -> Result<(i64, bool), Error> {
        if let Some(no) = self.insert_campaign(tenant, id, Some(kind), seen_by)? {
            return Ok((no, true));
        }
        let (no, known) = self.campaign_no(tenant, id)?;
        if known.is_none() {
            self.execute(
                "-- learn_kind
                UPDATE campaign SET kind = $1 WHERE tenant = $2 AND no = $3 AND kind IS NULL",
                values![kind, tenant, no],
            )?;
        }
        Ok((no, false))
    }

    /// The same for a campaign of which nothing is told but that it was cancelled.
    pub fn see_cancelled(&mut self, tenant: i64, id: &str) -> Result<(i64, bool), Error> {
        match self.insert_campaign(tenant, id, None, "notification")? {
            Some(no) => Ok((no, true)),
            None => Ok((self.campaign_no(tenant, id)?.0, false)),
        }
    }

    fn insert_campaign(
        &mut self,
        tenant: i64,
        id: &str,
        kind: Option<&str>,
        seen_by: &str,
    ) -> Result<Option<i64>, Error> {
        let now = self.now_ms();
        self.lock_terms(tenant);
        self.query_one(
            "-- see_campaign
            INSERT INTO campaign (tenant, id, kind, first_seen_at, seen_by, no)
            SELECT $1, $2, $3, $4, $5, COALESCE(MAX(no), 0) + 1
            FROM campaign WHERE tenant = $1
            ON CONFLICT (tenant, id) DO NOTHING RETURNING no",
            values![tenant, id, kind, now, seen_by],
            |row| row.int(0),
        )
    }

    /// Number and kind of a campaign that is known.
    fn campaign_no(&mut self, tenant: i64, id: &str) -> Result<(i64, Option<String>), Error> {
        self.query_one(
            "-- campaign_no
            SELECT no, kind FROM campaign WHERE tenant = $1 AND id = $2",
            values![tenant, id],
            |row| Ok((row.int(0)?, row.opt_text(1)?)),
        )?
        .ok_or_else(|| Error::Corrupt(format!("campaign {id} vanished")))
    }

    /// One campaign by Optimove's id.
    pub fn campaign(&mut self, tenant: i64, id: &str) -> Result<Option<Campaign>, Error> {
        let key = || (tenant, id.to_owned());
        if let Some(known) = self.near(|near| near.campaigns.get(&key()).cloned()) {
            return Ok(known);
        }
        self.query_one(
            concat!(
                "-- campaign\nSELECT ",
                campaign_columns!(),
                " FROM campaign WHERE tenant = $1 AND id = $2"
            ),
            values![tenant, id],
            campaign,
        )
    }

    /// One campaign by its number.
    pub fn campaign_by_no(&mut self, tenant: i64, no: i64) -> Result<Option<Campaign>, Error> {
        self.query_one(
            concat!(
                "-- campaign_by_no\nSELECT ",
                campaign_columns!(),
                " FROM campaign WHERE tenant = $1 AND no = $2"
            ),
            values![tenant, no],
            campaign,
        )
    }

    /// Campaigns of a tenant with a number above `after`, in the order they were seen.
    pub fn campaigns(
        &mut self,
        tenant: i64,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Campaign>, Error> {
        self.query(
            concat!(
                "-- campaigns\nSELECT ",
                campaign_columns!(),
                " FROM campaign WHERE tenant = $1 AND no > $2 ORDER BY no LIMIT $3"
            ),
            values![tenant, after, limit],
            campaign,
        )
    }

    /// Keeps what Optimove says of a campaign: a new version where it says something new.
    pub fn put_details(
        &mut self,
        tenant: i64,
        campaign: i64,
        new: &NewDetails,
    ) -> Result<(), Error> {
        let now = self.now_ms();
        let known = self.query_one(
            "-- newest_details
            SELECT version, document FROM campaign_details
            WHERE tenant = $1 AND campaign = $2 ORDER BY version DESC LIMIT 1",
            values![tenant, campaign],
            |row| Ok((row.int(0)?, row.text(1)?)),
        )?;
        let version = match known {
            Some((version, document)) if document == new.document => version,
            Some((version, _)) => version + 1,
            None => 1,
        };
        self.execute(
            "-- insert_details
            INSERT INTO campaign_details (tenant, campaign, version, read_at, document)
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            values![tenant, campaign, version, now, &new.document],
        )?;
        self.execute(
            "-- apply_details
            UPDATE campaign SET details_version = $1, duration_days = $2, lead_time_days = $3, duration_source = $4,
                expected_size = $5, details_channels = $6
            WHERE tenant = $7 AND no = $8",
            values![
                version, new.duration_days, new.lead_time_days, &new.duration_source,
                new.expected_size, new.channels.as_ref(), tenant, campaign
            ],
        )?;
        Ok(())
    }

    /// Notes what the last try died of, or that it went well (`None`).
    pub fn set_campaign_error(
        &mut self,
        tenant: i64,
        campaign: i64,
        error: Option<&str>,
    ) -> Result<(), Error> {
        let now = self.now_ms();
        self.execute(
            "-- set_campaign_error
            UPDATE campaign SET last_error = $1, last_error_at = $2 WHERE tenant = $3 AND no = $4",
            values![error, error.map(|_| now), tenant, campaign],
        )?;
        Ok(())
    }

    /// An operator lets an odd size pass.
    pub fn approve_size(&mut self, tenant: i64, campaign: i64) -> Result<(), Error> {
        let now = self.now_ms();
        self.execute(
            "-- approve_size
            UPDATE campaign SET size_approved_at = $1 WHERE tenant = $2 AND no = $3",
            values![now, tenant, campaign],
        )?;
        Ok(())
    }

    /// Suspends a campaign, one row whatever its size. The first instant stays; a person's suspension takes the place
    /// of a cancel's, not the other way round. True where anything changed.
    pub fn suspend_campaign(
        &mut self,
        tenant: i64,
        campaign: i64,
        by: SuspendedBy,
        reason: &str,
    ) -> Result<bool, Error> {
        let now = self.now_ms();
        let known = self.campaign_by_no(tenant, campaign)?;
        let is_new = known.is_some_and(|known| known.suspended_at.is_none());
        let changed = self.execute(
            "-- suspend_campaign
            UPDATE campaign SET suspended_at = COALESCE(suspended_at, $1), suspended_by = $2, stop_reason = $3
            WHERE tenant = $4 AND no = $5 AND revoked_at IS NULL
                AND (suspended_at IS NULL OR (suspended_by = 'cancel' AND $2 = 'operator'))",
            values![now, by.as_str(), reason, tenant, campaign],
        )?;
        self.tell(
            changed == 1 && is_new,
            tenant,
            campaign,
            GrantEvent::Suspended,
        )?;
        Ok(changed == 1)
    }

    /// Lifts a suspension, whosever it is. True where there was one.
    pub fn lift_suspension(&mut self, tenant: i64, campaign: i64) -> Result<bool, Error> {
        let changed = self.execute(
            "-- lift_suspension
            UPDATE campaign SET suspended_at = NULL, suspended_by = NULL, stop_reason = NULL
            WHERE tenant = $1 AND no = $2 AND suspended_at IS NOT NULL AND revoked_at IS NULL",
            values![tenant, campaign],
        )?;
        self.tell(changed == 1, tenant, campaign, GrantEvent::Resumed)?;
        Ok(changed == 1)
    }

    /// Lifts the suspension of a cancel; a person's stays. True where there was one.
    pub fn lift_cancel(&mut self, tenant: i64, campaign: i64) -> Result<bool, Error> {
        let changed = self.execute(
            "-- lift_cancel
            UPDATE campaign SET suspended_at = NULL, suspended_by = NULL, stop_reason = NULL
            WHERE tenant = $1 AND no = $2 AND suspended_by = 'cancel' AND revoked_at IS NULL",
            values![tenant, campaign],
        )?;
        self.tell(changed == 1, tenant, campaign, GrantEvent::Resumed)?;
        Ok(changed == 1)
    }

    /// Takes a campaign back for good, one row whatever its size. True where it was not yet.
    pub fn revoke_campaign(
        &mut self,
        tenant: i64,
        campaign: i64,
        reason: &str,
    ) -> Result<bool, Error> {
        let now = self.now_ms();
        let changed = self.execute(
            "-- revoke_campaign
            UPDATE campaign SET revoked_at = $1, stop_reason = $2
            WHERE tenant = $3 AND no = $4 AND revoked_at IS NULL",
            values![now, reason, tenant, campaign],
        )?;
        self.tell(changed == 1, tenant, campaign, GrantEvent::Revoked)?;
        Ok(changed == 1)
    }

    /// Lets destinations hear of a change to all of a campaign, where there was one.
    fn tell(
        &mut self,
        has_changed: bool,
        tenant: i64,
        campaign: i64,
        kind: GrantEvent,
    ) -> Result<(), Error> {
        if !has_changed {
            return Ok(());
        }
        self.note_campaign(tenant, campaign, kind)
    }

    /// Adds to counters of a campaign.
    pub fn add_counts(
        &mut self,
        tenant: i64,
        campaign: i64,
        counts: &[(String, i64)],
    ) -> Result<(), Error> {
        let counts = counts.iter().filter(|(_, n)| *n != 0);
        self.execute_many(
            "-- add_counts
            INSERT INTO campaign_count (tenant, campaign, counter, n) VALUES ($1, $2, $3, $4)
            ON CONFLICT (tenant, campaign, counter) DO UPDATE SET n = campaign_count.n + excluded.n",
            counts.map(|(counter, n)| [tenant.into(), campaign.into(), counter.into(), (*n).into()]),
        )?;
        Ok(())
    }

    /// All counters of a campaign.
    pub fn counts(&mut self, tenant: i64, campaign: i64) -> Result<Vec<(String, i64)>, Error> {
        self.query(
            "-- counts
            SELECT counter, n FROM campaign_count WHERE tenant = $1 AND campaign = $2 ORDER BY counter",
            values![tenant, campaign],
            |row| Ok((row.text(0)?, row.int(1)?)),
        )
    }

    /// The offer of a code in a campaign; made if there is none, holding its pairs for the reason given, if any.
    pub fn offer_for(
        &mut self,
        tenant: i64,
        campaign: i64,
        code_fold: &str,
        code: &str,
        hold_reason: Option<&str>,
    ) -> Result<Offer, Error> {
        self.lock_terms(tenant);
        self.execute(
            "-- insert_offer
            INSERT INTO offer (tenant, campaign, code_fold, code, hold_reason, no)
            SELECT $1, $2, $3, $4, $5, COALESCE(MAX(no), 0) + 1
            FROM offer WHERE tenant = $1
            ON CONFLICT (tenant, campaign, code_fold) DO NOTHING",
            values![tenant, campaign, code_fold, code, hold_reason],
        )?;
        self.query_one(
            "-- offer_for
            SELECT no, code_fold, code, hold_reason, released_in_part FROM offer
            WHERE tenant = $1 AND campaign = $2 AND code_fold = $3",
            values![tenant, campaign, code_fold],
            offer,
        )?
        .ok_or_else(|| Error::Corrupt("an offer vanished".into()))
    }

    /// All offers of a campaign.
    pub fn offers(&mut self, tenant: i64, campaign: i64) -> Result<Vec<Offer>, Error> {
        self.query(
            "-- offers
            SELECT no, code_fold, code, hold_reason, released_in_part FROM offer WHERE tenant = $1 AND campaign = $2 ORDER BY no",
            values![tenant, campaign],
            offer,
        )
    }

    /// The newest campaigns that offer a code, newest first: the number of each, and its offer.
    pub fn offers_of_code(
        &mut self,
        tenant: i64,
        code_fold: &str,
        limit: u32,
    ) -> Result<Vec<(i64, Offer)>, Error> {
        self.query(
            "-- offers_of_code
            SELECT no, code_fold, code, hold_reason, released_in_part, campaign FROM offer
            WHERE tenant = $1 AND code_fold = $2 ORDER BY campaign DESC LIMIT $3",
            values![tenant, code_fold, limit],
            |row| Ok((row.int(5)?, offer(row)?)),
        )
    }

    /// Offers of a campaign that hold their pairs although the catalogue has the code, each with the status of its
    /// promotion.
    pub fn held_offers(&mut self, tenant: i64, campaign: i64) -> Result<Vec<HeldOffer>, Error> {
        self.query(
            "-- held_offers
            SELECT o.no, o.hold_reason, p.status
            FROM offer o JOIN promotion p ON p.tenant = o.tenant AND p.code_fold = o.code_fold
            WHERE o.tenant = $1 AND o.campaign = $2 AND o.hold_reason IS NOT NULL ORDER BY o.no",
            values![tenant, campaign],
            |row| {
                Ok(HeldOffer {
                    no: row.int(0)? as u32,
                    hold_reason: row.text(1)?,
                    promotion_status: row.text(2)?,
                })
            },
        )
    }

    /// Notes that held pairs of an offer are granted from here on, while others of it are held still.
    pub(crate) fn begin_release(&mut self, tenant: i64, offer: u32) -> Result<(), Error> {
        self.execute(
            "-- begin_release
            UPDATE offer SET released_in_part = 1 WHERE tenant = $1 AND no = $2 AND released_in_part = 0",
            values![tenant, offer],
        )?;
        Ok(())
    }

    /// Lets an offer grant from now on.
    pub fn let_offer_grant(&mut self, tenant: i64, offer: u32) -> Result<(), Error> {
        self.execute(
            "-- let_offer_grant
            UPDATE offer SET hold_reason = NULL WHERE tenant = $1 AND no = $2",
            values![tenant, offer],
        )?;
        Ok(())
    }
}

fn offer(row: &Row<'_>) -> Result<Offer, Error> {
    Ok(Offer {
        no: row.int(0)? as u32,
        code_fold: row.text(1)?,
        code: row.text(2)?,
        hold_reason: row.opt_text(3)?,
        is_released_in_part: row.int(4)? == 1,
    })
}
