//! Customers who may get nothing now.

use crate::support::{Fresh, NOW_MS, TENANT};

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|&id| id.to_owned()).collect()
}

pub(crate) async fn exact_and_per_tenant(fresh: Fresh) {
    fresh
        .tx(|tx| {
            assert_eq!(tx.exclude(TENANT, &ids(&["a", "b"]), "", "first", "op")?, 2);
            assert_eq!(
                tx.exclude(TENANT, &ids(&["b", "c"]), "", "second", "op")?,
                1
            );
            assert!(tx.is_excluded(TENANT, "b")?);
            assert!(!tx.is_excluded(TENANT, "B")?);
            assert!(!tx.is_excluded(TENANT + 1, "b")?);
            let behind = tx.exclusions(TENANT, ("a", ""), 10)?;
            let shown: Vec<_> = behind
                .iter()
                .map(|one| (&*one.customer, &*one.reason, one.created_at))
                .collect();
            assert_eq!(shown, [("b", "first", NOW_MS), ("c", "second", NOW_MS)]);
            assert_eq!(tx.include(TENANT + 1, &ids(&["b"]), "")?, 0);
            assert_eq!(tx.include(TENANT, &ids(&["b", "b", "x"]), "")?, 1);
            assert!(!tx.is_excluded(TENANT, "b")?);
            Ok(())
        })
        .await;
}

pub(crate) async fn from_one_promotion_or_from_all(fresh: Fresh) {
    fresh
        .tx(|tx| {
            let customers = ids(&["a", "b"]);
            assert_eq!(tx.exclude(TENANT, &customers, "fs20", "first", "op")?, 2);
            assert_eq!(tx.exclude(TENANT, &customers[1..], "", "second", "op")?, 1);
            assert_eq!(tx.excluded_from(TENANT, "a")?, ["fs20"]);
            assert_eq!(tx.excluded_from(TENANT, "b")?, ["", "fs20"]);
            assert!(!tx.is_excluded(TENANT, "a")? && tx.is_excluded(TENANT, "b")?);
            assert_eq!(tx.excluded_from(2, "a")?, Vec::<String>::new());
            let behind = tx.exclusions(TENANT, ("b", ""), 10)?;
            assert_eq!((behind.len(), &*behind[0].code_fold), (1, "fs20"));
            let of_one = tx.exclusions_of(TENANT, "b")?;
            let reasons: Vec<_> = of_one.iter().map(|one| &*one.reason).collect();
            assert_eq!(reasons, ["second", "first"]);
            assert_eq!(tx.exclusions_of(2, "b")?, []);
            // More than are asked about at once, most of whom nobody has heard of.
            let many: Vec<String> = (0..100).map(|n| format!("x{n}")).collect();
            let mut asked: Vec<&str> = many.iter().map(String::as_str).collect();
            asked.extend(["b", "a"]);
            let mut among = tx.excluded_among(TENANT, &asked)?;
            among.sort_unstable();
            let pair = |customer: &str, code: &str| (customer.to_owned(), code.to_owned());
            assert_eq!(among, [pair("a", "fs20"), pair("b", ""), pair("b", "fs20")]);
            assert_eq!(tx.excluded_among(TENANT, &[])?, []);
            assert_eq!(tx.include(TENANT, &customers, "fs20")?, 2);
            assert_eq!(tx.excluded_from(TENANT, "b")?, [""]);
            Ok(())
        })
        .await;
}
