//! What Optimove executed: less than was cleared, more than was cleared, and told in any order.

use http::Method;
use serde_json::json;

use super::{
    Fate, all, conditional, denied, hold, judged, only_if, pass, settled, statuses, stood, work,
};
use crate::faults::{is_eligible, listener, switch, view};

#[tokio::test]
async fn f6_cleared_but_not_executed_is_found_and_never_starts() {
    let world = conditional().await;
    let campaign = hold(&world, 20, 3_600, &json!({"duration": 3}));
    work(&world).await;
    // Nothing is heard of the execution, and no list shows it.
    switch(
        &world,
        &json!({"notify-drop": 100, "fault-percent": 100, "fault-kind": "status-500",
        "fault-functions": ["GetExecutedCampaignsByChannel"]}),
    );
    pass(&world, 3_600).await;
    pass(&world, 82_800).await;
    assert_eq!(world.finding_kinds().await, Vec::<String>::new());
    assert_eq!(statuses(&world, campaign).await, all("pending", 20));
    pass(&world, 4_000).await;
    assert_eq!(world.finding_kinds().await, ["cleared_not_executed"]);
    assert!(
        !is_eligible(&world, "P-1", "FS20").await,
        "its window is an estimate"
    );
    pass(&world, 3 * 86_400).await;
    assert_eq!(statuses(&world, campaign).await, all("expired", 20));
}

#[tokio::test]
async fn f6_events_in_any_order_come_to_the_same() {
    for order in [[5, 1, 13], [5, 13, 1], [13, 5, 1], [1, 13, 5]] {
        let world = conditional().await;
        switch(&world, &json!({"notify-drop": 100}));
        let campaign = hold(&world, 20, 3_600, &json!({}));
        for event in order {
            let body = json!({
                "EventTypeID": event, "TimeStamp": "2027-03-25 06:00", "CampaignID": campaign,
                "ChannelID": (event == 13).then_some(504), "ClearanceRequiredBy": "2027-03-25 07:00",
            });
            let path = listener(&world, event);
            let (status, _) = world.api.json(Method::POST, &path, &body).await.unwrap();
            assert_eq!(status.as_u16(), 200);
            work(&world).await;
        }
        // Whatever was read before the deadline is read anew after it.
        pass(&world, 3_600).await;
        pass(&world, 600).await;
        settled(&world, campaign).await;
        assert_eq!(world.ledger(campaign).await.len(), 20, "{order:?}");
        assert_eq!(
            statuses(&world, campaign).await,
            all("active", 20),
            "{order:?}"
        );
    }
}

#[tokio::test]
async fn f6_an_execution_without_our_approval_is_refused_and_found() {
    let world = conditional().await;
    let campaign = hold(&world, 20, 3_600, &json!({}));
    // Somebody else approves all of them; we say no to some.
    let ids = json!({"customer_ids": ["P-1", "P-2"], "reason": "test"});
    let path = "/v1/tenants/acme/exclusions";
    world.post(path, &ids).await;
    work(&world).await;
    assert_eq!(denied(&world, campaign).await, [("excluded".to_owned(), 2)]);
    let body =
        json!({"CampaignID": campaign, "PromosUpdated": [{"CustomerID": "P-1", "Status": true}]});
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    let url = format!(
        "{}/current/integrations/UpdateCustomerPromotionStatus",
        world.sandbox.url()
    );
    let sent = http
        .post(url)
        .header("x-api-key", "acme-admin-key")
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status().as_u16(), 200);
    pass(&world, 3_600).await;
    pass(&world, 3_600).await;
    assert_eq!(stood(&world, campaign).await["sent"], 19);
    assert_eq!(world.finding_kinds().await, ["executed_without_approval"]);
    assert_eq!(statuses(&world, campaign).await, all("active", 18));
    assert_eq!(world.counts(campaign)["refused:not_approved"], 1);
    assert!(!is_eligible(&world, "P-1", "FS20").await);
    world.assert_verified();
}

#[tokio::test]
async fn a_campaign_is_over_once_the_lists_have_ended_whoever_was_sent_to() {
    let (world, _proxy) = judged(|call| {
        let is_bad = call.reports().iter().any(|(id, _)| *id == "P-7");
        only_if(is_bad, Fate::Refused(400))
    })
    .await;
    world
        .patch("/v1/tenants/acme", &json!({"expiry": "ended_by_date"}))
        .await;
    let campaign = hold(&world, 200, 3_600, &json!({"duration": 2}));
    work(&world).await;
    pass(&world, 3_600).await;
    pass(&world, 3_600).await;
    assert_eq!(stood(&world, campaign).await["sent"], 199);
    assert_eq!(view(&world, campaign).await["status"], "running");
    world.travel("2027-03-28T12:00:00Z").await;
    world.settle().await;
    let now = statuses(&world, campaign).await;
    assert_eq!((now["expired"], now["not_cleared"]), (199, 1));
    assert_eq!(view(&world, campaign).await["status"], "ended");
    world.assert_verified();
}
