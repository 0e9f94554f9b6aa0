use bestow::service::verify;
use bestow_store::values;
use serde_json::json;

use crate::support::World;

/// A campaign with everything that is held, refused or repeated.
async fn mixed(world: &World) -> u64 {
    let actions = json!([
        {"id": 24, "promo_codes": ["FS20", "CB10"],
         "channels": [{"id": 504}, {"id": 505, "share": 0.5}]},
        {"id": 25, "promo_codes": ["UNKNOWN"], "channels": [{"id": 504}]},
        {"id": 65, "promo_codes": [], "channels": [{"id": 504}]},
    ]);
    let over = json!({"actions": actions, "control_share": 0.1});
    world.run(60, &over).await
}

#[tokio::test]
async fn what_the_import_made_is_right_whatever_the_rows() {
    let world = World::connected().await;
    let campaign = mixed(&world).await;
    world.assert_verified();
    assert!(world.counts(campaign)["held:unknown_code"] > 0);

    let customers = json!([
        {"id": "abc"}, {"id": "ABC"}, {"id": "ABC", "promo_code": "CB10"},
        {"id": "007"}, {"id": "7"},
        {"id": "twice"}, {"id": "twice", "schedule_time": "2027-03-27T10:00:00Z"},
        {"id": "many", "promo_code": "A,B,C,D,E,F,G"},
        {"id": "none", "promo_code": ""},
        {"id": " "},
    ]);
    let actions =
        json!([{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504}, {"id": 505}]}]);
    let over = json!({"audience": {"customers": customers}, "actions": actions});
    let campaign = world.run(0, &over).await;
    world.assert_verified();
    let counts = world.counts(campaign);
    assert!(counts["held:near_equal_customer_id"] > 0, "{counts:?}");
    assert!(counts["held:too_many_codes"] > 0, "{counts:?}");
    // Released later, it is still right.
    for code in ["A", "B", "UNKNOWN"] {
        world.put_promotion(code, "active").await;
    }
    world.settle().await;
    world.assert_verified();
}

/// A rule, and what has to be done to the database to break it.
const DAMAGES: [(&str, &[&str]); 8] = [
    ("granted_is_in_ledger", &[TAKE_ONE]),
    ("grant_missing", &[TAKE_ONE]),
    (
        "grant_has_row",
        &[
            "-- damage
            INSERT INTO grants (tenant, customer, offer, occurrence, window_no, page)
            SELECT tenant, 'nobody', offer, '', window_no, page FROM grants LIMIT 1",
            "-- damage
            UPDATE campaign_count SET n = n + 1 WHERE counter = 'granted'",
        ],
    ),
    (
        // A window of its own for one grant: one that many share would be moved for its rows too.
        "window_spans_rows",
        &[
            "-- damage
            INSERT INTO eligibility_window
                (tenant, no, campaign, starts_at, ends_at, action, channel)
            SELECT tenant, 9999, campaign, starts_at, ends_at - 1, action, channel
            FROM eligibility_window LIMIT 1",
            "-- damage
            UPDATE grants SET window_no = 9999 WHERE customer = (SELECT MIN(customer) FROM grants)",
        ],
    ),
    (
        "grant_refers",
        &[
            "-- damage
            UPDATE grants SET window_no = 9999 WHERE customer = (SELECT MIN(customer) FROM grants)",
        ],
    ),
    (
        "counts_add_up",
        &["-- damage
            UPDATE campaign_count SET n = n + 1 WHERE counter = 'repeated'"],
    ),
    (
        "recount_agrees",
        &["-- damage
            UPDATE campaign_count SET n = n + 1 WHERE counter = 'rows'"],
    ),
    (
        "audit_has_no_gap",
        &["-- damage
            DELETE FROM audit WHERE seq = 2"],
    ),
];
const TAKE_ONE: &str = "-- damage
    DELETE FROM grants WHERE customer = (SELECT MIN(customer) FROM grants)";

#[tokio::test]
async fn every_kind_of_damage_is_found() {
    for (rule, statements) in DAMAGES {
        let world = World::connected().await;
        mixed(&world).await;
        world.assert_verified();
        for sql in statements {
            let changed = world
                .app
                .tx("damage", move |tx| tx.execute(sql, values![]))
                .await;
            assert!(changed.unwrap() > 0, "{sql}");
        }
        let rules = rules(&world);
        assert!(rules.contains(&rule), "{rule} is not among {rules:?}");
    }
}

/// The rules that verify finds broken.
fn rules(world: &World) -> Vec<&'static str> {
    let found = verify::run(&world.app).expect("it can be verified");
    found.iter().map(|finding| finding.violation.rule).collect()
}

#[tokio::test]
async fn a_campaign_in_the_middle_of_its_merge_is_left_to_a_later_run() {
    let world = World::connected().await;
    mixed(&world).await;
    let changed = world.app.tx("test", |tx| {
        tx.execute(
            "-- test
            DELETE FROM grants WHERE customer = (SELECT MIN(customer) FROM grants)",
            values![],
        )?;
        tx.execute(
            "-- test
            UPDATE campaign SET merge_to = merged_through",
            values![],
        )
    });
    assert_eq!(changed.await.unwrap(), 1);
    let rules = rules(&world);
    assert!(!rules.contains(&"grant_missing"), "{rules:?}");
}

#[tokio::test]
async fn a_large_campaign_is_verified_in_stretches() {
    let world = World::connected().await;
    world.run(3_000, &json!({"control_share": 0.0})).await;
    let tenant = world.app.tenant("acme").expect("the tenant").no();
    let store = &world.app.store;
    let ends = store
        .peek(|tx| {
            let campaign = tx.campaigns(tenant, 0, 1)?.remove(0);
            tx.stretches(tenant, campaign.no, campaign.merged_through, 4)
        })
        .expect("they can be read");
    assert!(!ends.is_empty() && ends.is_sorted(), "{ends:?}");
    world.assert_verified();

    // One on each side of where the first stretch ends, and the one that it ends with.
    let end = ends[0].clone();
    let taken: Vec<String> = store
        .tx("damage", move |tx| {
            let mut taken = vec![end.to_uppercase()];
            for sql in [
                "-- before
                SELECT MIN(customer) FROM grants",
                "-- behind
                SELECT MAX(customer) FROM grants",
            ] {
                taken.extend(tx.query_one(sql, values![], |row| row.text(0))?);
            }
            for customer in &taken {
                tx.execute(
                    "-- damage
                    DELETE FROM grants WHERE customer = $1",
                    values![customer],
                )?;
            }
            Ok::<_, bestow_store::Error>(taken)
        })
        .await
        .expect("it can be damaged");
    let found = verify::run(&world.app).expect("it can be verified");
    let mut missing: Vec<_> = found
        .iter()
        .filter(|one| one.violation.rule == "grant_missing")
        .map(|one| one.violation.object.clone())
        .collect();
    missing.sort();
    let mut expected: Vec<_> = taken.iter().map(|id| format!("customer {id}")).collect();
    expected.sort();
    assert_eq!(missing, expected);
}
