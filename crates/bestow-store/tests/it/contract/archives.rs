//! Archives: a closed campaign takes nothing in, what was used stays, and who lost the job drops nothing.

use bestow_store::Error;
use bestow_store::archives::{Archive, Leaving, NewArchive};
use bestow_store::endings::{EndedPage, GrantEnd};

use crate::support::{Fresh, LEASE_MS, NOW_MS, Reading, TENANT, reading};

const CUSTOMERS: [&str; 4] = ["anna", "bob", "cleo", "dora"];
const WORK: [&str; 1] = ["import"];

/// A campaign with grants of all customers, and an archive of it that is written or not.
async fn archived(fresh: &Fresh, is_written: bool) -> Reading {
    let reading = reading(fresh, "5101").await;
    reading.land(fresh, &reading.page(0, &CUSTOMERS)).await;
    reading.merge(fresh, reading.chunk(&CUSTOMERS)).await;
    let this = reading.clone();
    fresh
        .tx(move |tx| {
            let Reading { job, campaign, .. } = &this;
            for _ in 0..2 {
                let new = NewArchive {
                    campaign: *campaign,
                    month: String::new(),
                    until: 0,
                    place: "acme/1".into(),
                };
                tx.begin_archive(job, &new)?;
            }
            if is_written {
                tx.archive_is_written(job, 1, 4, "grants 4 ab cd")?;
            }
            Ok(())
        })
        .await;
    reading
}

fn kept(fresh: &Fresh) -> Vec<Archive> {
    fresh.read(|tx| tx.archives(TENANT, 0, 10))
}

fn leaving(reading: &Reading, customers: &[&str]) -> Vec<Leaving> {
    let of = |customer: &&str| Leaving {
        customer: (*customer).to_owned(),
        offer: reading.offer,
        occurrence: String::new(),
    };
    customers.iter().map(of).collect()
}

async fn drop_of(fresh: &Fresh, reading: &Reading, customers: &[&str]) -> Result<(), Error> {
    let (job, leaving) = (reading.job.clone(), leaving(reading, customers));
    fresh
        .try_tx(move |tx| tx.drop_grants(&job, 1, &leaving, "cleo", LEASE_MS))
        .await
}

pub(crate) async fn a_closed_campaign_takes_nothing_in(fresh: Fresh) {
    let reading = archived(&fresh, false).await;
    let archives = kept(&fresh);
    assert_eq!(archives.len(), 1, "begun twice it is one");
    assert_eq!(
        (&*archives[0].state, archives[0].begun_at),
        ("writing", NOW_MS)
    );
    let this = reading.clone();
    fresh
        .tx(move |tx| {
            let no = this.campaign;
            assert!(!tx.want_import(TENANT, no, 505)?);
            assert_eq!(tx.open_round(TENANT, no, NOW_MS + 1)?, None);
            assert!(tx.want_import(TENANT, no + 1, 505)?);
            assert_eq!(
                tx.archive_of(TENANT, no)?.map(|archive| archive.no),
                Some(1)
            );
            assert_eq!(tx.archive_of(TENANT, no + 1)?, None);
            tx.give_archive_up(&this.job, 1)?;
            assert!(
                tx.want_import(TENANT, no, 505)?,
                "given up, it is open again"
            );
            Ok(())
        })
        .await;
    assert_eq!(kept(&fresh), []);
}

pub(crate) async fn what_was_used_stays(fresh: Fresh) {
    let reading = archived(&fresh, true).await;
    fresh.plant("UPDATE grants SET redeemed = 1, spent = 1 WHERE customer = 'anna'");
    fresh.plant(&format!(
        "INSERT INTO redemption (tenant, id, customer, offer, occurrence, code_fold, version, amount_minor, actor,
            redeemed_at) VALUES ({TENANT}, 'r1', 'bob', {}, '', 'fs20', 1, 0, 'test', 1)",
        reading.offer
    ));
    for _ in 0..2 {
        let dropped = drop_of(&fresh, &reading, &["anna", "bob", "cleo"]).await;
        dropped.expect("dropped");
        assert_eq!(fresh.ask("SELECT COUNT(*) FROM grants"), 3);
        let archive = kept(&fresh).remove(0);
        assert_eq!(
            (archive.dropped, archive.dropped_through.as_deref()),
            (1, Some("cleo")),
            "dropped again it is none"
        );
    }
    let broken = fresh.read(|tx| tx.verify_counts(TENANT));
    assert_eq!(broken, [], "what has left is counted");
}

pub(crate) async fn rows_leave_page_by_page(fresh: Fresh) {
    let reading = archived(&fresh, true).await;
    let this = reading.clone();
    let dropped = fresh
        .tx(move |tx| {
            let Reading { job, campaign, .. } = &this;
            let first = tx.drop_page_rows(job, *campaign, LEASE_MS)?;
            let second = tx.drop_page_rows(job, *campaign, LEASE_MS)?;
            let denials = tx.drop_denials(job, *campaign, 10, LEASE_MS)?;
            let ended = (tx.end_archive(job, 1)?, tx.end_archive(job, 1)?);
            Ok((first, second, denials, ended, tx.open_archive(TENANT)?))
        })
        .await;
    assert_eq!(dropped, (true, false, false, (true, false), None));
    assert_eq!(fresh.ask("SELECT COUNT(*) FROM landed_block"), 0);
    assert_eq!(
        fresh.ask("SELECT COUNT(*) FROM landed_page"),
        1,
        "what was received stays known"
    );
}

/// Lands a page of a daily list that ends the grants of these customers.
async fn land_ends(fresh: &Fresh, reading: &Reading, customers: &'static [&'static str]) {
    let this = reading.clone();
    fresh
        .tx(move |tx| {
            tx.want_ended_day(TENANT, "2027-04-01")?;
            tx.begin_ended_day(&this.job, "2027-04-01")?;
            let end = |customer: &&str| GrantEnd {
                customer: (*customer).to_owned(),
                offer: this.offer,
                occurrence: String::new(),
                ended_at: NOW_MS,
            };
            let page = EndedPage {
                rows: 2,
                ends: customers.iter().map(end).collect(),
                ..EndedPage::default()
            };
            tx.land_ended_page(&this.job, "2027-04-01", &page, LEASE_MS)
        })
        .await;
}

pub(crate) async fn ends_leave_with_their_grants(fresh: Fresh) {
    let reading = archived(&fresh, true).await;
    land_ends(&fresh, &reading, &["anna", "bob"]).await;
    let dropped = drop_of(&fresh, &reading, &["anna", "cleo"]).await;
    dropped.expect("dropped");
    assert_eq!(fresh.ask("SELECT COUNT(*) FROM grant_end"), 1);
    assert_eq!(fresh.ask("SELECT dropped_ends FROM archive"), 1);
    assert_eq!(fresh.read(|tx| tx.verify_ends(TENANT)), []);
}

pub(crate) async fn what_left_since_the_page_was_matched_is_not_ended(fresh: Fresh) {
    let reading = archived(&fresh, true).await;
    drop_of(&fresh, &reading, &["anna"]).await.expect("dropped");
    land_ends(&fresh, &reading, &["anna", "bob"]).await;
    assert_eq!(fresh.ask("SELECT COUNT(*) FROM grant_end"), 1);
    assert_eq!(fresh.ask("SELECT ended FROM ended_day"), 1);
    assert_eq!(fresh.read(|tx| tx.verify_ends(TENANT)), []);
}

pub(crate) async fn who_lost_the_job_drops_nothing(fresh: Fresh) {
    let reading = archived(&fresh, true).await;
    let mut stale = reading.clone();
    stale.job.token -= 1;
    let refused = drop_of(&fresh, &stale, &CUSTOMERS).await;
    assert!(matches!(refused, Err(Error::LeaseLost)), "{refused:?}");
    assert_eq!(fresh.ask("SELECT COUNT(*) FROM grants"), 4);
    assert_eq!(kept(&fresh)[0].dropped, 0);
}

pub(crate) async fn what_is_to_be_done_keeps_a_campaign(fresh: Fresh) {
    let reading = archived(&fresh, false).await;
    let this = reading.clone();
    let seen = fresh
        .tx(move |tx| {
            let no = this.campaign;
            let reading = tx.has_work(TENANT, no, &[])?;
            tx.set_import_state(TENANT, no, 504, "done", None)?;
            tx.want_job(TENANT, "import", &no.to_string(), NOW_MS)?;
            let job = tx.has_work(TENANT, no, &WORK)?;
            let claimed = tx.claim_job(LEASE_MS)?.expect("it is due");
            tx.finish_job(&claimed, None)?;
            let settled = tx.has_work(TENANT, no, &WORK)?;
            tx.want_job(TENANT, "import", &format!("{no}/504/0"), NOW_MS)?;
            let part = tx.has_work(TENANT, no, &WORK)?;
            Ok((reading, job, settled, part))
        })
        .await;
    assert_eq!(seen, (true, true, false, true));
}
