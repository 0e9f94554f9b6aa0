//! What destinations are told of a grant, and when.

use bestow_core::announce::{Due, GrantEvent, Span, Tells, due, is_replaced, tells};
use proptest::prelude::*;

use crate::{properties, table};

/// `4-9`: from 4 to 9; `4-`: without an end; `none`.
fn span(text: &str) -> Option<Span> {
    let (starts, ends) = text.split_once('-')?;
    Some(Span {
        starts_at: starts.parse().expect("a number"),
        ends_at: ends.parse().ok(),
    })
}

fn words(tells: Tells) -> String {
    let words = [
        (tells.creation, "creation"),
        (tells.start, "start"),
        (tells.end, "end"),
    ];
    let said: Vec<_> = words
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, word)| *word)
        .collect();
    said.join(" ")
}

#[test]
fn a_change_tells_what_it_brings() {
    let cases = "
        # before | after | now | told
        none     | 4-9   | 1   | creation start end
        none     | 4-    | 1   | creation start
        none     | 4-9   | 6   | creation start end
        # It was over before anybody heard of it: it never starts.
        none     | 4-9   | 9   | creation end
        # Its start was told, or is about to be, by whatever set it.
        4-9      | 4-12  | 5   | end
        4-9      | 2-12  | 4   | end
        4-9      | 2-12  | 3   | start end
        4-9      | 4-6   | 5   | end
        # The list ended it before now: that is told at once.
        4-9      | 4-5   | 6   | end
        4-       | 4-5   | 6   | end
        # It was over, and comes to life again.
        4-9      | 4-20  | 10  | start end
        4-9      | 4-8   | 10  |
    ";
    for [before, after, now, told] in table(cases) {
        let now = now.parse().expect("a number");
        let said = tells(span(before), span(after).expect("a span"), now);
        assert_eq!(words(said), told, "{before} to {after} at {now}");
        assert_eq!(Tells::from_bits(said.bits()), said);
    }
}

#[test]
fn of_what_is_stopped_no_start_is_told() {
    let cases = "
        # what | at | suspended | revoked | becomes
        start  | 5  | -         | -       | Tell
        start  | 5  | 3         | -       | Wait
        start  | 5  | 3         | 7       | Drop
        start  | 5  | -         | 7       | Drop
        end    | 5  | -         | -       | Tell
        end    | 5  | 3         | -       | Tell
        end    | 5  | 3         | 7       | Tell
        end    | 5  | 3         | 5       | Drop
        end    | 5  | -         | 4       | Drop
    ";
    for [what, at, suspended, revoked, becomes] in table(cases) {
        let number = |text: &str| text.parse().ok();
        let said = due(
            what == "start",
            at.parse().expect("a number"),
            number(suspended),
            number(revoked),
        );
        let expected = match becomes {
            "Tell" => Due::Tell,
            "Wait" => Due::Wait,
            _ => Due::Drop,
        };
        assert_eq!(said, expected, "{what} {suspended} {revoked}");
    }
}

#[test]
fn what_gives_is_named() {
    for event in GrantEvent::ALL {
        let gives = ["grant.created", "grant.activated", "grant.resumed"];
        assert_eq!(event.gives(), gives.contains(&event.as_str()), "{event}");
    }
}

/// Announces as the service does: each change says what is to be told, the instant comes, a later change may void it.
fn history(changes: &[(i64, Span)], until: i64) -> Vec<(i64, bool)> {
    let mut told = Vec::new();
    for (place, (made_at, span)) in changes.iter().enumerate() {
        let before = place.checked_sub(1).map(|place| changes[place].1);
        let tells = tells(before, *span, *made_at);
        let next = changes.get(place + 1).map_or(i64::MAX, |next| next.0);
        let instants = [
            tells.start.then_some((span.starts_at, true)),
            span.ends_at.filter(|_| tells.end).map(|at| (at, false)),
        ];
        for (at, is_start) in instants.into_iter().flatten() {
            if at <= until && !is_replaced(at, next) {
                told.push((at.max(*made_at), is_start));
            }
        }
    }
    told.sort_unstable();
    told
}

fn any_changes() -> impl Strategy<Value = Vec<(i64, Span)>> {
    let change = (1_i64..20, 0_i64..60, prop::option::of(1_i64..60));
    prop::collection::vec(change, 1..5).prop_map(|steps| {
        let mut now = 0;
        let change = |(step, starts_at, lasts): (i64, i64, Option<i64>)| {
            now += step;
            let span = Span {
                starts_at,
                ends_at: lasts.map(|lasts| starts_at + lasts),
            };
            (now, span)
        };
        steps.into_iter().map(change).collect()
    })
}

proptest! {
    #![proptest_config(properties())]

    /// However a grant's window changes: whether the last thing told is its start or its end agrees with the clock.
    #[test]
    fn once_all_is_told_it_agrees_with_the_clock(changes in any_changes(), until in 100_i64..200) {
        let told = history(&changes, until);
        let last = changes.last().expect("at least one").1;
        let is_over = last.is_over(until);
        // Of a grant whose end is known and past, the end was told, and nothing that gives came behind it.
        if is_over {
            let (ends, starts): (Vec<_>, Vec<_>) = told.iter().partition(|(_, is_start)| !is_start);
            prop_assert!(!ends.is_empty(), "{changes:?} {told:?}");
            if let (Some((end, _)), Some((start, _))) = (ends.last(), starts.last()) {
                prop_assert!(start <= end, "{changes:?} {told:?}");
            }
        }
    }
}
