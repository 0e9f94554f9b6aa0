//! What was decided about a cancelled campaign, written down in one transaction with its record.

use bestow_core::cancel::{Evidence, ListSaid, Settlement};
use bestow_store::cancellations::ListCounts;
use bestow_store::jobs::Job;
use bestow_store::{Error as StoreError, Tx};
use serde_json::json;

use super::{audit, listen_again, object};

/// What a look found, and what follows.
#[derive(Debug, Clone)]
pub(super) struct Looked {
    pub(super) evidence: Evidence,
    pub(super) settlement: Settlement,
    pub(super) list: ListSaid,
    /// In words.
    pub(super) why: String,
}

/// Does nothing where a person was faster.
pub(super) fn carry_out(
    tx: &mut Tx<'_>,
    job: &Job,
    no: i64,
    campaign: &str,
    looked: &Looked,
) -> Result<(), StoreError> {
    let (tenant, why) = (job.tenant, &looked.why);
    let (state, action) = match looked.settlement {
        Settlement::LookAgain => {
            return tx.doubt_cancellation(job, no, doubt(looked.evidence));
        }
        Settlement::Revoke => ("confirmed", "campaign.revoked"),
        Settlement::RevokeUnconfirmed => ("unconfirmed", "campaign.revoked"),
        Settlement::KeepSuspended => ("unconfirmed", "campaign.cancel_unconfirmed"),
        Settlement::Lift => ("contradicted", "campaign.suspension_lifted"),
    };
    if !tx.decide_cancellation(job, no, state)? {
        return Ok(());
    }
    if let Some((kind, what)) = question(looked.settlement) {
        tx.find(tenant, kind, &object(campaign), &format!("{what} ({why})"))?;
    }
    let changed = match looked.settlement {
        Settlement::Revoke => tx.revoke_campaign(tenant, no, "cancelled in Optimove")?,
        Settlement::RevokeUnconfirmed => {
            tx.revoke_campaign(tenant, no, "cancelled by Optimove (event 4), unconfirmed")?
        }
        Settlement::Lift => {
            listen_again(tx, tenant, campaign)?;
            tx.lift_cancel(tenant, no)?
        }
        Settlement::KeepSuspended | Settlement::LookAgain => true,
    };
    // Where the list names customers it is compared first.
    if looked.list != ListSaid::Customers {
        tx.settle_cancellation(job, no, ListCounts::default())?;
    }
    if changed {
        let detail = json!({"cancel": state, "why": why});
        audit(tx, tenant, "worker", action, campaign, &detail)?;
    }
    Ok(())
}

/// As stored.
fn doubt(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Contradicts => "contradicts",
        Evidence::CannotTell | Evidence::Confirms => "cannot_tell",
    }
}

/// What people are told, where they may have to do something.
fn question(settlement: Settlement) -> Option<(&'static str, &'static str)> {
    Some(match settlement {
        Settlement::RevokeUnconfirmed => (
            "cancel_unconfirmed",
            "a notification said that it was cancelled (event 4), and Optimove could not confirm it; \
             it is revoked for good, as the tenant's cancel_unconfirmed says",
        ),
        Settlement::KeepSuspended => (
            "cancel_unconfirmed",
            "a notification said that it was cancelled (event 4), and Optimove could not confirm it; \
             it stays suspended: resume or revoke it",
        ),
        Settlement::Lift => (
            "cancel_contradicted",
            "a notification said that it was cancelled (event 4), and Optimove knows of no cancel: \
             it goes on; if nobody cancelled it, somebody else knows the listener's address: give \
             the tenant's listeners new ones",
        ),
        Settlement::Revoke | Settlement::LookAgain => return None,
    })
}
