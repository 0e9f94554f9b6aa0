//! One delivery: what follows from a try, waits, and the order of deliveries.

use std::collections::BTreeMap;

use bestow_core::delivery::{
    DeliveryState, FAILURES_MAX, Keys, Next, Order, Retry, Tried, Tries, next, rest_ms, wait_ms,
};
use proptest::prelude::*;

use crate::{properties, table};

const RETRY: Retry = Retry {
    first_ms: 1_000,
    most_ms: 60_000,
    give_up_ms: 259_200_000,
};

fn tried(text: &str) -> Tried {
    match text {
        "accepted" => Tried::Accepted,
        "refused" => Tried::Refused,
        "busy" => Tried::Busy(None),
        "failed" => Tried::Failed,
        "not sent" => Tried::NotSent,
        "lost" => Tried::Lost,
        other => panic!("{other}"),
    }
}

#[test]
fn a_status_says_what_became_of_it() {
    for (status, expected) in [
        (200, Tried::Accepted),
        (204, Tried::Accepted),
        (299, Tried::Accepted),
        (301, Tried::Refused),
        (307, Tried::Refused),
        (400, Tried::Refused),
        (401, Tried::Refused),
        (404, Tried::Refused),
        (408, Tried::Busy(Some(7))),
        (409, Tried::Busy(Some(7))),
        (410, Tried::Refused),
        (422, Tried::Refused),
        (425, Tried::Busy(Some(7))),
        (429, Tried::Busy(Some(7))),
        (500, Tried::Failed),
        (502, Tried::Failed),
        (503, Tried::Busy(Some(7))),
        (504, Tried::Failed),
        (100, Tried::Refused),
        (999, Tried::Refused),
    ] {
        assert_eq!(Tried::from_status(status, Some(7)), expected, "{status}");
    }
}

#[test]
fn what_follows_from_a_try() {
    let cases = "
        # keys  | try      | doubt before | late | becomes
        honoured | accepted | no  | no  | delivered
        honoured | accepted | yes | yes | delivered
        honoured | refused  | no  | no  | dead
        honoured | refused  | yes | no  | unknown
        honoured | busy     | no  | no  | again
        honoured | failed   | no  | no  | again
        honoured | not sent | no  | no  | again
        honoured | lost     | no  | no  | again
        honoured | busy     | no  | yes | dead
        honoured | busy     | yes | yes | unknown
        honoured | not sent | no  | yes | dead
        honoured | lost     | no  | yes | unknown
        honoured | failed   | no  | yes | unknown
        # What may have been applied is never sent again by itself to whoever ignores keys.
        ignored  | accepted | no  | no  | delivered
        ignored  | refused  | no  | no  | dead
        ignored  | busy     | no  | no  | again
        ignored  | not sent | no  | no  | again
        ignored  | failed   | no  | no  | unknown
        ignored  | lost     | no  | no  | unknown
        ignored  | not sent | no  | yes | dead
    ";
    for [keys, attempt, doubt, late, becomes] in table(cases) {
        let now = if late == "yes" { RETRY.give_up_ms } else { 5 };
        let tries = Tries {
            count: 1,
            first_at: 0,
            was_in_doubt: doubt == "yes",
        };
        let keys = Keys::parse(keys).expect("a name");
        let follows = match next(keys, tried(attempt), tries, RETRY, now, 9) {
            Next::Again(_) => "again",
            Next::Settled(state) => state.as_str(),
        };
        assert_eq!(follows, becomes, "{keys} {attempt} {doubt} {late}");
    }
}

#[test]
fn a_destination_that_says_when_is_obeyed() {
    let tries = Tries {
        count: 1,
        first_at: 0,
        was_in_doubt: false,
    };
    let busy = Tried::Busy(Some(90_000));
    let follows = next(Keys::Honoured, busy, tries, RETRY, 10, 0);
    assert_eq!(follows, Next::Again(90_010));
    // Not beyond the time that there is.
    let never = Tried::Busy(Some(RETRY.give_up_ms + 1));
    let follows = next(Keys::Honoured, never, tries, RETRY, 0, 0);
    assert_eq!(follows, Next::Settled(DeliveryState::Dead));
}

#[test]
fn a_destination_rests_after_five_failures_in_a_row() {
    for failures in 0..FAILURES_MAX {
        assert_eq!(rest_ms(failures, RETRY, 0), None);
    }
    assert_eq!(rest_ms(FAILURES_MAX, RETRY, 0), Some(500));
    assert_eq!(rest_ms(FAILURES_MAX + 3, RETRY, 0), Some(4_000));
    assert_eq!(
        rest_ms(u64::MAX, RETRY, u64::MAX),
        rest_ms(FAILURES_MAX + 60, RETRY, u64::MAX)
    );
}

#[test]
fn deliveries_that_share_a_grant_keep_their_order() {
    let mut order = Order::default();
    order.push(1, ["a", "b", "a"]);
    order.push(2, ["c"]);
    order.push(3, ["b", "c"]);
    order.push(4, ["b"]);
    let free = |order: &Order<&str>| {
        (1..=4)
            .filter(|one| order.is_free(*one))
            .collect::<Vec<_>>()
    };
    assert_eq!(free(&order), [1, 2]);
    assert_eq!(order.settle(2), [0; 0]);
    assert_eq!(free(&order), [1]);
    assert_eq!(order.settle(1), [3]);
    assert_eq!(order.settle(3), [4]);
    assert_eq!(order.settle(4), [0; 0]);
    assert!(order.is_empty());
    assert_eq!(order.settle(4), [0; 0]);
}

proptest! {
    #![proptest_config(properties())]

    #[test]
    fn waits_grow_to_their_bound_and_no_further(tries in 1_u64..200, spread in any::<u64>()) {
        let wait = wait_ms(RETRY, tries, spread);
        prop_assert!((RETRY.first_ms / 2..=RETRY.most_ms).contains(&wait));
        prop_assert!(wait >= wait_ms(RETRY, tries, 0));
        prop_assert!(wait_ms(RETRY, tries, 0) <= wait_ms(RETRY, tries + 1, 0));
    }

    /// Whatever is settled first: each grant's deliveries are free one after the other, in their order, and in the end
    /// all of them were.
    #[test]
    fn no_delivery_overtakes_another_of_the_same_grant(
        deliveries in prop::collection::vec(prop::collection::vec(0_u8..6, 1..4), 1..30),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 30),
    ) {
        let mut order = Order::default();
        for (place, grants) in deliveries.iter().enumerate() {
            order.push(place as u64, grants.iter().copied());
        }
        let (mut last, mut left): (BTreeMap<u8, u64>, Vec<u64>) =
            (BTreeMap::new(), (0..deliveries.len() as u64).collect());
        for pick in picks.iter().take(deliveries.len()) {
            let free: Vec<u64> = left.iter().copied().filter(|one| order.is_free(*one)).collect();
            prop_assert!(!free.is_empty());
            let one = free[pick.index(free.len())];
            for grant in &deliveries[one as usize] {
                let before = last.insert(*grant, one);
                prop_assert!(before.is_none_or(|before| before <= one));
            }
            order.settle(one);
            left.retain(|other| *other != one);
        }
        prop_assert!(order.is_empty());
    }
}
