use bestow_core::outcome::{eligibility, redeemable};
use bestow_core::promotion::{Limits, Usage};
use bestow_core::trigger::Standing;
use bestow_core::{
    CampaignFacts, Clearance, GrantFacts, Minor, PromotionFacts, PromotionStatus, Refusal,
};
use proptest::prelude::*;

use crate::{tick, ticks};

type Held = (GrantFacts, CampaignFacts);

const OFFERED: PromotionFacts = PromotionFacts::UNLIMITED;

fn from_to(starts: i64, ends: impl Into<Option<i64>>) -> Held {
    (
        GrantFacts::single_use(ticks(starts, ends)),
        CampaignFacts::RUNNING,
    )
}

fn active() -> Held {
    from_to(10, 20)
}

fn pending() -> Held {
    from_to(16, 20)
}

fn expired() -> Held {
    from_to(5, 15)
}

fn with(mut held: Held, change: impl FnOnce(&mut GrantFacts, &mut CampaignFacts)) -> Held {
    change(&mut held.0, &mut held.1);
    held
}

fn used() -> Held {
    with(active(), |grant, _| grant.redeemed_count = 1)
}

fn suspended() -> Held {
    with(active(), |_, campaign| {
        campaign.suspended_at = Some(tick(12));
    })
}

fn revoked() -> Held {
    with(active(), |grant, _| grant.revoked_at = Some(tick(12)))
}

fn awaiting() -> Held {
    with(active(), |grant, _| {
        grant.cleared = Clearance::Awaiting { deadline: tick(16) }
    })
}

fn denied() -> Held {
    with(active(), |grant, _| grant.cleared = Clearance::Denied)
}

fn ask(promotion: &PromotionFacts, grants: &[Held]) -> Result<usize, Refusal> {
    eligibility(Some(promotion), grants, tick(15))
}

#[test]
fn each_refusal_by_its_plainest_case() {
    let used_up = |limits, usage| PromotionFacts {
        limits,
        usage,
        ..OFFERED
    };
    let limit = used_up(
        Limits {
            per_customer: Some(2),
            ..Limits::default()
        },
        Usage {
            by_customer: 2,
            ..Usage::default()
        },
    );
    let budget = used_up(
        Limits {
            budget: Some(Minor(100)),
            ..Limits::default()
        },
        Usage {
            spent: Minor(100),
            ..Usage::default()
        },
    );
    let paused = PromotionFacts {
        status: PromotionStatus::Paused,
        ..OFFERED
    };
    let excluded = PromotionFacts {
        standing: Standing::Excluded,
        ..OFFERED
    };
    let cases: [(Option<&PromotionFacts>, Vec<Held>); 12] = [
        (None, vec![active()]),
        (Some(&paused), vec![active()]),
        (Some(&OFFERED), vec![]),
        (Some(&excluded), vec![active()]),
        (Some(&OFFERED), vec![revoked()]),
        (Some(&OFFERED), vec![suspended()]),
        (Some(&OFFERED), vec![denied()]),
        (Some(&OFFERED), vec![pending()]),
        (Some(&OFFERED), vec![expired()]),
        (Some(&OFFERED), vec![used()]),
        (Some(&limit), vec![active()]),
        (Some(&budget), vec![active()]),
    ];
    for ((promotion, grants), &refusal) in cases.iter().zip(Refusal::ALL) {
        assert_eq!(eligibility(*promotion, grants, tick(15)), Err(refusal));
    }
    assert_eq!(ask(&OFFERED, &[active()]), Ok(0));
}

#[test]
fn earlier_refusals_hide_later_ones() {
    let paused_and_spent = PromotionFacts {
        status: PromotionStatus::Paused,
        limits: Limits {
            total: Some(0),
            ..Limits::default()
        },
        ..OFFERED
    };
    assert_eq!(
        eligibility(None, &[], tick(15)),
        Err(Refusal::UnknownPromotion)
    );
    assert_eq!(ask(&paused_and_spent, &[]), Err(Refusal::PromotionPaused));
    let spent = PromotionFacts {
        status: PromotionStatus::Active,
        ..paused_and_spent
    };
    assert_eq!(ask(&spent, &[]), Err(Refusal::NoGrant));
    assert_eq!(ask(&spent, &[expired()]), Err(Refusal::Expired));
    assert_eq!(ask(&spent, &[used()]), Err(Refusal::AlreadyRedeemed));
    assert_eq!(ask(&spent, &[active()]), Err(Refusal::LimitReached));
}

#[test]
fn one_active_grant_is_enough() {
    let others = [
        revoked(),
        denied(),
        expired(),
        used(),
        suspended(),
        awaiting(),
        pending(),
    ];
    for place in 0..=others.len() {
        let mut grants = others.to_vec();
        grants.insert(place, active());
        assert_eq!(ask(&OFFERED, &grants), Ok(place));
    }
}

#[test]
fn of_several_active_grants_the_one_that_ends_first_is_used() {
    assert_eq!(
        ask(&OFFERED, &[from_to(1, 30), from_to(5, 18), from_to(2, 25)]),
        Ok(1)
    );
    assert_eq!(ask(&OFFERED, &[from_to(1, None), from_to(5, 30)]), Ok(1));
    assert_eq!(ask(&OFFERED, &[from_to(1, 30), from_to(5, 30)]), Ok(0));
    assert_eq!(ask(&OFFERED, &[from_to(1, None), from_to(5, None)]), Ok(0));
    // What the daily list ended counts as an end, too.
    let listed = with(from_to(1, None), |grant, _| grant.ended_at = Some(tick(17)));
    assert_eq!(ask(&OFFERED, &[from_to(1, 30), listed]), Ok(1));
}

#[test]
fn of_several_refused_grants_the_most_promising_answers() {
    let by_hope = [
        (pending(), Refusal::NotStarted),
        (awaiting(), Refusal::NotCleared),
        (suspended(), Refusal::Suspended),
        (used(), Refusal::AlreadyRedeemed),
        (expired(), Refusal::Expired),
        (denied(), Refusal::NotCleared),
        (revoked(), Refusal::Revoked),
    ];
    for (place, &(better, refusal)) in by_hope.iter().enumerate() {
        for &(worse, _) in &by_hope[place..] {
            assert_eq!(ask(&OFFERED, &[better, worse]), Err(refusal));
            assert_eq!(ask(&OFFERED, &[worse, better]), Err(refusal));
        }
    }
}

#[test]
fn a_redemption_must_fit_into_the_budget() {
    let promotion = PromotionFacts {
        limits: Limits {
            budget: Some(Minor(100)),
            ..Limits::default()
        },
        usage: Usage {
            spent: Minor(60),
            ..Usage::default()
        },
        ..OFFERED
    };
    let redeem = |amount| redeemable(Some(&promotion), &[active()], Minor(amount), tick(15));
    assert_eq!(redeem(0), Ok(0));
    assert_eq!(redeem(40), Ok(0));
    assert_eq!(redeem(41), Err(Refusal::BudgetExhausted));
    assert_eq!(redeem(i64::MAX), Err(Refusal::BudgetExhausted));
    let redeem = |amount| redeemable(Some(&OFFERED), &[active()], Minor(amount), tick(15));
    assert_eq!(redeem(i64::MAX), Ok(0));
}

fn any_held() -> impl Strategy<Value = Held> {
    let kinds = prop::sample::select(vec![
        active(),
        pending(),
        expired(),
        used(),
        suspended(),
        revoked(),
        awaiting(),
        denied(),
    ]);
    (kinds, 0_i64..5).prop_map(|(held, more)| {
        with(held, |grant, _| {
            grant.window.ends_at = grant.window.ends_at.map(|end| {
                if end > tick(15) {
                    end + jiff::SignedDuration::from_secs(more)
                } else {
                    end
                }
            });
        })
    })
}

proptest! {
    #![proptest_config(crate::properties())]

    #[test]
    fn the_answer_does_not_depend_on_the_order_of_grants(
        grants in prop::collection::vec(any_held(), 0..6), turn in any::<prop::sample::Index>(),
    ) {
        let mut turned = grants.clone();
        if !turned.is_empty() {
            let by = turn.index(turned.len());
            turned.rotate_left(by);
        }
        match (ask(&OFFERED, &grants), ask(&OFFERED, &turned)) {
            (Ok(one), Ok(other)) => {
                prop_assert_eq!(grants[one].0.window.ends_at, turned[other].0.window.ends_at);
            }
            (one, other) => prop_assert_eq!(one.err(), other.err()),
        }
    }

    #[test]
    fn another_grant_never_makes_a_yes_a_no(
        grants in prop::collection::vec(any_held(), 0..6), another in any_held(),
    ) {
        let before = ask(&OFFERED, &grants);
        let more: Vec<_> = grants.iter().copied().chain([another]).collect();
        if before.is_ok() {
            prop_assert!(ask(&OFFERED, &more).is_ok());
        }
    }
}
