//! The lists of processed, cancelled, ended and targeted customers.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::{World, column, simple};

const PROCESSED: &str = "/customers/GetProcessedCampaignCustomers?CampaignID=5102";
const CANCELLED: &str = "/customers/GetCanceledCampaignCustomers?CampaignID=5103";
const TARGETED: &str = "/customers/GetCurrentlyTargetedCustomers";

fn golden(name: &str) -> Vec<Value> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/responses/");
    serde_json::from_slice(&std::fs::read(format!("{root}{name}.json")).unwrap()).unwrap()
}

fn ended(date: &str) -> String {
    format!("/customers/GetCustomersActionEndedByDate?Date={date}")
}

/// Campaigns of the golden answers: action 24 with codes, 65 without.
fn campaign(id: u64, customers: &Value) -> Value {
    json!({
        "tenant": "acme", "id": id, "audience": {"customers": customers},
        "actions": [
            {"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504, "template_id": 520}]},
            {"id": 65, "channels": [{"id": 504, "template_id": 521}]},
        ],
    })
}

/// A counted audience over two channels that overlap, with a control group.
fn counted(id: u64, count: u64) -> Value {
    json!({
        "tenant": "acme", "id": id, "control_share": 0.1,
        "audience": {"count": count, "prefix": "P-"},
        "actions": [
            {"id": 24, "share": 0.5, "promo_codes": ["FS20", "CB10"],
             "channels": [{"id": 504, "share": 0.6}, {"id": 505, "share": 0.6}]},
            {"id": 25, "share": 0.5, "promo_codes": ["FS20"],
             "channels": [{"id": 504, "share": 0.3}, {"id": 505, "share": 0.2}]},
        ],
    })
}

async fn rows(world: &World, target: &str) -> Vec<Value> {
    world.get(target).await.rows()
}

/// All rows of a list, read in pages of `top`.
async fn read_all(world: &World, target: &str, top: usize) -> Vec<Value> {
    let mut all = Vec::new();
    let separator = if target.contains('?') { '&' } else { '?' };
    loop {
        let page = format!("{target}{separator}$top={top}&$skip={}", all.len());
        let page = rows(world, &page).await;
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

#[tokio::test]
async fn the_list_to_approve_has_the_documented_rows() {
    let world = World::start().await;
    let mut spec = campaign(
        5102,
        &json!([
            {"id": "P-20031", "action": 24},
            {"id": "P-20044", "action": 24, "promo_code": "FS20,CB10"},
            {"id": "00731", "action": 65},
            {"id": "control", "action": 1},
        ]),
    );
    spec["kind"] = "conditional".into();
    world.sandbox.add_campaign(spec).unwrap();
    assert_eq!(
        rows(&world, PROCESSED).await.len(),
        0,
        "a draft is not known"
    );
    world.sandbox.hold(5102, 600).unwrap();
    let documented = golden("processed-campaign-customers");
    assert_eq!(rows(&world, PROCESSED).await, documented);
    let on = |channel: u64| format!("{PROCESSED}&ChannelID={channel}");
    assert_eq!(rows(&world, &on(504)).await, documented);
    assert_eq!(rows(&world, &on(505)).await.len(), 0);
    world.set(&json!({"promo-codes": "array", "ids": "string", "key-casing": "camel"}));
    let row = &rows(&world, PROCESSED).await[1];
    assert_eq!(
        (&row["promoCode"], &row["actionID"]),
        (&json!(["FS20", "CB10"]), &json!("24"))
    );
    world.set(&json!({"promo-codes": null, "ids": null, "key-casing": null}));
    world.advance(600);
    assert_eq!(
        rows(&world, PROCESSED).await,
        documented,
        "whoever was approved"
    );
    world.sandbox.cancel(5102).unwrap();
    assert_eq!(rows(&world, PROCESSED).await.len(), 0);
    let scheduled = "/customers/GetProcessedCampaignCustomers?CampaignID=5101";
    world.executed(5101, 3);
    assert_eq!(rows(&world, scheduled).await.len(), 3);
    let missing = world.get("/customers/GetProcessedCampaignCustomers").await;
    assert_eq!(missing.status, 400);
}

#[tokio::test]
async fn the_cancelled_list_has_the_documented_rows_for_its_time() {
    let world = World::start().await;
    world.executed_spec(campaign(
        5103,
        &json!([
            {"id": "P-20031", "action": 24},
            {"id": "P-20044", "action": 24, "promo_code": "FS20,CB10"},
            {"id": "control", "action": 1},
        ]),
    ));
    assert_eq!(rows(&world, CANCELLED).await.len(), 0, "not cancelled yet");
    world.sandbox.cancel(5103).unwrap();
    assert_eq!(
        rows(&world, CANCELLED).await,
        golden("cancelled-customers.documented")
    );
    world.set(&json!({"ids": "number", "promo-codes": "array"}));
    let observed = &golden("cancelled-customers.observed")[1];
    assert_eq!(rows(&world, CANCELLED).await[1], *observed);
    world.set(&json!({"ids": "string", "promo-codes": "row-per-code"}));
    let each = rows(&world, CANCELLED).await;
    assert_eq!(column(&each, "PromoCode"), ["FS20", "FS20", "CB10"]);
    assert_eq!(column(&each, "ActionID"), ["24"; 3]);
    world.advance(7_195);
    assert_eq!(
        rows(&world, CANCELLED).await.len(),
        3,
        "two hours less five seconds"
    );
    world.advance(10);
    assert_eq!(rows(&world, CANCELLED).await.len(), 0);
    world.set(&json!({"cancelled-window-seconds": 7_300}));
    assert_eq!(rows(&world, CANCELLED).await.len(), 3);
    world.set(&json!({"cancelled-list": "removed"}));
    assert_eq!(world.get(CANCELLED).await.status, 404);
    let unasked = "/customers/GetCanceledCampaignCustomers";
    assert_eq!(world.get(unasked).await.status, 404, "whatever is asked");
    world.set(&json!({"cancelled-list": "window"}));
    assert_eq!(world.get(unasked).await.status, 400);
    world.sandbox.add_campaign(simple(5103 + 1, 3)).unwrap();
    world.sandbox.cancel(5104).unwrap();
    let draft = "/customers/GetCanceledCampaignCustomers?CampaignID=5104";
    assert_eq!(
        rows(&world, draft).await.len(),
        0,
        "a draft was never processed"
    );
}

#[tokio::test]
async fn a_customer_is_taken_back_from_once_whatever_the_channels() {
    let world = World::start().await;
    world.executed_spec(counted(5103, 1_000));
    let mut sent = BTreeSet::new();
    for channel in [504, 505] {
        let rows = world.read_all(5103, channel, 1_000).await;
        sent.extend(column(&rows, "CustomerID").iter().map(|&id| id.to_owned()));
    }
    assert_eq!(sent.len(), 450 + 225);
    world.sandbox.cancel(5103).unwrap();
    for top in [7, 100, 10_000] {
        let rows = read_all(&world, CANCELLED, top).await;
        let ids: Vec<_> = column(&rows, "CustomerID")
            .iter()
            .map(|&id| id.to_owned())
            .collect();
        assert_eq!(ids.len(), sent.len(), "pages of {top}");
        assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), sent);
    }
    world.set(&json!({"promo-codes": "row-per-code"}));
    assert_eq!(
        read_all(&world, CANCELLED, 1_000).await.len(),
        450 * 2 + 225
    );
}

#[tokio::test]
async fn the_ended_list_has_the_documented_rows_over_all_campaigns() {
    let world = World::start().await;
    world.at("2025-03-04T10:00:00Z");
    let mut spec = simple(5101, 0);
    spec["audience"] = json!({"customers": ["P-20031"]});
    spec["lead_time"] = 3.into();
    spec["actions"][0]["channels"] = json!([{"id": 504}, {"id": 505}]);
    world.executed_spec(spec.clone());
    world.at("2025-03-10T10:00:00Z");
    spec["id"] = 5102.into();
    spec["duration"] = 1.into();
    spec["target_group_id"] = 18.into();
    spec["audience"] = json!({"customers": ["00731", {"id": "control", "action": 1}]});
    spec["actions"] = json!([{"id": 30, "channels": [{"id": 504}]}]);
    world.executed_spec(spec.clone());
    spec["id"] = 5103.into();
    world.executed_spec(spec);
    world.sandbox.cancel(5103).unwrap();
    let documented = golden("ended-by-date");
    assert_eq!(rows(&world, &ended("2025-03-11")).await, documented);
    for date in ["2025-03-10", "2025-03-12", "9999-12-31"] {
        assert_eq!(rows(&world, &ended(date)).await.len(), 0, "{date}");
    }
    for (offset, date) in [(-1, "2025-03-10"), (1, "2025-03-12")] {
        world.set(&json!({"ended-offset-days": offset}));
        assert_eq!(rows(&world, &ended(date)).await, documented);
        assert_eq!(rows(&world, &ended("2025-03-11")).await.len(), 0);
    }
    assert_eq!(world.get(&ended("soon")).await.status, 400);
}

#[tokio::test]
async fn the_ended_list_is_paged_over_its_campaigns() {
    let world = World::start().await;
    world.at("2025-03-04T10:00:00Z");
    for id in [1, 2, 3] {
        world.executed_spec(counted(id, 100 * id));
    }
    let mut listed = campaign(4, &json!(["a", "b", "c"]));
    listed["actions"] = json!([{"id": 9, "channels": [{"id": 506}]}]);
    world.executed_spec(listed);
    let target = ended("2025-03-11");
    let whole = read_all(&world, &target, 10_000).await;
    // Of 90 customers for each hundred: 45 by 1.2, 45 by 0.5, with rounding.
    let count = async |id: u64, channel: u64| world.read_all(id, channel, 10_000).await.len();
    let mut wanted = 3;
    for id in [1, 2, 3] {
        wanted += count(id, 504).await + count(id, 505).await;
    }
    assert_eq!(whole.len(), wanted);
    for top in [1, 13, 100] {
        assert_eq!(
            read_all(&world, &target, top).await,
            whole,
            "pages of {top}"
        );
    }
    world.set(&json!({"page-order": "shuffle"}));
    let shuffled = rows(&world, &target).await;
    assert_ne!(shuffled, whole);
    let set = |rows: &[Value]| rows.iter().map(Value::to_string).collect::<BTreeSet<_>>();
    assert_eq!(set(&shuffled), set(&whole));
    world.set(&json!({"page-order": "stable", "page-churn": "skip"}));
    let first = read_all(&world, &target, 100).await;
    assert!(
        first.len() < whole.len(),
        "a row at each edge is missing at first"
    );
    assert_eq!(read_all(&world, &target, 100).await, whole);
}

#[tokio::test]
async fn dates_of_the_ended_list_are_those_of_the_tenants_zone() {
    let world = World::start().await;
    let zone = json!({"time_zone": "Pacific/Auckland"});
    world.ok("PUT", "/tenants/acme", zone).await;
    world.at("2025-03-04T12:00:00Z");
    world.executed(5101, 1);
    assert_eq!(
        rows(&world, &ended("2025-03-12")).await[0]["Date"],
        "2025-03-05"
    );
}

#[tokio::test]
async fn of_a_conditional_campaign_the_approved_end() {
    let world = World::start().await;
    world.at("2025-03-04T23:50:00Z");
    let spec = crate::conditional::conditional(5102, &["P-1", "P-2", "P-3"]);
    world.sandbox.add_campaign(spec).unwrap();
    world.sandbox.hold(5102, 1_200).unwrap();
    world.report(5102, &[("P-2", true), ("P-3", false)]).await;
    assert_eq!(rows(&world, TARGETED).await.len(), 0);
    world.advance(1_200);
    let row = json!({
        "CustomerID": "P-2", "ActionID": 24, "ChannelID": 504, "Date": "2025-03-05",
        "Duration": 7, "TargetGroupID": 15,
    });
    assert_eq!(
        rows(&world, &ended("2025-03-12")).await,
        [row],
        "executed after midnight"
    );
    assert_eq!(column(&rows(&world, TARGETED).await, "CustomerID"), ["P-2"]);
}

#[tokio::test]
async fn the_targeted_are_those_whose_actions_run() {
    let world = World::start().await;
    world.at("2025-03-04T10:00:00Z");
    let mut spec = campaign(5101, &json!([{"id": "P-1", "action": 24}]));
    spec["actions"][0]["channels"] = json!([{"id": 504}, {"id": 505}]);
    world.executed_spec(spec);
    let mut today_only = campaign(5102, &json!([{"id": "P-2", "action": 65}]));
    today_only["duration"] = 0.into();
    world.executed_spec(today_only);
    let row = |customer: &str, campaign: u64, action: u64, end: &str| {
        json!({
            "CustomerID": customer, "CampaignID": campaign, "ActionID": action,
            "StartDate": "2025-03-04", "EndDate": end,
        })
    };
    let first = row("P-1", 5101, 24, "2025-03-11");
    let second = row("P-2", 5102, 65, "2025-03-04");
    assert_eq!(rows(&world, TARGETED).await, [first.clone(), second]);
    let paged = format!("{TARGETED}?$top=1&$skip=1");
    assert_eq!(column(&rows(&world, &paged).await, "CustomerID"), ["P-2"]);
    world.at("2025-03-10T23:00:00Z");
    assert_eq!(rows(&world, TARGETED).await, [first]);
    world.at("2025-03-11T00:00:00Z");
    assert_eq!(rows(&world, TARGETED).await.len(), 0);
    world.at("2025-03-05T00:00:00Z");
    world.sandbox.cancel(5101).unwrap();
    assert_eq!(rows(&world, TARGETED).await.len(), 0);
}

#[tokio::test]
async fn an_empty_list_is_empty_as_the_switch_says() {
    let world = World::start().await;
    for (form, status) in [("no-content", 204), ("not-found", 404), ("empty-body", 200)] {
        world.set(&json!({"empty-result": form}));
        let processed = "/customers/GetProcessedCampaignCustomers?CampaignID=1";
        for target in [processed, CANCELLED, &ended("2025-03-11"), TARGETED] {
            assert_eq!(world.get(target).await.status, status, "{target}");
        }
    }
}

#[tokio::test]
async fn an_integrations_key_calls_them_in_the_wide_reading_only() {
    let world = World::start().await;
    let keys = json!({"api_keys": [{"key": "few", "role": "integrations"}]});
    world.ok("PUT", "/tenants/acme", keys).await;
    let headers = ["X-API-KEY: few", "Content-Type: application/json"];
    let calls = [
        (
            "GET",
            "/customers/GetProcessedCampaignCustomers?CampaignID=1",
            true,
        ),
        (
            "GET",
            "/customers/GetCanceledCampaignCustomers?CampaignID=1",
            true,
        ),
        (
            "GET",
            "/customers/GetCustomersActionEndedByDate?Date=2025-03-04",
            true,
        ),
        ("GET", "/triggered_conditional_execution_gateway", true),
        ("POST", "/integrations/UpdateCustomerPromotionStatus", true),
        ("POST", "/conditional-execution/v2/triggered/webhooks", true),
        ("POST", "/conditional-execution/v2/triggered/approval", true),
        ("GET", TARGETED, false),
    ];
    for (role, wide) in [("narrow", false), ("wide", true)] {
        world.set(&json!({"integrations-role": role}));
        for (method, target, of_promotions) in calls {
            let answer = world.send(method, target, &headers, b"").await.unwrap();
            let refused = answer.status == 403;
            assert_eq!(refused, !(wide && of_promotions), "{role} {target}");
        }
    }
}
