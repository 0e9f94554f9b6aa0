//! Transactions: all or nothing, durable, and read as one moment.

use bestow_store::{Connections, Error, Migrate, Options, Store};

use crate::support::{Fresh, TENANT};

pub(crate) async fn error_undoes_its_writes(fresh: Fresh) {
    let refused: Result<(), _> = fresh
        .try_tx(|tx| {
            tx.see_campaign(TENANT, "5101", "scheduled", "sweep")?;
            tx.want_import(TENANT, 1, 0)?;
            Err(Error::LeaseLost)
        })
        .await;
    assert!(matches!(refused, Err(Error::LeaseLost)));
    assert_eq!(fresh.read(|tx| tx.campaign(TENANT, "5101")), None);
    assert!(fresh.read(|tx| tx.imports(TENANT, 1)).is_empty());
}

pub(crate) async fn reads_see_one_snapshot(fresh: Fresh) {
    let store = fresh.store().clone();
    let (first, second) = fresh.read(|tx| {
        let first = tx.campaigns(TENANT, 0, 10)?.len();
        // Another writer commits in the middle of this read, and is done before it goes on.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .expect("runs");
                runtime
                    .block_on(store.tx::<_, Error, _>("see", |tx| {
                        tx.see_campaign(TENANT, "5101", "scheduled", "sweep")
                    }))
                    .expect("committed");
            });
        });
        Ok((first, tx.campaigns(TENANT, 0, 10)?.len()))
    });
    assert_eq!((first, second), (0, 0));
    assert_eq!(fresh.read(|tx| tx.campaigns(TENANT, 0, 10)).len(), 1);
}

pub(crate) async fn change_mark_moves_with_commits(fresh: Fresh) {
    let mark = || fresh.store().change_mark().expect("a mark");
    for round in 0..3 {
        let before = mark();
        let object = round.to_string();
        fresh
            .tx(move |tx| tx.find(TENANT, "kind", &object, ""))
            .await;
        assert_ne!(mark(), before);
    }
}

pub(crate) async fn committed_is_there_after_reopening(fresh: Fresh) {
    fresh
        .tx(|tx| tx.find(TENANT, "kind", "object", "kept"))
        .await;
    let options = Options {
        clock: fresh.db.clock.clock(),
        migrate: Migrate::Refuse,
        connections: Connections::default(),
    };
    let again = Store::open(&fresh.db.url(), &options).expect("opens");
    let found = again
        .read::<_, Error>(|tx| tx.findings(TENANT))
        .expect("read");
    assert_eq!(found[0].detail, "kept");
}
