//! Promotions: whether they are offered, and how far their limits reach.

use crate::money::Minor;
use crate::name::named_enum;
use crate::outcome::{HoldReason, Refusal};
use crate::trigger::Standing;

named_enum! {
    /// Where a promotion stands, by the operator's decision.
    "promotion status" PromotionStatus {
        /// Being written; not offered, not granted.
        Draft = "draft",
        /// Granted and redeemable.
        Active = "active",
        /// Granted, but not redeemable for now.
        Paused = "paused",
        /// Over for good; not granted, not redeemable.
        Archived = "archived",
        /// Stopped at once by a person, whatever it was before; not granted, not redeemable until it is let go on.
        Stopped = "stopped",
    }
}

impl PromotionStatus {
    /// Whether an import may grant it. A paused promotion is granted: its windows run, and it is
    /// redeemable once it is active again.
    ///
    /// # Errors
    ///
    /// [`HoldReason::InactivePromotion`] for drafts and what is archived; [`HoldReason::PromotionStopped`].
    pub const fn grantable(self) -> Result<(), HoldReason> {
        match self {
            Self::Active | Self::Paused => Ok(()),
            Self::Draft | Self::Archived => Err(HoldReason::InactivePromotion),
            Self::Stopped => Err(HoldReason::PromotionStopped),
        }
    }
}

named_enum! {
    /// What the customer is given to type.
    "promotion kind" PromotionKind {
        /// The promo code itself, the same for all.
        Shared = "shared",
        /// A code of their own from the promotion's pool.
        Unique = "unique",
    }
}

/// Upper bounds that hold over all grants of a promotion; `None` is no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Grants that one customer may use.
    pub per_customer: Option<u64>,
    /// Grants that all customers together may use.
    pub total: Option<u64>,
    /// Value of all redemptions.
    pub budget: Option<Minor>,
    /// Value of the redemptions of one day.
    pub budget_day: Option<Minor>,
    /// Value of the redemptions of one week, from Monday.
    pub budget_week: Option<Minor>,
    /// Value of the redemptions of one month.
    pub budget_month: Option<Minor>,
}

impl Limits {
    /// Whether there is any bound on value.
    pub const fn has_budget(&self) -> bool {
        self.budget.is_some() || self.has_period_budget()
    }

    /// Whether there is a bound on the value of a day, week or month.
    pub const fn has_period_budget(&self) -> bool {
        self.budget_day.is_some() || self.budget_week.is_some() || self.budget_month.is_some()
    }
}

/// What has been used up, reversals taken off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Grants that the customer in question has used.
    pub by_customer: u64,
    /// Grants that all customers together have used.
    pub total: u64,
    /// Value of all redemptions.
    pub spent: Minor,
    /// Value of those of this day.
    pub spent_day: Minor,
    /// Value of those of this week.
    pub spent_week: Minor,
    /// Value of those of this month.
    pub spent_month: Minor,
}

/// What decides about a promotion, for one customer at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromotionFacts {
    /// Where it stands.
    pub status: PromotionStatus,
    /// How far it may go.
    pub limits: Limits,
    /// How far it has gone.
    pub usage: Usage,
    /// Whether the customer may get anything now.
    pub standing: Standing,
}

impl PromotionFacts {
    /// A promotion that is active, without limits and unused.
    pub const UNLIMITED: Self = Self {
        status: PromotionStatus::Active,
        limits: Limits {
            per_customer: None,
            total: None,
            budget: None,
            budget_day: None,
            budget_week: None,
            budget_month: None,
        },
        usage: Usage {
            by_customer: 0,
            total: 0,
            spent: Minor::ZERO,
            spent_day: Minor::ZERO,
            spent_week: Minor::ZERO,
            spent_month: Minor::ZERO,
        },
        standing: Standing::Welcome,
    };

    /// Whether it may be redeemed at all now.
    ///
    /// # Errors
    ///
    /// [`Refusal::PromotionPaused`] unless it is active.
    pub const fn offered(&self) -> Result<(), Refusal> {
        match self.status {
            PromotionStatus::Active => Ok(()),
            PromotionStatus::Draft
            | PromotionStatus::Paused
            | PromotionStatus::Archived
            | PromotionStatus::Stopped => Err(Refusal::PromotionPaused),
        }
    }

    /// Whether limits and budgets allow one more redemption that takes `amount`. A budget that is
    /// used up covers nothing, not even an amount of zero.
    ///
    /// # Errors
    ///
    /// [`Refusal::LimitReached`] before [`Refusal::BudgetExhausted`]. A sum beyond 64 bits is never
    /// covered.
    pub fn covers(&self, amount: Minor) -> Result<(), Refusal> {
        let Self { limits, usage, .. } = self;
        let reached = |used: u64, max: Option<u64>| max.is_some_and(|max| used >= max);
        if reached(usage.by_customer, limits.per_customer) || reached(usage.total, limits.total) {
            return Err(Refusal::LimitReached);
        }
        let budgets = [
            (limits.budget, usage.spent),
            (limits.budget_day, usage.spent_day),
            (limits.budget_week, usage.spent_week),
            (limits.budget_month, usage.spent_month),
        ];
        let has_room = |(budget, spent): (Option<Minor>, Minor)| {
            budget.is_none_or(|budget| {
                let after = spent.checked_add(amount);
                spent < budget && after.is_ok_and(|after| after <= budget)
            })
        };
        if budgets.into_iter().all(has_room) {
            Ok(())
        } else {
            Err(Refusal::BudgetExhausted)
        }
    }
}
