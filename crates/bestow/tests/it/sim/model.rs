//! What one seed makes: a world, and the list of what happens in it.

use std::ops::Range;

use bestow::random::Random;
use bestow_store::Fault;
use serde_json::Value;

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
}

/// Optimove's client: a zone, channels and a way in.
#[derive(Debug, Clone)]
pub(crate) struct TenantPlan {
    pub(crate) id: &'static str,
    pub(crate) zone: &'static str,
    /// Empty: the lists of all channels are read as one.
    pub(crate) channels: Vec<u64>,
    pub(crate) access: Access,
}

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
    pub(crate) spec: Value,
}

/// A code that campaigns use.
#[derive(Debug, Clone)]
pub(crate) struct CodePlan {
    /// As the catalogue spells it.
    pub(crate) code: &'static str,
    pub(crate) known: Known,
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
    /// A shop asks for a customer of a campaign.
    Ask(usize),
}

/// How several posts follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Posts {
    InTurn,
    AtOnce,
}

impl History {
    /// Whether the same seed gives the same calls in the same order. Posts at the same time get their ids by chance,
    /// a limited rate and a time-out are bound to real time: then only the outcome is the same.
    pub(crate) fn is_exact(&self) -> bool {
        self.ops.iter().all(|op| match op {
            Op::Notify { posts, .. } => *posts == Posts::InTurn,
            Op::Fault { kind, .. } => *kind != "timeout",
            Op::Switch(name, _) => *name != "rate-limit-requests",
            _ => true,
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

/// Draws from one seed.
#[derive(Debug)]
pub(crate) struct Dice(Random);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Random::seeded(seed))
    }

    pub(crate) fn number(&self) -> u64 {
        self.0.number()
    }

    /// From 0 up to, not including, `end`.
    pub(crate) fn below(&self, end: u64) -> u64 {
        self.number() % end.max(1)
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    pub(crate) fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    /// The same in an order of its own.
    pub(crate) fn shuffle<T>(&self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}
