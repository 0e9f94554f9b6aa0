//! The registry of event listeners.

use serde_json::{Value, json};

use crate::world::World;

const REGISTER: &str = "/General/RegisterEventListener";

fn golden(name: &str) -> Value {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/requests/");
    serde_json::from_slice(&std::fs::read(format!("{root}{name}.json")).unwrap()).unwrap()
}

async fn registered(world: &World) -> Value {
    world
        .get("/General/GetRegisteredEventListeners")
        .await
        .json()
}

#[tokio::test]
async fn a_listener_is_kept_per_event_type_and_channel() {
    let world = World::start().await;
    assert_eq!(
        world
            .post(REGISTER, golden("register-event-listener"))
            .await
            .status,
        200
    );
    let general =
        json!({"EventTypeID": "13", "ListenerURL": "https://a.test/1", "ChannelID": null});
    assert_eq!(world.post(REGISTER, general).await.status, 200);
    let again = json!({"eventtypeid": 13, "listenerurl": "https://a.test/2", "channelid": 504});
    assert_eq!(world.post(REGISTER, again).await.status, 200);
    assert_eq!(
        registered(&world).await,
        json!([
            {"EventTypeID": 13, "ListenerURL": "https://a.test/2", "ChannelID": 504},
            {"EventTypeID": 13, "ListenerURL": "https://a.test/1", "ChannelID": null},
        ])
    );
    let unregister = "/general/unregistereventlistener";
    assert_eq!(
        world
            .post(unregister, golden("unregister-event-listener"))
            .await
            .status,
        200
    );
    assert_eq!(
        registered(&world).await.as_array().unwrap().len(),
        1,
        "the general one went"
    );
    let body = json!({"EventTypeID": 13, "ChannelID": 504});
    assert_eq!(
        world
            .post("/Triggers/UnRegisterEventListener", body.clone())
            .await
            .status,
        200
    );
    assert_eq!(registered(&world).await, json!([]));
    assert_eq!(
        world.post(unregister, body).await.status,
        200,
        "an unknown one is no error"
    );
}

#[tokio::test]
async fn an_address_may_come_percent_encoded() {
    let world = World::start().await;
    let body = golden("register-event-listener.percent-encoded");
    assert_eq!(world.post(REGISTER, body).await.status, 200);
    let url = "https://promo.example.test/optimove/listener/example-secret-4?brand=blue&country=pt";
    assert_eq!(registered(&world).await[0]["ListenerURL"], url);
    let raw = json!({"EventTypeID": 4, "ListenerURL": "http://a.test/x?a=%2F+b"});
    assert_eq!(world.post(REGISTER, raw).await.status, 200);
    assert_eq!(
        registered(&world).await[0]["ListenerURL"],
        "http://a.test/x?a=%2F+b"
    );
}

#[tokio::test]
async fn what_cannot_be_registered_is_400() {
    let world = World::start().await;
    let url = "https://a.test/";
    for wrong in [
        golden("register-event-listener.event5-with-channel"),
        json!({"EventTypeID": 6, "ListenerURL": url}),
        json!({"EventTypeID": 14, "ListenerURL": url}),
        json!({"ListenerURL": url}),
        json!({"EventTypeID": 13}),
        json!({"EventTypeID": 13, "ListenerURL": "/listener"}),
        json!({"EventTypeID": 13, "ListenerURL": "ftp://a.test/"}),
        json!({"EventTypeID": 13, "ListenerURL": url, "ChannelID": "504,505"}),
        json!([]),
    ] {
        assert_eq!(
            world.post(REGISTER, wrong.clone()).await.status,
            400,
            "{wrong}"
        );
    }
    assert_eq!(registered(&world).await, json!([]));
    let event_11 = json!({"EventTypeID": 11, "ListenerURL": url});
    assert_eq!(
        world.post(REGISTER, event_11).await.status,
        200,
        "11 may come without a channel"
    );
}
