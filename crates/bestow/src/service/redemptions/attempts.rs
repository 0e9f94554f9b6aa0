//! Guesses: unique codes that missed are counted for each customer and address, and too many of them have to wait.
//!
//! Counted in memory: a process that starts anew starts at zero, and each process counts what comes to it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};

/// Misses of one customer, and the span they are counted in.
const CUSTOMER: Rule = Rule {
    misses_max: 10,
    span_ms: 600_000,
};
/// Misses from one address, and the span they are counted in.
const ADDRESS: Rule = Rule {
    misses_max: 60,
    span_ms: 60_000,
};
/// Names that are counted at the same time. Beyond it those whose span is over are forgotten, and then those who missed
/// least: whoever comes under many names does not let those go on who missed often.
const COUNTED_MAX: usize = 100_000;
/// Names that stay then, at most: room for the next ones, so that not each of them looks at all.
const STAY_MAX: usize = 90_000;

/// How often somebody may miss.
#[derive(Debug, Clone, Copy)]
struct Rule {
    misses_max: u32,
    span_ms: i64,
}

/// Who types a unique code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guess {
    pub(super) tenant: i64,
    pub(super) customer: String,
    pub(super) address: Option<String>,
}

/// Whose misses are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Name {
    Customer(i64, String),
    Address(i64, String),
}

impl Name {
    fn rule(&self) -> Rule {
        match self {
            Self::Customer(..) => CUSTOMER,
            Self::Address(..) => ADDRESS,
        }
    }
}

impl Guess {
    fn names(&self) -> impl Iterator<Item = Name> {
        let customer = Name::Customer(self.tenant, self.customer.clone());
        let address = self.address.clone();
        let address = address.map(|address| Name::Address(self.tenant, address));
        std::iter::once(customer).chain(address)
    }
}

#[derive(Debug, Clone, Copy)]
struct Misses {
    since_ms: i64,
    count: u32,
}

/// Misses of everybody.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<HashMap<Name, Misses>>);

impl Attempts {
    /// Whether somebody may type another code now.
    ///
    /// # Errors
    /// [`Error::TooMany`], with when they may.
    pub(super) fn check(&self, guess: &Guess, now_ms: i64) -> Result<()> {
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = guess.names().filter_map(|name| {
            let misses = counted.get(&name)?;
            let rule = name.rule();
            let ends_ms = misses.since_ms.saturating_add(rule.span_ms);
            // A clock that was put back ends no span earlier, and makes none longer.
            let wait_ms = ends_ms.saturating_sub(now_ms).min(rule.span_ms);
            (misses.count >= rule.misses_max && wait_ms > 0).then_some(wait_ms)
        });
        match waits.max() {
            None => Ok(()),
            Some(wait_ms) => Err(Error::TooMany {
                code: "too_many_attempts",
                message: "Too many unique codes missed: try again later.".to_owned(),
                retry_after_seconds: (wait_ms as u64).div_ceil(1_000),
            }),
        }
    }

    /// Counts a miss.
    pub(super) fn miss(&self, guess: &Guess, now_ms: i64) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= COUNTED_MAX {
            counted.retain(|name, misses| {
                now_ms.saturating_sub(misses.since_ms) < name.rule().span_ms
            });
        }
        if counted.len() >= COUNTED_MAX {
            forget_least(&mut counted);
        }
        for name in guess.names() {
            let span_ms = name.rule().span_ms;
            let misses = counted.entry(name).or_insert(Misses {
                since_ms: now_ms,
                count: 0,
            });
            if now_ms.saturating_sub(misses.since_ms) >= span_ms {
                *misses = Misses {
                    since_ms: now_ms,
                    count: 0,
                };
            }
            misses.count = misses.count.saturating_add(1);
        }
    }
}

/// Forgets names by their misses, the fewest first, until few enough are left.
fn forget_least(counted: &mut HashMap<Name, Misses>) {
    let mut fewest = 1;
    while counted.len() > STAY_MAX {
        counted.retain(|_, misses| misses.count > fewest);
        fewest += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(customer: &str, address: Option<&str>) -> Guess {
        Guess {
            tenant: 1,
            customer: customer.to_owned(),
            address: address.map(str::to_owned),
        }
    }

    fn wait(attempts: &Attempts, guess: &Guess, now_ms: i64) -> Option<u64> {
        match attempts.check(guess, now_ms) {
            Ok(()) => None,
            Err(Error::TooMany {
                retry_after_seconds,
                ..
            }) => Some(retry_after_seconds),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn ten_misses_of_a_customer_wait_for_the_end_of_ten_minutes() {
        let (attempts, one) = (Attempts::default(), guess("C-1", None));
        for at in 0..10 {
            assert_eq!(wait(&attempts, &one, at), None);
            attempts.miss(&one, at);
        }
        assert_eq!(wait(&attempts, &one, 10), Some(600));
        assert_eq!(wait(&attempts, &one, 599_999), Some(1));
        assert_eq!(wait(&attempts, &one, 600_000), None);
        assert_eq!(wait(&attempts, &guess("C-2", None), 10), None);
        attempts.miss(&one, 600_000);
        assert_eq!(wait(&attempts, &one, 600_001), None);
    }

    #[test]
    fn an_address_misses_for_all_of_its_customers() {
        let attempts = Attempts::default();
        for number in 0..60 {
            let one = guess(&format!("C-{number}"), Some("192.0.2.7"));
            assert_eq!(wait(&attempts, &one, 0), None);
            attempts.miss(&one, 0);
        }
        let next = guess("C-60", Some("192.0.2.7"));
        assert_eq!(wait(&attempts, &next, 1_000), Some(59));
        assert_eq!(wait(&attempts, &guess("C-60", None), 1_000), None);
        assert_eq!(wait(&attempts, &next, 60_000), None);
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let attempts = Attempts::default();
        for number in 0..=COUNTED_MAX {
            attempts.miss(&guess(&number.to_string(), None), 0);
        }
        assert!(attempts.0.lock().unwrap().len() <= COUNTED_MAX);
    }

    #[test]
    fn many_names_do_not_let_one_go_on_who_missed_often() {
        let (attempts, one) = (Attempts::default(), guess("C-1", Some("192.0.2.7")));
        for _ in 0..10 {
            attempts.miss(&one, 0);
        }
        for number in 0..2 * COUNTED_MAX {
            attempts.miss(&guess(&format!("N-{number}"), None), 1);
        }
        assert_eq!(wait(&attempts, &one, 2), Some(600));
        assert!(attempts.0.lock().unwrap().len() <= COUNTED_MAX);
    }
}
