//! The deadline: it passes while something fails, has passed before, or leaves too little time.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::{
    Call, Fate, all, closed, complete, conditional, event_5, hold, is_report, judged,
    judged_and_tuned, only_if, pass, round, rounds, settled, statuses, stood, work,
};
use crate::faults::{inbox, is_eligible, switch, view};
use crate::support::World;

#[tokio::test]
async fn f1_the_deadline_passes_while_reports_do_not_get_through() {
    let (world, _proxy) = judged(|call| {
        // The first of two chunks goes through, the others do not.
        let first = call.reports().iter().any(|(id, _)| *id == "P-1");
        only_if(is_report(call) && !first, Fate::Refused(503))
    })
    .await;
    // Less than the margin is left, so chunks are of 1,000 customers and the last moment is the deadline itself.
    let campaign = hold(&world, 1_500, 240, &json!({}));
    world.delivered().await;
    world.steps(40).await;
    assert_eq!(statuses(&world, campaign).await["awaiting_clearance"], 500);
    assert_eq!(statuses(&world, campaign).await["pending"], 1_000);
    pass(&world, 240).await;
    assert_eq!(
        rounds(&world, campaign).await,
        [closed(1_500, 1_000, "deadline")]
    );
    assert!(
        world
            .finding_kinds()
            .await
            .contains(&"clearance_unfinished".to_owned())
    );
    let after = statuses(&world, campaign).await;
    assert_eq!(after["not_cleared"], 500, "{after:?}");
    let silent = "P-999";
    assert!(!is_eligible(&world, silent, "FS20").await);
    pass(&world, 7_200).await;
    let held = stood(&world, campaign).await;
    assert_eq!(
        (&held["approved"], &held["sent"]),
        (&json!(1_000), &json!(1_000))
    );
    let after = statuses(&world, campaign).await;
    assert_eq!((after["active"], after["not_cleared"]), (1_000, 500));
    world.assert_verified();
}

#[tokio::test]
async fn f1_work_stops_the_margin_before_the_deadline() {
    let (world, _proxy) = judged(|call| only_if(is_report(call), Fate::Refused(503))).await;
    let campaign = hold(&world, 20, 3_600, &json!({}));
    world.delivered().await;
    world.steps(20).await;
    assert_eq!(
        rounds(&world, campaign).await,
        [round("deciding", 20, 0, "")]
    );
    assert_eq!(
        statuses(&world, campaign).await,
        all("awaiting_clearance", 20)
    );
    pass(&world, 3_299).await;
    assert_eq!(rounds(&world, campaign).await[0].0, "deciding");
    pass(&world, 1).await;
    assert_eq!(rounds(&world, campaign).await, [closed(20, 0, "deadline")]);
    assert_eq!(
        statuses(&world, campaign).await,
        all("awaiting_clearance", 20)
    );
    pass(&world, 300).await;
    assert_eq!(statuses(&world, campaign).await, all("not_cleared", 20));
    world.assert_verified();
}

#[tokio::test]
async fn f1_a_list_that_is_never_read_approves_nobody() {
    let (world, _proxy) = judged(|call| {
        only_if(
            call.path.ends_with("/GetProcessedCampaignCustomers"),
            Fate::Refused(500),
        )
    })
    .await;
    let campaign = hold(&world, 20, 3_600, &json!({}));
    world.delivered().await;
    world.steps(20).await;
    assert_eq!(rounds(&world, campaign).await, [round("reading", 0, 0, "")]);
    pass(&world, 3_600).await;
    assert_eq!(rounds(&world, campaign).await, [closed(0, 0, "deadline")]);
    settled(&world, campaign).await;
    assert_eq!(world.ledger(campaign).await.len(), 0);
}

#[tokio::test]
async fn f4_a_deadline_that_has_passed_approves_nobody_and_says_so() {
    let world = conditional().await;
    switch(&world, &json!({"notify-drop": 100}));
    let campaign = hold(&world, 20, 3_600, &json!({}));
    assert_eq!(event_5(&world, campaign, "2027-03-25 06:00").await, 200);
    work(&world).await;
    assert_eq!(rounds(&world, campaign).await, [closed(0, 0, "past")]);
    assert_eq!(world.finding_kinds().await, ["clearance_past"]);
    assert_eq!(stood(&world, campaign).await["approved"], 0);
    world.assert_verified();
}

#[tokio::test]
async fn f4_a_deadline_without_a_zone_is_meant_in_the_tenants() {
    let world = World::start().await;
    world
        .connect(&json!({"conditional": true, "time_zone": "Asia/Tokyo"}))
        .await;
    switch(&world, &json!({"notify-drop": 100}));
    let campaign = hold(&world, 5, 3_600, &json!({}));
    assert_eq!(event_5(&world, campaign, "2027-03-25 16:00").await, 200);
    // The same instant, spelled otherwise: no second round.
    assert_eq!(event_5(&world, campaign, "2027-03-25T07:00:00Z").await, 200);
    work(&world).await;
    let seen = view(&world, campaign).await;
    assert_eq!(seen["clearance_required_by"], "2027-03-25T07:00:00Z");
    assert_eq!(rounds(&world, campaign).await.len(), 1);
    assert_eq!(event_5(&world, campaign, "tomorrow").await, 200);
    work(&world).await;
    let held = inbox(&world).await;
    let reasons: Vec<_> = held
        .iter()
        .filter_map(|one| one["reason"].as_str())
        .collect();
    assert_eq!(reasons, ["bad_clearance_deadline"]);
}

#[tokio::test]
async fn f9_too_few_calls_before_the_deadline_are_told_at_once() {
    let (blocked, judged) = (Arc::new(Mutex::new(true)), Arc::new(Mutex::new(0)));
    let (is_blocked, lists) = (Arc::clone(&blocked), Arc::clone(&judged));
    let judge = move |call: &Call| {
        let is_list = call.path.ends_with("/GetProcessedCampaignCustomers");
        *lists.lock().unwrap() += usize::from(is_list);
        only_if(is_list && *is_blocked.lock().unwrap(), Fate::Refused(500))
    };
    let (world, _proxy) = judged_and_tuned(judge, |config| {
        config.optimove.calls_max = 40;
        config.optimove.page_rows = 100;
    })
    .await;
    // 36 pages, a report and a quarter of them in reserve do not fit into the ten seconds before the margin.
    let campaign = hold(&world, 3_500, 310, &json!({}));
    world.delivered().await;
    while *judged.lock().unwrap() == 0 {
        bestow::work::step(&world.app).await.unwrap();
    }
    assert_eq!(world.finding_kinds().await, ["clearance_infeasible"]);
    *blocked.lock().unwrap() = false;
    pass(&world, 1).await;
    pass(&world, 1).await;
    assert_eq!(rounds(&world, campaign).await, [complete(3_500)]);
    assert_eq!(
        world.finding_kinds().await,
        Vec::<String>::new(),
        "it was done in time after all"
    );
}
