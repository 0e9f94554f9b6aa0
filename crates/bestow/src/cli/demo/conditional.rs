//! The demo's conditional campaign: Optimove asks first, and sends to those alone whom Bestow
//! approves.

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::act::Act;
use super::check;
use super::stage::{LIMITED, Stage, TENANT};

/// What the customers' ids begin with.
const PREFIX: &str = "V-";
/// Time from Optimove's question to its deadline.
const CLEARANCE_SECONDS: i64 = 3_600;
/// One in so many customers is excluded.
const EXCLUDED_ONE_IN: u64 = 20;
/// Customers named in one call that excludes them.
const EXCLUDED_AT_ONCE: usize = 1_000;

/// Plays it: some customers are excluded, and the promotion is not enough for all others.
pub(super) async fn play(stage: &Stage, customers: u64) -> anyhow::Result<Act> {
    let enough_for = limit(customers);
    let excluded = exclude(stage, customers).await?;
    let now = stage.now().await?;
    let campaign = stage.plan(&campaign(customers, now)).await?;
    let clearance = json!({"clearance_in_seconds": CLEARANCE_SECONDS});
    stage.process_with(&campaign, &clearance).await?;
    let view = stage
        .until(&campaign, "the decisions", |view| {
            view["rounds"][0]["state"] == "closed"
        })
        .await?;
    let mut act = Act::new("conditional", &campaign, customers);
    let round = &view["rounds"][0];
    let approved = enough_for.min(customers - excluded);
    act.fails_unless(
        round["customers"] == customers && round["approved"] == approved,
        "everybody was decided, and as many approved as the limit allows",
    );
    act.fails_unless(round["reported"] == approved, "all approvals were reported");
    // Optimove sends once the deadline has come.
    let deadline = now + SignedDuration::from_secs(CLEARANCE_SECONDS + 2);
    stage.travel(&deadline.to_string()).await?;
    let view = stage
        .until(&campaign, "the execution", |view| {
            let imports = view["imports"].as_array().map_or(&[][..], Vec::as_slice);
            let read = |import: &Value| {
                import["channel_id"] == 504 && matches!(import["state"].as_str(), Some("done"))
            };
            imports.iter().any(read)
        })
        .await?;
    act.granted = view["counts"]["granted"].as_u64().unwrap_or_default();
    let sent = format!("/_sandbox/campaigns/{campaign}?tenant={TENANT}");
    let sent = stage.sandbox.ok(Method::GET, &sent, &Value::Null).await?;
    act.fails_unless(
        sent["sent"] == approved,
        "Optimove sent to those alone who were approved",
    );
    act.take(&check::compare(stage, &campaign).await?);
    for number in 1..=excluded.min(check::SAMPLED_MAX as u64) {
        act.ask(
            stage,
            &format!("{PREFIX}{number}"),
            LIMITED,
            Some("no_grant"),
        )
        .await?;
    }
    Ok(act)
}

/// Grants that the promotion is enough for: less than half of the audience.
pub(super) fn limit(customers: u64) -> u64 {
    (customers * 2 / 5).max(1)
}

/// Excludes the first customers; gives how many.
async fn exclude(stage: &Stage, customers: u64) -> anyhow::Result<u64> {
    let excluded = customers / EXCLUDED_ONE_IN;
    let ids: Vec<String> = (1..=excluded)
        .map(|number| format!("{PREFIX}{number}"))
        .collect();
    let path = format!("/v1/tenants/{TENANT}/exclusions");
    for some in ids.chunks(EXCLUDED_AT_ONCE) {
        let body = json!({"customer_ids": some, "reason": "asked to be left alone"});
        stage.service.ok(Method::POST, &path, &body).await?;
    }
    Ok(excluded)
}

fn campaign(customers: u64, now: Timestamp) -> Value {
    let scheduled_at = now + SignedDuration::from_secs(2 * CLEARANCE_SECONDS);
    json!({
        "tenant": TENANT, "kind": "conditional", "lead_time": 1, "duration": 3,
        "scheduled_at": scheduled_at.to_string(),
        "audience": {"count": customers, "prefix": PREFIX}, "notes": "demo, conditional",
        "actions": [{"id": 41, "name": "For the first", "promo_codes": [LIMITED],
            "channels": [{"id": 504, "template_id": 541}]}],
    })
}
