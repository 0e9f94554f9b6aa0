use std::collections::BTreeSet;

use bestow_core::import::{
    Counts, Disposition, NothingHeld, PASSES_MAX, PassSummary, SizeBounds, Verdict, completeness,
    row_disposition, size_check,
};
use bestow_core::{ActionId, HoldReason, RefuseReason};
use proptest::prelude::*;

#[test]
fn the_control_group_gets_nothing() {
    let refused = Disposition::Refused(RefuseReason::ControlGroup);
    assert_eq!(row_disposition(Some(ActionId(1))), Some(refused));
    assert_eq!(row_disposition(ActionId::parse("01").ok()), Some(refused));
    assert_eq!(row_disposition(Some(ActionId(24))), None);
    assert_eq!(row_disposition(None), None);
}

#[test]
fn every_pair_is_counted_once() {
    let mut counts = Counts::default();
    for _ in 0..4 {
        counts.add_row();
    }
    counts.add(Disposition::NoCode);
    counts.add(Disposition::Grant);
    counts.add(Disposition::Repeat);
    counts.add_many(Disposition::Held(HoldReason::UnknownCode), 2);
    counts.add(Disposition::Held(HoldReason::BadCode));
    counts.add(Disposition::Refused(RefuseReason::ControlGroup));
    counts.add_many(Disposition::Refused(RefuseReason::Excluded), 0);
    assert_eq!(
        (counts.rows, counts.rows_without_code, counts.pairs),
        (4, 1, 6)
    );
    assert_eq!((counts.granted, counts.repeated), (1, 1));
    assert_eq!((counts.held_total(), counts.refused_total()), (3, 1));
    assert_eq!(counts.held[&HoldReason::UnknownCode], 2);
    assert!(!counts.refused.contains_key(&RefuseReason::Excluded));
    assert!(counts.balanced());
}

#[test]
fn what_was_skipped_in_silence_shows() {
    let mut counts = Counts::default();
    counts.add_row();
    assert!(
        !counts.balanced(),
        "a row without pairs that is not counted as one"
    );
    counts.add(Disposition::Grant);
    assert!(counts.balanced());
    let lost_pair = Counts {
        pairs: 2,
        ..counts.clone()
    };
    assert!(!lost_pair.balanced());
    let doubled = Counts {
        repeated: 1,
        ..counts.clone()
    };
    assert!(!doubled.balanced());
    let too_many_empty = Counts {
        rows_without_code: 2,
        ..counts
    };
    assert!(!too_many_empty.balanced());
}

#[test]
fn a_release_moves_one_pair() {
    let mut counts = Counts::default();
    counts.add_row();
    counts.add_many(Disposition::Held(HoldReason::UnknownCode), 2);
    assert_eq!(
        counts.release(HoldReason::UnknownCode, Disposition::Grant),
        Ok(())
    );
    assert_eq!(
        (counts.granted, counts.held_total(), counts.pairs),
        (1, 1, 2)
    );
    let held = Disposition::Held(HoldReason::NoDuration);
    assert_eq!(counts.release(HoldReason::UnknownCode, held), Ok(()));
    assert!(!counts.held.contains_key(&HoldReason::UnknownCode));
    assert!(counts.balanced());
    let before = counts.clone();
    let nothing = |reason| Err(NothingHeld { reason });
    let reason = HoldReason::UnknownCode;
    assert_eq!(counts.release(reason, Disposition::Grant), nothing(reason));
    let reason = HoldReason::NoDuration;
    assert_eq!(counts.release(reason, Disposition::NoCode), nothing(reason));
    assert_eq!(counts, before);
    // A reason that is listed with nothing under it holds nothing.
    counts.held.insert(HoldReason::BadCode, 0);
    let reason = HoldReason::BadCode;
    assert_eq!(counts.release(reason, Disposition::Grant), nothing(reason));
}

fn pass(pass: u8, distinct_customers: u64, added_pairs: u64) -> PassSummary {
    let rows = distinct_customers;
    PassSummary {
        pass,
        page_size: 10_000,
        rows,
        distinct_customers,
        added_pairs,
    }
}

#[test]
fn a_list_is_complete_when_it_agrees_or_adds_nothing() {
    let again = Verdict::ConfirmAgain { page_size: 7_999 };
    let unstable = Verdict::Hold(HoldReason::UnstablePages);
    let cases = [
        (pass(1, 1_800, 1_800), Some(1_800), Verdict::Complete),
        (pass(1, 1_799, 1_799), Some(1_800), again),
        (pass(1, 1_801, 1_801), Some(1_800), again),
        (pass(1, 1_800, 1_800), None, again),
        (pass(1, 0, 0), None, again),
        (pass(1, 0, 0), Some(0), Verdict::Complete),
        (pass(2, 1_800, 0), None, Verdict::Complete),
        (pass(2, 1_750, 0), Some(1_800), Verdict::Complete),
        (pass(2, 1_800, 5), Some(1_800), Verdict::Complete),
        (pass(2, 1_750, 5), Some(1_800), again),
        (pass(3, 1_750, 0), None, Verdict::Complete),
        (pass(3, 1_750, 1), None, unstable),
        (pass(3, 1_750, 1), Some(1_800), unstable),
    ];
    for (read, expected_size, verdict) in cases {
        assert_eq!(
            completeness(read, expected_size, PASSES_MAX),
            verdict,
            "{read:?}"
        );
    }
    assert_eq!(completeness(pass(1, 7, 7), None, 1), unstable);
}

#[test]
fn every_pass_has_another_page_size_and_none_is_zero() {
    for first in [0, 1, 2, 3, 4, 5, 10, 100, 10_000, 200_000, u32::MAX] {
        let mut page_size = first;
        for number in 1..PASSES_MAX {
            let read = PassSummary {
                page_size,
                ..pass(number, 5, 1)
            };
            match completeness(read, None, PASSES_MAX) {
                Verdict::ConfirmAgain { page_size: next } => {
                    assert!(next > 0 && next != page_size, "{page_size} then {next}");
                    page_size = next;
                }
                verdict => panic!("{verdict:?}"),
            }
        }
    }
}

#[test]
fn odd_sizes_are_held() {
    let mismatch = Err(HoldReason::SizeMismatch);
    let cases = [
        (200, Some(100), SizeBounds::WHOLE_CAMPAIGN, Ok(())),
        (201, Some(100), SizeBounds::WHOLE_CAMPAIGN, mismatch),
        (50, Some(100), SizeBounds::WHOLE_CAMPAIGN, Ok(())),
        (49, Some(100), SizeBounds::WHOLE_CAMPAIGN, mismatch),
        (0, Some(100), SizeBounds::WHOLE_CAMPAIGN, mismatch),
        (0, Some(100), SizeBounds::PART, Ok(())),
        (201, Some(100), SizeBounds::PART, mismatch),
        (1, Some(0), SizeBounds::WHOLE_CAMPAIGN, mismatch),
        (0, Some(0), SizeBounds::WHOLE_CAMPAIGN, Ok(())),
        (5_000_000, None, SizeBounds::WHOLE_CAMPAIGN, Ok(())),
        (u64::MAX, Some(u64::MAX), SizeBounds::WHOLE_CAMPAIGN, Ok(())),
        (u64::MAX, Some(1), SizeBounds::WHOLE_CAMPAIGN, mismatch),
        (
            11,
            Some(10),
            SizeBounds {
                over_percent: 110,
                under_percent: None,
            },
            Ok(()),
        ),
        (
            12,
            Some(10),
            SizeBounds {
                over_percent: 110,
                under_percent: None,
            },
            mismatch,
        ),
    ];
    for (distinct, expected, bounds, verdict) in cases {
        assert_eq!(
            size_check(distinct, expected, bounds),
            verdict,
            "{distinct} of {expected:?}"
        );
    }
}

/// One pass over a list; a bad one misses a row at each page edge.
fn read_pass(customers: u64, page_size: u32, is_bad: bool) -> Vec<u64> {
    let hidden = |row: &u64| is_bad && *row > 0 && row.is_multiple_of(u64::from(page_size));
    (0..customers).filter(|row| !hidden(row)).collect()
}

proptest! {
    #![proptest_config(crate::properties())]

    #[test]
    fn a_complete_list_misses_nobody(
        customers in 0_u64..200,
        page_size in 3_u32..50,
        bad_passes in 0..PASSES_MAX,
        knows_size in any::<bool>(),
    ) {
        let expected = knows_size.then_some(customers);
        let mut seen = BTreeSet::new();
        let mut page_size = page_size;
        for pass in 1.. {
            let rows = read_pass(customers, page_size, pass <= bad_passes);
            let before = seen.len();
            seen.extend(rows.iter().copied());
            let read = PassSummary {
                pass,
                page_size,
                rows: rows.len() as u64,
                distinct_customers: seen.len() as u64,
                added_pairs: (seen.len() - before) as u64,
            };
            match completeness(read, expected, PASSES_MAX) {
                Verdict::ConfirmAgain { page_size: other } => page_size = other,
                Verdict::Hold(reason) => {
                    prop_assert_eq!((reason, pass), (HoldReason::UnstablePages, PASSES_MAX));
                    break;
                }
                Verdict::Complete => {
                    prop_assert_eq!(seen.len() as u64, customers);
                    break;
                }
            }
        }
    }

    #[test]
    fn counts_always_add_up(
        rows in prop::collection::vec(prop::collection::vec(any_pair(), 0..5), 0..30),
        releases in prop::collection::vec((any_hold(), any_pair()), 0..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let count = |rows: &[Vec<Disposition>]| {
            let mut counts = Counts::default();
            for pairs in rows {
                counts.add_row();
                if pairs.is_empty() {
                    counts.add(Disposition::NoCode);
                }
                for &pair in pairs {
                    counts.add(pair);
                }
            }
            counts
        };
        let mut counts = count(&rows);
        prop_assert!(counts.balanced());
        prop_assert_eq!(counts.pairs, rows.iter().map(Vec::len).sum::<usize>() as u64);
        let (page, rest) = rows.split_at(cut.index(rows.len() + 1));
        let mut merged = count(page);
        merged.merge(&count(rest));
        prop_assert_eq!(&merged, &counts);
        for (reason, to) in releases {
            let (pairs, held) = (counts.pairs, counts.held_total());
            let released = counts.release(reason, to).is_ok();
            prop_assert!(counts.balanced());
            prop_assert_eq!(counts.pairs, pairs);
            let stays_held = matches!(to, Disposition::Held(_));
            prop_assert_eq!(counts.held_total(), held - u64::from(released && !stays_held));
        }
    }
}

fn any_hold() -> impl Strategy<Value = HoldReason> {
    prop::sample::select(vec![
        HoldReason::UnknownCode,
        HoldReason::BadCode,
        HoldReason::NoDuration,
    ])
}

fn any_pair() -> impl Strategy<Value = Disposition> {
    prop_oneof![
        Just(Disposition::Grant),
        Just(Disposition::Repeat),
        any_hold().prop_map(Disposition::Held),
        prop::sample::select(RefuseReason::ALL).prop_map(Disposition::Refused),
    ]
}
