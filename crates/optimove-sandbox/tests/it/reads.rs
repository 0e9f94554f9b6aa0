//! What can be read of a campaign beside its rows, and on which day.

use serde_json::{Value, json};

use crate::shapes::{campaign, row, world};
use crate::world::{World, page_target};

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
    world.zone("Pacific/Auckland").await;
    world.at("2025-03-04T12:00:00Z");
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
    world.zone("Pacific/Auckland").await;
    world.at("2025-03-04T12:00:00Z");
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
