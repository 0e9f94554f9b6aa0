use bestow_core::HoldReason;
use bestow_core::import::{Entry, Merge, Origin, merge_group};
use proptest::prelude::*;

use crate::table;

/// Entries from words: `abc/1` landed, `+abc/1` from the ledger.
fn entries(words: &str) -> Vec<Entry<'_, u32>> {
    words
        .split_whitespace()
        .map(|word| {
            let landed = word.strip_prefix('+');
            let origin = if landed.is_some() {
                Origin::Ledger
            } else {
                Origin::Landed
            };
            let (customer, code) = landed
                .unwrap_or(word)
                .split_once('/')
                .expect("customer/code");
            Entry {
                customer,
                code: code.parse().expect("a number"),
                origin,
            }
        })
        .collect()
}

fn word(merge: Merge) -> String {
    match merge {
        Merge::Stands => "stands".to_owned(),
        Merge::First => "first".to_owned(),
        Merge::Repeat { of } => format!("of-{of}"),
        Merge::Held(HoldReason::NearEqualCustomerId) => "near".to_owned(),
        Merge::Held(HoldReason::TooManyCodes) => "many".to_owned(),
        Merge::Held(other) => panic!("held as {other}"),
    }
}

#[test]
fn merges_by_example() {
    let cases = table::<2>(
        "
        # entries of one customer, three codes at most | what becomes of each
        a/1                         | first
        a/1 a/1 a/1                 | first of-0 of-0
        a/1 a/2 a/1 a/2             | first first of-0 of-1
        +a/1 a/1 a/2                | stands of-0 first
        +a/1 +a/2                   | stands stands

        # The first spelling is the customer.
        a/1 A/1 a/2 A/3             | first near first near
        A/1 a/1                     | first near
        +A/1 a/1 A/1                | stands near of-0
        # Whoever is in the ledger is a customer, however they are spelled.
        +a/1 +A/1 A/1 A/2           | stands stands of-1 first

        # Codes are counted over all channels and pages, and what is in the ledger counts.
        a/1 a/2 a/3 a/4 a/1 a/4     | first first first many of-0 many
        +a/1 +a/2 a/3 a/4           | stands stands first many
        +a/1 +a/2 +a/3 +a/4 a/4 a/5 | stands stands stands stands of-3 many
        +a/1 +a/2 +a/3 +A/1 A/2     | stands stands stands stands first
        ",
    );
    for [words, expected] in cases {
        let merged: Vec<_> = merge_group(&entries(words), 3)
            .into_iter()
            .map(word)
            .collect();
        assert_eq!(merged.join(" "), expected, "{words}");
    }
    assert!(merge_group::<u32>(&[], 3).is_empty());
}

fn any_spelling() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["abc", "ABC", "aBc"])
}

proptest! {
    #![proptest_config(crate::properties())]

    /// However often and in whatever channels rows come: what is granted is granted once, and
    /// merging again what was merged grants nothing more.
    #[test]
    fn merging_again_grants_nothing_more(
        rows in prop::collection::vec((any_spelling(), 0_u32..5), 0..20),
        codes_max in 0_usize..5,
    ) {
        let landed: Vec<_> = rows
            .iter()
            .map(|&(customer, code)| Entry { customer, code, origin: Origin::Landed })
            .collect();
        let merged = merge_group(&landed, codes_max);
        prop_assert_eq!(merged.len(), landed.len());
        let mut ledger = Vec::new();
        for (entry, merge) in landed.iter().zip(&merged) {
            match *merge {
                Merge::First => {
                    let twin = ledger.iter().any(|one: &Entry<'_, u32>| one.code == entry.code);
                    prop_assert!(!twin, "granted twice");
                    prop_assert_eq!(entry.customer, landed[0].customer);
                    ledger.push(Entry { origin: Origin::Ledger, ..*entry });
                }
                Merge::Repeat { of } => {
                    prop_assert_eq!(landed[of].customer, entry.customer);
                    prop_assert_eq!(landed[of].code, entry.code);
                    prop_assert_eq!(merged[of], Merge::First);
                }
                Merge::Held(_) => {}
                Merge::Stands => prop_assert!(false, "nothing was in the ledger"),
            }
        }
        prop_assert!(ledger.len() <= codes_max);
        let known = ledger.len();
        let again: Vec<_> = ledger.into_iter().chain(landed.iter().copied()).collect();
        let granted_now = merge_group(&again, codes_max);
        if known > 0 {
            prop_assert!(!granted_now.contains(&Merge::First));
        }
    }
}
