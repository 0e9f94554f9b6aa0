//! Every way in which callers in use write a request.

use serde_json::{Value, json};

use crate::world::{World, simple};

fn golden(path: &str) -> Vec<u8> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/");
    std::fs::read(format!("{root}{path}")).unwrap()
}

#[tokio::test]
async fn each_recorded_request_line_is_taken_as_recorded() {
    let lines: Vec<Value> = serde_json::from_slice(&golden("requests/request-lines.json")).unwrap();
    let world = World::start().await;
    // More rows than the second page of the lines skips, so that no page is empty.
    world.executed(5101, 10_001);
    let login = golden("requests/login.json");
    let token = world
        .send(
            "POST",
            "/general/login",
            &["Content-Type: application/json"],
            &login,
        )
        .await
        .unwrap()
        .json();
    for line in &lines {
        let name = line["name"].as_str().unwrap();
        let headers = line["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| {
                let value = value.as_str().unwrap();
                format!(
                    "{name}: {}",
                    value.replace("TOKEN FROM LOGIN", token.as_str().unwrap())
                )
            });
        let headers: Vec<String> = headers.collect();
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let body = match (line["body"].as_str(), line["body_text"].as_str()) {
            (Some(path), _) => golden(path),
            (None, Some(text)) => text.as_bytes().to_vec(),
            (None, None) => Vec::new(),
        };
        let (method, target) = (
            line["method"].as_str().unwrap(),
            line["target"].as_str().unwrap(),
        );
        // One login a second is allowed, so each login line has a world of its own.
        let fresh = if line["function"] == "Login" {
            Some(World::start().await)
        } else {
            None
        };
        let world = fresh.as_ref().unwrap_or(&world);
        let answer = world.send(method, target, &headers, &body).await.unwrap();
        assert_eq!(
            Value::from(answer.status),
            line["status"],
            "{name}: {}",
            answer.text()
        );
        assert_paged_as_recorded(name, &line["parameters"], &line["function"], &answer);
    }
}

/// The rows of the customer list show which paging parameters were understood.
fn assert_paged_as_recorded(
    name: &str,
    parameters: &Value,
    function: &Value,
    answer: &crate::world::Answer,
) {
    if function != "GetCustomerExecutionDetailsByCampaign" {
        return;
    }
    let skip = parameters["$skip"].as_u64().unwrap_or(0);
    let top = parameters["$top"].as_u64().unwrap_or(10_000);
    assert_eq!(answer.rows().len() as u64, top.min(10_001 - skip), "{name}");
}

#[tokio::test]
async fn a_path_that_is_none_answers_405() {
    let world = World::start().await;
    world.sandbox.add_campaign(simple(5101, 1)).unwrap();
    for target in [
        "/",
        "/general",
        "/current/general",
        "/current/current/general/GetLastDataUpdate",
        "/v2.0/general/GetLastDataUpdate",
        "/general/GetLastDataUpdate/more",
        "/customers/GetLastDataUpdate",
        "/triggers/GetLastDataUpdate",
        "/general/NoSuchFunction",
    ] {
        let answer = world.get(target).await;
        assert_eq!(
            (answer.status, answer.text()),
            (405, "\"Method Not Allowed\""),
            "{target}"
        );
    }
    let answer = world.post("/general/GetLastDataUpdate", json!({})).await;
    assert_eq!(answer.status, 405, "a read takes GET only");
    let answer = world.get("/integrations/AddPromotions").await;
    assert_eq!(answer.status, 405, "a write takes POST only");
}
