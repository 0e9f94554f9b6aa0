//! The form of an answer as a whole: its length, its body after a write, its body after an error.

use serde_json::json;

use crate::shapes::world;
use crate::world::{World, page_target};

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
