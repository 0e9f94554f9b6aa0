use bestow_core::campaign::{LatestEnd, ListedEnds};
use bestow_core::retention::{
    LeavingFacts, Month, RETENTION_DAYS_MAX, Stays, cutoff, may_leave, next_month,
};
use jiff::Timestamp;

use crate::table;

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

#[test]
fn a_campaign_leaves_once_all_of_it_has_ended_and_nothing_is_to_be_done() {
    let rows = table(
        "# latest end           | ended of granted | work | expected
        2027-03-01T00:00:00Z    | 0/10             | no   | leaves
        2027-03-01T00:00:00Z    | 0/10             | yes  | busy
        2027-04-01T00:00:00Z    | 0/10             | no   | leaves
        2027-04-01T00:00:00.001Z| 0/10             | no   | not ended
        open                    | 0/10             | no   | not ended
        open                    | 9/10             | no   | not ended
        open                    | 10/10            | no   | leaves
        2028-01-01T00:00:00Z    | 10/10            | no   | leaves
        open                    | 0/0              | no   | not ended
        none                    | 0/0              | no   | not ended
        none                    | 0/0              | yes  | busy",
    );
    for [end, listed, work, expected] in rows {
        let (ended, grants) = listed.split_once('/').expect("two numbers");
        let facts = LeavingFacts {
            latest_end: match end {
                "open" => LatestEnd::Open,
                "none" => LatestEnd::NoGrants,
                end => LatestEnd::At(at(end)),
            },
            listed: ListedEnds {
                grants: grants.parse().expect("a number"),
                ended: ended.parse().expect("a number"),
                given_up_at: None,
            },
            has_work: work == "yes",
        };
        let expected = match expected {
            "leaves" => Ok(()),
            "busy" => Err(Stays::Busy),
            _ => Err(Stays::NotEnded),
        };
        assert_eq!(
            may_leave(&facts, at("2027-04-01T00:00:00Z")),
            expected,
            "{facts:?}"
        );
    }
}

#[test]
fn kept_for_whole_days_back_from_now() {
    let now = at("2027-03-29T12:00:00Z");
    assert_eq!(cutoff(now, 1), at("2027-03-28T12:00:00Z"));
    assert_eq!(cutoff(now, 400), at("2026-02-22T12:00:00Z"));
    assert!(cutoff(Timestamp::MIN, RETENTION_DAYS_MAX) == Timestamp::MIN);
}

#[test]
fn months_follow_each_other_and_leave_once_they_are_over_for_long_enough() {
    let rows = table(
        "# first seen          | archived until       | cutoff                  | next
        2027-01-31T23:59:59Z   | -                    | 2027-02-01T00:00:00Z    | 2027-01
        2027-01-31T23:59:59Z   | -                    | 2027-01-31T23:59:59Z    | -
        2027-01-15T00:00:00Z   | 2027-02-01T00:00:00Z | 2027-02-28T00:00:00Z    | -
        2027-01-15T00:00:00Z   | 2027-02-01T00:00:00Z | 2027-03-01T00:00:00Z    | 2027-02
        2027-01-15T00:00:00Z   | 2028-01-01T00:00:00Z | 2028-03-09T00:00:00Z    | 2028-01",
    );
    for [first, archived, cutoff, expected] in rows {
        let archived = (archived != "-").then(|| at(archived));
        let next = next_month(at(first), archived, at(cutoff)).map(|month| month.to_string());
        assert_eq!(next.as_deref().unwrap_or("-"), expected, "{first}");
    }
    let month = Month::of(at("2027-12-31T23:59:59.999Z"));
    assert_eq!(month.end(), at("2028-01-01T00:00:00Z"));
    assert_eq!(Month::of(month.end()).to_string(), "2028-01");
}
