//! Budgets of days, weeks and months, derived again from redemptions.

use std::collections::BTreeMap;

use bestow_core::redemption::periods;
use bestow_store::verify::Violation;
use bestow_store::{Error as StoreError, Tx};
use jiff::civil::Date;

/// Periods whose figures are not what their redemptions took.
pub(super) fn check(tx: &mut Tx<'_>, tenant: i64) -> Result<Vec<Violation>, StoreError> {
    let mut there: BTreeMap<(String, String), i64> = BTreeMap::new();
    for spent in tx.spent_by_day(tenant)? {
        let day: Date = spent
            .day
            .parse()
            .map_err(|_| StoreError::Corrupt(format!("{} is no day of a redemption", spent.day)))?;
        for period in periods(day) {
            *there.entry((spent.code_fold.clone(), period)).or_default() += spent.spent_minor;
        }
    }
    let mut violations = Vec::new();
    for counted in tx.spent_in_periods(tenant)? {
        let key = (counted.code_fold, counted.period);
        let found = there.remove(&key).unwrap_or_default();
        if found != counted.spent_minor {
            violations.push(violation(&key, counted.spent_minor, found));
        }
    }
    violations.extend(there.iter().map(|(key, found)| violation(key, 0, *found)));
    Ok(violations)
}

fn violation((code_fold, period): &(String, String), counted: i64, found: i64) -> Violation {
    Violation {
        rule: "periods_add_up",
        object: format!("promotion {code_fold}"),
        detail: format!("{period}: {counted} counted as spent, {found} redeemed"),
    }
}
