//! Triggers (event 11): the notification is all there is, so each becomes grants, or says why not,
//! in the transaction that settles it. What is held is decided again by the same door.

pub(crate) mod codes;
mod door;
pub(crate) mod facts;
mod rerun;

use bestow_core::trigger::met_at;
use bestow_core::{CampaignId, HoldReason};
use bestow_store::inbox::Notification;
use bestow_store::{Error as StoreError, Tx};

use self::door::Door;
use crate::clock::instant;
use crate::ingest::trigger::{Kept, subject};
use crate::tenant::Tenant;

pub use rerun::run;

/// Length of the span that the cap per minute is counted in.
const MINUTE_MS: i64 = 60_000;

type Stored<T> = Result<T, StoreError>;

/// Which look at a trigger this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// It came, or is played again.
    First,
    /// By the job that decides held pairs again.
    Again,
}

/// What became of a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// At least one of its pairs was decided, or it has none.
    Done,
    /// All of it is held.
    Held(&'static str),
}

/// What became of a trigger, and whether the cap per minute was in the way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taking {
    pub(crate) settled: Settled,
    pub(crate) is_minute_full: bool,
}

impl Taking {
    fn held(reason: HoldReason) -> Self {
        Self {
            settled: Settled::Held(reason.as_str()),
            is_minute_full: false,
        }
    }
}

/// Takes a trigger in the transaction that settles its notification: decides each of its codes,
/// and writes grants, outcomes and counts. A trigger that is known keeps what is settled; only its
/// held pairs are decided again.
///
/// # Errors
/// The store's.
pub(crate) fn take(
    tx: &mut Tx<'_>,
    tenant: &Tenant,
    notification: &Notification,
    look: Look,
) -> Stored<Taking> {
    let kept = Kept::read(&notification.body);
    let met = match Met::of(tenant, &kept) {
        Ok(met) => met,
        Err(reason) => return Ok(Taking::held(reason)),
    };
    let no = tenant.no();
    let (campaign, _) = tx.see_campaign(no, met.campaign.as_str(), "triggered", "notification")?;
    if !tx.is_triggered(no, campaign)? && !tx.mark_triggered(no, campaign)? {
        // Its customers come in lists: whoever sends triggers for it has the wrong campaign.
        return Ok(Taking::held(HoldReason::CampaignMismatch));
    }
    if is_archived(tx, tenant, notification, &kept, &met, campaign)? {
        return Ok(Taking::held(HoldReason::Archived));
    }
    let mut door = Door::open(tx, tenant, notification, &kept, &met, campaign)?;
    if look == Look::First {
        door.watch_gateway()?;
    }
    door.settle_pairs(look)?;
    door.finish()
}

/// Whether a trigger that is not here was met in a month that has left: it may be there.
fn is_archived(
    tx: &mut Tx<'_>,
    tenant: &Tenant,
    notification: &Notification,
    kept: &Kept,
    met: &Met,
    campaign: i64,
) -> Stored<bool> {
    let until = tx.triggers_archived_until(tenant.no(), campaign)?;
    if until == 0
        || tx
            .trigger(tenant.no(), campaign, &met.occurrence)?
            .is_some()
    {
        return Ok(false);
    }
    let received_at = instant(notification.received_at);
    let (at, _) = met_at(kept.stamp(), &tenant.zone, received_at);
    Ok(at.as_millisecond() < until)
}

/// What a trigger names.
struct Met {
    customer: String,
    campaign: CampaignId,
    occurrence: String,
}

impl Met {
    fn of(tenant: &Tenant, kept: &Kept) -> Result<Self, HoldReason> {
        if let Some(hold) = &kept.hold {
            return Err(HoldReason::parse(hold).unwrap_or(HoldReason::UnreadableBody));
        }
        let campaign = kept.campaign_id.as_deref().unwrap_or_default();
        let campaign = CampaignId::parse(campaign).map_err(|_| HoldReason::NoCampaignId)?;
        if !tenant.settings.triggered.takes(campaign.as_str()) {
            return Err(HoldReason::CampaignUnknown);
        }
        let customer = kept.customer_id.as_deref().unwrap_or_default();
        let customer = subject(customer, kept.person()).map_err(|_| HoldReason::BadCustomerId)?;
        Ok(Self {
            customer: customer.as_str().to_owned(),
            campaign,
            occurrence: kept.occurrence.clone().ok_or(HoldReason::UnreadableBody)?,
        })
    }
}
