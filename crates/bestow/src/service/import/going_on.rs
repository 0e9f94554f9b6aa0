//! Lists that stand still, and how they are let go on: in the transaction of whoever decides so.

use bestow_core::HoldReason;
use bestow_store::imports::Import;
use bestow_store::{Error as StoreError, Tx};

use super::is_of_round;
use crate::work::kind;

/// Whether nothing of a list may be granted before a person has looked at it.
pub(super) fn waits_for_a_person(import: &Import) -> bool {
    let reasons = [HoldReason::SizeMismatch, HoldReason::BeyondBounds].map(HoldReason::as_str);
    let held_for = import.hold_reason.as_deref();
    import.state == "held" && held_for.is_some_and(|reason| reasons.contains(&reason))
}

/// Lets the lists of a campaign go on that waited for a second person, and what waits to be released, in the transaction
/// of whoever approved it.
///
/// # Errors
/// The store's.
pub(crate) fn let_beyond_go_on(
    tx: &mut Tx<'_>,
    tenant: i64,
    campaign: i64,
) -> Result<(), StoreError> {
    let reason = HoldReason::BeyondBounds.as_str();
    let now = tx.now_ms();
    tx.want_job(tenant, kind::IMPORT, &campaign.to_string(), now)?;
    for import in tx.imports(tenant, campaign)? {
        if import.state != "held" || import.hold_reason.as_deref() != Some(reason) {
            continue;
        }
        tx.resume_import(tenant, campaign, import.channel, "read")?;
        if is_of_round(&import) {
            tx.want_job(tenant, kind::CLEARANCE, &campaign.to_string(), now)?;
        }
    }
    Ok(())
}

/// Lets the held imports of a campaign go on, in the transaction of whoever decided so. False where none is held.
///
/// # Errors
/// The store's.
pub(crate) fn resume(tx: &mut Tx<'_>, tenant: i64, campaign: i64) -> Result<bool, StoreError> {
    let mut resumed = false;
    for import in tx.imports(tenant, campaign)? {
        if import.state != "held" {
            continue;
        }
        let size_mismatch = HoldReason::SizeMismatch.as_str();
        let unstable = HoldReason::UnstablePages.as_str();
        let beyond = HoldReason::BeyondBounds.as_str();
        let state = match import.hold_reason.as_deref() {
            // For a second person to approve.
            Some(reason) if reason == beyond => continue,
            Some(reason) if reason == size_mismatch => {
                tx.approve_size(tenant, campaign)?;
                "read"
            }
            // Another pass: `wanted` behind a read list begins one.
            Some(reason) if reason == unstable => "wanted",
            _ if import.skip > 0 => "reading",
            _ => "wanted",
        };
        resumed |= tx.resume_import(tenant, campaign, import.channel, state)?;
    }
    if resumed {
        let now = tx.now_ms();
        tx.want_job(tenant, kind::IMPORT, &campaign.to_string(), now)?;
        if tx.imports(tenant, campaign)?.iter().any(is_of_round) {
            tx.want_job(tenant, kind::CLEARANCE, &campaign.to_string(), now)?;
        }
    }
    Ok(resumed)
}

/// Wants a look at the lists of a campaign that was stopped, in the transaction that lets it go on.
///
/// # Errors
/// The store's.
pub(crate) fn go_on(tx: &mut Tx<'_>, tenant: i64, campaign: i64) -> Result<(), StoreError> {
    let is_open = |import: &Import| import.state != "done";
    if tx.imports(tenant, campaign)?.iter().any(is_open) {
        let now = tx.now_ms();
        tx.want_job(tenant, kind::IMPORT, &campaign.to_string(), now)?;
    }
    Ok(())
}

/// Lets those of a campaign's imports go on that are held because Optimove did not know it. False where none is.
///
/// # Errors
/// The store's.
pub(crate) fn resume_unknown(
    tx: &mut Tx<'_>,
    tenant: i64,
    campaign: i64,
    imports: &[Import],
) -> Result<bool, StoreError> {
    let unknown = HoldReason::CampaignUnknown.as_str();
    let mut resumed = false;
    for import in imports {
        if import.hold_reason.as_deref() == Some(unknown) {
            resumed |= tx.resume_import(tenant, campaign, import.channel, "wanted")?;
        }
    }
    Ok(resumed)
}
