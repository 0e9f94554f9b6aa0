//! Landed rows come back in the one order, whatever the customers are called and wherever a reader
//! starts; and a damaged block is told, never trusted and never fatal.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};

use bestow_core::id::fold_customer;
use bestow_store::Error;
use bestow_store::block::{BLOCK_ENTRIES_MAX, Block, Entry, Landing};
use bestow_store::runs::{Group, Pages, Runs};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::{Fresh, LEASE_MS, TENANT, packed, reading, sqlite};

/// One entry with all that tells it from another. The order of the fields is the promised order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Landed {
    fold: String,
    customer: String,
    offer: u32,
    mark: u8,
    page: u32,
    row: u32,
    window: u32,
}

type Row = (String, u32, u32, u8);

/// A store that many campaigns land in, one after the other.
struct Shelf {
    runtime: tokio::runtime::Runtime,
    fresh: Fresh,
    campaigns: AtomicI64,
}

impl Shelf {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        Self {
            runtime: runtime.expect("a runtime starts"),
            fresh: sqlite(),
            campaigns: AtomicI64::new(0),
        }
    }

    /// Lands pages of blocks in a campaign of their own.
    fn land(&self, pages: Vec<Vec<Block>>) -> i64 {
        let id = self.campaigns.fetch_add(1, Ordering::SeqCst).to_string();
        self.runtime.block_on(async {
            let reading = reading(&self.fresh, &id).await;
            let campaign = reading.campaign;
            let landings = pages.into_iter().enumerate().map(|(n, blocks)| {
                let mut page = packed(n as u64, 1, Landing::default());
                page.blocks = blocks;
                page
            });
            let landings: Vec<_> = landings.collect();
            let land = move |tx: &mut bestow_store::Tx<'_>| {
                for page in &landings {
                    let landed = tx.land_page(&reading.job, campaign, page, LEASE_MS)?;
                    assert!(landed.is_some());
                }
                tx.finish_job(&reading.job, None)
            };
            self.fresh.tx(land).await;
            campaign
        })
    }

    /// Reads a campaign behind a place, in groups.
    fn groups(&self, campaign: i64, after: Option<&str>) -> Result<Vec<Vec<Landed>>, Error> {
        let mut runs = Runs::open(self.fresh.store(), TENANT, campaign, u32::MAX, after)?;
        let mut group = Group::default();
        let mut groups = Vec::new();
        while runs.next_group(&mut group)? {
            let landed = |entry: &bestow_store::runs::GroupEntry| Landed {
                fold: group.fold().to_owned(),
                customer: group.customer(entry).to_owned(),
                offer: entry.offer,
                page: entry.page,
                row: entry.row,
                window: entry.window,
                mark: entry.mark,
            };
            groups.push(group.entries.iter().map(landed).collect());
        }
        assert!(!runs.next_group(&mut group)?, "the end stays the end");
        Ok(groups)
    }
}

fn landing(rows: &[Row]) -> Landing {
    let mut landing = Landing::default();
    for (row, (customer, offer, window, mark)) in rows.iter().enumerate() {
        landing.push(Entry {
            customer,
            offer: *offer,
            window: *window,
            mark: *mark,
            row: row as u32,
        });
    }
    landing
}

/// The plain way to the same answer: one list, sorted, and cut where the fold changes.
fn model(pages: &[Vec<Row>]) -> Vec<Vec<Landed>> {
    let mut all = Vec::new();
    for (page, rows) in (1..).zip(pages) {
        for (row, (customer, offer, window, mark)) in (0..).zip(rows) {
            all.push(Landed {
                fold: fold_customer(customer).into_owned(),
                customer: customer.clone(),
                offer: *offer,
                page,
                row,
                window: *window,
                mark: *mark,
            });
        }
    }
    all.sort();
    all.chunk_by(|a, b| a.fold == b.fold)
        .map(<[_]>::to_vec)
        .collect()
}

fn customers() -> impl Strategy<Value = String> {
    prop_oneof![
        // Few letters in both cases: many that are equal, and many that are nearly so.
        4 => "[aAbB]{0,3}",
        // The same first bytes, longer than what is compared first.
        3 => (0..40_u32, any::<bool>()).prop_map(|(n, upper)| {
            let prefix = if upper { "CUSTOMER-" } else { "customer-" };
            format!("{prefix}{n}")
        }),
        2 => any::<String>(),
        1 => "[\u{0}\u{1}a]{0,10}",
        1 => "[ßẞſSsİıiIΣσςÅå\u{200b} ]{0,6}",
        1 => (0..300_usize, "[xX]{0,2}").prop_map(|(n, end)| "long".repeat(n) + &end),
    ]
}

fn rows(max: usize) -> impl Strategy<Value = Vec<Row>> {
    let number = prop_oneof![0..4_u32, Just(127), Just(128), Just(u32::MAX)];
    let row = (customers(), number.clone(), number, any::<u8>());
    proptest::collection::vec(row, 0..max)
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

#[test]
fn pages_come_back_in_one_order() {
    let shelf = Shelf::new();
    let pages = proptest::collection::vec(rows(40), 0..8);
    proptest!(config(), |(pages in pages, elsewhere in customers())| {
        let mut blocks = Vec::new();
        for rows in &pages {
            let (packed, customers) = landing(rows).pack();
            let distinct: BTreeSet<_> = rows.iter().map(|row| &row.0).collect();
            prop_assert_eq!(customers, distinct.len() as u64);
            blocks.push(packed);
        }
        let expected = model(&pages);
        let campaign = shelf.land(blocks);
        prop_assert_eq!(&shelf.groups(campaign, None).expect("readable"), &expected);
        for (place, group) in expected.iter().enumerate() {
            let rest = shelf.groups(campaign, Some(&group[0].fold)).expect("readable");
            prop_assert_eq!(&rest, &expected[place + 1..]);
        }
        // A cursor that no row stands at.
        let elsewhere = fold_customer(&elsewhere);
        let rest = shelf.groups(campaign, Some(&elsewhere)).expect("readable");
        let behind: Vec<_> = expected.into_iter().filter(|g| *g[0].fold > *elsewhere).collect();
        prop_assert_eq!(rest, behind);
    });
}

/// Rows of a page of this size in an order that is nobody's, three of them to a customer.
fn shuffled(size: usize, page: usize) -> Vec<Row> {
    (0..size)
        .map(|n| {
            let place = (n * 7_919 + page) % size;
            (format!("C{:06}", place / 3), (place % 3) as u32, 1, 0)
        })
        .collect()
}

#[test]
fn blocks_end_where_they_are_full() {
    let shelf = Shelf::new();
    let max = BLOCK_ENTRIES_MAX;
    for size in [0, 1, max - 1, max, max + 1, 2 * max, 2 * max + 1] {
        let rows = shuffled(size, 0);
        let (blocks, _) = landing(&rows).pack();
        assert_eq!(blocks.len(), size.div_ceil(max), "{size}");
        let campaign = shelf.land(vec![blocks]);
        assert_eq!(
            shelf.groups(campaign, None).expect("readable"),
            model(&[rows]),
            "{size}"
        );
    }
}

#[test]
fn every_cursor_resumes_where_it_stands() {
    let shelf = Shelf::new();
    let max = BLOCK_ENTRIES_MAX;
    let pages: Vec<_> = [max - 1, max, max + 1]
        .iter()
        .enumerate()
        .map(|(page, size)| shuffled(*size, page))
        .collect();
    let blocks = pages.iter().map(|rows| landing(rows).pack().0).collect();
    let campaign = shelf.land(blocks);
    let expected = model(&pages);
    assert_eq!(
        shelf.groups(campaign, Some("")).expect("readable"),
        expected
    );
    for (place, group) in expected.iter().enumerate() {
        let rest = shelf
            .groups(campaign, Some(&group[0].fold))
            .expect("readable");
        assert_eq!(rest, expected[place + 1..]);
    }
}

#[test]
fn one_customer_is_found_among_all() {
    let shelf = Shelf::new();
    let pages: Vec<_> = [300, 1].map(|size| shuffled(size, 0)).into();
    let blocks = pages.iter().map(|rows| landing(rows).pack().0).collect();
    let campaign = shelf.land(blocks);
    let found = |fold: &str| {
        let store = shelf.fresh.store();
        Runs::group_of(store, TENANT, campaign, Pages::All, fold).expect("readable")
    };
    for group in model(&pages) {
        let fold = &*group[0].fold;
        assert_eq!(found(fold).entries.len(), group.len(), "{fold}");
        assert_eq!(found(fold).fold(), fold);
        for near in [format!("{fold}0"), format!("!{fold}"), fold[1..].to_owned()] {
            let there = found(&near);
            assert!(there.entries.is_empty() || there.fold() == near, "{near}");
        }
    }
    assert_eq!(found("").entries, []);
}

#[test]
fn later_pages_stay_out() {
    let shelf = Shelf::new();
    let pages = [shuffled(9, 0), shuffled(6, 1), shuffled(3, 2)];
    let blocks = pages.iter().map(|rows| landing(rows).pack().0).collect();
    let campaign = shelf.land(blocks);
    for through in 0..4 {
        let store = shelf.fresh.store();
        let mut runs = Runs::open(store, TENANT, campaign, through, None).expect("readable");
        let (mut group, mut entries) = (Group::default(), 0);
        while runs.next_group(&mut group).expect("readable") {
            assert!(group.entries.iter().all(|entry| entry.page <= through));
            entries += group.entries.len();
        }
        assert_eq!(entries, [0, 9, 15, 18][through as usize]);
    }
}

#[test]
fn places_become_numbers() {
    let shelf = Shelf::new();
    let rows: Vec<_> = (0..4).map(|n| (format!("c{n}"), n, 3 - n, 0)).collect();
    let mut landing = landing(&rows);
    landing.renumber(&[70, 80], &[700, 800, 900]);
    let campaign = shelf.land(vec![landing.pack().0]);
    let groups = shelf.groups(campaign, None).expect("readable");
    let numbers: Vec<_> = groups.iter().map(|g| (g[0].offer, g[0].window)).collect();
    // Place 3 is in no list of two: as good as none.
    assert_eq!(numbers, [(0, 900), (70, 800), (80, 700), (0, 0)]);
}

/// What may happen to bytes on a disk.
#[derive(Debug, Clone)]
enum Damage {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Replace(Vec<u8>),
}

impl Damage {
    fn apply(&self, body: &mut Vec<u8>) {
        match self {
            Self::Flip(at, bit) => {
                let at = at.index(body.len());
                body[at] ^= 1 << (bit % 8);
            }
            Self::Cut(at) => body.truncate(at.index(body.len())),
            Self::Insert(at, bytes) => {
                let at = at.index(body.len() + 1);
                body.splice(at..at, bytes.iter().copied());
            }
            Self::Replace(bytes) => body.clone_from(bytes),
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        3 => (any::<Index>(), any::<u8>()).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        2 => any::<Index>().prop_map(Damage::Cut),
        1 => (any::<Index>(), bytes()).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => bytes().prop_map(Damage::Replace),
    ]
}

#[test]
fn damage_is_told_and_never_fatal() {
    let shelf = Shelf::new();
    let sound = rows(40).prop_filter("something to damage", |rows| !rows.is_empty());
    let told = AtomicI64::new(0);
    proptest!(config(), |(damaged in sound, beside in rows(10), damage in damage())| {
        let mut blocks = landing(&damaged).pack().0;
        damage.apply(&mut blocks[0].body);
        let campaign = shelf.land(vec![landing(&beside).pack().0, blocks]);
        match shelf.groups(campaign, None) {
            Err(Error::Corrupt(_)) => {
                told.fetch_add(1, Ordering::SeqCst);
            }
            Err(other) => prop_assert!(false, "{other:?}"),
            // Some damage makes another block that can be read; a cut one has fewer entries then.
            Ok(groups) => {
                let read: usize = groups.iter().map(Vec::len).sum();
                if matches!(damage, Damage::Cut(_)) {
                    prop_assert!(read < damaged.len() + beside.len());
                }
            }
        }
        let later = shelf.groups(campaign, Some("b"));
        prop_assert!(matches!(later, Ok(_) | Err(Error::Corrupt(_))));
    });
    let told = told.into_inner();
    assert!(told > 20, "only {told} damaged blocks were told");
}
