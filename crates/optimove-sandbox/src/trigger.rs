//! Triggered campaigns: a customer met a trigger, and event 11 tells it, with all there is to know.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use crate::campaign::{Action, Asking, CONTROL_ACTION_ID, Campaign, Kind};
use crate::emit::TRIGGER;
use crate::entry::{Entry, State};
use crate::event::Message;
use crate::event11::{self, Occasion};
use crate::oracle::distinct;
use crate::outbox::Place;
use crate::plan::DAYS_MAX;
use crate::random::{key, text_key};
use crate::shared::Shared;
use crate::spec::{NamedChannel, TriggerSpec};
use crate::switch::Event11PromoCode;
use crate::window::{end, first_shown};
use crate::world::{Gateways, Trouble};

/// Most triggers that one campaign remembers for the oracle.
const TRIGGERS_MAX: usize = 4_000_000;

/// The channels of a tenant, for their names.
type ChannelNames = Vec<NamedChannel>;

/// What a trigger led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TriggerOutcome {
    /// The action that the customer has in the campaign; 1 is the control group.
    pub action: u64,
    /// Whether the gateway was asked.
    pub asked: bool,
    /// What the gateway's answer came to, the switches for silence and errors included.
    pub allowed: Option<bool>,
    /// The HTTP status of the gateway's answer, if one came.
    pub answer_status: Option<u16>,
    /// Why the gateway's answer did not count.
    pub problem: Option<&'static str>,
    /// Real time from the question to the answer, in milliseconds.
    pub waited_ms: u64,
    /// Whether event 11 went out to anybody.
    pub sent: bool,
    /// The notifications of event 11, those included that a switch dropped.
    pub notification_ids: Vec<u64>,
}

/// One promo code that one trigger gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerExpectation {
    /// The customer's id, as sent.
    pub customer_id: String,
    /// The promo code in its first spelling.
    pub promo_code: String,
    /// First instant at which the promotion can be used.
    pub starts_at: Timestamp,
    /// First instant at which it can no longer be used; none where the notes give no duration.
    pub ends_at: Option<Timestamp>,
    /// The time stamp of the trigger, as sent.
    pub occurrence_time: String,
}

/// What was sent for one campaign.
#[derive(Debug, Default)]
pub(crate) struct Triggers(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    sent: Vec<Sent>,
    /// Digests of customers with the local times that they were sent something at.
    stamps: HashSet<u64>,
    allowed: u64,
    denied: u64,
}

/// A trigger that went out.
#[derive(Debug)]
struct Sent {
    customer: Box<str>,
    stamp: DateTime,
    action: u64,
    codes: CodesSent,
    dropped: Option<Arc<AtomicBool>>,
}

/// Whether the codes were in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CodesSent {
    Yes,
    No,
}

/// How many triggers went which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TriggerTally {
    pub(crate) sent: u64,
    pub(crate) allowed: u64,
    pub(crate) denied: u64,
}

impl TriggerExpectation {
    /// Appends the expectation as one line of JSON.
    pub(crate) fn write_line(&self, out: &mut Vec<u8>) {
        let ends_at = self.ends_at.map(|at| at.to_string());
        let line = json!({
            "customer_id": self.customer_id,
            "promo_code": self.promo_code,
            "starts_at": self.starts_at.to_string(),
            "ends_at": ends_at,
            "occurrence_time": self.occurrence_time,
        });
        out.extend_from_slice(line.to_string().as_bytes());
        out.push(b'\n');
    }
}

impl Triggers {
    pub(crate) fn tally(&self) -> TriggerTally {
        let log = self.log();
        TriggerTally {
            sent: log.sent.iter().filter(|sent| sent.went_out()).count() as u64,
            allowed: log.allowed,
            denied: log.denied,
        }
    }

    /// One line for each trigger and code that was sent.
    pub(crate) fn expected(
        &self,
        campaign: &Campaign,
    ) -> Result<Vec<TriggerExpectation>, jiff::Error> {
        let days = duration_in(&campaign.notes);
        let log = self.log();
        let mut expected = Vec::new();
        for sent in log.sent.iter().filter(|sent| sent.went_out()) {
            let starts_at = first_shown(sent.stamp, &campaign.zone)?;
            let ends_at = days.map(|days| end(sent.stamp, starts_at, days, &campaign.zone));
            let ends_at = ends_at.transpose()?;
            let action = campaign
                .actions
                .iter()
                .find(|action| action.id == sent.action);
            let codes = action.map_or(&[][..], |action| &action.codes);
            let codes = match sent.codes {
                CodesSent::Yes => distinct(codes),
                CodesSent::No => Vec::new(),
            };
            expected.extend(codes.into_iter().map(|promo_code| TriggerExpectation {
                customer_id: sent.customer.to_string(),
                promo_code,
                starts_at,
                ends_at,
                occurrence_time: event11::stamp_text(sent.stamp),
            }));
        }
        Ok(expected)
    }

    /// Counts an answer of the gateway.
    fn count(&self, allowed: bool) {
        let mut log = self.log();
        if allowed {
            log.allowed += 1;
        } else {
            log.denied += 1;
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// A local time that the customer was not sent anything at: the current second or, from the
    /// second trigger in it on, a free millisecond.
    fn new_stamp(&mut self, customer: &str, now: DateTime) -> DateTime {
        let second = now.with().subsec_nanosecond(0).build().unwrap_or(now);
        if self.stamps.insert(digest(customer, second)) {
            return second;
        }
        let millis = i32::from(now.millisecond()) * 1_000_000;
        let mut stamp = now.with().subsec_nanosecond(millis).build().unwrap_or(now);
        while !self.stamps.insert(digest(customer, stamp)) {
            match stamp.checked_add(1.millisecond()) {
                Ok(next) => stamp = next,
                Err(_) => return stamp,
            }
        }
        stamp
    }
}

impl Sent {
    fn went_out(&self) -> bool {
        let dropped = self.dropped.as_ref();
        dropped.is_none_or(|dropped| !dropped.load(Ordering::Relaxed))
    }
}

impl Shared {
    /// Lets a customer meet the trigger of a campaign: asks the gateway where that is due, then
    /// sends event 11.
    pub(crate) async fn trigger(
        self: &Arc<Self>,
        spec: &TriggerSpec,
    ) -> Result<TriggerOutcome, Trouble> {
        if spec.customer_id.is_empty() {
            return Err(Trouble::Wrong(
                "a trigger needs a customer_id that is not empty".into(),
            ));
        }
        if let Some(name) = spec
            .attributes
            .keys()
            .find(|name| event11::is_own_name(name))
        {
            return Err(Trouble::Wrong(format!(
                "event 11 has a field of its own called {name}"
            )));
        }
        let (entry, gateways, channel) = self.triggered(spec)?;
        let campaign = &entry.campaign;
        let Some(action) = chosen_action(campaign, spec)? else {
            return Ok(TriggerOutcome {
                action: CONTROL_ACTION_ID,
                ..TriggerOutcome::default()
            });
        };
        let mut outcome = TriggerOutcome {
            action: action.id,
            ..TriggerOutcome::default()
        };
        if campaign.kind == Kind::Triggered(Asking::First) {
            let question = Occasion::new(campaign, action, spec);
            if let Some(reply) = self.ask(&question, &gateways, &channel).await {
                entry.triggers.count(reply.allowed);
                outcome.asked = true;
                outcome.allowed = Some(reply.allowed);
                outcome.answer_status = reply.status;
                outcome.problem = reply.problem;
                outcome.waited_ms = reply.waited.as_millis() as u64;
                if !reply.allowed {
                    return Ok(outcome);
                }
            }
        }
        let place = self.outbox.place().await;
        self.send_trigger(&entry, (action, spec), place, &mut outcome)?;
        Ok(outcome)
    }

    /// The campaign of a trigger, who decides on it, and the names of the tenant's channels.
    fn triggered(&self, spec: &TriggerSpec) -> Result<(Entry, Gateways, ChannelNames), Trouble> {
        let id = &spec.campaign_id;
        let mut world = self.world();
        let entry = world.campaign(id, spec.tenant.as_deref())?.clone();
        match (entry.state, entry.campaign.kind) {
            (State::Running, _) => {}
            (_, Kind::Triggered(_)) => {
                return Err(Trouble::Conflict(format!("campaign {id} is cancelled")));
            }
            _ => return Err(Trouble::Wrong(format!("campaign {id} is not triggered"))),
        }
        let tenant = world.tenants.get(&entry.campaign.tenant);
        let gateways = tenant
            .map(|tenant| tenant.gateways.clone())
            .unwrap_or_default();
        let channels = tenant
            .map(|tenant| tenant.channels.clone())
            .unwrap_or_default();
        Ok((entry, gateways, channels))
    }

    fn send_trigger(
        self: &Arc<Self>,
        entry: &Entry,
        (action, spec): (&Action, &TriggerSpec),
        place: Option<Place>,
        outcome: &mut TriggerOutcome,
    ) -> Result<(), Trouble> {
        let campaign = &entry.campaign;
        let switches = self.switches();
        // Under the lock, so that nothing is sent once a campaign is cancelled.
        let mut world = self.world();
        let state = world.campaign(&campaign.id, Some(&campaign.tenant))?.state;
        let Some(tenant) = world
            .tenants
            .get(&campaign.tenant)
            .filter(|_| state == State::Running)
        else {
            let message = format!("campaign {} was cancelled meanwhile", campaign.id);
            return Err(Trouble::Conflict(message));
        };
        let mut log = entry.triggers.log();
        if log.sent.len() >= TRIGGERS_MAX {
            return Err(Trouble::Conflict(format!(
                "campaign {} was triggered {TRIGGERS_MAX} times already",
                campaign.id
            )));
        }
        let now = campaign.zone.to_datetime(self.clock.now());
        let stamp = log.new_stamp(&spec.customer_id, now);
        let message = Message {
            kind: TRIGGER,
            channel: action.placements.first().map(|placement| placement.channel),
            body: Occasion::new(campaign, action, spec).body(stamp, &switches),
        };
        let announced = self.announce_one(&campaign.tenant, tenant, (&message, place), &switches);
        if announced.ids.is_empty() {
            return Ok(());
        }
        outcome.sent = announced.dropped.is_none();
        outcome.notification_ids = announced.ids;
        log.sent.push(Sent {
            customer: spec.customer_id.as_str().into(),
            stamp,
            action: action.id,
            codes: match switches.event11_promo_code {
                Event11PromoCode::NullValue | Event11PromoCode::Absent => CodesSent::No,
                _ => CodesSent::Yes,
            },
            dropped: announced.dropped,
        });
        Ok(())
    }
}

/// The action named by hand, or the one drawn; none for the control group.
fn chosen_action<'a>(
    campaign: &'a Campaign,
    spec: &TriggerSpec,
) -> Result<Option<&'a Action>, Trouble> {
    let action = match spec.action {
        None => campaign.drawn_action(&spec.customer_id),
        Some(CONTROL_ACTION_ID) => None,
        Some(id) => {
            let found = campaign.actions.iter().find(|action| action.id == id);
            let none = || Trouble::Wrong(format!("campaign {} has no action {id}", campaign.id));
            Some(found.ok_or_else(none)?)
        }
    };
    Ok(action)
}

/// A number that stands for a customer at a local time.
fn digest(customer: &str, stamp: DateTime) -> u64 {
    let day = i64::from(stamp.year()) * 400 + i64::from(stamp.day_of_year());
    let seconds = i64::from(stamp.hour()) * 3_600
        + i64::from(stamp.minute()) * 60
        + i64::from(stamp.second());
    let millis = seconds * 1_000 + i64::from(stamp.millisecond());
    key(&[text_key(customer), day as u64, millis as u64])
}

/// The days in notes such as `{"duration":7}`; none where notes say nothing of the kind.
fn duration_in(notes: &str) -> Option<i32> {
    let Ok(Value::Object(notes)) = serde_json::from_str(notes) else {
        return None;
    };
    let mut fields = notes.iter();
    let (_, value) = fields.find(|(name, _)| name.eq_ignore_ascii_case("duration"))?;
    let days = match value {
        Value::String(digits) => digits.trim().parse().ok(),
        value => value.as_i64(),
    };
    let days = days.and_then(|days| i32::try_from(days).ok());
    days.filter(|days| (0..=DAYS_MAX).contains(days))
}
