//! `UpdateCustomerPromotionStatus`, and the oracle that shows what was reported.

use serde_json::{Value, json};

use crate::conditional::conditional;
use crate::world::{KEY, World, page_target, simple};

const UPDATE: &str = "/Integrations/UpdateCustomerPromotionStatus";

/// A world at nine with campaign 5102 held for ten minutes.
async fn held(customers: &[&str]) -> World {
    let world = World::start().await;
    world.at("2025-03-04T09:00:00Z");
    world
        .sandbox
        .add_campaign(conditional(5102, customers))
        .unwrap();
    world.sandbox.hold(5102, 600).unwrap();
    world
}

async fn update(world: &World, entries: Value) -> u16 {
    let body = json!({"TimeStamp": null, "CampaignID": 5102, "PromosUpdated": entries});
    world.post(UPDATE, body).await.status
}

/// Customer, status, times and late of each line.
fn gist(world: &World) -> Vec<(String, Option<bool>, u32, u32)> {
    let statuses = world.sandbox.statuses(5102).unwrap();
    let gist = statuses.map(|one| (one.customer_id, one.status, one.times, one.late));
    gist.collect()
}

fn line(
    customer: &str,
    status: Option<bool>,
    times: u32,
    late: u32,
) -> (String, Option<bool>, u32, u32) {
    (customer.to_owned(), status, times, late)
}

#[tokio::test]
async fn the_last_report_in_time_counts_and_the_oracle_shows_all() {
    let world = held(&["P-1", "P-2", "P-3", "P-4"]).await;
    assert_eq!(
        world
            .report(5102, &[("P-1", true), ("P-2", true), ("P-3", false)])
            .await,
        200
    );
    world.advance(60);
    assert_eq!(
        world
            .report(5102, &[("P-2", false), ("P-3", true), ("P-3", true)])
            .await,
        200
    );
    world.advance(539);
    assert_eq!(
        world.report(5102, &[("P-1", true)]).await,
        200,
        "a second is left"
    );
    world.advance(1);
    assert_eq!(
        world.report(5102, &[("P-1", false), ("P-4", true)]).await,
        200,
        "ignored"
    );
    assert_eq!(
        gist(&world),
        [
            line("P-1", Some(true), 2, 1),
            line("P-2", Some(false), 2, 0),
            line("P-3", Some(true), 3, 0),
            line("P-4", None, 0, 1),
        ]
    );
    let target = "/_sandbox/campaigns/5102/statuses";
    let answer = world.send("GET", target, &[], b"").await.unwrap();
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let lines = answer.text().lines().filter(|line| line.starts_with('{'));
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let reported = lines[1]["reported_at"].as_str().unwrap();
    assert!(reported.starts_with("2025-03-04T09:01:0"), "{reported}");
    let mut wanted = lines[1].clone();
    wanted["reported_at"] = json!(null);
    assert_eq!(
        wanted,
        json!({
            "customer_id": "P-2", "status": false, "reported_at": null, "times": 2, "late": 0,
            "clearance_required_by": "2025-03-04T09:10:00Z",
        })
    );
    assert_eq!(
        (&lines[3]["status"], &lines[3]["reported_at"]),
        (&Value::Null, &Value::Null)
    );
    let view = world.sandbox.campaign(5102).unwrap();
    assert_eq!(
        view["reports"],
        json!({"in_time": 7, "late": 2, "unknown": 0})
    );
    let rows = world.get(&page_target(5102, 504, 10, 0)).await.rows();
    assert_eq!(crate::world::column(&rows, "CustomerID"), ["P-1", "P-3"]);
}

#[tokio::test]
async fn a_late_report_can_be_refused() {
    let world = held(&["P-1"]).await;
    world.set(&json!({"late-status": "refuse"}));
    assert_eq!(world.report(5102, &[("P-1", true)]).await, 200);
    world.advance(600);
    assert_eq!(world.report(5102, &[("P-1", false)]).await, 400);
    assert_eq!(gist(&world), [line("P-1", Some(true), 1, 1)]);
}

#[tokio::test]
async fn a_report_after_the_cancellation_is_late() {
    let world = held(&["P-1"]).await;
    world.sandbox.cancel(5102).unwrap();
    assert_eq!(world.report(5102, &[("P-1", true)]).await, 200);
    assert_eq!(gist(&world), [line("P-1", None, 0, 1)]);
}

#[tokio::test]
async fn customers_who_are_not_on_the_list_change_nothing() {
    let mut spec = simple(5102, 100);
    spec["kind"] = "conditional".into();
    spec["control_share"] = json!(0.5);
    spec["actions"][0]["channels"] = json!([{"id": 504, "share": 0.5}]);
    let world = World::start().await;
    world.sandbox.add_campaign(spec).unwrap();
    world.sandbox.hold(5102, 600).unwrap();
    let everyone: Vec<String> = (1..=100).map(|number| format!("P-{number}")).collect();
    let mut all: Vec<_> = everyone.iter().map(|id| (id.as_str(), true)).collect();
    all.extend(
        [
            "P-0",
            "P-01",
            "P-101",
            "P-",
            "p-1",
            "P-+1",
            "P-99999999999999999999",
        ]
        .map(|id| (id, true)),
    );
    assert_eq!(world.report(5102, &all).await, 200);
    let view = world.sandbox.campaign(5102).unwrap();
    assert_eq!(
        view["approved"], 25,
        "half is control, half of the rest is not reached"
    );
    assert_eq!(
        view["reports"],
        json!({"in_time": 25, "late": 0, "unknown": 82})
    );
    assert_eq!(world.sandbox.statuses(5102).unwrap().count(), 25);
    world.advance(600);
    assert_eq!(world.read_all(5102, 504, 10).await.len(), 25);
    assert_eq!(world.sandbox.expected(5102).unwrap().count(), 25);
}

#[tokio::test]
async fn a_wrong_call_is_refused_and_changes_nothing() {
    let world = held(&["P-1"]).await;
    world.executed(5101, 1);
    world
        .sandbox
        .add_campaign(conditional(5103, &["P-1"]))
        .unwrap();
    let one = json!([{"CustomerID": "P-1", "Status": true}]);
    for wrong in [
        json!({"CampaignID": 1, "PromosUpdated": one}),
        json!({"CampaignID": 5101, "PromosUpdated": one}),
        json!({"CampaignID": 5103, "PromosUpdated": one}),
        json!({"CampaignID": "x", "PromosUpdated": one}),
        json!({"PromosUpdated": one}),
        json!({"CampaignID": 5102}),
        json!({"CampaignID": 5102, "PromosUpdated": {}}),
        json!({"CampaignID": 5102, "TimeStamp": 5, "PromosUpdated": one}),
        json!({"CampaignID": 5102, "PromosUpdated": [{"CustomerID": "P-1"}]}),
        json!({"CampaignID": 5102, "PromosUpdated": [{"Status": true}]}),
        json!({"CampaignID": 5102, "PromosUpdated": [{"CustomerID": "P-1", "Status": "true"}]}),
        json!({"CampaignID": 5102, "PromosUpdated": [{"CustomerID": 1, "Status": true}]}),
        json!({"CampaignID": 5102, "PromosUpdated": [one[0], 5]}),
        json!([one]),
    ] {
        assert_eq!(
            world.post(UPDATE, wrong.clone()).await.status,
            400,
            "{wrong}"
        );
    }
    assert_eq!(gist(&world), [line("P-1", None, 0, 0)]);
    let headers = [KEY, "Content-Type: application/json"];
    let twice =
        br#"{"campaignid":"5102","promosupdated":[{"customerid":"P-1","STATUS":true,"x":[]}]}"#;
    let answer = world.send("POST", UPDATE, &headers, twice).await.unwrap();
    assert_eq!(
        (answer.status, answer.text()),
        (200, ""),
        "names in any case"
    );
    assert_eq!(gist(&world), [line("P-1", Some(true), 1, 0)]);
}

#[tokio::test]
async fn a_bad_entry_refuses_the_call_or_is_skipped() {
    let world = held(&["P-1", "P-2"]).await;
    let entries = json!([
        {"CustomerID": "P-1", "Status": true}, {"CustomerID": "P-2", "Status": null},
        7, {"CustomerID": "\u{50}-2", "Status": false},
    ]);
    assert_eq!(update(&world, entries.clone()).await, 400);
    assert_eq!(gist(&world)[0], line("P-1", None, 0, 0));
    world.set(&json!({"batch-bad-entry": "skip"}));
    assert_eq!(update(&world, entries).await, 200);
    assert_eq!(
        gist(&world),
        [
            line("P-1", Some(true), 1, 0),
            line("P-2", Some(false), 1, 0)
        ]
    );
}

#[tokio::test]
async fn ten_thousand_customers_fit_into_a_call_and_no_more() {
    let world = World::start().await;
    let mut spec = simple(5102, 10_001);
    spec["kind"] = "conditional".into();
    world.sandbox.add_campaign(spec).unwrap();
    world.sandbox.hold(5102, 600).unwrap();
    let entries = |count: usize| -> Value {
        (1..=count)
            .map(|number| json!({"CustomerID": format!("P-{number}"), "Status": number % 2 == 0}))
            .collect()
    };
    assert_eq!(update(&world, entries(10_001)).await, 400);
    assert_eq!(update(&world, entries(10_000)).await, 200);
    let view = world.sandbox.campaign(5102).unwrap();
    assert_eq!(
        (&view["approved"], &view["denied"]),
        (&json!(5_000), &json!(5_000))
    );
}

#[tokio::test]
async fn reports_hit_by_a_fault_after_the_write_count() {
    for (kind, counts) in [
        ("status-500", false),
        ("status-503", false),
        ("html-200", false),
        ("string-200", false),
        ("reset", true),
        ("truncate", true),
    ] {
        let world = held(&["P-1"]).await;
        let only = json!(["updatecustomerpromotionstatus"]);
        world.set(&json!({"fault-kind": kind, "fault-percent": 100, "fault-functions": only}));
        let body = json!({"CampaignID": 5102,
                          "PromosUpdated": [{"CustomerID": "P-1", "Status": true}]});
        let headers = [KEY, "Content-Type: application/json"];
        let body = body.to_string();
        let answer = world.send("POST", UPDATE, &headers, body.as_bytes()).await;
        assert_eq!(answer.is_none(), kind == "reset");
        let approved = world.sandbox.campaign(5102).unwrap()["approved"] == 1;
        assert_eq!(approved, counts, "{kind}");
    }
}

#[tokio::test]
async fn every_new_function_can_fail() {
    let world = held(&["P-1"]).await;
    for (method, target) in [
        (
            "GET",
            "/customers/GetProcessedCampaignCustomers?CampaignID=5102",
        ),
        (
            "GET",
            "/customers/GetCanceledCampaignCustomers?CampaignID=5102",
        ),
        (
            "GET",
            "/customers/GetCustomersActionEndedByDate?Date=2025-03-04",
        ),
        ("GET", "/customers/GetCurrentlyTargetedCustomers"),
        ("POST", UPDATE),
        ("PUT", "/triggered_conditional_execution_gateway"),
        ("DELETE", "/triggered_conditional_execution_gateway"),
        ("POST", "/conditional-execution/v2/triggered/webhooks/"),
        ("POST", "/conditional-execution/v2/triggered/approval"),
    ] {
        let path = target.split('?').next().unwrap().trim_end_matches('/');
        let name = path.rsplit('/').next().unwrap();
        let headers = [KEY, "Content-Type: application/json"];
        world.set(&json!({"fault-percent": 100, "fault-functions": [name]}));
        let answer = world.send(method, target, &headers, b"{}").await.unwrap();
        assert_eq!(answer.status, 500, "{target}");
        world.set(&json!({"fault-functions": ["GetPromotions"]}));
        let answer = world.send(method, target, &headers, b"{}").await.unwrap();
        assert_ne!(answer.status, 500, "{target}");
    }
}

#[tokio::test]
async fn the_oracle_of_approvals_is_for_held_campaigns() {
    let world = World::start().await;
    world.executed(5101, 1);
    world
        .sandbox
        .add_campaign(conditional(5102, &["P-1"]))
        .unwrap();
    for id in ["5101", "5102"] {
        let (status, _) = world
            .control("GET", &format!("/campaigns/{id}/statuses"), Value::Null)
            .await;
        assert_eq!(status, 409, "{id}");
    }
    let (status, _) = world
        .control("GET", "/campaigns/1/statuses", Value::Null)
        .await;
    assert_eq!(status, 404);
}
