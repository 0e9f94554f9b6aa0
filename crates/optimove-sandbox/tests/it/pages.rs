//! Paging of the customer list, the switches that disturb it, and audiences of any size.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{World, column, page_target, simple};

fn two_channels(id: u64, count: u64) -> Value {
    json!({
        "tenant": "acme", "id": id, "duration": 7, "lead_time": 0, "control_share": 0.1,
        "audience": {"count": count, "prefix": ""},
        "actions": [
            {"id": 24, "share": 0.6, "promo_codes": ["FS20", "CB10"],
             "channels": [{"id": 504, "share": 0.7}, {"id": 505, "share": 0.6}]},
            {"id": 65, "share": 0.4, "promo_codes": [], "channels": [{"id": 505}]},
        ],
    })
}

#[tokio::test]
async fn the_sum_of_the_pages_is_the_same_at_any_size() {
    let world = World::start().await;
    world.executed(5101, 1_003);
    let whole = world.read_all(5101, 504, 10_000).await;
    assert_eq!(whole.len(), 1_003);
    for top in [1, 7, 100, 1_003] {
        assert_eq!(
            world.read_all(5101, 504, top).await,
            whole,
            "in pages of {top}"
        );
    }
    let ids: HashSet<&str> = column(&whole, "CustomerID").into_iter().collect();
    let wanted: HashSet<String> = (1..=1_003).map(|number| format!("P-{number}")).collect();
    assert_eq!(ids, wanted.iter().map(String::as_str).collect());
    assert_ne!(
        whole[0]["CustomerID"], "P-1",
        "the order is not that of the ids"
    );
}

#[tokio::test]
async fn a_list_without_a_channel_is_that_of_all_channels_one_after_the_other() {
    let world = World::start().await;
    world.executed_spec(two_channels(5101, 500));
    let (email, text) = (
        world.read_all(5101, 504, 100).await,
        world.read_all(5101, 505, 100).await,
    );
    let both = [email.clone(), text.clone()].concat();
    assert_eq!(world.read_all(5101, 0, 100).await, both);
    let target = "/Customers/GetCustomerExecutionDetailsByCampaign?CampaignID=5101";
    assert_eq!(world.get(target).await.rows(), both);
    // 450 customers outside the control group: 270 and 180, cut by the channels' shares.
    assert_eq!((email.len(), text.len()), (189, 162 + 180));
    let on_email: HashSet<&str> = column(&email, "CustomerID").into_iter().collect();
    let on_text: HashSet<&str> = column(&text, "CustomerID").into_iter().collect();
    assert_eq!(
        on_email.intersection(&on_text).count(),
        189 + 162 - 270,
        "a partial overlap"
    );
    let (_, view) = world.control("GET", "/campaigns/5101", Value::Null).await;
    assert_eq!(
        (&view["audience"], &view["control"], &view["sent"]),
        (&json!(500), &json!(50), &json!(450))
    );
}

#[tokio::test]
async fn a_page_is_as_long_as_asked_up_to_the_cap() {
    let world = World::start().await;
    world.executed(5101, 500);
    let bare = "/customers/GetCustomerExecutionDetailsByCampaign?CampaignID=5101&top=5&skip=490";
    assert_eq!(
        world.get(bare).await.rows().len(),
        500,
        "names without the sign have no effect"
    );
    world.set(&json!({"bare-paging": "honour"}));
    assert_eq!(world.get(bare).await.rows().len(), 5);
    world.set(&json!({"bare-paging": null, "page-default": 40}));
    assert_eq!(world.get(bare).await.rows().len(), 40);
    world.set(&json!({"page-default": null, "page-cap": 30}));
    assert_eq!(world.get(bare).await.rows().len(), 30);
    assert_eq!(
        world
            .get(&page_target(5101, 504, 100, 0))
            .await
            .rows()
            .len(),
        30
    );
    assert_eq!(world.read_all(5101, 504, 100).await.len(), 500);
    for wrong in ["$top=x", "$skip=-1", "$top=1.5"] {
        let target =
            format!("/customers/GetCustomerExecutionDetailsByCampaign?CampaignID=5101&{wrong}");
        assert_eq!(world.get(&target).await.status, 400, "{wrong}");
    }
    assert_eq!(world.get(&page_target(5101, 504, 0, 0)).await.text(), "[]");
}

#[tokio::test]
async fn the_order_can_differ_between_requests() {
    let world = World::start().await;
    world.executed(5101, 200);
    let target = page_target(5101, 504, 200, 0);
    let stable = world.get(&target).await.rows();
    assert_eq!(world.get(&target).await.rows(), stable);
    world.set(&json!({"page-order": "shuffle"}));
    let (first, second) = (
        world.get(&target).await.rows(),
        world.get(&target).await.rows(),
    );
    assert!(first != stable && first != second);
    let sorted = |rows: &[Value]| {
        let mut ids: Vec<String> = column(rows, "CustomerID")
            .into_iter()
            .map(str::to_owned)
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(
        sorted(&first),
        sorted(&stable),
        "a whole page still holds everyone"
    );
}

#[tokio::test]
async fn with_repeat_each_page_begins_with_the_last_row_of_the_one_before() {
    let world = World::start().await;
    world.executed(5101, 100);
    let stable = world.read_all(5101, 504, 100).await;
    world.set(&json!({"page-churn": "repeat"}));
    let pages = [
        world.get(&page_target(5101, 504, 10, 0)).await.rows(),
        world.get(&page_target(5101, 504, 10, 10)).await.rows(),
        world.get(&page_target(5101, 504, 10, 20)).await.rows(),
    ];
    assert_eq!(pages[0].last(), pages[1].first());
    assert_eq!(pages[1].last(), pages[2].first());
    for top in [2, 7, 10, 33, 99, 100] {
        let rows = world.read_all(5101, 504, top).await;
        let mut distinct: Vec<Value> = Vec::new();
        for row in &rows {
            if !distinct.contains(row) {
                distinct.push(row.clone());
            }
        }
        assert_eq!(distinct, stable, "everything still comes in pages of {top}");
        assert_eq!(
            rows.len() > stable.len(),
            top < 100,
            "{} rows in pages of {top}",
            rows.len()
        );
    }
    assert_eq!(
        world.read_all(5101, 504, 1).await,
        stable,
        "a page of one row cannot repeat"
    );
}

#[tokio::test]
async fn with_skip_a_row_at_each_page_edge_is_missing_until_the_list_was_read_once() {
    let world = World::start().await;
    world.executed(5101, 100);
    let stable = world.read_all(5101, 504, 100).await;
    world.set(&json!({"page-churn": "skip"}));
    let first = world.read_all(5101, 504, 10).await;
    let edges: Vec<usize> = (0..100).filter(|index| index % 11 != 10).collect();
    let wanted: Vec<&Value> = edges.iter().map(|index| &stable[*index]).collect();
    assert_eq!(first.iter().collect::<Vec<_>>(), wanted);
    assert_eq!(
        world.read_all(5101, 504, 10).await,
        stable,
        "the next pass is whole"
    );
    world.set(&json!({"page-churn": null}));
    world.set(&json!({"page-churn": "skip"}));
    assert_eq!(
        world.read_all(5101, 504, 10).await.len(),
        91,
        "turned on again, it begins anew"
    );
}

#[tokio::test]
async fn an_empty_page_has_the_form_of_the_switch() {
    let world = World::start().await;
    world.executed(5101, 3);
    let beyond = page_target(5101, 504, 10, 3);
    for (value, status, body) in [
        ("array", 200, "[]"),
        ("no-content", 204, ""),
        ("not-found", 404, "\"Not Found\""),
        ("empty-body", 200, ""),
    ] {
        world.set(&json!({"empty-result": value}));
        let answer = world.get(&beyond).await;
        assert_eq!((answer.status, answer.text()), (status, body), "{value}");
        if value == "empty-body" {
            assert_eq!(answer.header("content-length"), Some("0"));
        }
        let catalogue = world.get("/integrations/GetPromotions").await;
        assert_eq!(catalogue.status, status, "the same for other lists");
        let unknown = world.get("/actions/GetCampaignDetails?CampaignID=1").await;
        assert_eq!(unknown.status, 404, "an unknown campaign is always 404");
        assert_eq!(
            world.get(&page_target(5101, 504, 10, 0)).await.rows().len(),
            3
        );
    }
}

/// Ten million customers: the pages are computed, so the last comes as the first does.
#[tokio::test]
async fn ten_million_customers_need_no_memory() {
    let world = World::start().await;
    world.executed_spec(two_channels(5101, 10_000_000));
    let before = memory_bytes();
    // 505 reaches 60 % of the 5.4 million of one action and the 3.6 million of the other.
    let rows = 3_240_000 + 3_600_000;
    let first = world.get(&page_target(5101, 505, 10_000, 0)).await.rows();
    let last = world
        .get(&page_target(5101, 505, 10_000, rows - 4))
        .await
        .rows();
    assert_eq!((first.len(), last.len()), (10_000, 4));
    assert_eq!(
        world.get(&page_target(5101, 505, 10, rows)).await.text(),
        "[]"
    );
    let ids: HashSet<&str> = column(&first, "CustomerID").into_iter().collect();
    assert_eq!(ids.len(), 10_000);
    let mut actions = BTreeMap::new();
    for row in &first {
        *actions
            .entry(row["ActionID"].as_u64().unwrap())
            .or_insert(0) += 1;
    }
    assert!(
        actions[&24] > 4_000 && actions[&65] > 4_000,
        "the actions are mixed: {actions:?}"
    );
    let grown = memory_bytes().saturating_sub(before);
    assert!(
        grown < 200 << 20,
        "{grown} bytes more, where holding the audience takes over 300 MB"
    );
}

/// Memory in use by this process; 0 where the system does not say.
fn memory_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * 4_096
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the campaign: sizes are exact, nobody comes twice on a channel, and the rows are
    /// those of whom the oracle expects.
    #[test]
    fn rows_and_oracle_agree(
        seed in 0_u64..1_000,
        count in 0_u64..300,
        control in 0.0_f64..=1.0,
        shares in prop::collection::vec((0.01_f64..1.0, 0.0_f64..=1.0, 0.0_f64..=1.0), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::with_seed(seed).await;
            world.set(&json!({"rate-limit-requests": 0}));
            let actions: Vec<Value> = shares.iter().enumerate().map(|(index, (share, one, other))| {
                json!({
                    "id": 20 + index, "share": share, "promo_codes": [format!("C{index}")],
                    "channels": [{"id": 504, "share": one}, {"id": 505, "share": other}],
                })
            }).collect();
            let id = world.executed_spec(json!({
                "tenant": "acme", "audience": {"count": count, "prefix": "c"},
                "control_share": control, "actions": actions,
            }));
            let mut sent = HashSet::new();
            for channel in [504, 505] {
                let rows = world.read_all(id, channel, 1_000).await;
                let ids: HashSet<&str> = column(&rows, "CustomerID").into_iter().collect();
                assert_eq!(ids.len(), rows.len());
                sent.extend(rows.iter().map(|row| {
                    let text = |name: &str| row[name].as_str().unwrap().to_owned();
                    (text("CustomerID"), text("PromoCode"))
                }));
            }
            let expected: Vec<_> = world.sandbox.expected(id).unwrap()
                .map(|one| (one.customer_id, one.promo_code)).collect();
            assert_eq!(expected.len(), sent.len());
            assert_eq!(expected.into_iter().collect::<HashSet<_>>(), sent);
            let (_, view) = world.control("GET", &format!("/campaigns/{id}"), Value::Null).await;
            assert_eq!(view["sent"], sent.len());
            let control = (count as f64 * control).round() as u64;
            assert_eq!(view["control"], control);
            let target = format!("/actions/GetCampaignDetails?CampaignID={id}");
            let details = world.get(&target).await.json();
            assert_eq!(details["ControlGroupSize"], control);
            assert_eq!(details["TestGroupSize"], count - control);
        });
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_world_and_another_seed_another() {
    let read = |seed| async move {
        let world = World::with_seed(seed).await;
        world.executed_spec(simple(5101, 50));
        world.read_all(5101, 504, 100).await
    };
    let (one, same, other) = (read(3).await, read(3).await, read(4).await);
    let ids = |rows: &[Value]| column(rows, "CustomerID").join(" ");
    assert_eq!(ids(&one), ids(&same));
    assert_ne!(ids(&one), ids(&other));
}
