//! Guards: what a campaign would give at most, and whether that is so much that a second person has to look at it first.

use std::collections::BTreeMap;

use crate::money::{Currency, Minor, Money};
use crate::redemption::{Terms, Worth};

/// What one grant of a promotion costs at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorstCase {
    /// So much.
    Each(Money),
    /// Nobody said: free spins, or a share of what is not known yet.
    Unknown,
}

impl WorstCase {
    /// Of terms: every use of a grant at its whole worth. `said` stands in where the worth is unsaid.
    pub fn of(terms: Terms, currency: Option<Currency>, said: Option<Minor>) -> Self {
        let uses = i64::from(terms.uses_max);
        let amount = match terms.worth {
            Worth::InParts(whole) => Some(whole),
            Worth::Whole(each) | Worth::AtMost(each) => Some(times(each, uses)),
            Worth::Unsaid => said.map(|each| times(each, uses)),
        };
        match (amount, currency) {
            (Some(amount), Some(currency)) => Self::Each(Money { amount, currency }),
            _ => Self::Unknown,
        }
    }
}

/// One code of a campaign, with what its promotion says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeWeight {
    /// The code.
    pub code: String,
    /// Grants of it that the campaign would make.
    pub grants: u64,
    /// What one of them costs at most.
    pub worst: WorstCase,
    /// Grants that can ever be used, over all campaigns.
    pub total: Option<u64>,
    /// What all redemptions together may cost, over all campaigns.
    pub budget: Option<Money>,
    /// Grants that one campaign may make before somebody has to look at it.
    pub grants_max: Option<u64>,
    /// What one campaign may cost before somebody has to look at it.
    pub liability_max: Option<Minor>,
}

impl CodeWeight {
    /// What its grants cost at most: no more than can be used, nor than the budget covers. `None` where nobody knows.
    pub fn liability(&self) -> Option<Money> {
        let used = self
            .total
            .map_or(self.grants, |total| total.min(self.grants));
        let used = i64::try_from(used).unwrap_or(i64::MAX);
        match (self.worst, self.budget) {
            (WorstCase::Unknown, budget) if used > 0 => budget,
            (WorstCase::Unknown, budget) => budget.map(|budget| Money {
                amount: Minor::ZERO,
                ..budget
            }),
            (WorstCase::Each(each), budget) => {
                let amount = times(each.amount, used);
                let covered = budget
                    .filter(|budget| budget.currency == each.currency)
                    .map_or(amount, |budget| budget.amount.min(amount));
                Some(Money {
                    amount: covered,
                    ..each
                })
            }
        }
    }

    /// Whether nobody knows what its grants cost.
    pub fn is_unknown(&self) -> bool {
        self.grants > 0 && self.liability().is_none()
    }
}

/// What a campaign would give.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Distinct customers in its list.
    pub customers: u64,
    /// Its codes.
    pub codes: Vec<CodeWeight>,
}

impl Figures {
    /// Grants of all codes.
    pub fn grants(&self) -> u64 {
        self.codes.iter().map(|code| code.grants).sum()
    }

    /// What they cost at most, by currency.
    pub fn liability(&self) -> BTreeMap<Currency, Minor> {
        let mut sums: BTreeMap<Currency, Minor> = BTreeMap::new();
        for Money { amount, currency } in self.codes.iter().filter_map(CodeWeight::liability) {
            let sum = sums.entry(currency).or_default();
            *sum = Minor(sum.0.saturating_add(amount.0));
        }
        sums
    }

    /// Grants of which nobody knows what they cost.
    pub fn unknown(&self) -> u64 {
        let unknown = self.codes.iter().filter(|code| code.is_unknown());
        unknown.map(|code| code.grants).sum()
    }

    /// The figures that somebody approves.
    pub fn totals(&self) -> Totals {
        Totals {
            customers: self.customers,
            grants: self.grants(),
            liability: self.liability(),
            unknown: self.unknown(),
        }
    }
}

/// Figures of a campaign in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Distinct customers.
    pub customers: u64,
    /// Grants.
    pub grants: u64,
    /// What they cost at most.
    pub liability: BTreeMap<Currency, Minor>,
    /// Grants of which nobody knows what they cost.
    pub unknown: u64,
}

impl Totals {
    /// Whether these are no more than `approved`, in each respect.
    pub fn are_within(&self, approved: &Self) -> bool {
        let covered = |(currency, amount): (&Currency, &Minor)| {
            let approved = approved.liability.get(currency).copied();
            *amount <= approved.unwrap_or_default()
        };
        self.customers <= approved.customers
            && self.grants <= approved.grants
            && self.unknown <= approved.unknown
            && self.liability.iter().all(covered)
    }
}

/// Bounds of a tenant; `None` is no bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Customers of one campaign.
    pub customers_max: Option<u64>,
    /// What one campaign may cost, by currency. Where there is any, a cost that nobody knows is beyond it, and so is
    /// one in a currency that is not named.
    pub liability_max: BTreeMap<Currency, Minor>,
    /// How many times the customers of the largest earlier run of the same plan.
    pub growth_max: Option<u32>,
}

impl Bounds {
    /// Whether there is none.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Why a campaign waits for a second person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beyond {
    /// Somebody wants to look at it before anything is granted.
    DryRun,
    /// It has more customers than the tenant's bound.
    Customers {
        /// The bound.
        max: u64,
    },
    /// It has more customers than the largest earlier run allows.
    Growth {
        /// Customers of that run.
        largest: u64,
        /// The bound.
        max: u64,
    },
    /// It may cost more than the tenant's bound.
    Liability {
        /// In which currency.
        currency: Currency,
        /// What it may cost.
        amount: Minor,
        /// The bound; 0 where the currency has none.
        max: Minor,
    },
    /// Nobody knows what it may cost, and the tenant has a bound on that.
    LiabilityUnknown,
    /// It makes more grants of one code than its promotion's bound.
    PromotionGrants {
        /// The code.
        code: String,
        /// The bound.
        max: u64,
    },
    /// Grants of one code may cost more than its promotion's bound, or nobody knows.
    PromotionLiability {
        /// The code.
        code: String,
        /// What they may cost; `None`: nobody knows.
        amount: Option<Minor>,
        /// The bound.
        max: Minor,
    },
}

/// Compares what a campaign would give with all bounds. `largest` is the number of customers of the largest earlier
/// run, if there was one. Empty where it may go on by itself.
pub fn weigh(figures: &Figures, bounds: &Bounds, largest: Option<u64>) -> Vec<Beyond> {
    let mut beyond = Vec::new();
    if let Some(max) = bounds.customers_max.filter(|max| figures.customers > *max) {
        beyond.push(Beyond::Customers { max });
    }
    if let (Some(factor), Some(largest)) = (bounds.growth_max, largest) {
        let max = largest.saturating_mul(factor.into());
        if figures.customers > max {
            beyond.push(Beyond::Growth { largest, max });
        }
    }
    if !bounds.liability_max.is_empty() {
        for (currency, amount) in figures.liability() {
            let max = bounds.liability_max.get(&currency).copied();
            let max = max.unwrap_or_default();
            if amount > max {
                beyond.push(Beyond::Liability {
                    currency,
                    amount,
                    max,
                });
            }
        }
        if figures.unknown() > 0 {
            beyond.push(Beyond::LiabilityUnknown);
        }
    }
    beyond.extend(figures.codes.iter().flat_map(weigh_code));
    beyond
}

fn weigh_code(code: &CodeWeight) -> Vec<Beyond> {
    let grants = code.grants_max.filter(|max| code.grants > *max);
    let grants = grants.map(|max| Beyond::PromotionGrants {
        code: code.code.clone(),
        max,
    });
    let amount = code.liability().map(|money| money.amount);
    let is_beyond = |max: &Minor| amount.map_or(code.grants > 0, |amount| amount > *max);
    let liability = code.liability_max.filter(is_beyond);
    let liability = liability.map(|max| Beyond::PromotionLiability {
        code: code.code.clone(),
        amount,
        max,
    });
    grants.into_iter().chain(liability).collect()
}

/// An amount so many times; one too large for 64 bits is the largest that fits, so that no bound is met by overflow.
fn times(amount: Minor, count: i64) -> Minor {
    Minor(amount.0.saturating_mul(count))
}
