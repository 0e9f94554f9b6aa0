//! Where a campaign stands that ends by Optimove's daily lists: it is over once they have ended all of it.

use http::Method;
use serde_json::{Value, json};

use super::{switch, view};
use crate::scripted::Scripted;
use crate::support::World;

const LIST: &str = "GetCustomersActionEndedByDate";

async fn status(world: &World, campaign: u64) -> Value {
    view(world, campaign).await["status"].clone()
}

/// Rows of a day's list that end the grants of `customers`.
fn rows(day: &str, customers: std::ops::RangeInclusive<u32>) -> Vec<Value> {
    let row = |n| {
        json!({
            "CustomerID": format!("P-{n}"), "ActionID": 24, "ChannelID": 504, "Date": "2027-03-25",
            "Duration": 7, "@": day,
        })
    };
    customers.map(row).collect()
}

/// Deletes the tenant; the code of the answer where that is refused.
async fn delete(world: &World) -> Option<String> {
    let answer = world
        .api
        .json(Method::DELETE, "/v1/tenants/acme", &Value::Null);
    let (status, body) = answer.await.expect("an answer");
    (!status.is_success()).then(|| body["code"].as_str().expect("a code").to_owned())
}

#[tokio::test]
async fn ended_in_part_it_runs_and_ended_whole_it_is_over() {
    for rule in ["ended_by_date", "both"] {
        let world = World::with(|config| config.optimove.page_rows = 10).await;
        world.connect(&json!({ "expiry": rule })).await;
        let campaign = world.run(25, &json!({})).await;
        let optimove = Scripted::instead(&world).await;
        let whole = [rows("2027-03-30", 1..=20), rows("2027-03-31", 18..=25)].concat();
        optimove.list(LIST, whole);
        optimove.list("GetExecutedCampaignsByChannel", Vec::new());
        world.travel("2027-03-30T07:30:00Z").await;
        world.settle().await;
        assert_eq!(status(&world, campaign).await, "running", "{rule}");
        assert_eq!(delete(&world).await.as_deref(), Some("grants_live"));
        world.travel("2027-03-31T07:30:00Z").await;
        world.settle().await;
        assert_eq!(status(&world, campaign).await, "ended", "{rule}");
        // Read again, it ends nothing twice.
        world.travel("2027-03-31T23:30:00Z").await;
        world.settle().await;
        assert_eq!(status(&world, campaign).await, "ended", "{rule}");
        world.assert_verified();
        assert_eq!(delete(&world).await, None, "nothing of it runs any more");
    }
}

#[tokio::test]
async fn sent_to_nobody_it_is_over_a_day_after_its_last_deadline() {
    let world = World::start().await;
    world
        .connect(&json!({ "expiry": "ended_by_date", "conditional": true }))
        .await;
    let spec = json!({
        "kind": "conditional", "lead_time": 0,
        "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504}]}],
    });
    let campaign = world.plan(20, &spec);
    world.sandbox.hold(campaign, 3_600).expect("it is held");
    world.delivered().await;
    world.work().await;
    assert_eq!(status(&world, campaign).await, "awaiting_clearance");
    // They are approved, and Optimove sends to nobody: no list ever ends their grants.
    switch(
        &world,
        &json!({"notify-drop": 100, "fault-percent": 100, "fault-kind": "status-500",
                "fault-functions": ["GetExecutedCampaignsByChannel"]}),
    );
    let deadline = world.app.clock.now_ms() + 3_600_000;
    let at = |ms: i64| bestow::clock::instant(ms).to_string();
    for (ms, expected) in [(86_399_000, "running"), (86_400_000, "ended")] {
        world.travel(&at(deadline + ms)).await;
        world.work().await;
        assert_eq!(status(&world, campaign).await, expected);
    }
    assert_eq!(world.ledger(campaign).await.len(), 20);
    world.assert_verified();
    assert_eq!(delete(&world).await, None, "nobody can use it any more");
}

#[tokio::test]
async fn a_customer_who_comes_late_opens_it_again() {
    let world = World::with(|config| config.optimove.page_rows = 10).await;
    world.connect(&json!({ "expiry": "ended_by_date" })).await;
    let campaign = world.run(25, &json!({})).await;
    let optimove = Scripted::instead(&world).await;
    optimove.list(LIST, rows("2027-03-31", 1..=25));
    optimove.list("GetExecutedCampaignsByChannel", Vec::new());
    world.travel("2027-03-31T07:30:00Z").await;
    world.settle().await;
    assert_eq!(status(&world, campaign).await, "ended");
    // Another channel went out late, to one more.
    let details = json!({"Duration": 7, "LeadTime": 0, "Status": "Successful"});
    optimove.answer("GetCampaignDetails", 200, &details);
    let late = json!({"CustomerID": "P-26", "ActionID": 24, "ChannelID": 506, "PromoCode": "FS20",
        "ScheduledTime": "2027-03-31 07:00:00"});
    optimove.list("GetCustomerExecutionDetailsByCampaign", vec![late]);
    let event = json!({"EventTypeID": 13, "CampaignID": campaign, "ChannelID": 506});
    world.post(&super::listener(&world, 13), &event).await;
    world.settle().await;
    assert_eq!(world.ledger(campaign).await.len(), 26);
    assert_eq!(status(&world, campaign).await, "running");
    world.assert_verified();
}
