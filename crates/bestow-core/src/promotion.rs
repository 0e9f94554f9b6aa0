//! Promotions: whether they are offered, and how far their limits reach.

use crate::money::Minor;
use crate::name::named_enum;
use crate::outcome::{HoldReason, Refusal};

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
    }
}

impl PromotionStatus {
    /// Whether an import may grant it. A paused promotion is granted: its windows run, and it is
    /// redeemable once it is active again.
    ///
    /// # Errors
    ///
    /// [`HoldReason::InactivePromotion`] for drafts and what is archived.
    pub const fn grantable(self) -> Result<(), HoldReason> {
        match self {
            Self::Active | Self::Paused => Ok(()),
            Self::Draft | Self::Archived => Err(HoldReason::InactivePromotion),
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
    /// Redemptions per customer.
    pub per_customer: Option<u64>,
    /// Redemptions by all customers.
    pub total: Option<u64>,
    /// Value of all redemptions.
    pub budget: Option<Minor>,
}

/// What has been used up, reversals taken off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Redemptions by the customer in question.
    pub by_customer: u64,
    /// Redemptions by all customers.
    pub total: u64,
    /// Value of all redemptions.
    pub spent: Minor,
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
}

impl PromotionFacts {
    /// A promotion that is active, without limits and unused.
    pub const UNLIMITED: Self = Self {
        status: PromotionStatus::Active,
        limits: Limits {
            per_customer: None,
            total: None,
            budget: None,
        },
        usage: Usage {
            by_customer: 0,
            total: 0,
            spent: Minor::ZERO,
        },
    };

    /// Whether it may be redeemed at all now.
    ///
    /// # Errors
    ///
    /// [`Refusal::PromotionPaused`] unless it is active.
    pub const fn offered(&self) -> Result<(), Refusal> {
        match self.status {
            PromotionStatus::Active => Ok(()),
            PromotionStatus::Draft | PromotionStatus::Paused | PromotionStatus::Archived => {
                Err(Refusal::PromotionPaused)
            }
        }
    }

    /// Whether limits and budget allow one more redemption that takes `amount`. A budget that is
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
        let Some(budget) = limits.budget else {
            return Ok(());
        };
        match usage.spent.checked_add(amount) {
            Ok(after) if usage.spent < budget && after <= budget => Ok(()),
            _ => Err(Refusal::BudgetExhausted),
        }
    }
}
