use bestow_core::code::{CODES_PER_CUSTOMER_MAX, RowCodes, codes_in_row};
use bestow_core::id::fold_code;
use bestow_core::{HoldReason, PromoCode};
use proptest::prelude::*;

fn nothing_known(_: &str) -> bool {
    false
}

fn spellings(row: &RowCodes) -> Vec<&str> {
    row.codes.iter().map(PromoCode::as_str).collect()
}

fn held(row: &RowCodes) -> Vec<(&str, HoldReason)> {
    row.held
        .iter()
        .map(|each| (each.text.as_str(), each.reason))
        .collect()
}

#[test]
fn every_written_form_reads_the_same() {
    let forms: [&[&str]; 9] = [
        &["FS20,CB10"],
        &["FS20, CB10"],
        &[" FS20 ,\tCB10 "],
        &["FS20", "CB10"],
        &["FS20,CB10", "fs20"],
        &["FS20,,CB10,"],
        &[",FS20,CB10,cb10"],
        &["", "FS20", " ", "CB10"],
        &["FS20,fs20,Fs20,CB10,\u{200b}"],
    ];
    for form in forms {
        let row = codes_in_row(form.iter().copied(), nothing_known, CODES_PER_CUSTOMER_MAX);
        assert_eq!(spellings(&row), ["FS20", "CB10"], "{form:?}");
        assert_eq!((row.pairs(), row.held.len()), (2, 0), "{form:?}");
    }
}

#[test]
fn a_row_without_a_code_is_no_pair() {
    let forms: [&[&str]; 5] = [&[], &[""], &["  "], &[",", " , "], &["\u{200b} \u{200b}"]];
    for form in forms {
        let row = codes_in_row(form.iter().copied(), nothing_known, CODES_PER_CUSTOMER_MAX);
        assert_eq!(row, RowCodes::default(), "{form:?}");
    }
}

#[test]
fn a_text_known_as_a_whole_is_one_code() {
    let known = |folded: &str| folded == "10,5 off";
    let row = codes_in_row([" 10,5 OFF ", "FS20,10,5 off"], known, 5);
    assert_eq!(spellings(&row), ["10,5 OFF", "FS20", "10", "5 off"]);
}

#[test]
fn inner_blanks_stay() {
    let row = codes_in_row(["free  spins,FREE SPINS"], nothing_known, 5);
    assert_eq!(spellings(&row), ["free  spins", "FREE SPINS"]);
}

#[test]
fn what_is_too_many_is_held_once_each() {
    let row = codes_in_row(["a,b,c,A", "d,D,b,e"], nothing_known, 3);
    assert_eq!(spellings(&row), ["a", "b", "c"]);
    let surplus = HoldReason::TooManyCodes;
    assert_eq!(held(&row), [("d", surplus), ("e", surplus)]);
    assert_eq!(row.pairs(), 5);
    let usual = codes_in_row(["a,b,c,d,e,f"], nothing_known, CODES_PER_CUSTOMER_MAX);
    assert_eq!(held(&usual), [("f", surplus)]);
    let none = codes_in_row(["a"], nothing_known, 0);
    assert_eq!(held(&none), [("a", surplus)]);
}

#[test]
fn a_bad_code_is_held_and_its_neighbours_go_on() {
    let long = "x".repeat(129);
    let text = format!("a,{long},b\0b,{long},c");
    let row = codes_in_row([text.as_str()], nothing_known, 2);
    assert_eq!(spellings(&row), ["a", "c"]);
    let bad = HoldReason::BadCode;
    assert_eq!(held(&row), [(long.as_str(), bad), ("b\0b", bad)]);
}

proptest! {
    #![proptest_config(crate::properties())]

    #[test]
    fn reading_what_was_read_changes_nothing(
        texts in prop::collection::vec("[aAbB ,é\u{200b}]{0,12}", 0..5),
        codes_max in 0_usize..6,
    ) {
        let row = codes_in_row(texts.iter().map(String::as_str), nothing_known, codes_max);
        let again = codes_in_row(spellings(&row), nothing_known, codes_max);
        prop_assert_eq!(spellings(&again), spellings(&row));
        prop_assert!(again.held.is_empty());
        let joined = spellings(&row).join(" , ");
        let split = codes_in_row([joined.as_str()], nothing_known, codes_max);
        prop_assert_eq!(spellings(&split), spellings(&row));
    }

    #[test]
    fn every_distinct_part_is_there_once_and_in_order(
        text in "[aAbBcCdD ,]{0,30}",
        codes_max in 0_usize..4,
    ) {
        let mut parts: Vec<&str> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            if !parts.iter().any(|seen| fold_code(seen) == fold_code(part)) {
                parts.push(part);
            }
        }
        let row = codes_in_row([text.as_str()], nothing_known, codes_max);
        let held = row.held.iter().map(|each| each.text.as_str());
        let all: Vec<&str> = spellings(&row).into_iter().chain(held).collect();
        prop_assert_eq!(all, parts);
        prop_assert!(row.codes.len() <= codes_max);
    }

    #[test]
    fn nothing_panics(texts in prop::collection::vec(any::<String>(), 0..4)) {
        let row = codes_in_row(texts.iter().map(String::as_str), |text| text.len() % 2 == 0, 5);
        prop_assert!(row.codes.len() <= 5);
    }
}
