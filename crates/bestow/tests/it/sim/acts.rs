//! What each operation does.

use bestow::clock::instant;
use bestow::service::tenants::Suspension;
use bestow::work;
use futures_util::future::join_all;
use http::Method;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::model::{Dice, Kind, Known, Op, Posts};
use super::notes::Note;
use super::run::Wrong;
use super::stage::Stage;

/// Posts of one operation, so that an operation stays short.
const POSTS_MAX: usize = 24;

impl Stage<'_> {
    /// Does one thing, and says what came of it.
    pub(super) async fn perform(&mut self, op: &Op) -> Result<String, Wrong> {
        if op.may_undo_promises() {
            self.promised.clear();
        }
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
                self.collect().await?;
                let notes = self.notes.get(campaign).cloned().unwrap_or_default();
                let chosen = notes.into_iter().enumerate();
                let chosen = chosen.filter(|(bit, _)| which >> (bit % 8) & 1 == 1);
                let notes = chosen.map(|(_, note)| note).collect();
                self.post_shuffled(notes, *copies, *order, *posts).await?
            }
            Op::CloseDay(tenant) => {
                let id = self.history.world.tenants[*tenant].id;
                self.control_ok(Method::POST, &format!("/_sandbox/day/close?tenant={id}"))
                    .await?;
                let notes = self.collect().await?;
                self.post(&notes, Posts::InTurn).await?
            }
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
            of_people => self.somebody(of_people).await?,
        };
        if self.process().commits.is_dead() {
            self.restart().await;
        }
        self.watch_approvals().await?;
        self.within_bounds().await?;
        Ok(told)
    }

    /// What customers, operators and strangers do.
    async fn somebody(&mut self, op: &Op) -> Result<String, Wrong> {
        Ok(match op {
            Op::Forge(campaign) => self.forge(*campaign).await?,
            Op::ForgeCancel(campaign) if self.cancelled.contains_key(campaign) => String::new(),
            Op::ForgeCancel(campaign) => {
                self.slandered.insert(*campaign);
                let note = self.forged(*campaign, 4, &json!({}));
                self.post(&[note], Posts::InTurn).await?
            }
            Op::ForgeClearance { campaign, seconds } => {
                let deadline = instant(self.clock.now_ms() + seconds * 1_000);
                let zone = self.history.world.tenants[self.tenant_of(*campaign)].zone;
                let zone = TimeZone::get(zone).map_err(|e| e.to_string())?;
                let wall = zone.to_datetime(deadline).strftime("%Y-%m-%d %H:%M:%S");
                let asked = json!({ "ClearanceRequiredBy": wall.to_string() });
                let note = self.forged(*campaign, 5, &asked);
                self.post(&[note], Posts::InTurn).await?
            }
            Op::Trigger {
                campaign,
                customers,
                copies,
                order,
                posts,
            } => {
                let notes = self.trigger(*campaign, customers).await?;
                self.post_shuffled(notes, *copies, *order, *posts).await?
            }
            Op::Exclude { campaign, customer } => {
                let tenant = self.tenant_of(*campaign);
                match self.history.world.customer(*campaign, *customer) {
                    Some(id) => told(&self.exclude(tenant, id).await),
                    None => "nobody".to_owned(),
                }
            }
            Op::IncludeAll(tenant) => told(&self.include_all(*tenant).await),
            Op::Pause(code) if self.history.world.codes[*code].known == Known::Active => {
                told(&self.promote(*code, "paused").await)
            }
            Op::Promote(code) if self.history.world.codes[*code].known != Known::Never => {
                // A failed write is somebody's to repeat; at the end it is repeated.
                told(&self.promote(*code, "active").await)
            }
            Op::Suspend(tenant) => told(&self.suspend(*tenant, Suspension::Suspend).await),
            Op::Resume(tenant) => told(&self.suspend(*tenant, Suspension::Resume).await),
            Op::Release(campaign) if !self.cancelled.contains_key(campaign) => {
                self.guards.halted.remove(campaign);
                told(&self.resume_campaign(*campaign).await)
            }
            Op::Guard(guarding) => self.guard(*guarding).await,
            Op::Hear(hearing) => self.hear(*hearing).await,
            Op::Ask(campaign) => self.ask(*campaign).await?,
            Op::Redeem {
                campaign,
                customer,
                copies,
            } => self.redeem(*campaign, *customer, *copies).await?,
            Op::Load { code, count } => told(&self.load(*code, *count).await),
            Op::Question {
                campaign,
                customer,
                times,
            } => self.question(*campaign, *customer, *times).await?,
            Op::Operator(manner) => {
                self.operator.behave(*manner);
                String::new()
            }
            Op::Sync(tenant) => {
                let path = format!("{}/promotions/sync", self.tenant_path(*tenant));
                told(&self.api(Method::POST, &path, &Value::Null).await)
            }
            Op::WriteThere { tenant, code }
                if self.history.world.codes[*code].known != Known::Never =>
            {
                let code = self.history.world.codes[*code].code;
                told(&self.write_there(*tenant, code, "by hand").await)
            }
            Op::Rotate(tenant) => {
                let path = format!("{}/listeners/rotate", self.tenant_path(*tenant));
                told(&self.api(Method::POST, &path, &Value::Null).await)
            }
            _ => String::new(),
        })
    }

    async fn process_campaign(&mut self, campaign: usize) -> Result<String, Wrong> {
        if self.processed.contains(&campaign) || self.cancelled.contains_key(&campaign) {
            return Ok("is over".to_owned());
        }
        let id = self.history.world.campaigns[campaign].id;
        self.travel(self.clock.now_ms()).await?;
        match self.kind(campaign) {
            Kind::Scheduled => self.sandbox.process(id),
            Kind::Conditional { seconds } => self.sandbox.hold(id, seconds),
            Kind::Triggered => Ok(()),
        }
        .map_err(|e| e.to_string())?;
        self.collect().await?;
        self.processed.push(campaign);
        let notes = self.notes.get(&campaign).map_or(0, Vec::len);
        Ok(format!("{notes} notifications"))
    }

    async fn cancel(&mut self, campaign: usize) -> Result<String, Wrong> {
        if self.cancelled.contains_key(&campaign) {
            return Ok("is over".to_owned());
        }
        let expected = self.expected(campaign)?;
        self.sandbox
            .cancel(self.history.world.campaigns[campaign].id)
            .map_err(|e| e.to_string())?;
        self.collect().await?;
        self.cancelled.insert(campaign, expected);
        Ok(String::new())
    }

    async fn forge(&mut self, campaign: usize) -> Result<String, Wrong> {
        let tenant = &self.history.world.tenants[self.tenant_of(campaign)];
        let mut notes = vec![self.forged(campaign, 1, &json!({}))];
        for channel in &tenant.channels {
            notes.push(self.forged(campaign, 13, &json!({ "ChannelID": channel })));
        }
        self.post(&notes, Posts::InTurn).await
    }

    /// Customers meet a trigger, each a moment after whatever came before. Gives what Optimove has to say of it.
    async fn trigger(&mut self, campaign: usize, who: &[(u64, bool)]) -> Result<Vec<Note>, Wrong> {
        self.collect().await?;
        let known = self.notes.get(&campaign).map_or(0, Vec::len);
        let plan = &self.history.world.campaigns[campaign];
        let tenant = self.history.world.tenants[plan.tenant].id;
        self.travel(self.clock.now_ms() + 1_000).await?;
        let mut met = Vec::new();
        for (number, is_visitor) in who {
            let customer = self.history.world.customer(campaign, *number);
            if customer.is_none() || met.contains(&customer) {
                continue;
            }
            // The stand-in's clock runs on in real time; the time stamps are to be the same whenever this is played.
            let now = instant(self.clock.now_ms());
            self.sandbox.set_now(now).map_err(|e| e.to_string())?;
            let trigger = json!({
                "tenant": tenant, "campaign_id": plan.id, "customer_id": customer, "is_visitor": is_visitor,
            });
            met.push(customer);
            // Of a campaign that is cancelled nothing goes out.
            let _ = self.sandbox.trigger(trigger).await;
        }
        self.collect().await?;
        let mut notes = self.notes.get(&campaign).cloned().unwrap_or_default();
        Ok(notes.split_off(known))
    }

    async fn post_shuffled(
        &mut self,
        notes: Vec<Note>,
        copies: u8,
        order: u64,
        posts: Posts,
    ) -> Result<String, Wrong> {
        let notes = notes.into_iter();
        let notes = notes.flat_map(|note| vec![note; usize::from(copies)]);
        let mut notes: Vec<Note> = notes.collect();
        Dice::new(order).shuffle(&mut notes);
        notes.truncate(POSTS_MAX);
        self.post(&notes, posts).await
    }

    /// Posts notifications to the service.
    pub(super) async fn post(&mut self, notes: &[Note], posts: Posts) -> Result<String, Wrong> {
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
        for (note, answer) in notes.iter().zip(answers) {
            let is_taken = match answer.map_err(|e| format!("{e:#}"))?.0.as_u16() {
                200 => true,
                503 => false,
                other => return Err(format!("a notification was answered {other}")),
            };
            taken += u64::from(is_taken);
            let list = if is_taken {
                &mut self.heard
            } else {
                &mut self.unheard
            };
            if note.event_type == 11 && !list.contains(note) {
                list.push(note.clone());
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

    async fn exclude(&mut self, tenant: usize, customer: String) -> Result<Value, Wrong> {
        self.exclude_from(tenant, customer, None).await
    }

    /// From everything, or from one code.
    pub(super) async fn exclude_from(
        &mut self,
        tenant: usize,
        customer: String,
        code: Option<&str>,
    ) -> Result<Value, Wrong> {
        let body = json!({
            "customer_ids": [customer], "reason": "asked to be left alone", "promo_code": code,
        });
        // Whether or not the answer says so, it may have been done.
        self.excluded.insert((tenant, customer.clone()));
        let path = format!("{}/exclusions", self.tenant_path(tenant));
        let done = self.api(Method::POST, &path, &body).await;
        if done.is_ok() {
            let code = code.unwrap_or_default().to_lowercase();
            self.guards.barred.insert((tenant, customer, code));
        }
        done
    }

    async fn include_all(&mut self, tenant: usize) -> Result<Value, Wrong> {
        let excluded = self.excluded.iter();
        let ids: Vec<&String> = excluded
            .filter(|(of, _)| *of == tenant)
            .map(|(_, id)| id)
            .collect();
        if ids.is_empty() {
            return Ok(Value::Null);
        }
        let path = format!("{}/exclusions", self.tenant_path(tenant));
        let barred = &mut self.guards.barred;
        barred.retain(|(of, ..)| *of != tenant);
        self.api(Method::DELETE, &path, &json!({ "customer_ids": ids }))
            .await
    }

    /// Asks for the first customer of a campaign; whatever the answer, it is one.
    async fn ask(&self, campaign: usize) -> Result<String, Wrong> {
        let Some(((customer, code), _)) = self.expected(campaign)?.into_iter().next() else {
            return Ok("for nobody".to_owned());
        };
        let path = format!("{}/eligibility", self.tenant_path(self.tenant_of(campaign)));
        let question = json!({ "customer_id": customer, "promo_code": code });
        let answer = self.api(Method::POST, &path, &question).await?;
        Ok(answer["eligible"].to_string())
    }
}

pub(super) fn told<T>(result: &Result<T, Wrong>) -> String {
    match result {
        Ok(_) => String::new(),
        Err(_) => "refused".to_owned(),
    }
}
