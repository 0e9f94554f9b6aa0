use bestow_core::promotion::{Limits, Usage};
use bestow_core::{HoldReason, Minor, PromotionFacts, PromotionStatus, Refusal};

fn facts(limits: Limits, usage: Usage) -> PromotionFacts {
    PromotionFacts {
        limits,
        usage,
        ..PromotionFacts::UNLIMITED
    }
}

#[test]
fn only_active_promotions_are_offered_and_paused_ones_are_still_granted() {
    let held = Err(HoldReason::InactivePromotion);
    let paused = Err(Refusal::PromotionPaused);
    let cases = [
        (PromotionStatus::Draft, held, paused),
        (PromotionStatus::Active, Ok(()), Ok(())),
        (PromotionStatus::Paused, Ok(()), paused),
        (PromotionStatus::Archived, held, paused),
        (
            PromotionStatus::Stopped,
            Err(HoldReason::PromotionStopped),
            paused,
        ),
    ];
    for (status, grantable, offered) in cases {
        assert_eq!(status.grantable(), grantable, "{status}");
        let facts = PromotionFacts {
            status,
            ..PromotionFacts::UNLIMITED
        };
        assert_eq!(facts.offered(), offered, "{status}");
    }
}

#[test]
fn limits_count_to_their_last_use() {
    let per_customer = Limits {
        per_customer: Some(3),
        ..Limits::default()
    };
    let total = Limits {
        total: Some(3),
        ..Limits::default()
    };
    for (used, expected) in [(0, Ok(())), (2, Ok(())), (3, Err(Refusal::LimitReached))] {
        let by_customer = Usage {
            by_customer: used,
            ..Usage::default()
        };
        let by_all = Usage {
            total: used,
            ..Usage::default()
        };
        assert_eq!(
            facts(per_customer, by_customer).covers(Minor::ZERO),
            expected
        );
        assert_eq!(facts(total, by_all).covers(Minor::ZERO), expected);
        assert_eq!(facts(per_customer, by_all).covers(Minor::ZERO), Ok(()));
        assert_eq!(facts(total, by_customer).covers(Minor::ZERO), Ok(()));
    }
}

#[test]
fn budgets_cover_their_last_unit_and_no_more() {
    let limits = Limits {
        budget: Some(Minor(100)),
        ..Limits::default()
    };
    let exhausted = Err(Refusal::BudgetExhausted);
    let cases = [
        (0, 100, Ok(())),
        (0, 101, exhausted),
        (99, 1, Ok(())),
        (99, 2, exhausted),
        (100, 0, exhausted),
        (101, 0, exhausted),
        (99, i64::MAX, exhausted),
    ];
    for (spent, amount, expected) in cases {
        let usage = Usage {
            spent: Minor(spent),
            ..Usage::default()
        };
        assert_eq!(
            facts(limits, usage).covers(Minor(amount)),
            expected,
            "{spent} + {amount}"
        );
    }
    let both = Limits {
        total: Some(0),
        ..limits
    };
    let spent = Usage {
        spent: Minor(100),
        ..Usage::default()
    };
    assert_eq!(
        facts(both, spent).covers(Minor(1)),
        Err(Refusal::LimitReached)
    );
}

#[test]
fn budgets_of_a_day_a_week_and_a_month_each_have_to_cover() {
    let hundred = Some(Minor(100));
    let limits = [
        Limits {
            budget_day: hundred,
            ..Limits::default()
        },
        Limits {
            budget_week: hundred,
            ..Limits::default()
        },
        Limits {
            budget_month: hundred,
            ..Limits::default()
        },
    ];
    let spent = [
        Usage {
            spent_day: Minor(60),
            ..Usage::default()
        },
        Usage {
            spent_week: Minor(60),
            ..Usage::default()
        },
        Usage {
            spent_month: Minor(60),
            ..Usage::default()
        },
    ];
    for (place, limits) in limits.into_iter().enumerate() {
        assert!(limits.has_budget() && limits.has_period_budget());
        for (of, usage) in spent.into_iter().enumerate() {
            let facts = facts(limits, usage);
            assert_eq!(facts.covers(Minor(40)), Ok(()));
            let over = Err(Refusal::BudgetExhausted);
            let expected = if of == place { over } else { Ok(()) };
            assert_eq!(facts.covers(Minor(41)), expected);
        }
    }
    assert!(!Limits::default().has_budget());
}
