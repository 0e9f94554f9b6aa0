//! Deliveries are sent.

use std::time::Duration;

use bestow_core::delivery::{DeliveryState, Keys};
use bestow_store::deliveries::TryEnd;
use tokio::time::Instant;

use super::super::flight::Departure;
use super::super::message;
use super::super::stream::{Batch, is_over_now};
use super::Runner;
use crate::error::Result;

impl Runner<'_> {
    /// Begins as many tries as there is room for.
    pub(super) async fn start(&mut self) -> Result<()> {
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
}
