//! Notices of a cancel: one at a time, settled once, and set aside for the next.

use bestow_store::Error;
use bestow_store::campaigns::SuspendedBy;
use bestow_store::cancellations::{Cancellation, ListCounts, ListedPair};
use bestow_store::inbox::NewNotification;
use bestow_store::jobs::Job;

use crate::support::{Fresh, LEASE_MS, NOW_MS, Reading, TENANT, reading};

const COUNTS: ListCounts = ListCounts {
    rows: 9,
    listed: 7,
    not_ours: 1,
    not_listed: 2,
};

/// A campaign with a notice, and the claimed job that looks after it.
async fn noticed(fresh: &Fresh) -> (Reading, Job) {
    let reading = reading(fresh, "5101").await;
    let campaign = reading.campaign;
    let job = fresh
        .tx(move |tx| {
            assert!(tx.begin_cancellation(TENANT, campaign, 5)?);
            tx.want_job(TENANT, "cancel", "1", 0)?;
            Ok(tx.claim_job(LEASE_MS)?.expect("the job is due"))
        })
        .await;
    (reading, job)
}

fn kept(fresh: &Fresh, campaign: i64) -> Cancellation {
    fresh
        .read(|tx| tx.cancellation(TENANT, campaign))
        .expect("it is there")
}

pub(crate) async fn is_settled_once(fresh: Fresh) {
    let (reading, job) = noticed(&fresh).await;
    let no = reading.campaign;
    let begun = Cancellation {
        notified_at: 5,
        state: "asking".into(),
        doubt: None,
        counts: ListCounts::default(),
        settled_at: None,
    };
    assert_eq!(kept(&fresh, no), begun);
    fresh.db.clock.advance(1_000);
    let this = job.clone();
    let changed = fresh
        .tx(move |tx| {
            tx.doubt_cancellation(&this, no, "contradicts")?;
            Ok([
                tx.begin_cancellation(TENANT, no, 6)?,
                tx.decide_cancellation(&this, no, "confirmed")?,
                tx.decide_cancellation(&this, no, "contradicted")?,
                tx.settle_cancellation(&this, no, COUNTS)?,
                tx.settle_cancellation(&this, no, ListCounts::default())?,
                tx.overrule_cancellation(TENANT, no)?,
            ])
        })
        .await;
    assert_eq!(changed, [false, true, false, true, false, false]);
    let settled = Cancellation {
        state: "confirmed".into(),
        doubt: Some("contradicts".into()),
        counts: COUNTS,
        settled_at: Some(NOW_MS + 1_000),
        ..begun.clone()
    };
    assert_eq!(kept(&fresh, no), settled);
    assert!(
        fresh
            .tx(move |tx| tx.begin_cancellation(TENANT, no, 7))
            .await
    );
    let again = Cancellation {
        notified_at: 7,
        ..begun
    };
    assert_eq!(kept(&fresh, no), again);
    assert_eq!(fresh.read(|tx| tx.cancellation(2, no)), None);
}

pub(crate) async fn a_person_comes_first(fresh: Fresh) {
    let (reading, job) = noticed(&fresh).await;
    let no = reading.campaign;
    let changed = fresh
        .tx(move |tx| {
            Ok([
                tx.overrule_cancellation(TENANT, no)?,
                tx.decide_cancellation(&job, no, "confirmed")?,
                tx.settle_cancellation(&job, no, COUNTS)?,
            ])
        })
        .await;
    assert_eq!(changed, [true, false, false]);
    let kept = kept(&fresh, no);
    assert_eq!((&*kept.state, kept.settled_at), ("overruled", Some(NOW_MS)));
}

pub(crate) async fn needs_the_lease(fresh: Fresh) {
    let (reading, job) = noticed(&fresh).await;
    let no = reading.campaign;
    let stale = Job {
        token: job.token - 1,
        ..job
    };
    let refused = |outcome: Result<(), Error>| {
        assert!(matches!(outcome, Err(Error::LeaseLost)), "{outcome:?}");
    };
    let job = stale.clone();
    refused(
        fresh
            .try_tx(move |tx| tx.doubt_cancellation(&job, no, "cannot_tell"))
            .await,
    );
    let job = stale.clone();
    refused(
        fresh
            .try_tx(move |tx| tx.decide_cancellation(&job, no, "confirmed").map(drop))
            .await,
    );
    refused(
        fresh
            .try_tx(move |tx| tx.settle_cancellation(&stale, no, COUNTS).map(drop))
            .await,
    );
}

pub(crate) async fn a_persons_suspension_stays(fresh: Fresh) {
    use SuspendedBy::{Cancel, Operator};
    let no = reading(&fresh, "5101").await.campaign;
    let changed = fresh
        .tx(move |tx| {
            Ok([
                tx.suspend_campaign(TENANT, no, Cancel, "event 4")?,
                tx.suspend_campaign(TENANT, no, Operator, "wrong list")?,
                tx.suspend_campaign(TENANT, no, Operator, "again")?,
                tx.suspend_campaign(TENANT, no, Cancel, "event 4")?,
                tx.lift_cancel(TENANT, no)?,
            ])
        })
        .await;
    assert_eq!(changed, [true, true, false, false, false]);
    let campaign = fresh
        .read(|tx| tx.campaign_by_no(TENANT, no))
        .expect("it is there");
    assert_eq!(
        (
            campaign.suspended_by,
            campaign.suspended_at,
            campaign.stop_reason.as_deref()
        ),
        (Some(Operator), Some(NOW_MS), Some("wrong list"))
    );
    let changed = fresh
        .tx(move |tx| {
            Ok([
                tx.lift_suspension(TENANT, no)?,
                tx.suspend_campaign(TENANT, no, Cancel, "event 4")?,
                tx.lift_cancel(TENANT, no)?,
                tx.lift_cancel(TENANT, no)?,
            ])
        })
        .await;
    assert_eq!(changed, [true, true, true, false]);
}

pub(crate) async fn pairs_are_looked_up(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    reading
        .land(&fresh, &reading.page(0, &["anna", "bob"]))
        .await;
    reading.merge(&fresh, reading.chunk(&["anna", "bob"])).await;
    let pair = |customer: &str, offer| ListedPair {
        customer: customer.into(),
        offer,
    };
    let offer = reading.offer;
    let asked = [
        pair("Anna", offer),
        pair("anna", offer),
        pair("anna", offer + 1),
        pair("bob", offer),
        pair("cleo", offer),
    ];
    assert_eq!(fresh.read(|tx| tx.pairs_granted(TENANT, &asked)), 2);
    assert_eq!(fresh.read(|tx| tx.pairs_granted(2, &asked)), 0);
}

pub(crate) async fn the_next_notice_counts_as_new(fresh: Fresh) {
    let new = |id: &str, event_type| NewNotification {
        tenant: TENANT,
        id: id.into(),
        event_type,
        identity: format!("{event_type}:5101"),
        campaign: Some("5101".into()),
        channel: None,
        body: b"{}".to_vec(),
    };
    let (first, other, next) = (new("a", 4), new("b", 13), new("c", 4));
    fresh
        .tx(move |tx| {
            assert!(tx.accept_notification(&first)?);
            assert!(tx.accept_notification(&other)?);
            // What waits is still to be looked at.
            assert!(!tx.retire_notification(TENANT, "4:5101")?);
            let waiting = tx.waiting_cancels(10)?;
            assert_eq!(
                waiting.iter().map(|one| &*one.id).collect::<Vec<_>>(),
                ["a"]
            );
            tx.settle_notification(TENANT, "a", "done", None)?;
            assert!(tx.waiting_cancels(10)?.is_empty());
            assert!(!tx.accept_notification(&next)?);
            assert!(tx.retire_notification(TENANT, "4:5101")?);
            assert!(!tx.retire_notification(TENANT, "4:5101")?);
            assert!(tx.accept_notification(&next)?);
            Ok(())
        })
        .await;
    let first = fresh
        .read(|tx| tx.notification(TENANT, "a"))
        .expect("it is kept");
    assert_eq!((&*first.identity, first.arrivals), ("over:a:4:5101", 2));
}

pub(crate) async fn list_is_compared_again(fresh: Fresh) {
    let (reading, job) = noticed(&fresh).await;
    let no = reading.campaign;
    let this = job.clone();
    let again = fresh
        .tx(move |tx| {
            let asking = tx.compare_again(TENANT, no)?;
            tx.decide_cancellation(&this, no, "confirmed")?;
            let comparing = tx.compare_again(TENANT, no)?;
            tx.settle_cancellation(&this, no, COUNTS)?;
            Ok([
                asking,
                comparing,
                tx.compare_again(2, no)?,
                tx.compare_again(TENANT, no)?,
            ])
        })
        .await;
    assert_eq!(again, [false, false, false, true]);
    let kept = kept(&fresh, no);
    assert_eq!((kept.settled_at, &*kept.state), (None, "confirmed"));
    assert_eq!(
        kept.counts, COUNTS,
        "what it showed stands until it is compared"
    );
}
