//! One tenant against another: every route, with every role, under the other's name and with the other's ids.

use bestow::actor::Role;
use bestow::http::routes::{Access, Route, table};
use serde_json::{Value, json};

use super::listener;
use super::redemptions::redeemed;
use super::support::{Answer, Service};

/// In everything of `acme` that is somebody's business, and in nothing that `blue` has or may ask for.
const CANARY: &str = "canary";
const CUSTOMER: &str = "canary-customer";
const CAMPAIGN: &str = "12345";

/// What `acme` has that has an id.
struct Ids {
    redemption: String,
    notification: String,
    destination: String,
}

/// `acme` has something of every kind, `blue` nothing.
async fn stage() -> (Service, Ids) {
    let service = Service::start_with(|config| {
        config.optimove.tries_max = 1;
        config.optimove.retry_ms = 1;
    })
    .await;
    service.promotion("FS20", "active").await;
    let customers = [CUSTOMER, "canary-second"];
    service.campaign(CAMPAIGN, &customers, &["FS20"], 0).await;
    let redemption = redeemed(&service, "k1", CUSTOMER).await;
    let new = json!({"id": CANARY, "kind": "http", "url": "https://canary.example/hook"});
    let made = service
        .call("POST", "/v1/tenants/acme/destinations", &new)
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let body = r#"{"EventTypeID":13,"CampaignID":777,"ChannelID":504,"note":"canary"}"#;
    let address = listener::address(&service).await;
    let taken = listener::send(&service, "POST", &address, "", body).await;
    assert_eq!(taken.status, 200);
    let excluded = json!({"customer_ids": ["canary-third"], "reason": CANARY});
    let excluded = service
        .call("POST", "/v1/tenants/acme/exclusions", &excluded)
        .await;
    assert_eq!(excluded.status, 200, "{}", excluded.text());
    let (notifications, _) = service.get("/v1/tenants/acme/notifications").await.list();
    let (destinations, _) = service.get("/v1/tenants/acme/destinations").await.list();
    let id = |value: &Value| value["id"].as_str().unwrap().to_owned();
    let ids = Ids {
        redemption: id(&redemption),
        notification: id(&notifications[0]),
        destination: id(&destinations[0]),
    };
    (service, ids)
}

/// The address of a route, with `acme`'s ids in whatever tenant.
fn address(route: &Route, ids: &Ids, tenant: &str) -> String {
    let id = match route.path.split('/').nth(4) {
        Some("redemptions") => &ids.redemption,
        Some("notifications") => &ids.notification,
        Some("destinations") => &ids.destination,
        _ => CAMPAIGN,
    };
    let path = route
        .path
        .replace("{tenant}", tenant)
        .replace("{code}", "FS20")
        .replace("{customer}", CUSTOMER)
        .replace("{unique_code}", "K1")
        .replace("{id}", id);
    // A stream does not end by itself: refused once the asker is in.
    if path == "/v1/events" {
        format!("{path}?bogus=1")
    } else {
        path
    }
}

/// What a route may want to be sent. None of it names anything of `acme` but by its ids.
fn bodies(route: &Route) -> Vec<Value> {
    let own = match route.path.split('/').nth(4) {
        Some("destinations") => json!({"url": "https://mine.example/hook"}),
        Some("exclusions") => json!({"customer_ids": [CUSTOMER], "reason": "mine"}),
        Some("eligibility" | "redemptions") => {
            json!({"customer_id": CUSTOMER, "promo_code": "FS20"})
        }
        Some("promotions") => {
            json!({"name": "Mine", "status": "paused", "kind": "shared", "reward": {}})
        }
        _ => json!({"name": "Mine"}),
    };
    vec![Value::Null, own]
}

/// Everything that `acme`'s routes tell of it, and what the store says.
async fn all_of_acme(service: &Service, ids: &Ids) -> Vec<String> {
    let mut all = Vec::new();
    for route in table() {
        if route.method == "GET" && matches!(route.access, Access::Tenant(_)) {
            let path = address(&route, ids, "acme");
            let answer = service.get(&path).await;
            all.push(format!("{path} {} {}", answer.status, answer.text()));
        }
    }
    assert!(all.iter().any(|one| one.contains(CUSTOMER)));
    all
}

async fn call(service: &Service, token: &str, route: &Route, path: &str, body: &Value) -> Answer {
    let method = route.method.as_str();
    service.call_as(Some(token), method, path, body).await
}

async fn tokens_of_blue(service: &Service) -> Vec<(Role, String)> {
    let mut tokens = Vec::new();
    for role in Role::ALL {
        tokens.push((role, service.token(role, Some("blue")).await));
    }
    tokens
}

#[tokio::test]
async fn under_anothers_name_there_is_nothing_and_nothing_is_done() {
    let (service, ids) = stage().await;
    let tokens = tokens_of_blue(&service).await;
    let before = all_of_acme(&service, &ids).await;
    let nobody = service.get("/v1/tenants/nobody").await;
    let mut calls = 0;
    for route in table() {
        if route.access == Access::Public {
            continue;
        }
        for (role, token) in &tokens {
            for body in bodies(&route) {
                let path = address(&route, &ids, "acme");
                let answer = call(&service, token, &route, &path, &body).await;
                let what = format!("{} {path} as {role:?}: {answer:?}", route.method);
                if let Access::Tenant(_) = route.access {
                    // To those whose role is enough the tenant is as one that is not there; to others the role is.
                    match answer.status {
                        404 => assert_eq!(answer.body, nobody.body, "{what}"),
                        _ => assert_eq!(answer.problem(), (403, "forbidden".into()), "{what}"),
                    }
                    calls += 1;
                }
                assert!(!answer.text().contains(CANARY), "{what}");
            }
        }
    }
    assert!(calls > 400, "{calls}");
    assert_eq!(all_of_acme(&service, &ids).await, before);
}

#[tokio::test]
async fn anothers_ids_lead_nowhere_under_ones_own_name() {
    let (service, ids) = stage().await;
    let tokens = tokens_of_blue(&service).await;
    let before = all_of_acme(&service, &ids).await;
    let mut found_nothing = 0;
    for route in table() {
        let ends_blue = route.method == "DELETE" && route.path == "/v1/tenants/{tenant}";
        // Whoever asks for a dry run of a campaign that nobody heard of has one of that id from then on.
        let makes_known = route.path.ends_with("/dry-run");
        if !matches!(route.access, Access::Tenant(_)) || ends_blue || makes_known {
            continue;
        }
        for (role, token) in &tokens {
            for body in bodies(&route) {
                let path = address(&route, &ids, "blue");
                let answer = call(&service, token, &route, &path, &body).await;
                let what = format!("{} {path} as {role:?}: {answer:?}", route.method);
                assert!(answer.status != 500, "{what}");
                // What was sent may be told again.
                let told = answer.text().replace(CUSTOMER, "");
                assert!(!told.contains(CANARY), "{what}");
                if route.path.contains("{id}") {
                    assert!(answer.status >= 400, "{what}");
                    found_nothing += usize::from(answer.status == 404);
                }
            }
        }
    }
    assert!(found_nothing > 50, "{found_nothing}");
    assert_eq!(all_of_acme(&service, &ids).await, before);
}
