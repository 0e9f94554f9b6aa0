//! Clearance rounds: their cursors only move on, and their grants follow them.

use bestow_store::clearance::{Decided, Denial};
use bestow_store::door::Promise;
use bestow_store::grants::{Clearing, RoundFacts};
use bestow_store::runs::{Group, Pages, Runs};
use bestow_store::{Error, Tx};

use crate::support::{CHANNEL, Fresh, LEASE_MS, NOW_MS, Reading, TENANT, reading};

const DEADLINE: i64 = NOW_MS + 3_600_000;

/// A conditional campaign with one round whose list is read: page 1, customers anna and bob.
async fn round(fresh: &Fresh) -> Reading {
    let reading = reading(fresh, "5101").await;
    let this = reading.clone();
    let mut page = reading.page(0, &["anna", "bob"]);
    page.channel = -1;
    fresh
        .tx(move |tx| {
            let Reading { job, campaign, .. } = &this;
            assert!(tx.make_conditional(TENANT, *campaign)?);
            assert_eq!(tx.open_round(TENANT, *campaign, DEADLINE)?, Some(1));
            tx.want_import(TENANT, *campaign, -1)?;
            tx.begin_pass(job, *campaign, -1, 1, 1_000)?;
            assert_eq!(tx.land_page(job, *campaign, &page, LEASE_MS)?, Some(1));
            tx.set_round_state(job, *campaign, 1, "deciding")
        })
        .await;
    reading
}

fn promise<'a>(reading: &Reading, customer: &'a str) -> Promise<'a> {
    Promise {
        customer,
        offer: reading.offer,
        occurrence: "",
        window: reading.window,
        page: 1,
    }
}

fn decided(through: &str, approved: u64, denied: u64) -> Decided {
    Decided {
        through: through.to_owned(),
        approved,
        denied,
    }
}

fn denial(customer: &str, reason: &str) -> Denial {
    Denial {
        customer: customer.to_owned(),
        round: 1,
        reason: reason.to_owned(),
        pairs: 1,
    }
}

pub(crate) async fn one_round_for_one_deadline(fresh: Fresh) {
    let campaign = reading(&fresh, "5101").await.campaign;
    fresh
        .tx(move |tx| {
            assert_eq!(tx.open_round(TENANT, campaign, DEADLINE)?, Some(1));
            assert_eq!(tx.open_round(TENANT, campaign, DEADLINE)?, None);
            assert_eq!(tx.open_round(TENANT, campaign, DEADLINE - 1)?, Some(2));
            assert_eq!(tx.open_round(TENANT, campaign + 1, DEADLINE)?, Some(1));
            let rounds = tx.rounds(TENANT, campaign)?;
            let order: Vec<_> = rounds
                .iter()
                .map(|round| (round.no, round.channel()))
                .collect();
            assert_eq!(order, [(2, -2), (1, -1)], "the earliest deadline first");
            assert!(tx.close_round(TENANT, campaign, 1, "deadline")?);
            assert!(!tx.close_round(TENANT, campaign, 1, "complete")?);
            let closed = tx.rounds(TENANT, campaign)?.remove(1);
            assert!(closed.is_closed());
            assert_eq!(closed.close_reason.as_deref(), Some("deadline"));
            Ok(())
        })
        .await;
}

pub(crate) async fn cursors_only_move_on(fresh: Fresh) {
    let reading = round(&fresh).await;
    let this = reading.clone();
    fresh
        .tx(move |tx| {
            let Reading { job, campaign, .. } = &this;
            let no = *campaign;
            assert!(tx.move_decided(TENANT, no, 1, &decided("bob", 1, 1))?);
            assert!(!tx.move_decided(TENANT, no, 1, &decided("bob", 1, 1))?);
            assert!(!tx.move_decided(TENANT, no, 1, &decided("anna", 1, 0))?);
            assert!(tx.begin_report(job, no, 1, "bob", LEASE_MS)?);
            assert!(tx.begin_report(job, no, 1, "anna", LEASE_MS)?);
            assert!(tx.move_reported(job, no, 1, "anna", 1, LEASE_MS)?);
            assert!(!tx.move_reported(job, no, 1, "anna", 1, LEASE_MS)?);
            let round = tx.rounds(TENANT, no)?.remove(0);
            assert_eq!(
                (
                    round.customers,
                    round.approved,
                    round.denied,
                    round.reported
                ),
                (2, 1, 1, 1)
            );
            assert_eq!(round.sent_through.as_deref(), Some("bob"));
            assert_eq!(round.reported_through.as_deref(), Some("anna"));
            tx.close_round(TENANT, no, 1, "deadline")?;
            assert!(!tx.move_decided(TENANT, no, 1, &decided("cleo", 1, 0))?);
            assert!(!tx.begin_report(job, no, 1, "cleo", LEASE_MS)?);
            assert!(!tx.move_reported(job, no, 1, "bob", 1, LEASE_MS)?);
            Ok(())
        })
        .await;
}

pub(crate) async fn stopped_campaign_reports_nothing(fresh: Fresh) {
    let reading = round(&fresh).await;
    let this = reading.clone();
    fresh
        .tx(move |tx| {
            let Reading { job, campaign, .. } = &this;
            assert!(tx.begin_report(job, *campaign, 1, "anna", LEASE_MS)?);
            tx.revoke_campaign(TENANT, *campaign, "test")?;
            assert!(!tx.begin_report(job, *campaign, 1, "bob", LEASE_MS)?);
            Ok(())
        })
        .await;
    // Neither does whoever lost the claim.
    fresh.db.clock.advance(LEASE_MS);
    fresh
        .tx(|tx| tx.claim_job(LEASE_MS).map(|job| assert!(job.is_some())))
        .await;
    for what in 0..3 {
        let this = reading.clone();
        let refused = fresh
            .try_tx(move |tx: &mut Tx<'_>| {
                let Reading { job, campaign, .. } = &this;
                match what {
                    0 => tx
                        .begin_report(job, *campaign, 1, "bob", LEASE_MS)
                        .map(drop),
                    1 => tx
                        .move_reported(job, *campaign, 1, "bob", 1, LEASE_MS)
                        .map(drop),
                    _ => tx.set_round_state(job, *campaign, 1, "reading"),
                }
            })
            .await;
        assert!(matches!(refused, Err(Error::LeaseLost)), "{refused:?}");
    }
}

pub(crate) async fn grant_follows_its_round(fresh: Fresh) {
    let reading = round(&fresh).await;
    let this = reading.clone();
    fresh
        .tx(move |tx| {
            let mut door = tx.open_door(TENANT)?;
            door.give(tx, &promise(&this, "anna"))?;
            door.give(tx, &promise(&this, "bob"))?;
            tx.close_door(door)
        })
        .await;
    let clearing = |customer: &str| {
        let found = fresh.read(|tx| tx.grant(TENANT, customer, reading.offer));
        found.expect("it is granted").clearance
    };
    let facts = |through: Option<&str>| {
        Clearing::Round(RoundFacts {
            deadline: DEADLINE,
            reported_through: through.map(str::to_owned),
        })
    };
    assert_eq!(clearing("anna"), facts(None));
    let this = reading.clone();
    fresh
        .tx(move |tx| {
            let Reading {
                job,
                campaign,
                offer,
                ..
            } = &this;
            tx.move_decided(TENANT, *campaign, 1, &decided("bob", 2, 0))?;
            tx.move_reported(job, *campaign, 1, "bob", 1, LEASE_MS)?;
            tx.turn_down(
                TENANT,
                *campaign,
                &denial("bob", "bad_customer_id"),
                &[*offer],
            )
        })
        .await;
    assert_eq!(clearing("anna"), facts(Some("bob")));
    assert_eq!(clearing("bob"), Clearing::Refused);
    let known = fresh.read(|tx| tx.round_facts(TENANT, reading.campaign, 1));
    assert_eq!(known.map(Clearing::Round), Some(facts(Some("bob"))));
    let round = fresh
        .read(|tx| tx.rounds(TENANT, reading.campaign))
        .remove(0);
    assert_eq!((round.approved, round.denied), (1, 1));
    // Sent: the page is of a list of who was sent to.
    let this = reading.clone();
    fresh
        .tx(move |tx| {
            let page = this.page(0, &["anna"]);
            let page = tx.land_page(&this.job, this.campaign, &page, LEASE_MS)?;
            let to = Promise {
                page: page.expect("it lands"),
                ..promise(&this, "anna")
            };
            tx.move_grant(TENANT, &to)
        })
        .await;
    assert_eq!(clearing("anna"), Clearing::NotNeeded);
}

pub(crate) async fn denied_may_be_approved_later(fresh: Fresh) {
    let campaign = round(&fresh).await.campaign;
    fresh
        .tx(move |tx| {
            assert!(!tx.has_denials(TENANT, campaign)?);
            tx.put_denial(TENANT, campaign, &denial("anna", "unknown_code"))?;
            tx.put_denial(TENANT, campaign, &denial("bob", "excluded"))?;
            assert!(tx.has_denials(TENANT, campaign)?);
            let again = Denial {
                round: 2,
                reason: "limit_reached".into(),
                pairs: 3,
                ..denial("anna", "")
            };
            tx.put_denial(TENANT, campaign, &again)?;
            assert_eq!(tx.denial(TENANT, campaign, "anna")?, Some(again));
            assert_eq!(
                tx.denials(TENANT, campaign, 1)?,
                [("excluded".to_owned(), 1)]
            );
            assert_eq!(
                tx.denials(TENANT, campaign, 2)?,
                [("limit_reached".to_owned(), 1)]
            );
            tx.drop_denial(TENANT, campaign, "anna")?;
            assert_eq!(tx.denial(TENANT, campaign, "anna")?, None);
            assert_eq!(tx.denial(TENANT + 1, campaign, "bob")?, None);
            Ok(())
        })
        .await;
}

pub(crate) async fn rounds_stay_out_of_lists(fresh: Fresh) {
    let reading = round(&fresh).await;
    reading.land(&fresh, &reading.page(0, &["cleo"])).await;
    assert_eq!(
        fresh.read(|tx| tx.last_landed_page(TENANT, reading.campaign)),
        2
    );
    let walked = |pages: Pages| {
        let mut runs =
            Runs::over(fresh.store(), TENANT, reading.campaign, pages, None).expect("it opens");
        let (mut group, mut found) = (Group::default(), Vec::new());
        while runs.next_group(&mut group).expect("it can be read") {
            found.push(group.fold().to_owned());
        }
        found
    };
    assert_eq!(walked(Pages::Lists { through: 9 }), ["cleo"]);
    assert_eq!(walked(Pages::Rounds { through: 1 }), ["anna", "bob"]);
    assert_eq!(walked(Pages::All), ["anna", "bob", "cleo"]);
    let channel = |page| fresh.read(|tx| tx.page_channel(TENANT, reading.campaign, page));
    assert_eq!(
        (channel(1), channel(2), channel(3)),
        (Some(-1), Some(CHANNEL), None)
    );
}

pub(crate) async fn lists_are_read_anew_once(fresh: Fresh) {
    let reading = round(&fresh).await;
    let this = reading.clone();
    let reread = async |state: &'static str, before: i64| {
        let this = this.clone();
        fresh
            .tx(move |tx| {
                tx.set_import_state(TENANT, this.campaign, CHANNEL, state, None)?;
                tx.reread_lists(TENANT, this.campaign, before)
            })
            .await
    };
    assert_eq!(reread("reading", DEADLINE).await, 0, "it is being read");
    assert_eq!(reread("done", NOW_MS).await, 0, "it was wanted after that");
    fresh.db.clock.advance(3_600_000);
    assert_eq!(reread("done", DEADLINE).await, 1);
    assert_eq!(reread("done", DEADLINE).await, 0, "once");
    assert_eq!(reread("held", DEADLINE + 1).await, 1);
    let imports = fresh.read(|tx| tx.imports(TENANT, reading.campaign));
    let states: Vec<_> = imports
        .iter()
        .map(|one| (one.channel, one.state.as_str()))
        .collect();
    assert_eq!(
        states,
        [(-1, "reading"), (CHANNEL, "wanted")],
        "a round is not a list"
    );
}

pub(crate) async fn only_scheduled_becomes_conditional(fresh: Fresh) {
    fresh
        .tx(|tx| {
            for (id, kind, expected) in [
                ("1", "scheduled", true),
                ("2", "conditional", true),
                ("3", "triggered", false),
            ] {
                let (no, _) = tx.see_campaign(TENANT, id, kind, "notification")?;
                assert_eq!(tx.make_conditional(TENANT, no)?, expected, "{kind}");
            }
            Ok(())
        })
        .await;
}
