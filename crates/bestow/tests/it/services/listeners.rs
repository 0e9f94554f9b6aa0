use bestow::actor::Actor;
use bestow::service::listeners::{self, GatewayState, LISTENER_PATH, Slot, SyncReport};
use bestow::service::tenants::{self, TenantPatch};
use http::Method;
use optimove::SecretUrl;
use optimove::wire::{RegisterEventListener, UnregisterEventListener};
use serde_json::{Value, json};

use super::code;
use crate::support::World;

fn slot(event_type: i64, channel_id: Option<i64>) -> Slot {
    Slot {
        event_type,
        channel_id,
    }
}

async fn sync(world: &World) -> SyncReport {
    listeners::sync(&world.app, &Actor::cli(), &world.acme())
        .await
        .expect("it works")
}

/// The status of an empty post, which a listener takes as a probe.
async fn probe(world: &World, event_type: i64, generation: i64) -> u16 {
    let secret = world
        .app
        .keys
        .listener_secret("acme", event_type, generation);
    let path = format!("{LISTENER_PATH}{secret}");
    world
        .api
        .json(Method::POST, &path, &Value::Null)
        .await
        .expect("it works")
        .0
        .as_u16()
}

#[tokio::test]
async fn each_event_and_channel_is_registered_once() {
    let world = World::start().await;
    world
        .add_tenant(&json!({"triggered_channels": [15], "conditional": true}))
        .await;
    let wanted = [
        slot(1, None),
        slot(2, None),
        slot(3, None),
        slot(4, None),
        slot(5, None),
        slot(11, Some(15)),
        slot(13, Some(504)),
        slot(13, Some(505)),
    ];
    let first = sync(&world).await;
    assert_eq!(first.registered, wanted);
    assert_eq!(first.gateway, Some(GatewayState::Registered));
    let again = sync(&world).await;
    assert_eq!(
        again,
        SyncReport {
            unchanged: wanted.to_vec(),
            gateway: Some(GatewayState::Unchanged),
            ..SyncReport::default()
        }
    );
    let registered = world
        .optimove()
        .get_registered_event_listeners()
        .await
        .unwrap();
    let mut urls: Vec<&str> = registered
        .iter()
        .map(|one| one.listener_url.expose())
        .collect();
    urls.sort_unstable();
    urls.dedup();
    assert_eq!(
        urls.len(),
        7,
        "one address for each event, shared by its channels"
    );
}

#[tokio::test]
async fn what_was_lost_or_taken_over_is_repaired_and_the_rest_left_alone() {
    let world = World::connected().await;
    let optimove = world.optimove();
    let drop = UnregisterEventListener {
        event_type: 4,
        channel_id: None,
    };
    optimove.unregister_event_listener(drop).await.unwrap();
    let register = |event_type, channel_id| RegisterEventListener {
        event_type,
        listener_url: SecretUrl::new("https://elsewhere.example/secret-path"),
        channel_id,
    };
    optimove
        .register_event_listener(&register(13, Some(505)))
        .await
        .unwrap();
    optimove
        .register_event_listener(&register(13, Some(506)))
        .await
        .unwrap();

    let found = listeners::show(&world.app, &world.acme()).await.unwrap();
    assert_eq!(found.missing, [slot(4, None)]);
    assert_eq!(found.elsewhere.len(), 1);
    assert_eq!(
        (found.foreign[0].slot, found.foreign[0].host.as_str()),
        (slot(13, Some(506)), "https://elsewhere.example")
    );
    assert!(!format!("{found:?}").contains("secret-path"));

    let report = sync(&world).await;
    assert_eq!(report.registered, [slot(4, None), slot(13, Some(505))]);
    assert_eq!(report.removed, []);
    let found = listeners::show(&world.app, &world.acme()).await.unwrap();
    assert!(found.is_right());
    assert_eq!(found.foreign.len(), 1, "what is not ours stays");
}

#[tokio::test]
async fn a_channel_that_is_given_up_is_unregistered() {
    let world = World::connected().await;
    let patch: TenantPatch = serde_json::from_value(json!({"scheduled_channels": [504]})).unwrap();
    tenants::update(&world.app, &Actor::cli(), "acme", patch)
        .await
        .unwrap();
    assert_eq!(sync(&world).await.removed, [slot(13, Some(505))]);
}

#[tokio::test]
async fn after_a_rotation_both_addresses_are_accepted_for_a_week() {
    let world = World::connected().await;
    tenants::rotate_listeners(&world.app, &Actor::cli(), "acme")
        .await
        .unwrap();
    assert_eq!(
        (probe(&world, 13, 1).await, probe(&world, 13, 2).await),
        (200, 404)
    );
    let report = sync(&world).await;
    assert_eq!((report.registered.len(), report.unchanged.len()), (6, 0));
    assert_eq!(
        (probe(&world, 13, 1).await, probe(&world, 13, 2).await),
        (200, 200)
    );
    world.travel("2027-04-01T05:59:59Z").await;
    assert_eq!(probe(&world, 13, 1).await, 200);
    world.travel("2027-04-01T06:00:00Z").await;
    assert_eq!(
        (probe(&world, 13, 1).await, probe(&world, 13, 2).await),
        (404, 200)
    );
}

#[tokio::test]
async fn an_address_that_only_this_machine_reaches_is_not_given_to_others() {
    let world = World::start().await;
    let optimove = json!({"base_url": "https://api5.optimove.example", "auth": {"api_key": "k"}});
    world.add_tenant(&json!({ "optimove": optimove })).await;
    let refused = listeners::sync(&world.app, &Actor::cli(), &world.acme())
        .await
        .unwrap_err();
    assert_eq!(code(&refused), "public_url_is_local");
}

#[tokio::test]
async fn a_suspended_tenant_is_not_touched() {
    let world = World::connected().await;
    tenants::set_suspended(
        &world.app,
        &Actor::cli(),
        "acme",
        tenants::Suspension::Suspend,
    )
    .await
    .unwrap();
    let refused = listeners::sync(&world.app, &Actor::cli(), &world.acme())
        .await
        .unwrap_err();
    assert_eq!(code(&refused), "tenant_suspended");
}
