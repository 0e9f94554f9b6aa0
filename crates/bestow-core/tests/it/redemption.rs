use bestow_core::redemption::{Take, Terms, UsedSoFar, VersionFacts, Worth, periods, version_of};
use bestow_core::{Minor, Refusal};
use proptest::prelude::*;

use crate::tick;

const NEVER_USED: UsedSoFar = UsedSoFar {
    redeemed: 0,
    taken: Minor::ZERO,
};

fn terms(worth: Worth) -> Terms {
    Terms {
        worth,
        ..Terms::ONE_USE
    }
}

fn take(amount: impl Into<Option<i64>>, left: impl Into<Option<i64>>, uses_up: bool) -> Take {
    Take {
        amount: amount.into().map(Minor),
        left: left.into().map(Minor),
        uses_up,
    }
}

#[test]
fn what_a_redemption_takes_by_example() {
    let whole = terms(Worth::Whole(Minor(500)));
    let at_most = terms(Worth::AtMost(Minor(500)));
    let parts = terms(Worth::InParts(Minor(500)));
    let more = Err(Refusal::LimitReached);
    let cases = [
        (Terms::ONE_USE, None, Ok(take(None, None, true))),
        (Terms::ONE_USE, Some(7), Ok(take(7, None, true))),
        (at_most, None, Ok(take(None, None, true))),
        (at_most, Some(500), Ok(take(500, None, true))),
        (at_most, Some(501), more),
        (whole, None, Ok(take(500, None, true))),
        (whole, Some(499), Ok(take(499, None, true))),
        (whole, Some(501), more),
        (parts, None, Ok(take(500, 0, true))),
        (parts, Some(499), Ok(take(499, 1, false))),
        (parts, Some(501), more),
    ];
    for (terms, asked, expected) in cases {
        let taken = terms.take(NEVER_USED, asked.map(Minor));
        assert_eq!(taken, expected, "{terms:?} {asked:?}");
    }
    let used = UsedSoFar {
        redeemed: 2,
        taken: Minor(500),
    };
    assert_eq!(parts.take(used, None), Err(Refusal::AlreadyRedeemed));
    let beyond = UsedSoFar {
        redeemed: 1,
        taken: Minor(i64::MIN),
    };
    assert_eq!(parts.take(beyond, None), Err(Refusal::AlreadyRedeemed));
}

#[test]
fn a_grant_of_several_uses_is_used_up_by_its_last() {
    let thrice = Terms {
        uses_max: 3,
        ..Terms::ONE_USE
    };
    let uses_up = |redeemed| {
        let so_far = UsedSoFar {
            redeemed,
            ..NEVER_USED
        };
        thrice.take(so_far, None).map(|take| take.uses_up)
    };
    assert_eq!([0, 1, 2].map(uses_up), [Ok(false), Ok(false), Ok(true)]);
}

proptest! {
    #![proptest_config(crate::properties())]

    #[test]
    fn parts_add_up_to_the_whole(whole in 1_i64.., asked in prop::collection::vec(1_i64.., 0..20)) {
        let terms = terms(Worth::InParts(Minor(whole)));
        let (mut so_far, mut is_used_up) = (NEVER_USED, false);
        for asked in asked.into_iter().map(Some).chain([None]) {
            match terms.take(so_far, asked.map(Minor)) {
                Ok(take) => {
                    prop_assert!(!is_used_up);
                    so_far.redeemed += 1;
                    so_far.taken = so_far.taken.checked_add(take.amount_or_zero()).unwrap();
                    is_used_up = take.uses_up;
                    prop_assert_eq!(take.left, Some(Minor(whole - so_far.taken.0)));
                }
                Err(Refusal::AlreadyRedeemed) => prop_assert!(is_used_up),
                Err(refusal) => {
                    prop_assert_eq!(refusal, Refusal::LimitReached);
                    prop_assert!(asked.is_some_and(|asked| asked > whole - so_far.taken.0));
                }
            }
        }
        prop_assert_eq!((so_far.taken, is_used_up), (Minor(whole), true));
    }
}

#[test]
fn weeks_begin_on_monday() {
    let of = |day: &str| periods(day.parse().unwrap());
    assert_eq!(
        of("2027-03-25"),
        ["D2027-03-25", "W2027-03-22", "M2027-03-01"]
    );
    assert_eq!(
        of("2027-03-28"),
        ["D2027-03-28", "W2027-03-22", "M2027-03-01"]
    );
    assert_eq!(
        of("2027-03-29"),
        ["D2027-03-29", "W2027-03-29", "M2027-03-01"]
    );
    assert_eq!(
        of("2028-01-01"),
        ["D2028-01-01", "W2027-12-27", "M2028-01-01"]
    );
    assert_eq!(of("-009999-01-01")[2], "M-009999-01-01");
}

#[test]
fn a_grant_has_the_newest_version_that_could_be_granted_when_it_came() {
    let version = |version, at, is_grantable| VersionFacts {
        version,
        made_at: tick(at),
        is_grantable,
    };
    let versions = [
        version(1, 10, false),
        version(2, 20, true),
        version(3, 30, true),
        version(4, 40, false),
        version(5, 50, true),
    ];
    let of = |at| version_of(&versions, tick(at));
    // What came too early waited for the first that let it be granted.
    assert_eq!([5, 10, 15].map(of), [Some(2); 3]);
    assert_eq!(
        [20, 29, 30, 45, 50, 60].map(of),
        [2, 2, 3, 3, 5, 5].map(Some)
    );
    assert_eq!(version_of(&versions[..1], tick(60)), Some(1));
    assert_eq!(version_of(&[], tick(60)), None);
}
