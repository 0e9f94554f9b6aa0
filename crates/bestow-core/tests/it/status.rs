use bestow_core::grant::{Standing, standing, status};
use bestow_core::{CampaignFacts, Clearance, GrantFacts, GrantStatus, Refusal, Window};
use proptest::prelude::*;

use crate::{table, tick, ticks};

/// A grant that needs nothing, for one use, from 10 to 20.
fn grant() -> GrantFacts {
    GrantFacts::single_use(ticks(10, 20))
}

/// Facts in words, for the table below: what is not said is as in [`grant`] and a running campaign.
fn facts(words: &str) -> (GrantFacts, CampaignFacts) {
    let (mut grant, mut campaign) = (grant(), CampaignFacts::RUNNING);
    for word in words.split_whitespace() {
        match word {
            "plain" => {}
            "used" => grant.redeemed_count = 1,
            "thrice" => grant.uses_max = Some(3),
            "unbounded" => grant.uses_max = None,
            "awaiting-15" => grant.cleared = Clearance::Awaiting { deadline: tick(15) },
            "approved" => grant.cleared = Clearance::Approved,
            "denied" => grant.cleared = Clearance::Denied,
            "endless" => grant.window.ends_at = None,
            "listed-14" => grant.ended_at = Some(tick(14)),
            "listed-30" => grant.ended_at = Some(tick(30)),
            "revoked" => grant.revoked_at = Some(tick(12)),
            "campaign-suspended" => campaign.suspended_at = Some(tick(12)),
            "campaign-revoked" => campaign.revoked_at = Some(tick(12)),
            other => panic!("no such fact: {other}"),
        }
    }
    (grant, campaign)
}

#[test]
fn statuses_by_example() {
    let cases = table::<4>(
        "
        # facts | now | status | refusal
        plain                         |  9 | pending            | not_started
        plain                         | 10 | active             | -
        plain                         | 19 | active             | -
        plain                         | 20 | expired            | expired

        # Use.
        used                          | 15 | redeemed           | already_redeemed
        used                          | 20 | redeemed           | expired
        used thrice                   | 15 | active             | -
        used thrice                   | 20 | expired            | expired
        used unbounded                | 15 | active             | -

        # Clearance. Silence at the deadline means no.
        awaiting-15                   |  9 | awaiting_clearance | not_cleared
        awaiting-15                   | 14 | awaiting_clearance | not_cleared
        awaiting-15                   | 15 | not_cleared        | not_cleared
        awaiting-15                   | 99 | not_cleared        | not_cleared
        approved                      |  9 | pending            | not_started
        approved                      | 15 | pending            | not_started
        approved                      | 20 | expired            | expired
        denied                        |  9 | not_cleared        | not_cleared
        denied                        | 99 | not_cleared        | not_cleared

        # The daily list.
        endless                       | 99 | active             | -
        endless listed-14             | 13 | active             | -
        endless listed-14             | 14 | expired            | expired
        listed-14                     | 14 | expired            | expired
        listed-30                     | 19 | active             | -
        listed-30                     | 20 | expired            | expired

        # Stopped campaigns, at any time of asking: also before the stop, for clocks jump.
        campaign-suspended            |  9 | suspended          | suspended
        campaign-suspended            | 11 | suspended          | suspended
        campaign-suspended            | 15 | suspended          | suspended
        campaign-suspended            | 99 | suspended          | suspended
        campaign-suspended denied     | 15 | suspended          | suspended
        campaign-suspended awaiting-15| 14 | suspended          | suspended
        campaign-revoked              | 11 | revoked            | revoked
        campaign-revoked              | 99 | revoked            | revoked
        revoked                       |  9 | revoked            | revoked
        revoked                       | 15 | revoked            | revoked
        revoked approved              | 15 | revoked            | revoked
        revoked campaign-suspended    | 15 | revoked            | revoked
        campaign-revoked campaign-suspended | 15 | revoked      | revoked

        # Redeemed stays redeemed; another redemption is refused for what came first in the order.
        used campaign-revoked         | 15 | redeemed           | revoked
        used campaign-suspended       | 15 | redeemed           | suspended
        used revoked                  | 99 | redeemed           | revoked
        used thrice campaign-revoked  | 15 | revoked            | revoked
        ",
    );
    for [words, now, expected, refusal] in cases {
        let (grant, campaign) = facts(words);
        let now = tick(now.parse().expect("a number"));
        assert_eq!(
            status(&grant, &campaign, now).as_str(),
            expected,
            "{words} at {now}"
        );
        let found = standing(&grant, &campaign, now).refusal();
        assert_eq!(
            found.map_or("-", Refusal::as_str),
            refusal,
            "{words} at {now}"
        );
    }
}

#[test]
fn a_window_that_ends_before_it_starts_is_never_active() {
    let grant = GrantFacts::single_use(Window {
        starts_at: tick(20),
        ends_at: Some(tick(10)),
    });
    for now in [5, 10, 15, 20, 25] {
        let status = status(&grant, &CampaignFacts::RUNNING, tick(now));
        assert_ne!(status, GrantStatus::Active, "at {now}");
    }
}

/// Every combination of facts around an instant, each with what its grant is.
fn all_facts() -> Vec<(GrantFacts, CampaignFacts)> {
    let now = 15;
    let mut all = Vec::new();
    let some_or_none = [None, Some(tick(12))];
    let clearances = [
        Clearance::NotNeeded,
        Clearance::Approved,
        Clearance::Denied,
        Clearance::Awaiting {
            deadline: tick(now),
        },
        Clearance::Awaiting {
            deadline: tick(now + 1),
        },
    ];
    let windows = [
        ticks(16, 20),
        ticks(15, 16),
        ticks(10, 15),
        ticks(10, None),
        ticks(16, None),
    ];
    for suspended_at in some_or_none {
        for campaign_revoked_at in some_or_none {
            let campaign = CampaignFacts {
                suspended_at,
                revoked_at: campaign_revoked_at,
            };
            for revoked_at in some_or_none {
                for cleared in clearances {
                    for window in windows {
                        for ended_at in [None, Some(tick(15)), Some(tick(16))] {
                            for (redeemed_count, uses_max) in [
                                (0, Some(1)),
                                (1, Some(1)),
                                (2, Some(1)),
                                (1, Some(2)),
                                (9, None),
                            ] {
                                let grant = GrantFacts {
                                    window,
                                    ended_at,
                                    cleared,
                                    revoked_at,
                                    redeemed_count,
                                    uses_max,
                                };
                                all.push((grant, campaign));
                            }
                        }
                    }
                }
            }
        }
    }
    all
}

/// Whether a refusal applies by itself, whatever else does: written apart from the code.
fn applies(refusal: Refusal, grant: &GrantFacts, campaign: &CampaignFacts) -> bool {
    let now = tick(15);
    match refusal {
        Refusal::Revoked => grant.revoked_at.is_some() || campaign.revoked_at.is_some(),
        Refusal::Suspended => campaign.suspended_at.is_some(),
        Refusal::NotCleared => !matches!(grant.cleared, Clearance::NotNeeded | Clearance::Approved),
        // What is approved starts by its execution alone, not by its window.
        Refusal::NotStarted => {
            let is_sent = grant.cleared != Clearance::Approved;
            now < grant.window.starts_at || !(is_sent || has_ended(grant))
        }
        Refusal::Expired => has_ended(grant),
        Refusal::AlreadyRedeemed => grant
            .uses_max
            .is_some_and(|max| grant.redeemed_count >= max),
        _ => false,
    }
}

fn has_ended(grant: &GrantFacts) -> bool {
    let ends = [grant.window.ends_at, grant.ended_at];
    ends.into_iter().flatten().any(|end| end <= tick(15))
}

#[test]
fn the_refusal_of_any_facts_is_the_first_in_the_order_that_applies() {
    let all = all_facts();
    assert_eq!(all.len(), 2 * 2 * 2 * 5 * 5 * 3 * 5);
    for (grant, campaign) in all {
        let first = Refusal::ALL
            .iter()
            .copied()
            .find(|&each| applies(each, &grant, &campaign));
        let found = standing(&grant, &campaign, tick(15));
        assert_eq!(found.refusal(), first, "{grant:?} {campaign:?}");
        assert_eq!(found == Standing::Active, first.is_none());
    }
}

#[test]
fn status_and_refusal_never_disagree() {
    for (grant, campaign) in all_facts() {
        let status = status(&grant, &campaign, tick(15));
        let refusal = standing(&grant, &campaign, tick(15)).refusal();
        let agreed = match status {
            GrantStatus::Active => refusal.is_none(),
            GrantStatus::Redeemed => refusal.is_some() && grant.is_used_up(),
            GrantStatus::Pending => refusal == Some(Refusal::NotStarted),
            GrantStatus::Expired => refusal == Some(Refusal::Expired),
            GrantStatus::Suspended => refusal == Some(Refusal::Suspended),
            GrantStatus::Revoked => refusal == Some(Refusal::Revoked),
            GrantStatus::AwaitingClearance | GrantStatus::NotCleared => {
                refusal == Some(Refusal::NotCleared)
            }
        };
        assert!(agreed, "{status} with {refusal:?}: {grant:?} {campaign:?}");
    }
}

/// How far along its life a status is; time alone never leads back.
fn age(status: GrantStatus) -> u8 {
    match status {
        GrantStatus::Pending | GrantStatus::AwaitingClearance => 0,
        GrantStatus::Active => 1,
        GrantStatus::Expired | GrantStatus::NotCleared => 2,
        GrantStatus::Suspended | GrantStatus::Redeemed | GrantStatus::Revoked => 3,
    }
}

proptest! {
    #![proptest_config(crate::properties())]

    #[test]
    fn time_alone_never_leads_back(
        pick in any::<prop::sample::Index>(), one in 0_i64..40, other in 0_i64..40,
    ) {
        let all = all_facts();
        let (grant, campaign) = all[pick.index(all.len())];
        let early = status(&grant, &campaign, tick(one.min(other)));
        let late = status(&grant, &campaign, tick(one.max(other)));
        prop_assert!(age(early) <= age(late), "{early} then {late}");
        if age(early) == 3 {
            prop_assert_eq!(early, late);
        }
    }

    #[test]
    fn a_stop_never_makes_anything_redeemable(
        pick in any::<prop::sample::Index>(), now in 0_i64..40, stopped_at in 0_i64..40,
    ) {
        let all = all_facts();
        let (grant, campaign) = all[pick.index(all.len())];
        let stopped_at = Some(tick(stopped_at));
        for stopped in [
            CampaignFacts { suspended_at: stopped_at, ..campaign },
            CampaignFacts { revoked_at: stopped_at, ..campaign },
        ] {
            prop_assert_ne!(standing(&grant, &stopped, tick(now)), Standing::Active);
        }
    }
}
