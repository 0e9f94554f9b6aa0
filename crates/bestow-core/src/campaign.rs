//! Campaigns: what stops them, what their details say, and where they stand.

use jiff::Timestamp;

use crate::name::named_enum;
use crate::outcome::HoldReason;
use crate::window::{DURATION_DAYS_MAX, Duration, LEAD_DAYS_MAX, LeadTime};

named_enum! {
    /// How a campaign reaches its customers.
    "campaign kind" CampaignKind {
        /// At a time, to a list.
        Scheduled = "scheduled",
        /// At a time, to those of a list whom we clear before.
        Conditional = "conditional",
        /// To one customer at a time, when a trigger is met.
        Triggered = "triggered",
    }
}

/// What stops a campaign: the two facts that every grant of it is read with.
///
/// One row per campaign holds them, so stopping ten million grants is one write. A campaign that
/// was cancelled before it was ever seen has its row too (the tombstone). A suspended tenant counts
/// as a suspension of each of its campaigns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct CampaignFacts {
    /// Since when nothing of it is redeemable, until somebody lifts it.
    pub suspended_at: Option<Timestamp>,
    /// When it was taken back for good.
    pub revoked_at: Option<Timestamp>,
}

impl CampaignFacts {
    /// A campaign that nothing stops; also the facts of a grant without a campaign.
    pub const RUNNING: Self = Self {
        suspended_at: None,
        revoked_at: None,
    };
}

/// What `Duration` of GetCampaignDetails said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DurationRead {
    /// A number of days.
    Days(u16),
    /// No field, or null.
    Missing,
    /// Anything else: negative, too large, no number. The text as it came.
    Absurd(String),
}

impl DurationRead {
    /// What a whole number of days amounts to.
    pub fn of_days(days: i64) -> Self {
        u16::try_from(days).map_or_else(|_| Self::Absurd(days.to_string()), Self::Days)
    }
}

/// Whose default stands in for a duration that the campaign does not give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DefaultSource {
    /// The promotion's own.
    Promotion,
    /// The tenant's.
    Tenant,
}

/// Why a default had to stand in. Shown with the campaign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationGap {
    /// The campaign gives none.
    #[error("the campaign gives no duration")]
    Missing,
    /// The campaign gives one that cannot be meant.
    #[error("the campaign gives the duration {0:?}; it must be 0 to {DURATION_DAYS_MAX} days")]
    Absurd(String),
}

/// The duration that a campaign's grants get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DurationDecision {
    /// The campaign's own.
    FromCampaign(Duration),
    /// A default, and why it was needed.
    Default {
        /// The duration.
        duration: Duration,
        /// Whose it is.
        source: DefaultSource,
        /// Why it was needed.
        gap: DurationGap,
    },
    /// None: the pairs are held as `no_duration`.
    Hold {
        /// Why a default would have been needed.
        gap: DurationGap,
    },
}

impl DurationDecision {
    /// The duration, if there is one.
    ///
    /// # Errors
    ///
    /// [`HoldReason::NoDuration`].
    pub const fn duration(&self) -> Result<Duration, HoldReason> {
        match self {
            Self::FromCampaign(duration) | Self::Default { duration, .. } => Ok(*duration),
            Self::Hold { .. } => Err(HoldReason::NoDuration),
        }
    }
}

/// Decides the duration: the campaign's own, else the promotion's default, else the tenant's.
pub fn decide_duration(
    read: DurationRead,
    promotion_default: Option<Duration>,
    tenant_default: Option<Duration>,
) -> DurationDecision {
    let gap = match read {
        DurationRead::Days(days) => match Duration::from_days(days.into()) {
            Ok(duration) => return DurationDecision::FromCampaign(duration),
            Err(_) => DurationGap::Absurd(days.to_string()),
        },
        DurationRead::Missing => DurationGap::Missing,
        DurationRead::Absurd(text) => DurationGap::Absurd(text),
    };
    let from_promotion = promotion_default.map(|days| (days, DefaultSource::Promotion));
    match from_promotion.or(tenant_default.map(|days| (days, DefaultSource::Tenant))) {
        Some((duration, source)) => DurationDecision::Default {
            duration,
            source,
            gap,
        },
        None => DurationDecision::Hold { gap },
    }
}

/// What `LeadTime` of GetCampaignDetails said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeadRead {
    /// A number of days.
    Days(u16),
    /// No field, or null.
    Missing,
    /// Anything else: negative, too large, no number. The text as it came.
    Absurd(String),
}

impl LeadRead {
    /// What a whole number of days amounts to.
    pub fn of_days(days: i64) -> Self {
        u16::try_from(days).map_or_else(|_| Self::Absurd(days.to_string()), Self::Days)
    }
}

/// Why a campaign has no usable lead time. Its pairs are held as `bad_lead_time`: a guess would
/// start the promotion on the wrong day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the campaign gives the lead time {text:?}; it must be 0 to {LEAD_DAYS_MAX} days")]
pub struct AbsurdLead {
    /// The text as it came.
    pub text: String,
}

/// Decides the lead time: the campaign's own, or none where it gives none.
///
/// # Errors
///
/// [`AbsurdLead`]: the campaign's pairs are held as [`HoldReason::BadLeadTime`].
pub fn decide_lead(read: LeadRead) -> Result<LeadTime, AbsurdLead> {
    match read {
        LeadRead::Missing => Ok(LeadTime::NONE),
        LeadRead::Days(days) => LeadTime::from_days(days.into()).map_err(|_| AbsurdLead {
            text: days.to_string(),
        }),
        LeadRead::Absurd(text) => Err(AbsurdLead { text }),
    }
}

named_enum! {
    /// Where a campaign stands. Never stored: see [`campaign_status`].
    "campaign status" CampaignStatus {
        /// Known, and nothing read or granted yet.
        Announced = "announced",
        /// Its customers are being read.
        Importing = "importing",
        /// Its customers wait for clearance.
        AwaitingClearance = "awaiting_clearance",
        /// It has grants that have not ended.
        Running = "running",
        /// All its grants are over, or it gave none.
        Ended = "ended",
        /// Stopped for now.
        Suspended = "suspended",
        /// Taken back for good.
        Revoked = "revoked",
        /// Its import stopped and waits for a person.
        Failed = "failed",
    }
}

/// How far the reading of a campaign's customers is, over all its lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImportState {
    /// Nothing to read: a triggered campaign.
    NotNeeded,
    /// Not begun.
    Waiting,
    /// Being read or merged.
    Running,
    /// Complete.
    Complete,
    /// Held or given up.
    Stopped,
}

impl ImportState {
    /// The state of a campaign with several lists (one per channel): a stopped one shows, then a
    /// running one; one that waits beside a complete one means that work goes on.
    pub fn of_all(lists: &[Self]) -> Self {
        let any = |state| lists.contains(&state);
        if any(Self::Stopped) {
            Self::Stopped
        } else if any(Self::Running) || (any(Self::Waiting) && any(Self::Complete)) {
            Self::Running
        } else if any(Self::Complete) {
            Self::Complete
        } else if any(Self::Waiting) {
            Self::Waiting
        } else {
            Self::NotNeeded
        }
    }
}

/// The latest end of a campaign's windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LatestEnd {
    /// It gave no grants.
    NoGrants,
    /// At least one window has no end of its own.
    Open,
    /// This one.
    At(Timestamp),
    /// Whatever the windows say: the daily lists have ended every grant.
    Listed,
}

/// How many grants of a campaign the daily lists of ended actions may end, and how many they have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ListedEnds {
    /// Grants whose customers were sent to.
    pub grants: u64,
    /// Those that a list has ended.
    pub ended: u64,
    /// When a conditional campaign that was sent to nobody is given up: no list will ever name its grants.
    pub given_up_at: Option<Timestamp>,
}

impl ListedEnds {
    /// As kept: `given_up_ms` is in milliseconds, and one that no calendar has never comes.
    #[must_use]
    pub fn new(grants: u64, ended: u64, given_up_ms: Option<i64>) -> Self {
        Self {
            grants,
            ended,
            given_up_at: given_up_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
        }
    }
}

impl LatestEnd {
    /// The latest end, cut short once the daily lists have ended every grant, or where nobody was sent to, so that no
    /// list ever ends one. A grant that comes later, or a customer who is sent to, opens it again.
    #[must_use]
    pub const fn cut(self, listed: ListedEnds) -> Self {
        match (self, listed.given_up_at) {
            _ if listed.grants > 0 && listed.ended >= listed.grants => Self::Listed,
            (Self::Open, Some(at)) => Self::At(at),
            _ => self,
        }
    }

    /// Whether no window is open any more, nor to come.
    pub fn is_over(self, now: Timestamp) -> bool {
        match self {
            Self::NoGrants | Self::Open => false,
            Self::At(end) => end <= now,
            Self::Listed => true,
        }
    }
}

/// What [`campaign_status`] looks at beside the facts that stop a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CampaignProgress {
    /// How far reading is.
    pub import: ImportState,
    /// The latest deadline of its clearance rounds, for conditional campaigns.
    pub clearance_deadline: Option<Timestamp>,
    /// The latest end of its windows.
    pub latest_end: LatestEnd,
}

/// The status of a campaign at `now`.
///
/// The first that applies: revoked, suspended, failed, importing, awaiting clearance (read, and a
/// round is open), announced (not begun), ended, running.
pub fn campaign_status(
    facts: &CampaignFacts,
    progress: &CampaignProgress,
    now: Timestamp,
) -> CampaignStatus {
    let is_open = progress
        .clearance_deadline
        .is_some_and(|deadline| now < deadline);
    match (progress.import, progress.latest_end) {
        _ if facts.revoked_at.is_some() => CampaignStatus::Revoked,
        _ if facts.suspended_at.is_some() => CampaignStatus::Suspended,
        (ImportState::Stopped, _) => CampaignStatus::Failed,
        (ImportState::Running, _) => CampaignStatus::Importing,
        (ImportState::Complete, _) if is_open => CampaignStatus::AwaitingClearance,
        (ImportState::Waiting, _) | (ImportState::NotNeeded, LatestEnd::NoGrants) => {
            CampaignStatus::Announced
        }
        (ImportState::Complete, LatestEnd::NoGrants) => CampaignStatus::Ended,
        (_, end) if end.is_over(now) => CampaignStatus::Ended,
        _ => CampaignStatus::Running,
    }
}
