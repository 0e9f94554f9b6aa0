//! Unique codes: how they are read and compared, in which order they are given, when a pool is low.

use bestow_core::pool::{CODE_CHARS_MAX, Supply, UniqueCodeFault, WhenEmpty, low_percent};
use bestow_core::{GivenCode, UniqueCode};
use proptest::prelude::*;

use crate::properties;

#[test]
fn codes_are_shown_as_loaded_and_compared_by_their_key() {
    for [text, shown, key] in crate::table(
        "abc-123     | abc-123   | ABC123
         ABC123      | ABC123    | ABC123
         A_b c       | A_b c     | ABC
         Ab\u{200b}c | Ab\u{200b}c | ABC
         O0-I1l      | O0-I1l    | O0I1L
         -x-         | -x-       | X",
    ) {
        let code = UniqueCode::parse(text).unwrap();
        assert_eq!((code.as_str(), code.key()), (shown, key));
        assert_eq!(code.spelling(), (shown != key).then_some(shown));
        // Whoever types what is shown, or the key, means this code.
        for typed in [shown, key, &shown.to_lowercase(), &format!("  {shown} ")] {
            assert_eq!(UniqueCode::parse(typed).unwrap().key(), key);
        }
    }
}

#[test]
fn look_alikes_of_loaded_codes_stay_apart() {
    let key = |text| UniqueCode::parse(text).unwrap().key().to_owned();
    assert_ne!(key("O1"), key("01"));
    assert_ne!(key("Il"), key("11"));
}

#[test]
fn what_cannot_be_a_code_says_why() {
    use UniqueCodeFault::{BadCharacter, Empty, TooLong};
    let long = "A".repeat(CODE_CHARS_MAX + 1);
    let spaced = format!("{}A", "-".repeat(2 * CODE_CHARS_MAX));
    for (text, fault) in [
        ("", Empty),
        (" \t", Empty),
        ("--_", Empty),
        ("\u{200b}", Empty),
        (long.as_str(), TooLong),
        (&spaced, TooLong),
        ("a,b", BadCharacter),
        ("=1+1", BadCharacter),
        ("\"a\"", BadCharacter),
        ("a\tb", BadCharacter),
        ("a\0b", BadCharacter),
        ("größe", BadCharacter),
        ("Α1", BadCharacter),
    ] {
        assert_eq!(UniqueCode::parse(text), Err(fault), "{text:?}");
    }
    assert!(UniqueCode::parse(&long[1..]).is_ok());
}

#[test]
fn generated_codes_use_every_random_bit() {
    let zero = UniqueCode::generate([0; 10]);
    assert_eq!(zero.key(), "0".repeat(16));
    assert_eq!(UniqueCode::generate([255; 10]).key(), "Z".repeat(16));
    for place in 0..80 {
        let mut bits = [0_u8; 10];
        bits[place / 8] = 1 << (place % 8);
        assert_ne!(UniqueCode::generate(bits), zero, "bit {place}");
    }
}

#[test]
fn numbers_of_given_codes_read_back() {
    for given in [
        GivenCode::Shared,
        GivenCode::Own(1),
        GivenCode::Own(u32::MAX),
        GivenCode::Fallback,
    ] {
        assert_eq!(GivenCode::from_number(given.number()), given);
    }
}

#[test]
fn a_pool_is_low_at_twenty_and_five_per_cent_and_when_empty() {
    for (loaded, free, low) in [
        (100, 21, None),
        (100, 20, Some(20)),
        (100, 6, Some(20)),
        (100, 5, Some(5)),
        (100, 1, Some(5)),
        (100, 0, Some(0)),
        (1, 1, None),
        (0, 0, Some(0)),
        (u64::MAX, u64::MAX / 2, None),
    ] {
        assert_eq!(low_percent(loaded, free), low, "{free} of {loaded}");
    }
}

proptest! {
    #![proptest_config(properties())]

    #[test]
    fn every_free_code_is_given_once_in_order(
        next in 1_u32..20,
        loaded in 0_u32..40,
        void in prop::collection::btree_set(1_u32..45, 0..10),
        has_fallback: bool,
    ) {
        let when_empty = if has_fallback { WhenEmpty::GiveFallback } else { WhenEmpty::Hold };
        let ahead: Vec<u32> = void.range(next..=loaded.max(next)).copied().collect();
        let mut supply = Supply::new(next, loaded, ahead, when_empty);
        let mut given = Vec::new();
        while let Some(GivenCode::Own(no)) = supply.peek() {
            given.push(no);
            supply.take();
        }
        let free: Vec<u32> = (next..=loaded).filter(|no| !void.contains(no)).collect();
        prop_assert_eq!(given, free);
        let after = has_fallback.then_some(GivenCode::Fallback);
        prop_assert_eq!(supply.peek(), after);
        supply.take();
        prop_assert_eq!(supply.peek(), after);
    }
}
