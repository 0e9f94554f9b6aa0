use bestow_core::clearance::{
    CodeFacts, Confirm, CustomerFacts, LATE_REPORT_MAX, PlanFacts, REPORT_MAX, Spelling, Word,
    decide, plan, schedule,
};
use bestow_core::import::Disposition;
use bestow_core::promotion::Limits;
use bestow_core::trigger::{Standing, Supply};
use bestow_core::{HoldReason, PromotionStatus, RefuseReason};
use jiff::SignedDuration;
use proptest::prelude::*;

use crate::{table, tick};

fn code() -> CodeFacts {
    CodeFacts {
        status: Some(PromotionStatus::Active),
        limits: Limits::default(),
        by_customer: 0,
        by_all: 0,
        supply: Supply::Ready,
        is_granted: false,
        standing: Standing::Welcome,
    }
}

/// A code in words; what is not said is as it should be.
fn code_of(words: &str) -> CodeFacts {
    let mut code = code();
    for word in words.split_whitespace() {
        match word {
            "fine" => {}
            "unknown" => code.status = None,
            "draft" => code.status = Some(PromotionStatus::Draft),
            "paused" => code.status = Some(PromotionStatus::Paused),
            "archived" => code.status = Some(PromotionStatus::Archived),
            "once" => code.limits.per_customer = Some(1),
            "had" => code.by_customer = 1,
            "ten" => code.limits.total = Some(10),
            "nine-gone" => code.by_all = 9,
            "ten-gone" => code.by_all = 10,
            "dry" => code.supply = Supply::Empty,
            "granted" => code.is_granted = true,
            other => panic!("no such fact: {other}"),
        }
    }
    code
}

/// What is decided, as a counter names it.
fn decided(words: &str, codes: &str) -> String {
    let codes: Vec<CodeFacts> = match codes {
        "-" => Vec::new(),
        codes => codes.split(',').map(code_of).collect(),
    };
    let mut facts = CustomerFacts {
        spelling: Spelling::Own,
        standing: Standing::Welcome,
        against: None,
        codes: &codes,
        codes_max: 3,
        word: Word::NotAsked,
    };
    for word in words.split_whitespace() {
        match word {
            "plain" => {}
            "near" => facts.spelling = Spelling::NearEqual,
            "excluded" => facts.standing = Standing::Excluded,
            "control" => {
                facts.against = Some(Disposition::Refused(RefuseReason::ControlGroup));
            }
            "unreadable" => facts.against = Some(Disposition::Held(HoldReason::BadCode)),
            "yes" => facts.word = Word::Yes,
            "no" => facts.word = Word::No,
            other => panic!("no such fact: {other}"),
        }
    }
    match decide(&facts) {
        Ok(()) => "approve".to_owned(),
        Err(Disposition::Held(reason)) => format!("hold {reason}"),
        Err(Disposition::Refused(reason)) => format!("refuse {reason}"),
        Err(other) => panic!("no answer: {other:?}"),
    }
}

#[test]
fn decisions_by_example() {
    let cases = table::<3>(
        "
        # customer     | codes                 | decided
        plain          | fine                  | approve
        plain          | -                     | approve
        plain          | fine, fine, fine      | approve
        plain          | paused                | approve
        yes            | fine                  | approve

        # One code that cannot be granted is enough.
        plain          | fine, unknown         | hold unknown_code
        plain          | draft, fine           | hold inactive_promotion
        plain          | archived              | hold inactive_promotion
        plain          | fine, once had        | refuse limit_reached
        plain          | once                  | approve
        plain          | had                   | approve
        plain          | ten nine-gone         | approve
        plain          | ten ten-gone          | refuse limit_reached
        plain          | dry                   | hold no_free_code
        plain          | fine, fine, fine, fine | hold too_many_codes

        # What an earlier round granted needs nothing more.
        plain          | once had granted      | approve
        plain          | dry granted, fine     | approve
        plain          | draft granted         | approve

        # The customer.
        excluded       | fine                  | refuse excluded
        excluded       | -                     | refuse excluded
        excluded       | granted               | refuse excluded
        no             | fine                  | refuse not_approved
        no             | -                     | refuse not_approved
        control        | fine                  | refuse control_group
        unreadable     | -                     | hold bad_code
        near           | fine                  | hold near_equal_customer_id

        # Which comes first.
        near excluded  | unknown               | hold near_equal_customer_id
        excluded no    | unknown               | refuse excluded
        control no     | unknown               | refuse control_group
        no             | unknown               | hold unknown_code
        no             | once had dry          | refuse limit_reached
        ",
    );
    for [customer, codes, expected] in cases {
        assert_eq!(decided(customer, codes), expected, "{customer} | {codes}");
    }
}

#[test]
fn work_stops_a_margin_before_the_deadline_unless_less_than_that_was_left() {
    let margin = SignedDuration::from_secs(300);
    let at = |asked| {
        let schedule = schedule(tick(asked), tick(1_000), margin);
        (schedule.stop_at, schedule.report_max)
    };
    assert_eq!(at(0), (tick(700), REPORT_MAX));
    assert_eq!(at(699), (tick(700), REPORT_MAX));
    assert_eq!(at(700), (tick(1_000), LATE_REPORT_MAX));
    assert_eq!(at(2_000), (tick(1_000), LATE_REPORT_MAX));
}

fn a_million(left_seconds: i64) -> PlanFacts {
    PlanFacts {
        rows_to_read: 1_000_000,
        rows: 1_000_000,
        customers: 1_000_000,
        page_rows: 10_000,
        report_max: REPORT_MAX,
        calls_max: 40,
        window: SignedDuration::from_secs(10),
        now: tick(0),
        stop_at: tick(left_seconds),
    }
}

#[test]
fn a_million_customers_need_about_a_minute_of_calls() {
    let plan_in = |seconds| plan(&a_million(seconds));
    // 101 pages and 100 reports, a quarter more for failures.
    assert_eq!(plan_in(60).calls_needed, 252);
    assert_eq!(plan_in(60).calls_allowed, 240);
    assert!(!plan_in(60).is_feasible());
    assert!(plan_in(63).is_feasible());
    assert_eq!(plan_in(63).confirm, Confirm::NoTime);
    assert_eq!(plan_in(95).confirm, Confirm::Fits);
    // What is read is read.
    let read = PlanFacts {
        rows_to_read: 0,
        ..a_million(32)
    };
    assert_eq!(plan(&read).calls_needed, 125);
    assert!(plan(&read).is_feasible());
}

#[test]
fn a_plan_bears_odd_figures() {
    let odd = PlanFacts {
        page_rows: 0,
        report_max: 0,
        calls_max: 0,
        window: SignedDuration::ZERO,
        ..a_million(-5)
    };
    let planned = plan(&odd);
    assert_eq!(planned.calls_allowed, 0);
    assert!(!planned.is_feasible());
    let nobody = PlanFacts {
        rows_to_read: 0,
        rows: 0,
        customers: 0,
        ..odd
    };
    assert!(plan(&nobody).is_feasible());
}

proptest! {
    #![proptest_config(crate::properties())]

    #[test]
    fn more_time_never_makes_a_plan_worse(
        customers in 0_u64..50_000_000, seconds in 0_i64..100_000, more in 0_i64..100_000,
    ) {
        let facts = |left| PlanFacts { rows_to_read: customers, rows: customers, customers, ..a_million(left) };
        let (tight, loose) = (plan(&facts(seconds)), plan(&facts(seconds + more)));
        prop_assert_eq!(tight.calls_needed, loose.calls_needed);
        prop_assert!(loose.is_feasible() || !tight.is_feasible());
        prop_assert!(loose.confirm == Confirm::Fits || tight.confirm == Confirm::NoTime);
        prop_assert!(tight.confirm == Confirm::NoTime || tight.is_feasible());
    }
}
