//! The door that every trigger goes through: what stands against it, what becomes of each of its codes.

use std::collections::BTreeMap;

use bestow_core::import::Disposition;
use bestow_core::trigger::{TriggerFacts, TriggerRules, decide, met_at};
use bestow_core::window::{Duration, Expiry, LeadTime, ScheduleTime, window_of};
use bestow_core::{HoldReason, PromoCode, RefuseReason};
use bestow_store::campaigns::{Walls, WindowSpec};
use bestow_store::door::{Gave, Promise};
use bestow_store::gateway::Reservation;
use bestow_store::inbox::Notification;
use bestow_store::triggers::{NewTrigger, TriggerPair};
use bestow_store::{Error as StoreError, Tx};

use super::facts::{self, Asked};
use super::{Look, MINUTE_MS, Met, Settled, Stored, Taking, codes};
use crate::clock::instant;
use crate::ingest::trigger::{Kept, duration};
use crate::service::audit::Object;
use crate::tenant::Tenant;
use crate::work::kind;

/// A gateway that was not asked for so long, while triggers come, may have been taken over.
const SILENCE_MS_MAX: i64 = 24 * 3_600_000;

/// One trigger on its way through.
pub(super) struct Door<'t, 'c, 'a> {
    tx: &'t mut Tx<'c>,
    tenant: &'a Tenant,
    notification: &'a Notification,
    kept: &'a Kept,
    met: &'a Met,
    campaign: i64,
    rules: TriggerRules,
    /// When it was met, in milliseconds.
    met_at: i64,
    facts: TriggerFacts,
    reservations: Vec<Reservation>,
    /// The one it stands on.
    own: Option<Reservation>,
    /// Outcomes before this look, by folded code; `None`: the trigger is new.
    known: Option<BTreeMap<String, String>>,
    /// Outcomes now.
    outcomes: BTreeMap<String, String>,
    /// Changes of the campaign's counters.
    counts: BTreeMap<String, i64>,
    is_minute_full: bool,
}

impl<'t, 'c, 'a> Door<'t, 'c, 'a> {
    pub(super) fn open(
        tx: &'t mut Tx<'c>,
        tenant: &'a Tenant,
        notification: &'a Notification,
        kept: &'a Kept,
        met: &'a Met,
        campaign: i64,
    ) -> Stored<Self> {
        let (no, now) = (tenant.no(), tx.now_ms());
        let settings = &tenant.settings;
        let rules = settings.triggered.rules(settings.duration_days_default);
        let reservations = tx.reservations(no, &met.customer)?;
        let own = reservations
            .iter()
            .find(|one| one.is_alive(now) && is_for(one, met.campaign.as_str()))
            .cloned();
        let found = tx.trigger(no, campaign, &met.occurrence)?;
        let is_reserved = own.is_some() || found.as_ref().is_some_and(|found| found.reserved);
        let known = match &found {
            Some(_) => {
                let pairs = tx.trigger_pairs(no, campaign, &met.occurrence)?;
                Some(pairs.into_iter().collect())
            }
            None => None,
        };
        let facts = TriggerFacts {
            person: kept.person(),
            standing: facts::standing(tx, no, &met.customer)?,
            is_reserved,
            of_campaign: match rules.per_customer_max {
                Some(_) => tx.grants_of_campaign(no, &met.customer, campaign)?,
                None => 0,
            },
            this_minute: match rules.per_minute_max {
                Some(_) => tx.trigger_minute(no, campaign, now / MINUTE_MS)?,
                None => 0,
            },
            duration: duration(kept.duration_days),
        };
        let mut door = Self {
            tx,
            tenant,
            notification,
            kept,
            met,
            campaign,
            rules,
            met_at: 0,
            facts,
            reservations,
            own,
            outcomes: known.clone().unwrap_or_default(),
            known,
            counts: BTreeMap::new(),
            is_minute_full: false,
        };
        door.met_at = match found {
            Some(found) => found.met_at,
            None => door.keep()?,
        };
        Ok(door)
    }

    /// Keeps a trigger that is new, and gives the moment it was met.
    fn keep(&mut self) -> Stored<i64> {
        let received_at = instant(self.notification.received_at);
        let (at, fault) = met_at(self.kept.stamp(), &self.tenant.zone, received_at);
        if let Some(fault) = fault {
            let object = Object::Campaign(self.met.campaign.as_str()).to_string();
            let detail = format!("{fault}; when it came counts instead");
            self.tx
                .find(self.tenant.no(), "trigger_time_stamp", &object, &detail)?;
        }
        let kept = serde_json::to_string(&self.kept.kept)
            .map_err(|e| StoreError::Corrupt(format!("kept fields: {e}")))?;
        self.tx.insert_trigger(
            self.tenant.no(),
            &NewTrigger {
                campaign: self.campaign,
                occurrence: &self.met.occurrence,
                customer: &self.met.customer,
                notification: &self.notification.id,
                met_at: at.as_millisecond(),
                reserved: self.facts.is_reserved,
                kept: &kept,
            },
        )?;
        Ok(at.as_millisecond())
    }

    /// A gateway that nobody asks while triggers come may be registered by somebody else.
    pub(super) fn watch_gateway(&mut self) -> Stored<()> {
        if !self.tenant.wants_gateway() {
            return Ok(());
        }
        let no = self.tenant.no();
        let Some(gateway) = self.tx.registered_gateway(no)? else {
            return Ok(());
        };
        let heard_at = gateway
            .asked_at
            .unwrap_or_default()
            .max(gateway.registered_at);
        if heard_at + SILENCE_MS_MAX > self.tx.now_ms() {
            return Ok(());
        }
        let detail = "triggers come, and the gateway has not been asked for a day: somebody else \
                      may have registered theirs; `bestow listeners sync` registers ours again";
        self.tx.find(no, "gateway_silent", "gateway", detail)
    }

    pub(super) fn settle_pairs(&mut self, look: Look) -> Stored<()> {
        let row = codes::read(self.tx, self.tenant, &self.kept.promo_code)?;
        if self.known.is_none() {
            let pairs = row.pairs() as i64;
            self.count("rows", 1);
            self.count("rows_without_code", i64::from(pairs == 0));
            self.count("pairs", pairs);
            for held in &row.held {
                let fold = bestow_core::id::fold_code(&held.text).into_owned();
                self.put(&fold, Disposition::Held(held.reason))?;
            }
        }
        for code in &row.codes {
            if self.is_open(code.fold()) {
                self.settle_code(code)?;
            }
        }
        if self.is_minute_full && look == Look::First {
            let next = (self.tx.now_ms() / MINUTE_MS + 1) * MINUTE_MS;
            let key = self.campaign.to_string();
            self.tx
                .want_job(self.tenant.no(), kind::TRIGGERS, &key, next)?;
        }
        Ok(())
    }

    /// Whether a code is still to be decided: all are at first, the held ones afterwards.
    fn is_open(&self, fold: &str) -> bool {
        let Some(known) = &self.known else {
            return true;
        };
        known
            .get(fold)
            .is_some_and(|outcome| outcome.starts_with("held:"))
    }

    fn settle_code(&mut self, code: &PromoCode) -> Stored<()> {
        let asked = Asked {
            tenant: self.tenant.no(),
            customer: &self.met.customer,
            reservations: &self.reservations,
            own: self.own.as_ref(),
        };
        let facts = asked.code(self.tx, code.fold())?;
        match decide(&self.rules, &self.facts, &facts) {
            Ok(duration) => self.grant(code, duration),
            Err(disposition) => self.withhold(code, disposition),
        }
    }

    fn grant(&mut self, code: &PromoCode, duration: Duration) -> Stored<()> {
        let no = self.tenant.no();
        // The daily list ends actions, and a trigger names none: its grants end by themselves.
        let window = window_of(
            ScheduleTime::Instant(instant(self.met_at)),
            &self.tenant.zone,
            LeadTime::NONE,
            duration,
            Expiry::Duration,
        );
        let window = match window {
            Ok(window) => window,
            Err(fault) => {
                return self.put(code.fold(), Disposition::Held(fault.hold_reason()));
            }
        };
        let spec = WindowSpec {
            starts_at: window.starts_at.as_millisecond(),
            ends_at: window.ends_at.map(|end| end.as_millisecond()),
            action: 0,
            channel: self.kept.channel_id.unwrap_or_default(),
            // It starts at once, and what has started stays where it is.
            walls: Walls::default(),
        };
        let window = self.tx.window_for(no, self.campaign, &spec)?;
        let offer = self
            .tx
            .offer_for(no, self.campaign, code.fold(), code.as_str(), None)?;
        if offer.hold_reason.is_some() {
            self.tx.let_offer_grant(no, offer.no)?;
        }
        match self.give(offer.no, window)? {
            Gave::New => {}
            Gave::Known => return self.put(code.fold(), Disposition::Repeat),
            Gave::NoFreeCode => {
                return self.withhold(code, Disposition::Held(HoldReason::NoFreeCode));
            }
        }
        self.tx.take(no, code.fold(), 1, 0)?;
        self.facts.of_campaign += 1;
        self.facts.this_minute += 1;
        if self.rules.per_minute_max.is_some() {
            let minute = self.tx.now_ms() / MINUTE_MS;
            self.tx.count_trigger_minute(no, self.campaign, minute)?;
        }
        if let Some(own) = self.own.take() {
            self.tx
                .consume_reservation(no, &own, &self.met.occurrence)?;
            self.reservations = self.tx.reservations(no, &self.met.customer)?;
        }
        self.put(code.fold(), Disposition::Grant)
    }

    fn give(&mut self, offer: u32, window: u32) -> Stored<Gave> {
        let mut ledger = self.tx.open_door(self.tenant.no())?;
        let promise = Promise {
            customer: &self.met.customer,
            offer,
            occurrence: &self.met.occurrence,
            window,
            page: 0,
        };
        let gave = ledger.give(self.tx, &promise)?;
        self.tx.close_door(ledger)?;
        Ok(gave)
    }

    fn withhold(&mut self, code: &PromoCode, disposition: Disposition) -> Stored<()> {
        let no = self.tenant.no();
        match disposition {
            // A change of the promotion looks for offers that hold.
            Disposition::Held(
                reason @ (HoldReason::UnknownCode
                | HoldReason::InactivePromotion
                | HoldReason::PromotionStopped
                | HoldReason::NoDuration
                | HoldReason::NoFreeCode),
            ) => {
                let hold = Some(reason.as_str());
                let offer =
                    self.tx
                        .offer_for(no, self.campaign, code.fold(), code.as_str(), hold)?;
                self.tx.hold_offer(no, offer.no, reason.as_str())?;
            }
            Disposition::Held(HoldReason::CapReached) => {
                let max = self.rules.per_minute_max;
                self.is_minute_full |= max.is_some_and(|max| self.facts.this_minute >= max);
            }
            Disposition::Refused(RefuseReason::NoReservation) => {
                let object = Object::Campaign(self.met.campaign.as_str()).to_string();
                let detail = "a trigger came without an earlier yes of the gateway";
                self.tx
                    .find(no, "trigger_without_reservation", &object, detail)?;
            }
            _ => {}
        }
        self.put(code.fold(), disposition)
    }

    /// Writes what became of a code, and moves the counters from what it was before.
    fn put(&mut self, fold: &str, disposition: Disposition) -> Stored<()> {
        let outcome = disposition.counter();
        let before = self.outcomes.insert(fold.to_owned(), outcome.clone());
        if before.as_ref() == Some(&outcome) {
            return Ok(());
        }
        if let Some(before) = before {
            self.count(&before, -1);
        }
        self.count(&outcome, 1);
        let is_held = matches!(disposition, Disposition::Held(_));
        self.tx.put_trigger_pair(
            self.tenant.no(),
            &TriggerPair {
                campaign: self.campaign,
                occurrence: &self.met.occurrence,
                code_fold: fold,
                outcome: &outcome,
                waits_with: is_held.then_some(self.notification.id.as_str()),
            },
        )
    }

    fn count(&mut self, counter: &str, n: i64) {
        *self.counts.entry(counter.to_owned()).or_default() += n;
    }

    pub(super) fn finish(self) -> Stored<Taking> {
        let counts: Vec<(String, i64)> = self.counts.into_iter().collect();
        self.tx
            .add_counts(self.tenant.no(), self.campaign, &counts)?;
        let all_held = self
            .outcomes
            .values()
            .map(|outcome| outcome.strip_prefix("held:"))
            .collect::<Option<Vec<_>>>();
        let reason = all_held.and_then(|reasons| HoldReason::parse(reasons.first()?).ok());
        Ok(Taking {
            settled: reason.map_or(Settled::Done, |reason| Settled::Held(reason.as_str())),
            is_minute_full: self.is_minute_full,
        })
    }
}

/// Whether a reservation is for a trigger's campaign, which may be named by its series.
fn is_for(reservation: &Reservation, campaign: &str) -> bool {
    reservation.campaign == campaign || reservation.series.as_deref() == Some(campaign)
}
