//! The delivering of one destination: plan, send, write down what came of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bestow_core::delivery::{DeliveryState, FAILURES_MAX, Keys, Next, Order, Tries, next, rest_ms};
use bestow_store::Error as StoreError;
use bestow_store::deliveries::{Delivery, NewDelivery, TryEnd};
use bestow_store::destinations::{Destination, Place};
use bestow_store::jobs::Job;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::announce::announce;
use super::flight::{Departure, Flights, Landed};
use super::message;
use super::sender::{Limits, Sender};
use super::stream::{Batch, Stream, is_over_now};
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::destinations::{Secrets, Settings};
use crate::service::notifications::seconds_ms;
use crate::tenant::Tenant;
use crate::work::run::Ended;

/// Deliveries of one destination that are planned and not settled.
const OPEN_MAX: usize = 128;
/// Deliveries planned in one transaction.
const PLANNED_AT_ONCE: usize = 32;

/// How long to wait for a clock that is in doubt.
const DOUBTED_WAIT_MS: i64 = 60_000;

/// How a destination fares.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Health {
    failures: u64,
    rests_until: Option<i64>,
    trouble: Option<String>,
}

pub(super) struct Runner<'a> {
    app: &'a App,
    job: &'a Job,
    tenant: Arc<Tenant>,
    destination: Destination,
    settings: Settings,
    sender: Arc<Sender>,
    stream: Stream,
    order: Order<u64>,
    open: BTreeMap<u64, Delivery>,
    flights: Flights,
    health: Health,
    /// Rests begun by this run: what was on its way before one says nothing new.
    rests: u64,
    /// By its rate, nothing is sent before.
    paced_until: Option<Instant>,
}

impl<'a> Runner<'a> {
    /// `None` where the destination is not delivered to.
    pub(super) fn open(app: &'a App, job: &'a Job) -> Result<Option<Self>> {
        let Ok(no) = job.key.parse() else {
            return Ok(None);
        };
        let found = app.store.peek(|tx| tx.destination_by_no(job.tenant, no))?;
        let Some(destination) = found.filter(|found| found.paused_at.is_none()) else {
            return Ok(None);
        };
        let tenant = app.tenant_by_no(job.tenant)?;
        let settings = Settings::read(&destination)?;
        let secrets = Secrets::open(app, &tenant, &destination)?;
        let sender = Sender::new(&settings, &secrets, &Limits::of(app)?)?;
        let health = Health {
            failures: destination.failures,
            rests_until: destination.rests_until,
            trouble: destination.trouble.clone(),
        };
        Ok(Some(Self {
            app,
            job,
            tenant,
            destination,
            settings,
            sender: Arc::new(sender),
            stream: Stream::new(job.tenant),
            order: Order::default(),
            open: BTreeMap::new(),
            flights: Flights::default(),
            health,
            rests: 0,
            paced_until: None,
        }))
    }

    /// Sends until nothing can be sent now, or until told to stop: then it waits for what is under way.
    pub(super) async fn run(&mut self, stop: &CancellationToken) -> Result<Ended> {
        self.doubt_what_was_sent().await?;
        loop {
            if !stop.is_cancelled() {
                if !self.app.clock.is_doubted() {
                    announce(self.app, self.job, self.lease_ms()).await?;
                }
                if self.startable().len() < self.room() {
                    self.take_up()?;
                    self.plan().await?;
                }
                self.start().await?;
            }
            if !self.flights.is_empty() {
                self.await_landing().await?;
            } else if stop.is_cancelled() {
                return Ok(Ended::Stopped);
            } else if let Some(until) = self.paced_until.filter(|_| !self.startable().is_empty()) {
                tokio::time::sleep_until(until).await;
            } else {
                return self.ended();
            }
        }
    }

    fn lease_ms(&self) -> i64 {
        seconds_ms(self.app.config.work.lease_seconds)
    }

    /// How many may be begun now.
    fn room(&self) -> usize {
        let now = self.app.clock.now_ms();
        if self.health.rests_until.is_some_and(|until| until > now) {
            return 0;
        }
        let most = if self.health.failures >= FAILURES_MAX {
            // One try tells whether it is back.
            1
        } else {
            self.settings.concurrency as usize
        };
        most.saturating_sub(self.flights.len())
    }

    /// Deliveries that could be sent now, in their order.
    fn startable(&self) -> Vec<u64> {
        let now = self.app.clock.now_ms();
        let is_startable = |delivery: &&Delivery| {
            delivery.next_at <= now
                && self.order.is_free(delivery.no)
                && !self.flights.contains(delivery.no)
        };
        let found = self.open.values().filter(is_startable);
        found.map(|delivery| delivery.no).collect()
    }

    /// What was on its way when the process before this one ended may have been applied.
    async fn doubt_what_was_sent(&mut self) -> Result<()> {
        let (tenant, no) = (self.job.tenant, self.destination.no);
        let sent = self
            .app
            .store
            .peek(|tx| tx.open_deliveries(tenant, no, DeliveryState::Sending, 0, u32::MAX))?;
        if sent.is_empty() {
            return Ok(());
        }
        let now = self.app.clock.now_ms();
        let ends = sent.into_iter().map(|delivery| {
            let end = TryEnd {
                state: DeliveryState::Unknown,
                next_at: None,
                attempts: delivery.attempts + 1,
                first_tried_at: delivery.first_tried_at.unwrap_or(now),
                in_doubt: true,
                detail: Some("the service ended before an answer came".to_owned()),
            };
            (delivery.no, end)
        });
        self.write(ends.collect(), self.health.clone()).await
    }

    /// Takes up what was planned before, by another run or by hand.
    fn take_up(&mut self) -> Result<()> {
        let (tenant, no) = (self.job.tenant, self.destination.no);
        let most = OPEN_MAX as u32 * 2;
        let waiting = self
            .app
            .store
            .peek(|tx| tx.open_deliveries(tenant, no, DeliveryState::Waiting, 0, most))?;
        for delivery in waiting {
            if !self.order.contains(delivery.no) {
                let (from, to) = (delivery.from, delivery.to);
                let batch = self
                    .app
                    .store
                    .read(|tx| self.stream.between(tx, from, to))?;
                self.add(delivery, keys_of(&batch));
            }
        }
        Ok(())
    }

    fn add(&mut self, delivery: Delivery, keys: Vec<u64>) {
        self.order.push(delivery.no, keys);
        self.open.insert(delivery.no, delivery);
    }

    /// Makes batches of what is still to be heard.
    async fn plan(&mut self) -> Result<()> {
        while self.order.len() < OPEN_MAX {
            let (from, mut to) = (self.destination.heard, self.destination.heard);
            let (mut new, mut keys) = (Vec::new(), HashMap::new());
            while new.len() < PLANNED_AT_ONCE {
                let most = self.settings.batch_events_max as usize;
                let batch = self.app.store.read(|tx| self.stream.next(tx, to, most))?;
                if batch.to == to {
                    break;
                }
                to = batch.to;
                keys.insert(batch.from, keys_of(&batch));
                new.push(self.planned(&batch)?);
            }
            if new.is_empty() {
                return Ok(());
            }
            let (job, no, lease_ms) = (self.job.clone(), self.destination.no, self.lease_ms());
            let is_ours = self
                .app
                .tx("plan_deliveries", move |tx| {
                    tx.plan_deliveries(&job, no, from, &new, lease_ms)
                })
                .await?;
            if !is_ours {
                return Err(Error::Store(StoreError::LeaseLost));
            }
            self.destination.heard = to;
            self.take_planned(&mut keys)?;
        }
        Ok(())
    }

    fn planned(&self, batch: &Batch) -> Result<NewDelivery> {
        let events = message::events(self.app, &self.tenant, batch)?;
        Ok(NewDelivery {
            id: message::delivery_id(&self.destination.id, batch, &events),
            from: batch.from,
            to: batch.to,
            events: events.len() as u64,
        })
    }

    fn take_planned(&mut self, keys: &mut HashMap<Place, Vec<u64>>) -> Result<()> {
        let last = self.open.last_key_value().map_or(0, |(no, _)| *no);
        let (tenant, no) = (self.job.tenant, self.destination.no);
        let planned = self.app.store.peek(|tx| {
            tx.open_deliveries(
                tenant,
                no,
                DeliveryState::Waiting,
                last,
                PLANNED_AT_ONCE as u32,
            )
        })?;
        for delivery in planned {
            if let Some(keys) = keys.remove(&delivery.from) {
                self.add(delivery, keys);
            }
        }
        Ok(())
    }

    /// Begins as many tries as there is room for.
    async fn start(&mut self) -> Result<()> {
        let mut departures = Vec::new();
        for no in self.startable().into_iter().take(self.room()) {
            let now = Instant::now();
            if self.paced_until.is_some_and(|until| until > now) {
                break;
            }
            match self.departure(no)? {
                Some((departure, events)) => {
                    self.pace(now, events);
                    departures.push(departure);
                }
                None => self.overtaken(no).await?,
            }
        }
        if departures.is_empty() {
            return Ok(());
        }
        if self.settings.keys == Keys::Ignored {
            let sent: Vec<_> = departures.iter().map(|departure| departure.no).collect();
            let (job, no) = (self.job.clone(), self.destination.no);
            self.app
                .tx("send_deliveries", move |tx| {
                    sent.iter()
                        .try_for_each(|sent| tx.send_delivery(&job, no, *sent))
                })
                .await?;
        }
        for departure in departures {
            self.flights.begin(&self.sender, departure);
        }
        Ok(())
    }

    /// A delivery ready to be sent, with the number of its events; `None` where all of it is over by now.
    fn departure(&mut self, no: u64) -> Result<Option<(Departure, usize)>> {
        let Some(delivery) = self.open.get(&no) else {
            return Ok(None);
        };
        let (from, to, now) = (delivery.from, delivery.to, self.app.clock.now_ms());
        let mut batch = self
            .app
            .store
            .read(|tx| self.stream.between(tx, from, to))?;
        if delivery.redriven > 0 {
            self.drop_overtaken(&mut batch, now)?;
            if batch.told.is_empty() {
                return Ok(None);
            }
        }
        let events = message::events(self.app, &self.tenant, &batch)?;
        let departure = Departure {
            no,
            id: delivery.id.clone(),
            at_second: now.div_euclid(1_000),
            rests: self.rests,
            ready: self.sender.ready(&self.tenant, &batch, &events),
        };
        Ok(Some((departure, events.len())))
    }

    /// Of what is sent again by hand, nothing that gives is sent for grants that are over or taken back by now: the
    /// destination has heard of their end.
    fn drop_overtaken(&self, batch: &mut Batch, now: i64) -> Result<()> {
        let mut kept = Vec::with_capacity(batch.told.len());
        for told in batch.told.drain(..) {
            let is_void = told.event.kind.gives() && {
                let (store, tenant) = (&self.app.store, self.job.tenant);
                let campaign = store.peek(|tx| tx.campaign_by_no(tenant, told.event.campaign))?;
                campaign.is_none_or(|campaign| campaign.revoked_at.is_some())
                    || store.read(|tx| is_over_now(tx, tenant, &told, now))?
            };
            if !is_void {
                kept.push(told);
            }
        }
        batch.told = kept;
        Ok(())
    }

    async fn overtaken(&mut self, no: u64) -> Result<()> {
        let Some(delivery) = self.open.remove(&no) else {
            return Ok(());
        };
        self.order.settle(no);
        let end = TryEnd {
            state: DeliveryState::Overtaken,
            next_at: None,
            attempts: delivery.attempts,
            first_tried_at: delivery.first_tried_at.unwrap_or(delivery.planned_at),
            in_doubt: delivery.in_doubt,
            detail: delivery.detail,
        };
        self.write(vec![(no, end)], self.health.clone()).await
    }

    fn pace(&mut self, now: Instant, events: usize) {
        if let Some(rate) = self.settings.events_per_second {
            let micros = events as u64 * 1_000_000 / u64::from(rate.max(1));
            let from = self.paced_until.map_or(now, |until| until.max(now));
            self.paced_until = Some(from + Duration::from_micros(micros));
        }
    }

    /// Waits for what is under way, and keeps the claim meanwhile.
    async fn await_landing(&mut self) -> Result<()> {
        let third = Duration::from_millis(self.lease_ms().unsigned_abs() / 3);
        tokio::select! {
            landed = self.flights.landed() => {
                let landed = landed.map_err(|e| StoreError::Unavailable(format!("a try of a delivery: {e}")))?;
                self.settle(landed).await
            }
            () = tokio::time::sleep(third) => {
                let (job, lease_ms) = (self.job.clone(), self.lease_ms());
                self.app.tx("keep_job", move |tx| tx.keep_job(&job, lease_ms)).await
            }
        }
    }

    /// Writes down what came of tries, and lets those go that waited for them.
    async fn settle(&mut self, landed: Vec<Landed>) -> Result<()> {
        let now = self.app.clock.now_ms();
        let mut health = self.health.clone();
        let mut ends = Vec::with_capacity(landed.len());
        for landed in landed {
            self.note_health(&mut health, &landed, now);
            let Some(delivery) = self.open.get_mut(&landed.no) else {
                continue;
            };
            let came_of_it = landed.attempt.tried;
            delivery.attempts += 1;
            let first_at = *delivery.first_tried_at.get_or_insert(now);
            let tries = Tries {
                count: delivery.attempts,
                first_at,
                was_in_doubt: delivery.in_doubt,
            };
            delivery.in_doubt |= came_of_it.is_in_doubt();
            let (retry, spread) = (self.app.config.delivery.retry(), self.app.random.number());
            let (state, next_at) =
                match next(self.settings.keys, came_of_it, tries, retry, now, spread) {
                    Next::Settled(state) => (state, None),
                    Next::Again(at) => (DeliveryState::Waiting, Some(at)),
                };
            delivery.next_at = next_at.unwrap_or(delivery.next_at);
            let end = TryEnd {
                state,
                next_at,
                attempts: delivery.attempts,
                first_tried_at: first_at,
                in_doubt: delivery.in_doubt,
                detail: Some(landed.attempt.detail).filter(|detail| !detail.is_empty()),
            };
            ends.push((landed.no, end));
        }
        let settled: Vec<u64> = ends
            .iter()
            .filter(|(_, end)| end.next_at.is_none())
            .map(|(no, _)| *no)
            .collect();
        self.write(ends, health).await?;
        for no in settled {
            self.open.remove(&no);
            self.order.settle(no);
        }
        Ok(())
    }

    fn note_health(&mut self, health: &mut Health, landed: &Landed, now: i64) {
        if !landed.attempt.tried.is_failure() {
            *health = Health {
                failures: 0,
                rests_until: None,
                trouble: None,
            };
            return;
        }
        health.trouble = Some(landed.attempt.detail.clone());
        if landed.rests < self.rests {
            return;
        }
        health.failures += 1;
        if let Some(rest) = rest_ms(
            health.failures,
            self.app.config.delivery.rest(),
            self.app.random.number(),
        ) {
            health.rests_until = Some(now.saturating_add(rest));
            self.rests += 1;
        }
    }

    async fn write(&mut self, ends: Vec<(u64, TryEnd)>, health: Health) -> Result<()> {
        let (job, lease_ms) = (self.job.clone(), self.lease_ms());
        let (no, id) = (self.destination.no, self.destination.id.clone());
        let changed = (health != self.health).then(|| health.clone());
        self.app
            .tx("end_tries", move |tx| {
                let mut given_up = false;
                for (delivery, end) in &ends {
                    tx.end_try(&job, no, *delivery, end, lease_ms)?;
                    given_up |= matches!(end.state, DeliveryState::Unknown | DeliveryState::Dead);
                }
                if let Some(health) = &changed {
                    let trouble = health.trouble.as_deref();
                    tx.set_health(&job, no, health.failures, health.rests_until, trouble)?;
                }
                if given_up {
                    note_given_up(tx, job.tenant, no, &id)?;
                }
                Ok(())
            })
            .await?;
        self.health = health;
        Ok(())
    }

    /// When there may be something to do again.
    fn ended(&self) -> Result<Ended> {
        let now = self.app.clock.now_ms();
        let waiting = self.open.values().filter(|one| self.order.is_free(one.no));
        let retry = waiting.map(|delivery| delivery.next_at.max(now)).min();
        let retry = retry.map(|at| at.max(self.health.rests_until.unwrap_or(at)));
        let due = self
            .app
            .store
            .peek(|tx| tx.next_announcement_at(self.job.tenant))?;
        // Starts and ends are told by a clock beyond doubt only.
        let doubted = self.app.clock.is_doubted();
        let doubted = doubted.then(|| now.saturating_add(DOUBTED_WAIT_MS));
        Ok(match retry.into_iter().chain(due).chain(doubted).min() {
            Some(at) => Ended::Again(at),
            None => Ended::Done,
        })
    }
}

fn keys_of(batch: &Batch) -> Vec<u64> {
    batch.told.iter().map(super::stream::Told::key).collect()
}

/// Lets people know what cannot be told to a destination.
fn note_given_up(
    tx: &mut bestow_store::Tx<'_>,
    tenant: i64,
    no: i64,
    id: &str,
) -> std::result::Result<(), StoreError> {
    let object = Object::Destination(id).to_string();
    for (state, kind, meaning) in GIVEN_UP {
        let count = tx.deliveries_in(tenant, no, state)?;
        if count > 0 {
            tx.find(
                tenant,
                kind,
                &object,
                &format!("{count} deliveries {meaning}"),
            )?;
        }
    }
    Ok(())
}

/// States that people have to look at, each with its finding.
pub(crate) const GIVEN_UP: [(DeliveryState, &str, &str); 2] = [
    (
        DeliveryState::Unknown,
        "delivery_unknown",
        "may have been applied or not: compare with the destination, then retry them or settle this",
    ),
    (
        DeliveryState::Dead,
        "delivery_dead",
        "were given up: mend the destination, then retry them",
    ),
];
