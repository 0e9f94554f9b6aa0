//! Jobs: claimed by lease, and nothing is written under a lease that was lost.

use bestow_store::jobs::{Job, JobRow};
use bestow_store::tenants::TenantFields;
use bestow_store::{Error, Tx, correlation};

use crate::support::{CHANNEL, Fresh, LEASE_MS, NOW_MS, Reading, TENANT, at_once, reading};

async fn want(fresh: &Fresh, tenant: i64, key: &'static str, run_at: i64) {
    fresh
        .tx(move |tx| tx.want_job(tenant, "import", key, run_at))
        .await;
}

async fn claim(fresh: &Fresh) -> Option<Job> {
    fresh.tx(|tx| tx.claim_job(LEASE_MS)).await
}

async fn claimed(fresh: &Fresh) -> Job {
    claim(fresh).await.expect("a job is due")
}

fn jobs(fresh: &Fresh) -> Vec<JobRow> {
    fresh.read(|tx| tx.jobs())
}

pub(crate) async fn longest_due_first(fresh: Fresh) {
    want(&fresh, TENANT, "third", NOW_MS).await;
    want(&fresh, TENANT, "later", NOW_MS + 1).await;
    want(&fresh, TENANT, "first", NOW_MS - 2).await;
    want(&fresh, TENANT, "second", NOW_MS - 1).await;
    let mut order = Vec::new();
    while let Some(job) = claim(&fresh).await {
        assert_eq!((job.attempts, &*job.kind), (1, "import"));
        order.push(job.key);
    }
    assert_eq!(order, ["first", "second", "third"]);
    assert_eq!(fresh.read(|tx| tx.next_job_at()), Some(NOW_MS + 1));
    fresh.db.clock.advance(1);
    assert_eq!(claimed(&fresh).await.key, "later");
    assert_eq!(fresh.read(|tx| tx.next_job_at()), None);
}

pub(crate) async fn claimed_is_not_claimed_again(fresh: Fresh) {
    want(&fresh, TENANT, "5101", NOW_MS).await;
    claimed(&fresh).await;
    fresh.db.clock.advance(LEASE_MS - 1);
    assert_eq!(claim(&fresh).await, None);
}

pub(crate) async fn expired_lease_is_claimed_anew(fresh: Fresh) {
    want(&fresh, TENANT, "5101", NOW_MS).await;
    let first = claimed(&fresh).await;
    fresh.db.clock.advance(LEASE_MS);
    let second = claimed(&fresh).await;
    assert_eq!((second.attempts, second.token), (2, first.token + 1));
}

pub(crate) async fn a_job_keeps_what_asked_for_it(fresh: Fresh) {
    let store = fresh.store().clone();
    let want_because = async |cause: &'static str| {
        let wanted = store.tx("want", |tx| tx.want_job(TENANT, "import", "5101", NOW_MS));
        correlation::under(cause, wanted).await.expect("wanted");
    };
    want_because("ntf_1").await;
    // It waits because of the first; the second gets what it asks for by the same run.
    want_because("ntf_2").await;
    let job = claimed(&fresh).await;
    assert_eq!(job.correlation.as_deref(), Some("ntf_1"));
    // Asked for while it is done: that is another run.
    want_because("ntf_3").await;
    let first = job.clone();
    fresh.tx(move |tx| tx.drop_correlation(&first)).await;
    fresh.tx(move |tx| tx.finish_job(&job, None)).await;
    let job = claimed(&fresh).await;
    assert_eq!(job.correlation.as_deref(), Some("ntf_3"));
    // A next run by the clock comes from nothing but itself.
    let second = job.clone();
    fresh.tx(move |tx| tx.drop_correlation(&second)).await;
    fresh.tx(move |tx| tx.finish_job(&job, Some(NOW_MS))).await;
    assert_eq!(claimed(&fresh).await.correlation, None);
}

/// Something that only the holder of the lease may do.
type Attempt = fn(&mut Tx<'_>, &Reading) -> Result<(), Error>;

pub(crate) async fn stale_token_is_refused_everywhere(fresh: Fresh) {
    let old = reading(&fresh, "5101").await;
    fresh.db.clock.advance(LEASE_MS);
    let new = claimed(&fresh).await;
    let whole_state = |fresh: &Fresh| {
        (
            jobs(fresh),
            fresh.read(|tx| tx.imports(TENANT, 1)),
            fresh.read(|tx| tx.campaign_by_no(TENANT, 1)),
            fresh.read(|tx| tx.counts(TENANT, 1)),
            fresh.ask("SELECT (SELECT COUNT(*) FROM grants) + (SELECT COUNT(*) FROM landed_page)"),
        )
    };
    let before = whole_state(&fresh);
    let attempts: [(&str, Attempt); 10] = [
        ("check_lease", |tx, r| tx.check_lease(&r.job)),
        ("hold_job", |tx, r| tx.hold_job(&r.job, LEASE_MS)),
        ("finish_job", |tx, r| tx.finish_job(&r.job, None)),
        ("fail_job", |tx, r| tx.fail_job(&r.job, NOW_MS, "late")),
        ("begin_pass", |tx, r| {
            tx.begin_pass(&r.job, r.campaign, CHANNEL, 2, 10)
        }),
        ("land_page", |tx, r| {
            tx.land_page(&r.job, r.campaign, &r.page(0, &["anna"]), LEASE_MS)
                .map(|_| ())
        }),
        ("begin_merge", |tx, r| tx.begin_merge(&r.job, r.campaign, 1)),
        ("merge_chunk", |tx, r| {
            tx.merge_chunk(&r.job, r.campaign, &r.chunk(&["anna"]), LEASE_MS)
                .map(|_| ())
        }),
        ("release_chunk", |tx, r| {
            let chunk = r.chunk(&["anna"]);
            tx.release_chunk(&r.job, r.campaign, &chunk, &[0], "held:x", LEASE_MS)
                .map(|_| ())
        }),
        ("end_merge", |tx, r| tx.end_merge(&r.job, r.campaign)),
    ];
    for (name, attempt) in attempts {
        let stale = old.clone();
        let refused = fresh.try_tx(move |tx| attempt(tx, &stale)).await;
        assert!(
            matches!(refused, Err(Error::LeaseLost)),
            "{name}: {refused:?}"
        );
    }
    let stale = old.clone();
    let refused = fresh
        .try_tx(move |tx| tx.drop_confirmed_rows(&stale.job, stale.campaign, CHANNEL, 1))
        .await;
    assert!(matches!(refused, Err(Error::LeaseLost)), "{refused:?}");
    assert_eq!(whole_state(&fresh), before);
    // Whoever holds it now is not disturbed, and ends it for everybody.
    let holder = new.clone();
    fresh.tx(move |tx| tx.finish_job(&holder, None)).await;
    let late = fresh.try_tx(move |tx| tx.finish_job(&new, None)).await;
    assert!(matches!(late, Err(Error::LeaseLost)), "{late:?}");
}

pub(crate) async fn wanted_while_claimed_runs_again(fresh: Fresh) {
    want(&fresh, TENANT, "5101", NOW_MS).await;
    let first = claimed(&fresh).await;
    want(&fresh, TENANT, "5101", NOW_MS).await;
    assert_eq!(claim(&fresh).await, None);
    fresh.db.clock.advance(10);
    fresh.tx(move |tx| tx.finish_job(&first, None)).await;
    let second = claimed(&fresh).await;
    assert_eq!(second.attempts, 1);
    // What was asked for again is done now: once more only, not for ever.
    fresh.tx(move |tx| tx.finish_job(&second, None)).await;
    assert!(jobs(&fresh).is_empty());
}

pub(crate) async fn wanted_sooner_moves_forward(fresh: Fresh) {
    let due = |fresh: &Fresh| jobs(fresh)[0].run_at;
    want(&fresh, TENANT, "5101", NOW_MS + 10).await;
    want(&fresh, TENANT, "5101", NOW_MS + 20).await;
    assert_eq!(due(&fresh), NOW_MS + 10);
    want(&fresh, TENANT, "5101", NOW_MS + 5).await;
    assert_eq!(due(&fresh), NOW_MS + 5);
    assert_eq!(jobs(&fresh).len(), 1);
}

pub(crate) async fn finish_with_next_stays(fresh: Fresh) {
    want(&fresh, TENANT, "daily", NOW_MS).await;
    for day in 1..4 {
        let job = claimed(&fresh).await;
        assert_eq!(job.attempts, 1);
        fresh
            .tx(move |tx| tx.finish_job(&job, Some(NOW_MS + day * 1_000)))
            .await;
        assert_eq!(claim(&fresh).await, None);
        assert_eq!(
            fresh.read(|tx| tx.next_job_at()),
            Some(NOW_MS + day * 1_000)
        );
        fresh.db.clock.advance(1_000);
    }
    // Asked for while it was running: that comes before its usual time.
    let job = claimed(&fresh).await;
    want(&fresh, TENANT, "daily", NOW_MS).await;
    fresh
        .tx(move |tx| tx.finish_job(&job, Some(NOW_MS + 9_000)))
        .await;
    let job = claimed(&fresh).await;
    fresh.tx(move |tx| tx.finish_job(&job, None)).await;
    assert!(jobs(&fresh).is_empty());
}

pub(crate) async fn failing_keeps_the_error(fresh: Fresh) {
    want(&fresh, TENANT, "5101", NOW_MS).await;
    for attempt in 1..3 {
        let job = claimed(&fresh).await;
        assert_eq!(job.attempts, attempt);
        let next = fresh.store().now_ms() + 100;
        fresh.tx(move |tx| tx.fail_job(&job, next, "429")).await;
        assert_eq!(claim(&fresh).await, None);
        let row = &jobs(&fresh)[0];
        assert_eq!(
            (row.run_at, row.leased, row.attempts),
            (next, false, attempt)
        );
        assert_eq!(row.last_error.as_deref(), Some("429"));
        fresh.db.clock.advance(100);
    }
    let job = claimed(&fresh).await;
    fresh
        .tx(move |tx| tx.finish_job(&job, Some(NOW_MS + 9_000)))
        .await;
    let row = &jobs(&fresh)[0];
    assert_eq!((row.attempts, row.last_error.as_ref()), (0, None));
}

pub(crate) async fn holding_forgets_failures(fresh: Fresh) {
    want(&fresh, TENANT, "5101", NOW_MS).await;
    let job = claimed(&fresh).await;
    fresh.tx(move |tx| tx.fail_job(&job, NOW_MS, "429")).await;
    let job = claimed(&fresh).await;
    assert_eq!(job.attempts, 2);
    fresh.db.clock.advance(LEASE_MS - 1);
    let held = job.clone();
    fresh.tx(move |tx| tx.hold_job(&held, LEASE_MS)).await;
    fresh.db.clock.advance(LEASE_MS - 1);
    assert_eq!(claim(&fresh).await, None);
    fresh.tx(move |tx| tx.check_lease(&job)).await;
    assert_eq!(jobs(&fresh)[0].attempts, 1);
    fresh.db.clock.advance(1);
    assert_eq!(claimed(&fresh).await.attempts, 2);
}

fn tenant(id: &str) -> TenantFields<'_> {
    TenantFields {
        id,
        name: id,
        time_zone: "UTC",
        base_url: "https://api4.optimove.net",
        auth_kind: "api_key",
        credential: b"sealed",
        settings: "{}",
    }
}

pub(crate) async fn suspended_tenant_waits(fresh: Fresh) {
    fresh
        .tx(move |tx| {
            tx.insert_tenant(&tenant("one"))?;
            tx.insert_tenant(&tenant("two"))?;
            tx.set_tenant_suspended(1, Some(NOW_MS))
        })
        .await;
    want(&fresh, 1, "ones", NOW_MS - 1).await;
    want(&fresh, 2, "twos", NOW_MS).await;
    assert_eq!(fresh.read(|tx| tx.next_job_at()), Some(NOW_MS));
    assert_eq!(claimed(&fresh).await.key, "twos");
    assert_eq!(claim(&fresh).await, None);
    fresh.tx(|tx| tx.set_tenant_suspended(1, None)).await;
    assert_eq!(claimed(&fresh).await.key, "ones");
}

pub(crate) async fn deployment_needs_no_tenant(fresh: Fresh) {
    want(&fresh, 0, "housekeeping", NOW_MS).await;
    assert_eq!(claimed(&fresh).await.tenant, 0);
}

pub(crate) async fn leases_are_released_at_start(fresh: Fresh) {
    want(&fresh, TENANT, "a", NOW_MS).await;
    want(&fresh, TENANT, "b", NOW_MS).await;
    want(&fresh, TENANT, "c", NOW_MS).await;
    let a = claimed(&fresh).await;
    claimed(&fresh).await;
    assert_eq!(fresh.tx(|tx| tx.release_all_leases()).await, 2);
    let lost = fresh.try_tx(move |tx| tx.finish_job(&a, None)).await;
    assert!(matches!(lost, Err(Error::LeaseLost)), "{lost:?}");
    let again = claimed(&fresh).await;
    assert_eq!((&*again.key, again.attempts), ("a", 2));
}

pub(crate) async fn many_claimers_share_nothing(fresh: Fresh) {
    fresh
        .tx(|tx| (0..48).try_for_each(|n| tx.want_job(TENANT, "import", &n.to_string(), NOW_MS)))
        .await;
    let store = fresh.store().clone();
    let jobs = at_once(64, |_| {
        let store = store.clone();
        Box::pin(async move {
            store
                .tx::<_, Error, _>("claim", |tx| tx.claim_job(LEASE_MS))
                .await
                .expect("the claim is answered")
        })
    })
    .await;
    let mut keys: Vec<_> = jobs.into_iter().flatten().map(|job| job.key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 48);
    assert_eq!(claim(&fresh).await, None);
}

pub(crate) async fn kinds_tell_who_has_none(fresh: Fresh) {
    for id in ["one", "two", "three"] {
        fresh.tx(move |tx| tx.insert_tenant(&tenant(id))).await;
    }
    want(&fresh, 2, "a", NOW_MS).await;
    want(&fresh, 2, "b", NOW_MS + 5).await;
    fresh
        .tx(|tx| tx.want_job(3, "sweep", "daily", NOW_MS))
        .await;
    assert_eq!(fresh.read(|tx| tx.tenants_without_job("import")), [1, 3]);
    assert_eq!(fresh.read(|tx| tx.tenants_without_job("sweep")), [1, 2]);
}

/// Adds tenants 1 and 2.
async fn two_tenants(fresh: &Fresh) {
    for id in ["one", "two"] {
        fresh.tx(move |tx| tx.insert_tenant(&tenant(id))).await;
    }
}

fn turns(fresh: &Fresh) -> Vec<(i64, i64, bool)> {
    let turns = fresh.read(|tx| tx.due_turns());
    let turns = turns.into_iter();
    turns
        .map(|turn| (turn.tenant, turn.since, turn.has_rested))
        .collect()
}

pub(crate) async fn each_tenant_has_its_turn(fresh: Fresh) {
    two_tenants(&fresh).await;
    assert_eq!(turns(&fresh), []);
    want(&fresh, 0, "deployment", NOW_MS).await;
    want(&fresh, 1, "first", NOW_MS - 9).await;
    want(&fresh, 1, "second", NOW_MS - 5).await;
    want(&fresh, 2, "later", NOW_MS + 1).await;
    assert_eq!(turns(&fresh), [(0, NOW_MS, false), (1, NOW_MS - 9, false)]);
    let job = fresh.tx(|tx| tx.claim_job_of_tenant(1, LEASE_MS)).await;
    assert_eq!(job.map(|job| job.key), Some("first".to_owned()));
    assert_eq!(turns(&fresh), [(0, NOW_MS, false), (1, NOW_MS - 5, false)]);
    assert_eq!(
        fresh.tx(|tx| tx.claim_job_of_tenant(2, LEASE_MS)).await,
        None
    );
    fresh
        .tx(|tx| tx.set_tenant_suspended(1, Some(NOW_MS)))
        .await;
    fresh.db.clock.advance(1);
    assert_eq!(turns(&fresh), [(0, NOW_MS, false), (2, NOW_MS + 1, false)]);
    fresh.tx(|tx| tx.set_tenant_suspended(1, None)).await;
    fresh.db.clock.advance(LEASE_MS);
    let again = turns(&fresh);
    assert_eq!(again[1], (1, NOW_MS - 9, false), "its lease ran out");
}

pub(crate) async fn resting_tenant_waits_and_is_on_trial(fresh: Fresh) {
    two_tenants(&fresh).await;
    want(&fresh, 1, "ones", NOW_MS).await;
    want(&fresh, 2, "twos", NOW_MS).await;
    let rest = |until| fresh.tx(move |tx| tx.begin_rest(1, until, "no answer"));
    rest(NOW_MS + 10).await;
    assert_eq!(turns(&fresh), [(2, NOW_MS, false)]);
    let due: Vec<_> = jobs(&fresh)
        .into_iter()
        .map(|job| (job.tenant, job.run_at))
        .collect();
    assert_eq!(due, [(2, NOW_MS), (1, NOW_MS + 10)]);
    fresh.db.clock.advance(10);
    assert_eq!(turns(&fresh), [(1, NOW_MS, true), (2, NOW_MS, false)]);
    rest(NOW_MS + 30).await;
    let kept = fresh.read(|tx| tx.rest(1)).expect("it rests");
    assert_eq!(
        (kept.since, kept.until, kept.failures, &*kept.reason),
        (NOW_MS, NOW_MS + 30, 2, "no answer")
    );
    assert!(fresh.tx(|tx| tx.end_rest(1)).await);
    assert!(!fresh.tx(|tx| tx.end_rest(1)).await);
    assert_eq!(turns(&fresh), [(1, NOW_MS, false), (2, NOW_MS, false)]);
}

pub(crate) async fn failed_jobs_are_hastened(fresh: Fresh) {
    want(&fresh, TENANT, "failed", NOW_MS).await;
    let job = claimed(&fresh).await;
    fresh
        .tx(move |tx| tx.fail_job(&job, NOW_MS + 100, "broke"))
        .await;
    want(&fresh, TENANT, "planned", NOW_MS + 200).await;
    want(&fresh, 2, "others", NOW_MS + 300).await;
    fresh.tx(|tx| tx.hasten_failed_jobs(TENANT)).await;
    let due: Vec<_> = jobs(&fresh)
        .into_iter()
        .map(|job| (job.key, job.run_at))
        .collect();
    let expected = [("failed", 0), ("planned", 200), ("others", 300)];
    assert_eq!(due, expected.map(|(key, ms)| (key.to_owned(), NOW_MS + ms)));
}

/// A job that is done goes, and one of the same name that comes later begins anew. Whoever held the first must not
/// write to the second.
pub(crate) async fn token_never_comes_again(fresh: Fresh) {
    want(&fresh, TENANT, "5101", NOW_MS).await;
    let slow = claimed(&fresh).await;
    fresh.db.clock.advance(LEASE_MS);
    let quick = claimed(&fresh).await;
    fresh.tx(move |tx| tx.finish_job(&quick, None)).await;
    want(&fresh, TENANT, "5101", NOW_MS).await;
    let later = claimed(&fresh).await;
    assert!(later.token > slow.token, "{later:?} after {slow:?}");
    let late = fresh.try_tx(move |tx| tx.check_lease(&slow)).await;
    assert!(matches!(late, Err(Error::LeaseLost)), "{late:?}");
}

/// Who holds a job says so; as long as they are there, nobody takes it from them.
pub(crate) async fn leases_of_the_gone_are_released(fresh: Fresh) {
    want(&fresh, TENANT, "a", NOW_MS).await;
    want(&fresh, TENANT, "b", NOW_MS).await;
    let (a, b) = (claimed(&fresh).await, claimed(&fresh).await);
    let held = a.clone();
    fresh.tx(move |tx| tx.sign_job(&held, 7)).await;
    assert_eq!(fresh.tx(|tx| tx.release_leases_of(8)).await, 0);
    assert_eq!(fresh.tx(|tx| tx.release_leases_of(7)).await, 1);
    let lost = fresh.try_tx(move |tx| tx.check_lease(&a)).await;
    assert!(matches!(lost, Err(Error::LeaseLost)), "{lost:?}");
    fresh.tx(move |tx| tx.check_lease(&b)).await;
}
