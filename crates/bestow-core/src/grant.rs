//! A grant keeps facts; its status is worked out each time somebody asks.

use jiff::Timestamp;

use crate::campaign::CampaignFacts;
use crate::name::named_enum;
use crate::outcome::Refusal;
use crate::window::{Phase, Window};

named_enum! {
    /// Where a grant came from.
    "grant source" GrantSource {
        /// The customer list of an executed campaign (events 1 and 13, or the sweep).
        Scheduled = "scheduled",
        /// The processed list of a campaign that waits for clearance (event 5).
        Conditional = "conditional",
        /// A trigger (event 11).
        Triggered = "triggered",
        /// A person, through the API.
        Manual = "manual",
    }
}

named_enum! {
    /// Where a grant stands. Never stored: see [`status`].
    "grant status" GrantStatus {
        /// Its window has not started.
        Pending = "pending",
        /// Its campaign waits for clearance.
        AwaitingClearance = "awaiting_clearance",
        /// It can be redeemed now.
        Active = "active",
        /// Its campaign is stopped for now.
        Suspended = "suspended",
        /// It has been used as often as it may be.
        Redeemed = "redeemed",
        /// Its window is over.
        Expired = "expired",
        /// It or its campaign was taken back for good.
        Revoked = "revoked",
        /// It was denied, or its clearance deadline passed in silence.
        NotCleared = "not_cleared",
    }
}

/// What is known about a grant's clearance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Clearance {
    /// Its campaign needs none.
    NotNeeded,
    /// Undecided. From the deadline on that means no.
    Awaiting {
        /// `ClearanceRequiredBy` of event 5, as an instant.
        deadline: Timestamp,
    },
    /// Reported true in time, and not sent yet as far as we know. Its window is an estimate, so it
    /// does not start by it, whatever the clock says; the execution brings the real window, and with
    /// that nothing is left to be cleared.
    Approved,
    /// Reported false.
    Denied,
}

/// What is stored about a grant and decides its status. Facts are only ever added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GrantFacts {
    /// When it can be redeemed.
    pub window: Window,
    /// When Optimove's daily list ended it, for tenants that expire by that list.
    pub ended_at: Option<Timestamp>,
    /// What is known about clearance.
    pub cleared: Clearance,
    /// When this one grant was taken back for good.
    pub revoked_at: Option<Timestamp>,
    /// Redemptions, reversed ones taken off.
    pub redeemed_count: u32,
    /// Redemptions it allows; `None` is no bound.
    pub uses_max: Option<u32>,
}

impl GrantFacts {
    /// A grant for one use that needs no clearance: what most campaigns give.
    pub const fn single_use(window: Window) -> Self {
        Self {
            window,
            ended_at: None,
            cleared: Clearance::NotNeeded,
            revoked_at: None,
            redeemed_count: 0,
            uses_max: Some(1),
        }
    }

    /// The span in which it can be redeemed: its window, cut short where the daily list ended it.
    pub fn effective_window(&self) -> Window {
        let ends_at = match (self.window.ends_at, self.ended_at) {
            (Some(by_window), Some(by_list)) => Some(by_window.min(by_list)),
            (by_window, by_list) => by_window.or(by_list),
        };
        Window {
            ends_at,
            ..self.window
        }
    }

    /// Whether it has been used as often as it may be.
    pub fn is_used_up(&self) -> bool {
        self.uses_max.is_some_and(|max| self.redeemed_count >= max)
    }
}

/// How near a grant is to a yes, from what was never to be had to what can be had now. The order of
/// declaration is the order of hope, which decides between several grants for one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Taken back for good.
    Revoked,
    /// Denied, or never answered.
    NotCleared,
    /// Missed.
    Expired,
    /// Had.
    UsedUp,
    /// Stopped; somebody may lift it.
    Suspended,
    /// Waiting for somebody's yes.
    AwaitingClearance,
    /// Time alone will start it.
    NotStarted,
    /// Can be redeemed now.
    Active,
}

impl Standing {
    /// The refusal it stands for; `None` if the grant can be redeemed.
    pub const fn refusal(self) -> Option<Refusal> {
        match self {
            Self::Revoked => Some(Refusal::Revoked),
            Self::Suspended => Some(Refusal::Suspended),
            Self::AwaitingClearance | Self::NotCleared => Some(Refusal::NotCleared),
            Self::NotStarted => Some(Refusal::NotStarted),
            Self::Expired => Some(Refusal::Expired),
            Self::UsedUp => Some(Refusal::AlreadyRedeemed),
            Self::Active => None,
        }
    }
}

/// Where a grant stands at `now`, as far as one grant and its campaign decide it.
///
/// The first that applies, in the order of the refusals: revoked, suspended, not cleared, not
/// started, expired, used up. A revocation or suspension counts from the moment it is stored,
/// whatever `now` is, so that a clock that jumps back cannot undo it.
pub fn standing(grant: &GrantFacts, campaign: &CampaignFacts, now: Timestamp) -> Standing {
    let revoked = grant.revoked_at.or(campaign.revoked_at).is_some();
    match (grant.cleared, grant.effective_window().phase(now)) {
        _ if revoked => Standing::Revoked,
        _ if campaign.suspended_at.is_some() => Standing::Suspended,
        (Clearance::Awaiting { deadline }, _) if now < deadline => Standing::AwaitingClearance,
        (Clearance::Awaiting { .. } | Clearance::Denied, _) => Standing::NotCleared,
        (Clearance::NotNeeded | Clearance::Approved, Phase::After) => Standing::Expired,
        (Clearance::NotNeeded, Phase::Before) | (Clearance::Approved, _) => Standing::NotStarted,
        _ if grant.is_used_up() => Standing::UsedUp,
        (Clearance::NotNeeded, Phase::Inside) => Standing::Active,
    }
}

/// The status of a grant at `now`: the one function that API, console, announcements and reports
/// ask.
///
/// Redeemed stays redeemed: a grant that was used as often as it may be says so, whatever happened
/// to it or its campaign afterwards. Every other status is its [`standing`].
pub fn status(grant: &GrantFacts, campaign: &CampaignFacts, now: Timestamp) -> GrantStatus {
    match standing(grant, campaign, now) {
        _ if grant.is_used_up() => GrantStatus::Redeemed,
        Standing::UsedUp => GrantStatus::Redeemed,
        Standing::Revoked => GrantStatus::Revoked,
        Standing::Suspended => GrantStatus::Suspended,
        Standing::AwaitingClearance => GrantStatus::AwaitingClearance,
        Standing::NotCleared => GrantStatus::NotCleared,
        Standing::NotStarted => GrantStatus::Pending,
        Standing::Expired => GrantStatus::Expired,
        Standing::Active => GrantStatus::Active,
    }
}
