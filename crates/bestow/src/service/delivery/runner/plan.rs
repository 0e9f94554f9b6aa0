//! What a destination is to hear becomes deliveries.

use std::collections::HashMap;

use bestow_core::delivery::DeliveryState;
use bestow_store::Error as StoreError;
use bestow_store::deliveries::{Delivery, NewDelivery};
use bestow_store::destinations::Place;

use super::super::message;
use super::super::stream::{Batch, Told};
use super::Runner;
use crate::error::{Error, Result};

/// Deliveries of one destination that are planned and not settled.
const OPEN_MAX: usize = 128;
/// Deliveries planned in one transaction.
const PLANNED_AT_ONCE: usize = 32;

impl Runner<'_> {
    /// Takes up what was planned before, by another run or by hand.
    pub(super) fn take_up(&mut self) -> Result<()> {
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
    pub(super) async fn plan(&mut self) -> Result<()> {
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
}

fn keys_of(batch: &Batch) -> Vec<u64> {
    batch.told.iter().map(Told::key).collect()
}
