use bestow_core::window::{
    Basis, DURATION_DAYS_MAX, Edge, LEAD_DAYS_MAX, Phase, WindowFault, instant_of, settle, union,
    window_and_walls, window_of,
};
use bestow_core::{Duration, Expiry, HoldReason, LeadTime, ScheduleTime, Window, Zone};
use jiff::Timestamp;
use jiff::civil::DateTime;
use proptest::prelude::*;

use crate::{at, table, tick, ticks, wall};

fn zone(name: &str) -> Zone {
    Zone::parse(name).unwrap_or_else(|fault| panic!("{fault}"))
}

fn schedule(text: &str) -> ScheduleTime {
    if text.ends_with('Z') {
        ScheduleTime::Instant(at(text))
    } else {
        ScheduleTime::Local(wall(text))
    }
}

fn lead(days: i64) -> LeadTime {
    LeadTime::from_days(days).expect("a lead time")
}

fn duration(days: i64) -> Duration {
    Duration::from_days(days).expect("a duration")
}

/// Rows of [`windows_by_example`]: zone, schedule time, lead days, duration days, start and end.
const WINDOWS: &str = "
# zone | schedule time | lead | days | starts at | ends at
# Plain days.
UTC                 | 2027-03-25T10:00    | 0   | 7    | 2027-03-25T10:00Z    | 2027-04-01T10:00Z
UTC                 | 2027-03-25T10:00    | 3   | 7    | 2027-03-28T10:00Z    | 2027-04-04T10:00Z
UTC                 | 2027-03-25T10:00    | 3   | 0    | 2027-03-28T10:00Z    | 2027-03-29T00:00Z
UTC                 | 2027-03-25T10:00Z   | 1   | 1    | 2027-03-26T10:00Z    | 2027-03-27T10:00Z
Asia/Kathmandu      | 2027-01-01T00:00    | 0   | 1    | 2026-12-31T18:15Z    | 2027-01-01T18:15Z
UTC | 2027-01-01T00:00:00.5 | 0 | 1 | 2027-01-01T00:00:00.5Z | 2027-01-02T00:00:00.5Z

# The rest of the day, at its edges.
UTC                 | 2027-03-25T00:00    | 0   | 0    | 2027-03-25T00:00Z    | 2027-03-26T00:00Z
UTC                 | 2027-03-25T23:59:59 | 0   | 0    | 2027-03-25T23:59:59Z | 2027-03-26T00:00Z
America/New_York    | 2027-12-31T22:00    | 0   | 0    | 2028-01-01T03:00Z    | 2028-01-01T05:00Z
America/New_York    | 2028-01-01T03:00Z   | 0   | 0    | 2028-01-01T03:00Z    | 2028-01-01T05:00Z

# Seven days across the night of a clock change are an hour short, or an hour long.
Europe/Vienna       | 2027-03-25T10:00    | 0   | 7    | 2027-03-25T09:00Z    | 2027-04-01T08:00Z
Europe/Vienna       | 2027-10-28T10:00    | 0   | 7    | 2027-10-28T08:00Z    | 2027-11-04T09:00Z

# A start that the clocks skip; the end is counted from what was written.
Europe/Vienna       | 2027-03-28T02:30    | 0   | 7    | 2027-03-28T01:00Z    | 2027-04-04T00:30Z
Europe/Vienna       | 2027-03-25T02:30    | 3   | 7    | 2027-03-28T01:00Z    | 2027-04-04T00:30Z
Europe/Vienna       | 2027-03-25T01:30Z   | 3   | 1    | 2027-03-28T01:00Z    | 2027-03-29T00:30Z
# An end that the clocks skip.
Europe/Vienna       | 2027-03-27T02:30    | 0   | 1    | 2027-03-27T01:30Z    | 2027-03-28T01:00Z
# A start that comes twice, an end that comes twice.
Europe/Vienna       | 2027-10-24T02:30    | 7   | 1    | 2027-10-31T00:30Z    | 2027-11-01T01:30Z
Europe/Vienna       | 2027-10-24T02:30    | 0   | 7    | 2027-10-24T00:30Z    | 2027-10-31T01:30Z
# An instant in the second of two equal hours stays that instant; with lead time it is a
# wall-clock time.
Europe/Vienna       | 2027-10-31T01:30Z   | 0   | 1    | 2027-10-31T01:30Z    | 2027-11-01T01:30Z
Europe/Vienna       | 2027-10-30T00:30Z   | 1   | 7    | 2027-10-31T00:30Z    | 2027-11-07T01:30Z
# Half an hour of clock change.
Australia/Lord_Howe | 2027-10-03T02:15    | 0   | 1    | 2027-10-02T15:30Z    | 2027-10-03T15:15Z

# Short and long days to their midnight; a midnight that is skipped, one that comes twice.
Europe/Vienna       | 2027-03-28T01:00    | 0   | 0    | 2027-03-28T00:00Z    | 2027-03-28T22:00Z
Europe/Vienna       | 2027-10-31T01:00    | 0   | 0    | 2027-10-30T23:00Z    | 2027-10-31T23:00Z
Africa/Cairo        | 2027-04-29T10:00    | 0   | 0    | 2027-04-29T08:00Z    | 2027-04-29T22:00Z
Africa/Cairo        | 2027-04-30T00:30    | 0   | 0    | 2027-04-29T22:00Z    | 2027-04-30T21:00Z
America/Havana      | 2027-11-06T10:00    | 0   | 0    | 2027-11-06T14:00Z    | 2027-11-07T05:00Z
America/Havana      | 2027-11-07T00:00    | 0   | 0    | 2027-11-07T04:00Z    | 2027-11-08T05:00Z

# Samoa had no 30 December 2011. Both ends move to the day that came.
Pacific/Apia        | 2011-12-30T10:00    | 0   | 0    | 2011-12-30T10:00Z    | 2011-12-31T10:00Z
Pacific/Apia        | 2011-12-30T10:00    | 0   | 1    | 2011-12-30T10:00Z    | 2011-12-30T20:00Z
Pacific/Apia        | 2011-12-29T10:00    | 0   | 1    | 2011-12-29T20:00Z    | 2011-12-30T10:00Z

# Leap days, the end of 32-bit time, and the far ends of what is accepted.
UTC                 | 2028-02-29T12:00    | 0   | 1    | 2028-02-29T12:00Z    | 2028-03-01T12:00Z
UTC                 | 2028-02-28T12:00    | 1   | 365  | 2028-02-29T12:00Z    | 2029-02-28T12:00Z
UTC                 | 2027-02-28T12:00    | 1   | 365  | 2027-03-01T12:00Z    | 2028-02-29T12:00Z
UTC                 | 2038-01-19T03:14:07 | 0   | 1    | 2038-01-19T03:14:07Z | 2038-01-20T03:14:07Z
UTC                 | 2000-01-01T00:00    | 0   | 1    | 2000-01-01T00:00Z    | 2000-01-02T00:00Z
UTC                 | 2199-12-31T23:59:59 | 365 | 3650 | 2200-12-31T23:59:59Z | 2210-12-29T23:59:59Z
";

#[test]
fn windows_by_example() {
    let cases = table::<6>(WINDOWS);
    for [zone_name, sent, lead_days, days, starts_at, ends_at] in cases {
        let lead = lead(lead_days.parse().expect("days"));
        let duration = duration(days.parse().expect("days"));
        let made = window_of(
            schedule(sent),
            &zone(zone_name),
            lead,
            duration,
            Expiry::Duration,
        );
        let expected = Window {
            starts_at: at(starts_at),
            ends_at: Some(at(ends_at)),
        };
        assert_eq!(
            made,
            Ok(expected),
            "{zone_name} {sent} + {lead_days} for {days}"
        );
    }
}

#[test]
fn expiry_decides_whether_a_window_ends_by_itself() {
    let make = |expiry| {
        window_of(
            schedule("2027-03-25T10:00:00"),
            &Zone::utc(),
            LeadTime::NONE,
            duration(7),
            expiry,
        )
    };
    let end = Some(at("2027-04-01T10:00:00Z"));
    assert_eq!(make(Expiry::Duration).map(|window| window.ends_at), Ok(end));
    assert_eq!(make(Expiry::Both).map(|window| window.ends_at), Ok(end));
    assert_eq!(
        make(Expiry::EndedByDate).map(|window| window.ends_at),
        Ok(None)
    );
}

#[test]
fn absurd_years_are_refused() {
    let years = [
        ("1999-12-31T23:59:59", Err(WindowFault::ScheduleYear)),
        ("2200-01-01T00:00:00", Err(WindowFault::ScheduleYear)),
        ("9999-12-31T23:59:59", Err(WindowFault::ScheduleYear)),
        ("0001-01-01T00:00:00", Err(WindowFault::ScheduleYear)),
        ("-009999-01-01T00:00:00", Err(WindowFault::ScheduleYear)),
        ("9999-12-30T00:00:00Z", Err(WindowFault::ScheduleYear)),
        ("2199-12-31T23:59:59", Ok(())),
    ];
    for (text, expected) in years {
        for expiry in Expiry::ALL {
            let made = window_of(schedule(text), &Zone::utc(), lead(0), duration(1), *expiry);
            assert_eq!(made.map(|_| ()), expected, "{text}");
        }
    }
    // The year is that of the tenant's calendar, not of UTC.
    let new_year = schedule("1999-12-31T23:30:00Z");
    assert!(
        window_of(
            new_year,
            &zone("Europe/Vienna"),
            lead(0),
            duration(1),
            Expiry::Both
        )
        .is_ok()
    );
}

#[test]
fn the_ends_of_the_calendar_are_faults_not_panics() {
    for name in ["UTC", "Pacific/Kiritimati", "America/Adak", "Europe/Vienna"] {
        for edge in [Edge::Start, Edge::End] {
            let first = instant_of(DateTime::MIN, &zone(name), edge);
            let last = instant_of(DateTime::MAX, &zone(name), edge);
            assert!(
                first.is_ok() || first == Err(WindowFault::Calendar),
                "{name}"
            );
            assert!(last.is_ok() || last == Err(WindowFault::Calendar), "{name}");
        }
    }
    assert_eq!(
        instant_of(DateTime::MAX, &zone("America/Adak"), Edge::End),
        Err(WindowFault::Calendar)
    );
}

#[test]
fn days_are_bounded() {
    assert_eq!(LeadTime::from_days(0), Ok(LeadTime::NONE));
    assert_eq!(lead(LEAD_DAYS_MAX.into()).days(), LEAD_DAYS_MAX);
    assert_eq!(Duration::from_days(0), Ok(Duration::REST_OF_DAY));
    assert_eq!(duration(DURATION_DAYS_MAX.into()).days(), DURATION_DAYS_MAX);
    for days in [-1, i64::MIN, i64::MAX, 65_536, 65_536 + 7] {
        assert_eq!(LeadTime::from_days(days), Err(WindowFault::LeadDays));
        assert_eq!(Duration::from_days(days), Err(WindowFault::DurationDays));
    }
    assert_eq!(LeadTime::from_days(366), Err(WindowFault::LeadDays));
    assert_eq!(Duration::from_days(3_651), Err(WindowFault::DurationDays));
}

#[test]
fn each_fault_holds_its_pairs_with_a_reason() {
    let reasons = [
        (WindowFault::ScheduleYear, HoldReason::BadScheduleTime),
        (WindowFault::Calendar, HoldReason::BadScheduleTime),
        (WindowFault::Empty, HoldReason::BadScheduleTime),
        (WindowFault::LeadDays, HoldReason::BadLeadTime),
        (WindowFault::DurationDays, HoldReason::NoDuration),
    ];
    for (fault, reason) in reasons {
        assert_eq!(fault.hold_reason(), reason);
    }
}

#[test]
fn zones_are_names_of_the_database() {
    for (typed, name) in [
        ("Europe/Vienna", "Europe/Vienna"),
        (" europe/vienna ", "Europe/Vienna"),
        ("utc", "UTC"),
    ] {
        assert_eq!(zone(typed).name(), name);
        assert_eq!(zone(typed).to_string(), name);
    }
    assert_eq!(zone("UTC"), Zone::utc());
    for bad in [
        "",
        " ",
        "Vienna",
        "Mars/Olympus",
        "+02:00",
        "GMT+25",
        "Etc/Unknown",
        "../UTC",
    ] {
        assert_eq!(Zone::parse(bad).expect_err(bad).name, bad.trim());
    }
    assert_eq!(
        Zone::parse(&"x".repeat(500))
            .expect_err("no zone")
            .name
            .len(),
        64
    );
}

#[test]
fn windows_are_half_open() {
    let window = ticks(10, 20);
    let phases = [
        (9, Phase::Before),
        (10, Phase::Inside),
        (19, Phase::Inside),
        (20, Phase::After),
    ];
    for (now, phase) in phases {
        assert_eq!(window.phase(tick(now)), phase);
        assert_eq!(window.contains(tick(now)), phase == Phase::Inside);
    }
    let just_before_end = tick(20) - jiff::SignedDuration::from_nanos(1);
    assert!(window.contains(just_before_end));
    assert!(ticks(10, None).contains(Timestamp::MAX));
    for now in [9, 10, 11] {
        assert!(
            !ticks(10, 10).contains(tick(now)),
            "an empty window has no inside"
        );
    }
}

#[test]
fn a_schedule_time_replaces_a_deadline() {
    let deadline = (ticks(5, 50), Basis::Clearance);
    let later_deadline = (ticks(7, 60), Basis::Clearance);
    let scheduled = (ticks(10, 20), Basis::Schedule);
    assert_eq!(settle(deadline, scheduled), scheduled);
    assert_eq!(settle(scheduled, deadline), scheduled);
    assert_eq!(
        settle(deadline, later_deadline),
        (ticks(5, 60), Basis::Clearance)
    );
    let other_channel = (ticks(8, 15), Basis::Schedule);
    assert_eq!(
        settle(scheduled, other_channel),
        (ticks(8, 20), Basis::Schedule)
    );
}

fn any_window() -> impl Strategy<Value = Window> {
    (-50_i64..50, prop::option::of(0_i64..60))
        .prop_map(|(start, length)| ticks(start, length.map(|length| start + length)))
}

fn any_basis() -> impl Strategy<Value = Basis> {
    prop_oneof![Just(Basis::Clearance), Just(Basis::Schedule)]
}

proptest! {
    #![proptest_config(crate::properties())]

    #[test]
    fn order_and_repetition_of_rows_do_not_matter(
        a in any_window(), b in any_window(), c in any_window(), now in -60_i64..120,
    ) {
        prop_assert_eq!(union(a, b), union(b, a));
        prop_assert_eq!(union(union(a, b), c), union(a, union(b, c)));
        prop_assert_eq!(union(a, a), a);
        let now = tick(now);
        if a.contains(now) || b.contains(now) {
            prop_assert!(union(a, b).contains(now), "a union never takes anything away");
        }
    }

    #[test]
    fn order_of_list_and_execution_does_not_matter(
        a in (any_window(), any_basis()),
        b in (any_window(), any_basis()),
        c in (any_window(), any_basis()),
    ) {
        prop_assert_eq!(settle(a, b), settle(b, a));
        prop_assert_eq!(settle(settle(a, b), c), settle(a, settle(b, c)));
        prop_assert_eq!(settle(a, a), a);
    }

    #[test]
    fn every_instant_has_one_phase_and_phases_come_in_order(
        window in any_window(), one in -60_i64..120, other in -60_i64..120,
    ) {
        let (early, late) = (tick(one.min(other)), tick(one.max(other)));
        prop_assert!(window.phase(early) <= window.phase(late));
        prop_assert_eq!(window.contains(early), window.starts_at <= early
            && window.ends_at.is_none_or(|end| early < end));
    }

    #[test]
    fn any_schedule_gives_a_window_or_a_fault(
        seconds in -377_705_000_000_i64..253_402_000_000,
        lead_days in 0_i64..=365,
        days in 0_i64..=3_650,
        pick in any::<prop::sample::Index>(),
    ) {
        let names: Vec<String> = Zone::names().collect();
        let Ok(zone) = Zone::parse(&names[pick.index(names.len())]) else { return Ok(()) };
        let instant = tick(seconds);
        let local = ScheduleTime::Local(zone.wall_clock(instant));
        for schedule in [ScheduleTime::Instant(instant), local] {
            let made = window_of(schedule, &zone, lead(lead_days), duration(days), Expiry::Both);
            if let Ok(window) = made {
                prop_assert!(window.ends_at.is_some_and(|end| window.starts_at < end));
            } else {
                prop_assert_eq!(made, Err(WindowFault::ScheduleYear));
            }
        }
    }
}

/// Lisbon as it is, and as it would be if its government stopped to move the clocks, or moved them a week later.
const LISBON: &str = "WET0WEST,M3.5.0/1,M10.5.0/2";
const LISBON_WITHOUT_SUMMER: &str = "WET0";
const LISBON_A_WEEK_LATER: &str = "WET0WEST,M4.1.0/1,M10.5.0/2";

/// Rows of [`newer_zone_data_moves_what_clocks_on_the_wall_say`]: schedule time, lead days, duration days, other rules,
/// start and end by them.
const MOVED: &str = "
# schedule | lead | days | rules | starts at | ends at
# In summer: an hour later where there is none.
2027-07-01T10:00  | 0 | 7 | none  | 2027-07-01T10:00Z | 2027-07-08T10:00Z
# Only the end lies in summer.
2027-03-25T10:00  | 0 | 7 | none  | 2027-03-25T10:00Z | 2027-04-01T10:00Z
# The change comes a week later: that week is an hour later, and what it skips is another night.
2027-03-29T10:00  | 0 | 1 | later | 2027-03-29T10:00Z | 2027-03-30T10:00Z
2027-03-28T01:30  | 0 | 2 | later | 2027-03-28T01:30Z | 2027-03-30T01:30Z
2027-04-04T01:30  | 0 | 1 | later | 2027-04-04T01:00Z | 2027-04-05T00:30Z
# Midnight at the end of a day.
2027-07-01T10:00  | 0 | 0 | none  | 2027-07-01T10:00Z | 2027-07-02T00:00Z
# Nothing moves in winter.
2027-01-10T10:00  | 3 | 7 | none  | 2027-01-13T10:00Z | 2027-01-20T10:00Z
# An instant stays; what is counted from it on the wall does not.
2027-07-01T09:00Z | 0 | 7 | none  | 2027-07-01T09:00Z | 2027-07-08T10:00Z
2027-07-01T09:00Z | 1 | 7 | none  | 2027-07-02T10:00Z | 2027-07-09T10:00Z
";

#[test]
fn newer_zone_data_moves_what_clocks_on_the_wall_say() {
    let lisbon = |rules| Zone::from_posix("Europe/Lisbon", rules).expect("rules");
    for [scheduled, lead_days, days, rules, starts_at, ends_at] in table(MOVED) {
        let made = window_and_walls(
            schedule(scheduled),
            &lisbon(LISBON),
            lead(lead_days.parse().expect("days")),
            duration(days.parse().expect("days")),
            Expiry::Duration,
        );
        let (window, walls) = made.expect("a window");
        let newer = match rules {
            "none" => lisbon(LISBON_WITHOUT_SUMMER),
            _ => lisbon(LISBON_A_WEEK_LATER),
        };
        let moved = walls.reckon(window, &newer).expect("a window");
        let expected = Window {
            starts_at: at(starts_at),
            ends_at: Some(at(ends_at)),
        };
        assert_eq!(moved, expected, "{scheduled} {lead_days} {days} {rules}");
    }
}

#[test]
fn an_end_that_is_not_there_does_not_come_from_newer_zone_data() {
    let lisbon = Zone::from_posix("Europe/Lisbon", LISBON).expect("rules");
    let (window, walls) = window_and_walls(
        schedule("2027-07-01T10:00"),
        &lisbon,
        lead(0),
        duration(7),
        Expiry::EndedByDate,
    )
    .expect("a window");
    assert_eq!(
        walls.reckon(window, &zone("UTC")).expect("one").ends_at,
        None
    );
    // What would end before it starts stays as it was promised, and the caller is told.
    let walls = bestow_core::Walls {
        ends: walls.starts,
        ..walls
    };
    let window = Window {
        ends_at: Some(at("2027-08-01T00:00Z")),
        ..window
    };
    assert_eq!(walls.reckon(window, &lisbon), Err(WindowFault::Empty));
}

proptest! {
    #[test]
    fn the_same_zone_data_moves_nothing(
        name in prop::sample::select(vec!["Europe/Lisbon", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "UTC"]),
        minutes in 0_i64..1_000_000,
        is_local in any::<bool>(),
        lead_days in 0_i64..30,
        days in 0_i64..60,
        expiry in prop::sample::select(vec![Expiry::Duration, Expiry::EndedByDate, Expiry::Both]),
    ) {
        let zone = zone(name);
        let instant = at("2027-01-01T00:00Z") + jiff::SignedDuration::from_mins(minutes);
        let scheduled = if is_local {
            ScheduleTime::Local(Zone::utc().wall_clock(instant))
        } else {
            ScheduleTime::Instant(instant)
        };
        if let Ok((window, walls)) =
            window_and_walls(scheduled, &zone, lead(lead_days), duration(days), expiry)
        {
            prop_assert_eq!(walls.reckon(window, &zone), Ok(window));
        }
    }
}
