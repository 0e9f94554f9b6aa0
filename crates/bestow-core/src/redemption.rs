//! Using a grant: how much a redemption takes, and what is left afterwards.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use crate::money::Minor;
use crate::outcome::Refusal;

/// What a grant is worth, as far as redemptions count it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Worth {
    /// Nobody said: a redemption may say what it takes.
    #[default]
    Unsaid,
    /// Nobody said, but one redemption takes at most this.
    AtMost(Minor),
    /// One use takes this, or less: what it leaves is gone.
    Whole(Minor),
    /// This in all, in as many parts as it takes. Parts add up to the whole.
    InParts(Minor),
}

/// The terms of a grant, as far as its use goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// What it is worth.
    pub worth: Worth,
    /// How often it may be used, unless it is used in parts.
    pub uses_max: u32,
}

impl Terms {
    /// One use of unsaid worth: what a promotion gives that says nothing.
    pub const ONE_USE: Self = Self {
        worth: Worth::Unsaid,
        uses_max: 1,
    };
}

/// How far a grant is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsedSoFar {
    /// Redemptions, reversed ones taken off.
    pub redeemed: u32,
    /// What they took.
    pub taken: Minor,
}

/// What a redemption takes, and leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Take {
    /// What it takes; `None`: nobody said.
    pub amount: Option<Minor>,
    /// What is left of a grant that is used in parts.
    pub left: Option<Minor>,
    /// Whether the grant is used up by it.
    pub uses_up: bool,
}

impl Take {
    /// What it takes out of budgets.
    pub fn amount_or_zero(&self) -> Minor {
        self.amount.unwrap_or(Minor::ZERO)
    }
}

impl Terms {
    /// What a redemption takes that asks for this amount, or for none in particular.
    ///
    /// # Errors
    ///
    /// [`Refusal::AlreadyRedeemed`] where nothing is left; [`Refusal::LimitReached`] where less is left than is asked
    /// for.
    pub fn take(&self, so_far: UsedSoFar, asked: Option<Minor>) -> Result<Take, Refusal> {
        let uses_up = so_far.redeemed.saturating_add(1) >= self.uses_max;
        let (amount, left, uses_up) = match self.worth {
            Worth::Unsaid => (asked, None, uses_up),
            Worth::AtMost(most) => (within(asked, most)?, None, uses_up),
            Worth::Whole(whole) => (within(asked, whole)?.or(Some(whole)), None, uses_up),
            Worth::InParts(whole) => {
                let left = whole.checked_sub(so_far.taken);
                let left = left.map_err(|_| Refusal::AlreadyRedeemed)?;
                if left <= Minor::ZERO {
                    return Err(Refusal::AlreadyRedeemed);
                }
                let amount = within(asked, left)?.unwrap_or(left);
                let left = left
                    .checked_sub(amount)
                    .map_err(|_| Refusal::LimitReached)?;
                (Some(amount), Some(left), left == Minor::ZERO)
            }
        };
        Ok(Take {
            amount,
            left,
            uses_up,
        })
    }
}

fn within(asked: Option<Minor>, most: Minor) -> Result<Option<Minor>, Refusal> {
    match asked {
        Some(asked) if asked > most => Err(Refusal::LimitReached),
        asked => Ok(asked),
    }
}

/// The day, week and month that a redemption counts in, each by the letter of its kind and its first day.
pub fn periods(day: Date) -> [String; 3] {
    let days_since_monday = i64::from(day.weekday().to_monday_zero_offset());
    // Only before the first Monday of the calendar is there no such day.
    let monday = day
        .checked_sub(days_since_monday.days())
        .unwrap_or(Date::MIN);
    [
        format!("D{day}"),
        format!("W{monday}"),
        format!("M{}", day.first_of_month()),
    ]
}

/// A state of a promotion at a time, for finding the terms that a grant was made under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionFacts {
    /// Rises by one with each change.
    pub version: i64,
    /// From when on it counted.
    pub made_at: Timestamp,
    /// Whether grants could be made under it.
    pub is_grantable: bool,
}

/// The version that a grant was made under which came to be at `created_at`: the newest by then that could be granted,
/// else the first one after it, since what could not be granted waited. `versions` come in their order.
pub fn version_of(versions: &[VersionFacts], created_at: Timestamp) -> Option<i64> {
    let grantable = || versions.iter().filter(|one| one.is_grantable);
    let by_then = grantable().rfind(|one| one.made_at <= created_at);
    by_then
        .or_else(|| grantable().next())
        .or_else(|| versions.last())
        .map(|one| one.version)
}
