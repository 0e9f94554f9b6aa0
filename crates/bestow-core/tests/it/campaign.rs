use bestow_core::campaign::{
    AbsurdLead, CampaignProgress, DefaultSource, DurationDecision, DurationGap, DurationRead,
    ImportState, LatestEnd, LeadRead, ListedEnds, campaign_status, decide_duration, decide_lead,
};
use bestow_core::{CampaignFacts, CampaignStatus, Duration, HoldReason, LeadTime};

use crate::{table, tick};

fn days(days: i64) -> Duration {
    Duration::from_days(days).expect("a duration")
}

#[test]
fn a_campaigns_own_duration_wins() {
    for own in [0, 1, 7, 3_650] {
        let decision = decide_duration(DurationRead::of_days(own), Some(days(3)), Some(days(5)));
        assert_eq!(decision, DurationDecision::FromCampaign(days(own)));
        assert_eq!(decision.duration(), Ok(days(own)));
    }
}

#[test]
fn a_default_stands_in_and_says_why() {
    let absurd = |text: &str| DurationGap::Absurd(text.to_owned());
    let cases = [
        (DurationRead::Missing, DurationGap::Missing),
        (DurationRead::Absurd("soon".to_owned()), absurd("soon")),
        (DurationRead::of_days(-1), absurd("-1")),
        (DurationRead::of_days(3_651), absurd("3651")),
        (DurationRead::of_days(65_536), absurd("65536")),
        (
            DurationRead::of_days(i64::MAX),
            absurd("9223372036854775807"),
        ),
    ];
    for (read, gap) in cases {
        let by = |source, days| {
            let gap = gap.clone();
            DurationDecision::Default {
                duration: days,
                source,
                gap,
            }
        };
        let decide = |promotion, tenant| decide_duration(read.clone(), promotion, tenant);
        let (promotion, tenant) = (days(3), days(5));
        assert_eq!(
            decide(Some(promotion), Some(tenant)),
            by(DefaultSource::Promotion, promotion)
        );
        assert_eq!(
            decide(Some(promotion), None),
            by(DefaultSource::Promotion, promotion)
        );
        assert_eq!(
            decide(None, Some(tenant)),
            by(DefaultSource::Tenant, tenant)
        );
        assert_eq!(decide(None, Some(tenant)).duration(), Ok(tenant));
        assert_eq!(
            decide(None, None),
            DurationDecision::Hold { gap: gap.clone() }
        );
        assert_eq!(decide(None, None).duration(), Err(HoldReason::NoDuration));
    }
    assert!(absurd("-1").to_string().contains("\"-1\""));
}

#[test]
fn lead_time_is_what_it_says_or_nothing_and_never_a_guess() {
    assert_eq!(decide_lead(LeadRead::Missing), Ok(LeadTime::NONE));
    assert_eq!(decide_lead(LeadRead::of_days(0)), Ok(LeadTime::NONE));
    assert_eq!(
        decide_lead(LeadRead::of_days(365)).map(LeadTime::days),
        Ok(365)
    );
    for absurd in [-1, 366, 65_536, i64::MIN] {
        let fault = AbsurdLead {
            text: absurd.to_string(),
        };
        assert_eq!(decide_lead(LeadRead::of_days(absurd)), Err(fault));
    }
    let text = "three".to_owned();
    assert_eq!(
        decide_lead(LeadRead::Absurd(text.clone())),
        Err(AbsurdLead { text })
    );
}

fn import(word: &str) -> ImportState {
    match word {
        "none" => ImportState::NotNeeded,
        "waiting" => ImportState::Waiting,
        "running" => ImportState::Running,
        "complete" => ImportState::Complete,
        "stopped" => ImportState::Stopped,
        other => panic!("no such import state: {other}"),
    }
}

fn latest_end(word: &str) -> LatestEnd {
    match word {
        "-" => LatestEnd::NoGrants,
        "open" => LatestEnd::Open,
        "listed" => LatestEnd::Listed,
        at => LatestEnd::At(tick(at.parse().expect("a number"))),
    }
}

#[test]
fn campaign_statuses_by_example() {
    let cases = table::<4>(
        "
        # import | latest end | clearance until | status at 15
        waiting  | -    | -  | announced
        waiting  | -    | 20 | announced
        waiting  | 20   | -  | announced
        running  | -    | -  | importing
        running  | 20   | 20 | importing
        stopped  | 20   | -  | failed
        stopped  | -    | 20 | failed
        complete | 20   | 16 | awaiting_clearance
        complete | -    | 16 | awaiting_clearance
        complete | 20   | 15 | running
        complete | 16   | -  | running
        complete | 15   | -  | ended
        complete | 14   | 15 | ended
        complete | open | -  | running
        complete | -    | -  | ended
        none     | -    | -  | announced
        none     | 16   | -  | running
        none     | open | -  | running
        none     | 15   | -  | ended
        complete | listed | -  | ended
        complete | listed | 16 | awaiting_clearance
        running  | listed | -  | importing
        stopped  | listed | -  | failed
        none     | listed | -  | ended
        ",
    );
    for [state, end, deadline, expected] in cases {
        let progress = CampaignProgress {
            import: import(state),
            clearance_deadline: deadline.parse().ok().map(tick),
            latest_end: latest_end(end),
        };
        let status = |facts| campaign_status(&facts, &progress, tick(15));
        let (running, stop) = (CampaignFacts::RUNNING, Some(tick(99)));
        assert_eq!(
            status(running).as_str(),
            expected,
            "{state} {end} {deadline}"
        );
        let suspended = CampaignFacts {
            suspended_at: stop,
            ..running
        };
        assert_eq!(status(suspended), CampaignStatus::Suspended);
        assert_eq!(
            status(CampaignFacts {
                revoked_at: stop,
                ..suspended
            }),
            CampaignStatus::Revoked
        );
        assert_eq!(
            status(CampaignFacts {
                revoked_at: stop,
                ..running
            }),
            CampaignStatus::Revoked
        );
    }
}

#[test]
fn a_campaign_is_over_once_the_daily_lists_have_ended_all_of_it() {
    let cases = table::<4>(
        "
        # latest end | grants | ended | becomes
        open | 3 | 0 | open
        open | 3 | 2 | open
        open | 3 | 3 | listed
        open | 3 | 4 | listed
        16   | 3 | 2 | 16
        16   | 3 | 3 | listed
        open | 0 | 0 | open
        -    | 0 | 0 | -
        ",
    );
    for [end, grants, ended, expected] in cases {
        let listed = ListedEnds {
            grants: grants.parse().expect("a number"),
            ended: ended.parse().expect("a number"),
            given_up_at: None,
        };
        let cut = latest_end(end).cut(listed);
        assert_eq!(cut, latest_end(expected), "{end} {grants} {ended}");
    }
}

#[test]
fn what_was_sent_to_nobody_is_over_when_it_is_given_up() {
    let given_up: jiff::Timestamp = "2027-03-26T07:00:00Z".parse().expect("an instant");
    let listed = |grants, ended| ListedEnds {
        grants,
        ended,
        given_up_at: Some(given_up),
    };
    let cut = LatestEnd::Open.cut(listed(0, 0));
    assert_eq!(cut, LatestEnd::At(given_up));
    assert!(!cut.is_over(given_up - jiff::SignedDuration::from_millis(1)));
    assert!(cut.is_over(given_up));
    // A window that ends by itself does so, and what gave nothing stays as it is.
    for end in [LatestEnd::NoGrants, LatestEnd::At(given_up)] {
        assert_eq!(end.cut(listed(0, 0)), end);
    }
    assert_eq!(LatestEnd::Open.cut(listed(3, 3)), LatestEnd::Listed);
}

#[test]
fn several_lists_come_to_one_state() {
    let cases = table::<2>(
        "
                                  | none
        waiting                   | waiting
        complete complete         | complete
        none complete             | complete
        waiting complete          | running
        complete waiting          | running
        complete waiting complete | running
        running complete          | running
        waiting waiting           | waiting
        running stopped waiting   | stopped
        stopped complete          | stopped
        ",
    );
    for [states, expected] in cases {
        let lists: Vec<_> = states.split_whitespace().map(import).collect();
        assert_eq!(ImportState::of_all(&lists), import(expected), "{states}");
    }
}
