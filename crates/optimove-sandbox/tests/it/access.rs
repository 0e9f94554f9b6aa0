//! Keys, sessions, roles, the rate limit and content types.

use serde_json::{Value, json};

use crate::world::{Answer, KEY, World};

const READ: &str = "/general/GetLastDataUpdate";
const JSON: &str = "Content-Type: application/json";

async fn login(world: &World, user: &str, password: &str) -> Answer {
    let body = json!({"UserName": user, "Password": password}).to_string();
    world
        .send("POST", "/current/general/login", &[JSON], body.as_bytes())
        .await
        .unwrap()
}

async fn token(world: &World) -> String {
    let answer = login(world, "acme", "acme-password").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json().as_str().unwrap().to_owned()
}

async fn read_with(world: &World, headers: &[&str]) -> Answer {
    world.send("GET", READ, headers, b"").await.unwrap()
}

#[tokio::test]
async fn a_call_needs_a_key_or_a_session_and_the_key_decides() {
    let world = World::start().await;
    let token = format!("Authorization-Token: {}", token(&world).await);
    let status = |headers: Vec<&'static str>, with_token: bool| {
        let (world, token) = (&world, &token);
        async move {
            let mut headers: Vec<&str> = headers.clone();
            if with_token {
                headers.push(token);
            }
            read_with(world, &headers).await.status
        }
    };
    assert_eq!(status(vec![KEY], false).await, 200);
    assert_eq!(
        status(vec!["x-api-key:    acme-admin-key"], false).await,
        200
    );
    assert_eq!(status(vec![], true).await, 200);
    assert_eq!(
        status(vec![KEY, "Authorization-Token: unknown"], false).await,
        200
    );
    assert_eq!(status(vec!["X-API-KEY: unknown"], true).await, 401);
    assert_eq!(
        status(vec!["X-API-KEY: "], true).await,
        200,
        "a blank key is none"
    );
    assert_eq!(
        status(vec!["Authorization-Token: unknown"], false).await,
        401
    );
    let none = read_with(&world, &[]).await;
    assert_eq!((none.status, none.text()), (401, "\"Unauthorized\""));
}

#[tokio::test]
async fn each_way_in_can_be_closed() {
    let world = World::start().await;
    let token = format!("Authorization-Token: {}", token(&world).await);
    world.set(&json!({"login": "off"}));
    assert_eq!(login(&world, "acme", "acme-password").await.status, 405);
    assert_eq!(read_with(&world, &[&token]).await.status, 401);
    assert_eq!(read_with(&world, &[KEY]).await.status, 200);
    world.set(&json!({"login": "on", "api-key": "off"}));
    assert_eq!(read_with(&world, &[&token]).await.status, 200);
    assert_eq!(read_with(&world, &[KEY]).await.status, 401);
}

#[tokio::test]
async fn a_failed_login_answers_as_the_switch_says() {
    for (status, switch) in [(401, json!(null)), (500, json!(500))] {
        for (user, password) in [("acme", "wrong"), ("nobody", "acme-password")] {
            let world = World::start().await;
            world.set(&json!({"login-failure": switch}));
            assert_eq!(login(&world, user, password).await.status, status);
        }
    }
    let world = World::start().await;
    let answer = world
        .send("POST", "/general/Login", &[JSON], b"{}")
        .await
        .unwrap();
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn a_second_login_within_a_second_is_refused() {
    let world = World::start().await;
    assert_eq!(login(&world, "ACME", "acme-password").await.status, 200);
    let answer = login(&world, "acme", "acme-password").await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.json()["status"], 429);
}

#[tokio::test]
async fn a_login_while_a_token_is_valid_can_be_refused() {
    let world = World::start().await;
    world.set(&json!({"login-while-valid": "reject", "retry-after": "seconds"}));
    token(&world).await;
    let wait = |answer: &Answer| {
        answer
            .header("retry-after")
            .map(|text| text.parse().unwrap())
    };
    let refused = login(&world, "acme", "acme-password").await;
    assert_eq!(refused.status, 429);
    let left: u64 = wait(&refused).unwrap();
    assert!(
        (1_190..=1_200).contains(&left),
        "as long as the token lives: {left}"
    );
    world
        .control("POST", "/clock/advance", json!({"seconds": 1_201}))
        .await;
    // What still keeps the login out is the second between two logins, in real time.
    loop {
        let answer = login(&world, "acme", "acme-password").await;
        if answer.status == 200 {
            break;
        }
        assert_eq!(wait(&answer), Some(1_u64));
    }
}

#[tokio::test]
async fn a_token_lives_on_from_its_last_call_and_then_says_that_it_expired() {
    let world = World::start().await;
    let token = format!("Authorization-Token: {}", token(&world).await);
    for _ in 0..3 {
        world
            .control("POST", "/clock/advance", json!({"seconds": 1_100}))
            .await;
        assert_eq!(read_with(&world, &[&token]).await.status, 200);
    }
    world
        .control("POST", "/clock/advance", json!({"seconds": 1_201}))
        .await;
    for (form, text) in [
        ("plain", "Authorization-Token Expired"),
        ("plain-lower", "Authorization-Token expired"),
        ("json-string", "\"Authorization-Token Expired\""),
    ] {
        world.set(&json!({"token-expired-body": form}));
        let answer = read_with(&world, &[&token]).await;
        assert_eq!((answer.status, answer.text()), (403, text));
    }
}

#[tokio::test]
async fn the_life_of_a_token_is_a_switch() {
    let world = World::start().await;
    world.set(&json!({"token-ttl-seconds": 60}));
    let token = format!("Authorization-Token: {}", token(&world).await);
    world
        .control("POST", "/clock/advance", json!({"seconds": 61}))
        .await;
    assert_eq!(read_with(&world, &[&token]).await.status, 403);
}

#[tokio::test]
async fn an_integrations_key_calls_what_is_on_its_list() {
    let world = World::start().await;
    let keys = json!({"api_keys": [{"key": "all", "role": "admin"},
                                   {"key": "few", "role": "integrations"}]});
    assert_eq!(world.control("PUT", "/tenants/acme", keys).await.0, 200);
    let status = |target: &'static str| {
        let world = &world;
        async move {
            world
                .send("GET", target, &["X-API-KEY: few"], b"")
                .await
                .unwrap()
                .status
        }
    };
    assert_eq!(status(READ).await, 200);
    assert_eq!(
        status("/actions/GetCampaignDetails?CampaignID=1").await,
        404
    );
    assert_eq!(status("/integrations/GetPromotions").await, 403);
    assert_eq!(status("/actions/GetExecutionChannels").await, 403);
    world.set(&json!({"role-refused-status": 401}));
    assert_eq!(status("/integrations/GetPromotions").await, 401);
    world.set(&json!({"integrations-role": "wide"}));
    assert_eq!(status("/integrations/GetPromotions").await, 200);
    assert_eq!(
        status("/actions/GetPromoCodesByCampaign?CampaignID=1").await,
        200
    );
    assert_eq!(status("/actions/GetExecutionChannels").await, 401);
}

#[tokio::test]
async fn the_51st_call_in_ten_seconds_is_refused() {
    let world = World::with_seed(1).await;
    for call in 1..=50 {
        assert_eq!(world.get(READ).await.status, 200, "call {call}");
    }
    let refused = world.get(READ).await;
    assert_eq!(refused.status, 429);
    let body = refused.json();
    assert_eq!(
        (&body["status"], &body["error"]),
        (&json!(429), &json!("Too Many Requests"))
    );
    assert_eq!(refused.header("retry-after"), None);
    world.set(&json!({"retry-after": "seconds", "error-body": "plain"}));
    let refused = world.get(READ).await;
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    assert_eq!(refused.json()["status"], 429, "always the object");
    let (_, all) = world.control("GET", "/requests", Value::Null).await;
    assert_eq!(all["acme"]["by_function"]["GetLastDataUpdate"], 52);
    assert_eq!(all["acme"]["by_status"], json!({"200": 50, "429": 2}));
    assert_eq!(all["acme"]["most_in_10_s"], 52);
    let (_, one) = world
        .control("GET", "/requests?tenant=acme", Value::Null)
        .await;
    assert_eq!(one, all["acme"]);
}

#[tokio::test]
async fn the_window_slides_and_each_key_has_its_own() {
    let world = World::start().await;
    let keys = json!({"api_keys": [{"key": "acme-admin-key"}, {"key": "second"}]});
    world.control("PUT", "/tenants/acme", keys).await;
    world.set(&json!({"rate-limit-requests": 2, "rate-limit-window-ms": 1_500}));
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(world.get(READ).await.status);
    }
    assert_eq!(answers, [200, 200, 429]);
    assert_eq!(read_with(&world, &["X-API-KEY: second"]).await.status, 200);
    // The window is over at some time, and then two more calls pass.
    while world.get(READ).await.status == 429 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_write_needs_a_json_content_type_unless_the_check_is_lenient() {
    let world = World::start().await;
    let status = |content_type: &'static str| {
        let world = &world;
        async move {
            let headers = [KEY, content_type];
            let headers = if content_type.is_empty() {
                &headers[..1]
            } else {
                &headers[..]
            };
            let target = "/integrations/AddPromotions";
            world
                .send("POST", target, headers, b"[]")
                .await
                .unwrap()
                .status
        }
    };
    assert_eq!(
        status("Content-Type: APPLICATION/JSON; charset=utf-8").await,
        200
    );
    assert_eq!(
        status("Content-Type: application/x-www-form-urlencoded").await,
        400
    );
    assert_eq!(status("").await, 400);
    world.set(&json!({"content-type-check": "lenient"}));
    assert_eq!(
        status("Content-Type: application/x-www-form-urlencoded").await,
        200
    );
    assert_eq!(status("").await, 200);
}
