//! The life of a campaign: planned, processed, held, executed, cancelled.

use std::sync::{Arc, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::approval::Tally;
use crate::campaign::Kind;
use crate::entry::{Before, Entry, State, executed_channels};
use crate::event::Event;
use crate::hold::{Due, Hold};
use crate::id::CampaignId;
use crate::oracle::Expected;
use crate::shared::Shared;
use crate::spec::{ProcessSpec, Spec};
use crate::statuses::Statuses;
use crate::switch::Switches;
use crate::trigger::TriggerExpectation;
use crate::world::Trouble;

/// The clock can be set from 1970 up to this second, the end of the year 9000.
const CLOCK_SECOND_MAX: i64 = 221_845_391_999;
/// Longest time to a deadline, in seconds: a century.
const CLEARANCE_SECONDS_MAX: u32 = 100 * 366 * 86_400;

/// What the oracle says of a campaign.
pub(crate) enum Expectations {
    /// Of a scheduled or conditional one.
    Executed(Expected),
    /// Of a triggered one.
    Triggered(Vec<TriggerExpectation>),
}

impl Shared {
    /// Plans a campaign.
    pub(crate) fn add_campaign(&self, spec: Spec) -> Result<Entry, Trouble> {
        self.world().add_campaign(spec, self.seed, self.clock.now())
    }

    /// Finds a campaign.
    pub(crate) fn entry(&self, id: &CampaignId, tenant: Option<&str>) -> Result<Entry, Trouble> {
        self.world().campaign(id, tenant).cloned()
    }

    /// Processes a campaign: executes it, or holds it; gives the ids of the notifications.
    pub(crate) fn process(
        self: &Arc<Self>,
        id: &CampaignId,
        tenant: Option<&str>,
        options: &ProcessSpec,
    ) -> Result<Vec<u64>, Trouble> {
        let (switches, now) = (self.switches(), self.clock.now());
        let mut world = self.world();
        let entry = world.campaign(id, tenant)?;
        match (entry.state, entry.campaign.kind) {
            (_, Kind::Triggered(_)) => Err(Trouble::Conflict(format!(
                "campaign {id} is triggered: it runs from its creation on and is not processed"
            ))),
            (State::Draft, Kind::Conditional) => {
                let hold = hold(entry, now, options, &switches)?;
                let agenda: Vec<Due> = hold.agenda(&entry.campaign).collect();
                entry.hold = Some(hold);
                entry.state = State::Held;
                world.agenda.extend(agenda.iter().cloned());
                drop(world);
                for due in agenda {
                    let work = self.clone().settle_at(due.at);
                    self.spawn(self.outbox.generation(), work);
                }
                Ok(self.settle())
            }
            (State::Draft, Kind::Scheduled) if options.clearance_in_seconds.is_some() => {
                let message = "clearance_in_seconds is for conditional campaigns";
                Err(Trouble::Wrong(message.into()))
            }
            (State::Draft, Kind::Scheduled) => {
                let campaign = entry.campaign.clone();
                entry.state = State::Executed(campaign.zone.to_datetime(now).date());
                drop(world);
                let events = std::iter::once(Event::of_campaign(1, id));
                let events =
                    events.chain(executed_channels(&campaign, &switches.failing_channels.0));
                Ok(self.announce(&campaign.tenant, now, events))
            }
            (state, _) => Err(Trouble::Conflict(format!(
                "campaign {id} is {} already",
                state.name()
            ))),
        }
    }

    /// Cancels a campaign; gives the ids of the notifications.
    pub(crate) fn cancel(
        self: &Arc<Self>,
        id: &CampaignId,
        tenant: Option<&str>,
    ) -> Result<Vec<u64>, Trouble> {
        let now = self.clock.now();
        let mut world = self.world();
        let entry = world.campaign(id, tenant)?;
        let before = match entry.state {
            State::Draft => Before::Draft,
            State::Held | State::Executed(_) | State::Running => Before::Processed,
            State::Cancelled(..) => {
                let message = format!("campaign {id} is cancelled already");
                return Err(Trouble::Conflict(message));
            }
        };
        entry.state = State::Cancelled(now, before);
        let campaign = entry.campaign.clone();
        drop(world);
        let event = (before == Before::Processed).then(|| Event::of_campaign(4, &campaign.id));
        Ok(self.announce(&campaign.tenant, now, event))
    }

    /// Ends the day of one tenant or of all: events 2 and 3.
    pub(crate) fn close_day(self: &Arc<Self>, tenant: Option<&str>) -> Result<Vec<u64>, Trouble> {
        let names: Vec<String> = self.world().tenants.keys().cloned().collect();
        let chosen: Vec<String> = names
            .into_iter()
            .filter(|name| tenant.is_none_or(|wanted| wanted == name))
            .collect();
        if let (Some(wanted), true) = (tenant, chosen.is_empty()) {
            return Err(Trouble::NotFound(format!("there is no tenant {wanted}")));
        }
        let now = self.clock.now();
        let announce =
            |name: &String| self.announce(name, now, [Event::of_day(2), Event::of_day(3)]);
        Ok(chosen.iter().flat_map(announce).collect())
    }

    /// Sets the clock, and works off what is due by then.
    pub(crate) fn move_clock(self: &Arc<Self>, now: Timestamp) -> Result<(), Trouble> {
        if !self.clock.may_be_set() {
            let message =
                "the clock can be set only where the sandbox is started with a test clock";
            return Err(Trouble::NotFound(message.into()));
        }
        if !(0..=CLOCK_SECOND_MAX).contains(&now.as_second()) {
            return Err(Trouble::Wrong("the clock goes from 1970 to 9000".into()));
        }
        self.clock.set(now);
        self.settle();
        Ok(())
    }

    /// Works off what is due by now; gives the ids of the notifications.
    pub(crate) fn settle(self: &Arc<Self>) -> Vec<u64> {
        let _one_at_a_time = self.settling.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let mut ids = Vec::new();
        loop {
            // Before the world: a change of switches locks the two in this order.
            let switches = self.switches();
            let mut world = self.world();
            if world.agenda.first().is_none_or(|due| due.at > now) {
                return ids;
            }
            let Some(due) = world.agenda.pop_first() else {
                return ids;
            };
            let failing = &switches.failing_channels.0;
            let events = match world.campaign(&due.campaign, Some(&due.tenant)) {
                Ok(entry) => entry.happen(&due, failing),
                // A reset took it away.
                Err(_) => Vec::new(),
            };
            drop(world);
            ids.extend(self.announce(&due.tenant, due.at, events));
        }
    }

    async fn settle_at(self: Arc<Self>, at: Timestamp) {
        self.clock.wait_until(at).await;
        self.settle();
    }

    /// The oracle's answer for a campaign as it stands.
    pub(crate) fn expected(
        &self,
        id: &CampaignId,
        tenant: Option<&str>,
    ) -> Result<Expectations, Trouble> {
        let entry = self.entry(id, tenant)?;
        let beyond = |_| Trouble::Conflict(format!("campaign {id} lies beyond the calendar"));
        if let Kind::Triggered(_) = entry.campaign.kind {
            let expected = match entry.state {
                State::Running => entry.triggers.expected(&entry.campaign).map_err(beyond)?,
                _ => Vec::new(),
            };
            return Ok(Expectations::Triggered(expected));
        }
        let format = self.switches().time_format;
        let expected = Expected::of(entry.campaign.clone(), entry.sent(), format);
        expected.map(Expectations::Executed).map_err(beyond)
    }

    /// What was reported on each customer of a conditional campaign.
    pub(crate) fn statuses(
        &self,
        id: &CampaignId,
        tenant: Option<&str>,
    ) -> Result<Statuses, Trouble> {
        let entry = self.entry(id, tenant)?;
        let none = || Trouble::Conflict(format!("campaign {id} was never held for approval"));
        let hold = entry.hold.ok_or_else(none)?;
        Ok(Statuses::new(entry.campaign, hold))
    }
}

impl Entry {
    /// Customers approved and denied: by reports, or triggers by the gateway.
    pub(crate) fn decided(&self) -> (u64, u64) {
        if let Kind::Triggered(_) = self.campaign.kind {
            let tally = self.triggers.tally();
            return (tally.allowed, tally.denied);
        }
        let tally = self.tally();
        (tally.approved.iter().sum(), tally.denied)
    }

    /// What was reported on the campaign so far.
    pub(crate) fn tally(&self) -> Tally {
        let board = self.hold.as_ref().map(|hold| &hold.board);
        board.map(|board| board.tally()).unwrap_or_default()
    }
}

fn hold(
    entry: &Entry,
    now: Timestamp,
    options: &ProcessSpec,
    switches: &Switches,
) -> Result<Hold, Trouble> {
    let clearance = options.clearance_in_seconds;
    if clearance.is_some_and(|seconds| seconds > CLEARANCE_SECONDS_MAX) {
        return Err(Trouble::Wrong(format!(
            "clearance_in_seconds is at most {CLEARANCE_SECONDS_MAX}"
        )));
    }
    let clearance = clearance.map(|seconds| SignedDuration::from_secs(i64::from(seconds)));
    Ok(Hold::new(&entry.campaign, now, clearance, switches))
}
