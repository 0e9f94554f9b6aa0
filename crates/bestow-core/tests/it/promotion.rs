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
