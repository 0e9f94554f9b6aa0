//! The shape of rows, and each switch that changes it.

use serde_json::{Value, json};

use crate::world::{World, page_target};

/// A campaign of two actions on two channels.
pub(crate) fn campaign() -> Value {
    json!({
        "tenant": "acme", "id": 5101, "duration": 7, "lead_time": 3, "notes": "spring \"reload\"",
        "tags": ["reload", "spring"], "scheduled_at": "2025-03-04 10:00:00",
        "audience": {"customers": [
            "P-1", "00731", "731",
            {"id": "X9", "action": 65},
            {"id": "control", "action": 1},
        ]},
        "actions": [
            {"id": 24, "name": "10% reload", "share": 1.0, "promo_codes": ["FS20", "CB10"],
             "channels": [{"id": 504, "template_id": 520, "template_name": "Reload EN"},
                          {"id": 505, "template_id": 620, "delay_minutes": 120}]},
            {"id": 65, "name": "News", "share": 0.0,
             "channels": [{"id": 504, "template_id": 521}]},
        ],
    })
}

/// A world in which it is executed.
pub(crate) async fn world() -> World {
    let world = World::start().await;
    world.executed_spec(campaign());
    world
}

/// A row of its list on channel 504.
pub(crate) async fn row(world: &World, index: usize) -> Value {
    world.get(&page_target(5101, 504, 10, 0)).await.rows()[index].clone()
}

#[tokio::test]
async fn an_execution_row_has_the_documented_fields() {
    let world = world().await;
    let rows = world.get(&page_target(5101, 504, 10, 0)).await.rows();
    let row = |customer: &str| {
        json!({
            "CustomerID": customer, "ActionID": 24, "ChannelID": 504, "TemplateID": 520,
            "TemplateName": "Reload EN", "ScheduleTime": "2025-03-04 10:00:00",
            "PromoCode": "FS20,CB10",
        })
    };
    let news = json!({
        "CustomerID": "X9", "ActionID": 65, "ChannelID": 504, "TemplateID": 521,
        "TemplateName": "Template 521", "ScheduleTime": "2025-03-04 10:00:00", "PromoCode": "",
    });
    assert_eq!(rows, [row("P-1"), row("00731"), row("731"), news]);
    let later = world.get(&page_target(5101, 505, 10, 0)).await.rows();
    assert_eq!(later.len(), 3);
    assert_eq!(later[0]["ScheduleTime"], "2025-03-04 12:00:00");
}

#[tokio::test]
async fn attributes_come_when_asked_for() {
    let world = world().await;
    let target = page_target(5101, 504, 10, 0) + "&customerattributes=Alias;Country";
    let rows = world.get(&target).await.rows();
    assert_eq!(rows[0]["CustomerAttributes"].as_array().unwrap().len(), 2);
    assert_eq!(
        world.get(&target).await.rows(),
        rows,
        "always the same ones"
    );
    let wrong = format!("{target}&CustomerAttributesDelimiter=%24");
    assert_eq!(world.get(&wrong).await.status, 400);
}

#[tokio::test]
async fn promo_codes_come_in_each_form() {
    let world = world().await;
    for (form, two, none) in [
        ("csv", json!("FS20,CB10"), json!("")),
        ("csv-spaced", json!("FS20, CB10"), json!("")),
        ("array", json!(["FS20", "CB10"]), json!([])),
        (
            "json-array-string",
            json!("[\"FS20\",\"CB10\"]"),
            json!("[]"),
        ),
    ] {
        world.set(&json!({"promo-codes": form}));
        assert_eq!(row(&world, 0).await["PromoCode"], two, "{form}");
        assert_eq!(row(&world, 3).await["PromoCode"], none, "{form}");
    }
    world.set(&json!({"promo-codes": "row-per-code"}));
    let rows = world.get(&page_target(5101, 504, 10, 0)).await.rows();
    let pairs: Vec<_> = rows
        .iter()
        .map(|row| (row["CustomerID"].as_str(), row["PromoCode"].as_str()))
        .collect();
    let pair = |customer, code| (Some(customer), Some(code));
    assert_eq!(
        pairs,
        [
            pair("P-1", "FS20"),
            pair("P-1", "CB10"),
            pair("00731", "FS20"),
            pair("00731", "CB10"),
            pair("731", "FS20"),
            pair("731", "CB10"),
            pair("X9", ""),
        ]
    );
}

#[tokio::test]
async fn a_counted_audience_has_a_row_for_each_code_too() {
    let world = World::start().await;
    world.executed_spec(json!({
        "tenant": "acme", "id": 5101, "audience": {"count": 50, "prefix": "P-"},
        "actions": [
            {"id": 24, "promo_codes": ["A", "B", "C"], "channels": [{"id": 504}]},
            {"id": 25, "promo_codes": [], "channels": [{"id": 504}]},
        ],
    }));
    world.set(&json!({"promo-codes": "row-per-code"}));
    let rows = world.read_all(5101, 504, 20).await;
    assert_eq!(rows.len(), 25 * 3 + 25);
    let with = |code: &str| rows.iter().filter(|row| row["PromoCode"] == code).count();
    assert_eq!(
        [with("A"), with("B"), with("C"), with("")],
        [25, 25, 25, 25]
    );
}

#[tokio::test]
async fn times_come_in_each_format_and_under_each_name() {
    let world = world().await;
    for (format, text) in [
        ("space", "2025-03-04 10:00:00"),
        ("minutes", "2025-03-04 10:00"),
        ("iso", "2025-03-04T10:00:00"),
        ("iso-offset", "2025-03-04T10:00:00+00:00"),
    ] {
        world.set(&json!({"time-format": format}));
        assert_eq!(row(&world, 0).await["ScheduleTime"], text);
        let target = "/actions/GetExecutedCampaignChannelDetails?CampaignID=5101&ChannelID=504";
        assert_eq!(world.get(target).await.rows()[0]["ScheduledTime"], text);
    }
    for (name, plain, past) in [
        ("schedule-time", true, false),
        ("scheduled-time", false, true),
        ("both", true, true),
    ] {
        world.set(&json!({"schedule-field": name}));
        let row = row(&world, 0).await;
        let has = |field: &str| row.get(field).is_some();
        assert_eq!(
            (has("ScheduleTime"), has("ScheduledTime")),
            (plain, past),
            "{name}"
        );
    }
}

#[tokio::test]
async fn times_are_those_of_the_tenants_zone() {
    let world = World::start().await;
    world.zone("America/New_York").await;
    let mut spec = campaign();
    spec["scheduled_at"] = json!("2025-07-04T12:00:00Z");
    world.executed_spec(spec);
    assert_eq!(row(&world, 0).await["ScheduleTime"], "2025-07-04 08:00:00");
    world.set(&json!({"time-format": "iso-offset"}));
    assert_eq!(
        row(&world, 0).await["ScheduleTime"],
        "2025-07-04T08:00:00-04:00"
    );
}

#[tokio::test]
async fn ids_come_as_numbers_or_text() {
    let world = world().await;
    let ids = |row: &Value| (row["CustomerID"].clone(), row["ActionID"].clone());
    for (value, plain, zeros, digits) in [
        ("documented", json!("P-1"), json!("00731"), json!("731")),
        ("number", json!("P-1"), json!("00731"), json!(731)),
        ("string", json!("P-1"), json!("00731"), json!("731")),
    ] {
        world.set(&json!({"ids": value}));
        let action = if value == "string" {
            json!("24")
        } else {
            json!(24)
        };
        for (index, customer) in [plain, zeros, digits].into_iter().enumerate() {
            assert_eq!(
                ids(&row(&world, index).await),
                (customer, action.clone()),
                "{value}"
            );
        }
        let executed = world.get("/actions/GetExecutionChannels").await.rows();
        assert_eq!(executed[0]["ChannelID"].is_string(), value == "string");
    }
}

#[tokio::test]
async fn ids_of_a_counted_audience_follow_its_prefix() {
    let world = World::start().await;
    for (id, prefix, text, number) in [
        (1, "", json!("1"), json!(1)),
        (2, "70", json!("701"), json!(701)),
        (3, "0", json!("01"), json!("01")),
        (4, "a\"\\é", json!("a\"\\é1"), json!("a\"\\é1")),
    ] {
        world.executed_spec(json!({
            "tenant": "acme", "id": id, "audience": {"count": 1, "prefix": prefix},
            "actions": [{"id": 24, "channels": [{"id": 504}]}],
        }));
        for (ids, wanted) in [("documented", text), ("number", number)] {
            world.set(&json!({"ids": ids}));
            let rows = world.get(&page_target(id, 504, 10, 0)).await.rows();
            assert_eq!(rows[0]["CustomerID"], wanted, "{prefix:?} {ids}");
        }
    }
}

#[tokio::test]
async fn names_come_in_each_casing() {
    let world = world().await;
    let details = "/actions/GetCampaignDetails?CampaignID=5101";
    for (casing, customer, group, channel, id) in [
        (
            "documented",
            "CustomerID",
            "TargetGroupID",
            "ChannelID",
            "Id",
        ),
        ("live", "CustomerID", "TargetGroupID", "ChannelId", "Id"),
        ("camel", "customerID", "targetGroupID", "channelID", "id"),
        ("lower", "customerid", "targetgroupid", "channelid", "id"),
    ] {
        world.set(&json!({"key-casing": casing}));
        assert!(row(&world, 0).await.get(customer).is_some(), "{casing}");
        let details = world.get(details).await.json();
        assert!(details.get(group).is_some(), "{casing}");
        let channels = if casing == "documented" || casing == "live" {
            "Channels"
        } else {
            "channels"
        };
        assert!(details[channels][0].get(id).is_some(), "{casing}");
        let channels = world.get("/actions/GetExecutionChannels").await.rows();
        assert!(channels[0].get(channel).is_some(), "{casing}");
    }
}
