//! What destinations are told of a grant, and when.

use std::collections::BTreeSet;

use bestow_core::announce::{
    Change, Due, GrantEvent, Later, Span, Tells, due, start_told_at, tells,
};
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
        # It was over at the moment at which it was taken back.
        end    | 5  | 3         | 5       | Tell
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

/// What the changes up to one instant leave to be told: the instant, whether it is a start, the change.
fn dues(changes: &[Change]) -> BTreeSet<(i64, bool, usize)> {
    let of = |(place, change): (usize, &Change)| {
        let start = start_told_at(change.tells, change.span, change.made_at);
        let start = change.tells.start.then_some((start, true, place));
        let end = change.span.ends_at.filter(|_| change.tells.end);
        start.into_iter().chain(end.map(|at| (at, false, place)))
    };
    changes.iter().enumerate().flat_map(of).collect()
}

/// Announces as the service does, which looks at these instants only: what is due by then is noted in the order of time.
/// Gives starts and ends as they are told.
fn history(changes: &[(i64, Span)], looks: &BTreeSet<i64>) -> Vec<(i64, bool)> {
    let change = |(place, (made_at, span)): (usize, &(i64, Span))| {
        let before = place.checked_sub(1).map(|place| changes[place].1);
        let tells = tells(before, *span, *made_at);
        Change {
            tells,
            span: *span,
            made_at: *made_at,
        }
    };
    let changes: Vec<Change> = changes.iter().enumerate().map(change).collect();
    let (mut told, mut noted) = (Vec::new(), BTreeSet::new());
    for look in looks {
        let there = changes.partition_point(|change| change.made_at <= *look);
        let there = &changes[..there];
        for due in dues(there) {
            let (at, is_start, place) = due;
            if at > *look || !noted.insert(due) {
                continue;
            }
            let later = there.get(place + 1).map(|first| Later {
                made_at: first.made_at,
                span: there[there.len() - 1].span,
            });
            let is_told = if is_start {
                there[place].is_start(at, *look, later)
            } else {
                there[place].is_end(at, later)
            };
            if is_told {
                told.push((at, is_start));
            }
        }
    }
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

    /// However a grant's window changes, and however seldom anybody looks: whether the last thing told is its start or
    /// its end agrees with the clock, and each start has an instant of its own, since a key is made of it.
    #[test]
    fn once_all_is_told_it_agrees_with_the_clock(
        changes in any_changes(),
        mut looks in prop::collection::btree_set(0_i64..100, 0..6),
        until in 100_i64..200,
    ) {
        looks.insert(until);
        let told = history(&changes, &looks);
        let last = changes.last().expect("at least one").1;
        let is_alive = !last.is_over(until);
        let last_told = told.last().map(|(_, is_start)| *is_start);
        prop_assert_eq!(last_told, Some(is_alive), "{:?} {:?}", changes, told);
        let starts: Vec<_> = told.iter().filter(|(_, is_start)| *is_start).collect();
        let each: BTreeSet<_> = starts.iter().collect();
        prop_assert_eq!(each.len(), starts.len(), "{:?} {:?}", changes, told);
    }
}
