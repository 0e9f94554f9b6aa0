//! Audit records and findings.

use bestow_store::audit::AuditEntry;
use bestow_store::{Error, Tx, correlation};

use crate::support::{Fresh, NOW_MS, TENANT, at_once};

fn record(tx: &mut Tx<'_>, tenant: i64, object: &str) -> Result<(), Error> {
    tx.correlate("n1");
    entry(tx, tenant, object)
}

fn entry(tx: &mut Tx<'_>, tenant: i64, object: &str) -> Result<(), Error> {
    tx.audit(&AuditEntry {
        tenant,
        actor: "cli",
        action: "tenant.changed",
        object,
        detail: "{}",
    })
}

fn places(fresh: &Fresh, tenant: i64) -> Vec<u64> {
    let records = fresh.read(|tx| tx.audit_records(tenant, 0, 1_000));
    records.into_iter().map(|record| record.seq).collect()
}

pub(crate) async fn no_gap_under_contention(fresh: Fresh) {
    let store = fresh.store().clone();
    at_once(64, |writer| {
        let store = store.clone();
        Box::pin(async move {
            for round in 0..4 {
                let object = format!("{writer}/{round}");
                let tenant = (writer % 2) as i64;
                let write = move |tx: &mut Tx<'_>| record(tx, tenant, &object);
                let written: Result<(), Error> = if writer % 3 == 0 {
                    store.bulk("audit", write).await
                } else {
                    store.tx("audit", write).await
                };
                written.expect("written");
            }
        })
    })
    .await;
    let dense: Vec<u64> = (1..=128).collect();
    assert_eq!(
        (places(&fresh, 0), places(&fresh, 1)),
        (dense.clone(), dense)
    );
}

pub(crate) async fn no_gap_after_a_refusal(fresh: Fresh) {
    fresh.tx(|tx| record(tx, TENANT, "one")).await;
    let refused: Result<(), _> = fresh
        .try_tx(|tx| {
            record(tx, TENANT, "undone")?;
            Err(Error::LeaseLost)
        })
        .await;
    assert!(matches!(refused, Err(Error::LeaseLost)));
    fresh.tx(|tx| record(tx, TENANT, "two")).await;
    let records = fresh.read(|tx| tx.audit_records(TENANT, 0, 10));
    let kept: Vec<_> = records.iter().map(|r| (r.seq, &*r.object)).collect();
    assert_eq!(kept, [(1, "one"), (2, "two")]);
}

pub(crate) async fn pages_by_place(fresh: Fresh) {
    fresh
        .tx(|tx| {
            ["a", "b", "c"]
                .iter()
                .try_for_each(|object| record(tx, TENANT, object))
        })
        .await;
    let page = fresh.read(|tx| tx.audit_records(TENANT, 1, 1));
    assert_eq!(page.len(), 1);
    assert_eq!(
        (page[0].seq, page[0].at, &*page[0].object),
        (2, NOW_MS, "b")
    );
    assert_eq!(
        (&*page[0].actor, &*page[0].action),
        ("cli", "tenant.changed")
    );
    assert_eq!(page[0].correlation.as_deref(), Some("n1"));
    assert!(places(&fresh, 2).is_empty());
}

pub(crate) async fn a_record_names_what_its_task_came_from(fresh: Fresh) {
    let store = fresh.store().clone();
    let write = |object: &'static str| store.tx("t", move |tx| entry(tx, TENANT, object));
    write("alone").await.expect("written");
    correlation::under("req_1", write("asked"))
        .await
        .expect("written");
    let told = store.tx("t", |tx| {
        tx.correlate("ntf_1");
        entry(tx, TENANT, "told")
    });
    correlation::under("run_1", told).await.expect("written");
    let records = fresh.read(|tx| tx.audit_records(TENANT, 0, 10));
    let causes: Vec<_> = records
        .iter()
        .map(|record| record.correlation.as_deref())
        .collect();
    assert_eq!(causes, [None, Some("req_1"), Some("ntf_1")]);
}

pub(crate) async fn findings_open_and_close(fresh: Fresh) {
    let find = |object: &'static str, detail: &'static str| {
        fresh.tx(move |tx| tx.find(TENANT, "listener", object, detail))
    };
    let open = || {
        let found = fresh.read(|tx| tx.findings(TENANT));
        let row = |f: bestow_store::findings::Finding| (f.object, f.detail, f.found_at, f.seen_at);
        found.into_iter().map(row).collect::<Vec<_>>()
    };
    find("13", "missing").await;
    fresh.db.clock.advance(10);
    find("13", "elsewhere").await;
    find("4", "missing").await;
    let four = (
        "4".to_owned(),
        "missing".to_owned(),
        NOW_MS + 10,
        NOW_MS + 10,
    );
    let thirteen = ("13".to_owned(), "elsewhere".to_owned(), NOW_MS, NOW_MS + 10);
    assert_eq!(open(), [thirteen, four.clone()]);
    fresh
        .tx(|tx| tx.resolve_finding(TENANT, "listener", "13"))
        .await;
    assert_eq!(open(), [four]);
    let known = |object: &'static str| {
        let found = fresh.read(move |tx| tx.finding(TENANT, "listener", object));
        found.map(|found| found.resolved_at)
    };
    let states = [known("13"), known("4"), known("5")];
    assert_eq!(states, [Some(Some(NOW_MS + 10)), Some(None), None]);
    // Seen again, it is open again.
    find("13", "missing").await;
    assert_eq!(open().len(), 2);
    assert!(fresh.read(|tx| tx.findings(2)).is_empty());
}
