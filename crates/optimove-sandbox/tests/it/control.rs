//! The control API.

use optimove_sandbox::{ClockMode, Config, Error, Sandbox};
use serde_json::{Value, json};

use crate::world::{World, page_target, send, simple};

#[tokio::test]
async fn a_campaign_goes_from_draft_to_executed_to_cancelled() {
    let world = World::start().await;
    let (status, view) = world.control("POST", "/campaigns", simple(5101, 10)).await;
    assert_eq!(
        (status, &view["id"], &view["status"]),
        (201, &json!(5101), &json!("draft"))
    );
    let (status, view) = world
        .control("POST", "/campaigns/5101/process", Value::Null)
        .await;
    assert_eq!(
        (status, &view["status"], &view["sent"]),
        (200, &json!("executed"), &json!(10))
    );
    let (status, body) = world
        .control("POST", "/campaigns/5101/process", Value::Null)
        .await;
    assert_eq!(
        (status, &body),
        (409, &json!({"error": "campaign 5101 is executed already"}))
    );
    let (_, view) = world.control("GET", "/campaigns/5101", Value::Null).await;
    let wanted = json!({
        "status": "executed", "audience": 10, "control": 0, "approved": 0, "denied": 0, "sent": 10,
    });
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(&view[name], value, "{name}");
    }
    let (status, view) = world
        .control("POST", "/campaigns/5101/cancel", Value::Null)
        .await;
    assert_eq!(
        (status, &view["status"], &view["sent"]),
        (200, &json!("cancelled"), &json!(0))
    );
    assert_eq!(
        world
            .control("POST", "/campaigns/5101/process", Value::Null)
            .await
            .0,
        409
    );
    assert_eq!(
        world
            .control("POST", "/campaigns/1/process", Value::Null)
            .await
            .0,
        404
    );
    assert_eq!(
        world.control("GET", "/campaigns/x", Value::Null).await.0,
        404
    );
}

#[tokio::test]
async fn ids_are_given_where_none_is_chosen_and_never_twice() {
    let world = World::start().await;
    let mut spec = simple(0, 1);
    spec.as_object_mut().unwrap().remove("id");
    assert_eq!(world.sandbox.add_campaign(spec.clone()).unwrap(), 5_101);
    assert_eq!(world.sandbox.add_campaign(simple(9_000, 1)).unwrap(), 9_000);
    assert_eq!(world.sandbox.add_campaign(spec).unwrap(), 9_001);
    assert!(matches!(
        world.sandbox.add_campaign(simple(9_000, 1)),
        Err(Error::Conflict(_))
    ));
}

#[tokio::test]
async fn a_wrong_campaign_is_refused_with_its_reason() {
    let world = World::start().await;
    for (change, part) in [
        (json!({"kind": "recurring"}), "recurring"),
        (json!({"kind": "triggered"}), "no audience"),
        (json!({"id": "rt-812"}), "not a number"),
        (json!({"conditional": true}), "conditional"),
        (json!({"audience": null}), "audience"),
        (json!({"tenant": "nobody"}), "no tenant"),
        (json!({"control_share": 1.5}), "control_share"),
        (json!({"duration": -1}), "duration"),
        (json!({"lead_time": 100_000}), "lead_time"),
        (json!({"actions": []}), "actions"),
        (
            json!({"actions": [{"id": 1, "channels": [{"id": 504}]}]}),
            "control group",
        ),
        (json!({"actions": [{"id": 24, "channels": []}]}), "channels"),
        (
            json!({"actions": [{"id": 24, "channels": [{"id": 777}]}]}),
            "no channel 777",
        ),
        (
            json!({"actions": [{"id": 24, "channels": [{"id": 504}, {"id": 504}]}]}),
            "twice",
        ),
        (
            json!({"actions": [{"id": 24, "promo_codes": ["A,B"], "channels": [{"id": 504}]}]}),
            "commas",
        ),
        (
            json!({"actions": [{"id": 24, "share": -1, "channels": [{"id": 504}]}]}),
            "shares",
        ),
        (json!({"audience": {}}), "audience"),
        (
            json!({"audience": {"count": 1, "customers": []}}),
            "audience",
        ),
        (
            json!({"audience": {"customers": [{"id": "x", "action": 99}]}}),
            "no action 99",
        ),
        (
            json!({"audience": {"customers": [{"id": "x", "action": 24, "channels": [505]}]}}),
            "no channel 505",
        ),
        (json!({"audience": {"customers": [7]}}), "customer"),
        (json!({"scheduled_at": "soon"}), "soon"),
        (json!({"controlshare": 0.1}), "controlshare"),
    ] {
        let mut spec = simple(5101, 10);
        for (name, value) in change.as_object().unwrap() {
            spec[name] = value.clone();
        }
        let (status, body) = world.control("POST", "/campaigns", spec).await;
        assert!(
            status == 400 || (status == 404 && part == "no tenant"),
            "{change}: {status}"
        );
        assert!(
            body["error"].as_str().unwrap().contains(part),
            "{change}: {body}"
        );
    }
    assert_eq!(
        world.control("GET", "/campaigns/5101", Value::Null).await.0,
        404
    );
    let (status, body) = world
        .control("POST", "/triggers", json!({"tenant": "acme"}))
        .await;
    assert_eq!(status, 400);
    assert!(body["error"].as_str().unwrap().contains("campaign_id"));
}

#[tokio::test]
async fn shares_without_a_value_take_what_is_left() {
    let world = World::start().await;
    let mut spec = simple(5101, 1_000);
    spec["actions"] = json!([
        {"id": 24, "share": 0.5, "promo_codes": ["A"], "channels": [{"id": 504}]},
        {"id": 25, "promo_codes": ["B"], "channels": [{"id": 504}]},
        {"id": 26, "promo_codes": ["C"], "channels": [{"id": 504}]},
    ]);
    world.executed_spec(spec);
    let rows = world.read_all(5101, 504, 1_000).await;
    let of = |action: u64| rows.iter().filter(|row| row["ActionID"] == action).count();
    assert_eq!([of(24), of(25), of(26)], [500, 250, 250]);
}

#[tokio::test]
async fn tenants_are_made_changed_and_kept_apart() {
    let world = World::start().await;
    let other = json!({
        "time_zone": "Europe/Lisbon", "api_keys": [{"key": "other-key", "role": "admin"}],
        "username": "other-user", "password": "secret", "channels": [{"id": 504, "name": "Mail"}],
    });
    let (status, view) = world.control("PUT", "/tenants/other", other.clone()).await;
    assert_eq!((status, &view["time_zone"]), (201, &json!("Europe/Lisbon")));
    assert_eq!(view.get("password"), None, "secrets are not given back");
    assert_eq!(world.control("PUT", "/tenants/other", other).await.0, 200);
    let mut spec = simple(5101, 3);
    spec["tenant"] = json!("other");
    world.sandbox.add_campaign(simple(5101, 2)).unwrap();
    world.sandbox.add_campaign(spec).unwrap();
    assert_eq!(
        world
            .control("POST", "/campaigns/5101/process", Value::Null)
            .await
            .0,
        409
    );
    assert!(matches!(
        world.sandbox.process(5101),
        Err(Error::Conflict(_))
    ));
    for (tenant, key, count) in [("acme", "acme-admin-key", 2), ("other", "other-key", 3)] {
        let path = format!("/campaigns/5101/process?tenant={tenant}");
        assert_eq!(world.control("POST", &path, Value::Null).await.0, 200);
        let header = format!("X-API-KEY: {key}");
        let target = page_target(5101, 504, 10, 0);
        let answer = world.send("GET", &target, &[&header], b"").await.unwrap();
        assert_eq!(answer.rows().len(), count, "{tenant} sees its own campaign");
    }
    for (wrong, status) in [
        (json!({"time_zone": "Mars/Olympus"}), 400),
        (json!({"api_keys": [{"key": "acme-admin-key"}]}), 409),
        (json!({"username": "ACME"}), 409),
        (json!({"unknown": 1}), 400),
    ] {
        assert_eq!(
            world
                .control("PUT", "/tenants/other", wrong.clone())
                .await
                .0,
            status,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_change_of_switches_is_whole_or_not_at_all() {
    let world = World::with_seed(1).await;
    let (_, before) = world.control("GET", "/switches", Value::Null).await;
    let golden = include_str!("../golden/switches.json");
    assert_eq!(
        before,
        serde_json::from_str::<Value>(golden).unwrap(),
        "names and defaults"
    );
    for wrong in [
        json!({"void-body": "json-true", "nothing": 1}),
        json!({"void-body": "json-true", "page-cap": 0}),
        json!({"void-body": "json-true", "ids": "numbers"}),
        json!({"void-body": "json-true", "notify-events": [13, 14]}),
        json!({"void-body": "json-true", "fault-functions": ["NoSuchFunction"]}),
        json!({"void-body": "json-true", "login-failure": 403}),
        json!({"void-body": "json-true", "notify-drop": 101}),
        json!({"void-body": "json-true", "notify-drop": "1"}),
        json!({"void-body": "json-true", "notify-retry-seconds": [-1]}),
        json!({"void-body": "json-true", "ended-offset-days": 2}),
        json!(["void-body"]),
    ] {
        let (status, body) = world.control("PUT", "/switches", wrong.clone()).await;
        assert!(
            status == 400 && body["error"].is_string(),
            "{wrong}: {status} {body}"
        );
    }
    assert_eq!(
        world.control("GET", "/switches", Value::Null).await.1,
        before
    );
    let change = json!({"void-body": "json-true", "fault-functions": ["addpromotions"],
                        "conditional-rounds": 3, "gateway-ids": "string"});
    let (status, after) = world.control("PUT", "/switches", change.clone()).await;
    assert_eq!(status, 200);
    for (name, value) in change.as_object().unwrap() {
        assert_eq!(&after[name], value);
    }
    let back = json!({"void-body": null, "fault-functions": null, "conditional-rounds": null,
                      "gateway-ids": null});
    assert_eq!(world.control("PUT", "/switches", back).await.1, before);
}

#[tokio::test]
async fn the_clock_moves_only_where_it_is_a_test_clock() {
    let world = World::start().await;
    let set = json!({"now": "2027-03-25T06:00:00Z"});
    let (status, view) = world.control("PUT", "/clock", set.clone()).await;
    assert_eq!(status, 200);
    assert!(
        view["now"]
            .as_str()
            .unwrap()
            .starts_with("2027-03-25T06:00:0"),
        "{view}"
    );
    world
        .control("POST", "/clock/advance", json!({"seconds": 3_600}))
        .await;
    let (_, view) = world.control("GET", "/clock", Value::Null).await;
    assert!(
        view["now"]
            .as_str()
            .unwrap()
            .starts_with("2027-03-25T07:00:0"),
        "{view}"
    );
    for wrong in [
        json!({"now": "tomorrow"}),
        json!({"now": "9999-01-01T00:00:00Z"}),
        json!({}),
    ] {
        assert_eq!(world.control("PUT", "/clock", wrong).await.0, 400);
    }
    let far = json!({"seconds": i64::MAX});
    assert_eq!(world.control("POST", "/clock/advance", far).await.0, 400);
    let system = World {
        sandbox: Sandbox::start(Config::default()).await.unwrap(),
    };
    assert_eq!(system.control("PUT", "/clock", set).await.0, 404);
    assert_eq!(
        system
            .control("POST", "/clock/advance", json!({"seconds": 1}))
            .await
            .0,
        404
    );
    assert_eq!(system.control("GET", "/clock", Value::Null).await.0, 200);
}

#[tokio::test]
async fn with_a_token_the_control_api_wants_it() {
    let config = Config {
        control_token: Some("secret".into()),
        ..Config::default()
    };
    let sandbox = Sandbox::start(config).await.unwrap();
    let status = |headers: &'static [&'static str]| {
        let address = sandbox.address();
        async move {
            send(address, "GET", "/_sandbox/switches", headers, b"")
                .await
                .unwrap()
                .status
        }
    };
    assert_eq!(status(&[]).await, 401);
    assert_eq!(status(&["Authorization: Bearer wrong"]).await, 401);
    assert_eq!(status(&["Authorization: Bearer secret"]).await, 200);
    sandbox.stop().await;
}

#[tokio::test]
async fn a_reset_makes_a_new_world() {
    let world = World::start().await;
    world.executed(5101, 1);
    world.set(&json!({"void-body": "json-true"}));
    world.control("PUT", "/tenants/other", json!({})).await;
    world
        .control("PUT", "/clock", json!({"now": "2001-01-01T00:00:00Z"}))
        .await;
    assert_eq!(world.control("POST", "/reset", Value::Null).await.0, 200);
    assert_eq!(
        world.control("GET", "/campaigns/5101", Value::Null).await.0,
        404
    );
    assert_eq!(
        world.control("GET", "/switches", Value::Null).await.1["void-body"],
        "empty"
    );
    assert_eq!(
        world
            .control("GET", "/requests?tenant=other", Value::Null)
            .await
            .0,
        404
    );
    assert!(world.sandbox.now().to_string().as_str() > "2020");
}

#[tokio::test]
async fn what_the_control_api_has_not_is_404_and_never_reaches_the_wire() {
    let world = World::start().await;
    for (method, path) in [
        ("GET", ""),
        ("GET", "/nothing"),
        ("DELETE", "/campaigns/5101"),
        ("PUT", "/campaigns"),
    ] {
        let (status, body) = world.control(method, path, Value::Null).await;
        assert!(
            status == 404 && body["error"].is_string(),
            "{method} {path}: {status}"
        );
    }
    let (status, body) = world.control("POST", "/campaigns", Value::Null).await;
    assert!(status == 400 && body["error"].is_string());
}

#[tokio::test]
async fn a_stopped_sandbox_has_let_its_port_go() {
    let sandbox = Sandbox::start(Config {
        clock: ClockMode::Test,
        ..Config::default()
    })
    .await;
    let sandbox = sandbox.unwrap();
    let address = sandbox.address();
    assert_eq!(sandbox.url(), format!("http://{address}"));
    sandbox.stop().await;
    let again = Sandbox::start(Config {
        listen: address,
        ..Config::default()
    })
    .await
    .unwrap();
    let taken = Sandbox::start(Config {
        listen: address,
        ..Config::default()
    })
    .await;
    assert!(matches!(taken.err(), Some(Error::Listen(..))));
    again.stop().await;
}
