//! Triggers and the gateway decide alike.

use bestow_core::campaign::{CampaignFacts, DurationRead};
use bestow_core::import::Disposition;
use bestow_core::promotion::{Limits, PromotionStatus};
use bestow_core::trigger::{
    CodeFacts, DenyReason, Person, ReservationRule, Stamp, StampFault, Standing, Supply,
    TriggerFacts, TriggerRules, Visitors, WithoutCodes, answer, decide, met_at,
};
use bestow_core::window::{Duration, Zone};
use bestow_core::{HoldReason, RefuseReason};
use jiff::Timestamp;
use proptest::prelude::*;

const RULES: TriggerRules = TriggerRules {
    visitors: Visitors::Hold,
    reservation: ReservationRule::Optional,
    per_customer_max: None,
    per_minute_max: None,
    duration_default: None,
};

fn facts() -> TriggerFacts {
    TriggerFacts {
        person: Person::Customer,
        standing: Standing::Welcome,
        is_reserved: false,
        of_campaign: 0,
        this_minute: 0,
        duration: DurationRead::Days(7),
    }
}

fn code() -> CodeFacts {
    CodeFacts {
        status: Some(PromotionStatus::Active),
        limits: Limits::default(),
        validity: None,
        by_customer: 0,
        by_all: 0,
        supply: Supply::Ready,
        standing: Standing::Welcome,
    }
}

fn days(days: i64) -> Duration {
    Duration::from_days(days).expect("a duration")
}

fn held(reason: HoldReason) -> Result<Duration, Disposition> {
    Err(Disposition::Held(reason))
}

fn refused(reason: RefuseReason) -> Result<Duration, Disposition> {
    Err(Disposition::Refused(reason))
}

/// Everything is against it; each step takes the first reason away, and the next one shows.
#[test]
fn reasons_come_in_their_order() {
    let mut rules = TriggerRules {
        reservation: ReservationRule::Required,
        per_customer_max: Some(1),
        per_minute_max: Some(1),
        ..RULES
    };
    let mut facts = TriggerFacts {
        person: Person::Visitor,
        standing: Standing::Excluded,
        of_campaign: 1,
        this_minute: 1,
        duration: DurationRead::Missing,
        ..facts()
    };
    let mut code = CodeFacts {
        status: None,
        limits: Limits {
            per_customer: Some(1),
            total: Some(5),
            ..Limits::default()
        },
        by_customer: 1,
        by_all: 5,
        supply: Supply::Empty,
        ..code()
    };
    assert_eq!(decide(&rules, &facts, &code), held(HoldReason::Visitor));
    rules.visitors = Visitors::Grant;
    assert_eq!(
        decide(&rules, &facts, &code),
        refused(RefuseReason::Excluded)
    );
    facts.standing = Standing::Welcome;
    assert_eq!(decide(&rules, &facts, &code), held(HoldReason::UnknownCode));
    code.status = Some(PromotionStatus::Archived);
    let inactive = held(HoldReason::InactivePromotion);
    assert_eq!(decide(&rules, &facts, &code), inactive);
    code.status = Some(PromotionStatus::Paused);
    let unreserved = refused(RefuseReason::NoReservation);
    assert_eq!(decide(&rules, &facts, &code), unreserved);
    facts.is_reserved = true;
    let limited = refused(RefuseReason::LimitReached);
    assert_eq!(decide(&rules, &facts, &code), limited);
    code.by_customer = 0;
    assert_eq!(decide(&rules, &facts, &code), limited);
    code.by_all = 4;
    let capped = held(HoldReason::CapReached);
    assert_eq!(decide(&rules, &facts, &code), capped);
    facts.of_campaign = 0;
    assert_eq!(decide(&rules, &facts, &code), capped);
    facts.this_minute = 0;
    assert_eq!(decide(&rules, &facts, &code), held(HoldReason::NoDuration));
    facts.duration = DurationRead::Days(3);
    assert_eq!(decide(&rules, &facts, &code), held(HoldReason::NoFreeCode));
    code.supply = Supply::Ready;
    assert_eq!(decide(&rules, &facts, &code), Ok(days(3)));
}

#[test]
fn notes_come_before_the_promotion_and_that_before_the_tenant() {
    let rules = TriggerRules {
        duration_default: Some(days(1)),
        ..RULES
    };
    let mut facts = facts();
    let mut code = CodeFacts {
        validity: Some(days(2)),
        ..code()
    };
    assert_eq!(decide(&rules, &facts, &code), Ok(days(7)));
    facts.duration = DurationRead::Missing;
    assert_eq!(decide(&rules, &facts, &code), Ok(days(2)));
    code.validity = None;
    assert_eq!(decide(&rules, &facts, &code), Ok(days(1)));
    facts.duration = DurationRead::Absurd("soon".into());
    assert_eq!(decide(&rules, &facts, &code), Ok(days(1)));
}

#[test]
fn the_gateway_needs_all_codes_and_a_campaign_that_runs() {
    let running = [CampaignFacts::RUNNING];
    let ask = |campaigns: &[CampaignFacts], codes: &[CodeFacts]| {
        answer(&RULES, WithoutCodes::Allow, campaigns, &facts(), codes)
    };
    assert_eq!(ask(&running, &[code(), code()]), Ok(()));
    assert_eq!(ask(&[], &[code()]), Ok(()));
    let unknown = CodeFacts {
        status: None,
        ..code()
    };
    assert_eq!(
        ask(&running, &[code(), unknown]),
        Err(DenyReason::UnknownCode)
    );
    let stopped = CampaignFacts {
        revoked_at: Some(Timestamp::UNIX_EPOCH),
        ..CampaignFacts::RUNNING
    };
    assert_eq!(
        ask(&[CampaignFacts::RUNNING, stopped], &[code()]),
        Err(DenyReason::CampaignStopped)
    );
}

#[test]
fn without_codes_the_tenant_says() {
    let ask = |rule| answer(&RULES, rule, &[], &facts(), &[]);
    assert_eq!(ask(WithoutCodes::Allow), Ok(()));
    assert_eq!(ask(WithoutCodes::Deny), Err(DenyReason::NoCodes));
    let excluded = TriggerFacts {
        standing: Standing::Excluded,
        ..facts()
    };
    let answer = answer(&RULES, WithoutCodes::Allow, &[], &excluded, &[]);
    assert_eq!(answer, Err(DenyReason::Excluded));
}

#[test]
fn a_stamp_far_from_its_arrival_is_not_believed() {
    let zone = Zone::parse("Europe/Lisbon").unwrap();
    let received: Timestamp = "2027-07-01T12:00:00Z".parse().unwrap();
    let local = |text: &str| Stamp::Local(text.parse().unwrap());
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let cases = [
        (Stamp::Absent, (received, None)),
        (Stamp::Unreadable, (received, Some(StampFault::Unreadable))),
        (
            local("2027-07-01T12:59:00"),
            (at("2027-07-01T11:59:00Z"), None),
        ),
        (
            local("2027-06-30T13:00:00"),
            (at("2027-06-30T12:00:00Z"), None),
        ),
        (
            local("2027-06-30T12:59:59"),
            (received, Some(StampFault::TooFar)),
        ),
        (
            Stamp::Instant(at("2027-07-02T12:00:01Z")),
            (received, Some(StampFault::TooFar)),
        ),
        (
            Stamp::Instant(at("2025-03-04T10:11:12Z")),
            (received, Some(StampFault::TooFar)),
        ),
    ];
    for (stamp, expected) in cases {
        assert_eq!(met_at(stamp, &zone, received), expected, "{stamp:?}");
    }
}

proptest! {
    /// Whoever the gateway let through is granted, if nothing has changed meanwhile.
    #[test]
    fn a_yes_is_a_grant_while_nothing_changes(
        visitor: bool, grants_visitors: bool, excluded: bool, required: bool,
        of_campaign in 0_u64..3, this_minute in 0_u64..3, by_customer in 0_u64..3, by_all in 0_u64..3,
        max in proptest::option::of(1_u64..3), total in proptest::option::of(1_u64..3),
        cap in proptest::option::of(1_u64..3), told: bool, known: bool,
    ) {
        let rules = TriggerRules {
            visitors: if grants_visitors { Visitors::Grant } else { Visitors::Hold },
            reservation: if required { ReservationRule::Required } else { ReservationRule::Optional },
            per_customer_max: cap,
            per_minute_max: cap,
            duration_default: None,
        };
        let facts = TriggerFacts {
            person: if visitor { Person::Visitor } else { Person::Customer },
            standing: if excluded { Standing::Excluded } else { Standing::Welcome },
            is_reserved: true,
            of_campaign,
            this_minute,
            duration: if told { DurationRead::Days(1) } else { DurationRead::Missing },
        };
        let code = CodeFacts {
            status: known.then_some(PromotionStatus::Active),
            limits: Limits { per_customer: max, total, ..Limits::default() },
            by_customer,
            by_all,
            ..code()
        };
        let allowed = answer(&rules, WithoutCodes::Deny, &[], &facts, &[code]);
        prop_assert_eq!(allowed.is_ok(), decide(&rules, &facts, &code).is_ok());
    }
}
