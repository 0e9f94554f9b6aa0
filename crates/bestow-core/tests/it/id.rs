use std::collections::HashSet;

use bestow_core::id::{
    CAMPAIGN_ID_CHARS_MAX, CUSTOMER_ID_CHARS_MAX, CampaignIdFault, CustomerIdFault, NumberFault,
    OCCURRENCE_CHARS_MAX, OccurrenceFault, PROMO_CODE_CHARS_MAX, PromoCodeFault, TenantIdFault,
    fold_code, fold_customer,
};
use bestow_core::{
    ActionId, CampaignId, ChannelId, CustomerId, Fault, Occurrence, PromoCode, TenantId,
};
use proptest::prelude::*;

#[test]
fn tenant_ids_are_slugs() {
    let longest = "a".repeat(64);
    for good in ["acme", "a", "7", "acme-at_2", longest.as_str()] {
        assert_eq!(TenantId::parse(good).expect(good).as_str(), good);
    }
    let too_long = "a".repeat(65);
    let bad = [
        "",
        "Acme",
        "-a",
        "_a",
        "a b",
        " a",
        "a/b",
        "a.b",
        "ä",
        "a\n",
        "../x",
        too_long.as_str(),
    ];
    for text in bad {
        assert_eq!(TenantId::parse(text), Err(TenantIdFault), "{text:?}");
    }
}

#[test]
fn customer_ids_stay_as_they_came() {
    let cases = [
        ("007", "007"),
        ("7", "7"),
        ("1e3", "1e3"),
        ("null", "null"),
        ("NaN", "NaN"),
        ("9007199254740993", "9007199254740993"),
        ("  P-20031\t", "P-20031"),
        ("\u{a0}x\u{3000}", "x"),
        ("a b", "a b"),
        ("e\u{301}", "e\u{301}"),
        ("\u{e9}", "\u{e9}"),
        ("\u{5d0}\u{5d1}", "\u{5d0}\u{5d1}"),
        ("👩\u{200d}👧", "👩\u{200d}👧"),
        ("a\u{200b}b", "a\u{200b}b"),
        ("'; DROP TABLE grants; --", "'; DROP TABLE grants; --"),
        ("=1+1", "=1+1"),
        ("../../etc", "../../etc"),
    ];
    for (sent, kept) in cases {
        assert_eq!(CustomerId::parse(sent).expect(sent).as_str(), kept);
    }
    let distinct: HashSet<_> = cases
        .iter()
        .map(|(sent, _)| CustomerId::parse(sent).expect(sent))
        .collect();
    assert_eq!(distinct.len(), cases.len());
}

#[test]
fn texts_that_are_no_customer_ids() {
    let longest = "é".repeat(CUSTOMER_ID_CHARS_MAX);
    assert_eq!(CustomerId::check(&longest), Ok(longest.as_str()));
    let too_long = "é".repeat(CUSTOMER_ID_CHARS_MAX + 1);
    assert_eq!(CustomerId::parse(&too_long), Err(CustomerIdFault::TooLong));
    assert_eq!(
        CustomerId::parse(&"x".repeat(10_000)),
        Err(CustomerIdFault::TooLong)
    );
    for blank in ["", " ", "\t\n", "\u{a0}"] {
        assert_eq!(
            CustomerId::parse(blank),
            Err(CustomerIdFault::Empty),
            "{blank:?}"
        );
    }
    for control in ["a\0b", "\0", "a\tb", "a\nb", "a\u{7f}", "\u{1b}[31m"] {
        assert_eq!(
            CustomerId::parse(control),
            Err(CustomerIdFault::Control),
            "{control:?}"
        );
    }
}

#[test]
fn nearly_equal_customers_fold_together() {
    let near = [
        "abc",
        "ABC",
        "aBc",
        "a b c",
        "a\u{200b}bc",
        "\u{feff}abc",
        "ab\u{a0}c",
        "a\u{ad}bc",
    ];
    for id in near {
        assert_eq!(fold_customer(id), "abc", "{id:?}");
        assert_eq!(CustomerId::parse(id).expect(id).fold(), "abc");
    }
    assert_eq!(fold_customer("Ä-1"), fold_customer("ä-1"));
    for (one, other) in [
        ("007", "7"),
        ("731", "7-31"),
        ("abc", "abd"),
        ("e\u{301}", "\u{e9}"),
    ] {
        assert_ne!(fold_customer(one), fold_customer(other));
    }
    assert!(matches!(
        fold_customer("p-1"),
        std::borrow::Cow::Borrowed("p-1")
    ));
}

#[test]
fn campaign_ids_have_one_form() {
    let cases = [
        ("5101", "5101"),
        ("005101", "5101"),
        (" 5101 ", "5101"),
        ("0", "0"),
        ("000", "0"),
        ("99999999999999999999999999", "99999999999999999999999999"),
        ("RT-812", "rt-812"),
        ("0x1F", "0x1f"),
        ("-05", "-05"),
        ("ÄÖ", "äö"),
        ("٠٥", "٠٥"),
    ];
    for (sent, kept) in cases {
        assert_eq!(CampaignId::parse(sent).expect(sent).as_str(), kept);
    }
    assert_eq!(CampaignId::parse(" "), Err(CampaignIdFault::Empty));
    assert_eq!(CampaignId::parse("a\0"), Err(CampaignIdFault::Control));
    let longest = "x".repeat(CAMPAIGN_ID_CHARS_MAX);
    assert_eq!(CampaignId::parse(&longest).expect("fits").as_str(), longest);
    assert_eq!(
        CampaignId::parse(&format!("{longest}x")),
        Err(CampaignIdFault::TooLong)
    );
    // Leading zeros do not count, and a letter that grows in lower case does.
    assert_eq!(
        CampaignId::parse(&format!("{}5", "0".repeat(500)))
            .expect("5")
            .as_str(),
        "5"
    );
    let grows = "İ".repeat(CAMPAIGN_ID_CHARS_MAX);
    assert_eq!(CampaignId::parse(&grows), Err(CampaignIdFault::TooLong));
}

#[test]
fn channels_and_actions_are_whole_numbers() {
    assert_eq!(ChannelId::parse("504"), Ok(ChannelId(504)));
    assert_eq!(ChannelId::parse(" 0504 "), Ok(ChannelId(504)));
    assert_eq!(ActionId::parse("24"), Ok(ActionId(24)));
    assert_eq!(ActionId::parse("01"), Ok(ActionId::CONTROL_GROUP));
    assert_eq!(
        ChannelId::parse("9223372036854775807"),
        Ok(ChannelId(i64::MAX))
    );
    for bad in [
        "",
        " ",
        "-1",
        "+1",
        "1.0",
        "1e3",
        "x",
        "9223372036854775808",
        "٣",
    ] {
        assert_eq!(ChannelId::parse(bad), Err(NumberFault), "{bad:?}");
        assert_eq!(ActionId::parse(bad), Err(NumberFault), "{bad:?}");
    }
    assert_eq!(format!("{}/{}", ChannelId(504), ActionId(24)), "504/24");
}

#[test]
fn promo_codes_compare_without_case_and_keep_the_first_spelling() {
    let first = PromoCode::parse(" Spring20 ").expect("a code");
    let second = PromoCode::parse("SPRING20").expect("a code");
    assert_eq!(first, second);
    assert_eq!(first.cmp(&second), std::cmp::Ordering::Equal);
    assert_eq!((first.as_str(), first.fold()), ("Spring20", "spring20"));
    assert_eq!(HashSet::from([first.clone(), second]).len(), 1);
    assert_eq!(first.to_string(), "Spring20");
    assert_eq!(
        PromoCode::parse("FS\u{200b}20").expect("a code").fold(),
        "fs20"
    );
    assert_eq!(PromoCode::parse("ÄPFEL").expect("a code").fold(), "äpfel");
    assert_eq!(PromoCode::parse("a  b").expect("a code").fold(), "a  b");
    assert!(PromoCode::parse("a").expect("a code") < PromoCode::parse("B").expect("a code"));
    assert_eq!(fold_code("  FS20 "), "fs20");
}

#[test]
fn texts_that_are_no_promo_codes() {
    for blank in ["", "  ", "\u{200b}", " \u{feff} ", "\u{200b} \u{200b}"] {
        assert_eq!(
            PromoCode::parse(blank),
            Err(PromoCodeFault::Empty),
            "{blank:?}"
        );
    }
    let longest = "ß".repeat(PROMO_CODE_CHARS_MAX);
    assert!(PromoCode::parse(&longest).is_ok());
    assert_eq!(
        PromoCode::parse(&format!("{longest}ß")),
        Err(PromoCodeFault::TooLong)
    );
    assert_eq!(PromoCode::parse("a\0b"), Err(PromoCodeFault::Control));
    assert!(PromoCode::parse("a,b").is_ok());
    assert_eq!(PromoCode::define("a,b"), Err(PromoCodeFault::Comma));
    assert_eq!(
        PromoCode::define("FS20").map(|code| code.to_string()),
        Ok("FS20".to_owned())
    );
    assert_eq!(PromoCode::define(" "), Err(PromoCodeFault::Empty));
}

#[test]
fn occurrences_are_digests() {
    assert_eq!(
        Occurrence::parse("00ff").expect("a digest").as_str(),
        "00ff"
    );
    assert!(Occurrence::parse("a").is_ok());
    assert!(Occurrence::parse(&"a".repeat(OCCURRENCE_CHARS_MAX)).is_ok());
    for bad in [
        "",
        "FF",
        "xyz",
        " ff",
        &"a".repeat(OCCURRENCE_CHARS_MAX + 1),
    ] {
        assert_eq!(Occurrence::parse(bad), Err(OccurrenceFault), "{bad:?}");
    }
}

#[test]
fn faults_share_a_roof_and_speak_for_themselves() {
    let fault: Fault = CustomerId::parse("").expect_err("empty").into();
    assert_eq!(fault, Fault::Customer(CustomerIdFault::Empty));
    assert_eq!(fault.to_string(), "a customer id may not be empty");
    let fault: Fault = PromoCode::define("a,b").expect_err("a comma").into();
    assert!(fault.to_string().contains("comma"));
}

proptest! {
    #![proptest_config(crate::properties())]

    #[test]
    fn reading_an_id_twice_changes_nothing(text in any::<String>()) {
        if let Ok(id) = CustomerId::parse(&text) {
            prop_assert_eq!(CustomerId::parse(id.as_str()), Ok(id.clone()));
            prop_assert_eq!(id.as_str(), text.trim());
        }
        if let Ok(id) = CampaignId::parse(&text) {
            prop_assert_eq!(CampaignId::parse(id.as_str()), Ok(id));
        }
        if let Ok(code) = PromoCode::parse(&text) {
            prop_assert_eq!(PromoCode::parse(code.as_str()), Ok(code.clone()));
            prop_assert_eq!(fold_code(code.as_str()), code.fold());
        }
    }

    #[test]
    fn case_never_tells_two_codes_apart(text in "[a-zA-Z0-9 _-]{1,20}") {
        prop_assume!(!text.trim().is_empty());
        let upper = PromoCode::parse(&text.to_uppercase()).expect("a code");
        prop_assert_eq!(upper, PromoCode::parse(&text.to_lowercase()).expect("a code"));
    }
}
