//! Imports: a page is there with everything that belongs to it, or not at all, and once.

use bestow_store::imports::{HeldRow, Import, LandingPage};

use crate::support::{CHANNEL, Fresh, NOW_MS, Reading, TENANT, reading};

fn import(fresh: &Fresh, reading: &Reading) -> Import {
    let mut found = fresh.read(|tx| tx.imports(TENANT, reading.campaign));
    assert_eq!(found.len(), 1);
    found.remove(0)
}

/// Everything that landing a page may change.
fn landed(fresh: &Fresh, reading: &Reading) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        fresh.read(|tx| tx.imports(TENANT, reading.campaign)),
        fresh.read(|tx| tx.landed_pages(TENANT, reading.campaign)),
        fresh.read(|tx| tx.held_rows(TENANT, reading.campaign)),
        fresh.read(|tx| tx.counts(TENANT, reading.campaign)),
        fresh.read(|tx| tx.audit_records(TENANT, 0, 100)),
        fresh.ask("SELECT COUNT(*) FROM landed_block"),
    )
}

async fn begin_pass(fresh: &Fresh, reading: &Reading, pass: u32) {
    let this = reading.clone();
    fresh
        .tx(move |tx| tx.begin_pass(&this.job, this.campaign, CHANNEL, pass, 500))
        .await;
}

pub(crate) async fn wanted_once(fresh: Fresh) {
    let new = fresh
        .tx(|tx| {
            tx.see_campaign(TENANT, "5101", "scheduled", "sweep")?;
            Ok([
                tx.want_import(TENANT, 1, CHANNEL)?,
                tx.want_import(TENANT, 1, CHANNEL)?,
                tx.want_import(TENANT, 1, 0)?,
            ])
        })
        .await;
    assert_eq!(new, [true, false, true]);
    let imports = fresh.read(|tx| tx.imports(TENANT, 1));
    let kept: Vec<_> = imports
        .iter()
        .map(|i| (i.channel, &*i.state, i.pass, i.skip))
        .collect();
    assert_eq!(kept, [(0, "wanted", 1, 0), (CHANNEL, "wanted", 1, 0)]);
}

pub(crate) async fn page_lands_once(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    let page = reading.page(0, &["anna", "bob", "cleo"]);
    assert_eq!(reading.land(&fresh, &page).await, Some(1));
    let before = landed(&fresh, &reading);
    assert_eq!(reading.land(&fresh, &page).await, None);
    assert_eq!(landed(&fresh, &reading), before);
    let import = import(&fresh, &reading);
    assert_eq!((import.skip, import.rows, import.pass_from_page), (3, 3, 1));
    let pages = fresh.read(|tx| tx.landed_pages(TENANT, reading.campaign));
    assert_eq!(
        (pages[0].rows, pages[0].customers, pages[0].landed_at),
        (3, 3, NOW_MS)
    );
    assert_eq!(pages[0].digest, [7; 32]);
}

pub(crate) async fn cursor_decides(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    reading.land(&fresh, &reading.page(0, &["anna"])).await;
    let before = landed(&fresh, &reading);
    let page = |skip, pass, channel| LandingPage {
        pass,
        channel,
        ..reading.page(skip, &["bob"])
    };
    let astray = [
        page(2, 1, CHANNEL),
        page(1, 2, CHANNEL),
        page(1, 1, 15),
        page(0, 1, 0),
    ];
    for page in &astray {
        assert_eq!(reading.land(&fresh, page).await, None, "{page:?}");
    }
    assert_eq!(landed(&fresh, &reading), before);
    // Read to its end or held: nothing lands any more.
    for state in ["read", "held", "done"] {
        let no = reading.campaign;
        fresh
            .tx(move |tx| tx.set_import_state(TENANT, no, CHANNEL, state, None))
            .await;
        assert_eq!(
            reading.land(&fresh, &page(1, 1, CHANNEL)).await,
            None,
            "{state}"
        );
    }
}

pub(crate) async fn passes_count_apart(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    reading
        .land(&fresh, &reading.page(0, &["anna", "bob"]))
        .await;
    reading.land(&fresh, &reading.page(2, &["cleo"])).await;
    begin_pass(&fresh, &reading, 2).await;
    let begun = import(&fresh, &reading);
    assert_eq!((begun.pass, begun.page_rows, begun.skip), (2, 500, 0));
    assert_eq!((begun.rows, begun.pass_from_page), (3, 0));
    let confirming = |skip, customers: &[&str]| LandingPage {
        pass: 2,
        ..reading.page(skip, customers)
    };
    assert_eq!(
        reading.land(&fresh, &confirming(0, &["cleo"])).await,
        Some(3)
    );
    assert_eq!(
        reading.land(&fresh, &confirming(1, &["bob", "anna"])).await,
        Some(4)
    );
    let after = import(&fresh, &reading);
    assert_eq!((after.skip, after.rows, after.pass_from_page), (3, 3, 3));
}

pub(crate) async fn pages_count_over_channels(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    let this = reading.clone();
    fresh
        .tx(move |tx| {
            tx.want_import(TENANT, this.campaign, 15)?;
            tx.begin_pass(&this.job, this.campaign, 15, 1, 10)
        })
        .await;
    let other = LandingPage {
        channel: 15,
        ..reading.page(0, &["bob"])
    };
    let first = reading.land(&fresh, &reading.page(0, &["anna"])).await;
    assert_eq!(
        (first, reading.land(&fresh, &other).await),
        (Some(1), Some(2))
    );
    let next = reading.page(1, &["cleo"]);
    assert_eq!(reading.land(&fresh, &next).await, Some(3));
    let pages = fresh.read(|tx| tx.landed_pages(TENANT, reading.campaign));
    assert_eq!(
        pages.iter().map(|p| p.channel).collect::<Vec<_>>(),
        [CHANNEL, 15, CHANNEL]
    );
}

pub(crate) async fn held_rows_count_in_the_first_pass(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    let nobody = |row, pairs| HeldRow {
        row,
        reason: "no_customer".into(),
        pairs,
        extract: "{\"CustomerID\":\"\"}".into(),
    };
    let held = vec![nobody(1, 2), nobody(4, 0)];
    let page = LandingPage {
        rows: 5,
        held: held.clone(),
        ..reading.page(0, &["anna", "bob", "cleo"])
    };
    reading.land(&fresh, &page).await;
    let kept = fresh.read(|tx| tx.held_rows(TENANT, reading.campaign));
    assert_eq!(
        kept,
        held.into_iter().map(|row| (1, row)).collect::<Vec<_>>()
    );
    let counts = |fresh: &Fresh| fresh.read(|tx| tx.counts(TENANT, reading.campaign));
    let once = [
        ("held:no_customer", 2),
        ("pairs", 2),
        ("rows", 2),
        ("rows_without_code", 1),
    ];
    assert_eq!(counts(&fresh), once.map(|(name, n)| (name.to_owned(), n)));
    // The confirming pass meets the same rows: they are counted and held already.
    begin_pass(&fresh, &reading, 2).await;
    reading.land(&fresh, &LandingPage { pass: 2, ..page }).await;
    assert_eq!(counts(&fresh), once.map(|(name, n)| (name.to_owned(), n)));
    assert_eq!(
        fresh
            .read(|tx| tx.held_rows(TENANT, reading.campaign))
            .len(),
        2
    );
}

pub(crate) async fn each_page_has_its_record(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    reading.land(&fresh, &reading.page(0, &["anna"])).await;
    reading
        .land(&fresh, &reading.page(1, &["bob", "cleo"]))
        .await;
    let records = fresh.read(|tx| tx.audit_records(TENANT, 0, 10));
    let objects: Vec<_> = records.iter().map(|r| (&*r.action, &*r.object)).collect();
    assert_eq!(
        objects,
        [
            ("page.landed", "campaign-no/1/page/1"),
            ("page.landed", "campaign-no/1/page/2")
        ]
    );
    let digest = "07".repeat(32);
    assert_eq!(
        records[1].detail,
        format!(r#"{{"channel":504,"pass":1,"skip":1,"rows":2,"pairs":2,"sha256":"{digest}"}}"#)
    );
}

pub(crate) async fn states_are_kept(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    let no = reading.campaign;
    let set = |state: &'static str, reason: Option<&'static str>| {
        fresh.tx(move |tx| tx.set_import_state(TENANT, no, CHANNEL, state, reason))
    };
    set("held", Some("odd_size")).await;
    let held = import(&fresh, &reading);
    assert_eq!(
        (&*held.state, held.hold_reason.as_deref()),
        ("held", Some("odd_size"))
    );
    set("done", None).await;
    let done = import(&fresh, &reading);
    assert_eq!((&*done.state, done.hold_reason), ("done", None));
    assert_eq!(fresh.ask("SELECT done_at FROM import"), NOW_MS);
    let unknown = fresh
        .try_tx(move |tx| tx.set_import_state(TENANT, no, CHANNEL, "lost", None))
        .await;
    assert!(unknown.is_err(), "{unknown:?}");
    assert_eq!(import(&fresh, &reading).state, "done");
}

pub(crate) async fn held_import_goes_on(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    assert_eq!(
        fresh.read(|tx| tx.last_landed_page(TENANT, reading.campaign)),
        0
    );
    reading.land(&fresh, &reading.page(0, &["anna"])).await;
    assert_eq!(
        fresh.read(|tx| tx.last_landed_page(TENANT, reading.campaign)),
        1
    );
    let no = reading.campaign;
    let resume = || fresh.tx(move |tx| tx.resume_import(TENANT, no, CHANNEL, "reading"));
    // Nothing but a held one is resumed.
    assert!(!resume().await);
    fresh
        .tx(move |tx| tx.set_import_state(TENANT, no, CHANNEL, "held", Some("cap")))
        .await;
    fresh.db.clock.advance(1_000);
    assert!(resume().await);
    let resumed = import(&fresh, &reading);
    assert_eq!(
        (&*resumed.state, resumed.hold_reason, resumed.skip),
        ("reading", None, 1)
    );
    assert_eq!(resumed.wanted_at, NOW_MS + 1_000);
    assert_eq!(
        reading.land(&fresh, &reading.page(1, &["bob"])).await,
        Some(2)
    );
}
