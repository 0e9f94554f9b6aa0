//! The demo's triggered campaigns: one that is sent at once, with a unique code for everybody, and
//! one that asks the gateway first.

use std::collections::HashSet;

use anyhow::Context;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::act::Act;
use super::check;
use super::stage::{ASKED, Stage, TENANT, UNIQUE};

/// Customers of the campaign who may not get anything: the gateway says no to them.
const BARRED: u64 = 5;
/// One trigger in so many is told three times.
const TOLD_AGAIN_ONE_IN: u64 = 10;

/// A line of the export, as far as it is looked at.
#[derive(Deserialize)]
struct Line {
    unique_code: Option<String>,
}

/// Plays a campaign that meets `customers` one at a time.
pub(super) async fn play(stage: &Stage, customers: u64) -> anyhow::Result<Act> {
    let campaign = stage
        .plan(&campaign("rt-812", UNIQUE, Gateway::NotAsked))
        .await?;
    let mut act = Act::new("triggered", &campaign, customers);
    let codes = format!("/v1/tenants/{TENANT}/promotions/{UNIQUE}/codes");
    let pool = json!({"generate": customers});
    stage.service.ok(Method::POST, &codes, &pool).await?;
    for number in 1..=customers {
        let told = trigger(stage, &campaign, &format!("T-{number}")).await?;
        act.fails_unless(told["sent"] == true, "every trigger was sent");
        if number % TOLD_AGAIN_ONE_IN == 0 {
            tell_again(stage, &told).await?;
        }
    }
    let view = stage
        .until(&campaign, "the triggers", |view| {
            view["counts"]["granted"] == customers
        })
        .await?;
    act.granted = view["counts"]["granted"].as_u64().unwrap_or_default();
    act.take(&check::compare(stage, &campaign).await?);
    let unique = unique_codes(stage, &campaign).await?;
    act.fails_unless(
        unique == customers,
        "everybody has a code that nobody else has",
    );
    Ok(act)
}

/// Plays a campaign that asks before each message.
pub(super) async fn play_asked(stage: &Stage, customers: u64) -> anyhow::Result<Act> {
    let campaign = stage
        .plan(&campaign("rt-813", ASKED, Gateway::Asked))
        .await?;
    let mut act = Act::new("triggered_conditional", &campaign, customers);
    let barred: Vec<String> = (1..=BARRED.min(customers))
        .map(|number| format!("G-{number}"))
        .collect();
    let exclusions = format!("/v1/tenants/{TENANT}/exclusions");
    let body = json!({"customer_ids": barred, "reason": "asked to be left alone"});
    stage.service.ok(Method::POST, &exclusions, &body).await?;
    for number in 1..=customers {
        let customer = format!("G-{number}");
        let may_have = !barred.contains(&customer);
        let told = trigger(stage, &campaign, &customer).await?;
        act.fails_unless(
            told["asked"] == true && told["allowed"] == may_have && told["sent"] == may_have,
            "the gateway let through whom it should",
        );
    }
    let granted = customers - barred.len() as u64;
    let view = stage
        .until(&campaign, "the triggers", |view| {
            granted == 0 || view["counts"]["granted"] == granted
        })
        .await?;
    act.granted = view["counts"]["granted"].as_u64().unwrap_or_default();
    act.take(&check::compare(stage, &campaign).await?);
    for customer in &barred {
        act.ask(stage, customer, ASKED, Some("no_grant")).await?;
    }
    Ok(act)
}

/// Whether a triggered campaign asks first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gateway {
    Asked,
    NotAsked,
}

fn campaign(id: &str, code: &str, gateway: Gateway) -> Value {
    json!({
        "tenant": TENANT, "id": id, "kind": "triggered", "conditional": gateway == Gateway::Asked,
        "notes": "{\"duration\":3}",
        "actions": [{"id": 51, "name": "At once", "promo_codes": [code],
            "channels": [{"id": 15, "template_id": 551}]}],
    })
}

async fn trigger(stage: &Stage, campaign: &str, customer: &str) -> anyhow::Result<Value> {
    let met = json!({"tenant": TENANT, "campaign_id": campaign, "customer_id": customer,
        "is_visitor": false, "attributes": {"event_deposit_amount": 50}});
    stage
        .sandbox
        .ok(Method::POST, "/_sandbox/triggers", &met)
        .await
}

/// The same notification twice more.
async fn tell_again(stage: &Stage, told: &Value) -> anyhow::Result<()> {
    let ids = told["notification_ids"]
        .as_array()
        .context("the notifications of a trigger")?;
    for id in ids {
        let path = format!("/_sandbox/notifications/{id}/redeliver");
        for _ in 0..2 {
            stage.sandbox.ok(Method::POST, &path, &Value::Null).await?;
        }
    }
    Ok(())
}

async fn unique_codes(stage: &Stage, campaign: &str) -> anyhow::Result<u64> {
    let mut codes = HashSet::new();
    let export = format!("/v1/tenants/{TENANT}/campaigns/{campaign}/grants");
    let take = |line: &[u8]| {
        let line: Line = serde_json::from_slice(line).context("a line of the export")?;
        codes.extend(line.unique_code);
        Ok(())
    };
    stage.service.lines(&export, take).await?;
    Ok(codes.len() as u64)
}
