//! Stops, bounds and the second person: drawn beside everything else, and watched while it happens.

use std::collections::{BTreeMap, BTreeSet};

use bestow::actor::Actor;
use bestow::service::guards::{self, Decision};
use http::Method;
use serde_json::{Value, json};

use super::acts::told;
use super::generate::before_or_after;
use super::model::{Dice, Kind, Known, Op, TenantPlan, World};
use super::run::Wrong;
use super::stage::{Stage, escaped};

/// Draws of their own, so that a seed keeps the rest of its history.
const STREAM: u64 = 0x6775_6172_6473;
/// Transactions of stops and decisions.
const TRANSACTIONS: [&str; 8] = [
    "weigh_campaign",
    "ask_dry_run",
    "approve_campaign",
    "refuse_campaign",
    "stop_promotion",
    "resume_promotion",
    "suspend_campaign",
    "land_page",
];

/// Something stops at once, goes on, or is decided.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Guarding {
    /// A promotion, of every tenant.
    Stop(usize),
    /// A promotion goes on.
    GoOn(usize),
    /// A campaign.
    Halt(usize),
    /// A campaign is to be seen before anything of it is granted.
    DryRun(usize),
    /// A second person lets a campaign go on, if it waits.
    Approve(usize),
    /// A second person refuses it, if it waits.
    Refuse(usize),
    /// A customer of a campaign may get nothing of one promotion.
    ExcludeFrom {
        campaign: usize,
        customer: u64,
        code: usize,
    },
}

/// Puts them into four of ten histories.
pub(super) fn draw(seed: u64, world: &mut World, ops: &mut Vec<Op>) {
    let dice = Dice::new(seed ^ STREAM);
    if !dice.chance(40) {
        return;
    }
    for tenant in &mut world.tenants {
        tenant.customers_max = *dice.pick(&[None, Some(0), Some(3), Some(20), Some(150)]);
    }
    for _ in 0..dice.between(2, 10) {
        let place = dice.below(ops.len() as u64 + 1) as usize;
        ops.insert(place, op(&dice, world));
    }
}

fn op(dice: &Dice, world: &World) -> Op {
    let campaign = dice.below(world.campaigns.len() as u64) as usize;
    let code = dice.below(world.codes.len() as u64) as usize;
    Op::Guard(match dice.below(16) {
        0..=2 => Guarding::Stop(code),
        3..=4 => Guarding::GoOn(code),
        5..=6 => Guarding::Halt(campaign),
        7 if world.campaigns[campaign].kind != Kind::Triggered => Guarding::DryRun(campaign),
        8..=10 => Guarding::Approve(campaign),
        11 => Guarding::Refuse(campaign),
        12..=13 => Guarding::ExcludeFrom {
            campaign,
            customer: dice.below(8),
            code,
        },
        14 => return Op::Work(dice.between(1, 6) as u8),
        _ => {
            let first = dice.below(2) as u32;
            let name = *dice.pick(&TRANSACTIONS);
            return Op::FailCommit {
                name,
                places: first..first + *dice.pick(&[1, 2, 6]),
                fault: before_or_after(dice),
            };
        }
    })
}

/// A tenant's bounds, as its API takes them.
pub(super) fn bounds(plan: &TenantPlan) -> Value {
    match plan.customers_max {
        None => json!({}),
        Some(0) => json!({ "dry_run": true }),
        Some(max) => json!({ "campaign_customers_max": max }),
    }
}

/// What people have stopped and decided. What may or may not have been done stands in neither.
#[derive(Debug, Default)]
pub(crate) struct Guards {
    /// Codes, folded, that are stopped.
    pub(super) stopped: BTreeSet<String>,
    /// Whether any ever was, as far as anybody knows.
    pub(super) has_stopped: bool,
    /// Campaigns that a person suspended.
    pub(super) halted: BTreeSet<usize>,
    /// By tenant: customers and the code, folded, that they are excluded from; empty: everything.
    pub(super) barred: BTreeSet<(usize, String, String)>,
    /// Campaigns that were to be seen before anything of them was granted.
    pub(super) seen_first: BTreeSet<usize>,
    /// Customers that the second person let a campaign have.
    allowed: BTreeMap<usize, u64>,
    /// Campaigns that they may have refused.
    pub(super) refused: BTreeSet<usize>,
    /// Decisions that were told.
    pub(super) decided: u64,
}

impl Stage<'_> {
    /// Stops something, lets it go on, or decides.
    pub(super) async fn guard(&mut self, guarding: Guarding) -> String {
        match guarding {
            Guarding::Stop(code) => told(&self.stop_promotion(code, "stop").await),
            Guarding::GoOn(code) => told(&self.stop_promotion(code, "resume").await),
            Guarding::Halt(campaign) => {
                let path = format!("{}/suspend", self.campaign_path(campaign));
                let done = self.api(Method::POST, &path, &json!({})).await;
                if done.is_ok() {
                    self.guards.halted.insert(campaign);
                }
                told(&done)
            }
            Guarding::DryRun(campaign) => told(&self.dry_run(campaign).await),
            Guarding::Approve(campaign) => told(&self.decide(campaign, true).await),
            Guarding::Refuse(campaign) => told(&self.decide(campaign, false).await),
            Guarding::ExcludeFrom {
                campaign,
                customer,
                code,
            } => {
                let (tenant, code) = (self.tenant_of(campaign), &self.history.world.codes[code]);
                match self.history.world.customer(campaign, customer) {
                    Some(id) => told(&self.exclude_from(tenant, id, Some(code.code)).await),
                    None => "nobody".to_owned(),
                }
            }
        }
    }

    async fn stop_promotion(&mut self, code: usize, verb: &str) -> Result<(), Wrong> {
        let plan = &self.history.world.codes[code];
        let fold = plan.code.to_lowercase();
        // Whatever comes of it, it may be going on again.
        self.guards.stopped.remove(&fold);
        self.guards.has_stopped |= verb == "stop";
        for tenant in 0..self.history.world.tenants.len() {
            let code = escaped(plan.code);
            let path = format!("{}/promotions/{code}/{verb}", self.tenant_path(tenant));
            self.api(Method::POST, &path, &json!({})).await?;
        }
        if verb == "stop" {
            self.guards.stopped.insert(fold);
        }
        Ok(())
    }

    async fn dry_run(&mut self, campaign: usize) -> Result<(), Wrong> {
        let path = format!("{}/dry-run", self.campaign_path(campaign));
        // Its list may be read once more for this.
        let is_first = self.guards.seen_first.insert(campaign);
        self.api(Method::POST, &path, &Value::Null).await?;
        if is_first {
            self.guards.allowed.insert(campaign, 0);
        }
        Ok(())
    }

    /// A second person decides. What they see is what they allow.
    async fn decide(&mut self, campaign: usize, is_meant: bool) -> Result<(), Wrong> {
        let second = Actor {
            id: "second".to_owned(),
            ..Actor::cli()
        };
        let app = &self.process().app;
        let tenant = app.tenant(self.tenant(campaign).id);
        let tenant = tenant.map_err(|e| e.to_string())?;
        let id = self.history.world.campaigns[campaign].id.to_string();
        let (_, view) = self.get(&self.campaign_path(campaign)).await?;
        if view["guard"]["state"] != "held" {
            return Err("it does not wait".to_owned());
        }
        let reason = "seen".to_owned();
        let decision = Decision { reason };
        let done = if is_meant {
            guards::approve(app, &second, &tenant, &id, decision).await
        } else {
            guards::refuse(app, &second, &tenant, &id, decision).await
        };
        if is_meant {
            let seen = view["guard"]["figures"]["customers"].as_u64();
            let allowed = self.guards.allowed.entry(campaign).or_default();
            *allowed = (*allowed).max(seen.unwrap_or_default());
        } else {
            self.guards.refused.insert(campaign);
        }
        let done = done.map(drop).map_err(|e| e.to_string());
        self.guards.decided += u64::from(done.is_ok());
        done
    }

    /// Whatever people stopped goes on.
    pub(super) async fn go_on_with_all(&mut self) -> Result<(), Wrong> {
        for (code, plan) in self.history.world.codes.iter().enumerate() {
            if plan.known != Known::Never {
                self.stop_promotion(code, "resume").await?;
            }
        }
        for campaign in 0..self.history.world.campaigns.len() {
            let (_, view) = self.get(&self.campaign_path(campaign)).await?;
            let is_open = view["revoked_at"].is_null() && !self.cancelled.contains_key(&campaign);
            if is_open && view["stop_reason"] == "suspended by an operator" {
                self.resume_campaign(campaign).await?;
            }
        }
        self.guards.halted.clear();
        Ok(())
    }

    /// A second person lets everything go on that waits, but for what Optimove cancelled.
    pub(super) async fn decide_all(&mut self) -> Result<(), Wrong> {
        for campaign in 0..self.history.world.campaigns.len() {
            let (_, view) = self.get(&self.campaign_path(campaign)).await?;
            let waits = view["guard"]["state"] == "held" && view["revoked_at"].is_null();
            if waits && !self.cancelled.contains_key(&campaign) {
                self.decide(campaign, true).await?;
            }
        }
        Ok(())
    }

    /// No campaign with a list has given to more customers than its tenant's bound, or than the second person saw.
    pub(super) async fn within_bounds(&self) -> Result<(), Wrong> {
        for campaign in 0..self.history.world.campaigns.len() {
            let bound = if self.guards.seen_first.contains(&campaign) {
                self.guards.allowed.get(&campaign).map(|_| 0)
            } else {
                self.tenant(campaign).customers_max
            };
            let Some(bound) = bound.filter(|_| self.kind(campaign) != Kind::Triggered) else {
                continue;
            };
            let allowed = self.guards.allowed.get(&campaign).copied();
            let bound = bound.max(allowed.unwrap_or_default());
            let (_, view) = self.get(&self.campaign_path(campaign)).await?;
            let granted = view["counts"]["granted"].as_u64().unwrap_or_default();
            if granted <= bound {
                continue;
            }
            let ledger = self.ledger(campaign).await?;
            let customers: BTreeSet<_> = ledger.iter().map(|grant| &grant.customer).collect();
            if customers.len() as u64 > bound {
                return Err(format!(
                    "campaign {campaign} has given to {} customers, and may to {bound}: {}",
                    customers.len(),
                    view["guard"]
                ));
            }
        }
        Ok(())
    }

    /// Nothing is promised or given of what people have stopped, nor to whom they have excluded.
    pub(super) fn may_have<'c>(
        &self,
        campaign: usize,
        customer: &str,
        mut codes: impl Iterator<Item = &'c str>,
    ) -> Result<(), Wrong> {
        let tenant = self.tenant_of(campaign);
        let is_barred = |from: &str| {
            let key = (tenant, customer.to_owned(), from.to_owned());
            self.guards.barred.contains(&key)
        };
        if self.guards.halted.contains(&campaign) {
            return Err(format!("campaign {campaign} is suspended"));
        }
        if is_barred("") {
            return Err("they are excluded".to_owned());
        }
        let against = codes.find_map(|code| {
            let fold = code.to_lowercase();
            let is_stopped = self.guards.stopped.contains(&fold);
            (is_stopped || is_barred(&fold)).then_some(fold)
        });
        match against {
            Some(fold) => Err(format!("{fold} is stopped, or they are excluded from it")),
            None => Ok(()),
        }
    }

    /// Looks at a redemption that was made now for the first time.
    pub(super) fn may_redeem(&self, made: &[u8]) -> Result<(), Wrong> {
        let made: Value = serde_json::from_slice(made).map_err(|e| e.to_string())?;
        let text = |name: &str| made[name].as_str().unwrap_or_default();
        let mut campaigns = self.history.world.campaigns.iter();
        let campaign = campaigns.position(|plan| plan.id.to_string() == text("campaign_id"));
        let campaign = campaign.ok_or_else(|| format!("{made} is of no campaign"))?;
        let codes = std::iter::once(text("promo_code"));
        self.may_have(campaign, text("customer_id"), codes)
            .map_err(|wrong| format!("{made}, and {wrong}"))
    }
}
