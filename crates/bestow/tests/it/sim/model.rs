//! What one seed makes: a world, and the list of what happens in it.

use std::ops::Range;

use bestow_store::Fault;
use jiff::Timestamp;
use serde_json::Value;

use super::destinations::{Hearing, Hears};
pub(crate) use super::dice::Dice;
use super::guards::Guarding;

/// Everything about one history. The same seed makes the same one.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) seed: u64,
    pub(crate) world: World,
    pub(crate) ops: Vec<Op>,
}

/// What stands before anything happens.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) tenants: Vec<TenantPlan>,
    pub(crate) campaigns: Vec<CampaignPlan>,
    /// The codes of all tenants' catalogues, and of none.
    pub(crate) codes: Vec<CodePlan>,
    /// Rows asked for in one page.
    pub(crate) page_rows: u32,
    /// Grants written in one transaction of a merge.
    pub(crate) merge_grants_max: usize,
    /// Schedule times as the wire carries them.
    pub(crate) times: Times,
    /// Campaigns have a lead time, which a switch must not take off the wire.
    pub(crate) has_lead: bool,
    /// When it begins, by both clocks.
    pub(crate) start: Timestamp,
    /// Days by which Optimove's list of ended actions is early or late.
    pub(crate) ended_offset: i64,
    /// Send groups of a conditional campaign, each with its own deadline.
    pub(crate) rounds: u8,
}

impl World {
    /// The id of some customer of a campaign: the `number`th, or another one where there are fewer.
    pub(crate) fn customer(&self, campaign: usize, number: u64) -> Option<String> {
        let plan = &self.campaigns[campaign];
        if plan.kind == Kind::Triggered {
            return Some(format!("T-{:02}", number % 8));
        }
        let audience = &plan.spec["audience"];
        if let Some(listed) = audience["customers"].as_array() {
            let one = &listed[number as usize % listed.len().max(1)];
            let id = one.as_str().or_else(|| one["id"].as_str());
            return id.map(str::to_owned);
        }
        let count = audience["count"].as_u64().filter(|count| *count > 0)?;
        let prefix = audience["prefix"].as_str().unwrap_or_default();
        Some(format!("{prefix}{}", number % count + 1))
    }
}

/// Optimove's client: a zone, channels and a way in.
#[derive(Debug, Clone)]
pub(crate) struct TenantPlan {
    pub(crate) id: &'static str,
    pub(crate) zone: &'static str,
    /// Empty: the lists of all channels are read as one.
    pub(crate) channels: Vec<u64>,
    pub(crate) access: Access,
    /// What is done about a cancel that Optimove cannot confirm: `revoke` or `suspend`.
    pub(crate) unconfirmed: &'static str,
    /// Grants of one triggered campaign in one minute; above it triggers wait.
    pub(crate) per_minute_max: Option<u64>,
    /// What ends its grants: `duration`, `ended_by_date` or `both`.
    pub(crate) expiry: &'static str,
    /// Whether the operator's own system is asked before a customer is approved.
    pub(crate) asks_operator: bool,
    /// Customers of one campaign that nobody has to look at first; 0: each campaign waits.
    pub(crate) customers_max: Option<u64>,
    /// How systems of the operator's hear of its grants, if any do.
    pub(crate) hears: Option<Hears>,
}

impl TenantPlan {
    /// A tenant as most are.
    pub(crate) fn plain(id: &'static str, zone: &'static str) -> Self {
        Self {
            id,
            zone,
            channels: vec![504, 505, 506],
            access: Access::ApiKey,
            unconfirmed: "revoke",
            per_minute_max: None,
            expiry: "duration",
            asks_operator: false,
            customers_max: None,
            hears: None,
        }
    }
}

/// Days that a promotion lasts where nothing else says so.
pub(crate) const DAYS_DEFAULT: u16 = 3;

/// How the service proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    ApiKey,
    Login,
}

/// A campaign as the stand-in is told of it.
#[derive(Debug, Clone)]
pub(crate) struct CampaignPlan {
    pub(crate) id: u64,
    pub(crate) tenant: usize,
    pub(crate) kind: Kind,
    pub(crate) spec: Value,
}

/// How a campaign reaches its customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// At a time, all of them.
    Scheduled,
    /// At a time, those who were approved before a deadline so many seconds after it is announced.
    Conditional { seconds: u32 },
    /// Each when they meet a trigger.
    Triggered,
}

/// A code that campaigns use.
#[derive(Debug, Clone)]
pub(crate) struct CodePlan {
    /// As the catalogue spells it.
    pub(crate) code: &'static str,
    pub(crate) known: Known,
    /// Grants that one customer may have at the same time.
    pub(crate) per_customer: Option<u64>,
    /// Grants to all customers.
    pub(crate) total: Option<u64>,
    /// Days that a triggered grant lasts where its campaign does not say.
    pub(crate) validity: Option<u16>,
    /// Each customer gets a code of their own.
    pub(crate) pool: Option<Pool>,
}

/// Where unique codes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pool {
    /// Codes at the beginning.
    pub(crate) codes: u64,
    /// What everybody gets once there are none; without it they wait.
    pub(crate) fallback: Option<&'static str>,
}

impl CodePlan {
    /// A code without limits.
    pub(crate) const fn shared(code: &'static str, known: Known) -> Self {
        Self {
            code,
            known,
            per_customer: None,
            total: None,
            validity: None,
            pool: None,
        }
    }

    /// Whether nothing but the catalogue keeps anybody from it.
    pub(crate) const fn is_for_all(&self) -> bool {
        self.per_customer.is_none() && self.total.is_none()
    }
}

/// When the catalogue knows a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// From the beginning.
    Active,
    /// From the beginning, but not to be granted yet.
    Draft,
    /// Not before somebody adds it.
    Later,
    /// Nobody ever adds it.
    Never,
}

/// Whether schedule times carry an offset. It decides what a time that occurs twice means, so it is one for a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    Local,
    WithOffset,
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// Optimove executes a campaign. Its notifications lie there until [`Op::Notify`] posts them.
    Process(usize),
    /// Optimove cancels it.
    Cancel(usize),
    /// Posts what Optimove has to say of a campaign.
    Notify {
        campaign: usize,
        /// Bit by bit: which of its notifications.
        which: u8,
        copies: u8,
        /// Shuffles what is posted.
        order: u64,
        posts: Posts,
    },
    /// Optimove says that the day's campaigns are out (events 2 and 3).
    CloseDay(usize),
    /// Posts events 1 and 13 of a campaign whether or not there is such a campaign yet.
    Forge(usize),
    /// Posts event 4 of a campaign that Optimove has not cancelled.
    ForgeCancel(usize),
    /// Posts event 5 of a conditional campaign with a deadline that Optimove knows nothing of, so many seconds ahead.
    ForgeClearance { campaign: usize, seconds: i64 },
    /// Customers meet the trigger of a campaign, and Optimove tells of it.
    Trigger {
        campaign: usize,
        /// By number, each with whether they have no account.
        customers: Vec<(u64, bool)>,
        copies: u8,
        order: u64,
        posts: Posts,
    },
    /// A customer of a campaign may get nothing by clearance and triggers from now on.
    Exclude { campaign: usize, customer: u64 },
    /// Everybody who was excluded may again.
    IncludeAll(usize),
    /// Somebody pauses a promotion.
    Pause(usize),
    /// Somebody makes so many unique codes for a promotion, whatever its kind.
    Load { code: usize, count: u64 },
    /// Optimove asks whether a customer may get a triggered campaign, so many times.
    Question {
        campaign: usize,
        customer: u64,
        times: u8,
    },
    /// The operator's own system changes how it answers.
    Operator(Manner),
    /// Somebody brings Optimove's list of codes in line with a tenant's catalogue.
    Sync(usize),
    /// Somebody writes a code into Optimove's list by hand.
    WriteThere { tenant: usize, code: usize },
    /// The listeners of a tenant get new addresses; the old ones are heard for a while.
    Rotate(usize),
    /// Sets a switch of the stand-in.
    Switch(&'static str, Value),
    /// A part of the calls fails from now on.
    Fault {
        kind: &'static str,
        percent: u8,
        functions: Vec<&'static str>,
    },
    /// No call fails from now on.
    Calm,
    /// At a commit to come, the session token runs out.
    ExpireToken { commit: u32 },
    /// Work that is due, at most so many steps.
    Work(u8),
    /// Both clocks move, by seconds.
    Advance(i64),
    /// Of the commits of this name those at these places from now on fail. The store repeats what it can.
    FailCommit {
        name: &'static str,
        places: Range<u32>,
        fault: Fault,
    },
    /// At a commit to come the process dies; it is started again after the work that it dies in.
    Crash { commit: u32, fault: Fault },
    /// The process is stopped and started.
    Restart,
    /// Somebody adds a code to every catalogue, or activates it.
    Promote(usize),
    /// Somebody stops the work for a tenant.
    Suspend(usize),
    /// Somebody lets it go on.
    Resume(usize),
    /// Somebody lets the held imports of a campaign go on.
    Release(usize),
    /// Somebody stops something at once, lets it go on, or decides what waits for a second person.
    Guard(Guarding),
    /// Those who hear of grants fare otherwise from now on.
    Hear(Hearing),
    /// A shop asks for a customer of a campaign.
    Ask(usize),
    /// A customer of a campaign redeems what it gave, the same request so many times.
    Redeem {
        campaign: usize,
        customer: u64,
        copies: u8,
    },
}

impl Op {
    /// Whether what the gateway said before it may not hold after it.
    pub(crate) fn may_undo_promises(&self) -> bool {
        !matches!(
            self,
            Self::Question { .. }
                | Self::Ask(_)
                | Self::Load { .. }
                | Self::Operator(_)
                | Self::Redeem { .. }
        )
    }
}

/// How the operator's own system answers when it is asked about customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Yes to most, no to some, always the same ones.
    Choosy,
    /// In the other of the two forms.
    Decisions,
    /// After a while.
    Slow,
    /// Not at all.
    Broken,
    /// With something that is no answer.
    Odd,
}

/// How several posts follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Posts {
    InTurn,
    AtOnce,
}

impl History {
    /// Whether the same seed gives the same calls in the same order. Posts at the same time get their ids by chance,
    /// a limited rate and a time-out are bound to real time, deliveries beside each other land as they may: then only the outcome is the same.
    pub(crate) fn is_exact(&self) -> bool {
        let one_by_one = |hears: &Hears| hears.concurrency == 1;
        let tenants = self.world.tenants.iter();
        let mut hears = tenants.filter_map(|tenant| tenant.hears.as_ref());
        hears.all(one_by_one)
            && self.ops.iter().all(|op| match op {
                Op::Notify { posts, .. } | Op::Trigger { posts, .. } => *posts == Posts::InTurn,
                Op::Fault { kind, .. } => *kind != "timeout",
                Op::Switch(name, _) => *name != "rate-limit-requests",
                // Where a commit goes to a server, it is a matter of time how far was read ahead when the crash came.
                Op::Crash { .. } => crate::home::server().is_none(),
                _ => true,
            })
    }

    /// Whether the gateway's writes may fail, so that it says no where it said yes before.
    pub(crate) fn gateway_may_fail(&self) -> bool {
        self.ops.iter().any(|op| match op {
            Op::FailCommit { name, .. } => *name == "answer_gateway",
            Op::Crash { .. } => true,
            _ => false,
        })
    }

    /// Whether lists had one row for each customer, action and channel throughout.
    pub(crate) fn has_plain_lists(&self) -> bool {
        self.ops.iter().all(|op| match op {
            Op::Switch(name, value) => !matches!(*name, "page-churn") && *value != "row-per-code",
            _ => true,
        })
    }
}
