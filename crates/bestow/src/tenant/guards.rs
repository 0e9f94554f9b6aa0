//! Beyond what a campaign of a tenant waits for a second person.

use std::collections::BTreeMap;

use bestow_core::guard::Bounds;
use bestow_core::{Currency, Minor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Error, Result};

/// Largest factor between two runs of one plan.
const GROWTH_MAX: u32 = 1_000;
/// Currencies with a bound.
const CURRENCIES_MAX: usize = 20;

/// Beyond what a campaign waits, with nothing of it granted, until a second person lets it go on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Guards {
    /// Customers of one campaign; `null`: no bound.
    pub campaign_customers_max: Option<u64>,
    /// What one campaign may cost at most, in minor units, by currency. Where there is any, a campaign also waits whose
    /// cost nobody knows, or is in a currency that is not named.
    #[schema(value_type = Object)]
    pub campaign_liability_max_minor: BTreeMap<String, i64>,
    /// How many times the customers of the largest of the last ten runs of the same plan; `null`: no bound.
    pub growth_factor_max: Option<u32>,
    /// Every campaign waits: it is read and weighed, and nothing is granted before somebody has seen it.
    pub dry_run: bool,
}

impl Guards {
    /// With currencies as they are written.
    ///
    /// # Errors
    /// [`Error::Invalid`] with `bad_guards`.
    pub fn check(&self) -> Result<Self> {
        let wrong = |message: String| Err(Error::invalid("bad_guards", message));
        if self
            .growth_factor_max
            .is_some_and(|factor| !(1..=GROWTH_MAX).contains(&factor))
        {
            return wrong(format!("`growth_factor_max` is 1 to {GROWTH_MAX}, or null"));
        }
        if self.campaign_liability_max_minor.len() > CURRENCIES_MAX {
            return wrong(format!("at most {CURRENCIES_MAX} currencies have a bound"));
        }
        let mut by_currency = BTreeMap::new();
        for (currency, max) in &self.campaign_liability_max_minor {
            let Ok(currency) = Currency::parse(currency) else {
                return wrong(format!("{currency:?} is no currency, such as EUR"));
            };
            if *max < 0 {
                return wrong(format!("the bound in {currency} is below zero"));
            }
            by_currency.insert(currency.to_string(), *max);
        }
        Ok(Self {
            campaign_liability_max_minor: by_currency,
            ..self.clone()
        })
    }

    /// In the words of the decisions.
    pub fn bounds(&self) -> Bounds {
        let liability = self.campaign_liability_max_minor.iter();
        let liability = liability.filter_map(|(currency, max)| {
            let currency = Currency::parse(currency).ok()?;
            Some((currency, Minor(*max)))
        });
        Bounds {
            customers_max: self.campaign_customers_max,
            liability_max: liability.collect(),
            growth_max: self.growth_factor_max,
        }
    }
}
