//! Unique codes: given once, in order, in the grant's own transaction; and what happens when they run out.

use bestow_core::{GivenCode, UniqueCode};
use bestow_store::Error;
use bestow_store::codes::{CodeState, Pool};
use bestow_store::promotions::Promotion;
use bestow_store::verify::Violation;

use crate::contract::catalogue::promotion;
use crate::support::{Fresh, LEASE_MS, Reading, TENANT, reading};

/// Makes FS20 a promotion of unique codes and loads these.
async fn pool(fresh: &Fresh, fallback: Option<&'static str>, codes: &[&str]) {
    fresh
        .tx(move |tx| {
            let put = Promotion {
                kind: "unique".into(),
                fallback_code: fallback.map(str::to_owned),
                ..promotion("FS20")
            };
            tx.put_promotion(TENANT, &put)
        })
        .await;
    load(fresh, codes).await;
}

async fn load(fresh: &Fresh, codes: &[&str]) -> u64 {
    let codes: Vec<UniqueCode> = codes.iter().map(|code| parsed(code)).collect();
    fresh
        .tx(move |tx| {
            let pool = tx.pool(TENANT, "fs20")?.expect("it has a pool");
            tx.load_codes(TENANT, &pool, &codes)
        })
        .await
}

fn parsed(code: &str) -> UniqueCode {
    UniqueCode::parse(code).expect("a code")
}

fn figures(fresh: &Fresh) -> Pool {
    fresh
        .read(|tx| tx.pool(TENANT, "fs20"))
        .expect("it has a pool")
}

/// The code that a customer's only grant shows.
fn shown(fresh: &Fresh, customer: &str) -> String {
    let rows = fresh.read(|tx| tx.ledger_rows(TENANT, customer));
    match rows[..] {
        [ref only] => match only.code {
            GivenCode::Own(no) => fresh
                .read(|tx| tx.code_shown(TENANT, "fs20", no))
                .expect("the code is there"),
            other => format!("{other:?}"),
        },
        _ => format!("{} grants", rows.len()),
    }
}

async fn void(fresh: &Fresh, code: &str) -> Result<(), Error> {
    let key = parsed(code).key().to_owned();
    fresh
        .try_tx(move |tx| {
            let found = tx.find_code(TENANT, &key)?.expect("it is loaded");
            tx.void_code(TENANT, &found)
        })
        .await
}

fn violations(fresh: &Fresh) -> Vec<Violation> {
    fresh.read(|tx| {
        let mut found = tx.verify_codes(TENANT)?;
        found.extend(tx.verify_counts(TENANT)?);
        Ok(found)
    })
}

async fn grant_waiting(fresh: &Fresh, reading: &Reading, limit: u32) -> u32 {
    let this = reading.clone();
    fresh
        .tx(move |tx| tx.grant_waiting(&this.job, this.campaign, this.offer, limit, LEASE_MS))
        .await
}

/// Granted, repeated and held for want of a code.
fn counts(fresh: &Fresh, reading: &Reading) -> [i64; 3] {
    ["granted", "repeated", "held:no_free_code"].map(|name| fresh.count(reading.campaign, name))
}

pub(crate) async fn loaded_in_order_without_repeats(fresh: Fresh) {
    pool(&fresh, None, &["a1", "B-2"]).await;
    // Repeats of this load and of an earlier one, in other spellings, take no number.
    assert_eq!(load(&fresh, &["A-1", "c3", "C 3", "d4"]).await, 2);
    let pool = figures(&fresh);
    assert_eq!((pool.loaded, pool.free(), pool.next_code), (4, 4, 1));
    let in_order: Vec<_> = (1..=5)
        .map(|no| fresh.read(|tx| tx.code_shown(TENANT, "fs20", no)))
        .collect();
    let expected = [Some("a1"), Some("B-2"), Some("c3"), Some("d4"), None];
    assert_eq!(in_order, expected.map(|code| code.map(str::to_owned)));
    // Another promotion's pool cannot have them either.
    fresh
        .tx(|tx| {
            let put = Promotion {
                kind: "unique".into(),
                ..promotion("CB10")
            };
            tx.put_promotion(TENANT, &put)?;
            let pool = tx.pool(TENANT, "cb10")?.expect("it has a pool");
            assert_eq!(tx.load_codes(TENANT, &pool, &[parsed("a1")])?, 0);
            // Another tenant can.
            tx.put_promotion(2, &put)?;
            let pool = tx.pool(2, "cb10")?.expect("it has a pool");
            assert_eq!(tx.load_codes(2, &pool, &[parsed("a1")])?, 1);
            Ok(())
        })
        .await;
    assert_eq!(violations(&fresh), []);
}

pub(crate) async fn every_grant_gives_the_next_code(fresh: Fresh) {
    pool(&fresh, None, &["k1", "k2", "k3", "k4"]).await;
    let reading = reading(&fresh, "5101").await;
    reading.merge(&fresh, reading.chunk(&["anna", "bob"])).await;
    reading.merge(&fresh, reading.chunk(&["cleo"])).await;
    let given = ["anna", "bob", "cleo"].map(|customer| shown(&fresh, customer));
    assert_eq!(given, ["k1", "k2", "k3"]);
    let pool = figures(&fresh);
    assert_eq!((pool.assigned, pool.free(), pool.next_code), (3, 1, 4));
    assert_eq!(violations(&fresh), []);
}

pub(crate) async fn void_codes_are_passed_over(fresh: Fresh) {
    pool(&fresh, None, &["k1", "k2", "k3", "k4", "k5"]).await;
    for code in ["k1", "k3", "k5"] {
        void(&fresh, code).await.expect("it is free");
    }
    assert!(void(&fresh, "k3").await.is_err());
    let reading = reading(&fresh, "5101").await;
    reading
        .merge(&fresh, reading.chunk(&["anna", "bob", "cleo"]))
        .await;
    assert_eq!(shown(&fresh, "anna"), "k2");
    assert_eq!(shown(&fresh, "bob"), "k4");
    assert_eq!(counts(&fresh, &reading), [2, 0, 1]);
    let pool = figures(&fresh);
    let all = (pool.loaded, pool.assigned, pool.void, pool.free());
    assert_eq!(all, (5, 2, 3, 0));
    // What somebody has cannot be taken out.
    assert!(void(&fresh, "k2").await.is_err());
    assert_eq!(figures(&fresh), pool);
    assert_eq!(violations(&fresh), []);
}

pub(crate) async fn known_grants_take_no_code(fresh: Fresh) {
    pool(&fresh, None, &["k1", "k2", "k3"]).await;
    let reading = reading(&fresh, "5101").await;
    reading.merge(&fresh, reading.chunk(&["anna", "bob"])).await;
    reading
        .merge(&fresh, reading.chunk(&["anna", "bob", "cleo"]))
        .await;
    assert_eq!(counts(&fresh, &reading), [3, 2, 0]);
    assert_eq!(shown(&fresh, "cleo"), "k3");
    // Nor do they wait for one once there is none.
    reading
        .merge(&fresh, reading.chunk(&["anna", "dora"]))
        .await;
    assert_eq!(counts(&fresh, &reading), [3, 3, 1]);
    assert_eq!(violations(&fresh), []);
}

pub(crate) async fn two_campaigns_share_no_code(fresh: Fresh) {
    let names: Vec<String> = (0..400).map(|n| format!("k{n:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    pool(&fresh, None, &names).await;
    let readings = [reading(&fresh, "5101").await, reading(&fresh, "5102").await];
    let customers: Vec<String> = (0..150).map(|n| format!("c{n:03}")).collect();
    for reading in &readings {
        let this = reading.clone();
        fresh
            .tx(move |tx| tx.begin_merge(&this.job, this.campaign, 1))
            .await;
    }
    let mut tasks = tokio::task::JoinSet::new();
    for reading in &readings {
        let (store, this, customers) = (fresh.store().clone(), reading.clone(), customers.clone());
        tasks.spawn(async move {
            for chunk in customers.chunks(5) {
                let (this, chunk) = (this.clone(), chunk.to_vec());
                let merge = move |tx: &mut bestow_store::Tx<'_>| {
                    let names: Vec<&str> = chunk.iter().map(String::as_str).collect();
                    let chunk = this.chunk(&names);
                    tx.merge_chunk(&this.job, this.campaign, &chunk, LEASE_MS)
                };
                let merged = store.bulk::<bool, Error, _>("merge", merge).await;
                assert!(merged.expect("merged"));
            }
        });
    }
    while let Some(ran) = tasks.join_next().await {
        ran.expect("no task panics");
    }
    let granted = fresh.read(|tx| tx.grants_total());
    assert_eq!(granted, 300);
    let pool = figures(&fresh);
    assert_eq!(pool.assigned, granted);
    assert_eq!(
        fresh.ask("SELECT COUNT(DISTINCT code) FROM grants") as u64,
        granted
    );
    assert_eq!(violations(&fresh), []);
}

pub(crate) async fn without_codes_pairs_wait_and_are_granted_once(fresh: Fresh) {
    pool(&fresh, None, &["k1"]).await;
    let reading = reading(&fresh, "5101").await;
    let mut chunk = reading.chunk(&["anna", "bob", "cleo", "dora"]);
    // Bob and Cleo came twice and three times.
    chunk.beside = vec![(1, 1), (2, 2)];
    chunk.counts = vec![("pairs".into(), 7)];
    reading.merge(&fresh, chunk).await;
    assert_eq!(counts(&fresh, &reading), [1, 0, 6]);
    let waiting = fresh.read(|tx| tx.waiting_offers(TENANT, reading.campaign));
    assert_eq!(waiting, [reading.offer]);
    let campaigns = fresh.read(|tx| tx.campaigns_waiting(TENANT, "fs20"));
    assert_eq!(campaigns, [reading.campaign]);
    assert_eq!(grant_waiting(&fresh, &reading, 10).await, 0);

    load(&fresh, &["k2", "k3"]).await;
    assert_eq!(grant_waiting(&fresh, &reading, 1).await, 1);
    assert_eq!(counts(&fresh, &reading), [2, 1, 4]);
    // One code is left for two who wait.
    assert_eq!(grant_waiting(&fresh, &reading, 10).await, 1);
    assert_eq!(counts(&fresh, &reading), [3, 3, 1]);
    assert_eq!(violations(&fresh), []);
    load(&fresh, &["k4", "k5"]).await;
    assert_eq!(grant_waiting(&fresh, &reading, 10).await, 1);
    assert_eq!(grant_waiting(&fresh, &reading, 10).await, 0);
    assert_eq!(counts(&fresh, &reading), [4, 3, 0]);
    assert!(
        fresh
            .read(|tx| tx.waiting_offers(TENANT, reading.campaign))
            .is_empty()
    );
    assert_eq!(figures(&fresh).free(), 1);
    assert_eq!(violations(&fresh), []);
}

pub(crate) async fn waiting_pairs_count_on(fresh: Fresh) {
    pool(&fresh, None, &[]).await;
    let reading = reading(&fresh, "5101").await;
    reading.merge(&fresh, reading.chunk(&["anna", "bob"])).await;
    // Another channel brings Anna twice more, and Cleo, of whom nobody knew.
    let again = |customers: &[&str]| {
        let mut chunk = reading.chunk(customers);
        chunk.counts = vec![("pairs".into(), 2 * customers.len() as i64)];
        chunk.waits = chunk.grants.drain(..).map(|grant| (grant, 2)).collect();
        chunk
    };
    reading.merge(&fresh, again(&["anna"])).await;
    assert_eq!(counts(&fresh, &reading), [0, 0, 4]);
    let waiting = fresh.read(|tx| tx.waiting(TENANT, reading.offer, "anna"));
    assert_eq!(waiting.expect("it waits").pairs, 3);
    assert_eq!(violations(&fresh), []);
    load(&fresh, &["k1", "k2"]).await;
    assert_eq!(grant_waiting(&fresh, &reading, 10).await, 2);
    assert_eq!(counts(&fresh, &reading), [2, 2, 0]);
    // Who waits no more is granted: what comes for them repeats.
    reading.merge(&fresh, again(&["bob"])).await;
    assert_eq!(counts(&fresh, &reading), [2, 4, 0]);
    assert_eq!(violations(&fresh), []);
}

pub(crate) async fn fallback_is_given_once_the_pool_is_empty(fresh: Fresh) {
    pool(&fresh, Some("WELCOME"), &["k1"]).await;
    let reading = reading(&fresh, "5101").await;
    reading
        .merge(&fresh, reading.chunk(&["anna", "bob", "cleo"]))
        .await;
    assert_eq!(counts(&fresh, &reading), [3, 0, 0]);
    let given = ["anna", "bob", "cleo"].map(|customer| shown(&fresh, customer));
    assert_eq!(given, ["k1", "Fallback", "Fallback"]);
    assert_eq!(figures(&fresh).fallbacks, 2);
    // Once there are codes again, those who come then get one.
    load(&fresh, &["k2"]).await;
    reading.merge(&fresh, reading.chunk(&["dora"])).await;
    assert_eq!(shown(&fresh, "dora"), "k2");
    assert_eq!(violations(&fresh), []);
}

pub(crate) async fn released_pairs_may_wait_for_a_code(fresh: Fresh) {
    let reading = reading(&fresh, "5101").await;
    let no = reading.campaign;
    fresh
        .tx(move |tx| {
            let counts = [("pairs".to_owned(), 4), ("held:unknown_code".to_owned(), 4)];
            tx.add_counts(TENANT, no, &counts)
        })
        .await;
    pool(&fresh, None, &["k1"]).await;
    let release = || {
        let this = reading.clone();
        fresh.tx(move |tx| {
            let chunk = this.chunk(&["anna", "bob", "cleo"]);
            let held = "held:unknown_code";
            tx.release_chunk(&this.job, this.campaign, &chunk, &[0, 1, 0], held, LEASE_MS)
        })
    };
    assert_eq!(release().await, 1);
    assert_eq!(counts(&fresh, &reading), [1, 0, 3]);
    assert_eq!(fresh.count(no, "held:unknown_code"), 0);
    // Run again with a code at hand, it takes nothing from those who wait.
    load(&fresh, &["k2"]).await;
    assert_eq!(release().await, 0);
    assert_eq!(counts(&fresh, &reading), [1, 0, 3]);
    assert_eq!(violations(&fresh), []);
}

pub(crate) async fn code_is_found_by_its_key(fresh: Fresh) {
    pool(&fresh, None, &["Gift-1", "Gift-2", "Gift-3"]).await;
    let reading = reading(&fresh, "5101").await;
    reading.merge(&fresh, reading.chunk(&["Anna"])).await;
    void(&fresh, "gift3").await.expect("it is free");
    let state = |code: &str| {
        let key = parsed(code).key().to_owned();
        fresh
            .read(|tx| tx.find_code(TENANT, &key))
            .map(|found| (found.code, found.code_fold, found.state))
    };
    let assigned = CodeState::Assigned {
        customer: "Anna".into(),
        offer: reading.offer,
        occurrence: String::new(),
    };
    let found = |code: &str, state| Some((code.to_owned(), "fs20".to_owned(), state));
    assert_eq!(state("GIFT1"), found("Gift-1", assigned));
    assert_eq!(state("gift 2"), found("Gift-2", CodeState::Free));
    assert_eq!(state("gift_3"), found("Gift-3", CodeState::Void));
    assert_eq!(state("gift4"), None);
    assert_eq!(fresh.read(|tx| tx.find_code(2, "GIFT1")), None);
}

pub(crate) async fn pools_are_low_by_share(fresh: Fresh) {
    let names: Vec<String> = (0..10).map(|n| format!("k{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    pool(&fresh, None, &names).await;
    let reading = reading(&fresh, "5101").await;
    let low = || fresh.read(|tx| tx.pools_at_most(TENANT, 20)).len();
    let seven = ["a", "b", "c", "d", "e", "f", "g"];
    reading.merge(&fresh, reading.chunk(&seven)).await;
    assert_eq!(low(), 0);
    reading.merge(&fresh, reading.chunk(&["h"])).await;
    assert_eq!(low(), 1);
    let no = figures(&fresh).no;
    fresh.tx(move |tx| tx.set_pool_warned(TENANT, no, 0)).await;
    assert_eq!(low(), 0);
}

pub(crate) async fn codes_and_grants_must_agree(fresh: Fresh) {
    pool(&fresh, None, &["k1", "k2", "k3"]).await;
    let reading = reading(&fresh, "5101").await;
    reading.merge(&fresh, reading.chunk(&["anna", "bob"])).await;
    let rules = || {
        let found = violations(&fresh);
        found.iter().map(|one| one.rule).collect::<Vec<_>>()
    };
    assert_eq!(rules(), [""; 0]);
    for (damage, mended, expected) in [
        (
            "UPDATE grants SET code = 1 WHERE customer = 'bob'",
            "UPDATE grants SET code = 2 WHERE customer = 'bob'",
            &["code_has_grant", "grant_has_code"][..],
        ),
        (
            "UPDATE grants SET code = 0 WHERE customer = 'bob'",
            "UPDATE grants SET code = 2 WHERE customer = 'bob'",
            &["code_has_grant", "grant_has_code"],
        ),
        (
            "UPDATE code_pool SET assigned = 3",
            "UPDATE code_pool SET assigned = 2",
            &["codes_add_up"],
        ),
        (
            "UPDATE code_pool SET next_code = 4",
            "UPDATE code_pool SET next_code = 3",
            &["codes_add_up"],
        ),
        (
            "INSERT INTO waiting_pair SELECT tenant, offer, customer, window_no, page, 1 FROM grants LIMIT 1",
            "DELETE FROM waiting_pair",
            &["waiting_is_not_granted", "held_for_code_waits"],
        ),
    ] {
        fresh.plant(damage);
        assert_eq!(rules(), expected, "{damage}");
        fresh.plant(mended);
    }
    assert_eq!(rules(), [""; 0]);
}
