use std::collections::BTreeMap;

use bestow_core::guard::{Beyond, Bounds, CodeWeight, Figures, Totals, WorstCase, weigh};
use bestow_core::redemption::{Terms, Worth};
use bestow_core::{Currency, Minor, Money};

fn currency(text: &str) -> Currency {
    Currency::parse(text).expect("a currency")
}

fn eur(amount: i64) -> Money {
    Money {
        amount: Minor(amount),
        currency: currency("EUR"),
    }
}

fn code(code: &str, grants: u64, worst: WorstCase) -> CodeWeight {
    CodeWeight {
        code: code.to_owned(),
        grants,
        worst,
        total: None,
        budget: None,
        grants_max: None,
        liability_max: None,
    }
}

fn figures(customers: u64, codes: &[CodeWeight]) -> Figures {
    Figures {
        customers,
        codes: codes.to_vec(),
    }
}

#[test]
fn the_worst_case_of_a_grant_is_every_use_at_its_whole_worth() {
    let terms = |worth, uses_max| Terms { worth, uses_max };
    let table = [
        (
            Worth::Whole(Minor(500)),
            3,
            None,
            WorstCase::Each(eur(1_500)),
        ),
        (Worth::AtMost(Minor(70)), 2, None, WorstCase::Each(eur(140))),
        (
            Worth::InParts(Minor(500)),
            1,
            None,
            WorstCase::Each(eur(500)),
        ),
        (Worth::Unsaid, 2, None, WorstCase::Unknown),
        (Worth::Unsaid, 2, Some(Minor(10)), WorstCase::Each(eur(20))),
        (
            Worth::Whole(Minor(i64::MAX)),
            2,
            None,
            WorstCase::Each(eur(i64::MAX)),
        ),
    ];
    for (worth, uses, said, expected) in table {
        let worst = WorstCase::of(terms(worth, uses), Some(currency("EUR")), said);
        assert_eq!(worst, expected, "{worth:?}");
    }
    let nowhere = WorstCase::of(terms(Worth::Whole(Minor(5)), 1), None, None);
    assert_eq!(nowhere, WorstCase::Unknown);
}

#[test]
fn liability_is_no_more_than_can_be_used_or_is_covered() {
    let plain = code("A", 10, WorstCase::Each(eur(7)));
    let with = |total, budget: Option<Money>| CodeWeight {
        total,
        budget,
        ..plain.clone()
    };
    assert_eq!(plain.liability(), Some(eur(70)));
    assert_eq!(with(Some(4), None).liability(), Some(eur(28)));
    assert_eq!(with(Some(40), None).liability(), Some(eur(70)));
    assert_eq!(with(None, Some(eur(33))).liability(), Some(eur(33)));
    assert_eq!(with(Some(4), Some(eur(33))).liability(), Some(eur(28)));
    let unknown = code("B", 10, WorstCase::Unknown);
    assert_eq!((unknown.liability(), unknown.is_unknown()), (None, true));
    let covered = CodeWeight {
        budget: Some(eur(5)),
        ..unknown
    };
    assert_eq!(
        (covered.liability(), covered.is_unknown()),
        (Some(eur(5)), false)
    );
    assert!(!code("C", 0, WorstCase::Unknown).is_unknown());
    let huge = code("D", u64::MAX, WorstCase::Each(eur(i64::MAX)));
    let twice = figures(1, &[huge.clone(), huge]);
    assert_eq!(twice.liability()[&currency("EUR")], Minor(i64::MAX));
}

#[test]
fn a_campaign_at_its_bounds_goes_on_and_one_more_waits() {
    let bounds = Bounds {
        customers_max: Some(10),
        liability_max: BTreeMap::from([(currency("EUR"), Minor(70))]),
        growth_max: Some(3),
    };
    let of = |customers, grants| {
        weigh(
            &figures(customers, &[code("A", grants, WorstCase::Each(eur(7)))]),
            &bounds,
            Some(3),
        )
    };
    assert_eq!(of(9, 10), []);
    assert_eq!(of(10, 10), [Beyond::Growth { largest: 3, max: 9 }]);
    let all = [
        Beyond::Customers { max: 10 },
        Beyond::Growth { largest: 3, max: 9 },
        Beyond::Liability {
            currency: currency("EUR"),
            amount: Minor(77),
            max: Minor(70),
        },
    ];
    assert_eq!(of(11, 11), all);
    // A first run has nothing to be compared with.
    assert_eq!(weigh(&figures(10, &[]), &bounds, None), []);
}

#[test]
fn where_cost_is_bounded_what_nobody_knows_waits_and_so_does_another_currency() {
    let bounds = Bounds {
        liability_max: BTreeMap::from([(currency("EUR"), Minor(70))]),
        ..Bounds::default()
    };
    let spins = code("A", 1, WorstCase::Unknown);
    assert_eq!(
        weigh(&figures(1, std::slice::from_ref(&spins)), &bounds, None),
        [Beyond::LiabilityUnknown]
    );
    let pound = Money {
        amount: Minor(1),
        currency: currency("GBP"),
    };
    let other = code("B", 1, WorstCase::Each(pound));
    let expected = Beyond::Liability {
        currency: currency("GBP"),
        amount: Minor(1),
        max: Minor(0),
    };
    assert_eq!(weigh(&figures(1, &[other]), &bounds, None), [expected]);
    assert_eq!(weigh(&figures(1, &[spins]), &Bounds::default(), None), []);
}

#[test]
fn a_promotion_has_bounds_of_its_own() {
    let bounded = |grants, worst| CodeWeight {
        grants_max: Some(10),
        liability_max: Some(Minor(70)),
        ..code("A", grants, worst)
    };
    let of = |code| weigh(&figures(1, &[code]), &Bounds::default(), None);
    assert_eq!(of(bounded(10, WorstCase::Each(eur(7)))), []);
    let name = || "A".to_owned();
    assert_eq!(
        of(bounded(11, WorstCase::Each(eur(7)))),
        [
            Beyond::PromotionGrants {
                code: name(),
                max: 10
            },
            Beyond::PromotionLiability {
                code: name(),
                amount: Some(Minor(77)),
                max: Minor(70)
            },
        ]
    );
    let unknown = Beyond::PromotionLiability {
        code: name(),
        amount: None,
        max: Minor(70),
    };
    assert_eq!(of(bounded(1, WorstCase::Unknown)), [unknown]);
    assert_eq!(of(bounded(0, WorstCase::Unknown)), []);
}

#[test]
fn what_was_approved_covers_no_more_than_was_in_view() {
    let of = |customers, grants| {
        figures(customers, &[code("A", grants, WorstCase::Each(eur(7)))]).totals()
    };
    let approved = of(10, 10);
    assert!(of(10, 10).are_within(&approved) && of(9, 8).are_within(&approved));
    assert!(!of(11, 10).are_within(&approved));
    assert!(!of(10, 11).are_within(&approved));
    let unknown = Totals {
        unknown: 1,
        ..of(1, 1)
    };
    assert!(!unknown.are_within(&approved));
    let dearer = figures(1, &[code("A", 1, WorstCase::Each(eur(71)))]).totals();
    assert!(!dearer.are_within(&approved));
}
