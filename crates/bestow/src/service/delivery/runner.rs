//! The delivering of one destination: plan, send, write down what came of it.

mod depart;
mod land;
mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;

use bestow_core::delivery::{FAILURES_MAX, Order};
use bestow_store::deliveries::Delivery;
use bestow_store::destinations::Destination;
use bestow_store::jobs::Job;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::announce::announce;
use super::flight::Flights;
use super::sender::{Limits, Sender};
use super::stream::Stream;
use crate::app::App;
use crate::error::Result;
use crate::service::destinations::{Secrets, Settings};
use crate::service::notifications::seconds_ms;
use crate::tenant::Tenant;
use crate::work::run::Ended;

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
