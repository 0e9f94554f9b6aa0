//! Version 2 of conditional execution: send groups with deadlines of their own.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::conditional::conditional;
use crate::listener::Listener;
use crate::world::{World, column, page_target, simple};

const PROCESSED: &str = "/customers/GetProcessedCampaignCustomers?CampaignID=5102";

/// A world at nine, under version 2, with a listener for 1, 5 and 13.
async fn version_2(rounds: u64) -> World {
    let world = World::start().await;
    world.at("2025-03-04T09:00:00Z");
    world.set(&json!({"conditional-version": "v2", "conditional-rounds": rounds}));
    let listener = Listener::start().await;
    for event in [1, 5, 13] {
        listener.register(&world, "/hook", event, Value::Null).await;
    }
    world
}

async fn ids(world: &World, target: &str) -> Vec<String> {
    let rows = world.get(target).await.rows();
    column(&rows, "CustomerID")
        .iter()
        .map(|&id| id.to_owned())
        .collect()
}

/// How many notifications of events 5, 1 and 13 there are.
async fn told(world: &World) -> [usize; 3] {
    let mut told = [0; 3];
    for (count, event) in told.iter_mut().zip([5, 1, 13]) {
        *count = world.told(event).await.len();
    }
    told
}

#[tokio::test]
async fn each_group_is_announced_cleared_and_executed_by_itself() {
    let world = version_2(3).await;
    let customers = ["A", "B", "C", "D", "E", "F", "G"];
    world
        .sandbox
        .add_campaign(conditional(5102, &customers))
        .unwrap();
    world.sandbox.hold(5102, 600).unwrap();
    let granted = page_target(5102, 504, 100, 0);
    assert_eq!(
        ids(&world, PROCESSED).await,
        ["A", "D", "G"],
        "the first group"
    );
    assert_eq!(told(&world).await, [1, 0, 0]);
    assert_eq!(world.report(5102, &[("A", true), ("D", false)]).await, 200);
    world.advance(300);
    assert_eq!(
        ids(&world, PROCESSED).await,
        ["A", "B", "D", "E", "G"],
        "and the second"
    );
    assert_eq!(world.report(5102, &[("B", true), ("E", true)]).await, 200);
    world.advance(300);
    assert_eq!(
        told(&world).await,
        [3, 1, 0],
        "the first is executed, the third announced"
    );
    assert_eq!(ids(&world, &granted).await, ["A"]);
    assert_eq!(world.sandbox.campaign(5102).unwrap()["status"], "held");
    // Too late for the first group, in time for the others.
    assert_eq!(
        world
            .report(5102, &[("D", true), ("E", false), ("C", true)])
            .await,
        200
    );
    assert_eq!(world.sandbox.campaign(5102).unwrap()["reports"]["late"], 1);
    assert_eq!(
        ids(&world, PROCESSED).await,
        customers,
        "those decided included"
    );
    world.advance(300);
    assert_eq!(ids(&world, &granted).await, ["A", "B"]);
    assert_eq!(told(&world).await, [3, 1, 0]);
    world.advance(300);
    assert_eq!(ids(&world, &granted).await, ["A", "B", "C"]);
    assert_eq!(told(&world).await, [3, 1, 1], "the channel is complete");
    let view = world.sandbox.campaign(5102).unwrap();
    assert_eq!(
        (&view["status"], &view["sent"]),
        (&json!("executed"), &json!(3))
    );
    let notices = world.told(5).await;
    let deadlines: Vec<_> = notices
        .iter()
        .map(|body| &body["ClearanceRequiredBy"])
        .collect();
    let at = |minute: u64| json!(format!("2025-03-04 09:{minute}:00"));
    assert_eq!(deadlines, [&at(10), &at(15), &at(20)]);
    assert!(notices.iter().all(|body| body["CampaignID"] == 5102));
    let expected = world.sandbox.expected(5102).unwrap();
    let starts: Vec<_> = expected
        .map(|one| {
            (
                one.customer_id,
                one.starts_at.to_string()[11..16].to_owned(),
            )
        })
        .collect();
    let one = |id: &str, at: &str| (id.to_owned(), at.to_owned());
    assert_eq!(
        starts,
        [one("A", "09:40"), one("B", "09:45"), one("C", "09:50")]
    );
    let rows = world.get(&granted).await.rows();
    let times = column(&rows, "ScheduleTime");
    let minutes: Vec<_> = times.iter().map(|time| &time[11..16]).collect();
    assert_eq!(
        minutes,
        ["09:40", "09:45", "09:50"],
        "each group has its own time"
    );
    let sends = "/actions/GetExecutedCampaignChannelDetails?CampaignID=5102&ChannelID=504";
    assert_eq!(world.get(sends).await.rows().len(), 3);
}

#[tokio::test]
async fn there_are_as_many_groups_as_the_switch_says_and_one_under_version_1() {
    for (change, groups) in [
        (json!({"conditional-rounds": 1}), 1),
        (json!({"conditional-rounds": 10}), 10),
        (json!({"conditional-rounds": null}), 2),
        (json!({"conditional-version": "v1"}), 1),
    ] {
        let world = version_2(5).await;
        world.set(&change);
        world
            .sandbox
            .add_campaign(conditional(5102, &["A"]))
            .unwrap();
        world.sandbox.process(5102).unwrap();
        let view = world.sandbox.campaign(5102).unwrap();
        assert_eq!(
            view["send_groups"].as_array().unwrap().len(),
            groups,
            "{change}"
        );
        world.advance(86_400);
        assert_eq!(told(&world).await, [groups, 1, 1], "{change}");
    }
}

#[tokio::test]
async fn a_late_report_refuses_only_calls_that_name_a_cleared_group() {
    let world = version_2(2).await;
    world.set(&json!({"late-status": "refuse"}));
    world
        .sandbox
        .add_campaign(conditional(5102, &["A", "B"]))
        .unwrap();
    world.sandbox.hold(5102, 600).unwrap();
    world.advance(600);
    assert_eq!(world.report(5102, &[("A", true), ("B", true)]).await, 400);
    assert_eq!(world.sandbox.campaign(5102).unwrap()["approved"], 0);
    assert_eq!(world.report(5102, &[("B", true)]).await, 200);
}

#[tokio::test]
async fn a_large_audience_is_shared_out_among_the_groups() {
    let world = version_2(4).await;
    let mut spec = simple(5102, 1_000);
    spec["kind"] = "conditional".into();
    spec["control_share"] = json!(0.1);
    spec["actions"][0]["channels"] = json!([{"id": 504}, {"id": 505, "share": 0.5}]);
    world.sandbox.add_campaign(spec).unwrap();
    world.sandbox.hold(5102, 600).unwrap();
    let mut known = BTreeSet::new();
    let mut approved = BTreeSet::new();
    for group in 1..=4 {
        let on_channel = format!("{PROCESSED}&ChannelID=504&$top=10000");
        let all: BTreeSet<_> = ids(&world, &on_channel).await.into_iter().collect();
        assert_eq!(all.len(), 225 * group, "announced so far");
        let new: Vec<_> = all.difference(&known).cloned().collect();
        let reports: Vec<_> = new
            .iter()
            .map(|id| (id.as_str(), id.ends_with('7')))
            .collect();
        approved.extend(new.iter().filter(|id| id.ends_with('7')).cloned());
        assert_eq!(world.report(5102, &reports).await, 200);
        known = all;
        world.advance(300);
    }
    world.advance(3_600);
    let rows = world.read_all(5102, 504, 11).await;
    let granted: BTreeSet<_> = column(&rows, "CustomerID")
        .iter()
        .map(|&id| id.to_owned())
        .collect();
    assert_eq!(
        (granted.len(), rows.len()),
        (approved.len(), approved.len())
    );
    assert_eq!(granted, approved);
    let both = format!("{}&ChannelID=0", page_target(5102, 0, 10_000, 0));
    let both = world.get(&both).await.rows().len();
    assert!(both > approved.len(), "some on two channels");
    let expected = world.sandbox.expected(5102).unwrap();
    let expected: BTreeSet<_> = expected.map(|one| one.customer_id).collect();
    assert_eq!(expected, approved);
    assert_eq!(world.sandbox.statuses(5102).unwrap().count(), 900);
    world.sandbox.cancel(5102).unwrap();
    let target = "/customers/GetCanceledCampaignCustomers?CampaignID=5102&$top=10000";
    let taken_back: BTreeSet<_> = ids(&world, target).await.into_iter().collect();
    assert_eq!(taken_back, approved);
}
