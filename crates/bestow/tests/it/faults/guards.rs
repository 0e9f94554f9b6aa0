//! Campaigns that would give more than may be given without a second person: they wait, with the figures in view and
//! nothing granted; and dry runs, which wait anyway.

use bestow::actor::{Actor, Role};
use bestow::cli::call::Caller;
use bestow::service::tokens;
use http::Method;
use serde_json::{Value, json};

use super::{is_eligible, listener, paged, view};
use crate::support::{World, changed};

/// A world whose promotion costs 5 EUR and whose tenant has these guards, set by the admin.
async fn guarded(guards: &Value) -> World {
    let world = paged(20).await;
    let reward = json!({"type": "amount", "amount_minor": 500, "currency": "EUR"});
    promotion(&world, "FS20", &json!({ "reward": reward })).await;
    set_guards(&world, guards).await;
    world
}

async fn promotion(world: &World, code: &str, over: &Value) {
    let path = format!("/v1/tenants/acme/promotions/{code}");
    world
        .put(&path, &changed(json!({"name": code}), over))
        .await;
}

async fn set_guards(world: &World, guards: &Value) {
    world
        .patch("/v1/tenants/acme", &json!({ "guards": guards }))
        .await;
}

/// Somebody with this role.
async fn somebody(world: &World, role: Role) -> Caller {
    let new = json!({"name": "second", "role": role.as_str(), "tenant": "acme"});
    let new = serde_json::from_value(new).expect("a token");
    let made = tokens::create(&world.app, &Actor::cli(), new).await;
    let token = made.expect("it is made").token;
    Caller::new(world.api.address(), Some(&token))
}

/// What comes of a decision: the status, and the code of a problem.
async fn decide(world: &World, who: &Caller, campaign: u64, verb: &str) -> (u16, Value) {
    let path = format!("/v1/tenants/acme/campaigns/{campaign}/{verb}");
    let body = json!({"reason": "seen and meant"});
    let answer = who.json(Method::POST, &path, &body).await;
    let (status, answer) = answer.expect("an answer");
    world.settle().await;
    (status.as_u16(), answer["code"].clone())
}

async fn approve(world: &World, campaign: u64) {
    let second = somebody(world, Role::Approver).await;
    let answer = decide(world, &second, campaign, "approve").await;
    assert_eq!(answer, (200, Value::Null));
}

async fn guard(world: &World, campaign: u64) -> Value {
    view(world, campaign).await["guard"].clone()
}

/// The bounds that a campaign is beyond.
async fn beyond(world: &World, campaign: u64) -> Vec<String> {
    let guard = guard(world, campaign).await;
    let beyond = guard["beyond"].as_array().expect("a list");
    let name = |one: &Value| one["bound"].as_str().expect("a name").to_owned();
    beyond.iter().map(name).collect()
}

#[tokio::test]
async fn beyond_its_bounds_a_campaign_waits_with_the_figures_in_view() {
    let bounds =
        json!({"campaign_customers_max": 50, "campaign_liability_max_minor": {"eur": 20_000}});
    let world = guarded(&bounds).await;
    let within = world.run(40, &json!({})).await;
    world.assert_right(within).await;
    assert_eq!(guard(&world, within).await["state"], "passed");
    let action = json!({"id": 24, "promo_codes": ["FS20", "LATER"], "channels": [{"id": 504}]});
    let over = json!({ "actions": [action], "control_share": 0.1 });
    let campaign = world.run(60, &over).await;
    let seen = guard(&world, campaign).await;
    assert_eq!(seen["state"], "held");
    let expected = json!([
        {"bound": "customers", "promo_code": null, "currency": null, "figure": 54, "max": 50},
        {"bound": "liability", "promo_code": null, "currency": "EUR", "figure": 27_000, "max": 20_000},
    ]);
    assert_eq!(seen["beyond"], expected);
    let figures = &seen["figures"];
    assert_eq!(
        (&figures["grants"], &figures["liability_minor"]),
        (&json!(54), &json!({"EUR": 27_000}))
    );
    // What would be held and refused, and why.
    assert_eq!(figures["counts"]["held"], json!({"unknown_code": 54}));
    assert_eq!(world.ledger(campaign).await.len(), 0);
    let customer = world
        .oracle(campaign)
        .into_keys()
        .next()
        .expect("somebody")
        .0;
    assert!(!is_eligible(&world, &customer, "FS20").await);
    // Who only lets held lists go on does not let these.
    super::resume(&world, campaign).await;
    assert_eq!(world.ledger(campaign).await.len(), 0);
    world.assert_verified();

    approve(&world, campaign).await;
    assert_eq!(world.ledger(campaign).await.len(), 54);
    assert_eq!(view(&world, campaign).await["counts"], figures["counts"]);
    assert_eq!(guard(&world, campaign).await["state"], "approved");
    world.assert_verified();
}

#[tokio::test]
async fn the_second_person_is_none_of_those_who_came_first() {
    let world = guarded(&json!({"campaign_customers_max": 10})).await;
    let campaign = world.run(20, &json!({})).await;
    let same = (409, json!("same_person"));
    assert_eq!(decide(&world, &world.api, campaign, "approve").await, same);
    let operator = somebody(&world, Role::Operator).await;
    let forbidden = (403, json!("forbidden"));
    assert_eq!(
        decide(&world, &operator, campaign, "approve").await,
        forbidden
    );
    // Who writes the promotion meanwhile is out, too.
    let writer = somebody(&world, Role::Admin).await;
    let anew = json!({"name": "Free", "reward": {"type": "amount", "amount_minor": 400, "currency": "EUR"}});
    let put = writer.ok(Method::PUT, "/v1/tenants/acme/promotions/FS20", &anew);
    put.await.expect("it is put");
    assert_eq!(decide(&world, &writer, campaign, "approve").await, same);
    assert_eq!(world.ledger(campaign).await.len(), 0);
    approve(&world, campaign).await;
    world.assert_right(campaign).await;
    let nothing = (409, json!("nothing_waits"));
    assert_eq!(
        decide(&world, &operator, campaign, "refuse").await,
        forbidden
    );
    let second = somebody(&world, Role::Approver).await;
    assert_eq!(decide(&world, &second, campaign, "approve").await, nothing);
    let audit = world.rows("/v1/tenants/acme/audit?limit=1000").await;
    let approved = audit
        .iter()
        .find(|row| row["action"] == "campaign.approved");
    let detail = &approved.expect("it is in the audit")["detail"];
    assert_eq!(
        (&detail["reason"], &detail["figures"]["customers"]),
        (&json!("seen and meant"), &json!(20))
    );
}

#[tokio::test]
async fn a_refused_campaign_gives_nothing_for_ever() {
    let world = guarded(&json!({"campaign_customers_max": 10})).await;
    let action = json!({"id": 24, "promo_codes": ["FS20", "LATER"], "channels": [{"id": 504}]});
    let campaign = world.run(20, &json!({ "actions": [action] })).await;
    let second = somebody(&world, Role::Approver).await;
    assert_eq!(
        decide(&world, &second, campaign, "refuse").await,
        (200, Value::Null)
    );
    let path = format!("/v1/tenants/acme/campaigns/{campaign}/resume");
    let resumed = world.api.json(Method::POST, &path, &Value::Null).await;
    assert_eq!(resumed.expect("an answer").0.as_u16(), 409);
    assert_eq!(view(&world, campaign).await["status"], "revoked");
    // Nor what waited for a code.
    promotion(&world, "LATER", &json!({})).await;
    world.settle().await;
    assert_eq!(guard(&world, campaign).await["state"], "refused");
    assert_eq!(world.ledger(campaign).await.len(), 0);
    world.assert_verified();
}

#[tokio::test]
async fn a_run_far_larger_than_earlier_ones_waits() {
    let world = guarded(&json!({"growth_factor_max": 3})).await;
    for count in [10, 30] {
        let campaign = world.run(count, &json!({})).await;
        world.assert_right(campaign).await;
    }
    let campaign = world.run(91, &json!({})).await;
    assert_eq!(beyond(&world, campaign).await, ["growth"]);
    assert_eq!(guard(&world, campaign).await["beyond"][0]["max"], 90);
    // Of another target group nothing is known.
    let other = world.run(91, &json!({"target_group_id": 77})).await;
    world.assert_right(other).await;
    approve(&world, campaign).await;
    world.assert_right(campaign).await;
}

#[tokio::test]
async fn a_promotion_has_bounds_of_its_own_for_each_campaign() {
    let world = guarded(&json!({})).await;
    let limits = json!({"campaign_grants_max": 15, "campaign_liability_max_minor": 8_000, "currency": "EUR"});
    promotion(&world, "CB10", &json!({ "limits": limits })).await;
    let action = json!({"id": 24, "promo_codes": ["FS20", "CB10"], "channels": [{"id": 504}]});
    let over = json!({ "actions": [action] });
    let campaign = world.run(20, &over).await;
    assert_eq!(
        beyond(&world, campaign).await,
        ["promotion_grants", "promotion_liability"]
    );
    // Nobody knows what it costs until somebody says so.
    assert_eq!(
        guard(&world, campaign).await["beyond"][1]["figure"],
        Value::Null
    );
    let said = changed(limits, &json!({"worst_case_minor": 500}));
    promotion(&world, "CB10", &json!({ "limits": said })).await;
    let campaign = world.run(15, &over).await;
    world.assert_right(campaign).await;
    let figures = guard(&world, campaign).await["figures"].clone();
    assert_eq!(figures["liability_minor"], json!({"EUR": 15_000}));
}

#[tokio::test]
async fn a_dry_run_grants_nothing_whatever_is_told_meanwhile() {
    let world = guarded(&json!({})).await;
    super::switch(&world, &json!({"notify-drop": 100}));
    let campaign = world.plan(30, &json!({}));
    world.sandbox.process(campaign).expect("it runs");
    let asker = somebody(&world, Role::Admin).await;
    assert_eq!(decide(&world, &asker, campaign, "dry-run").await.0, 200);
    let seen = guard(&world, campaign).await;
    assert_eq!(
        (&seen["state"], &seen["figures"]["grants"]),
        (&json!("held"), &json!(30))
    );
    assert_eq!(beyond(&world, campaign).await, ["dry_run"]);
    let event = json!({"EventTypeID": 13, "CampaignID": campaign, "ChannelID": 504});
    world.post(&listener(&world, 13), &event).await;
    world.settle().await;
    assert_eq!(world.ledger(campaign).await.len(), 0);
    world.assert_verified();
    let same = (409, json!("same_person"));
    assert_eq!(decide(&world, &asker, campaign, "approve").await, same);
    approve(&world, campaign).await;
    world.assert_right(campaign).await;
    let already = (409, json!("already_granted"));
    assert_eq!(decide(&world, &asker, campaign, "dry-run").await, already);
}

#[tokio::test]
async fn more_than_was_in_view_waits_again() {
    let world = guarded(&json!({"campaign_customers_max": 10})).await;
    let channel = |id: u64, share: f64| json!({"id": id, "share": share});
    let action = json!({"id": 24, "promo_codes": ["FS20"], "channels": [channel(504, 0.5), channel(505, 1.0)]});
    let campaign = world.plan(40, &json!({ "actions": [action] }));
    super::switch(&world, &json!({"notify-drop": 100}));
    world.sandbox.process(campaign).expect("it runs");
    let told = async |channel: u64| {
        let event = json!({"EventTypeID": 13, "CampaignID": campaign, "ChannelID": channel});
        world.post(&listener(&world, 13), &event).await;
        world.work().await;
    };
    told(504).await;
    let seen = guard(&world, campaign).await["figures"]["customers"].as_u64();
    let seen = seen.expect("a number") as usize;
    assert!(seen > 10 && seen < 40, "{seen}");
    approve(&world, campaign).await;
    told(505).await;
    world.settle().await;
    assert_eq!(world.ledger(campaign).await.len(), seen);
    assert_eq!(guard(&world, campaign).await["state"], "held");
    approve(&world, campaign).await;
    world.assert_right(campaign).await;
    assert_eq!(world.ledger(campaign).await.len(), 40);
}

#[tokio::test]
async fn what_is_released_later_is_weighed_with_what_is_granted() {
    let world = guarded(&json!({"campaign_liability_max_minor": {"EUR": 12_000}})).await;
    let action = json!({"id": 24, "promo_codes": ["FS20", "LATER"], "channels": [{"id": 504}]});
    let campaign = world.run(20, &json!({ "actions": [action] })).await;
    let is_granted = async || world.ledger(campaign).await.len();
    assert_eq!(
        (is_granted().await, beyond(&world, campaign).await.len()),
        (20, 0)
    );
    let reward = |amount: u64| json!({"type": "amount", "amount_minor": amount, "currency": "EUR"});
    promotion(&world, "LATER", &json!({ "reward": reward(101) })).await;
    world.settle().await;
    assert_eq!(is_granted().await, 20);
    let seen = guard(&world, campaign).await;
    assert_eq!(
        (&seen["state"], &seen["figures"]["liability_minor"]),
        (&json!("held"), &json!({"EUR": 12_020}))
    );
    assert_eq!(view(&world, campaign).await["last_error"], "beyond_bounds");
    // Nobody releases it past the second person.
    world
        .post("/v1/tenants/acme/held/release", &json!({}))
        .await;
    world.settle().await;
    assert_eq!(is_granted().await, 20);
    world.assert_verified();

    approve(&world, campaign).await;
    assert_eq!(is_granted().await, 40);
    assert_eq!(view(&world, campaign).await["last_error"], Value::Null);
    world.assert_right(campaign).await;
}
