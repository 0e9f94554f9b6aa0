//! Triggers, their outcomes, and the gateway's reservations: counted once, whatever is run again.

use bestow_store::gateway::Reservation;
use bestow_store::triggers::{NewTrigger, Taken, TriggerPair};

use crate::support::{Fresh, NOW_MS, TENANT};

const CAMPAIGN: i64 = 1;

fn reservation(customer: &str, codes: &str) -> Reservation {
    Reservation {
        customer: customer.into(),
        campaign: "rt-812".into(),
        action: 24,
        series: None,
        codes: codes.into(),
        asked_at: NOW_MS,
        lapses_at: NOW_MS + 1_000,
        consumed_by: None,
    }
}

async fn reserve(fresh: &Fresh, new: Reservation) {
    fresh.tx(move |tx| tx.reserve(TENANT, &new)).await;
}

fn taken(fresh: &Fresh, code: &str) -> (u64, u64) {
    let Taken { granted, reserved } = fresh.read(|tx| tx.taken(TENANT, code));
    (granted, reserved)
}

pub(crate) async fn trigger_is_kept_once(fresh: Fresh) {
    let insert = |notification: &'static str| {
        fresh.tx(move |tx| {
            let new = NewTrigger {
                campaign: CAMPAIGN,
                occurrence: "0a",
                customer: "P-1",
                notification,
                met_at: NOW_MS - 5,
                reserved: true,
                kept: "{}",
            };
            tx.insert_trigger(TENANT, &new)
        })
    };
    assert!(insert("n1").await);
    fresh.db.clock.advance(1_000);
    assert!(!insert("n2").await);
    let kept = fresh.read(|tx| tx.trigger(TENANT, CAMPAIGN, "0a"));
    let kept = kept.expect("it is there");
    assert_eq!(
        (kept.met_at, kept.taken_at, kept.reserved),
        (NOW_MS - 5, NOW_MS, true)
    );
}

pub(crate) async fn held_pairs_wait_in_the_order_they_came(fresh: Fresh) {
    let put = |occurrence: &'static str, code_fold, outcome, waits_with| {
        fresh.tx(move |tx| {
            let pair = TriggerPair {
                campaign: CAMPAIGN,
                occurrence,
                code_fold,
                outcome,
                waits_with,
            };
            tx.put_trigger_pair(TENANT, &pair)
        })
    };
    put("0c", "fs20", "held:visitor", Some("n1")).await;
    put("0a", "fs20", "held:visitor", Some("n2")).await;
    put("0a", "cb10", "held:visitor", Some("n2")).await;
    put("0b", "fs20", "granted", None).await;
    let waiting = |after: &str| fresh.read(|tx| tx.waiting_triggers(TENANT, CAMPAIGN, after, 10));
    assert_eq!(waiting(""), ["n1", "n2"]);
    assert_eq!(waiting("n1"), ["n2"]);
    put("0c", "fs20", "granted", None).await;
    assert_eq!(waiting(""), ["n2"]);
    let pairs = fresh.read(|tx| tx.trigger_pairs(TENANT, CAMPAIGN, "0c"));
    assert_eq!(pairs, [("fs20".to_owned(), "granted".to_owned())]);
}

pub(crate) async fn reservations_take_room_once(fresh: Fresh) {
    reserve(&fresh, reservation("P-1", "cb10\nfs20")).await;
    assert_eq!(
        (taken(&fresh, "cb10"), taken(&fresh, "fs20")),
        ((0, 1), (0, 1))
    );
    // The same question with other codes: the older answer's room is free again.
    reserve(&fresh, reservation("P-1", "fs20")).await;
    assert_eq!(
        (taken(&fresh, "cb10"), taken(&fresh, "fs20")),
        ((0, 0), (0, 1))
    );
    for used in [true, false] {
        let was = fresh
            .tx(|tx| tx.consume_reservation(TENANT, &reservation("P-1", "fs20"), "0a"))
            .await;
        assert_eq!(was, used);
        assert_eq!(taken(&fresh, "fs20"), (0, 0));
    }
    let kept = fresh.read(|tx| tx.reservations(TENANT, "P-1"));
    assert_eq!(kept[0].consumed_by.as_deref(), Some("0a"));
    assert!(!kept[0].is_alive(NOW_MS));
}

pub(crate) async fn lapsed_reservations_give_room_back_step_by_step(fresh: Fresh) {
    for customer in ["P-1", "P-2", "P-3"] {
        reserve(&fresh, reservation(customer, "fs20")).await;
    }
    let used = reservation("P-1", "fs20");
    fresh
        .tx(move |tx| tx.consume_reservation(TENANT, &used, "0a"))
        .await;
    fresh.db.clock.advance(999);
    assert_eq!(fresh.tx(|tx| tx.drop_lapsed(TENANT, 10)).await, 0);
    fresh.db.clock.advance(1);
    assert_eq!(fresh.tx(|tx| tx.drop_lapsed(TENANT, 2)).await, 2);
    assert_eq!(fresh.tx(|tx| tx.drop_lapsed(TENANT, 2)).await, 1);
    assert_eq!(taken(&fresh, "fs20"), (0, 0));
}

pub(crate) async fn minutes_are_counted_and_forgotten(fresh: Fresh) {
    for minute in [7, 7, 8] {
        fresh
            .tx(move |tx| tx.count_trigger_minute(TENANT, CAMPAIGN, minute))
            .await;
    }
    let minute = |minute| fresh.read(|tx| tx.trigger_minute(TENANT, CAMPAIGN, minute));
    assert_eq!((minute(7), minute(8)), (0, 1));
}

pub(crate) async fn only_what_was_never_read_becomes_triggered(fresh: Fresh) {
    let marked = fresh
        .tx(|tx| {
            let (listed, _) = tx.see_campaign(TENANT, "5101", "scheduled", "notification")?;
            tx.want_import(TENANT, listed, 504)?;
            let (stopped, _) = tx.see_campaign(TENANT, "rt-812", "scheduled", "notification")?;
            let marked = [listed, stopped].map(|no| tx.mark_triggered(TENANT, no));
            let is = [listed, stopped].map(|no| tx.is_triggered(TENANT, no));
            let [a, b] = marked;
            let [c, d] = is;
            Ok((a?, b?, c?, d?))
        })
        .await;
    assert_eq!(marked, (false, true, false, true));
}

pub(crate) async fn the_gateway_remembers_who_registered_and_who_asked(fresh: Fresh) {
    fresh.tx(|tx| tx.gateway_registered(TENANT, b"one")).await;
    assert!(fresh.tx(|tx| tx.note_question(TENANT, NOW_MS - 10)).await);
    assert!(!fresh.tx(|tx| tx.note_question(TENANT, NOW_MS - 10)).await);
    fresh.tx(|tx| tx.gateway_registered(TENANT, b"two")).await;
    let known = fresh.read(|tx| tx.registered_gateway(TENANT));
    let known = known.expect("it is there");
    assert_eq!(
        (known.address_hash, known.asked_at),
        (b"two".to_vec(), Some(NOW_MS))
    );
}

pub(crate) async fn approvals_leave_in_their_order(fresh: Fresh) {
    for (user, allowed) in [("P-1", true), ("P-2", false)] {
        fresh
            .tx(move |tx| tx.want_approval(TENANT, user, "90121", allowed))
            .await;
    }
    let waiting = || fresh.read(|tx| tx.approvals_to_send(TENANT, 10));
    let all = waiting();
    let told: Vec<_> = all
        .iter()
        .map(|one| (one.user_id.as_str(), one.allowed))
        .collect();
    assert_eq!(told, [("P-1", true), ("P-2", false)]);
    let first = all[0].no;
    fresh.tx(move |tx| tx.approval_sent(TENANT, first)).await;
    assert_eq!(waiting().len(), 1);
}

pub(crate) async fn outcomes_must_be_what_is_counted(fresh: Fresh) {
    fresh
        .tx(|tx| {
            let (campaign, _) = tx.see_campaign(TENANT, "rt-812", "triggered", "notification")?;
            let pair = TriggerPair {
                campaign,
                occurrence: "0a",
                code_fold: "fs20",
                outcome: "held:visitor",
                waits_with: Some("n1"),
            };
            tx.put_trigger_pair(TENANT, &pair)?;
            tx.add_counts(TENANT, campaign, &[("held:visitor".into(), 1)])
        })
        .await;
    let rules = || {
        let broken = fresh.read(|tx| tx.verify_triggers(TENANT));
        broken.into_iter().map(|one| one.rule).collect::<Vec<_>>()
    };
    assert_eq!(rules(), [""; 0]);
    fresh.plant("UPDATE trigger_pair SET waits_with = NULL");
    assert_eq!(rules(), ["held_triggers_wait"]);
    fresh.plant("UPDATE campaign_count SET n = 2");
    assert_eq!(rules(), ["triggers_add_up", "held_triggers_wait"]);
}
