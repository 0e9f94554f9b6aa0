//! What all connections and tasks of one sandbox share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use http::StatusCode;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Moment;
use crate::answer::Refusal;
use crate::clock::Clock;
use crate::gateway::Questions;
use crate::outbox::Outbox;
use crate::switch::Switches;
use crate::world::{Tenant, Trouble, World};
use crate::{Config, Error};

/// The sandbox behind its handle.
pub(crate) struct Shared {
    pub(crate) seed: u64,
    pub(crate) clock: Clock,
    pub(crate) control_token: Option<String>,
    pub(crate) outbox: Outbox,
    pub(crate) questions: Questions,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// Held while what fell due is worked off, so that it is told in its order.
    pub(crate) settling: Mutex<()>,
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
            questions: Questions::default(),
            stop,
            tasks: TaskTracker::new(),
            settling: Mutex::default(),
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

    /// Makes a new world; what is under way for the old one ends.
    pub(crate) fn reset(&self) {
        *self.world() = World::new();
        *self
            .switches
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::default();
        self.outbox.reset(&self.stop);
        self.questions.forget();
        self.clock.reset();
    }
}
