//! The demo's cancelled campaign: granted first, then called off at Optimove.

use http::Method;
use serde_json::{Value, json};

use super::act::Act;
use super::check;
use super::stage::{CALLED_OFF, Stage, TENANT};

/// Plays it: granted, cancelled, borne out by Optimove's own list, revoked.
pub(super) async fn play(stage: &Stage, customers: u64) -> anyhow::Result<Act> {
    let campaign = stage.plan(&campaign(customers)).await?;
    stage.process(&campaign).await?;
    stage
        .until(&campaign, "its grants", |view| {
            view["imports"][0]["state"] == "done"
        })
        .await?;
    let before = check::compare(stage, &campaign).await?;
    let mut act = Act::new("cancelled", &campaign, customers);
    act.fails_unless(
        before.is_equal() && before.granted == customers,
        "everybody held a grant before the cancel",
    );
    let cancel = format!("/_sandbox/campaigns/{campaign}/cancel");
    stage
        .sandbox
        .ok(Method::POST, &cancel, &Value::Null)
        .await?;
    let view = stage
        .until(&campaign, "Optimove's word on the cancel", |view| {
            // Revoked comes first: Optimove's list is compared after it.
            view["status"] == "revoked" && !view["cancellation"]["settled_at"].is_null()
        })
        .await?;
    act.granted = view["counts"]["granted"].as_u64().unwrap_or_default();
    act.fails_unless(
        view["cancellation"]["state"] == "confirmed",
        "Optimove's list bore the cancel out",
    );
    act.fails_unless(
        view["cancellation"]["listed"] == customers
            && view["cancellation"]["not_listed"] == 0
            && view["cancellation"]["not_ours"] == 0,
        "its list and ours were the same",
    );
    act.expect_nothing_but("revoked", stage, &campaign).await?;
    for sample in before.samples() {
        act.ask(stage, &sample.customer, CALLED_OFF, Some("revoked"))
            .await?;
    }
    Ok(act)
}

fn campaign(customers: u64) -> Value {
    json!({
        "tenant": TENANT, "kind": "scheduled", "lead_time": 0, "duration": 7,
        "audience": {"count": customers, "prefix": "C-"}, "notes": "demo, cancelled",
        "actions": [{"id": 31, "name": "Called off", "promo_codes": [CALLED_OFF],
            "channels": [{"id": 504, "template_id": 531}]}],
    })
}
