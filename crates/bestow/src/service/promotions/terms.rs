//! What a promotion's reward and limits mean for its redemptions.

use bestow_core::guard::WorstCase;
use bestow_core::promotion::Limits as CoreLimits;
use bestow_core::redemption::{Terms, Worth};
use bestow_core::{Currency, Minor};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Limits;

/// Percentages are of a whole.
const PERCENT_MAX: u64 = 100;

/// A reward of a type that Bestow knows. Every other reward is the operator's own business.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Reward {
    /// An amount of money.
    Amount {
        amount_minor: i64,
        currency: String,
        /// Whether it may be redeemed in parts.
        #[serde(default)]
        in_parts: bool,
    },
    /// A share of something whose value the redemption tells.
    Percentage {
        percent: u64,
        #[serde(default)]
        amount_minor_max: Option<i64>,
        #[serde(default)]
        currency: Option<String>,
    },
    /// A number of something, such as free spins.
    Units {
        units: u64,
        /// Of what.
        unit: String,
    },
}

/// Types of reward that Bestow knows.
const TYPES: [&str; 3] = ["amount", "percentage", "units"];

impl Reward {
    /// Whether a reward is of a type that Bestow knows.
    pub(super) fn is_known(said: &Map<String, Value>) -> bool {
        let kind = said.get("type").and_then(Value::as_str);
        kind.is_some_and(|kind| TYPES.contains(&kind))
    }

    /// Reads a reward; `None` for one of the operator's own.
    ///
    /// # Errors
    /// In words, where a reward of a known type breaks a rule.
    pub(crate) fn read(said: &Map<String, Value>) -> Result<Option<Self>, String> {
        if !Self::is_known(said) {
            return Ok(None);
        }
        let reward: Self =
            serde_json::from_value(Value::Object(said.clone())).map_err(|e| e.to_string())?;
        reward.check()?;
        Ok(Some(reward))
    }

    fn check(&self) -> Result<(), String> {
        let above_zero = |amount: i64| {
            Minor::positive(amount)
                .map(|_| ())
                .map_err(|e| e.to_string())
        };
        match self {
            Self::Amount { amount_minor, .. } => above_zero(*amount_minor)?,
            Self::Percentage {
                percent,
                amount_minor_max,
                ..
            } => {
                if !(1..=PERCENT_MAX).contains(percent) {
                    return Err(format!(
                        "`percent` is a whole number from 1 to {PERCENT_MAX}"
                    ));
                }
                amount_minor_max.map_or(Ok(()), above_zero)?;
                if amount_minor_max.is_some() && self.currency()?.is_none() {
                    return Err("`amount_minor_max` needs its `currency`".to_owned());
                }
            }
            Self::Units { units, unit } => {
                if *units == 0 || unit.trim().is_empty() {
                    return Err("`units` is above zero, and `unit` says of what".to_owned());
                }
            }
        }
        self.currency().map(|_| ())
    }

    /// The currency that it is in.
    fn currency(&self) -> Result<Option<Currency>, String> {
        let text = match self {
            Self::Amount { currency, .. } => Some(currency),
            Self::Percentage { currency, .. } => currency.as_ref(),
            Self::Units { .. } => None,
        };
        let parsed = text.map(|text| Currency::parse(text)).transpose();
        parsed.map_err(|e| e.to_string())
    }

    fn worth(&self) -> Worth {
        match *self {
            Self::Amount {
                amount_minor,
                in_parts: true,
                ..
            } => Worth::InParts(Minor(amount_minor)),
            Self::Amount { amount_minor, .. } => Worth::Whole(Minor(amount_minor)),
            Self::Percentage {
                amount_minor_max: Some(most),
                ..
            } => Worth::AtMost(Minor(most)),
            Self::Percentage { .. } | Self::Units { .. } => Worth::Unsaid,
        }
    }
}

/// What a redemption goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RedeemTerms {
    pub(crate) terms: Terms,
    /// The one currency of reward and budgets, where one is said.
    pub(crate) currency: Option<Currency>,
}

impl RedeemTerms {
    /// Of a reward and limits as put or as kept.
    ///
    /// # Errors
    /// In words, where they break a rule.
    pub(crate) fn of(reward: &Map<String, Value>, limits: &Limits) -> Result<Self, String> {
        let reward = Reward::read(reward)?;
        let of_reward = reward.as_ref().map_or(Ok(None), Reward::currency)?;
        let of_limits = limits.currency.as_deref().map(Currency::parse).transpose();
        let of_limits = of_limits.map_err(|e| e.to_string())?;
        if let (Some(one), Some(other)) = (of_reward, of_limits)
            && one != other
        {
            return Err(format!(
                "the reward is in {one} and the limits are in {other}: they must agree"
            ));
        }
        let worth = reward.as_ref().map_or(Worth::Unsaid, Reward::worth);
        if matches!(worth, Worth::InParts(_)) && limits.per_grant != 1 {
            return Err(
                "a reward in parts is used up by its amount: `per_grant` must be 1".to_owned(),
            );
        }
        Ok(Self {
            terms: Terms {
                worth,
                uses_max: limits.per_grant,
            },
            currency: of_reward.or(of_limits),
        })
    }

    /// What one grant costs at most.
    pub(crate) fn worst_case(&self, limits: &Limits) -> WorstCase {
        let said = limits.worst_case_minor.map(Minor);
        WorstCase::of(self.terms, self.currency, said)
    }

    /// Of the JSON as kept.
    ///
    /// # Errors
    /// In words, where it cannot be read.
    pub(crate) fn read(reward: &str, limits: &Limits) -> Result<Self, String> {
        let reward = serde_json::from_str(reward).map_err(|e| e.to_string())?;
        Self::of(&reward, limits)
    }
}

impl Limits {
    /// In the words of the decisions.
    pub(crate) fn facts(&self) -> CoreLimits {
        CoreLimits {
            per_customer: self.per_customer,
            total: self.total,
            budget: self.budget_minor.map(Minor),
            budget_day: self.budget_day_minor.map(Minor),
            budget_week: self.budget_week_minor.map(Minor),
            budget_month: self.budget_month_minor.map(Minor),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(reward: &Value) -> Result<Option<Reward>, String> {
        Reward::read(reward.as_object().unwrap())
    }

    fn worth(reward: &Value) -> Worth {
        read(reward).unwrap().map_or(Worth::Unsaid, |r| r.worth())
    }

    #[test]
    fn rewards_of_known_types_have_a_worth() {
        let table = [
            (json!({}), Worth::Unsaid),
            (json!({"spins": 20}), Worth::Unsaid),
            (json!({"type": "bonus", "amount_minor": -5}), Worth::Unsaid),
            (
                json!({"type": "units", "units": 20, "unit": "free spins"}),
                Worth::Unsaid,
            ),
            (
                json!({"type": "amount", "amount_minor": 500, "currency": "EUR"}),
                Worth::Whole(Minor(500)),
            ),
            (
                json!({"type": "amount", "amount_minor": 500, "currency": "eur", "in_parts": true}),
                Worth::InParts(Minor(500)),
            ),
            (json!({"type": "percentage", "percent": 10}), Worth::Unsaid),
            (
                json!({"type": "percentage", "percent": 10, "amount_minor_max": 99, "currency": "EUR"}),
                Worth::AtMost(Minor(99)),
            ),
        ];
        for (reward, expected) in table {
            assert_eq!(worth(&reward), expected, "{reward}");
        }
    }

    #[test]
    fn rewards_that_break_a_rule_are_refused() {
        for reward in [
            json!({"type": "amount", "amount_minor": 0, "currency": "EUR"}),
            json!({"type": "amount", "amount_minor": -1, "currency": "EUR"}),
            json!({"type": "amount", "amount_minor": 1.5, "currency": "EUR"}),
            json!({"type": "amount", "amount_minor": 1}),
            json!({"type": "amount", "amount_minor": 1, "currency": "EURO"}),
            json!({"type": "amount", "amount_minor": 1, "currency": "EUR", "parts": true}),
            json!({"type": "percentage", "percent": 0}),
            json!({"type": "percentage", "percent": 101}),
            json!({"type": "percentage", "percent": 5, "amount_minor_max": 5}),
            json!({"type": "units", "units": 0, "unit": "spins"}),
            json!({"type": "units", "units": 1, "unit": " "}),
        ] {
            assert!(read(&reward).is_err(), "{reward}");
        }
    }

    #[test]
    fn reward_and_limits_are_in_one_currency() {
        let reward = json!({"type": "amount", "amount_minor": 500, "currency": "EUR"});
        let reward = reward.as_object().unwrap();
        let limits = |currency: &str| Limits {
            currency: Some(currency.to_owned()),
            ..Limits::default()
        };
        assert!(RedeemTerms::of(reward, &limits("GBP")).is_err());
        let terms = RedeemTerms::of(reward, &limits("eur")).unwrap();
        assert_eq!(
            terms.currency.map(|c| c.to_string()),
            Some("EUR".to_owned())
        );
    }
}
