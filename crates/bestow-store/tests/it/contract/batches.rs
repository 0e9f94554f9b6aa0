//! Codes that a request asks for: as many as it wants, however often it comes.

use bestow_core::UniqueCode;
use bestow_store::codes::{BatchState, CodeBatch, Pool};
use bestow_store::promotions::Promotion;

use crate::contract::catalogue::promotion;
use crate::support::{Fresh, TENANT};

fn batch(pool: i64, actor: &str, key: &str) -> CodeBatch {
    CodeBatch {
        pool,
        actor: actor.into(),
        key: key.into(),
    }
}

/// A promotion of unique codes with its pool.
async fn pool(fresh: &Fresh) -> Pool {
    fresh
        .tx(|tx| {
            let put = Promotion {
                kind: "unique".into(),
                ..promotion("FS20")
            };
            tx.put_promotion(TENANT, &put)
        })
        .await;
    fresh
        .read(|tx| tx.pool(TENANT, "fs20"))
        .expect("it has a pool")
}

/// Offers these codes to a batch: how many were taken, and how far it is.
async fn offer(fresh: &Fresh, pool: &Pool, batch: &CodeBatch, codes: &[&str]) -> (u64, u64) {
    let (pool, batch) = (pool.clone(), batch.clone());
    let codes: Vec<_> = codes
        .iter()
        .map(|code| UniqueCode::parse(code).expect("a code"))
        .collect();
    let (added, state) = fresh
        .tx(move |tx| tx.load_batch(TENANT, &pool, &batch, &codes))
        .await;
    (added, state.made)
}

pub(crate) async fn made_once_however_often_asked(fresh: Fresh) {
    let pool = pool(&fresh).await;
    let first = batch(pool.no, "cli", "spring");
    let begin = |batch: &CodeBatch, wanted| {
        let batch = batch.clone();
        fresh.tx(move |tx| tx.begin_batch(TENANT, &batch, wanted))
    };
    let state = |wanted, made| BatchState { wanted, made };
    assert_eq!(begin(&first, 3).await, state(3, 0));
    assert_eq!(offer(&fresh, &pool, &first, &["A", "B"]).await, (2, 2));
    // What is there already counts for nothing, and what is too much is left.
    assert_eq!(offer(&fresh, &pool, &first, &["B"]).await, (0, 2));
    assert_eq!(offer(&fresh, &pool, &first, &["C", "D", "E"]).await, (1, 3));
    assert_eq!(offer(&fresh, &pool, &first, &["F"]).await, (0, 3));
    assert_eq!(begin(&first, 5).await, state(3, 3));
    assert_eq!(state(3, 3).missing(), 0);
    // The same key of somebody else is another batch.
    let other = batch(pool.no, "admin-token", "spring");
    assert_eq!(begin(&other, 1).await, state(1, 0));
    assert_eq!(offer(&fresh, &pool, &other, &["G", "H"]).await, (1, 1));
    let loaded = fresh
        .read(|tx| tx.pool(TENANT, "fs20"))
        .map(|pool| pool.loaded);
    assert_eq!(loaded, Some(4));
    assert_eq!(fresh.read(|tx| tx.verify_codes(TENANT)), []);
}
