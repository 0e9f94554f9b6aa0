//! Why somebody may use a code, or may not.

use http::Method;
use serde_json::{Value, json};

use crate::support::World;

async fn why(world: &World, customer: &str, code: &str) -> Value {
    let path = format!("/v1/tenants/acme/customers/{customer}/why?code={code}");
    world.get(&path).await
}

/// What is told, in order.
fn told(story: &Value) -> Vec<&str> {
    let steps = story["story"].as_array().expect("steps");
    steps
        .iter()
        .map(|step| step["what"].as_str().expect("a word"))
        .collect()
}

/// The sentence of the first step of a kind.
fn text<'a>(story: &'a Value, what: &str) -> &'a str {
    let steps = story["story"].as_array().expect("steps");
    let step = steps.iter().find(|step| step["what"] == what);
    step.unwrap_or_else(|| panic!("no {what} in {story}"))["text"]
        .as_str()
        .expect("a sentence")
}

/// A campaign with everything that a list can say of a customer.
async fn listed() -> (World, u64) {
    let world = World::connected().await;
    let customers = json!([
        {"id": "anna"}, {"id": "bob", "promo_code": "CB10"}, {"id": "cleo"}, {"id": "CLEO"},
        {"id": "dora", "promo_code": "NOBODY"}, {"id": "emil", "promo_code": "A,B,C,D,E,F,CB10"},
    ]);
    let actions = json!([{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504}]}]);
    let over = json!({
        "audience": {"customers": customers}, "actions": actions, "lead_time": 2, "duration": 7,
        "scheduled_at": "2027-03-27T09:00",
    });
    let campaign = world.run(0, &over).await;
    (world, campaign)
}

#[tokio::test]
async fn who_has_a_grant_hears_where_it_comes_from_and_when_it_can_be_used() {
    let (world, campaign) = listed().await;
    let story = why(&world, "anna", "fs20").await;
    assert_eq!(
        (&story["eligible"], &story["reason"]),
        (&json!(false), &json!("not_started"))
    );
    let whole = told(&story);
    assert_eq!(whole.first(), Some(&"heard"), "{story}");
    assert_eq!(whole[whole.len() - 3..], ["terms", "listed", "granted"]);
    assert_eq!(story["story"][0]["campaign_id"], campaign.to_string());
    assert!(text(&story, "notified").starts_with("Event 1"), "{story}");
    let terms = text(&story, "terms");
    assert!(
        terms.contains("from 2 days after") && terms.contains("for 7 days"),
        "{terms}"
    );
    let grants = world.rows("/v1/tenants/acme/customers/anna/grants").await;
    let starts_at = grants[0]["starts_at"].as_str().expect("an instant");
    assert!(text(&story, "granted").contains(starts_at), "{story}");

    world.travel(starts_at).await;
    let story = why(&world, "anna", "FS20").await;
    assert_eq!(story["eligible"], true);
    assert_eq!(story["summary"], "The code can be used now.");
    world.assert_verified();
}

#[tokio::test]
async fn who_has_none_hears_why() {
    let (world, _) = listed().await;
    let story = why(&world, "nobody", "FS20").await;
    assert_eq!(story["reason"], "no_grant");
    assert_eq!(told(&story).last(), Some(&"not_listed"));

    let story = why(&world, "Anna", "FS20").await;
    assert!(text(&story, "not_listed").contains("\"anna\""), "{story}");

    let story = why(&world, "bob", "FS20").await;
    assert_eq!(told(&story).last(), Some(&"other_codes"));

    // Of two with nearly the same id the second one is held.
    let told_of = [
        why(&world, "cleo", "FS20").await,
        why(&world, "CLEO", "FS20").await,
    ];
    let last: Vec<_> = told_of
        .iter()
        .map(|story| *told(story).last().expect("one"))
        .collect();
    assert!(
        last.contains(&"granted") && last.contains(&"refused"),
        "{last:?}"
    );

    let story = why(&world, "dora", "NOBODY").await;
    assert_eq!(story["reason"], "unknown_promotion");
    assert!(
        text(&story, "held").contains("the catalogue has no such code"),
        "{story}"
    );

    let story = why(&world, "emil", "CB10").await;
    assert!(text(&story, "held").contains("more codes"), "{story}");

    let story = why(&world, "anna", "ELSE").await;
    assert_eq!(told(&story), ["not_offered"]);
}

#[tokio::test]
async fn what_stops_a_code_is_told_and_by_whom() {
    let (world, campaign) = listed().await;
    let path = format!("/v1/tenants/acme/campaigns/{campaign}/suspend");
    let reason = json!({"reason": "the wrong reward"});
    world
        .api
        .ok(Method::POST, &path, &reason)
        .await
        .expect("suspended");
    let excluded = json!({"customer_ids": ["anna"], "reason": "she asked for it"});
    let path = "/v1/tenants/acme/exclusions";
    world
        .api
        .ok(Method::POST, path, &excluded)
        .await
        .expect("excluded");
    let story = why(&world, "anna", "FS20").await;
    assert_eq!(story["reason"], "excluded");
    assert_eq!(told(&story).first(), Some(&"excluded"));
    let suspended = text(&story, "suspended");
    assert!(
        suspended.contains("a person: the wrong reward"),
        "{suspended}"
    );
}

#[tokio::test]
async fn what_was_redeemed_and_undone_is_told() {
    let (world, _) = listed().await;
    let grants = world.rows("/v1/tenants/acme/customers/anna/grants").await;
    world
        .travel(grants[0]["starts_at"].as_str().expect("an instant"))
        .await;
    let id = world.redeem("anna").await;
    let story = why(&world, "anna", "FS20").await;
    assert_eq!(story["reason"], "already_redeemed");
    assert!(text(&story, "redeemed").contains(&id), "{story}");
}

#[tokio::test]
async fn a_code_that_cannot_be_one_is_refused() {
    let world = World::connected().await;
    let long = "x".repeat(300);
    for code in ["", "%20", &*long] {
        let path = format!("/v1/tenants/acme/customers/anna/why?code={code}");
        let answer = world.api.json(Method::GET, &path, &Value::Null).await;
        let (status, problem) = answer.expect("an answer");
        assert_eq!(status.as_u16(), 422, "{problem}");
        assert_eq!(problem["code"], "bad_promo_code");
    }
}

#[tokio::test]
async fn who_was_excluded_when_a_list_was_read_is_told_so_after_being_let_in() {
    let world = World::connected().await;
    let path = "/v1/tenants/acme/exclusions";
    let excluded =
        json!({"customer_ids": ["anna"], "reason": "she asked for it", "promo_code": "FS20"});
    world.post(path, &excluded).await;
    let over = json!({"audience": {"customers": [{"id": "anna"}, {"id": "bob"}]}});
    world.run(0, &over).await;
    let story = why(&world, "anna", "FS20").await;
    assert_eq!(told(&story).first(), Some(&"excluded"));
    let from = text(&story, "excluded");
    assert!(
        from.contains("from this promotion") && from.contains("she asked for it"),
        "{from}"
    );
    let let_in = json!({"customer_ids": ["anna"], "promo_code": "FS20"});
    let removed = world.api.ok(Method::DELETE, path, &let_in).await;
    assert_eq!(removed.expect("let in")["removed"], 1);
    let story = why(&world, "anna", "FS20").await;
    assert_eq!(told(&story).last(), Some(&"refused"));
    assert!(
        text(&story, "refused").contains("excluded when the list was read"),
        "{story}"
    );
    assert!(!told(&story).contains(&"excluded"), "{story}");
}

#[tokio::test]
async fn what_waits_for_a_second_person_or_is_stopped_is_told() {
    let world = World::connected().await;
    let guards = json!({"guards": {"campaign_customers_max": 1}});
    world.patch("/v1/tenants/acme", &guards).await;
    let over = json!({"audience": {"customers": [{"id": "anna"}, {"id": "bob"}]}});
    world.run(0, &over).await;
    let story = why(&world, "anna", "FS20").await;
    assert_eq!(story["reason"], "no_grant");
    assert!(
        text(&story, "weighed").contains("2 customers, 2 grants"),
        "{story}"
    );
    assert!(
        text(&story, "waits").contains("too many customers (2, at most 1)"),
        "{story}"
    );
    let stop = json!({"reason": "the wrong reward"});
    world
        .post("/v1/tenants/acme/promotions/FS20/stop", &stop)
        .await;
    let story = why(&world, "anna", "FS20").await;
    assert!(
        text(&story, "stopped").contains("the wrong reward"),
        "{story}"
    );
}

#[tokio::test]
async fn codes_in_use_at_once_are_named() {
    let world = World::connected().await;
    world
        .patch("/v1/tenants/acme", &json!({"codes_at_once_max": 1}))
        .await;
    world
        .put("/v1/tenants/acme/promotions/CB10", &json!({"name": "Back"}))
        .await;
    let customers = json!([{"id": "anna", "promo_code": "FS20,CB10"}]);
    world
        .run(0, &json!({"audience": {"customers": customers}}))
        .await;
    let grants = world.rows("/v1/tenants/acme/customers/anna/grants").await;
    world
        .travel(grants[0]["starts_at"].as_str().expect("an instant"))
        .await;
    world.redeem("anna").await;
    let story = why(&world, "anna", "CB10").await;
    assert_eq!(story["reason"], "limit_reached");
    assert!(
        text(&story, "in_use").contains("at most 1 codes in use at once the customer uses 1: fs20"),
        "{story}"
    );
}
