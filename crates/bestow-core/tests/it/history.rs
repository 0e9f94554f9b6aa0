//! Whole campaigns in small: whatever the order, the repeats and the cuts in which rows arrive, the
//! ledger ends the same.

use std::collections::BTreeMap;

use bestow_core::code::{CODES_PER_CUSTOMER_MAX, codes_in_row};
use bestow_core::grant::{Standing, standing};
use bestow_core::import::{
    Counts, Disposition, Entry, Merge, Origin, merge_group, row_disposition,
};
use bestow_core::window::{Basis, settle, window_of};
use bestow_core::{
    ActionId, CampaignFacts, Duration, Expiry, GrantFacts, LeadTime, PromoCode, ScheduleTime,
    Window, Zone,
};
use proptest::prelude::*;

use crate::wall;

/// One row as Optimove lists it.
#[derive(Debug, Clone)]
struct Row {
    customer: String,
    action: i64,
    codes: &'static str,
    hour: u8,
}

/// A ledger as simple as can be: a map from the grant key to its window.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ledger {
    grants: BTreeMap<(String, PromoCode), (Window, Basis)>,
    counts: Counts,
}

impl Ledger {
    /// Reads one page and merges it, as an import does.
    fn take(&mut self, page: &[Row]) {
        for row in page {
            self.counts.add_row();
            let texts = [row.codes];
            let codes = codes_in_row(texts, |_| false, CODES_PER_CUSTOMER_MAX).codes;
            if codes.is_empty() {
                self.counts.add(Disposition::NoCode);
            }
            for code in codes {
                let disposition = row_disposition(Some(ActionId(row.action)))
                    .unwrap_or_else(|| self.merge(row, &code));
                self.counts.add(disposition);
            }
        }
    }

    fn merge(&mut self, row: &Row, code: &PromoCode) -> Disposition {
        let known = self
            .grants
            .keys()
            .filter(|(customer, _)| *customer == row.customer);
        let entry = |customer, code, origin| Entry {
            customer,
            code,
            origin,
        };
        let mut group: Vec<_> = known
            .map(|(customer, code)| entry(customer.as_str(), code.fold(), Origin::Ledger))
            .collect();
        group.push(entry(&row.customer, code.fold(), Origin::Landed));
        let merged = merge_group(&group, CODES_PER_CUSTOMER_MAX);
        let read = (window(row.hour), Basis::Schedule);
        let key = (row.customer.clone(), code.clone());
        match merged.last().expect("one answer per entry") {
            Merge::First => {
                self.grants.insert(key, read);
                Disposition::Grant
            }
            Merge::Repeat { .. } => {
                let stored = self.grants.get_mut(&key).expect("a repeat is of something");
                *stored = settle(*stored, read);
                Disposition::Repeat
            }
            Merge::Held(reason) => Disposition::Held(*reason),
            Merge::Stands => unreachable!("the last entry has landed"),
        }
    }
}

fn window(hour: u8) -> Window {
    let schedule = ScheduleTime::Local(wall(&format!("2027-03-27T{hour:02}:30")));
    let zone = Zone::parse("Europe/Vienna").expect("a zone");
    let week = Duration::from_days(7).expect("a duration");
    let lead = LeadTime::from_days(1).expect("a lead time");
    window_of(schedule, &zone, lead, week, Expiry::Duration).expect("a window")
}

fn any_row() -> impl Strategy<Value = Row> {
    let codes = prop::sample::select(vec!["", "A", "a", "A,B", "b, a", "C"]);
    (0_u8..4, 1_i64..4, codes, 0_u8..4).prop_map(|(customer, action, codes, hour)| Row {
        customer: format!("P-{customer}"),
        action,
        codes,
        hour,
    })
}

/// The same rows in another order, each once or twice.
fn any_delivery() -> impl Strategy<Value = (Vec<Row>, Vec<Row>)> {
    prop::collection::vec(any_row(), 0..12).prop_flat_map(|rows| {
        let repeats = prop::sample::subsequence(rows.clone(), 0..=rows.len());
        let other = repeats.prop_flat_map({
            let rows = rows.clone();
            move |repeats| Just([rows.clone(), repeats].concat()).prop_shuffle()
        });
        (Just(rows), other)
    })
}

proptest! {
    #![proptest_config(crate::properties())]

    #[test]
    fn every_order_ends_in_the_same_ledger(
        (rows, other) in any_delivery(), page_size in 1_usize..6,
    ) {
        let mut once = Ledger::default();
        once.take(&rows);
        let mut paged = Ledger::default();
        for page in other.chunks(page_size) {
            paged.take(page);
        }
        prop_assert_eq!(&once.grants, &paged.grants);
        prop_assert!(once.counts.balanced() && paged.counts.balanced());
        for ledger in [&once, &paged] {
            prop_assert_eq!(ledger.counts.granted, ledger.grants.len() as u64);
        }
        prop_assert_eq!(once.counts.rows, rows.len() as u64);
        prop_assert_eq!(paged.counts.rows, other.len() as u64);
    }

    #[test]
    fn a_grant_is_for_whom_a_row_names_and_for_no_one_of_the_control_group(
        rows in prop::collection::vec(any_row(), 0..12),
    ) {
        let mut ledger = Ledger::default();
        ledger.take(&rows);
        let expected: std::collections::BTreeSet<_> = rows
            .iter()
            .filter(|row| row.action != 1)
            .flat_map(|row| {
                let codes = row.codes.split(',').map(|code| code.trim().to_lowercase());
                codes.filter(|code| !code.is_empty()).map(|code| (row.customer.clone(), code))
            })
            .collect();
        let granted: std::collections::BTreeSet<_> = ledger
            .grants
            .keys()
            .map(|(customer, code)| (customer.clone(), code.fold().to_owned()))
            .collect();
        prop_assert_eq!(granted, expected);
    }

    #[test]
    fn a_cancelled_campaign_gives_nothing_whenever_its_rows_arrive(
        rows in prop::collection::vec(any_row(), 0..12), hours in 0_i32..400,
    ) {
        let mut ledger = Ledger::default();
        ledger.take(&rows);
        let now = crate::at("2027-03-26T00:00Z") + jiff::SignedDuration::from_hours(hours.into());
        let cancelled = CampaignFacts { suspended_at: Some(now), revoked_at: None };
        for (window, _) in ledger.grants.into_values() {
            let grant = GrantFacts::single_use(window);
            prop_assert_ne!(standing(&grant, &cancelled, now), Standing::Active);
            let running = standing(&grant, &CampaignFacts::RUNNING, now);
            prop_assert_eq!(running == Standing::Active, window.contains(now));
        }
    }
}
