use bestow_core::cancel::{
    DetailsSaid, Evidence, LIST_WINDOW_SECONDS, ListSaid, ListWindow, Settlement, Unconfirmed,
    look, settle,
};

use crate::table;

fn list(word: &str) -> ListSaid {
    match word {
        "customers" => ListSaid::Customers,
        "nobody" => ListSaid::Nobody,
        "not-there" => ListSaid::NotThere,
        "unreadable" => ListSaid::Unreadable,
        other => panic!("no such answer: {other}"),
    }
}

fn details(word: &str) -> DetailsSaid {
    match word {
        "cancelled" => DetailsSaid::Cancelled,
        "successful" => DetailsSaid::Successful,
        "nothing" => DetailsSaid::NothingOfUse,
        "unknown" => DetailsSaid::UnknownCampaign,
        "unreadable" => DetailsSaid::Unreadable,
        other => panic!("no such answer: {other}"),
    }
}

fn evidence(word: &str) -> Option<Evidence> {
    match word {
        "-" => None,
        "confirms" => Some(Evidence::Confirms),
        "contradicts" => Some(Evidence::Contradicts),
        "cannot-tell" => Some(Evidence::CannotTell),
        other => panic!("no such evidence: {other}"),
    }
}

fn window(word: &str) -> ListWindow {
    match word {
        "open" => ListWindow::Open,
        "over" => ListWindow::Over,
        other => panic!("no such window: {other}"),
    }
}

#[test]
fn what_a_look_is_worth() {
    let cases = table::<4>(
        "
        # list     | details    | window | evidence
        customers  | cancelled  | open | confirms
        customers  | successful | open | confirms
        customers  | unknown    | open | confirms
        customers  | unreadable | over | confirms
        nobody     | cancelled  | open | confirms
        nobody     | cancelled  | over | confirms
        not-there  | cancelled  | open | confirms
        unreadable | cancelled  | over | confirms

        # Only a list that was given, in time, beside a campaign that ran.
        nobody     | successful | open | contradicts
        nobody     | successful | over | cannot-tell
        nobody     | nothing    | open | cannot-tell
        nobody     | unknown    | open | cannot-tell
        nobody     | unreadable | open | cannot-tell
        not-there  | successful | open | cannot-tell
        not-there  | unknown    | open | cannot-tell
        unreadable | successful | open | cannot-tell
        ",
    );
    for [said, told, when, worth] in cases {
        let found = look(list(said), details(told), window(when));
        assert_eq!(Some(found), evidence(worth), "{said}, {told}, {when}");
    }
}

#[test]
fn what_two_looks_come_to() {
    let cases = table::<5>(
        "
        # before    | now         | window | by default  | where the tenant says suspend
        -           | confirms    | open | revoke        | revoke
        -           | confirms    | over | revoke        | revoke
        contradicts | confirms    | open | revoke        | revoke
        cannot-tell | confirms    | over | revoke        | revoke

        -           | contradicts | open | again         | again
        -           | cannot-tell | open | again         | again
        -           | cannot-tell | over | unconfirmed   | keep

        contradicts | contradicts | open | lift          | lift
        contradicts | cannot-tell | open | unconfirmed   | keep
        contradicts | cannot-tell | over | unconfirmed   | keep
        cannot-tell | contradicts | open | unconfirmed   | keep
        cannot-tell | cannot-tell | open | unconfirmed   | keep
        ",
    );
    for [before, now, when, revoke, suspend] in cases {
        for (wanted, unconfirmed) in [
            (revoke, Unconfirmed::Revoke),
            (suspend, Unconfirmed::Suspend),
        ] {
            let now_seen = evidence(now).expect("a look");
            let found = match settle(evidence(before), now_seen, window(when), unconfirmed) {
                Settlement::Revoke => "revoke",
                Settlement::Lift => "lift",
                Settlement::RevokeUnconfirmed => "unconfirmed",
                Settlement::KeepSuspended => "keep",
                Settlement::LookAgain => "again",
            };
            assert_eq!(found, wanted, "{before}, {now}, {when}, {unconfirmed}");
        }
    }
}

#[test]
fn a_status_says_cancelled_in_any_spelling() {
    let cases = [
        (Some("Canceled"), DetailsSaid::Cancelled),
        (Some("CANCELLED"), DetailsSaid::Cancelled),
        (Some("cancelled by user"), DetailsSaid::Cancelled),
        (Some(" Successful "), DetailsSaid::Successful),
        (Some("Unsuccessful"), DetailsSaid::NothingOfUse),
        (Some("Failed"), DetailsSaid::NothingOfUse),
        (Some(""), DetailsSaid::NothingOfUse),
        (None, DetailsSaid::NothingOfUse),
    ];
    for (status, said) in cases {
        assert_eq!(DetailsSaid::of_status(status), said, "{status:?}");
    }
}

#[test]
fn the_window_is_two_hours_to_the_millisecond() {
    let hours = LIST_WINDOW_SECONDS * 1_000;
    assert_eq!(hours, 2 * 60 * 60 * 1_000);
    assert_eq!(ListWindow::at(5, 5), ListWindow::Open);
    assert_eq!(ListWindow::at(5 + hours - 1, 5), ListWindow::Open);
    assert_eq!(ListWindow::at(5 + hours, 5), ListWindow::Over);
    // A clock that went back.
    assert_eq!(ListWindow::at(5, 5 + hours), ListWindow::Open);
}
