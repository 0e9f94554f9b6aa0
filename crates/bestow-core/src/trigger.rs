//! Triggers and the gateway: one set of rules decides about a code for one customer, whether the
//! gateway asks before the message or event 11 tells of it afterwards.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

use crate::campaign::{CampaignFacts, DurationRead, decide_duration};
use crate::import::Disposition;
use crate::name::named_enum;
use crate::outcome::{HoldReason, RefuseReason};
use crate::promotion::{Limits, PromotionStatus};
use crate::window::{Duration, Edge, Zone, instant_of};

/// How far a trigger's time stamp may be from the moment it came. Beyond it a clock or a zone is
/// wrong, and the moment it came counts.
pub const STAMP_HOURS_MAX: i64 = 24;

named_enum! {
    /// What becomes of somebody without an account.
    "way to treat visitors" Visitors {
        /// Their pairs are held, and the gateway says no.
        Hold = "hold",
        /// As customers, in a name space of their own.
        Grant = "grant",
    }
}

named_enum! {
    /// The gateway's answer about a campaign that carries no codes.
    "answer without codes" WithoutCodes {
        /// Nothing is promised, so nothing is against it.
        Allow = "allow",
        /// Only what carries a promotion may go out.
        Deny = "deny",
    }
}

/// Whether a trigger needs an earlier yes of the gateway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReservationRule {
    /// It is taken with and without.
    #[default]
    Optional,
    /// Without one it is refused.
    Required,
}

/// What a tenant lays down for its triggered campaigns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TriggerRules {
    /// What becomes of visitors.
    pub visitors: Visitors,
    /// Whether an earlier yes is needed.
    pub reservation: ReservationRule,
    /// Grants of one customer from one campaign, at most.
    pub per_customer_max: Option<u64>,
    /// Grants of one campaign in one minute, at most.
    pub per_minute_max: Option<u64>,
    /// Where neither campaign nor promotion says how long a grant lasts.
    pub duration_default: Option<Duration>,
}

/// Who met the trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Person {
    /// Somebody with an account.
    Customer,
    /// Somebody without.
    Visitor,
}

/// Whether somebody may get anything now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// They may.
    Welcome,
    /// They are on the tenant's list of exclusions.
    Excluded,
}

/// What is known about whoever met the trigger, and about its campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerFacts {
    /// Who it is.
    pub person: Person,
    /// Whether they may get anything now.
    pub standing: Standing,
    /// Whether the gateway said yes to this before.
    pub is_reserved: bool,
    /// Grants of this campaign that they have, in whatever state.
    pub of_campaign: u64,
    /// Grants that the campaign gave in this minute.
    pub this_minute: u64,
    /// What the campaign's notes say about the duration.
    pub duration: DurationRead,
}

/// What is known about one code for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeFacts {
    /// Where its promotion stands; `None`: the catalogue does not know it.
    pub status: Option<PromotionStatus>,
    /// How far it may go.
    pub limits: Limits,
    /// How long its grants last where the campaign does not say.
    pub validity: Option<Duration>,
    /// Promises to this customer that are not over: grants, and reservations for other questions.
    pub by_customer: u64,
    /// Grants to all customers, and all reservations but the one that this trigger uses.
    pub by_all: u64,
    /// Whether there is a code to hand out.
    pub supply: Supply,
    /// Whether they may get anything of this promotion now.
    pub standing: Standing,
}

/// Whether a promotion has a code to hand out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supply {
    /// The same for all, or one of its own is free.
    Ready,
    /// Its pool is empty, and it has no fallback.
    Empty,
}

/// What becomes of one code of a trigger: the duration of its grant, or why there is none.
///
/// The first that applies: a visitor is held; somebody excluded, from all or from this promotion, is refused; an unknown or inactive
/// code is held; without a reservation where one is needed it is refused; a promotion's limit
/// refuses; a cap of the tenant holds; no duration holds; an empty pool holds. The reservation
/// comes before what can hold a pair, since a held pair may outlive its reservation.
///
/// # Errors
///
/// A [`Disposition`] that is a refusal or a hold is an answer, not a failure.
pub fn decide(
    rules: &TriggerRules,
    facts: &TriggerFacts,
    code: &CodeFacts,
) -> Result<Duration, Disposition> {
    let hold = |reason| Err(Disposition::Held(reason));
    let refuse = |reason| Err(Disposition::Refused(reason));
    if facts.person == Person::Visitor && rules.visitors == Visitors::Hold {
        return hold(HoldReason::Visitor);
    }
    if facts.standing == Standing::Excluded || code.standing == Standing::Excluded {
        return refuse(RefuseReason::Excluded);
    }
    let status = code.status.ok_or(HoldReason::UnknownCode);
    if let Err(reason) = status.and_then(PromotionStatus::grantable) {
        return hold(reason);
    }
    if rules.reservation == ReservationRule::Required && !facts.is_reserved {
        return refuse(RefuseReason::NoReservation);
    }
    let reached = |used: u64, max: Option<u64>| max.is_some_and(|max| used >= max);
    if reached(code.by_customer, code.limits.per_customer)
        || reached(code.by_all, code.limits.total)
    {
        return refuse(RefuseReason::LimitReached);
    }
    if reached(facts.of_campaign, rules.per_customer_max)
        || reached(facts.this_minute, rules.per_minute_max)
    {
        return hold(HoldReason::CapReached);
    }
    let duration = decide_duration(
        facts.duration.clone(),
        code.validity,
        rules.duration_default,
    );
    let duration = duration.duration().map_err(Disposition::Held)?;
    match code.supply {
        Supply::Ready => Ok(duration),
        Supply::Empty => hold(HoldReason::NoFreeCode),
    }
}

named_enum! {
    /// Why the gateway says no.
    "reason to deny" DenyReason {
        /// Somebody without an account.
        Visitor = "visitor",
        /// On the tenant's list of exclusions.
        Excluded = "excluded",
        /// A code that the catalogue does not know.
        UnknownCode = "unknown_code",
        /// A code that cannot be granted now, or cannot be a code at all.
        UnusableCode = "unusable_code",
        /// A code whose promotion a person stopped.
        PromotionStopped = "promotion_stopped",
        /// The campaign is suspended or revoked, or not on the tenant's list.
        CampaignStopped = "campaign_stopped",
        /// The promotion's limits leave no room.
        LimitReached = "limit_reached",
        /// A cap of the tenant leaves no room.
        CapReached = "cap_reached",
        /// Nothing says how long the grant would last.
        NoDuration = "no_duration",
        /// The pool of unique codes is empty.
        NoFreeCode = "no_free_code",
        /// The campaign carries no codes, and the tenant wants no such messages.
        NoCodes = "no_codes",
        /// It could not be decided in time.
        TooLate = "too_late",
    }
}

/// What the gateway says about a campaign for one customer: a yes needs all of its codes.
///
/// # Errors
///
/// A [`DenyReason`] is an answer, not a failure.
pub fn answer(
    rules: &TriggerRules,
    without_codes: WithoutCodes,
    campaigns: &[CampaignFacts],
    facts: &TriggerFacts,
    codes: &[CodeFacts],
) -> Result<(), DenyReason> {
    if facts.person == Person::Visitor && rules.visitors == Visitors::Hold {
        return Err(DenyReason::Visitor);
    }
    if facts.standing == Standing::Excluded {
        return Err(DenyReason::Excluded);
    }
    if campaigns
        .iter()
        .any(|campaign| *campaign != CampaignFacts::RUNNING)
    {
        return Err(DenyReason::CampaignStopped);
    }
    if codes.is_empty() && without_codes == WithoutCodes::Deny {
        return Err(DenyReason::NoCodes);
    }
    // The yes itself is the reservation.
    let rules = TriggerRules {
        reservation: ReservationRule::Optional,
        ..*rules
    };
    codes
        .iter()
        .try_for_each(|code| decide(&rules, facts, code).map(|_| ()))
        .map_err(deny_reason)
}

fn deny_reason(disposition: Disposition) -> DenyReason {
    match disposition {
        Disposition::Held(HoldReason::Visitor) => DenyReason::Visitor,
        Disposition::Held(HoldReason::UnknownCode) => DenyReason::UnknownCode,
        Disposition::Held(HoldReason::PromotionStopped) => DenyReason::PromotionStopped,
        Disposition::Held(HoldReason::CapReached) => DenyReason::CapReached,
        Disposition::Held(HoldReason::NoDuration) => DenyReason::NoDuration,
        Disposition::Held(HoldReason::NoFreeCode) => DenyReason::NoFreeCode,
        Disposition::Refused(RefuseReason::Excluded) => DenyReason::Excluded,
        Disposition::Refused(_) => DenyReason::LimitReached,
        _ => DenyReason::UnusableCode,
    }
}

/// A time stamp as a trigger carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// None.
    Absent,
    /// A text that is no time.
    Unreadable,
    /// A wall-clock time in the tenant's zone.
    Local(DateTime),
    /// An instant.
    Instant(Timestamp),
}

/// Why a trigger's own time stamp is not what counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StampFault {
    /// It cannot be read.
    #[error("the time stamp is no time")]
    Unreadable,
    /// It is too far from the moment it came.
    #[error("the time stamp is more than {STAMP_HOURS_MAX} hours from when the trigger came")]
    TooFar,
}

/// When a trigger was met: its time stamp, or the moment it came, and why that had to stand in.
pub fn met_at(
    stamp: Stamp,
    zone: &Zone,
    received_at: Timestamp,
) -> (Timestamp, Option<StampFault>) {
    let read = match stamp {
        Stamp::Absent => return (received_at, None),
        Stamp::Unreadable => Err(StampFault::Unreadable),
        Stamp::Instant(instant) => Ok(instant),
        Stamp::Local(wall) => {
            instant_of(wall, zone, Edge::Start).map_err(|_| StampFault::Unreadable)
        }
    };
    let near = |instant: &Timestamp| {
        received_at.duration_since(*instant).abs() <= SignedDuration::from_hours(STAMP_HOURS_MAX)
    };
    match read {
        Ok(instant) if near(&instant) => (instant, None),
        Ok(_) => (received_at, Some(StampFault::TooFar)),
        Err(fault) => (received_at, Some(fault)),
    }
}
