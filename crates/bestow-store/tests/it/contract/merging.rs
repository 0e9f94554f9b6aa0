//! Merging: a chunk is granted once, whoever tries it how often.

use bestow_store::campaigns::WindowSpec;
use bestow_store::imports::LandingPage;
use bestow_store::merge::{MergeChunk, WindowRef};

use crate::support::{CHANNEL, Fresh, LEASE_MS, Reading, TENANT, WINDOW, reading};

async fn begin(fresh: &Fresh, reading: &Reading, to: u32) {
    let this = reading.clone();
    fresh
        .tx(move |tx| tx.begin_merge(&this.job, this.campaign, to))
        .await;
}

async fn grant(fresh: &Fresh, reading: &Reading, chunk: MergeChunk) -> bool {
    let this = reading.clone();
    fresh
        .tx(move |tx| tx.merge_chunk(&this.job, this.campaign, &chunk, LEASE_MS))
        .await
}

async fn end(fresh: &Fresh, reading: &Reading) {
    let this = reading.clone();
    fresh
        .tx(move |tx| tx.end_merge(&this.job, this.campaign))
        .await;
}

/// Everything that a chunk may change.
fn merged(fresh: &Fresh, reading: &Reading) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        fresh.read(|tx| tx.campaign_by_no(TENANT, reading.campaign)),
        fresh.read(|tx| tx.imports(TENANT, reading.campaign)),
        fresh.read(|tx| tx.counts(TENANT, reading.campaign)),
        fresh.read(|tx| tx.windows(TENANT, reading.campaign)),
        fresh.read(|tx| tx.grants_total()),
        fresh.ask("SELECT COALESCE(SUM(window_no), 0) FROM grants"),
    )
}

pub(crate) async fn chunk_counts_once(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    // Nothing is granted outside a merge.
    assert!(!grant(&fresh, &reading, reading.chunk(&["anna"])).await);
    begin(&fresh, &reading, 1).await;
    assert!(grant(&fresh, &reading, reading.chunk(&["anna", "bob"])).await);
    let before = merged(&fresh, &reading);
    assert!(!grant(&fresh, &reading, reading.chunk(&["anna", "bob"])).await);
    assert!(!grant(&fresh, &reading, reading.chunk(&["alf"])).await);
    assert_eq!(merged(&fresh, &reading), before);
    assert!(grant(&fresh, &reading, reading.chunk(&["cleo"])).await);
    assert_eq!(fresh.read(|tx| tx.grants_total()), 3);
    assert_eq!(fresh.count(reading.campaign, "granted"), 3);
    assert_eq!(fresh.count(reading.campaign, "pairs"), 3);
}

pub(crate) async fn known_grants_are_repeats(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    reading.merge(&fresh, reading.chunk(&["anna", "bob"])).await;
    reading
        .merge(&fresh, reading.chunk(&["anna", "bob", "cleo"]))
        .await;
    assert_eq!(fresh.read(|tx| tx.grants_total()), 3);
    assert_eq!(fresh.count(reading.campaign, "granted"), 3);
    assert_eq!(fresh.count(reading.campaign, "repeated"), 2);
}

pub(crate) async fn chunk_brings_windows(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    let later = WindowSpec {
        starts_at: WINDOW.starts_at + 1,
        ..WINDOW
    };
    begin(&fresh, &reading, 1).await;
    let mut chunk = reading.chunk(&["anna", "bob"]);
    chunk.new_windows = vec![WINDOW, later];
    chunk.grants[0].window = WindowRef::New(1);
    chunk.grants[1].window = WindowRef::New(0);
    assert!(grant(&fresh, &reading, chunk).await);
    let window = |customer| fresh.read(|tx| tx.ledger_rows(TENANT, customer))[0].window;
    assert_eq!(window("bob"), reading.window);
    let no = window("anna");
    assert_eq!(fresh.read(|tx| tx.window_facts(TENANT, no)), Some(later));
}

pub(crate) async fn chunk_widens(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    reading.merge(&fresh, reading.chunk(&["anna", "bob"])).await;
    begin(&fresh, &reading, 1).await;
    let longer = WindowSpec {
        ends_at: WINDOW.ends_at.map(|end| end + 1),
        ..WINDOW
    };
    let mut chunk = reading.chunk(&["bob"]);
    let mut grows = chunk.grants.remove(0);
    grows.window = WindowRef::New(0);
    chunk.widened.push(grows);
    chunk.new_windows.push(longer);
    assert!(grant(&fresh, &reading, chunk).await);
    let ends_at = |customer| {
        let found = fresh.read(|tx| tx.grant(TENANT, customer, reading.offer));
        found.expect("it is there").ends_at
    };
    assert_eq!(
        (ends_at("anna"), ends_at("bob")),
        (WINDOW.ends_at, longer.ends_at)
    );
    assert_eq!(fresh.count(reading.campaign, "granted"), 2);
}

pub(crate) async fn confirming_pairs_are_counted(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    begin(&fresh, &reading, 1).await;
    let mut chunk = reading.chunk(&["anna", "bob"]);
    chunk.added = vec![(CHANNEL, 2), (15, 9)];
    assert!(grant(&fresh, &reading, chunk).await);
    assert_eq!(
        fresh.read(|tx| tx.imports(TENANT, reading.campaign))[0].pass_added,
        2
    );
}

pub(crate) async fn end_moves_the_mark(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    let state = |fresh: &Fresh| {
        let campaign = fresh.read(|tx| tx.campaign_by_no(TENANT, reading.campaign));
        let c = campaign.expect("it is there");
        (c.merged_through, c.merge_to, c.merge_cursor, c.customers)
    };
    begin(&fresh, &reading, 3).await;
    grant(&fresh, &reading, reading.chunk(&["Anna"])).await;
    grant(&fresh, &reading, reading.chunk(&["bob", "Cleo"])).await;
    assert_eq!(state(&fresh), (0, Some(3), Some("cleo".into()), None));
    end(&fresh, &reading).await;
    assert_eq!(state(&fresh), (3, None, None, Some(3)));
    // Ending once more, as after a commit whose answer was lost, changes nothing.
    end(&fresh, &reading).await;
    assert_eq!(state(&fresh), (3, None, None, Some(3)));
    assert!(!grant(&fresh, &reading, reading.chunk(&["zoe"])).await);
    // Beginning anew starts from the first customer.
    begin(&fresh, &reading, 5).await;
    assert_eq!(state(&fresh), (3, Some(5), None, Some(3)));
    assert!(grant(&fresh, &reading, reading.chunk(&["anna"])).await);
}

pub(crate) async fn release_twice_is_once(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    // Six pairs of three customers were held for their unknown code.
    let no = reading.campaign;
    fresh
        .tx(move |tx| {
            let counts = [("pairs".to_owned(), 6), ("held:unknown_code".to_owned(), 6)];
            tx.add_counts(TENANT, no, &counts)
        })
        .await;
    let release = |customers: &'static [&'static str], repeats: &'static [u32]| {
        let this = reading.clone();
        fresh.tx(move |tx| {
            let chunk = this.chunk(customers);
            let held = "held:unknown_code";
            tx.release_chunk(&this.job, this.campaign, &chunk, repeats, held, LEASE_MS)
        })
    };
    assert_eq!(release(&["anna", "bob"], &[0, 2]).await, 2);
    let counts = fresh.read(|tx| tx.counts(TENANT, reading.campaign));
    assert_eq!(release(&["anna", "bob"], &[0, 2]).await, 0);
    assert_eq!(fresh.read(|tx| tx.counts(TENANT, reading.campaign)), counts);
    // A stretch that overlaps what was released grants what is new only.
    assert_eq!(release(&["bob", "cleo"], &[2, 1]).await, 1);
    let left = ["granted", "repeated", "held:unknown_code"].map(|name| fresh.count(no, name));
    assert_eq!(left, [3, 3, 0]);
    assert!(fresh.read(|tx| tx.verify_counts(TENANT)).is_empty());
}

pub(crate) async fn only_confirmed_rows_are_dropped(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    let other = crate::support::reading(&fresh, "5102").await;
    for reading in [&reading, &other] {
        reading.land(&fresh, &reading.page(0, &["anna"])).await;
        let this = reading.clone();
        fresh
            .tx(move |tx| tx.begin_pass(&this.job, this.campaign, CHANNEL, 2, 10))
            .await;
        let page = reading.page(0, &["anna"]);
        assert_eq!(
            reading.land(&fresh, &LandingPage { pass: 2, ..page }).await,
            Some(2)
        );
    }
    let drop_from = |from_page| {
        let this = reading.clone();
        fresh.tx(move |tx| tx.drop_confirmed_rows(&this.job, this.campaign, CHANNEL, from_page))
    };
    let blocks = || fresh.ask("SELECT SUM(campaign * 10 + page) FROM landed_block");
    assert_eq!(blocks(), 11 + 12 + 21 + 22);
    drop_from(3).await;
    assert_eq!(blocks(), 11 + 12 + 21 + 22);
    // The first pass keeps its rows even where the range takes it in.
    drop_from(1).await;
    assert_eq!(blocks(), 11 + 21 + 22);
    assert_eq!(
        fresh
            .read(|tx| tx.landed_pages(TENANT, reading.campaign))
            .len(),
        2
    );
}
