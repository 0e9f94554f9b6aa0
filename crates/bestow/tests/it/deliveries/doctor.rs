//! What the doctor says of destinations.

use bestow::service::doctor;
use serde_json::json;

use super::delivering;
use super::receiver::{Books, Receiver, Troubles};
use crate::support::World;

/// What is found of destination `bonus`.
async fn told(world: &World) -> String {
    let findings = doctor::app(&world.app).await;
    let of_bonus = findings
        .iter()
        .filter(|finding| finding.about == "tenant acme, destination bonus");
    let lines: Vec<String> = of_bonus.map(ToString::to_string).collect();
    lines.join("\n")
}

async fn an_hour_later(world: &World) {
    let later = world.app.clock.now_ms() + 3_600_000;
    world
        .travel(&bestow::clock::instant(later).to_string())
        .await;
}

#[tokio::test]
async fn the_doctor_sees_how_destinations_fare() {
    let receiver = Receiver::start(Books::Keyed, Troubles::default()).await;
    let (world, _) = delivering(&receiver, &json!({})).await;
    world.run(10, &json!({})).await;
    assert_eq!(told(&world).await, "");
    receiver.answer(503, "");
    let campaign = world.plan(10, &json!({}));
    world.sandbox.process(campaign).expect("it is executed");
    world.delivered().await;
    world.work().await;
    let text = told(&world).await;
    assert!(text.contains("status 503"), "{text}");
    assert!(!text.contains("not heard yet"), "{text}");
    an_hour_later(&world).await;
    let text = told(&world).await;
    assert!(text.contains("not heard yet of what was noted"), "{text}");
    receiver.recover();
    for _ in 0..10 {
        world.work().await;
        an_hour_later(&world).await;
    }
    world.work().await;
    assert_eq!(told(&world).await, "");
    receiver.answer(422, "");
    world.run(10, &json!({})).await;
    let text = told(&world).await;
    assert!(
        text.contains("0 deliveries may have been applied or not, 1 were given up"),
        "{text}"
    );
    assert!(text.contains("bestow deliveries retry acme"), "{text}");
}
