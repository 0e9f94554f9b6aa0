//! What all connections and tasks of one sandbox share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use http::StatusCode;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Moment;
use crate::answer::Refusal;
use crate::campaign::Campaign;
use crate::clock::Clock;
use crate::emit::{Event, Outbox};
use crate::oracle::Expected;
use crate::spec::Spec;
use crate::switch::{Switches, TimeFormat};
use crate::world::{Entry, State, Tenant, Trouble, World};
use crate::{Config, Error};

/// The sandbox behind its handle.
pub(crate) struct Shared {
    pub(crate) seed: u64,
    pub(crate) clock: Clock,
    pub(crate) control_token: Option<String>,
    pub(crate) outbox: Outbox,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    world: Mutex<World>,
    switches: RwLock<Arc<Switches>>,
    draws: AtomicU64,
}

impl Shared {
    pub(crate) fn new(config: Config) -> Result<Self, Error> {
        let stop = CancellationToken::new();
        Ok(Self {
            seed: config.seed,
            clock: Clock::new(config.clock),
            control_token: config.control_token,
            outbox: Outbox::new(&stop)?,
            stop,
            tasks: TaskTracker::new(),
            world: Mutex::new(World::new()),
            switches: RwLock::default(),
            draws: AtomicU64::new(0),
        })
    }

    /// The world, for as long as it takes to look or to change one thing; never across a wait.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The switches as they stand.
    pub(crate) fn switches(&self) -> Arc<Switches> {
        self.switches
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Both clocks.
    pub(crate) fn moment(&self) -> Moment {
        Moment {
            now: self.clock.now(),
            elapsed: self.clock.elapsed(),
        }
    }

    /// The number of the next thing drawn at random.
    pub(crate) fn next_draw(&self) -> u64 {
        self.draws.fetch_add(1, Ordering::Relaxed)
    }

    /// Works on a tenant that was there when the call came in.
    pub(crate) fn with_tenant<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Tenant) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut world = self.world();
        // A reset may have come between.
        let gone = || Refusal::plain(StatusCode::UNAUTHORIZED);
        work(world.tenants.get_mut(name).ok_or_else(gone)?)
    }

    /// Changes some switches, or none at all if anything is wrong with the change.
    pub(crate) fn change_switches(&self, change: &Value) -> Result<(), Trouble> {
        let mut switches = self
            .switches
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let changed = switches.changed(change).map_err(Trouble::Wrong)?;
        if changed.page_churn != switches.page_churn {
            self.world().lists_read.clear();
        }
        *switches = Arc::new(changed);
        Ok(())
    }

    /// Plans a campaign.
    pub(crate) fn add_campaign(&self, spec: Spec) -> Result<Entry, Trouble> {
        self.world().add_campaign(spec, self.seed, self.clock.now())
    }

    /// Finds a campaign.
    pub(crate) fn entry(&self, id: u64, tenant: Option<&str>) -> Result<Entry, Trouble> {
        let mut world = self.world();
        let (_, tenant) = world.campaign(id, tenant)?;
        Ok(tenant.campaigns[&id].clone())
    }

    /// Executes a campaign; gives the ids of the notifications.
    pub(crate) fn process(
        self: &Arc<Self>,
        id: u64,
        tenant: Option<&str>,
    ) -> Result<Vec<u64>, Trouble> {
        let now = self.clock.now();
        let campaign = self.change_state(id, tenant, |entry| match entry.state {
            State::Draft => {
                let today = entry.campaign.zone.to_datetime(now).date();
                Ok(State::Executed(today))
            }
            state => Err(format!("campaign {id} is {} already", state.name())),
        })?;
        let failing = &self.switches().failing_channels.0;
        let channels = campaign.channels().into_iter();
        let complete = channels.filter(|channel| !failing.contains(channel));
        let executed = complete.map(|channel| Event::of_channel(13, id, channel));
        let events = std::iter::once(Event::of_campaign(1, id)).chain(executed);
        Ok(self.announce(&campaign.tenant, events))
    }

    /// Cancels a campaign; gives the ids of the notifications.
    pub(crate) fn cancel(
        self: &Arc<Self>,
        id: u64,
        tenant: Option<&str>,
    ) -> Result<Vec<u64>, Trouble> {
        let mut was_processed = false;
        let campaign = self.change_state(id, tenant, |entry| match entry.state {
            State::Draft => Ok(State::Cancelled(None)),
            State::Executed(date) => {
                was_processed = true;
                Ok(State::Cancelled(Some(date)))
            }
            State::Cancelled(_) => Err(format!("campaign {id} is cancelled already")),
        })?;
        let event = was_processed.then(|| Event::of_campaign(4, id));
        Ok(self.announce(&campaign.tenant, event))
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
        let announce = |name: &String| self.announce(name, [Event::of_day(2), Event::of_day(3)]);
        Ok(chosen.iter().flat_map(announce).collect())
    }

    /// The oracle's answer for a campaign as it stands.
    pub(crate) fn expected(&self, id: u64, tenant: Option<&str>) -> Result<Expected, Trouble> {
        let entry = self.entry(id, tenant)?;
        if entry.executed_on().is_none() {
            return Ok(Expected::nobody(entry.campaign));
        }
        let format: TimeFormat = self.switches().time_format;
        Expected::everyone(entry.campaign, format)
            .map_err(|_| Trouble::Conflict(format!("campaign {id} lies beyond the calendar")))
    }

    /// Makes a new world; what is under way for the old one ends.
    pub(crate) fn reset(&self) {
        *self.world() = World::new();
        *self
            .switches
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::default();
        self.outbox.reset(&self.stop);
        self.clock.reset();
    }

    fn change_state(
        &self,
        id: u64,
        tenant: Option<&str>,
        next: impl FnOnce(&Entry) -> Result<State, String>,
    ) -> Result<Arc<Campaign>, Trouble> {
        let mut world = self.world();
        let (_, tenant) = world.campaign(id, tenant)?;
        let entry = tenant.campaigns.get_mut(&id);
        let entry = entry.ok_or_else(|| Trouble::NotFound(format!("there is no campaign {id}")))?;
        entry.state = next(entry).map_err(Trouble::Conflict)?;
        Ok(entry.campaign.clone())
    }
}
