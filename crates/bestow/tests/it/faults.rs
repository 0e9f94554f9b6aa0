//! What goes wrong, case by case and by name: each against the stand-in over HTTP, on a hand-moved clock. In every case
//! the ledger is what the oracle says in the end. The simulation mixes all of it; here each case stands alone.

mod answers;
mod cancel;
mod cancel_compared;
mod catalogue;
mod clearance;
mod codes;
mod commits;
mod ended_campaigns;
mod endings;
mod excluded;
mod forged;
mod found;
mod gateway;
mod guards;
mod heard_first;
mod listed;
mod notifications;
mod orders;
mod pages;
mod retention;
mod switches;
mod time;
mod triggers;
mod windows;
mod zone_data;

use std::sync::atomic::{AtomicU32, Ordering};

use bestow::config::Config;
use bestow_store::Fault;
use serde_json::{Value, json};

use crate::sim::model::{
    CampaignPlan, CodePlan, History, Kind, Known, Op, Posts, TenantPlan, Times, World as Plan,
};
use crate::support::{START, World};

/// A connected world that reads in pages of `rows` rows.
async fn paged(rows: u32) -> World {
    tuned(|config| config.optimove.page_rows = rows).await
}

/// A connected world with settings of its own.
async fn tuned(change: impl FnOnce(&mut Config)) -> World {
    let world = World::with(change).await;
    world.connect(&json!({})).await;
    world
}

/// Sets switches of the stand-in.
fn switch(world: &World, switches: &Value) {
    world
        .sandbox
        .set_switches(switches)
        .expect("these switches exist");
}

/// What the API says of a campaign.
async fn view(world: &World, campaign: u64) -> Value {
    let path = format!("/v1/tenants/acme/campaigns/{campaign}");
    world.get(&path).await
}

/// Why each list of a campaign is held; `null` for one that is not.
async fn holds(world: &World, campaign: u64) -> Vec<Value> {
    let view = view(world, campaign).await;
    let imports = view["imports"].as_array().expect("a list");
    imports
        .iter()
        .map(|import| import["hold_reason"].clone())
        .collect()
}

/// A person lets a campaign go on, and all the work that follows is done.
async fn resume(world: &World, campaign: u64) {
    let path = format!("/v1/tenants/acme/campaigns/{campaign}/resume");
    world.post(&path, &Value::Null).await;
    world.settle().await;
}

/// May this customer redeem the code now?
async fn is_eligible(world: &World, customer: &str, code: &str) -> bool {
    let question = json!({ "customer_id": customer, "promo_code": code });
    let path = "/v1/tenants/acme/eligibility";
    let answer = world.post(path, &question).await;
    answer["eligible"] == true
}

/// Lets the first `times` commits of a transaction fail, by turns before and after they are durable.
fn lose_commits(world: &World, name: &'static str, times: u32) {
    let met = AtomicU32::new(0);
    world.app.store.fail_commits(move |each| {
        let time = (each == name).then(|| met.fetch_add(1, Ordering::Relaxed))?;
        match time {
            time if time >= times => None,
            time if time % 2 == 0 => Some(Fault::AfterCommit),
            _ => Some(Fault::BeforeCommit),
        }
    });
}

/// Where notifications of an event come in.
fn listener(world: &World, event: i64) -> String {
    format!(
        "/optimove/listener/{}",
        world.app.keys.listener_secret("acme", event, 1)
    )
}

/// The inbox.
async fn inbox(world: &World) -> Vec<Value> {
    world
        .rows("/v1/tenants/acme/notifications?limit=1000")
        .await
}

/// A history of one campaign: tenant `acme` in UTC on three channels, pages of two rows; the catalogue knows FS20 and
/// CB10, has OLD as a draft, and will know NEW.
fn history(campaign: Value, ops: Vec<Op>) -> History {
    let code = CodePlan::shared;
    let world = Plan {
        tenants: vec![TenantPlan::plain("acme", "UTC")],
        campaigns: vec![CampaignPlan {
            id: 7_001,
            tenant: 0,
            kind: Kind::Scheduled,
            spec: campaign,
        }],
        codes: vec![
            code("FS20", Known::Active),
            code("CB10", Known::Active),
            code("OLD", Known::Draft),
            code("NEW", Known::Later),
        ],
        page_rows: 2,
        merge_grants_max: 2,
        times: Times::Local,
        has_lead: true,
        start: START.parse().expect("an instant"),
        ended_offset: 0,
        rounds: 1,
    };
    History {
        seed: 1,
        world,
        ops,
    }
}

/// All notifications of the campaign, once and in turn.
fn notify() -> Op {
    Op::Notify {
        campaign: 0,
        which: u8::MAX,
        copies: 1,
        order: 1,
        posts: Posts::InTurn,
    }
}

/// Plays a history that has to end well.
fn play(history: &History) {
    if let Err(wrong) = crate::sim::play(history) {
        panic!("{wrong}\n{:#?}", history.ops);
    }
}
