//! Every answer that is not a yes, in order, with its stable name; and the answer itself.

use std::cmp::Reverse;

use jiff::Timestamp;

use crate::campaign::CampaignFacts;
use crate::grant::{GrantFacts, standing};
use crate::money::Minor;
use crate::name::named_enum;
use crate::promotion::PromotionFacts;
use crate::trigger::Standing;

named_enum! {
    /// Why a customer may not redeem a code now. Tried in this order, for eligibility and for
    /// redemption alike; the first that applies is the answer.
    "refusal" Refusal {
        /// The catalogue has no such code.
        UnknownPromotion = "unknown_promotion",
        /// The promotion is not active: paused, stopped, not yet activated, or archived.
        PromotionPaused = "promotion_paused",
        /// The customer has no grant for it.
        NoGrant = "no_grant",
        /// The customer is excluded, and may get nothing now.
        Excluded = "excluded",
        /// The grant or its campaign was taken back for good.
        Revoked = "revoked",
        /// The campaign is stopped for now.
        Suspended = "suspended",
        /// The grant waits for clearance, was denied, or its deadline passed in silence.
        NotCleared = "not_cleared",
        /// Its window has not started.
        NotStarted = "not_started",
        /// Its window is over.
        Expired = "expired",
        /// The grant has been used as often as it may be.
        AlreadyRedeemed = "already_redeemed",
        /// The promotion has been used as often as it may be, by this customer or by all.
        LimitReached = "limit_reached",
        /// The promotion's budget does not cover it any more.
        BudgetExhausted = "budget_exhausted",
    }
}

impl Refusal {
    /// The stable code, as problem documents and eligibility answers carry it.
    pub const fn code(self) -> &'static str {
        self.as_str()
    }
}

named_enum! {
    /// Why a row, a pair, a notification or a whole import waits for a person. Held is never lost:
    /// it is counted, visible, and released once the cause is mended.
    "reason to hold" HoldReason {
        /// The catalogue has no such code.
        UnknownCode = "unknown_code",
        /// The promotion exists but is a draft or archived.
        InactivePromotion = "inactive_promotion",
        /// A person stopped the promotion, and nobody let it go on yet.
        PromotionStopped = "promotion_stopped",
        /// More codes than one customer may get from one campaign.
        TooManyCodes = "too_many_codes",
        /// A text that cannot be a code: too long, or with control characters.
        BadCode = "bad_code",
        /// The customer id is absent, empty, too long, or has control characters.
        BadCustomerId = "bad_customer_id",
        /// Another customer of the campaign has nearly the same id.
        NearEqualCustomerId = "near_equal_customer_id",
        /// The customer is a visitor without an account.
        Visitor = "visitor",
        /// The schedule time is absent, unreadable or out of bounds.
        BadScheduleTime = "bad_schedule_time",
        /// The campaign's lead time is out of bounds.
        BadLeadTime = "bad_lead_time",
        /// No usable duration, and no default for it.
        NoDuration = "no_duration",
        /// The unique-code pool is empty and there is no fallback code.
        NoFreeCode = "no_free_code",
        /// A cap on the campaign, the tenant or the hour is reached.
        CapReached = "cap_reached",
        /// The list is far longer or shorter than the campaign said it would be.
        SizeMismatch = "size_mismatch",
        /// The campaign would give more than may be given without a second person.
        BeyondBounds = "beyond_bounds",
        /// The list kept changing from pass to pass.
        UnstablePages = "unstable_pages",
        /// The same page came again and again.
        RepeatedPage = "repeated_page",
        /// An answer that is no list, after all tries.
        UnreadablePage = "unreadable_page",
        /// The answer was about another campaign.
        CampaignMismatch = "campaign_mismatch",
        /// What came in its time has left for an archive.
        Archived = "archived",
        /// Optimove does not know the campaign, after all tries.
        CampaignUnknown = "campaign_unknown",
        /// The notification's body cannot be read, or says two things at once.
        UnreadableBody = "unreadable_body",
        /// The notification's event type is none that we know.
        UnknownEventType = "unknown_event_type",
        /// The notification's event type is not the one its address was registered for.
        EventTypeMismatch = "event_type_mismatch",
        /// The notification names no usable campaign.
        NoCampaignId = "no_campaign_id",
        /// The clearance deadline is absent or unreadable.
        BadClearanceDeadline = "bad_clearance_deadline",
        /// Tried as often as may be, and stopped.
        GaveUp = "gave_up",
    }
}

named_enum! {
    /// Why a pair is not granted and does not wait either.
    "reason to refuse" RefuseReason {
        /// Action 1: the control group gets nothing.
        ControlGroup = "control_group",
        /// The customer is on the tenant's block list.
        Excluded = "excluded",
        /// The operator's own approval endpoint said no.
        NotApproved = "not_approved",
        /// The promotion's limit per customer does not allow another grant.
        LimitReached = "limit_reached",
        /// The promotion's budget does not allow another grant.
        BudgetExhausted = "budget_exhausted",
        /// The promotion asks for a gateway reservation, and there is none.
        NoReservation = "no_reservation",
        /// The clearance deadline had passed.
        PastClearance = "past_clearance",
    }
}

/// May this customer redeem this code now? Yes, by the grant at this index, or the first refusal
/// that applies. Writes nothing and reserves nothing.
///
/// `grants` are the customer's grants for this code, each with its campaign's facts. One active
/// grant is enough. Of several, the one that ends first is used, so that nothing is lost by
/// waiting; of several that end together, the first given. Where none is active, the answer is that
/// of the most promising one, in the order of [`Standing`](crate::grant::Standing): a customer who
/// used last week's grant and has another from tomorrow hears `not_started`.
///
/// # Errors
///
/// A [`Refusal`] is an answer, not a failure.
pub fn eligibility(
    promotion: Option<&PromotionFacts>,
    grants: &[(GrantFacts, CampaignFacts)],
    now: Timestamp,
) -> Result<usize, Refusal> {
    redeemable(promotion, grants, Minor::ZERO, now)
}

/// As [`eligibility`], for a redemption that takes `amount` from the promotion's budget.
///
/// # Errors
///
/// A [`Refusal`] is an answer, not a failure.
pub fn redeemable(
    promotion: Option<&PromotionFacts>,
    grants: &[(GrantFacts, CampaignFacts)],
    amount: Minor,
    now: Timestamp,
) -> Result<usize, Refusal> {
    let index = usable(promotion, grants, now)?;
    promotion.map_or(Ok(()), |promotion| promotion.covers(amount))?;
    Ok(index)
}

/// The grant that would be used, whatever limits and budgets say: all refusals before those.
///
/// # Errors
///
/// A [`Refusal`] is an answer, not a failure.
pub fn usable(
    promotion: Option<&PromotionFacts>,
    grants: &[(GrantFacts, CampaignFacts)],
    now: Timestamp,
) -> Result<usize, Refusal> {
    let promotion = promotion.ok_or(Refusal::UnknownPromotion)?;
    promotion.offered()?;
    if grants.is_empty() {
        return Err(Refusal::NoGrant);
    }
    if promotion.standing == Standing::Excluded {
        return Err(Refusal::Excluded);
    }
    usable_grant(grants, now)
}

/// The grant nearest to a yes: best standing, then earliest end, then first given.
fn usable_grant(grants: &[(GrantFacts, CampaignFacts)], now: Timestamp) -> Result<usize, Refusal> {
    let ranked = grants.iter().enumerate().map(|(index, (grant, campaign))| {
        let ends_at = grant.effective_window().ends_at.unwrap_or(Timestamp::MAX);
        (
            standing(grant, campaign, now),
            Reverse(ends_at),
            Reverse(index),
        )
    });
    let (standing, _, Reverse(index)) = ranked.max().ok_or(Refusal::NoGrant)?;
    standing.refusal().map_or(Ok(index), Err)
}
