//! A list whose parts are read apart from each other.

use bestow_store::jobs::Job;

use crate::support::{CHANNEL, Fresh, LEASE_MS, TENANT, reading};

/// Claims the job of a part.
async fn claimed(fresh: &Fresh, key: &'static str) -> Job {
    fresh
        .tx(move |tx| {
            tx.want_job(TENANT, "pages", key, 0)?;
            tx.claim_job_of(Some("pages"), LEASE_MS)
        })
        .await
        .expect("it is due")
}

pub(crate) async fn parts_land_in_any_order(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    let (job, campaign) = (reading.job.clone(), reading.campaign);
    let share = || {
        let job = job.clone();
        fresh.tx(move |tx| {
            let parts = [(0, Some(2)), (2, None)];
            tx.share_list(&job, campaign, CHANNEL, &parts)
        })
    };
    assert!(share().await);
    assert!(!share().await, "it is shared out once");
    let (front, back) = (claimed(&fresh, "0").await, claimed(&fresh, "2").await);
    let land = |job: &Job, first, skip, customers: &[&str]| {
        let (job, page) = (job.clone(), reading.page(skip, customers));
        fresh.tx(move |tx| tx.land_page_of_range(&job, campaign, first, &page, LEASE_MS))
    };
    assert_eq!(land(&back, 2, 2, &["c"]).await, Some(1));
    assert_eq!(land(&front, 0, 0, &["a", "b"]).await, Some(2));
    assert_eq!(land(&front, 0, 0, &["a", "b"]).await, None, "it has landed");
    let end = |job: &Job, range| {
        let job = job.clone();
        fresh.tx(move |tx| tx.end_range(&job, campaign, CHANNEL, range))
    };
    assert_eq!(end(&back, (2, 2)).await, 2, "a page of it did not land");
    assert_eq!(end(&back, (2, 3)).await, 1);
    assert_eq!(end(&front, (0, 2)).await, 0);
    let import = fresh.read(|tx| tx.imports(TENANT, campaign)).remove(0);
    assert_eq!((import.skip, import.rows), (3, 3));
    let job = reading.job.clone();
    fresh
        .tx(move |tx| tx.end_pass(&job, campaign, CHANNEL))
        .await;
    assert_eq!(fresh.read(|tx| tx.ranges(TENANT, campaign, CHANNEL)), []);
}

pub(crate) async fn what_is_held_takes_no_page(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    let (job, campaign) = (reading.job.clone(), reading.campaign);
    fresh
        .tx(move |tx| {
            tx.share_list(&job, campaign, CHANNEL, &[(0, Some(2)), (2, None)])?;
            tx.set_import_state(TENANT, campaign, CHANNEL, "held", Some("unreadable_page"))
        })
        .await;
    let part = claimed(&fresh, "2").await;
    let page = reading.page(2, &["c"]);
    let landed = fresh
        .tx(move |tx| tx.land_page_of_range(&part, campaign, 2, &page, LEASE_MS))
        .await;
    assert_eq!(landed, None);
    let ranges = fresh.read(|tx| tx.ranges(TENANT, campaign, CHANNEL));
    assert!(
        ranges
            .iter()
            .all(|range| !range.is_read && range.skip == range.first)
    );
}

pub(crate) async fn a_new_pass_forgets_the_parts(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    let (job, campaign) = (reading.job.clone(), reading.campaign);
    fresh
        .tx(move |tx| {
            tx.share_list(&job, campaign, CHANNEL, &[(0, Some(2)), (2, None)])?;
            tx.begin_pass(&job, campaign, CHANNEL, 2, 700)
        })
        .await;
    assert_eq!(fresh.read(|tx| tx.ranges(TENANT, campaign, CHANNEL)), []);
}
