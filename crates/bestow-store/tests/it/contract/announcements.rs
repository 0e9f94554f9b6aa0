//! What destinations are to hear of: written with the grants, or not at all.

use bestow_core::GivenCode;
use bestow_core::announce::{GrantEvent, Tells};
use bestow_core::delivery::DeliveryState;
use bestow_store::Error;
use bestow_store::announcements::{DELIVER, Event};
use bestow_store::campaigns::{SuspendedBy, WindowSpec};
use bestow_store::deliveries::{NewDelivery, TryEnd};
use bestow_store::destinations::{NewDestination, Place};
use bestow_store::jobs::Job;
use bestow_store::merge::{MergeChunk, WindowRef};

use crate::support::{Fresh, LEASE_MS, NOW_MS, TENANT, WINDOW, reading};

const DAY_MS: i64 = 86_400_000;

pub(crate) async fn destination(fresh: &Fresh, id: &'static str) -> i64 {
    fresh
        .tx(move |tx| {
            let new = NewDestination {
                id,
                kind: "http",
                settings: "{}",
                secrets: Some(b"sealed"),
            };
            let made = tx.insert_destination(TENANT, &new)?;
            assert_eq!(tx.insert_destination(TENANT, &new)?, None);
            Ok(made.expect("it is new"))
        })
        .await
}

fn events(fresh: &Fresh) -> Vec<Event> {
    fresh.read(|tx| tx.grant_events(TENANT, 0, 100))
}

fn told(fresh: &Fresh) -> Vec<(&'static str, Option<i64>, i64, i64)> {
    let events = events(fresh);
    let told = events
        .iter()
        .map(|event| (event.kind.as_str(), event.block, event.through, event.at));
    told.collect()
}

/// Takes the job that delivers to the first destination.
async fn deliver(fresh: &Fresh) -> Job {
    fresh
        .tx(|tx| {
            let job = tx.claim_job_of(Some(DELIVER), LEASE_MS)?;
            Ok(job.expect("it is due"))
        })
        .await
}

fn place(event: i64, block: i64, entry: i64) -> Place {
    Place {
        event,
        block,
        entry,
    }
}

pub(crate) async fn silence_without_a_destination(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    reading.merge(&fresh, reading.chunk(&["anna"])).await;
    let campaign = reading.campaign;
    fresh
        .tx(move |tx| tx.revoke_campaign(TENANT, campaign, "by hand"))
        .await;
    assert_eq!(events(&fresh), []);
    assert_eq!(fresh.read(|tx| tx.grant_block(TENANT, 1)), None);
    assert_eq!(fresh.read(|tx| tx.next_job_of_kind_at(DELIVER)), None);
}

pub(crate) async fn grants_are_noted_with_their_transaction(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    reading.merge(&fresh, reading.chunk(&["anna"])).await;
    destination(&fresh, "bonus").await;
    reading
        .merge(&fresh, reading.chunk(&["anna", "bob", "cleo"]))
        .await;
    let block = fresh
        .read(|tx| tx.grant_block(TENANT, 1))
        .expect("it is there");
    let customers: Vec<_> = block.notes.iter().map(|note| &*note.customer).collect();
    assert_eq!(customers, ["bob", "cleo"]);
    assert_eq!(block.customers, ("bob".to_owned(), "cleo".to_owned()));
    assert_eq!((block.campaign, block.made_at), (reading.campaign, NOW_MS));
    let note = &block.notes[0];
    assert_eq!(
        (note.offer, note.window, note.code),
        (reading.offer, reading.window, GivenCode::Shared)
    );
    assert_eq!(
        (note.span.starts_at, note.span.ends_at),
        (WINDOW.starts_at, WINDOW.ends_at)
    );
    let all = Tells {
        creation: true,
        start: true,
        end: true,
    };
    assert_eq!(note.tells, all);
    assert_eq!(told(&fresh), [("grant.created", Some(1), 1, NOW_MS)]);
    assert_eq!(
        fresh.read(|tx| tx.next_job_of_kind_at(DELIVER)),
        Some(NOW_MS)
    );
    // What is undone is not told.
    let (job, campaign, chunk) = (
        reading.job.clone(),
        reading.campaign,
        reading.chunk(&["dora"]),
    );
    let undone: Result<(), Error> = fresh
        .try_tx(move |tx| {
            tx.begin_merge(&job, campaign, 1)?;
            assert!(tx.merge_chunk(&job, campaign, &chunk, LEASE_MS)?);
            Err(Error::LeaseLost)
        })
        .await;
    assert!(undone.is_err());
    assert_eq!(events(&fresh).len(), 1);
}

pub(crate) async fn starts_and_ends_come_in_the_order_of_time(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    destination(&fresh, "bonus").await;
    let mut chunk = reading.chunk(&["anna"]);
    let later = WindowSpec {
        starts_at: NOW_MS - DAY_MS,
        ends_at: Some(NOW_MS + DAY_MS / 2),
        ..WINDOW
    };
    chunk.new_windows.push(later);
    let mut grant = reading.grant(&mut chunk, "bob");
    grant.window = WindowRef::New(0);
    chunk.grants.push(grant);
    chunk.last_fold = "bob".into();
    reading.merge(&fresh, chunk).await;
    let due = |fresh: &Fresh| {
        let rows = fresh.read(|tx| tx.due_announcements(TENANT, 10));
        rows.iter()
            .map(|row| (row.at, row.is_start))
            .collect::<Vec<_>>()
    };
    assert_eq!(due(&fresh), [(NOW_MS - DAY_MS, true), (NOW_MS, true)]);
    assert_eq!(
        fresh.read(|tx| tx.next_announcement_at(TENANT)),
        Some(NOW_MS + DAY_MS / 2)
    );
    fresh
        .tx(|tx| {
            for row in tx.due_announcements(TENANT, 10)? {
                tx.announce_due(TENANT, &row, true)?;
            }
            Ok(())
        })
        .await;
    let expected = [
        ("grant.created", Some(1), 1, NOW_MS),
        ("grant.activated", Some(1), 1, NOW_MS - DAY_MS),
        ("grant.activated", Some(1), 1, NOW_MS),
    ];
    assert_eq!(told(&fresh), expected);
    assert_eq!(due(&fresh), []);
}

pub(crate) async fn starts_of_suspended_campaigns_wait(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    destination(&fresh, "bonus").await;
    reading.merge(&fresh, reading.chunk(&["anna"])).await;
    let campaign = reading.campaign;
    let due = |fresh: &Fresh| fresh.read(|tx| tx.due_announcements(TENANT, 10)).len();
    assert_eq!(due(&fresh), 1);
    fresh
        .tx(move |tx| {
            assert!(tx.suspend_campaign(TENANT, campaign, SuspendedBy::Cancel, "event 4")?);
            // A person takes the suspension over: nobody is told twice.
            tx.suspend_campaign(TENANT, campaign, SuspendedBy::Operator, "by hand")
        })
        .await;
    assert_eq!(due(&fresh), 0);
    fresh
        .tx(move |tx| tx.lift_suspension(TENANT, campaign))
        .await;
    assert_eq!(due(&fresh), 1);
    fresh
        .tx(move |tx| {
            assert!(tx.revoke_campaign(TENANT, campaign, "by hand")?);
            tx.revoke_campaign(TENANT, campaign, "again")
        })
        .await;
    // To be dropped.
    assert_eq!(due(&fresh), 1);
    let kinds: Vec<_> = events(&fresh)
        .iter()
        .map(|event| (event.kind, event.block))
        .collect();
    let expected = [
        (GrantEvent::Created, Some(1)),
        (GrantEvent::Suspended, None),
        (GrantEvent::Resumed, None),
        (GrantEvent::Revoked, None),
    ];
    assert_eq!(kinds, expected);
    // Grants that come after it are not told of.
    reading.merge(&fresh, reading.chunk(&["bob"])).await;
    assert_eq!(fresh.read(|tx| tx.grants_total()), 2);
    assert_eq!(events(&fresh).len(), 4);
    assert_eq!(
        fresh.read(|tx| tx.next_block_of(TENANT, campaign, 0, 9)),
        Some(1)
    );
    assert_eq!(
        fresh.read(|tx| tx.next_block_of(TENANT, campaign, 2, 9)),
        None
    );
}

pub(crate) async fn a_wider_window_replaces_what_was_to_be_told(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    destination(&fresh, "bonus").await;
    reading.merge(&fresh, reading.chunk(&["anna", "bob"])).await;
    let mut chunk = MergeChunk {
        last_fold: "anna".into(),
        ..MergeChunk::default()
    };
    chunk.new_windows.push(WindowSpec {
        ends_at: Some(NOW_MS + 2 * DAY_MS),
        ..WINDOW
    });
    let mut wider = reading.grant(&mut chunk, "anna");
    wider.window = WindowRef::New(0);
    chunk.widened.push(wider);
    reading.merge(&fresh, chunk).await;
    let first = fresh
        .read(|tx| tx.grant_block(TENANT, 1))
        .expect("it is there");
    let moves = fresh.read(|tx| tx.moves_of(TENANT, &first, 2));
    assert_eq!(moves.len(), 1);
    let note = &moves[0].notes[0];
    assert_eq!(
        (&*note.customer, note.span.ends_at),
        ("anna", Some(NOW_MS + 2 * DAY_MS))
    );
    let only_end = Tells {
        end: true,
        ..Tells::default()
    };
    assert_eq!(note.tells, only_end);
    assert_eq!(fresh.read(|tx| tx.moves_of(TENANT, &first, 1)), []);
    assert_eq!(events(&fresh).len(), 1);
}

pub(crate) async fn a_destination_hears_from_its_making_on(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    let first = destination(&fresh, "bonus").await;
    reading.merge(&fresh, reading.chunk(&["anna"])).await;
    let second = destination(&fresh, "other").await;
    let heard = |no| {
        fresh
            .read(|tx| tx.destination_by_no(TENANT, no))
            .map(|found| found.heard)
    };
    assert_eq!(heard(first), Some(place(1, 0, 0)));
    assert_eq!(heard(second), Some(place(2, 0, 0)));
    let ids = |fresh: &Fresh| {
        let found = fresh.read(|tx| tx.destinations(TENANT, "", 10));
        found.into_iter().map(|one| one.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&fresh), ["bonus", "other"]);
    fresh.tx(move |tx| tx.end_destination(TENANT, first)).await;
    assert_eq!(ids(&fresh), ["other"]);
    assert_eq!(heard(first), None);
    // Its name is free again.
    let third = destination(&fresh, "bonus").await;
    assert_ne!(third, first);
    fresh
        .tx(move |tx| {
            tx.set_destination(TENANT, third, "{\"x\":1}", None)?;
            tx.pause_destination(TENANT, third, Some(5))
        })
        .await;
    let changed = fresh
        .read(|tx| tx.destination(TENANT, "bonus"))
        .expect("it is there");
    assert_eq!(
        (&*changed.settings, changed.secrets, changed.paused_at),
        ("{\"x\":1}", None, Some(5))
    );
    assert_eq!(fresh.read(|tx| tx.destination(TENANT + 1, "bonus")), None);
}

pub(crate) async fn deliveries_are_planned_once(fresh: Fresh) {
    let no = destination(&fresh, "bonus").await;
    let reading = reading(&fresh, "5101").await;
    reading.merge(&fresh, reading.chunk(&["anna", "bob"])).await;
    let job = deliver(&fresh).await;
    let plan = |id: &str, from, to, events| NewDelivery {
        id: id.into(),
        from,
        to,
        events,
    };
    let new = vec![
        plan("dlv_1", place(1, 0, 0), place(1, 1, 1), 1),
        plan("none", place(1, 1, 1), place(1, 1, 1), 0),
        plan("dlv_2", place(1, 1, 1), place(2, 0, 0), 1),
    ];
    let planned = |new: Vec<NewDelivery>, from| {
        let job = job.clone();
        fresh.tx(move |tx| tx.plan_deliveries(&job, no, from, &new, LEASE_MS))
    };
    assert!(planned(new.clone(), place(1, 0, 0)).await);
    assert!(!planned(new, place(1, 0, 0)).await);
    let listed = fresh.read(|tx| tx.deliveries(TENANT, None, None, (0, 0), 10));
    let shown: Vec<_> = listed
        .iter()
        .map(|one| (&*one.id, one.no, one.state))
        .collect();
    assert_eq!(
        shown,
        [
            ("dlv_1", 1, DeliveryState::Waiting),
            ("dlv_2", 2, DeliveryState::Waiting)
        ]
    );
    let heard = fresh
        .read(|tx| tx.destination_by_no(TENANT, no))
        .expect("it is there")
        .heard;
    assert_eq!(heard, place(2, 0, 0));
    // Whoever lost the claim plans nothing.
    let stale = Job {
        token: job.token - 1,
        ..job.clone()
    };
    let refused =
        fresh.try_tx(move |tx| tx.plan_deliveries(&stale, no, place(2, 0, 0), &[], LEASE_MS));
    assert!(matches!(refused.await, Err(Error::LeaseLost)));
}

/// A try that settles its delivery.
fn settled(state: DeliveryState) -> TryEnd {
    TryEnd {
        state,
        next_at: None,
        attempts: 1,
        first_tried_at: NOW_MS,
        in_doubt: false,
        detail: None,
    }
}

pub(crate) async fn what_was_delivered_long_ago_goes(fresh: Fresh) {
    let no = destination(&fresh, "bonus").await;
    let reading = reading(&fresh, "5101").await;
    let customers = ["anna", "bob", "cleo", "dora", "eve"];
    reading.merge(&fresh, reading.chunk(&customers)).await;
    let job = deliver(&fresh).await;
    let new: Vec<_> = (0..5)
        .map(|at| NewDelivery {
            id: format!("dlv_{at}"),
            from: place(1, 1, at),
            to: place(1, 1, at + 1),
            events: 1,
        })
        .collect();
    let planner = job.clone();
    let from = place(1, 0, 0);
    assert!(
        fresh
            .tx(move |tx| tx.plan_deliveries(&planner, no, from, &new, LEASE_MS))
            .await
    );
    // The second was given up; the others are delivered, the third and later ones a minute later.
    for (at, state) in [
        (1, DeliveryState::Delivered),
        (2, DeliveryState::Dead),
        (3, DeliveryState::Delivered),
        (4, DeliveryState::Delivered),
        (5, DeliveryState::Delivered),
    ] {
        if at == 4 {
            fresh.db.clock.advance(60_000);
        }
        let (job, end) = (job.clone(), settled(state));
        fresh
            .tx(move |tx| tx.end_try(&job, no, at, &end, LEASE_MS))
            .await;
    }
    assert_eq!(fresh.read(|tx| tx.delivered_to(TENANT, 0)), Some(no));
    assert_eq!(fresh.read(|tx| tx.delivered_to(TENANT, no)), None);
    let drop = async |until| {
        let job = job.clone();
        let dropped = fresh.tx(move |tx| tx.drop_delivered(&job, no, until, 2, LEASE_MS));
        dropped.await
    };
    let left = || {
        let found = fresh.read(|tx| tx.deliveries(TENANT, None, None, (0, 0), 10));
        found.into_iter().map(|one| one.no).collect::<Vec<_>>()
    };
    assert_eq!(drop(NOW_MS - 1).await, 0);
    assert_eq!(drop(NOW_MS).await, 2);
    assert_eq!(left(), [2, 4, 5]);
    // What was given up stays until somebody has dealt with it, and the newest is counted on from.
    assert_eq!(drop(NOW_MS + 60_000).await, 1);
    assert_eq!(left(), [2, 5]);
    let stale = Job {
        token: job.token - 1,
        ..job.clone()
    };
    let refused = fresh.try_tx(move |tx| tx.drop_delivered(&stale, no, NOW_MS, 2, LEASE_MS));
    assert!(matches!(refused.await, Err(Error::LeaseLost)));
}

pub(crate) async fn tries_are_written_down(fresh: Fresh) {
    let no = destination(&fresh, "bonus").await;
    let reading = reading(&fresh, "5101").await;
    reading.merge(&fresh, reading.chunk(&["anna"])).await;
    let job = deliver(&fresh).await;
    let end = |state, next_at| TryEnd {
        state,
        next_at,
        attempts: 1,
        first_tried_at: NOW_MS,
        in_doubt: true,
        detail: Some("cut off".into()),
    };
    let (again, unknown) = (
        end(DeliveryState::Waiting, Some(NOW_MS + 7)),
        end(DeliveryState::Unknown, None),
    );
    fresh
        .tx(move |tx| {
            let new = NewDelivery {
                id: "dlv_1".into(),
                from: place(1, 0, 0),
                to: place(2, 0, 0),
                events: 1,
            };
            tx.plan_deliveries(&job, no, place(1, 0, 0), &[new], LEASE_MS)?;
            tx.send_delivery(&job, no, 1)?;
            assert_eq!(tx.deliveries_in(TENANT, no, DeliveryState::Sending)?, 1);
            tx.end_try(&job, no, 1, &again, LEASE_MS)?;
            let kept = tx.delivery(TENANT, "dlv_1")?.expect("it is there");
            assert_eq!(
                (kept.state, kept.next_at, kept.settled_at),
                (DeliveryState::Waiting, NOW_MS + 7, None)
            );
            assert!(kept.in_doubt);
            assert!(!tx.redrive_delivery(TENANT, "dlv_1")?);
            tx.end_try(&job, no, 1, &unknown, LEASE_MS)?;
            // What is settled stays.
            tx.end_try(&job, no, 1, &again, LEASE_MS)?;
            let kept = tx.delivery(TENANT, "dlv_1")?.expect("it is there");
            assert_eq!(
                (kept.state, kept.settled_at),
                (DeliveryState::Unknown, Some(NOW_MS))
            );
            let some = tx.deliveries(TENANT, Some(no), Some(DeliveryState::Unknown), (0, 0), 9)?;
            assert_eq!(some, [kept]);
            assert_eq!(tx.deliveries(TENANT, Some(no), None, (no, 1), 9)?, []);
            assert!(!tx.redrive_delivery(TENANT + 1, "dlv_1")?);
            assert!(tx.redrive_delivery(TENANT, "dlv_1")?);
            let open = tx.open_deliveries(TENANT, no, DeliveryState::Waiting, 0, 9)?;
            assert_eq!(
                (open[0].redriven, open[0].attempts, open[0].first_tried_at),
                (1, 0, None)
            );
            tx.set_health(&job, no, 3, Some(NOW_MS + 9), Some("cut off"))?;
            let fares = tx.destination_by_no(TENANT, no)?.expect("it is there");
            assert_eq!((fares.failures, fares.rests_until), (3, Some(NOW_MS + 9)));
            assert_eq!(fares.trouble.as_deref(), Some("cut off"));
            Ok(())
        })
        .await;
}

pub(crate) async fn deliveries_take_no_turns(fresh: Fresh) {
    destination(&fresh, "bonus").await;
    destination(&fresh, "other").await;
    let reading = reading(&fresh, "5101").await;
    reading.merge(&fresh, reading.chunk(&["anna"])).await;
    fresh
        .tx(move |tx| {
            tx.finish_job(&reading.job, None)?;
            assert_eq!(tx.due_turns()?, []);
            assert_eq!(tx.claim_job_of_tenant(TENANT, LEASE_MS)?, None);
            let job = tx
                .claim_job_of(Some(DELIVER), LEASE_MS)?
                .expect("it is due");
            assert_eq!(job.key, "1");
            tx.want_other_deliveries(&job)?;
            let other = tx
                .claim_job_of(Some(DELIVER), LEASE_MS)?
                .expect("it is due");
            assert_eq!(other.key, "2");
            // One that is under way is run once more.
            tx.want_other_deliveries(&other)?;
            tx.finish_job(&job, None)?;
            assert!(tx.jobs()?.iter().any(|left| left.key == "1"));
            Ok(())
        })
        .await;
}
