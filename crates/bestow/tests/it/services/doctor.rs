use std::os::unix::fs::PermissionsExt;

use bestow::actor::Actor;
use bestow::service::doctor::{self, Finding};
use bestow::service::{promotions, tenants};
use http::Method;
use serde_json::json;

use crate::support::World;

async fn healthy() -> World {
    let world = World::start().await;
    world.connect(&json!({"time_zone": "Europe/Lisbon"})).await;
    promotions::sync(&world.app, &Actor::cli(), &world.acme())
        .await
        .expect("the catalogue is synced");
    world
}

async fn findings(world: &World) -> Vec<Finding> {
    let mut findings = doctor::files(&world.app.config);
    findings.extend(doctor::app(&world.app).await);
    findings
}

fn texts(findings: &[Finding]) -> String {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[tokio::test]
async fn a_deployment_that_is_well_has_no_finding() {
    let world = healthy().await;
    assert_eq!(findings(&world).await, []);
}

#[tokio::test]
async fn each_ailment_is_found_with_its_fix() {
    let world = healthy().await;
    let key = world.app.config.key_file();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    world.put_promotion("NEW", "active").await;
    let rotated = tenants::rotate_listeners(&world.app, &Actor::cli(), "acme").await;
    assert_eq!(rotated.unwrap().listener_generation, 2);
    let text = texts(&findings(&world).await);
    assert!(text.contains("chmod 600"), "{text}");
    assert!(text.contains("bestow listeners sync acme"), "{text}");
    assert!(
        text.contains("Optimove's list lacks 1 of our promotions (NEW)"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[tokio::test]
async fn a_credential_that_is_refused_says_so() {
    let world = healthy().await;
    let keys = json!({"api_keys": [{"key": "another-key", "role": "admin"}]});
    world
        .control(Method::PUT, "/_sandbox/tenants/acme", &keys)
        .await;
    let text = texts(&findings(&world).await);
    assert!(text.contains("bestow tenant rotate"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[tokio::test]
async fn settings_that_surprise_are_told_of() {
    let world = World::start().await;
    world.connect(&json!({ "scheduled_channels": [] })).await;
    promotions::sync(&world.app, &Actor::cli(), &world.acme())
        .await
        .unwrap();
    let found = findings(&world).await;
    let text = texts(&found);
    assert!(text.contains("zone is UTC"), "{text}");
    assert!(text.contains("no scheduled channel"), "{text}");
    assert!(found.iter().all(|finding| !finding.is_error()));
}

#[tokio::test]
async fn days_whose_ended_lists_nobody_read_are_found() {
    let world = World::start().await;
    world.connect(&json!({"expiry": "ended_by_date"})).await;
    promotions::sync(&world.app, &Actor::cli(), &world.acme())
        .await
        .unwrap();
    world.run(5, &json!({})).await;
    world.travel("2027-03-27T12:00:00Z").await;
    world.settle().await;
    let text = texts(&findings(&world).await);
    assert!(!text.contains("ended actions"), "{text}");
    // Three days are wanted, and cannot be read.
    let down = json!({"fault-kind": "status-500", "fault-percent": 100,
        "fault-functions": ["GetCustomersActionEndedByDate"]});
    world.sandbox.set_switches(&down).unwrap();
    world.travel("2027-03-30T12:00:00Z").await;
    world.steps(20).await;
    let text = texts(&findings(&world).await);
    let told =
        "the lists of ended actions of 2 days are not read to their end, the oldest of 2027-03-27";
    assert!(text.contains(told), "{text}");
}

#[tokio::test]
async fn work_that_nobody_does_is_found() {
    let world = healthy().await;
    let campaign = world.plan(5, &json!({}));
    world.sandbox.process(campaign).unwrap();
    world.delivered().await;
    while bestow::service::notifications::settle_waiting(&world.app)
        .await
        .unwrap()
    {}
    world.travel("2027-03-25T07:00:00Z").await;
    let text = texts(&findings(&world).await);
    assert!(text.contains("see that `bestow serve` runs"), "{text}");
}

#[tokio::test]
async fn campaigns_that_wait_for_a_second_person_are_named() {
    let world = healthy().await;
    let guards = json!({"guards": {"campaign_customers_max": 1}});
    world.patch("/v1/tenants/acme", &guards).await;
    let campaign = world.run(2, &json!({})).await;
    let told = texts(&findings(&world).await);
    let named = format!("wait for a second person: {campaign}");
    assert!(told.contains(&named), "{told}");
}
