//! The daily list of ended actions: each page once, each grant once, each day until it is over.

use bestow_core::campaign::ListedEnds;
use bestow_store::Error;
use bestow_store::campaigns::WindowSpec;
use bestow_store::endings::{EndedDay, EndedPage, GrantEnd};
use bestow_store::jobs::Job;

use crate::support::{Fresh, LEASE_MS, NOW_MS, Reading, TENANT, WINDOW, reading};

const DAY: &str = "2027-04-01";

/// A campaign with grants of anna, bob and cleo, and a claimed job that reads [`DAY`].
async fn begun(fresh: &Fresh) -> (Reading, Job) {
    let reading = reading(fresh, "5101").await;
    let customers = ["anna", "bob", "cleo"];
    reading.land(fresh, &reading.page(0, &customers)).await;
    reading.merge(fresh, reading.chunk(&customers)).await;
    let job = fresh
        .tx(|tx| {
            assert!(tx.want_ended_day(TENANT, DAY)?);
            assert!(!tx.want_ended_day(TENANT, DAY)?);
            tx.want_job(TENANT, "ended", DAY, 0)?;
            let job = tx.claim_job(LEASE_MS)?.expect("the job is due");
            tx.begin_ended_day(&job, DAY)?;
            Ok(job)
        })
        .await;
    (reading, job)
}

fn end(reading: &Reading, customer: &str, ended_at: i64) -> GrantEnd {
    GrantEnd {
        customer: customer.into(),
        offer: reading.offer,
        occurrence: String::new(),
        ended_at,
    }
}

async fn land(fresh: &Fresh, job: &Job, page: &EndedPage) -> bool {
    let (job, page) = (job.clone(), page.clone());
    fresh
        .tx(move |tx| tx.land_ended_page(&job, DAY, &page, LEASE_MS))
        .await
}

fn read(fresh: &Fresh) -> EndedDay {
    fresh
        .read(|tx| tx.ended_day(TENANT, DAY))
        .expect("it is there")
}

/// Without the time.
fn kept(fresh: &Fresh) -> EndedDay {
    let begun_at = None;
    EndedDay {
        begun_at,
        ..read(fresh)
    }
}

fn is(state: &str, rows: u64, ended: u64, unmatched: u64) -> EndedDay {
    EndedDay {
        day: DAY.into(),
        state: state.into(),
        begun_at: None,
        skip: rows,
        rows,
        ended,
        unmatched,
    }
}

pub(crate) async fn page_lands_once(fresh: Fresh) {
    let (reading, job) = begun(&fresh).await;
    let first = EndedPage {
        skip: 0,
        rows: 3,
        unmatched: 1,
        ends: vec![end(&reading, "anna", 100), end(&reading, "bob", 100)],
    };
    let begun_at = read(&fresh).begun_at;
    assert!(begun_at.is_some());
    assert!(land(&fresh, &job, &first).await);
    assert!(!land(&fresh, &job, &first).await);
    assert_eq!(kept(&fresh), is("reading", 3, 2, 1));
    // A reading that goes on is not begun again.
    let this = job.clone();
    fresh.tx(move |tx| tx.begin_ended_day(&this, DAY)).await;
    assert_eq!(kept(&fresh), is("reading", 3, 2, 1));
    let next = EndedPage {
        skip: 3,
        rows: 2,
        unmatched: 0,
        ends: vec![end(&reading, "bob", 50), end(&reading, "cleo", 200)],
    };
    assert!(land(&fresh, &job, &next).await);
    assert_eq!(kept(&fresh), is("reading", 5, 3, 1));
    let ends = |customer: &str| fresh.read(|tx| tx.grant_ends(TENANT, customer));
    assert_eq!(
        ends("bob"),
        [end(&reading, "bob", 100)],
        "the first end stays"
    );
    assert_eq!(ends("cleo"), [end(&reading, "cleo", 200)]);
    assert_eq!(ends("dora"), []);
    assert_eq!(fresh.read(|tx| tx.grant_ends(2, "bob")), []);
    assert_eq!(fresh.read(|tx| tx.verify_ends(TENANT)), []);
}

pub(crate) async fn another_reading_counts_anew(fresh: Fresh) {
    let (reading, job) = begun(&fresh).await;
    let page = EndedPage {
        skip: 0,
        rows: 2,
        unmatched: 1,
        ends: vec![end(&reading, "anna", 100)],
    };
    assert!(land(&fresh, &job, &page).await);
    let this = job.clone();
    fresh
        .tx(move |tx| {
            tx.finish_ended_day(&this, DAY, "read")?;
            assert_eq!(tx.open_ended_days(TENANT)?.len(), 1);
            tx.begin_ended_day(&this, DAY)
        })
        .await;
    assert_eq!(kept(&fresh), is("reading", 0, 1, 0));
    assert!(land(&fresh, &job, &page).await);
    assert_eq!(kept(&fresh), is("reading", 2, 1, 1));
    fresh
        .tx(move |tx| tx.finish_ended_day(&job, DAY, "done"))
        .await;
    assert_eq!(fresh.read(|tx| tx.open_ended_days(TENANT)), []);
}

pub(crate) async fn stale_reader_is_refused(fresh: Fresh) {
    let (_, job) = begun(&fresh).await;
    let stale = Job {
        token: job.token - 1,
        ..job
    };
    let landed = fresh
        .try_tx(move |tx| tx.land_ended_page(&stale, DAY, &EndedPage::default(), LEASE_MS))
        .await;
    assert!(matches!(landed, Err(Error::LeaseLost)), "{landed:?}");
    assert_eq!(kept(&fresh), is("reading", 0, 0, 0));
}

pub(crate) async fn days_follow_the_first_campaign(fresh: Fresh) {
    let first = |tenant| fresh.read(move |tx| tx.first_campaign_at(tenant));
    let last = |tenant| fresh.read(move |tx| tx.last_ended_day(tenant));
    assert_eq!((first(TENANT), last(TENANT)), (None, None));
    reading(&fresh, "5101").await;
    fresh.db.clock.advance(1_000);
    reading(&fresh, "5102").await;
    fresh
        .tx(|tx| {
            for day in ["2027-04-02", "2027-03-31", "2027-04-01"] {
                tx.want_ended_day(TENANT, day)?;
            }
            Ok(())
        })
        .await;
    assert_eq!(first(TENANT), Some(NOW_MS));
    assert_eq!(last(TENANT).as_deref(), Some("2027-04-02"));
    assert_eq!((first(2), last(2)), (None, None));
    let open = fresh.read(|tx| tx.open_ended_days(TENANT));
    let days: Vec<_> = open.iter().map(|day| &*day.day).collect();
    assert_eq!(days, ["2027-03-31", "2027-04-01", "2027-04-02"]);
    fresh
        .tx(|tx| tx.want_job(TENANT, "ended", "2027-04-01", 0))
        .await;
    let idle = |kind| fresh.read(move |tx| tx.ended_days_without_job(TENANT, kind));
    assert_eq!(idle("ended"), ["2027-03-31", "2027-04-02"]);
    assert_eq!(idle("other").len(), 3);
}

pub(crate) async fn campaigns_count_their_ends(fresh: Fresh) {
    let (reading, job) = begun(&fresh).await;
    let campaign = reading.campaign;
    let listed = || {
        let listed = fresh.read(move |tx| tx.listed_ends(TENANT, campaign, 0));
        (listed.grants, listed.ended)
    };
    assert_eq!(listed(), (3, 0));
    let page = |skip, ends| EndedPage {
        skip,
        rows: 2,
        unmatched: 0,
        ends,
    };
    let first = page(
        0,
        vec![end(&reading, "anna", 100), end(&reading, "bob", 100)],
    );
    assert!(land(&fresh, &job, &first).await);
    assert!(!land(&fresh, &job, &first).await);
    let next = page(
        2,
        vec![end(&reading, "bob", 50), end(&reading, "cleo", 200)],
    );
    assert!(land(&fresh, &job, &next).await);
    assert_eq!(listed(), (3, 3));
    let in_use = fresh.read(|tx| tx.offers_in_use(TENANT, NOW_MS, 0));
    assert!(in_use.iter().all(|one| one.listed
        == ListedEnds {
            grants: 3,
            ended: 3,
            given_up_at: None
        }));
    // Of a conditional campaign only those count whose customers were sent to.
    fresh
        .tx(move |tx| tx.make_conditional(TENANT, campaign))
        .await;
    assert_eq!(listed(), (0, 3));
    // Sent to nobody and without ends of its own, it is given up some time after its last deadline.
    fresh.plant("UPDATE campaign SET windows_end_at = 9223372036854775807");
    let given_up = || {
        let listed = fresh.read(move |tx| tx.listed_ends(TENANT, campaign, 500));
        listed.given_up_at.map(|at| at.as_millisecond())
    };
    assert_eq!(given_up(), None);
    for deadline in [2_000, 1_000] {
        fresh
            .tx(move |tx| tx.open_round(TENANT, campaign, deadline))
            .await;
    }
    assert_eq!(given_up(), Some(2_500));
    fresh.plant("UPDATE campaign SET sent = 1");
    assert_eq!(given_up(), None);
    fresh.plant("UPDATE campaign SET sent = 0, windows_end_at = 3000");
    assert_eq!(given_up(), None);
    assert_eq!(fresh.read(|tx| tx.verify_ends(TENANT)), []);
    fresh.plant("UPDATE campaign SET ended = 2");
    let found = fresh.read(|tx| tx.verify_ends(TENANT));
    assert_eq!(
        found.iter().map(|one| &*one.object).collect::<Vec<_>>(),
        ["campaign 5101"]
    );
}

pub(crate) async fn offers_in_use(fresh: Fresh) {
    fresh
        .tx(|tx| {
            let ends = [
                ("over", Some(NOW_MS)),
                ("running", Some(NOW_MS + 1)),
                ("endless", None),
            ];
            for (code, ends_at) in ends {
                let (campaign, _) = tx.see_campaign(TENANT, code, "scheduled", "sweep")?;
                tx.offer_for(TENANT, campaign, code, code, None)?;
                let starts_at = NOW_MS - 10;
                tx.window_for(
                    TENANT,
                    campaign,
                    &WindowSpec {
                        starts_at,
                        ends_at,
                        ..WINDOW
                    },
                )?;
            }
            let (unread, _) = tx.see_campaign(TENANT, "unread", "scheduled", "sweep")?;
            tx.offer_for(TENANT, unread, "unread", "unread", None)?;
            let (revoked, _) = tx.see_campaign(TENANT, "revoked", "scheduled", "sweep")?;
            tx.offer_for(TENANT, revoked, "revoked", "revoked", None)?;
            tx.revoke_campaign(TENANT, revoked, "cancelled")
        })
        .await;
    let offers = fresh.read(|tx| tx.offers_in_use(TENANT, NOW_MS, 0));
    let codes: Vec<_> = offers.iter().map(|offer| &*offer.code_fold).collect();
    assert_eq!(codes, ["endless", "running", "unread"]);
    assert!(offers.iter().all(|one| one.listed == ListedEnds::default()));
}

pub(crate) async fn ends_must_refer_and_add_up(fresh: Fresh) {
    let (reading, job) = begun(&fresh).await;
    let page = EndedPage {
        skip: 0,
        rows: 1,
        unmatched: 0,
        ends: vec![end(&reading, "anna", 100)],
    };
    assert!(land(&fresh, &job, &page).await);
    let rules = || {
        let found = fresh.read(|tx| tx.verify_ends(TENANT));
        found.iter().map(|one| one.rule).collect::<Vec<_>>()
    };
    assert_eq!(rules(), [""; 0]);
    fresh.plant("UPDATE ended_day SET ended = 2");
    assert_eq!(rules(), ["ended_adds_up"]);
    fresh.plant("UPDATE ended_day SET ended = 1, unmatched = 2");
    assert_eq!(rules(), ["ended_adds_up"]);
    fresh.plant("UPDATE ended_day SET unmatched = 0");
    fresh.plant("DELETE FROM grants WHERE customer = 'anna'");
    assert_eq!(rules(), ["end_refers"]);
    assert_eq!(fresh.read(|tx| tx.verify_ends(2)), []);
}
