//! Conditional campaigns: held, approved, executed at the deadline.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::listener::Listener;
use crate::world::{World, page_target, simple};

/// Customers, all on channel 504, with FS20 for a week.
pub(crate) fn conditional(id: u64, customers: &[&str]) -> Value {
    let mut spec = simple(id, 0);
    spec["kind"] = "conditional".into();
    spec["audience"] = json!({"customers": customers});
    spec
}

/// A world at nine o'clock with a listener for events 1, 4, 5 and 13.
async fn at_nine() -> (World, Listener) {
    let world = World::start().await;
    world.at("2025-03-04T09:00:00Z");
    let listener = Listener::start().await;
    for event in [1, 4, 5, 13] {
        listener.register(&world, "/hook", event, Value::Null).await;
    }
    (world, listener)
}

/// The customers of the grant list.
async fn granted(world: &World, id: u64) -> Vec<String> {
    let rows = world.get(&page_target(id, 504, 100, 0)).await.rows();
    let ids = rows.iter().map(|row| row["CustomerID"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

async fn status(world: &World, id: u64) -> (String, u64, u64, u64) {
    let view = world
        .ok("GET", &format!("/campaigns/{id}"), Value::Null)
        .await;
    let number = |name: &str| view[name].as_u64().unwrap();
    let status = view["status"].as_str().unwrap().to_owned();
    (status, number("approved"), number("denied"), number("sent"))
}

fn golden(path: &str) -> Value {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/");
    serde_json::from_slice(&std::fs::read(format!("{root}{path}")).unwrap()).unwrap()
}

#[tokio::test]
async fn a_held_campaign_is_executed_to_the_approved_at_its_deadline() {
    let (world, mut listener) = at_nine().await;
    world.at("2025-03-04T09:05:00Z");
    let spec = conditional(5102, &["P-20031", "P-20044", "00731", "silent"]);
    world.sandbox.add_campaign(spec).unwrap();
    let view = world
        .ok(
            "POST",
            "/campaigns/5102/process",
            json!({"clearance_in_seconds": 1_500}),
        )
        .await;
    assert_eq!(
        (&view["status"], &view["sent"]),
        (&json!("held"), &json!(0))
    );
    let event: Value = serde_json::from_str(&listener.next().await.body).unwrap();
    assert_eq!(event, golden("notifications/event-5.json"));
    assert_eq!(
        granted(&world, 5102).await,
        [""; 0],
        "nobody before the deadline"
    );
    let update = "/Integrations/UpdateCustomerPromotionStatus";
    let body = golden("requests/update-customer-promotion-status.json");
    assert_eq!(world.post(update, body).await.status, 200);
    assert_eq!(status(&world, 5102).await, ("held".into(), 2, 1, 0));
    let observed = golden("requests/update-customer-promotion-status.observed.json");
    assert_eq!(world.post(update, observed).await.status, 200);
    assert_eq!(status(&world, 5102).await, ("held".into(), 3, 0, 0));
    world.advance(1_499);
    assert_eq!(world.sandbox.expected(5102).unwrap().count(), 0);
    assert_eq!(status(&world, 5102).await.0, "held");
    world.advance(1);
    assert_eq!(status(&world, 5102).await, ("executed".into(), 3, 0, 3));
    assert_eq!(granted(&world, 5102).await, ["P-20031", "P-20044", "00731"]);
    let kinds = listener.take(2).await;
    let kinds: Vec<Value> = kinds
        .iter()
        .map(|one| serde_json::from_str::<Value>(&one.body).unwrap()["EventTypeID"].clone())
        .collect();
    assert_eq!(kinds, [1, 13]);
    let expected: Vec<_> = world.sandbox.expected(5102).unwrap().collect();
    let customers: Vec<_> = expected
        .iter()
        .map(|one| one.customer_id.as_str())
        .collect();
    assert_eq!(customers, ["P-20031", "P-20044", "00731"]);
    // Half an hour lies between the deadline and the campaign's own time.
    let starts: Timestamp = "2025-03-04T10:00:00Z".parse().unwrap();
    assert_eq!(expected[0].starts_at, starts);
    let today = "/actions/GetExecutedCampaignDetails?Date=2025-03-04";
    assert_eq!(world.get(today).await.rows()[0]["CampaignID"], 5102);
}

#[tokio::test]
async fn moving_the_clock_answers_after_what_fell_due_is_queued() {
    let (world, _listener) = at_nine().await;
    for id in [5102, 5103] {
        world
            .sandbox
            .add_campaign(conditional(id, &["P-1"]))
            .unwrap();
        world.sandbox.hold(id, 600 * (5104 - id as u32)).unwrap();
    }
    world.advance(86_400);
    let executed: Vec<_> = world.told(1).await;
    let ids: Vec<_> = executed
        .iter()
        .map(|body| body["CampaignID"].as_u64())
        .collect();
    assert_eq!(
        ids,
        [Some(5103), Some(5102)],
        "in the order of their deadlines"
    );
    assert_eq!(
        executed[0]["TimeStamp"], "2025-03-04 09:10",
        "when it happened"
    );
    assert_eq!(executed[1]["TimeStamp"], "2025-03-04 09:20");
}

#[tokio::test]
async fn the_deadline_passes_by_itself_too() {
    let (world, mut listener) = at_nine().await;
    world
        .sandbox
        .add_campaign(conditional(5102, &["P-1"]))
        .unwrap();
    world.sandbox.hold(5102, 1).unwrap();
    let events = listener.take(3).await;
    assert!(events[0].body.contains("\"EventTypeID\":5,"));
    assert!(events[1].body.contains("\"EventTypeID\":1,"));
    assert!(events[2].body.contains("\"EventTypeID\":13,"));
}

#[tokio::test]
async fn without_any_approval_it_is_executed_to_nobody() {
    let (world, _listener) = at_nine().await;
    world
        .sandbox
        .add_campaign(conditional(5102, &["P-1", "P-2"]))
        .unwrap();
    world.sandbox.hold(5102, 60).unwrap();
    world.report(5102, &[("P-1", false)]).await;
    world.advance(60);
    assert_eq!(status(&world, 5102).await, ("executed".into(), 0, 1, 0));
    assert_eq!(granted(&world, 5102).await, [""; 0]);
    assert_eq!(world.sandbox.expected(5102).unwrap().count(), 0);
    assert_eq!(world.told(13).await.len(), 1);
}

#[tokio::test]
async fn notice_and_deadline_lie_before_the_campaigns_time() {
    let (world, _listener) = at_nine().await;
    let held = async |id: u64, scheduled_at: Value, switches: Value| {
        world.set(&switches);
        let mut spec = conditional(id, &["P-1"]);
        spec["scheduled_at"] = scheduled_at;
        world.sandbox.add_campaign(spec).unwrap();
        let view = world
            .ok("POST", &format!("/campaigns/{id}/process"), json!({}))
            .await;
        let group = &view["send_groups"][0];
        let at = |name: &str| group[name].as_str().unwrap()[11..16].to_owned();
        (at("announced_at"), at("clearance_required_by"))
    };
    let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
    // No time given: the notice is now, so the campaign's time follows.
    assert_eq!(
        held(1, Value::Null, json!({})).await,
        pair("09:00", "09:30")
    );
    let noon = json!("2025-03-04 12:00");
    assert_eq!(
        held(2, noon.clone(), json!({})).await,
        pair("11:00", "11:30")
    );
    let notice = json!({"clearance-notice-minutes": 30});
    assert_eq!(held(3, noon.clone(), notice).await, pair("11:30", "11:30"));
    let deadline = json!({"clearance-notice-minutes": 90, "clearance-deadline-minutes": 5});
    assert_eq!(
        held(4, noon, deadline.clone()).await,
        pair("10:30", "11:55")
    );
    assert_eq!(held(5, Value::Null, deadline).await, pair("09:00", "10:25"));
    assert_eq!(
        world.told(5).await.len(),
        2,
        "only those without a time of their own yet"
    );
    world.at("2025-03-04T11:00:00Z");
    assert_eq!(
        world.told(5).await.len(),
        4,
        "the second and the fourth are due"
    );
    let rows = world
        .get("/customers/GetProcessedCampaignCustomers?CampaignID=3")
        .await;
    assert_eq!(rows.json(), json!([]), "the third is not announced yet");
    assert_eq!(world.report(3, &[("P-1", true)]).await, 200);
    world.at("2025-03-04T12:00:00Z");
    assert_eq!(granted(&world, 3).await, ["P-1"]);
}

#[tokio::test]
async fn a_campaign_cancelled_while_held_is_sent_to_nobody() {
    let (world, _listener) = at_nine().await;
    world
        .sandbox
        .add_campaign(conditional(5102, &["P-1"]))
        .unwrap();
    world.sandbox.hold(5102, 600).unwrap();
    world.report(5102, &[("P-1", true)]).await;
    world.sandbox.cancel(5102).unwrap();
    assert_eq!(world.told(4).await[0]["CampaignID"], 5102);
    world.advance(3_600);
    assert_eq!(status(&world, 5102).await, ("cancelled".into(), 1, 0, 0));
    assert_eq!(world.told(1).await.len(), 0);
    assert_eq!(granted(&world, 5102).await, [""; 0]);
    assert_eq!(world.sandbox.expected(5102).unwrap().count(), 0);
    let taken_back = "/customers/GetCanceledCampaignCustomers?CampaignID=5102";
    assert_eq!(
        world.get(taken_back).await.rows().len(),
        1,
        "all who were processed"
    );
    let details = world
        .get("/actions/GetCampaignDetails?CampaignID=5102")
        .await;
    assert_eq!(details.json()["Status"], "Canceled");
}

#[tokio::test]
async fn a_campaign_cancelled_after_clearance_is_taken_back_from_the_approved() {
    let (world, _listener) = at_nine().await;
    world
        .sandbox
        .add_campaign(conditional(5102, &["P-1", "P-2"]))
        .unwrap();
    world.sandbox.hold(5102, 600).unwrap();
    world.report(5102, &[("P-1", true), ("P-2", false)]).await;
    world.advance(600);
    world.sandbox.cancel(5102).unwrap();
    let taken_back = "/customers/GetCanceledCampaignCustomers?CampaignID=5102";
    let rows = world.get(taken_back).await.rows();
    assert_eq!(
        rows,
        [json!({"CustomerID": "P-1", "ActionID": "24", "PromoCode": "FS20"})]
    );
    assert_eq!(world.sandbox.expected(5102).unwrap().count(), 0);
}

#[tokio::test]
async fn what_the_api_says_of_a_held_campaign() {
    let (world, _listener) = at_nine().await;
    world
        .sandbox
        .add_campaign(conditional(5102, &["P-1"]))
        .unwrap();
    let details = "/actions/GetCampaignDetails?CampaignID=5102";
    assert_eq!(world.get(details).await.status, 404, "a draft is not known");
    world.sandbox.hold(5102, 600).unwrap();
    assert_eq!(world.get(details).await.json()["Status"], "Pending");
    let today = "/actions/GetExecutedCampaignDetails?Date=2025-03-04";
    assert_eq!(world.get(today).await.json(), json!([]));
    world.advance(600);
    assert_eq!(world.get(details).await.json()["Status"], "Successful");
    let channel = "/actions/GetExecutedCampaignsByChannel?ChannelID=504&Date=2025-03-04";
    assert_eq!(
        world.get(channel).await.json(),
        json!([{"CampaignID": 5102}])
    );
}

#[tokio::test]
async fn millions_are_approved_and_listed_page_by_page() {
    let world = World::start().await;
    world.set(&json!({"page-default": 1_000}));
    let mut spec = simple(5102, 20_000_000);
    spec["kind"] = "conditional".into();
    spec["control_share"] = json!(0.999_9);
    world.sandbox.add_campaign(spec).unwrap();
    world.sandbox.hold(5102, 600).unwrap();
    let target = "/customers/GetProcessedCampaignCustomers?CampaignID=5102&$top=3000";
    let rows = world.get(target).await.rows();
    assert_eq!(rows.len(), 2_000);
    let ids: Vec<&str> = rows
        .iter()
        .map(|row| row["CustomerID"].as_str().unwrap())
        .collect();
    let reports: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(n, id)| (*id, n % 3 == 0))
        .collect();
    assert_eq!(world.report(5102, &reports).await, 200);
    world.advance(600);
    let approved: Vec<_> = reports
        .iter()
        .filter(|one| one.1)
        .map(|one| one.0)
        .collect();
    for top in [7, 300, 5_000] {
        let rows = world.read_all(5102, 504, top).await;
        assert_eq!(
            crate::world::column(&rows, "CustomerID"),
            approved,
            "pages of {top}"
        );
    }
    let expected = world.sandbox.expected(5102).unwrap();
    let mut expected: Vec<_> = expected.map(|one| one.customer_id).collect();
    let mut approved: Vec<_> = approved.iter().map(ToString::to_string).collect();
    expected.sort();
    approved.sort();
    assert_eq!(expected, approved);
}

#[tokio::test]
async fn the_switches_of_notifications_touch_events_4_and_5() {
    let (world, mut listener) = at_nine().await;
    world.set(&json!({"notify-events": [4, 5], "notify-duplicate": 1}));
    world
        .sandbox
        .add_campaign(conditional(5102, &["P-1"]))
        .unwrap();
    world.sandbox.hold(5102, 600).unwrap();
    world.sandbox.cancel(5102).unwrap();
    let bodies: Vec<String> = listener
        .take(4)
        .await
        .into_iter()
        .map(|one| one.body)
        .collect();
    assert!(bodies[0].contains("\"EventTypeID\":5,") && bodies[0] == bodies[1]);
    assert!(bodies[2].contains("\"EventTypeID\":4,") && bodies[2] == bodies[3]);
    world.set(&json!({"notify-events": [5], "notify-drop": 100}));
    world
        .sandbox
        .add_campaign(conditional(5103, &["P-1"]))
        .unwrap();
    world.sandbox.hold(5103, 600).unwrap();
    world.sandbox.cancel(5103).unwrap();
    assert!(
        listener.next().await.body.contains("\"EventTypeID\":4,"),
        "5 was dropped"
    );
}

#[tokio::test]
async fn the_deadline_is_written_in_each_format_of_the_tenants_zone() {
    let (world, mut listener) = at_nine().await;
    let zone = json!({"time_zone": "Asia/Kolkata"});
    world.ok("PUT", "/tenants/acme", zone).await;
    for (id, format, text) in [
        (1_u64, "space", "2025-03-04 15:00:00"),
        (2, "minutes", "2025-03-04 15:00"),
        (3, "iso", "2025-03-04T15:00:00"),
        (4, "iso-offset", "2025-03-04T15:00:00+05:30"),
    ] {
        world.set(&json!({"time-format": format}));
        world
            .sandbox
            .add_campaign(conditional(id, &["P-1"]))
            .unwrap();
        world.at("2025-03-04T09:00:00Z");
        world.sandbox.hold(id, 1_800).unwrap();
        let event: Value = serde_json::from_str(&listener.next().await.body).unwrap();
        assert_eq!(event["ClearanceRequiredBy"], text);
    }
}
