//! The shape of answers, and each switch that changes it.

use serde_json::{Value, json};

use crate::world::{World, page_target};

fn campaign() -> Value {
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

async fn world() -> World {
    let world = World::start().await;
    world.executed_spec(campaign());
    world
}

async fn row(world: &World, index: usize) -> Value {
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
    world
        .control(
            "PUT",
            "/tenants/acme",
            json!({"time_zone": "America/New_York"}),
        )
        .await;
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

#[tokio::test]
async fn campaign_details_are_complete() {
    let world = world().await;
    let wanted = json!({
        "TargetGroupID": 15, "CampaignType": "Test/Control", "Duration": 7, "LeadTime": 3,
        "Notes": "spring \"reload\"", "IsMultiChannel": true, "IsRecurrence": false,
        "Status": "Successful", "Error": "", "TestGroupSize": 4, "ControlGroupSize": 1,
        "Channels": [{"Id": 504, "Name": "Email"}, {"Id": 505, "Name": "SMS"}],
        "Tags": ["reload", "spring"],
    });
    let target = "/actions/GetCampaignDetails?CampaignID=5101";
    assert_eq!(world.get(target).await.json(), wanted);
    world.set(&json!({"booleans": "string"}));
    assert_eq!(world.get(target).await.json()["IsMultiChannel"], "true");
    world.set(&json!({"booleans": null, "optional-fields": "null-value"}));
    let details = world.get(target).await.json();
    let optional = [
        "Status",
        "Error",
        "Notes",
        "LeadTime",
        "IsMultiChannel",
        "IsRecurrence",
        "TestGroupSize",
        "ControlGroupSize",
        "Channels",
        "Tags",
    ];
    assert!(
        optional
            .iter()
            .all(|name| details.get(name) == Some(&Value::Null)),
        "{details}"
    );
    assert_eq!(details["Duration"], 7);
    world.set(&json!({"optional-fields": "absent"}));
    let details = world.get(target).await.json();
    assert!(
        optional.iter().all(|name| details.get(name).is_none()),
        "{details}"
    );
    let row = row(&world, 0).await;
    assert!(row.get("TemplateName").is_none() && row["PromoCode"] == "FS20,CB10");
}

#[tokio::test]
async fn a_failing_channel_shows_in_the_details() {
    let world = world().await;
    world.set(&json!({"failing-channels": [505]}));
    let details = world
        .get("/actions/GetCampaignDetails?CampaignID=5101")
        .await
        .json();
    assert_eq!(details["Status"], "Successful");
    assert_eq!(details["Error"], "A template of channel 505 failed.");
    assert_eq!(
        world.get(&page_target(5101, 505, 10, 0)).await.rows().len(),
        3
    );
}

#[tokio::test]
async fn the_reads_of_a_campaign_agree_with_it() {
    let world = world().await;
    let today = world.sandbox.now().to_string()[..10].to_owned();
    let world = &world;
    let get = |target: String| async move { world.get(&target).await.json() };
    let executed = get(format!("/actions/GetExecutedCampaignDetails?Date={today}")).await;
    assert_eq!(
        (&executed[0]["CampaignID"], &executed[0]["Duration"]),
        (&json!(5101), &json!(7))
    );
    let other_day = get("/actions/GetExecutedCampaignDetails?Date=2001-01-01".into()).await;
    assert_eq!(other_day, json!([]));
    let by_channel = |channel| {
        format!("/actions/GetExecutedCampaignsByChannel?ChannelID={channel}&Date={today}")
    };
    assert_eq!(get(by_channel(505)).await, json!([{"CampaignID": 5101}]));
    assert_eq!(get(by_channel(506)).await, json!([]));
    let code = |action: u64, group: u64, code: &str| -> Value {
        json!({"RecipientGroupID": group, "ActionID": action, "PromoCode": code})
    };
    let codes = json!([code(24, 1, "FS20"), code(24, 1, "CB10"), code(65, 2, "")]);
    assert_eq!(
        get("/actions/GetPromoCodesByCampaign?CampaignID=5101".into()).await,
        codes
    );
    let by_group =
        |group| format!("/actions/GetPromoCodesByTargetGroup?TargetGroupID={group}&Date={today}");
    assert_eq!(get(by_group(15)).await, codes);
    assert_eq!(get(by_group(16)).await, json!([]));
    let of_day = get(format!("/actions/GetPromoCodes?Date={today}")).await;
    assert_eq!(of_day[0]["TargetGroupID"], 15);
    assert_eq!(of_day.as_array().unwrap().len(), 3);
    let name = get("/actions/GetActionName?ActionID=24".into()).await;
    assert_eq!(name, json!({"ActionName": "10% reload"}));
    assert_eq!(
        world.get("/actions/GetActionName?ActionID=99").await.status,
        404
    );
    let all = get("/actions/GetAllActions".into()).await;
    assert_eq!(all[0], json!({"ActionID": 1, "ActionName": "DN"}));
    assert_eq!(all.as_array().unwrap().len(), 3);
    let sends =
        get("/actions/GetExecutedCampaignChannelDetails?CampaignID=5101&ChannelID=504".into())
            .await;
    let templates: Vec<_> = sends
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["TemplateID"])
        .collect();
    assert_eq!(templates, [&json!(520), &json!(521)]);
    for wrong in [
        "/actions/GetCampaignDetails",
        "/actions/GetCampaignDetails?CampaignID=x",
        "/actions/GetExecutedCampaignDetails?Date=2025-13-01",
        "/actions/GetExecutedCampaignDetails",
        "/actions/GetExecutedCampaignsByChannel?Date=2025-03-04",
    ] {
        assert_eq!(world.get(wrong).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn data_are_of_the_day_before_in_the_tenants_zone() {
    let world = World::start().await;
    world
        .control(
            "PUT",
            "/tenants/acme",
            json!({"time_zone": "Pacific/Auckland"}),
        )
        .await;
    world
        .control("PUT", "/clock", json!({"now": "2025-03-04T12:00:00Z"}))
        .await;
    let answer = world.get("/general/GetLastDataUpdate").await;
    assert_eq!(
        answer.json(),
        json!({"Date": "2025-03-04"}),
        "it is the 5th there already"
    );
}

#[tokio::test]
async fn a_campaign_is_listed_on_its_execution_date_in_the_tenants_zone() {
    let world = World::start().await;
    world
        .control(
            "PUT",
            "/tenants/acme",
            json!({"time_zone": "Pacific/Auckland"}),
        )
        .await;
    world
        .control("PUT", "/clock", json!({"now": "2025-03-04T12:00:00Z"}))
        .await;
    world.executed_spec(campaign());
    let on = |date: &str| format!("/actions/GetExecutedCampaignDetails?Date={date}");
    assert_eq!(world.get(&on("2025-03-05")).await.rows().len(), 1);
    assert_eq!(world.get(&on("2025-03-04")).await.rows().len(), 0);
}

#[tokio::test]
async fn a_draft_and_a_cancelled_campaign_have_no_rows() {
    let world = World::start().await;
    world.sandbox.add_campaign(campaign()).unwrap();
    let details = "/actions/GetCampaignDetails?CampaignID=5101";
    assert_eq!(
        world.get(details).await.status,
        404,
        "not known before it is processed"
    );
    assert_eq!(world.get(&page_target(5101, 504, 10, 0)).await.text(), "[]");
    world.sandbox.process(5101).unwrap();
    assert_eq!(
        world.get(&page_target(5101, 504, 10, 0)).await.rows().len(),
        4
    );
    world.sandbox.cancel(5101).unwrap();
    assert_eq!(world.get(&page_target(5101, 504, 10, 0)).await.text(), "[]");
    assert_eq!(world.get(details).await.json()["Status"], "Canceled");
    let today = world.sandbox.now().to_string()[..10].to_owned();
    let executed = format!("/actions/GetExecutedCampaignDetails?Date={today}");
    assert_eq!(world.get(&executed).await.text(), "[]");
}

#[tokio::test]
async fn every_answer_tells_its_length_unless_it_is_chunked() {
    let world = world().await;
    let targets = [
        page_target(5101, 504, 10, 0),
        "/actions/GetCampaignDetails?CampaignID=5101".to_owned(),
        "/actions/GetCampaignDetails?CampaignID=1".to_owned(),
        "/nowhere".to_owned(),
    ];
    for target in &targets {
        let answer = world.get(target).await;
        assert_eq!(
            answer.header("content-length"),
            Some(&*answer.body.len().to_string())
        );
        assert_eq!(answer.header("transfer-encoding"), None);
    }
    let added = world.post("/integrations/AddPromotions", json!([])).await;
    assert_eq!(
        (added.header("content-length"), added.body.len()),
        (Some("0"), 0)
    );
    let whole = world.get(&targets[0]).await;
    world.set(&json!({"transfer": "chunked"}));
    let answer = world.get(&targets[0]).await;
    assert_eq!(answer.header("content-length"), None);
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    let chunked = answer.text();
    assert!(
        chunked.contains(whole.text()) && chunked.ends_with("0\r\n\r\n"),
        "{chunked}"
    );
}

#[tokio::test]
async fn a_write_answers_in_each_form() {
    let world = World::start().await;
    for (form, body) in [
        ("empty", ""),
        ("response-code", "{\"ResponseCode\":200}"),
        ("json-true", "true"),
    ] {
        world.set(&json!({"void-body": form}));
        let answer = world.post("/integrations/AddPromotions", json!([])).await;
        assert_eq!((answer.status, answer.text()), (200, body));
    }
}

#[tokio::test]
async fn an_error_answers_in_each_form() {
    let world = World::start().await;
    let message = "A number is needed for CampaignID.";
    let json = |form: &str| match form {
        "json-string" => json!(message),
        "problem" => json!({"type": "about:blank", "title": "Bad Request", "status": 400,
                            "errors": {"request": [message]}}),
        "errors-object" => json!({"Errors": [message]}),
        "error-object" => json!({"Error": message}),
        _ => json!(json!({"Error": message}).to_string()),
    };
    for form in [
        "json-string",
        "problem",
        "errors-object",
        "error-object",
        "double-encoded",
    ] {
        world.set(&json!({"error-body": form}));
        let answer = world.get("/actions/GetCampaignDetails").await;
        assert_eq!((answer.status, answer.json()), (400, json(form)), "{form}");
    }
    world.set(&json!({"error-body": "plain"}));
    assert_eq!(
        world.get("/actions/GetCampaignDetails").await.text(),
        message
    );
}
