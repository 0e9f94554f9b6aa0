//! Systems of the operator's that hear of grants: one that honours keys and one that does not, both of them failing; and
//! what they have to have heard in the end.

use std::collections::{BTreeMap, BTreeSet};

use bestow::work;
use bestow::work::kind::DELIVER;
use bestow_store::Fault;
use http::Method;
use serde_json::{Value, json};

use super::acts::told;
use super::generate::before_or_after;
use super::heard::Heard;
use super::model::{Dice, Op, World};
use super::run::Wrong;
use super::stage::Stage;
use crate::deliveries::receiver::{Books, Receiver, Troubles};

/// Draws of their own, so that a seed keeps the rest of its history.
const STREAM: u64 = 0x6465_7374_696e;
/// Transactions of deliveries.
const TRANSACTIONS: [&str; 6] = [
    "plan_deliveries",
    "send_deliveries",
    "end_tries",
    "announce",
    "finish_job",
    "redeem",
];
/// How they fare: not at all, now and then, or hardly.
const TROUBLES: [Troubles; 4] = [
    CALM,
    Troubles {
        lost_requests: 10,
        lost_answers: 10,
        failures: 5,
        late_failures: 5,
        refusals: 5,
        repeats: 10,
        slow: 2,
    },
    Troubles {
        lost_answers: 60,
        ..CALM
    },
    Troubles {
        failures: 30,
        late_failures: 30,
        refusals: 30,
        ..CALM
    },
];
const CALM: Troubles = Troubles {
    lost_requests: 0,
    lost_answers: 0,
    failures: 0,
    late_failures: 0,
    refusals: 0,
    repeats: 0,
    slow: 0,
};
/// Steps of work and of time after which deliveries are not going to come to an end.
const STEPS_MAX: u32 = 20_000;
const DAY_MS: i64 = 86_400_000;

/// How a tenant's grants are heard of.
#[derive(Debug, Clone)]
pub(crate) struct Hears {
    batch: u64,
    pub(crate) concurrency: u64,
    troubles: Troubles,
    /// In the end all windows start and end before anybody hears of it.
    sleeps_at_last: bool,
}

impl Hears {
    /// By systems that do all they can, one delivery at a time.
    pub(crate) const fn well() -> Self {
        Self {
            batch: 20,
            concurrency: 1,
            troubles: CALM,
            sleeps_at_last: false,
        }
    }
}

/// Something about those who hear of grants changes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hearing {
    /// They fare like this from now on.
    Fare(usize, Troubles),
    /// Nothing is sent to one of them.
    Pause(usize, &'static str),
    /// It is again.
    GoOn(usize, &'static str),
    /// So many events go into one delivery from now on.
    Batch(usize, u64),
}

/// The systems of one tenant.
#[derive(Debug)]
pub(crate) struct Hearers {
    pub(super) keyed: Receiver,
    pub(super) plain: Receiver,
}

/// The ids of the two.
pub(super) const KEYED: &str = "keyed";
pub(super) const PLAIN: &str = "plain";

/// Puts them into four of ten histories.
pub(super) fn draw(seed: u64, world: &mut World, ops: &mut Vec<Op>) {
    let dice = Dice::new(seed ^ STREAM);
    if !dice.chance(40) {
        return;
    }
    for tenant in &mut world.tenants {
        tenant.hears = Some(Hears {
            batch: *dice.pick(&[3, 20, 100]),
            concurrency: *dice.pick(&[1, 1, 4]),
            troubles: *dice.pick(&TROUBLES),
            sleeps_at_last: dice.chance(30),
        });
    }
    for _ in 0..dice.between(2, 10) {
        let place = dice.below(ops.len() as u64 + 1) as usize;
        ops.insert(place, op(&dice, world));
    }
}

fn op(dice: &Dice, world: &World) -> Op {
    let tenant = dice.below(world.tenants.len() as u64) as usize;
    let which = *dice.pick(&[KEYED, PLAIN]);
    Op::Hear(match dice.below(16) {
        0..=3 => return Op::Work(dice.between(1, 6) as u8),
        4..=5 => return Op::Advance(*dice.pick(&[6, 61, 901, 3_700])),
        6..=7 => return fail(dice),
        8 => {
            return Op::Crash {
                commit: dice.between(1, 12) as u32,
                fault: before_or_after(dice),
            };
        }
        9..=11 => Hearing::Fare(tenant, *dice.pick(&TROUBLES)),
        12 => Hearing::Pause(tenant, which),
        13 => Hearing::GoOn(tenant, which),
        _ => Hearing::Batch(tenant, *dice.pick(&[1, 7, 50])),
    })
}

fn fail(dice: &Dice) -> Op {
    let first = dice.below(2) as u32;
    let name = *dice.pick(&TRANSACTIONS);
    Op::FailCommit {
        name,
        places: first..first + *dice.pick(&[1, 2, 6]),
        fault: before_or_after(dice),
    }
}

/// Whether commits may fail, so that even a delivery that was answered may be in doubt.
fn may_fail(ops: &[Op]) -> bool {
    let fails = |op: &Op| {
        let is_failing = |fault: &Fault| matches!(fault, Fault::BeforeCommit | Fault::AfterCommit);
        match op {
            Op::FailCommit { fault, .. } | Op::Crash { fault, .. } => is_failing(fault),
            _ => false,
        }
    };
    ops.iter().any(fails)
}

impl Stage<'_> {
    /// Makes the two systems of a tenant, where it has them.
    pub(super) async fn add_hearers(&mut self, tenant: usize) -> Result<(), Wrong> {
        let Some(hears) = self.history.world.tenants[tenant].hears.clone() else {
            return Ok(());
        };
        let seed = self.history.seed ^ tenant as u64;
        let keyed = Receiver::seeded(Books::Keyed, hears.troubles, seed).await;
        let plain = Receiver::seeded(Books::Plain, unrepeated(hears.troubles), seed).await;
        for (id, receiver, keys) in [(KEYED, &keyed, "honoured"), (PLAIN, &plain, "ignored")] {
            let body = json!({
                "id": id, "kind": "http", "url": receiver.url(), "keys": keys,
                "batch_events_max": hears.batch, "concurrency": hears.concurrency,
            });
            let path = format!("{}/destinations", self.tenant_path(tenant));
            let made = self.api(Method::POST, &path, &body).await?;
            receiver.expect_signed(&[made["secret"].as_str().unwrap_or_default()]);
        }
        self.hearers.insert(tenant, Hearers { keyed, plain });
        Ok(())
    }

    pub(super) async fn hear(&mut self, hearing: Hearing) -> String {
        let (tenant, id, change) = match hearing {
            Hearing::Fare(tenant, troubles) => {
                if let Some(hearers) = self.hearers.get(&tenant) {
                    hearers.keyed.trouble(troubles);
                    hearers.plain.trouble(unrepeated(troubles));
                }
                return String::new();
            }
            Hearing::Pause(tenant, id) => (tenant, id, json!({ "paused": true })),
            Hearing::GoOn(tenant, id) => (tenant, id, json!({ "paused": false })),
            Hearing::Batch(tenant, batch) => (tenant, PLAIN, json!({ "batch_events_max": batch })),
        };
        told(&self.change_hearer(tenant, id, &change).await)
    }

    async fn change_hearer(&self, tenant: usize, id: &str, change: &Value) -> Result<Value, Wrong> {
        let path = format!("{}/destinations/{id}", self.tenant_path(tenant));
        self.api(Method::PATCH, &path, change).await
    }

    /// Both systems of each tenant do all they can from now on.
    pub(super) async fn listen_again(&self) -> Result<(), Wrong> {
        for (tenant, hearers) in &self.hearers {
            hearers.keyed.recover();
            hearers.plain.recover();
            for id in [KEYED, PLAIN] {
                let goes_on = json!({ "paused": false });
                self.change_hearer(*tenant, id, &goes_on).await?;
            }
        }
        Ok(())
    }

    /// Once all else has been looked at, time goes on until every window is over and everything was told; then both
    /// systems have to have heard what the ledger says.
    pub(super) async fn deliver_at_last(&mut self, from: i64) -> Result<Heard, Wrong> {
        let mut heard = Heard::default();
        if self.hearers.is_empty() {
            return Ok(heard);
        }
        self.travel(from).await?;
        let undone = self.undo_some().await?;
        let sleeps = |hears: &super::model::TenantPlan| {
            hears
                .hears
                .as_ref()
                .is_some_and(|hears| hears.sleeps_at_last)
        };
        let has_slept = self.history.world.tenants.iter().any(sleeps);
        if has_slept {
            self.travel(self.last_end().await?.max(from) + DAY_MS)
                .await?;
        }
        self.tell_all().await?;
        for tenant in self.hearers.keys().copied().collect::<Vec<_>>() {
            let of_tenant = undone.iter().filter(|(of, _)| *of == tenant);
            let undone: BTreeSet<String> = of_tenant.map(|(_, id)| id.clone()).collect();
            let looks = (from, !has_slept);
            let one = self.audit_heard(tenant, looks, &undone, may_fail(&self.history.ops));
            let one = one
                .await
                .map_err(|wrong| format!("tenant {tenant}: {wrong}"))?;
            heard.told += one.told;
            heard.in_doubt += one.in_doubt;
        }
        Ok(heard)
    }

    /// Every second redemption is undone. Gives their tenants and ids.
    async fn undo_some(&self) -> Result<Vec<(usize, String)>, Wrong> {
        let mut undone = Vec::new();
        for (tenant, made) in self.redeemed()?.into_iter().step_by(2) {
            let id = made["id"].as_str().unwrap_or_default().to_owned();
            let path = format!("{}/redemptions/{id}/reverse", self.tenant_path(tenant));
            self.api(Method::POST, &path, &json!({})).await?;
            undone.push((tenant, id));
        }
        Ok(undone)
    }

    /// When the last window ends.
    async fn last_end(&self) -> Result<i64, Wrong> {
        let mut last = i64::MIN;
        for campaign in 0..self.history.world.campaigns.len() {
            let ends = self.ledger(campaign).await?.into_iter();
            let ends = ends.filter_map(|grant| grant.ends_at);
            last = last.max(ends.max().unwrap_or(i64::MIN));
        }
        Ok(last)
    }

    /// Works until nothing is left to be told, moving the clock from one delivery to the next.
    async fn tell_all(&mut self) -> Result<(), Wrong> {
        for _ in 0..STEPS_MAX {
            let worked = work::step(&self.process().app).await;
            if worked.map_err(|e| e.to_string())? {
                continue;
            }
            let (now, mut jobs) = (self.clock.now_ms(), self.jobs()?);
            jobs.retain(|job| job.kind == DELIVER);
            let lease_ms = 1_000 * self.process().app.config.work.lease_seconds as i64;
            let due = |leased, run_at: i64| if leased { now + lease_ms } else { run_at };
            let next = jobs.iter().map(|job| due(job.leased, job.run_at)).min();
            match next {
                Some(at) => self.travel(at.max(now + 1)).await?,
                None => return Ok(()),
            }
        }
        Err(format!("not all is told: {:?}", self.jobs()?))
    }

    /// All deliveries to a destination, by state and then by id, with how many events each has.
    pub(super) async fn deliveries_to(
        &self,
        tenant: usize,
        destination: &str,
    ) -> Result<BTreeMap<String, BTreeMap<String, u64>>, Wrong> {
        let (mut found, mut cursor) = (BTreeMap::<_, BTreeMap<_, _>>::new(), String::new());
        loop {
            let path = format!(
                "{}/deliveries?limit=1000&destination={destination}{cursor}",
                self.tenant_path(tenant)
            );
            let (_, page) = self.get(&path).await?;
            for one in page["data"].as_array().into_iter().flatten() {
                let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
                if text("destination") == destination {
                    let events = one["events"].as_u64().unwrap_or_default();
                    let of_state = found.entry(text("state")).or_default();
                    of_state.insert(text("id"), events);
                }
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(found),
            }
        }
    }
}

/// What doubles a request behind our back doubles its effect: nobody but keys could tell.
fn unrepeated(troubles: Troubles) -> Troubles {
    Troubles {
        repeats: 0,
        ..troubles
    }
}
