//! Clearance of conditional campaigns: who is approved, whether there is time enough, and until
//! when anybody is.

use jiff::{SignedDuration, Timestamp};

use crate::import::Disposition;
use crate::outcome::{HoldReason, RefuseReason};
use crate::promotion::{Limits, PromotionStatus};
use crate::trigger::{Standing, Supply};

/// Customers reported in one call where there is time.
pub const REPORT_MAX: usize = 10_000;
/// Customers reported in one call where there is little: what is lost with a call is less.
pub const LATE_REPORT_MAX: usize = 1_000;
/// Part of the calls that is set aside for calls that fail: one in four.
const RESERVE_PARTS: u64 = 4;

/// What the operator's own system says of a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Word {
    /// It is not asked, or not yet.
    NotAsked,
    /// They may have it.
    Yes,
    /// They may not; also where no answer came, or none that can be read.
    No,
}

/// What is known about one code for one customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeFacts {
    /// Where its promotion stands; `None`: the catalogue does not know it.
    pub status: Option<PromotionStatus>,
    /// How far it may go.
    pub limits: Limits,
    /// Promises to this customer that are not over, by other campaigns.
    pub by_customer: u64,
    /// Grants to all customers, those planned beside included.
    pub by_all: u64,
    /// Whether there is a code to hand out.
    pub supply: Supply,
    /// It is granted to them already, by an earlier round that was not reported.
    pub is_granted: bool,
    /// Whether they may get anything of this promotion now.
    pub standing: Standing,
}

/// Whether another customer of the campaign has nearly the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// Nobody, or this one was there first.
    Own,
    /// Somebody else was there first.
    NearEqual,
}

/// Everything that decides about one customer of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustomerFacts<'a> {
    /// Whether the id is nearly another's.
    pub spelling: Spelling,
    /// Whether they may get anything now.
    pub standing: Standing,
    /// What their rows say against them: the control group, codes that are none.
    pub against: Option<Disposition>,
    /// Each code once.
    pub codes: &'a [CodeFacts],
    /// Distinct codes that one customer may get.
    pub codes_max: usize,
    /// What the operator's system says.
    pub word: Word,
}

/// Decides about one customer: approval is for a customer and a campaign, so all of the codes have
/// to be granted or none is. A customer without a code is approved unless something is against it.
///
/// The first that applies: a nearly equal id holds; an exclusion refuses; what the rows say; too
/// many codes hold; of each code in turn: an exclusion from it refuses, unknown or inactive holds, a limit refuses, an empty pool
/// holds; the operator's no refuses.
///
/// # Errors
///
/// A [`Disposition`] that is a refusal or a hold is an answer, not a failure.
pub fn decide(facts: &CustomerFacts<'_>) -> Result<(), Disposition> {
    let hold = |reason| Err(Disposition::Held(reason));
    let refuse = |reason| Err(Disposition::Refused(reason));
    if facts.spelling == Spelling::NearEqual {
        return hold(HoldReason::NearEqualCustomerId);
    }
    if facts.standing == Standing::Excluded {
        return refuse(RefuseReason::Excluded);
    }
    if let Some(against) = facts.against {
        return Err(against);
    }
    if facts.codes.len() > facts.codes_max {
        return hold(HoldReason::TooManyCodes);
    }
    facts.codes.iter().try_for_each(code)?;
    if facts.word == Word::No {
        return refuse(RefuseReason::NotApproved);
    }
    Ok(())
}

fn code(code: &CodeFacts) -> Result<(), Disposition> {
    if code.standing == Standing::Excluded {
        return Err(Disposition::Refused(RefuseReason::Excluded));
    }
    if code.is_granted {
        return Ok(());
    }
    let hold = |reason| Err(Disposition::Held(reason));
    let status = code.status.ok_or(HoldReason::UnknownCode);
    if let Err(reason) = status.and_then(PromotionStatus::grantable) {
        return hold(reason);
    }
    let reached = |used: u64, max: Option<u64>| max.is_some_and(|max| used >= max);
    if reached(code.by_customer, code.limits.per_customer)
        || reached(code.by_all, code.limits.total)
    {
        return Err(Disposition::Refused(RefuseReason::LimitReached));
    }
    match code.supply {
        Supply::Ready => Ok(()),
        Supply::Empty => hold(HoldReason::NoFreeCode),
    }
}

/// Until when a round is worked, and in which steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// From then on nothing is approved.
    pub stop_at: Timestamp,
    /// Customers in one call, at most.
    pub report_max: usize,
}

/// Until when a round is worked: `margin` before its deadline. A round that came with less than
/// that left is worked to the deadline itself, in small steps.
pub fn schedule(asked_at: Timestamp, deadline: Timestamp, margin: SignedDuration) -> Schedule {
    let early = deadline.checked_sub(margin).unwrap_or(Timestamp::MIN);
    if asked_at < early {
        Schedule {
            stop_at: early,
            report_max: REPORT_MAX,
        }
    } else {
        Schedule {
            stop_at: deadline,
            report_max: LATE_REPORT_MAX,
        }
    }
}

/// What a round still takes, and what there is for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanFacts {
    /// Rows that are still to be read.
    pub rows_to_read: u64,
    /// Rows of the whole list, which a confirming pass would read once more.
    pub rows: u64,
    /// Customers that are still to be reported.
    pub customers: u64,
    /// Rows asked for in one page.
    pub page_rows: u32,
    /// Customers in one call.
    pub report_max: usize,
    /// Calls allowed in a window.
    pub calls_max: u32,
    /// The window.
    pub window: SignedDuration,
    /// Now.
    pub now: Timestamp,
    /// When work on the round stops.
    pub stop_at: Timestamp,
}

/// Whether the calls that a round takes fit into the time it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Calls it takes, a reserve for failures included.
    pub calls_needed: u64,
    /// Calls that the budget allows until it stops.
    pub calls_allowed: u64,
    /// Whether a confirming pass over the list fits in beside.
    pub confirm: Confirm,
}

/// Whether a list is read once more to see that it is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// There is time.
    Fits,
    /// There is none: the list is taken as it was read.
    NoTime,
}

impl Plan {
    /// Whether it fits.
    pub fn is_feasible(&self) -> bool {
        self.calls_needed <= self.calls_allowed
    }
}

/// Plans a round: pages to read and reports to send, a reserve of a quarter on both, against the
/// budget of calls until it stops.
pub fn plan(facts: &PlanFacts) -> Plan {
    let page_rows = u64::from(facts.page_rows.max(1));
    // A list ends with a page that is empty.
    let reads = match facts.rows_to_read {
        0 => 0,
        rows => rows.div_ceil(page_rows) + 1,
    };
    let reports = facts.customers.div_ceil(facts.report_max.max(1) as u64);
    let confirming = facts.rows.div_ceil(page_rows) + 1;
    let with_reserve = |calls: u64| calls + calls.div_ceil(RESERVE_PARTS);
    let left = facts.stop_at.duration_since(facts.now);
    let left_ms = u128::try_from(left.as_millis()).unwrap_or_default();
    let window_ms = u128::try_from(facts.window.as_millis())
        .unwrap_or_default()
        .max(1);
    let allowed = left_ms * u128::from(facts.calls_max) / window_ms;
    let calls_allowed = u64::try_from(allowed).unwrap_or(u64::MAX);
    Plan {
        calls_needed: with_reserve(reads + reports),
        calls_allowed,
        confirm: if with_reserve(reads + reports + confirming) <= calls_allowed {
            Confirm::Fits
        } else {
            Confirm::NoTime
        },
    }
}
