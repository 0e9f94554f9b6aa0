//! Money: whole minor units (cents) with a currency. No floats, no silent overflow.

use std::fmt;

/// Why an amount or a currency was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyFault {
    /// The result does not fit into 64 bits.
    #[error("the amount is too large")]
    Overflow,
    /// An amount that must be above zero is not.
    #[error("the amount must be above zero, in whole minor units")]
    NotPositive,
    /// Not three letters.
    #[error("a currency is three letters, such as EUR")]
    BadCurrency,
    /// Amounts of two currencies cannot be added or compared.
    #[error("the amounts are in {left} and {right}; convert one of them first")]
    MixedCurrencies {
        /// Currency of the first amount.
        left: Currency,
        /// Currency of the second amount.
        right: Currency,
    },
}

/// An amount in minor units of a currency that the context names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minor(pub i64);

impl Minor {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount that someone is to be given or charged: above zero.
    pub fn positive(amount: i64) -> Result<Self, MoneyFault> {
        if amount > 0 {
            Ok(Self(amount))
        } else {
            Err(MoneyFault::NotPositive)
        }
    }

    /// The sum, if it fits.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyFault> {
        self.0
            .checked_add(other.0)
            .map(Self)
            .ok_or(MoneyFault::Overflow)
    }

    /// The difference, if it fits.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyFault> {
        self.0
            .checked_sub(other.0)
            .map(Self)
            .ok_or(MoneyFault::Overflow)
    }

    /// This amount `count` times, if it fits.
    pub fn checked_times(self, count: i64) -> Result<Self, MoneyFault> {
        self.0
            .checked_mul(count)
            .map(Self)
            .ok_or(MoneyFault::Overflow)
    }

    /// The sum of many amounts, if it fits at every step.
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Result<Self, MoneyFault> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }
}

impl fmt::Display for Minor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A currency by its three letters, kept in upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Reads three letters in any case.
    pub fn parse(text: &str) -> Result<Self, MoneyFault> {
        let letters: [u8; 3] = text
            .trim()
            .as_bytes()
            .try_into()
            .map_err(|_| MoneyFault::BadCurrency)?;
        if letters.iter().all(u8::is_ascii_alphabetic) {
            Ok(Self(letters.map(|letter| letter.to_ascii_uppercase())))
        } else {
            Err(MoneyFault::BadCurrency)
        }
    }

    /// The three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("parse lets only ASCII letters in")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// An amount with its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// How much, in minor units.
    pub amount: Minor,
    /// Of what.
    pub currency: Currency,
}

impl Money {
    /// The sum, if both are in one currency and it fits.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyFault> {
        let currency = self.common_currency(other)?;
        Ok(Self {
            amount: self.amount.checked_add(other.amount)?,
            currency,
        })
    }

    /// The difference, if both are in one currency and it fits.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyFault> {
        let currency = self.common_currency(other)?;
        Ok(Self {
            amount: self.amount.checked_sub(other.amount)?,
            currency,
        })
    }

    fn common_currency(self, other: Self) -> Result<Currency, MoneyFault> {
        if self.currency == other.currency {
            Ok(self.currency)
        } else {
            Err(MoneyFault::MixedCurrencies {
                left: self.currency,
                right: other.currency,
            })
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.amount, self.currency)
    }
}
