//! Tables in pieces: who asks twice, for another number of pieces, or for an engine that is not there.

use bestow_store::Error;
use bestow_store::spread::{Engine, Spread};

use crate::support::{SHARDS, TENANT, postgres, reading, sqlite};

fn pieces(count: u16) -> Spread {
    Spread::new(Engine::Partitions, count).expect("so many may be")
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_move_into_the_pieces_while_others_have_the_store() {
    let fresh = postgres();
    let reading_one = reading(&fresh, "1").await;
    let page = reading_one.page(0, &["a", "b", "c", "d", "e", "f", "g", "h"]);
    reading_one.land(&fresh, &page).await;
    let chunk = reading_one.chunk(&["a", "b", "c", "d", "e", "f", "g", "h"]);
    reading_one.merge(&fresh, chunk).await;
    // Statements that are prepared already find the new tables.
    let spread = fresh.store().spread(pieces(SHARDS)).expect("it is spread");
    assert!(spread > 20, "only {spread} tables");
    let held = || fresh.read(|tx| tx.ledger_rows(TENANT, "d")).len();
    assert_eq!(
        (held(), fresh.count(reading_one.campaign, "granted")),
        (1, 8)
    );
    let used = fresh.ask("SELECT COUNT(DISTINCT tableoid) FROM grants");
    assert!(used > 1, "all rows are in one piece");
    let next = reading_one.page(8, &["i"]);
    reading_one.land(&fresh, &next).await.expect("it lands");
    assert_eq!(
        fresh
            .store()
            .spread(pieces(SHARDS))
            .expect("nothing is left"),
        0
    );
}

#[test]
fn what_cannot_be_spread_is_refused() {
    let fresh = postgres();
    for engine in [Engine::Citus, Engine::Yugabyte, Engine::Cockroach] {
        let other = Spread::new(engine, 4).expect("so many may be");
        match fresh.store().spread(other) {
            Err(Error::CannotSpread(why)) => assert!(why.contains(engine.name()), "{why}"),
            spread => panic!("{spread:?}"),
        }
    }
    fresh.store().spread(pieces(2)).expect("it is spread");
    match fresh.store().spread(pieces(3)) {
        Err(Error::CannotSpread(why)) => assert!(why.contains("partitions 2"), "{why}"),
        spread => panic!("{spread:?}"),
    }
    let file = sqlite();
    assert!(matches!(
        file.store().spread(pieces(2)),
        Err(Error::CannotSpread(_))
    ));
}
