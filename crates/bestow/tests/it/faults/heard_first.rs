//! A cancel is the first that is ever heard of a campaign: until somebody says more, it is cancelled and nothing else.

use serde_json::{Value, json};

use super::{inbox, listener, paged, view};
use crate::support::World;

/// Event 4 about a campaign, and the work that can be done at once.
async fn cancel(world: &World, campaign: u64) {
    let body = json!({"EventTypeID": 4, "CampaignID": campaign});
    world.post(&listener(world, 4), &body).await;
    world.work().await;
}

#[tokio::test]
async fn a_campaign_of_which_only_the_cancel_is_known_has_no_kind() {
    let world = paged(10).await;
    let campaign = world.plan(25, &json!({}));
    cancel(&world, campaign).await;
    let seen = view(&world, campaign).await;
    assert_eq!(seen["kind"], Value::Null);
    assert_eq!(seen["status"], "suspended");
    assert_eq!(seen["stop_reason"], "cancelled by Optimove (event 4)");
    assert_eq!(seen["cancellation"]["state"], "asking");
    world.settle().await;
    let seen = view(&world, campaign).await;
    assert_eq!(seen["kind"], Value::Null);
    assert_eq!(seen["status"], "revoked");
    // The list of campaigns and every other look at it do without a kind, too.
    let listed = world.rows("/v1/tenants/acme/campaigns").await;
    assert_eq!(listed, [seen]);
    world.assert_verified();
}

#[tokio::test]
async fn whoever_tells_more_tells_its_kind() {
    for (event, kind) in [
        (13, "scheduled"),
        (1, "scheduled"),
        (5, "conditional"),
        (11, "triggered"),
    ] {
        let world = World::with(|config| config.optimove.page_rows = 10).await;
        let over =
            json!({"conditional": true, "triggered_channels": [15], "duration_days_default": 3});
        world.connect(&over).await;
        let campaign = world.plan(25, &json!({}));
        cancel(&world, campaign).await;
        let told = json!({
            "EventTypeID": event, "TimeStamp": "2027-03-25 06:00:00", "CampaignID": campaign,
            "ChannelID": (event == 13).then_some(504), "ClearanceRequiredBy": "2027-03-25 07:00",
            "CustomerID": "P-1", "TemplateID": 1, "PromoCode": "FS20",
        });
        world.post(&listener(&world, event), &told).await;
        world.work().await;
        let seen = view(&world, campaign).await;
        assert_eq!(seen["kind"], kind, "event {event}");
        assert_eq!(seen["status"], "suspended", "event {event}");
        let held = inbox(&world).await.into_iter();
        assert_eq!(
            held.filter(|one| one["status"] == "held").count(),
            0,
            "event {event}"
        );
        world.settle().await;
        assert_eq!(
            view(&world, campaign).await["status"],
            "revoked",
            "event {event}"
        );
        world.assert_verified();
    }
}
