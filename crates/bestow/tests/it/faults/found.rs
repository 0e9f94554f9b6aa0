//! What the simulation found, each as the short list of operations that showed it. Mended; it has to stay so.

use bestow_store::Fault;
use serde_json::json;

use super::{history, notify, play};
use crate::sim::destinations::Hears;
use crate::sim::model::{History, Kind, Op, Pool, Posts};

/// Two ids differ by letter case only, and both wait for a code beside a code that is granted. Releasing one code after
/// the other took the second id for the customer although it held nothing, and the first one's pair was lost.
#[test]
fn a_release_goes_to_the_id_that_holds_grants() {
    let campaign = json!({
        "audience": {"customers": [
            {"id": "aB1", "action": 24, "promo_code": "OLD"},
            {"id": "Ab1", "action": 24, "promo_code": "FS20,NEW"},
        ]},
        "scheduled_at": "2027-03-25T09:00",
        "actions": [{"id": 24, "promo_codes": [], "channels": [{"id": 504}, {"id": 505}]}],
    });
    play(&history(
        campaign,
        vec![Op::Process(0), notify(), Op::Work(4)],
    ));
}

/// All customers are known from one channel, so the number agrees; but a row of another channel was skipped, and with
/// it the earlier or later end of a window.
#[test]
fn a_row_is_missed_although_its_customer_is_known() {
    let campaign = json!({
        "audience": {"count": 9, "prefix": "P-"}, "scheduled_at": "2027-03-25T09:00",
        "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [
            {"id": 504}, {"id": 505, "delay_minutes": 1_560}, {"id": 506, "delay_minutes": 15},
        ]}],
    });
    let skip = Op::Switch("page-churn", json!("skip"));
    play(&history(
        campaign,
        vec![Op::Process(0), skip, notify(), Op::Work(8)],
    ));
}

/// A confirming pass brought no new pair, only a later end for a pair that was held. Its rows were dropped as known, and
/// the release that came later granted the shorter window.
#[test]
fn a_confirming_pass_widens_what_is_held() {
    let customers: Vec<String> = (1..10).map(|number| format!("C{number}")).collect();
    let campaign = json!({
        "audience": {"customers": customers}, "scheduled_at": "2027-03-25T09:00",
        "actions": [{"id": 24, "promo_codes": ["OLD"], "channels": [
            {"id": 504}, {"id": 505, "delay_minutes": 1_560},
        ]}],
    });
    let churn = |how| Op::Switch("page-churn", json!(how));
    let (skip, calm) = (churn("skip"), churn("off"));
    let before = [Op::Process(0), skip, notify(), Op::Work(8)];
    let after = [calm, Op::Release(0), Op::Work(8)];
    play(&history(
        campaign,
        before.into_iter().chain(after).collect(),
    ));
}

/// A release of held pairs was cut off, and before it went on the list of another channel came. What had been released
/// was held again with it: the grants kept their shorter window, and the counts never came right.
#[test]
fn what_comes_while_a_release_is_cut_off_widens_what_was_released() {
    let campaign = json!({
        "audience": {"count": 9, "prefix": "P-"}, "scheduled_at": "2027-03-25T09:00",
        "actions": [{"id": 24, "promo_codes": ["OLD"], "channels": [
            {"id": 504}, {"id": 505, "delay_minutes": 1_560},
        ]}],
    });
    let heard = |which| Op::Notify {
        campaign: 0,
        which,
        copies: 1,
        order: 1,
        posts: Posts::InTurn,
    };
    let old = 2;
    // It dies at each commit of the release, among others.
    for commit in 5..=11 {
        let fault = Fault::AfterCommit;
        let begun = [Op::Process(0), heard(2), Op::Work(6)];
        let cut_off = [Op::Crash { commit, fault }, Op::Promote(old), Op::Work(6)];
        let ops = begun.into_iter().chain(cut_off).chain([heard(4)]);
        play(&history(campaign.clone(), ops.collect()));
    }
}

/// A page of the daily list was alike the one before, as if Optimove ignored where to go on from. The reading was taken
/// up again behind it, ended well, and did not count because it had been taken up again: it was begun anew for ever.
#[test]
fn a_list_that_breaks_off_each_time_is_read_once() {
    for seed in [1_761, 1_953, 2_222] {
        play(&crate::sim::history_of(seed));
    }
}

/// A customer was excluded while the list of a channel was read again, and let in between two passes: of one pair there
/// were rows to be granted on both sides of one that was refused. They were taken for two pairs.
#[test]
fn rows_of_one_pair_with_another_mark_between_them_are_one_pair() {
    for seed in [1_721, 1_736] {
        play(&crate::sim::history_of(seed));
    }
}

/// A conditional campaign of nine customers, in so many send groups, the first of them to be approved within `seconds`.
fn conditional(groups: u8, seconds: u32, ops: Vec<Op>) -> History {
    let campaign = json!({
        "kind": "conditional", "audience": {"count": 9, "prefix": "P-"},
        "scheduled_at": "2027-03-25T09:00",
        "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504}]}],
    });
    let mut history = history(campaign, ops);
    // Of even ones, whatever Optimove says after the operations is heard.
    history.seed = 2;
    history.world.rounds = groups;
    history.world.campaigns[0].kind = Kind::Conditional { seconds };
    history
}

/// The list of the second round had the customers of the third group on it already, so they were approved with it, and
/// the third round had nobody to decide. It was not looked back upon, and its group was sent to after the lists had
/// been read for the last time: their grants never started.
#[test]
fn a_round_with_nobody_to_decide_is_looked_back_upon() {
    play(&conditional(3, 3_600, vec![Op::Process(0)]));
}

/// As before, and the third round is never announced: a day later the lists are read once more before it counts as a
/// difference that customers were cleared and not sent to.
#[test]
fn a_deadline_that_nobody_told_us_of_is_found_a_day_later() {
    let event_5 = Op::Notify {
        campaign: 0,
        which: 1,
        copies: 1,
        order: 1,
        posts: Posts::InTurn,
    };
    let ops = vec![
        Op::Process(0),
        Op::Advance(451),
        event_5,
        Op::Work(8),
        // The first group is sent to, the second one is not yet, and the lists are read.
        Op::Advance(600),
        Op::Forge(0),
        Op::Work(8),
    ];
    let mut history = conditional(2, 900, ops);
    history.seed = 1;
    play(&history);
}

/// Somebody sends an event 5 with a deadline behind Optimove's own, and Optimove refuses every report. Each try began
/// with a write that counted as progress, so the waits between them never grew.
#[test]
fn reports_that_are_refused_are_tried_ever_more_slowly() {
    let ops = vec![
        Op::Process(0),
        Op::ForgeClearance {
            campaign: 0,
            seconds: 5_000,
        },
        Op::Advance(61),
        Op::Switch("late-status", json!("refuse")),
    ];
    play(&conditional(1, 30, ops));
}

/// A pool runs dry while a round is decided: those who get no code are held with their customer until another round,
/// and not in the line for codes. The look at what is stored took that for a loss.
#[test]
fn a_round_that_empties_a_pool_leaves_nobody_in_the_line_for_codes() {
    let ops = vec![Op::Process(0), notify(), Op::Work(8)];
    let mut history = conditional(1, 3_600, ops);
    let fallback = None;
    history.world.codes[0].pool = Some(Pool { codes: 4, fallback });
    play(&history);
}

/// Two ids differ by letter case only. One of them waits for a unique code, and its place is taken by that; releasing a
/// code of the other looked for grants alone, found none, and both ids became the customer.
#[test]
fn whoever_waits_for_a_code_is_the_customer_in_a_release_too() {
    let campaign = json!({
        "audience": {"customers": [
            {"id": "aB1", "action": 24, "promo_code": "FS20"},
            {"id": "Ab1", "action": 24, "promo_code": "FS20,NEW"},
        ]},
        "scheduled_at": "2027-03-25T09:00",
        "actions": [{"id": 24, "promo_codes": [], "channels": [{"id": 504}]}],
    });
    let ops = vec![
        Op::Process(0),
        notify(),
        Op::Work(8),
        Op::Promote(3),
        Op::Work(8),
    ];
    let mut history = history(campaign, ops);
    let (codes, fallback) = (0, None);
    history.world.codes[0].pool = Some(Pool { codes, fallback });
    play(&history);
}

/// A confirming pass brought a pair that was held, and afterwards the list of another channel brought it too: it was
/// counted as held twice, and once its code was released one of the two stayed.
#[test]
fn what_a_confirming_pass_brought_is_not_held_twice() {
    let campaign = json!({
        "audience": {"count": 9, "prefix": "P-"}, "scheduled_at": "2027-03-25T09:00",
        "actions": [{"id": 24, "promo_codes": ["OLD"], "channels": [{"id": 504}, {"id": 505}]}],
    });
    let churn = |how| Op::Switch("page-churn", json!(how));
    let channel = |bit: u8| Op::Notify {
        campaign: 0,
        which: 1 << bit,
        copies: 1,
        order: 1,
        posts: Posts::InTurn,
    };
    play(&history(
        campaign,
        vec![
            Op::Process(0),
            churn("skip"),
            channel(1),
            Op::Work(8),
            churn("off"),
            Op::Release(0),
            Op::Work(8),
            channel(2),
            Op::Work(8),
        ],
    ));
}

/// The list of a second channel came behind the end that the first one's list gave, and with it a later end. The start of
/// what had come to life again was told as of the window's, which is before the end that had been: destinations took the
/// grant for over while it could be redeemed.
#[test]
fn what_comes_to_life_again_is_told_behind_its_first_end() {
    let campaign = json!({
        "audience": {"count": 9, "prefix": "P-"}, "scheduled_at": "2027-03-20T09:00",
        "duration": 4, "lead_time": 0,
        "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [
            {"id": 504}, {"id": 505, "delay_minutes": 1_560},
        ]}],
    });
    let heard = |which| Op::Notify {
        campaign: 0,
        which,
        copies: 1,
        order: 1,
        posts: Posts::InTurn,
    };
    // What the first list gave was told before the second one came, or was not.
    for steps in 1..12 {
        let ops = vec![Op::Process(0), heard(2), Op::Work(steps), heard(4)];
        let mut history = history(campaign.clone(), ops);
        history.world.tenants[0].hears = Some(Hears::well());
        play(&history);
    }
}

/// All rows of a part of a list had landed, and that it was at its end was not written down any more. Whoever went on read
/// one page beyond it: rows that are another part's were counted twice.
#[test]
fn a_part_that_is_at_its_end_is_not_read_on() {
    let campaign = json!({
        "audience": {"count": 30, "prefix": "P-"}, "scheduled_at": "2027-03-25T09:00",
        "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504}]}],
    });
    let fails = Op::FailCommit {
        name: "end_range",
        places: 0..6,
        fault: Fault::BeforeCommit,
    };
    play(&history(
        campaign,
        vec![Op::Process(0), fails, notify(), Op::Work(12)],
    ));
}
