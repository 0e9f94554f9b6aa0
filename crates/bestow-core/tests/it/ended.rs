use bestow_core::ended::{Candidate, EndedAction, day_span, ended_at, sent_on};
use bestow_core::{LeadTime, Zone};
use jiff::civil::{Date, date};

use crate::{at, table};

const SENT: Date = date(2027, 3, 25);

fn number(cell: &str) -> Option<i64> {
    (cell != "-").then(|| cell.parse().expect("a number"))
}

fn days(cell: &str) -> Option<u16> {
    number(cell).map(|days| u16::try_from(days).expect("days"))
}

#[test]
fn which_of_two_grants_a_row_means() {
    // Grant 0 holds action 24 on channel 504, of a campaign on 504 and 505 over 7 days. Grant 1 is
    // described by each case.
    let cases = table::<10>(
        "
        # row: action | channel | sent | days || grant 1: action | channel | campaign | sent | days | meant
        24 | 504 | 25 | 7 | 24 | 504 | 504     | 25 | 7 | 0 1
        24 | 504 | 25 | 7 | 24 | 504 | 504     | 25 | 5 | 0
        24 | 504 | 25 | 5 | 24 | 504 | 504     | 25 | 5 | 1
        24 | 504 | 25 | 5 | 24 | 504 | 504     | 25 | - | 1
        24 | 504 | 25 | - | 24 | 504 | 504     | 25 | 5 | 0 1
        24 | 504 | 25 | 7 | 30 | 504 | 504     | 25 | 7 | 0
        30 | 504 | 25 | 7 | 30 | 504 | 504     | 25 | 7 | 1
        30 | 504 | 25 | 7 | 0  | 504 | 504     | 25 | 7 | 1
        -  | 504 | 25 | 7 | 30 | 504 | 504     | 25 | 7 | 0 1
        24 | 504 | 24 | 7 | 24 | 504 | 504     | 25 | 7 |
        24 | 504 | 24 | 7 | 24 | 504 | 504     | 24 | 7 | 1

        # Its own channel before another one of the campaign.
        24 | 505 | 25 | 7 | 24 | 505 | 505     | 25 | 7 | 1
        24 | 505 | 25 | 7 | 30 | 505 | 505     | 25 | 7 | 0
        24 | 505 | 25 | 7 | 24 | 506 | 506 505 | 25 | 7 | 0 1
        24 | 506 | 25 | 7 | 24 | 504 | 0       | 25 | 7 | 1
        24 | 506 | 25 | 7 | 24 | 0   | 504     | 25 | 7 | 1
        24 | 599 | 25 | 7 | 24 | 504 | 504     | 25 | 7 |
        24 | -   | 25 | 7 | 24 | 506 | 506     | 25 | 7 | 0 1
        ",
    );
    let on = |cell: &str| date(2027, 3, cell.parse().expect("a day"));
    for case in cases {
        let [
            action,
            channel,
            sent,
            lasted,
            its,
            on_channel,
            of,
            its_sent,
            its_days,
            meant,
        ] = case;
        let row = EndedAction {
            action: number(action),
            channel: number(channel),
            sent_on: on(sent),
            duration_days: days(lasted),
        };
        let channels: Vec<i64> = of.split(' ').map(|one| one.parse().expect("one")).collect();
        let held = [
            Candidate {
                action: 24,
                channel: 504,
                campaign_channels: &[504, 505],
                sent_on: SENT,
                duration_days: Some(7),
            },
            Candidate {
                action: number(its).expect("told"),
                channel: number(on_channel).expect("told"),
                campaign_channels: &channels,
                sent_on: on(its_sent),
                duration_days: days(its_days),
            },
        ];
        let places: Vec<usize> = meant
            .split_whitespace()
            .map(|n| n.parse().expect("n"))
            .collect();
        assert_eq!(row.ends(&held), places, "{case:?}");
    }
    let row = EndedAction {
        action: None,
        channel: None,
        sent_on: SENT,
        duration_days: None,
    };
    assert_eq!(row.ends(&[]), [0; 0]);
}

#[test]
fn the_lead_time_is_taken_off_the_start() {
    let vienna = Zone::parse("Europe/Vienna").expect("a zone");
    let lead = |days| LeadTime::from_days(days).expect("days");
    // 23:30 in Vienna, and the same instant on the next day in UTC.
    let start = at("2027-03-27T22:30:00Z");
    assert_eq!(sent_on(start, lead(0), &vienna), Ok(date(2027, 3, 27)));
    assert_eq!(sent_on(start, lead(2), &vienna), Ok(SENT));
    // 00:30 on the day after the clocks went forward.
    let start = at("2027-03-28T22:30:00Z");
    assert_eq!(sent_on(start, lead(4), &vienna), Ok(SENT));
    assert_eq!(sent_on(start, lead(4), &Zone::utc()), Ok(date(2027, 3, 24)));
}

#[test]
fn days_are_as_long_as_the_clocks_say() {
    let vienna = Zone::parse("Europe/Vienna").expect("a zone");
    let span = |day| day_span(day, &vienna).expect("a day");
    assert_eq!(
        span(date(2027, 3, 28)),
        (at("2027-03-27T23:00:00Z"), at("2027-03-28T22:00:00Z"))
    );
    assert_eq!(
        span(date(2027, 10, 31)),
        (at("2027-10-30T22:00:00Z"), at("2027-10-31T23:00:00Z"))
    );
    assert!(day_span(Date::MAX, &vienna).is_err());
}

#[test]
fn a_late_list_ends_grants_in_the_past() {
    let end = at("2027-04-02T00:00:00Z");
    let in_time = at("2027-04-01T05:00:00Z");
    assert_eq!(ended_at(in_time, end), in_time);
    assert_eq!(ended_at(at("2027-04-03T05:00:00Z"), end), end);
}
