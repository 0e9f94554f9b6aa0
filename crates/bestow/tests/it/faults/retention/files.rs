//! The files of archives: nothing leaves unless they are whole.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bestow::service::verify;
use bestow_store::Fault;
use serde_json::json;

use super::{LATER, archive, archives, folder, has_rows, in_ledger, kept_for_a_month};
use crate::support::World;

#[tokio::test]
async fn files_that_are_not_as_they_were_written_keep_the_grants_here() {
    for cut in [0, 100] {
        let world = kept_for_a_month(&json!({})).await;
        let campaign = world.run(40, &json!({"lead_time": 0})).await;
        world.travel(LATER).await;
        // Stopped when the files are there and nothing is dropped.
        let stops = Arc::new(AtomicBool::new(true));
        let is_stopped = Arc::clone(&stops);
        world.app.store.fail_commits(move |name| {
            let is_hit = name == "drop_grants" && is_stopped.load(Ordering::Relaxed);
            is_hit.then_some(Fault::BeforeCommit)
        });
        archive(&world).await;
        let written = archives(&world).await.remove(0);
        assert_eq!(
            (&written["state"], &written["dropped"]),
            (&json!("dropping"), &json!(0))
        );
        let file = folder(&world, &written).join("grants.parquet");
        let whole = std::fs::read(&file).expect("the file");
        let mut broken = whole.clone();
        match cut {
            0 => broken[whole.len() / 3] ^= 1,
            cut => broken.truncate(whole.len() - cut),
        }
        std::fs::write(&file, &broken).expect("written");
        stops.store(false, Ordering::Relaxed);
        archive(&world).await;
        assert_eq!(in_ledger(&world), 40);
        assert!(has_rows(&world, campaign));
        let rules = |world: &World| -> BTreeSet<&str> {
            let found = verify::run(&world.app).expect("verified");
            found.iter().map(|one| one.violation.rule).collect()
        };
        assert_eq!(rules(&world), BTreeSet::from(["archive_is_whole"]));

        std::fs::write(&file, &whole).expect("written");
        archive(&world).await;
        assert_eq!(in_ledger(&world), 0);
        world.assert_verified();
        std::fs::remove_file(&file).expect("removed");
        assert_eq!(rules(&world), BTreeSet::from(["archive_is_whole"]));
    }
}

#[tokio::test]
async fn a_disk_that_fails_keeps_everything_here() {
    let world = kept_for_a_month(&json!({})).await;
    world.run(30, &json!({"lead_time": 0})).await;
    world.travel(LATER).await;
    let folder = world.app.config.archive_dir();
    std::fs::write(&folder, "in the way").expect("written");
    archive(&world).await;
    assert_eq!(archives(&world).await[0]["state"], "writing");
    assert_eq!(in_ledger(&world), 30);
    world.assert_verified();
    std::fs::remove_file(&folder).expect("removed");
    archive(&world).await;
    assert_eq!(in_ledger(&world), 0);
    world.assert_verified();
}
