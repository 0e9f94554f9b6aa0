//! The inbox: what came is kept once, however often it comes.

use bestow_store::Error;
use bestow_store::inbox::{InboxFilter, NewNotification};

use crate::support::{Fresh, NOW_MS, TENANT, at_once};

fn new(id: &str, identity: &str) -> NewNotification {
    NewNotification {
        tenant: TENANT,
        id: id.into(),
        event_type: 13,
        identity: identity.into(),
        campaign: Some("5101".into()),
        channel: Some(504),
        body: format!("body of {id}").into_bytes(),
    }
}

async fn accept(fresh: &Fresh, all: Vec<NewNotification>) -> Vec<bool> {
    fresh
        .tx(move |tx| all.iter().map(|new| tx.accept_notification(new)).collect())
        .await
}

pub(crate) async fn repeat_counts_an_arrival(fresh: Fresh) {
    assert_eq!(accept(&fresh, vec![new("n1", "same")]).await, [true]);
    fresh.db.clock.advance(5_000);
    assert_eq!(accept(&fresh, vec![new("n2", "same")]).await, [false]);
    let kept = fresh
        .read(|tx| tx.notification(TENANT, "n1"))
        .expect("it is there");
    assert_eq!((kept.arrivals, kept.received_at), (2, NOW_MS));
    assert_eq!(
        (kept.body, kept.status),
        (b"body of n1".to_vec(), "waiting".into())
    );
    assert_eq!(fresh.read(|tx| tx.notification(TENANT, "n2")), None);
    assert_eq!(fresh.read(|tx| tx.inbox_size()), (1, 2));
}

pub(crate) async fn many_at_once_are_one_row(fresh: Fresh) {
    let store = fresh.store().clone();
    let answers = at_once(64, |place| {
        let store = store.clone();
        let new = new(&format!("n{place}"), "same");
        Box::pin(async move {
            store
                .tx::<_, Error, _>("accept", move |tx| tx.accept_notification(&new))
                .await
                .expect("accepted")
        })
    })
    .await;
    assert_eq!(answers.iter().filter(|new| **new).count(), 1);
    assert_eq!(fresh.read(|tx| tx.inbox_size()), (1, 64));
}

pub(crate) async fn a_group_counts_its_repeats_once(fresh: Fresh) {
    assert_eq!(accept(&fresh, vec![new("a", "3")]).await, [true]);
    let group: Vec<_> = (0..19)
        .map(|place| new(&format!("b{place:02}"), &format!("{}", place % 7)))
        .collect();
    for (fresh_ones, arrivals) in [(6, 20), (0, 33)] {
        let group = group.clone();
        let taken = fresh.tx(move |tx| tx.accept_notifications(&group)).await;
        // The second time, those that are kept under their own ids are no repeats of themselves.
        assert_eq!(taken, fresh_ones);
        assert_eq!(fresh.read(|tx| tx.inbox_size()), (7, arrivals));
    }
    let third = fresh.read(|tx| tx.notification(TENANT, "a"));
    assert_eq!(third.map(|third| third.arrivals), Some(7));
}

pub(crate) async fn identity_is_per_tenant(fresh: Fresh) {
    let theirs = NewNotification {
        tenant: 2,
        ..new("n1", "same")
    };
    assert_eq!(
        accept(&fresh, vec![new("n1", "same"), theirs]).await,
        [true, true]
    );
    assert_eq!(fresh.read(|tx| tx.inbox_size()), (2, 2));
}

pub(crate) async fn waiting_come_oldest_first(fresh: Fresh) {
    let all = vec![
        new("n3", "c"),
        new("n1", "a"),
        new("n2", "b"),
        new("n4", "d"),
    ];
    accept(&fresh, all).await;
    fresh
        .tx(|tx| tx.settle_notification(TENANT, "n1", "done", None))
        .await;
    let waiting = fresh.read(|tx| tx.waiting_notifications(TENANT, "", 2));
    assert_eq!(
        waiting.iter().map(|n| &*n.id).collect::<Vec<_>>(),
        ["n2", "n3"]
    );
}

pub(crate) async fn settling(fresh: Fresh) {
    accept(
        &fresh,
        vec![
            new("n1", "a"),
            new("n2", "b"),
            new("n3", "c"),
            new("n4", "d"),
        ],
    )
    .await;
    let known = fresh
        .tx(|tx| {
            Ok([
                tx.settle_notification(TENANT, "n1", "done", None)?,
                tx.settle_notification(TENANT, "n2", "superseded", Some("by n1"))?,
                tx.settle_notification(TENANT, "n3", "held", Some("unreadable"))?,
                tx.settle_notification(TENANT, "n9", "done", None)?,
                tx.settle_notification(2, "n4", "done", None)?,
            ])
        })
        .await;
    assert_eq!(known, [true, true, true, false, false]);
    let totals = fresh.read(|tx| tx.inbox_totals());
    // What is done or superseded is not counted: nobody has to do anything about it.
    let one_each = ["held", "waiting"].map(|status| (status.to_owned(), 1));
    assert_eq!(totals, one_each);
    let held = fresh
        .read(|tx| tx.notification(TENANT, "n3"))
        .expect("it is there");
    assert_eq!(held.reason.as_deref(), Some("unreadable"));
    // A repeat of something settled changes nothing but the count.
    assert_eq!(accept(&fresh, vec![new("n5", "c")]).await, [false]);
    let held = fresh
        .read(|tx| tx.notification(TENANT, "n3"))
        .expect("it is there");
    assert_eq!((&*held.status, held.arrivals), ("held", 2));
    // A held one can be given back to the workers.
    fresh
        .tx(|tx| tx.settle_notification(TENANT, "n3", "waiting", None))
        .await;
    assert_eq!(
        fresh
            .read(|tx| tx.waiting_notifications(TENANT, "", 10))
            .len(),
        2
    );
}

pub(crate) async fn unknown_status_is_refused(fresh: Fresh) {
    accept(&fresh, vec![new("n1", "a")]).await;
    let refused = fresh
        .try_tx(|tx| tx.settle_notification(TENANT, "n1", "lost", None))
        .await;
    let Err(Error::Refused { statement, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(statement, "settle_notification");
    assert_eq!(
        fresh
            .read(|tx| tx.waiting_notifications(TENANT, "", 10))
            .len(),
        1
    );
}

pub(crate) async fn filters_and_pages(fresh: Fresh) {
    let other = |id: &str, identity: &str| NewNotification {
        campaign: None,
        channel: None,
        ..new(id, identity)
    };
    let theirs = NewNotification {
        tenant: 2,
        ..new("n0", "theirs")
    };
    accept(
        &fresh,
        vec![
            new("n1", "a"),
            other("n2", "b"),
            new("n3", "c"),
            new("n4", "d"),
            theirs,
        ],
    )
    .await;
    fresh
        .tx(|tx| tx.settle_notification(TENANT, "n3", "done", None))
        .await;
    let page = |filter, after: &'static str, limit| {
        let found = fresh.read(|tx| tx.notifications(TENANT, filter, after, limit));
        found.into_iter().map(|n| n.id).collect::<Vec<_>>()
    };
    let all = InboxFilter::default();
    assert_eq!(page(all, "", 3), ["n1", "n2", "n3"]);
    assert_eq!(page(all, "n3", 3), ["n4"]);
    let status = Some("waiting");
    assert_eq!(
        page(InboxFilter { status, ..all }, "", 9),
        ["n1", "n2", "n4"]
    );
    let campaign = Some("5101");
    assert_eq!(
        page(InboxFilter { campaign, ..all }, "", 9),
        ["n1", "n3", "n4"]
    );
    assert_eq!(page(InboxFilter { status, campaign }, "n1", 9), ["n4"]);
}

pub(crate) async fn waiting_tenants_tell_their_oldest(fresh: Fresh) {
    assert!(fresh.read(|tx| tx.waiting_tenants()).is_empty());
    let of = |tenant, id: &str| NewNotification {
        tenant,
        ..new(id, id)
    };
    accept(
        &fresh,
        vec![of(7, "n3"), of(7, "n4"), of(2, "n5"), of(3, "n1")],
    )
    .await;
    let oldest = |tenant, id: &str| (tenant, id.to_owned());
    assert_eq!(
        fresh.read(|tx| tx.waiting_tenants()),
        [oldest(2, "n5"), oldest(3, "n1"), oldest(7, "n3")]
    );
    fresh
        .tx(|tx| {
            tx.settle_notification(3, "n1", "done", None)?;
            tx.settle_notification(7, "n3", "done", None)
        })
        .await;
    assert_eq!(
        fresh.read(|tx| tx.waiting_tenants()),
        [oldest(2, "n5"), oldest(7, "n4")]
    );
    let behind = fresh.read(|tx| tx.waiting_notifications(7, "n4", 10));
    assert!(behind.is_empty());
}
