//! Plays a history: the service and its Optimove, one operation after the other, then everything mended and at rest.

use std::collections::BTreeMap;
use std::fmt::Write;

use bestow::actor::Actor;
use bestow::cli::call::Caller;
use bestow::clock::{Clock, instant};
use bestow::service::tenants::{self, Suspension};
use bestow::work;
use bestow_store::imports::LandedPage;
use futures_util::future::join_all;
use http::Method;
use optimove_sandbox::{ClockMode, Config as SandboxConfig, Sandbox};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::audit;
use super::model::{Access, Dice, History, Known, Op, Posts, Times};
use super::process::Process;
use crate::support::{Holdings, START};

/// Steps of work after which a history is not going to come to rest.
const STEPS_MAX: u32 = 20_000;
/// Times that everything is mended, swept and worked off before a history counts as stuck.
const ROUNDS_MAX: u32 = 12;
/// Posts of one operation, so that an operation stays short.
const POSTS_MAX: usize = 24;

/// What went wrong, in a sentence.
pub(crate) type Wrong = String;

/// What is the same whenever the same history is played.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Played {
    /// Each operation with what came of it.
    pub(crate) trace: Vec<String>,
    /// The ledger at the end, as digest.
    pub(crate) ledger: String,
}

/// A notification as the stand-in has it.
#[derive(Debug, Clone)]
struct Note {
    event_type: u64,
    path: String,
    body: Value,
}

/// A world in which a history is being played.
pub(crate) struct Stage<'h> {
    pub(crate) history: &'h History,
    pub(crate) sandbox: Sandbox,
    pub(crate) control: Caller,
    /// None only between one process and the next.
    process: Option<Process>,
    pub(crate) clock: Clock,
    /// By campaign: what Optimove has to say of it.
    notes: BTreeMap<usize, Vec<Note>>,
    /// Posts, and those of them that were acknowledged.
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    /// By campaign: what the oracle said before it was cancelled.
    pub(crate) cancelled: BTreeMap<usize, Holdings>,
    pub(crate) processed: Vec<usize>,
    trace: Vec<String>,
    opens: u64,
    dir: TempDir,
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
    let ledger = audit::audit(&stage).await;
    let ledger = ledger.map_err(|wrong| format!("{wrong}\n{}", stage.pages()))?;
    stage.trace.push(stage.calls().await?);
    let Stage {
        sandbox,
        process,
        trace,
        dir,
        ..
    } = stage;
    process.expect("it runs to the end").end().await;
    sandbox.stop().await;
    drop(dir);
    Ok(Played { trace, ledger })
}

impl<'h> Stage<'h> {
    async fn set_up(history: &'h History) -> Result<Self, Wrong> {
        let config = SandboxConfig {
            seed: history.seed,
            clock: ClockMode::Test,
            ..SandboxConfig::default()
        };
        let sandbox = Sandbox::start(config).await.map_err(|e| e.to_string())?;
        let control = Caller::new(sandbox.address(), None);
        let clock = Clock::standing(START.parse().expect("an instant"));
        let dir = folder();
        let process = Process::start(dir.path(), &history.world, &clock, history.seed).await;
        let mut stage = Self {
            history,
            sandbox,
            control,
            process: Some(process),
            clock,
            notes: BTreeMap::new(),
            sent: 0,
            acknowledged: 0,
            cancelled: BTreeMap::new(),
            processed: Vec::new(),
            trace: Vec::new(),
            opens: 1,
            dir,
        };
        stage.switch(&stage.calm_switches())?;
        stage.travel(stage.clock.now_ms()).await?;
        for tenant in 0..history.world.tenants.len() {
            stage.add_tenant(tenant).await?;
        }
        for (index, code) in history.world.codes.iter().enumerate() {
            match code.known {
                Known::Active => stage.promote(index, "active").await?,
                Known::Draft => stage.promote(index, "draft").await?,
                Known::Later | Known::Never => {}
            }
        }
        for plan in &history.world.campaigns {
            let mut spec = plan.spec.clone();
            spec["tenant"] = json!(history.world.tenants[plan.tenant].id);
            spec["id"] = json!(plan.id);
            stage
                .sandbox
                .add_campaign(spec)
                .map_err(|e| e.to_string())?;
        }
        Ok(stage)
    }

    /// What is switched when nothing fails. The stand-in posts nothing by itself: operations do.
    fn calm_switches(&self) -> Value {
        let times = match self.history.world.times {
            Times::Local => "space",
            Times::WithOffset => "iso-offset",
        };
        json!({
            "rate-limit-requests": 0, "notify-drop": 100, "time-format": times, "fault-percent": 0,
            "page-churn": "off", "page-cap": null,
        })
    }

    async fn add_tenant(&mut self, index: usize) -> Result<(), Wrong> {
        let plan = &self.history.world.tenants[index];
        let key = format!("{}-admin-key", plan.id);
        let theirs = json!({
            "time_zone": plan.zone, "username": plan.id, "password": format!("{}-password", plan.id),
            "api_keys": [{ "key": key }],
        });
        self.put(&format!("/_sandbox/tenants/{}", plan.id), &theirs)
            .await?;
        let auth = match plan.access {
            Access::ApiKey => json!({ "api_key": key }),
            Access::Login => {
                json!({ "username": plan.id, "password": format!("{}-password", plan.id) })
            }
        };
        let ours = json!({
            "id": plan.id, "name": plan.id, "time_zone": plan.zone,
            "optimove": { "base_url": self.sandbox.url(), "auth": auth },
            "scheduled_channels": plan.channels, "expiry": "duration", "codes_per_row_max": 10,
        });
        self.api(Method::POST, "/v1/tenants", &ours).await?;
        let path = format!("/v1/tenants/{}/listeners/sync", plan.id);
        self.api(Method::POST, &path, &Value::Null).await?;
        Ok(())
    }

    pub(crate) fn process(&self) -> &Process {
        self.process
            .as_ref()
            .expect("it runs, but for the moment of a restart")
    }

    async fn perform(&mut self, op: &Op) -> Result<String, Wrong> {
        let told = match op {
            Op::Process(campaign) => self.process_campaign(*campaign).await?,
            Op::Cancel(campaign) => self.cancel(*campaign).await?,
            Op::Notify {
                campaign,
                which,
                copies,
                order,
                posts,
            } => {
                let notes = self.notes.get(campaign).cloned().unwrap_or_default();
                let chosen = notes.into_iter().enumerate();
                let mut notes: Vec<Note> = chosen
                    .filter(|(bit, _)| which >> bit & 1 == 1)
                    .flat_map(|(_, note)| vec![note; usize::from(*copies)])
                    .collect();
                Dice::new(*order).shuffle(&mut notes);
                notes.truncate(POSTS_MAX);
                self.post(&notes, *posts).await?
            }
            Op::CloseDay(tenant) => {
                let id = self.history.world.tenants[*tenant].id;
                let before = self.log().await?.len();
                self.control_ok(Method::POST, &format!("/_sandbox/day/close?tenant={id}"))
                    .await?;
                let notes = self.log().await?.split_off(before);
                self.post(&notes, Posts::InTurn).await?
            }
            Op::Forge(campaign) => self.forge(*campaign).await?,
            Op::Switch(name, value) => self.switch(&json!({ *name: value }))?,
            Op::Fault {
                kind,
                percent,
                functions,
            } => {
                let faults = json!({
                    "fault-kind": kind, "fault-percent": percent, "fault-functions": functions,
                });
                self.switch(&faults)?
            }
            Op::Calm => self.switch(&json!({"fault-percent": 0, "rate-limit-requests": 0}))?,
            Op::ExpireToken { commit } => self.expire_token(*commit),
            Op::Work(steps) => self.work(u32::from(*steps)).await,
            Op::Advance(seconds) => {
                self.travel(self.clock.now_ms() + seconds * 1_000).await?;
                String::new()
            }
            Op::FailCommit {
                name,
                places,
                fault,
            } => {
                self.process().commits.fail(name, places.clone(), *fault);
                String::new()
            }
            Op::Crash { commit, fault } => {
                self.process().commits.die_at(*commit, *fault);
                self.work(8).await
            }
            Op::Restart => {
                self.restart().await;
                String::new()
            }
            Op::Promote(code) => {
                let is_added = self.history.world.codes[*code].known != Known::Never;
                // A failed write is somebody's to repeat; at the end it is repeated.
                if is_added {
                    told(&self.promote(*code, "active").await)
                } else {
                    String::new()
                }
            }
            Op::Suspend(tenant) => told(&self.suspend(*tenant, Suspension::Suspend).await),
            Op::Resume(tenant) => told(&self.suspend(*tenant, Suspension::Resume).await),
            Op::Release(campaign) if self.cancelled.contains_key(campaign) => String::new(),
            Op::Release(campaign) => told(&self.resume_campaign(*campaign).await),
            Op::Ask(campaign) => self.ask(*campaign).await?,
        };
        if self.process().commits.is_dead() {
            self.restart().await;
        }
        Ok(told)
    }

    async fn process_campaign(&mut self, campaign: usize) -> Result<String, Wrong> {
        if self.processed.contains(&campaign) || self.cancelled.contains_key(&campaign) {
            return Ok("is over".to_owned());
        }
        let before = self.log().await?.len();
        self.sandbox
            .process(self.history.world.campaigns[campaign].id)
            .map_err(|e| e.to_string())?;
        let notes = self.log().await?.split_off(before);
        self.processed.push(campaign);
        let told = format!("{} notifications", notes.len());
        self.notes.insert(campaign, notes);
        Ok(told)
    }

    async fn cancel(&mut self, campaign: usize) -> Result<String, Wrong> {
        if self.cancelled.contains_key(&campaign) {
            return Ok("is over".to_owned());
        }
        let expected = self.expected(campaign)?;
        let before = self.log().await?.len();
        self.sandbox
            .cancel(self.history.world.campaigns[campaign].id)
            .map_err(|e| e.to_string())?;
        let notes = self.log().await?.split_off(before);
        self.notes.entry(campaign).or_default().extend(notes);
        self.cancelled.insert(campaign, expected);
        Ok(String::new())
    }

    /// What the oracle says of a campaign.
    pub(crate) fn expected(&self, campaign: usize) -> Result<Holdings, Wrong> {
        let expected = self
            .sandbox
            .expected(self.history.world.campaigns[campaign].id);
        Ok(audit::holdings(expected.map_err(|e| e.to_string())?))
    }

    async fn forge(&mut self, campaign: usize) -> Result<String, Wrong> {
        let plan = &self.history.world.campaigns[campaign];
        let tenant = &self.history.world.tenants[plan.tenant];
        let app = &self.process().app;
        let note = |event: u64, channel: Option<u64>| {
            let secret = app.keys.listener_secret(tenant.id, event as i64, 1);
            let mut body = json!({ "EventTypeID": event, "CampaignID": plan.id });
            if let Some(channel) = channel {
                body["ChannelID"] = json!(channel);
            }
            Note {
                event_type: event,
                path: format!("/optimove/listener/{secret}"),
                body,
            }
        };
        let mut notes = vec![note(1, None)];
        notes.extend(
            tenant
                .channels
                .iter()
                .map(|channel| note(13, Some(*channel))),
        );
        self.post(&notes, Posts::InTurn).await
    }

    async fn post(&mut self, notes: &[Note], posts: Posts) -> Result<String, Wrong> {
        let api = &self.process().api;
        let calls = notes
            .iter()
            .map(|note| api.json(Method::POST, &note.path, &note.body));
        let answers = match posts {
            Posts::AtOnce => join_all(calls).await,
            Posts::InTurn => {
                let mut answers = Vec::new();
                for call in calls {
                    answers.push(call.await);
                }
                answers
            }
        };
        let mut taken = 0;
        for answer in answers {
            match answer.map_err(|e| format!("{e:#}"))?.0.as_u16() {
                200 => taken += 1,
                503 => {}
                other => return Err(format!("a notification was answered {other}")),
            }
        }
        self.sent += notes.len() as u64;
        self.acknowledged += taken;
        Ok(format!("{taken} of {} taken", notes.len()))
    }

    /// The token lives for 20 minutes, and the stand-in's clock jumps over them in the middle of a piece of work.
    fn expire_token(&self, commit: u32) -> String {
        let address = self.sandbox.address();
        self.process()
            .commits
            .at(commit, move || super::jump(address, 1_201));
        String::new()
    }

    async fn work(&mut self, steps: u32) -> String {
        let (mut done, mut failed) = (0, 0);
        for _ in 0..steps {
            match work::step(&self.process().app).await {
                Ok(true) => done += 1,
                Ok(false) => break,
                Err(_) => failed += 1,
            }
            if self.process().commits.is_dead() {
                break;
            }
        }
        format!("{done} steps, {failed} failed")
    }

    async fn restart(&mut self) {
        self.opens += 1;
        let random = self.history.seed ^ (self.opens << 32);
        if let Some(old) = self.process.take() {
            old.end().await;
        }
        let world = &self.history.world;
        self.process = Some(Process::start(self.dir.path(), world, &self.clock, random).await);
    }

    async fn promote(&self, code: usize, status: &str) -> Result<(), Wrong> {
        let code = self.history.world.codes[code].code;
        for tenant in &self.history.world.tenants {
            let path = format!("/v1/tenants/{}/promotions/{}", tenant.id, escaped(code));
            self.api(
                Method::PUT,
                &path,
                &json!({ "name": code, "status": status }),
            )
            .await?;
        }
        Ok(())
    }

    async fn suspend(&self, tenant: usize, to: Suspension) -> Result<(), Wrong> {
        let tenant = self.history.world.tenants[tenant].id;
        let done = tenants::set_suspended(&self.process().app, &Actor::cli(), tenant, to).await;
        done.map(drop).map_err(|e| e.to_string())
    }

    pub(crate) fn campaign_path(&self, campaign: usize) -> String {
        let plan = &self.history.world.campaigns[campaign];
        let tenant = self.history.world.tenants[plan.tenant].id;
        format!("/v1/tenants/{tenant}/campaigns/{}", plan.id)
    }

    async fn resume_campaign(&self, campaign: usize) -> Result<Value, Wrong> {
        let path = format!("{}/resume", self.campaign_path(campaign));
        self.api(Method::POST, &path, &Value::Null).await
    }

    /// Asks for the first customer of a campaign; whatever the answer, it is one.
    async fn ask(&self, campaign: usize) -> Result<String, Wrong> {
        let Some(((customer, code), _)) = self.expected(campaign)?.into_iter().next() else {
            return Ok("for nobody".to_owned());
        };
        let plan = &self.history.world.campaigns[campaign];
        let path = format!(
            "/v1/tenants/{}/eligibility",
            self.history.world.tenants[plan.tenant].id
        );
        let question = json!({ "customer_id": customer, "promo_code": code });
        let answer = self.api(Method::POST, &path, &question).await?;
        Ok(answer["eligible"].to_string())
    }

    /// Both clocks to the same instant.
    pub(crate) async fn travel(&self, ms: i64) -> Result<(), Wrong> {
        let at = instant(ms);
        self.clock.set(at);
        self.put("/_sandbox/clock", &json!({ "now": at.to_string() }))
            .await
    }

    /// Takes all faults away and does what a person would: codes are added, stops lifted, Optimove's cancels repeated.
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
        let cancelled: Vec<usize> = self.cancelled.keys().copied().collect();
        for campaign in cancelled {
            let notes = self.notes.get(&campaign).cloned().unwrap_or_default();
            let cancels = notes.into_iter().filter(|note| note.event_type == 4);
            let cancels: Vec<Note> = cancels.collect();
            self.post(&cancels, Posts::InTurn).await?;
        }
        Ok(())
    }

    /// Works until nothing is left to do, moving the clock to whatever is put off, sweeps included.
    async fn come_to_rest(&mut self) -> Result<(), Wrong> {
        let mut why = String::new();
        for _ in 0..ROUNDS_MAX {
            self.work_off().await?;
            for campaign in self.processed.clone() {
                if !self.cancelled.contains_key(&campaign) && self.is_held(campaign).await? {
                    self.resume_campaign(campaign).await?;
                }
            }
            self.work_off().await?;
            match audit::at_rest(self).await? {
                None => return Ok(()),
                Some(unrest) => why = unrest,
            }
            self.trace.push(why.clone());
            let next = self.jobs()?.into_iter().map(|job| job.run_at).min();
            self.travel(next.unwrap_or_default().max(self.clock.now_ms()))
                .await?;
        }
        Err(format!("it does not come to rest: {why}"))
    }

    async fn is_held(&self, campaign: usize) -> Result<bool, Wrong> {
        let (status, view) = self.get(&self.campaign_path(campaign)).await?;
        let imports = view["imports"].as_array().cloned().unwrap_or_default();
        Ok(status == 200 && imports.iter().any(|import| import["state"] == "held"))
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
                .filter(|job| !work::kind::REGULAR.contains(&&*job.kind) || job.leased);
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
                Some(at) => self.travel(at.max(now + 1)).await?,
                None => return Ok(()),
            }
        }
        let jobs = self.jobs()?;
        Err(format!("the work does not come to an end: {jobs:?}"))
    }

    pub(crate) fn jobs(&self) -> Result<Vec<bestow_store::jobs::JobRow>, Wrong> {
        self.process()
            .app
            .store
            .peek(|tx| tx.jobs())
            .map_err(|e: bestow_store::Error| e.to_string())
    }

    /// What landed, page by page: how a wrong ledger came to be.
    fn pages(&self) -> String {
        let mut text = String::new();
        let read = self.process().app.store.read(|tx| {
            for tenant in tx.tenants("", 10)? {
                for campaign in tx.campaigns(tenant.no, 0, 10)? {
                    let _ = writeln!(text, "campaign {}:", campaign.id);
                    let pages = tx.landed_pages(tenant.no, campaign.no)?;
                    for LandedPage {
                        page,
                        channel,
                        pass,
                        rows,
                        ..
                    } in pages
                    {
                        let _ = write!(text, " {page}: {channel} pass {pass}, {rows} rows;");
                    }
                }
            }
            Ok::<_, bestow_store::Error>(())
        });
        text + &read.map_or_else(|error| error.to_string(), |()| String::new())
    }

    /// What the stand-in was asked, by function and by status.
    async fn calls(&self) -> Result<String, Wrong> {
        let mut calls = self.control_ok(Method::GET, "/_sandbox/requests").await?;
        for tenant in calls
            .as_object_mut()
            .into_iter()
            .flat_map(|all| all.values_mut())
        {
            // How many came within ten real seconds is not for a replay to repeat.
            tenant
                .as_object_mut()
                .map(|usage| usage.remove("most_in_10_s"));
        }
        Ok(calls.to_string())
    }

    async fn log(&self) -> Result<Vec<Note>, Wrong> {
        let log = self
            .control_ok(Method::GET, "/_sandbox/notifications")
            .await?;
        let entries = log["data"].as_array().cloned().unwrap_or_default();
        let notes = entries.iter().map(|entry| {
            let url = entry["url"].as_str().unwrap_or_default();
            let body = entry["body"].as_str().unwrap_or_default();
            Note {
                event_type: entry["event_type"].as_u64().unwrap_or_default(),
                path: url[url.find("/optimove/").unwrap_or(url.len())..].to_owned(),
                body: serde_json::from_str(body).unwrap_or_default(),
            }
        });
        Ok(notes.collect())
    }

    fn switch(&self, change: &Value) -> Result<String, Wrong> {
        self.sandbox
            .set_switches(change)
            .map_err(|e| e.to_string())?;
        Ok(String::new())
    }

    async fn put(&self, path: &str, body: &Value) -> Result<(), Wrong> {
        let done = self.control.ok(Method::PUT, path, body).await;
        done.map(drop).map_err(|e| format!("{e:#}"))
    }

    async fn control_ok(&self, method: Method, path: &str) -> Result<Value, Wrong> {
        self.control
            .ok(method, path, &Value::Null)
            .await
            .map_err(|e| format!("{e:#}"))
    }

    pub(crate) async fn api(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, Wrong> {
        self.process()
            .api
            .ok(method, path, body)
            .await
            .map_err(|e| format!("{e:#}"))
    }

    pub(crate) async fn get(&self, path: &str) -> Result<(u16, Value), Wrong> {
        let answer = self
            .process()
            .api
            .json(Method::GET, path, &Value::Null)
            .await;
        answer
            .map(|(status, body)| (status.as_u16(), body))
            .map_err(|e| format!("{e:#}"))
    }
}

fn told<T>(result: &Result<T, Wrong>) -> String {
    match result {
        Ok(_) => String::new(),
        Err(_) => "refused".to_owned(),
    }
}

/// A text as one segment of a path.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        use std::fmt::Write;
        // Writing to a String cannot fail.
        let _ = write!(encoded, "%{byte:02X}");
        encoded
    })
}

/// Memory where the machine offers it as a folder: a history syncs its database some hundred times.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a temporary folder")
}
