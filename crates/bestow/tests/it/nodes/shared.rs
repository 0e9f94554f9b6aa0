//! What one process does, the others know: within a second, or at once where it matters.

use std::sync::Arc;

use bestow::app::App;
use bestow::clock::{Clock, Reading};
use bestow::config::Config;
use bestow::random::Random;
use bestow_store::Migrate;
use http::Method;
use serde_json::{Value, json};

use super::node::Node;
use crate::home::Home;
use crate::process::bestow;

/// Looks at a condition that has to come true within a second or so.
const LOOKS_MAX: u32 = 20_000;

pub(super) fn acme() -> Value {
    json!({
        "id": "acme", "name": "Acme", "time_zone": "UTC",
        "optimove": {"base_url": "http://127.0.0.1:9", "auth": {"api_key": "key"}},
        "scheduled_channels": [504], "conditional": false, "expiry": "duration",
    })
}

fn app(home: &Home, clock: Clock, change: impl FnOnce(&mut Config)) -> Arc<App> {
    let mut config = home.config();
    change(&mut config);
    App::open(config, clock, Random::seeded(1), Migrate::Apply).expect("it opens")
}

/// Asks until the answer has this status.
async fn until(node: &Node, path: &str, wanted: u16) -> Value {
    for _ in 0..LOOKS_MAX {
        if let Some((status, answer)) = node.try_call(Method::GET, path, &Value::Null).await
            && status == wanted
        {
            return answer;
        }
    }
    panic!("{path} is not answered {wanted}");
}

#[tokio::test]
async fn what_one_changes_the_others_know() {
    let home = Home::shared();
    let nodes = [Node::start(&home, &[]), Node::start(&home, &[])];
    nodes[0].ok(Method::POST, "/v1/tenants", &acme()).await;
    let seen = until(&nodes[1], "/v1/tenants/acme", 200).await;
    assert_eq!(seen["name"], "Acme");
    // A token that was made here is taken there, until it is revoked here.
    let bestow = |args: &[&str]| {
        let ran = bestow(&home).args(args).output().expect("it runs");
        assert!(ran.status.success(), "{args:?}: {ran:?}");
        String::from_utf8(ran.stdout)
            .expect("text")
            .trim()
            .to_owned()
    };
    let secret = bestow(&["token", "create", "--name", "x", "--role", "viewer"]);
    let callers = nodes
        .each_ref()
        .map(|node| bestow::cli::call::Caller::new(node.caller.address(), Some(&secret)));
    let status = async |place: usize| {
        let caller: &bestow::cli::call::Caller = &callers[place];
        let answer = caller
            .json(Method::GET, "/v1/tenants/acme", &Value::Null)
            .await;
        answer.expect("an answer").0.as_u16()
    };
    for (place, wanted) in [(0, 200), (1, 200)] {
        let mut looks = 0;
        while status(place).await != wanted {
            looks += 1;
            assert!(looks < LOOKS_MAX, "{place} does not take the token");
        }
    }
    let id = secret
        .split('_')
        .nth(1)
        .expect("the token's public id")
        .to_owned();
    bestow(&["token", "revoke", &id]);
    for place in [0, 1] {
        let mut looks = 0;
        while status(place).await != 401 {
            looks += 1;
            assert!(looks < LOOKS_MAX, "{place} takes a revoked token");
        }
    }
}

#[tokio::test]
async fn what_is_stopped_here_is_stopped_there() {
    let home = Home::shared();
    let nodes = [Node::start(&home, &[]), Node::start(&home, &[])];
    nodes[0].ok(Method::POST, "/v1/tenants", &acme()).await;
    until(&nodes[1], "/v1/tenants/acme", 200).await;
    let path = "/v1/tenants/acme/promotions/FS20";
    nodes[0]
        .ok(Method::PUT, path, &json!({"name": "Free"}))
        .await;
    let question = json!({"customer_id": "C-1", "promo_code": "FS20"});
    let reason = async |node: &Node| {
        let path = "/v1/tenants/acme/eligibility";
        node.ok(Method::POST, path, &question).await["reason"].clone()
    };
    assert_eq!(reason(&nodes[0]).await, "no_grant");
    for (verb, wanted) in [("stop", "promotion_paused"), ("resume", "no_grant")] {
        let path = format!("{path}/{verb}");
        nodes[0].ok(Method::POST, &path, &Value::Null).await;
        assert_eq!(reason(&nodes[0]).await, wanted);
        let mut looks = 0;
        while reason(&nodes[1]).await != wanted {
            looks += 1;
            assert!(looks < LOOKS_MAX, "{verb} is not heard of");
        }
    }
}

#[tokio::test]
async fn one_that_stood_still_does_not_go_by_what_it_knew() {
    let home = Home::shared();
    let nodes = [Node::start(&home, &[]), Node::start(&home, &[])];
    nodes[0].ok(Method::POST, "/v1/tenants", &acme()).await;
    until(&nodes[1], "/v1/tenants/acme", 200).await;
    nodes[1].signal("STOP");
    let renamed = json!({"name": "Zenith"});
    let path = "/v1/tenants/acme";
    nodes[0].ok(Method::PATCH, path, &renamed).await;
    // Longer than what is at hand may be used; its own look is due at the same time as this question.
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    let asked = nodes[1].get(path);
    let wake = async { nodes[1].signal("CONT") };
    let (answer, ()) = tokio::join!(asked, wake);
    assert_eq!(answer["name"], "Zenith");
}

#[tokio::test]
async fn each_does_what_it_is_told() {
    let home = Home::shared();
    let listener = Node::start(&home, &[("BESTOW_ROLES", "listener")]);
    let api = Node::start(&home, &[("BESTOW_ROLES", "api")]);
    let status = async |node: &Node, path: &str| {
        let answer = node.try_call(Method::GET, path, &Value::Null).await;
        answer.expect("an answer").0
    };
    assert_eq!(status(&listener, "/v1/tenants").await, 404);
    assert_eq!(status(&api, "/v1/tenants").await, 200);
    for node in [&listener, &api] {
        assert_eq!(status(node, "/readyz").await, 200);
    }
    listener.end();
    assert_eq!(status(&api, "/v1/tenants").await, 200);
    let refused = bestow(&home)
        .args(["serve", "--roles", "cook"])
        .output()
        .expect("it ends");
    assert_eq!(refused.status.code(), Some(2));
}

#[tokio::test]
async fn one_time_for_all() {
    const MINUTES_10: i64 = 600_000;
    /// A machine that believes that it is 1970, and one that believes that it is 2100.
    const MACHINES: [fn() -> Reading; 2] = [|| machine(0), || machine(4_102_444_800_000)];
    fn machine(wall_ms: i64) -> Reading {
        Reading {
            wall_ms,
            steady_ms: 5_000,
        }
    }
    let home = Home::shared();
    let apps = MACHINES.map(|read| app(&home, Clock::of_machine(read), |_| {}));
    let told: Vec<_> = apps.iter().map(|app| app.store.now_ms()).collect();
    let server = apps[0]
        .store
        .server_now_ms()
        .expect("it answers")
        .expect("it has a clock");
    for now in told {
        assert!(
            (now - server).abs() < MINUTES_10 / 2,
            "{now} is not {server}"
        );
    }
}
