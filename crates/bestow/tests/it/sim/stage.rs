//! The stage: the service and its Optimove on one clock, and the plain reads and writes that everything else is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use bestow::actor::Actor;
use bestow::cli::call::Caller;
use bestow::clock::{Clock, instant};
use bestow::service::tenants::{self, Suspension};
use bestow_store::imports::LandedPage;
use http::Method;
use optimove_sandbox::{ClockMode, Config as SandboxConfig, Sandbox};
use serde_json::{Value, json};

use super::audit;
use super::clearance::Approvals;
use super::destinations::Hearers;
use super::guards::{self, Guards};
use super::model::{Access, DAYS_DEFAULT, History, Kind, Known, TenantPlan, Times};
use super::notes::Note;
use super::operator::Operator;
use super::process::Process;
use super::redemptions::Asked;
use super::run::Wrong;
use crate::home::Home;
use crate::support::Holdings;

/// A world in which a history is being played.
pub(crate) struct Stage<'h> {
    pub(crate) history: &'h History,
    pub(crate) sandbox: Sandbox,
    pub(crate) control: Caller,
    /// None only between one process and the next.
    pub(super) process: Option<Process>,
    pub(crate) clock: Clock,
    /// By campaign: what Optimove has to say of it.
    pub(super) notes: BTreeMap<usize, Vec<Note>>,
    /// Notes of the stand-in that are in [`Stage::notes`].
    pub(super) noted: u64,
    /// Triggers that were sent and not acknowledged: whether they were taken nobody can tell.
    pub(super) unheard: Vec<Note>,
    /// Triggers that were acknowledged.
    pub(super) heard: Vec<Note>,
    /// Posts, and those of them that were acknowledged.
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    /// By campaign: what the oracle said before it was cancelled.
    pub(crate) cancelled: BTreeMap<usize, Holdings>,
    pub(crate) processed: Vec<usize>,
    /// Campaigns that somebody said were cancelled, and were not.
    pub(crate) slandered: BTreeSet<usize>,
    /// By tenant: customers who were excluded at some time.
    pub(crate) excluded: BTreeSet<(usize, String)>,
    pub(super) guards: Guards,
    /// What was to be redeemed.
    pub(super) redemptions: Vec<Asked>,
    pub(super) approvals: Approvals,
    /// The operator's own system.
    pub(super) operator: Operator,
    /// By tenant: the systems that hear of its grants.
    pub(super) hearers: BTreeMap<usize, Hearers>,
    /// Triggered campaigns and customers that the gateway said yes to, until when that is to stand.
    pub(super) promised: BTreeMap<(usize, String), i64>,
    pub(super) trace: Vec<String>,
    opens: u64,
    pub(super) home: Home,
}

impl<'h> Stage<'h> {
    pub(super) async fn set_up(history: &'h History) -> Result<Self, Wrong> {
        let config = SandboxConfig {
            seed: history.seed,
            clock: ClockMode::Test,
            ..SandboxConfig::default()
        };
        let sandbox = Sandbox::start(config).await.map_err(|e| e.to_string())?;
        let control = Caller::new(sandbox.address(), None);
        let clock = Clock::standing(history.world.start);
        // A history syncs its database some hundred times.
        let home = Home::in_memory();
        let process = Process::start(&home, &history.world, &clock, history.seed).await;
        let mut stage = Self {
            history,
            sandbox,
            control,
            process: Some(process),
            clock,
            notes: BTreeMap::new(),
            noted: 0,
            unheard: Vec::new(),
            heard: Vec::new(),
            sent: 0,
            acknowledged: 0,
            cancelled: BTreeMap::new(),
            processed: Vec::new(),
            slandered: BTreeSet::new(),
            excluded: BTreeSet::new(),
            guards: Guards::default(),
            redemptions: Vec::new(),
            approvals: Approvals::default(),
            operator: Operator::start().await,
            hearers: BTreeMap::new(),
            promised: BTreeMap::new(),
            trace: Vec::new(),
            opens: 1,
            home,
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
                Known::Later | Known::Never => continue,
            }
            if let Some(pool) = code.pool.filter(|pool| pool.codes > 0) {
                stage.load(index, pool.codes).await?;
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
    pub(super) fn calm_switches(&self) -> Value {
        let times = match self.history.world.times {
            Times::Local => "space",
            Times::WithOffset => "iso-offset",
        };
        json!({
            "rate-limit-requests": 0, "notify-drop": 100, "time-format": times, "fault-percent": 0,
            "page-churn": "off", "page-cap": null, "cancelled-list": null,
            "conditional-version": if self.history.world.rounds > 1 { "v2" } else { "v1" },
            "ended-offset-days": self.history.world.ended_offset,
            "conditional-rounds": self.history.world.rounds,
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
            "scheduled_channels": plan.channels, "expiry": plan.expiry, "codes_per_row_max": 10,
            "triggered_channels": [15], "conditional": true,
            "cancel_unconfirmed": plan.unconfirmed, "duration_days_default": DAYS_DEFAULT,
            "triggered": { "per_minute_max": plan.per_minute_max },
        });
        let mut ours = ours;
        ours["guards"] = guards::bounds(plan);
        if plan.asks_operator {
            ours["approval"] = json!({ "url": self.operator.url });
        }
        self.api(Method::POST, "/v1/tenants", &ours).await?;
        self.add_foreign(index).await?;
        self.add_hearers(index).await?;
        let path = format!("/v1/tenants/{}/listeners/sync", plan.id);
        self.api(Method::POST, &path, &Value::Null).await?;
        Ok(())
    }

    pub(crate) fn process(&self) -> &Process {
        self.process
            .as_ref()
            .expect("it runs, but for the moment of a restart")
    }

    /// Ends the process where it stands and starts it again.
    pub(super) async fn restart(&mut self) {
        self.opens += 1;
        let random = self.history.seed ^ (self.opens << 32);
        if let Some(old) = self.process.take() {
            old.end().await;
        }
        let world = &self.history.world;
        self.process = Some(Process::start(&self.home, world, &self.clock, random).await);
    }

    pub(crate) fn campaign_path(&self, campaign: usize) -> String {
        let plan = &self.history.world.campaigns[campaign];
        let tenant = self.history.world.tenants[plan.tenant].id;
        format!("/v1/tenants/{tenant}/campaigns/{}", plan.id)
    }

    /// Puts a promotion into every catalogue.
    pub(super) async fn promote(&self, code: usize, status: &str) -> Result<(), Wrong> {
        let plan = &self.history.world.codes[code];
        let (kind, fallback) = match plan.pool {
            Some(pool) => ("unique", pool.fallback),
            None => ("shared", None),
        };
        let promotion = json!({
            "name": plan.code, "status": status, "kind": kind, "fallback_code": fallback, "validity_days": plan.validity,
            "limits": { "per_customer": plan.per_customer, "total": plan.total },
        });
        for tenant in &self.history.world.tenants {
            let path = format!(
                "/v1/tenants/{}/promotions/{}",
                tenant.id,
                escaped(plan.code)
            );
            self.api(Method::PUT, &path, &promotion).await?;
        }
        Ok(())
    }

    /// Makes unique codes for a promotion of every tenant.
    pub(super) async fn load(&self, code: usize, count: u64) -> Result<(), Wrong> {
        let code = escaped(self.history.world.codes[code].code);
        for tenant in 0..self.history.world.tenants.len() {
            let path = format!("{}/promotions/{code}/codes", self.tenant_path(tenant));
            self.api(Method::POST, &path, &json!({ "generate": count }))
                .await?;
        }
        Ok(())
    }

    pub(super) async fn suspend(&self, tenant: usize, to: Suspension) -> Result<(), Wrong> {
        let tenant = self.history.world.tenants[tenant].id;
        let done = tenants::set_suspended(&self.process().app, &Actor::cli(), tenant, to).await;
        done.map(drop).map_err(|e| e.to_string())
    }

    pub(crate) fn tenant_of(&self, campaign: usize) -> usize {
        self.history.world.campaigns[campaign].tenant
    }

    pub(crate) fn tenant(&self, campaign: usize) -> &TenantPlan {
        &self.history.world.tenants[self.tenant_of(campaign)]
    }

    pub(crate) fn tenant_path(&self, tenant: usize) -> String {
        format!("/v1/tenants/{}", self.history.world.tenants[tenant].id)
    }

    /// What the oracle says of a campaign whose customers come in lists.
    pub(crate) fn expected(&self, campaign: usize) -> Result<Holdings, Wrong> {
        let plan = &self.history.world.campaigns[campaign];
        if plan.kind == Kind::Triggered {
            return Ok(Holdings::new());
        }
        let expected = self.sandbox.expected(plan.id);
        Ok(audit::holdings(expected.map_err(|e| e.to_string())?))
    }

    /// Both clocks to the same instant.
    pub(crate) async fn travel(&self, ms: i64) -> Result<(), Wrong> {
        let at = instant(ms);
        self.clock.set(at);
        self.put("/_sandbox/clock", &json!({ "now": at.to_string() }))
            .await
    }

    pub(super) async fn resume_campaign(&self, campaign: usize) -> Result<Value, Wrong> {
        let path = format!("{}/resume", self.campaign_path(campaign));
        self.api(Method::POST, &path, &Value::Null).await
    }

    pub(crate) fn jobs(&self) -> Result<Vec<bestow_store::jobs::JobRow>, Wrong> {
        self.process()
            .app
            .store
            .peek(|tx| tx.jobs())
            .map_err(|e: bestow_store::Error| e.to_string())
    }

    /// What landed, page by page: how a wrong ledger came to be.
    pub(super) fn pages(&self) -> String {
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
    pub(super) async fn calls(&self) -> Result<String, Wrong> {
        let mut calls = self.control_ok(Method::GET, "/_sandbox/requests").await?;
        for tenant in calls
            .as_object_mut()
            .into_iter()
            .flat_map(|all| all.values_mut())
        {
            // Whatever counts by real seconds is not for a replay to repeat.
            if let Some(usage) = tenant.as_object_mut() {
                usage.remove("most_in_10_s");
                usage.remove("least_ms_between_logins");
            }
        }
        Ok(calls.to_string())
    }

    pub(super) fn switch(&self, change: &Value) -> Result<String, Wrong> {
        self.sandbox
            .set_switches(change)
            .map_err(|e| e.to_string())?;
        Ok(String::new())
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<(), Wrong> {
        let done = self.control.ok(Method::PUT, path, body).await;
        done.map(drop).map_err(|e| format!("{e:#}"))
    }

    pub(super) async fn control_ok(&self, method: Method, path: &str) -> Result<Value, Wrong> {
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

/// A text as one segment of a path.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        use std::fmt::Write;
        // Writing to a String cannot fail.
        let _ = write!(encoded, "%{byte:02X}");
        encoded
    })
}
