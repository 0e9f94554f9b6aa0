//! A government moves its clocks, and a program with newer zone data is started.

use bestow_core::ZONE_DATA;
use bestow_store::windows::MovedWindow;
use serde_json::{Value, json};

use crate::support::World;

const HOUR_MS: i64 = 3_600_000;

/// Makes the ledger what a program with older zone data would have made of it: every window of the campaign, none of
/// which has started, an hour early.
async fn as_by_older_data(world: &World, campaign: u64) {
    let app = &world.app;
    let tenant = app.tenant("acme").expect("it is there").no();
    app.tx("older_zone_data", move |tx| {
        let known = tx.campaign(tenant, &campaign.to_string())?;
        let no = known.expect("it is there").no;
        let earlier: Vec<_> = tx
            .windows(tenant, no)?
            .into_iter()
            .map(|(no, spec)| MovedWindow {
                no,
                starts_at: spec.starts_at - HOUR_MS,
                ends_at: spec.ends_at.map(|end| end - HOUR_MS),
            })
            .collect();
        assert_eq!(tx.move_windows(tenant, no, &earlier)?, earlier.len());
        tx.set_zone_data(tenant, "2020a")
    })
    .await
    .expect("it is written");
    app.facts_changed();
    app.directory_changed().expect("it is read");
}

fn zone_data(world: &World) -> String {
    let tenant = world.app.tenant("acme").expect("it is there");
    tenant.row.zone_data.clone()
}

async fn recorded(world: &World, action: &str) -> Vec<Value> {
    let all = world.rows("/v1/tenants/acme/audit").await;
    all.into_iter()
        .filter(|entry| entry["action"] == action)
        .collect()
}

#[tokio::test]
async fn windows_to_come_are_reckoned_again_and_those_that_started_stay() {
    let world = World::with(|config| config.optimove.page_rows = 5).await;
    world
        .connect(&json!({ "time_zone": "Europe/Lisbon" }))
        .await;
    let over =
        |lead: i64| json!({"scheduled_at": "2027-03-27T09:00", "lead_time": lead, "duration": 7});
    let started = world.run(7, &over(2)).await;
    let to_come = world.run(12, &over(5)).await;
    let (right, as_started) = (world.oracle(to_come), world.oracle(started));
    assert_eq!(world.ledger(to_come).await, right);
    as_by_older_data(&world, started).await;
    as_by_older_data(&world, to_come).await;
    let before = world.ledger(started).await;
    assert_ne!(before, as_started);
    assert_ne!(world.ledger(to_come).await, right);
    // One of them starts; then the newer program does.
    let starts_at = before.values().next().expect("a grant").0;
    world.app.clock.set(bestow::clock::instant(starts_at));
    world.work().await;
    assert_eq!(zone_data(&world), ZONE_DATA);
    assert_eq!(world.ledger(to_come).await, right);
    assert_eq!(
        world.ledger(started).await,
        before,
        "what has started stays"
    );
    let alone = right
        .iter()
        .filter(|(grant, _)| !before.contains_key(*grant));
    for ((customer, code), (start, end)) in alone {
        let end = end.expect("it ends");
        for (at, expected) in [
            (start - 1, false),
            (*start, true),
            (end - 1, true),
            (end, false),
        ] {
            world.app.clock.set(bestow::clock::instant(at));
            let is_open = super::is_eligible(&world, customer, code).await;
            assert_eq!(is_open, expected, "at {at}, {start} to {end}");
        }
    }
    let moved = recorded(&world, "campaign.windows_moved").await;
    assert_eq!(moved.len(), 1, "{moved:?}");
    assert_eq!(moved[0]["object"], format!("campaign/{to_come}"));
    let adopted = recorded(&world, "tenant.zone_data_adopted").await;
    assert_eq!(adopted.len(), 1, "{adopted:?}");
    world.assert_verified();
    world.work().await;
    assert_eq!(recorded(&world, "tenant.zone_data_adopted").await.len(), 1);
}
