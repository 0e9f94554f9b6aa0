//! Optimove's list of cancelled customers beside ours, compared again: what differed once may agree later.

use http::Method;
use serde_json::{Value, json};

use super::{inbox, listener, paged, view};
use crate::scripted::Scripted;
use crate::support::{World, text};

const LIST: &str = "GetCanceledCampaignCustomers";
const CUSTOMERS: &str = "GetCustomerExecutionDetailsByCampaign";
const DIFFERS: &str = "cancelled_list_differs";

fn rows(count: u32) -> Vec<Value> {
    let row = |n| {
        json!({"CustomerID": format!("P-{n}"), "ActionID": 24, "ChannelID": 504, "PromoCode": "FS20",
            "ScheduledTime": "2027-03-25 06:00:00"})
    };
    (1..=count).map(row).collect()
}

/// A campaign whose cancel is heard of first, and which Optimove confirms by a list of so many customers.
async fn cancelled(world: &World, listed: u32) -> (u64, Scripted) {
    let campaign = world.plan(0, &json!({}));
    let optimove = Scripted::instead(world).await;
    optimove.list(LIST, rows(listed));
    let details = json!({"Duration": 7, "LeadTime": 0, "Status": "Cancelled"});
    optimove.answer("GetCampaignDetails", 200, &details);
    let event = json!({"EventTypeID": 4, "CampaignID": campaign});
    world.post(&listener(world, 4), &event).await;
    world.settle().await;
    (campaign, optimove)
}

/// The campaign turns out to have been executed, to these customers.
async fn executed(world: &World, campaign: u64, optimove: &Scripted, count: u32) {
    optimove.list(CUSTOMERS, rows(count));
    let event = json!({"EventTypeID": 13, "CampaignID": campaign, "ChannelID": 504});
    world.post(&listener(world, 13), &event).await;
    world.settle().await;
    assert_eq!(world.ledger(campaign).await.len(), count as usize);
}

/// A person has the notice worked again.
async fn replay(world: &World) {
    let inbox = inbox(world).await;
    let told = inbox.iter().find(|one| one["event_type"] == 4);
    let id = text(told.expect("it was kept"), "id");
    let path = format!("/v1/tenants/acme/notifications/{id}/replay");
    world.post(&path, &Value::Null).await;
    world.settle().await;
}

async fn compared(world: &World, campaign: u64) -> [Value; 3] {
    let told = &view(world, campaign).await["cancellation"];
    assert!(told["settled_at"].is_string());
    ["rows", "not_ours", "not_listed"].map(|field| told[field].clone())
}

#[tokio::test]
async fn grants_that_come_late_close_the_finding() {
    let world = paged(10).await;
    let (campaign, optimove) = cancelled(&world, 12).await;
    assert_eq!(view(&world, campaign).await["status"], "revoked");
    assert_eq!(world.finding_kinds().await, [DIFFERS]);
    assert_eq!(
        compared(&world, campaign).await,
        [12, 12, 0].map(Value::from)
    );
    executed(&world, campaign, &optimove, 12).await;
    assert_eq!(world.finding_kinds().await, [""; 0]);
    assert_eq!(
        compared(&world, campaign).await,
        [12, 0, 0].map(Value::from)
    );
    assert_eq!(view(&world, campaign).await["status"], "revoked");
    world.assert_verified();
}

#[tokio::test]
async fn a_replay_compares_again_and_tells_what_is_left() {
    let world = paged(10).await;
    let (campaign, optimove) = cancelled(&world, 12).await;
    executed(&world, campaign, &optimove, 12).await;
    assert_eq!(world.finding_kinds().await, [""; 0]);
    // Nothing is open: nothing is asked.
    optimove.asked();
    replay(&world).await;
    assert_eq!(
        optimove
            .asked()
            .iter()
            .filter(|one| one.starts_with(LIST))
            .count(),
        0
    );

    let (other, optimove) = cancelled(&world, 12).await;
    executed(&world, other, &optimove, 10).await;
    assert_eq!(compared(&world, other).await, [12, 2, 0].map(Value::from));
    assert_eq!(world.finding_kinds().await, [DIFFERS]);
}

#[tokio::test]
async fn a_list_that_is_gone_takes_nothing_back() {
    for gone in [(404, json!("Not Found")), (200, json!([]))] {
        let world = paged(10).await;
        let (campaign, optimove) = cancelled(&world, 12).await;
        let before = world.findings().await;
        world.travel("2027-03-25T09:00:00Z").await;
        optimove.answer(LIST, gone.0, &gone.1);
        executed(&world, campaign, &optimove, 12).await;
        assert_eq!(
            compared(&world, campaign).await,
            [12, 12, 0].map(Value::from)
        );
        assert_eq!(world.findings().await, before);
        // A person knows better.
        let settle =
            json!({"kind": DIFFERS, "object": before[0]["object"], "reason": "all there now"});
        let path = "/v1/tenants/acme/findings/settle";
        let settled = world.api.ok(Method::POST, path, &settle).await;
        assert_eq!(settled.expect("it is settled"), json!({"settled": true}));
        assert_eq!(world.finding_kinds().await, [""; 0]);
        world.assert_verified();
    }
}
