//! What came of deliveries is written down.

use bestow_core::delivery::{DeliveryState, Next, Tries, next, rest_ms};
use bestow_store::deliveries::TryEnd;
use bestow_store::{Error as StoreError, Tx};

use super::super::flight::Landed;
use super::{Health, Runner};
use crate::error::Result;
use crate::service::audit::Object;

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

impl Runner<'_> {
    /// What was on its way when the process before this one ended may have been applied.
    pub(super) async fn doubt_what_was_sent(&mut self) -> Result<()> {
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

    /// Waits for what is under way.
    pub(super) async fn await_landing(&mut self) -> Result<()> {
        let landed = self.flights.landed().await;
        let landed =
            landed.map_err(|e| StoreError::Unavailable(format!("a try of a delivery: {e}")))?;
        self.settle(landed).await
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

    pub(super) async fn write(&mut self, ends: Vec<(u64, TryEnd)>, health: Health) -> Result<()> {
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
}

/// Lets people know what cannot be told to a destination.
fn note_given_up(
    tx: &mut Tx<'_>,
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
