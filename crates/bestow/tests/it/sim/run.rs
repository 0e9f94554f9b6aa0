//! Plays a history: one operation after the other, then everything mended and at rest.

use bestow::service::tenants::Suspension;
use bestow::work;
use bestow::work::kind::DELIVER;
use http::Method;
use serde_json::Value;

use super::audit;
use super::model::{History, Kind, Known, Posts};
use super::notes::Note;
use super::seen::Met;
use super::stage::Stage;

/// Steps of work after which a history is not going to come to rest.
const STEPS_MAX: u32 = 20_000;
/// Times that everything is mended, swept and worked off before a history counts as stuck.
const ROUNDS_MAX: u32 = 40;
/// How time passes while nothing but the end of a day is waited for.
const PART_OF_A_DAY_MS: i64 = 10 * 3_600_000;

/// What went wrong, in a sentence.
pub(crate) type Wrong = String;

/// What is the same whenever the same history is played.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Played {
    /// Each operation with what came of it.
    pub(crate) trace: Vec<String>,
    /// The ledger at the end, as digest.
    pub(crate) ledger: String,
    /// How much of what there was, so that nobody takes histories without any for proof.
    pub(crate) met: Met,
}

/// Plays a history to its end and audits what is left.
///
/// # Errors
/// What is wrong, at the first thing that is.
pub(crate) async fn play(history: &History) -> Result<Played, Wrong> {
    let mut stage = Stage::set_up(history).await?;
    for (number, op) in history.ops.iter().enumerate() {
        let told = stage
            .perform(op)
            .await
            .map_err(|wrong| format!("at {number} {op:?}: {wrong}"))?;
        stage.trace.push(format!("{number} {op:?}: {told}"));
    }
    stage.mend().await?;
    stage.come_to_rest().await?;
    let rested = stage.clock.now_ms();
    let redeemed = stage.redeem_at_last().await?;
    let audited = audit::audit(&stage).await;
    let (ledger, mut met) = audited.map_err(|wrong| format!("{wrong}\n{}", stage.pages()))?;
    stage.trace.push(stage.calls().await?);
    let heard = stage.deliver_at_last(rested.max(redeemed)).await?;
    (met.told, met.in_doubt) = (heard.told, heard.in_doubt);
    let Stage {
        sandbox,
        process,
        trace,
        home,
        ..
    } = stage;
    process.expect("it runs to the end").end().await;
    sandbox.stop().await;
    drop(home);
    Ok(Played { trace, ledger, met })
}

impl Stage<'_> {
    /// Takes all faults away and does what a person would: codes are added, stops lifted, and what Optimove could not
    /// deliver is delivered.
    async fn mend(&mut self) -> Result<(), Wrong> {
        self.process().commits.heal();
        self.switch(&self.calm_switches())?;
        for tenant in 0..self.history.world.tenants.len() {
            self.suspend(tenant, Suspension::Resume).await?;
        }
        for (index, code) in self.history.world.codes.iter().enumerate() {
            if code.known != Known::Never {
                self.promote(index, "active").await?;
            }
        }
        self.go_on_with_all().await?;
        self.listen_again().await?;
        self.collect().await?;
        let cancelled: Vec<usize> = self.cancelled.keys().copied().collect();
        for campaign in cancelled {
            let notes = self.notes.get(&campaign).cloned().unwrap_or_default();
            let cancels = notes.into_iter().filter(|note| note.event_type == 4);
            let cancels: Vec<Note> = cancels.collect();
            self.post(&cancels, Posts::InTurn).await?;
        }
        let unheard = std::mem::take(&mut self.unheard);
        self.post(&unheard, Posts::InTurn).await?;
        self.repeat_redemptions().await
    }

    /// Works until nothing is left to do, moving the clock to whatever is put off, sweeps included.
    async fn come_to_rest(&mut self) -> Result<(), Wrong> {
        let mut why = String::new();
        for _ in 0..ROUNDS_MAX {
            self.refill().await?;
            self.work_off().await?;
            for campaign in 0..self.history.world.campaigns.len() {
                if !self.cancelled.contains_key(&campaign)
                    && self.waits_for_a_person(campaign).await?
                {
                    self.resume_campaign(campaign).await?;
                }
            }
            self.decide_all().await?;
            self.work_off().await?;
            match audit::at_rest(self).await? {
                None => return Ok(()),
                Some(unrest) => why = unrest,
            }
            self.trace.push(why.clone());
            let mut jobs = self.jobs()?;
            jobs.retain(|job| job.kind != DELIVER);
            let next = jobs.into_iter().map(|job| job.run_at).min();
            let mut next = next.unwrap_or_default().max(self.clock.now_ms());
            if why.ends_with("may still be listed") {
                next = self.clock.now_ms() + PART_OF_A_DAY_MS;
            }
            self.go_on(next).await?;
        }
        Err(format!("it does not come to rest: {why}"))
    }

    /// Whether an import is held, or the campaign stopped since Optimove could not say whether it is cancelled.
    async fn waits_for_a_person(&self, campaign: usize) -> Result<bool, Wrong> {
        let (status, view) = self.get(&self.campaign_path(campaign)).await?;
        let imports = view["imports"].as_array().cloned().unwrap_or_default();
        let is_held = imports.iter().any(|import| import["state"] == "held");
        let is_stopped =
            view["status"] == "suspended" && view["cancellation"]["state"] == "unconfirmed";
        Ok(status == 200 && view["revoked_at"].is_null() && (is_held || is_stopped))
    }

    async fn work_off(&mut self) -> Result<(), Wrong> {
        for _ in 0..STEPS_MAX {
            if work::step(&self.process().app)
                .await
                .map_err(|e| e.to_string())?
            {
                continue;
            }
            let jobs = self.jobs()?;
            self.trace.push(format!("waiting: {jobs:?}"));
            let waiting = jobs
                .iter()
                .filter(|job| !audit::is_regular(job) || job.leased);
            let lease_ms = 1_000 * self.process().app.config.work.lease_seconds as i64;
            let now = self.clock.now_ms();
            let next = waiting
                .map(|job| {
                    if job.leased {
                        now + lease_ms
                    } else {
                        job.run_at
                    }
                })
                .min();
            match next {
                Some(at) => self.go_on(at.max(now + 1)).await?,
                None => return Ok(()),
            }
        }
        let jobs = self.jobs()?;
        Err(format!("the work does not come to an end: {jobs:?}"))
    }

    /// Lets time pass; in half of all histories what Optimove says meanwhile is heard, in the others it is lost.
    async fn go_on(&mut self, ms: i64) -> Result<(), Wrong> {
        self.watch_approvals().await?;
        self.travel(ms).await?;
        let before: Vec<(usize, usize)> = self.filed();
        self.collect().await?;
        if self.history.seed.is_multiple_of(2) {
            for (campaign, known) in before {
                let mut notes = self.notes.get(&campaign).cloned().unwrap_or_default();
                let new = notes.split_off(known);
                self.post(&new, Posts::InTurn).await?;
            }
        }
        Ok(())
    }

    /// How many notes there are of each campaign.
    fn filed(&self) -> Vec<(usize, usize)> {
        let campaigns = 0..self.history.world.campaigns.len();
        campaigns
            .map(|campaign| (campaign, self.notes.get(&campaign).map_or(0, Vec::len)))
            .collect()
    }

    /// Where the stand-in has a campaign.
    pub(super) async fn stands(&self, campaign: usize) -> Result<Value, Wrong> {
        let id = self.history.world.campaigns[campaign].id;
        self.control_ok(Method::GET, &format!("/_sandbox/campaigns/{id}"))
            .await
    }

    pub(super) fn kind(&self, campaign: usize) -> Kind {
        self.history.world.campaigns[campaign].kind
    }
}
