//! Customers who may get nothing now.

use crate::support::{Fresh, NOW_MS, TENANT};

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|&id| id.to_owned()).collect()
}

pub(crate) async fn exact_and_per_tenant(fresh: Fresh) {
    fresh
        .tx(|tx| {
            assert_eq!(tx.exclude(TENANT, &ids(&["a", "b"]), "first", "op")?, 2);
            assert_eq!(tx.exclude(TENANT, &ids(&["b", "c"]), "second", "op")?, 1);
            assert!(tx.is_excluded(TENANT, "b")?);
            assert!(!tx.is_excluded(TENANT, "B")?);
            assert!(!tx.is_excluded(TENANT + 1, "b")?);
            let behind = tx.exclusions(TENANT, "a", 10)?;
            let shown: Vec<_> = behind
                .iter()
                .map(|one| (&*one.customer, &*one.reason, one.created_at))
                .collect();
            assert_eq!(shown, [("b", "first", NOW_MS), ("c", "second", NOW_MS)]);
            assert_eq!(tx.include(TENANT + 1, &ids(&["b"]))?, 0);
            assert_eq!(tx.include(TENANT, &ids(&["b", "b", "x"]))?, 1);
            assert!(!tx.is_excluded(TENANT, "b")?);
            Ok(())
        })
        .await;
}
