//! One budget of calls for everything that uses one credential.
//!
//! Optimove counts the requests of a key over a sliding window and refuses what is too much. A call
//! here occupies its place from before it is sent until one window after it has ended. The server
//! saw it somewhere in between, so at any moment it counts no more calls than there are places,
//! however long the network takes.

use std::collections::{BTreeSet, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::error::Error;
use crate::peers::{Peers, Place};

/// What a call is for. Earlier ones are served first whenever a place is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Approvals with a deadline.
    Clearance,
    /// Taking back what a cancelled campaign gave.
    Cancel,
    /// Reading a campaign and its customers.
    Import,
    /// Keeping the catalogue and the listeners equal.
    Catalogue,
    /// Looking for what no notification told.
    Sweep,
}

/// Size of a [`CallBudget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetConfig {
    /// Calls in any window; Optimove's own limit is 50.
    pub calls_max: u32,
    /// Length of the window.
    pub window: Duration,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            calls_max: 40,
            window: Duration::from_secs(10),
        }
    }
}

/// After a 429 without a hint nothing is sent for this part of a window.
const PAUSE_PARTS: u32 = 5;
/// After a 429 the budget grows back by this part of its full size in each window.
const REGROWTH_PARTS: u32 = 8;

/// A shared budget of calls; share it by [`Arc`] among all clients of one credential.
#[derive(Debug)]
pub struct CallBudget {
    config: BudgetConfig,
    peers: Option<Arc<dyn Peers>>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    in_flight: usize,
    /// Somebody asks the other processes for a place: whoever is most urgent, once they have it.
    is_asking: bool,
    /// When the places of ended calls become free, in order.
    leaving: VecDeque<Instant>,
    waiting: BTreeSet<(Priority, u64)>,
    arrivals: u64,
    /// Places there are now: fewer than configured for a while after a 429.
    places: u32,
    /// When `places` last changed, while it is below its full size.
    changed_at: Option<Instant>,
    closed_until: Option<Instant>,
}

/// What a waiting call learns when it looks.
enum Look {
    Start,
    /// No earlier than this, unless something changes.
    At(Instant),
    /// Not before something changes.
    Later,
}

impl CallBudget {
    /// An unused budget. A size of 0 counts as 1.
    pub fn new(config: BudgetConfig) -> Self {
        Self::with(config, None)
    }

    /// A budget that other processes share: each call waits for a place here and then among them.
    pub fn shared(config: BudgetConfig, peers: Arc<dyn Peers>) -> Self {
        Self::with(config, Some(peers))
    }

    fn with(config: BudgetConfig, peers: Option<Arc<dyn Peers>>) -> Self {
        let config = BudgetConfig {
            calls_max: config.calls_max.max(1),
            ..config
        };
        let state = State {
            in_flight: 0,
            is_asking: false,
            leaving: VecDeque::new(),
            waiting: BTreeSet::new(),
            arrivals: 0,
            places: config.calls_max,
            changed_at: None,
            closed_until: None,
        };
        Self {
            config,
            peers,
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }

    /// Waits for a place. Of those who wait, the most urgent starts first, and the one who came
    /// first among equals. Dropping the future gives up the turn.
    ///
    /// # Errors
    /// [`Error::Peers`] where other processes share it and cannot be asked.
    pub async fn acquire(self: &Arc<Self>, priority: Priority) -> Result<Permit, Error> {
        let mut permit = self.acquire_here(priority).await;
        if let Some(peers) = &self.peers {
            let asking = Asking(self);
            permit.place = Some(peers.place().await?);
            drop(asking);
        }
        Ok(permit)
    }

    async fn acquire_here(self: &Arc<Self>, priority: Priority) -> Permit {
        let ticket = self.enter(priority);
        loop {
            let mut changed = pin!(self.changed.notified());
            // Listening starts before looking, so that no change falls in between.
            changed.as_mut().enable();
            match self.look(&ticket) {
                Look::Start => {
                    return Permit {
                        budget: Arc::clone(self),
                        place: None,
                    };
                }
                // Whether time or a change ends the wait, the next look decides.
                Look::At(instant) => drop(timeout_at(instant, changed).await),
                Look::Later => changed.await,
            }
        }
    }

    /// Takes note of a 429: fewer places for a while, and a pause for the time the server asked
    /// for. Several 429s within one window count as one.
    pub fn on_rate_limited(&self, hint: Option<Duration>) {
        let now = Instant::now();
        let mut state = self.lock();
        let pause = hint.unwrap_or(self.config.window / PAUSE_PARTS);
        let until = now + pause;
        state.closed_until = Some(state.closed_until.map_or(until, |known| known.max(until)));
        let recent = state
            .changed_at
            .is_some_and(|at| now < at + self.config.window);
        if !recent {
            state.places = (state.places / 2).max(1);
            state.changed_at = Some(now);
        }
    }

    /// How many calls may be in a window now.
    pub fn calls_allowed(&self) -> u32 {
        let mut state = self.lock();
        self.regrow(&mut state, Instant::now());
        state.places
    }

    fn enter(&self, priority: Priority) -> Ticket<'_> {
        let mut state = self.lock();
        state.arrivals += 1;
        let key = (priority, state.arrivals);
        state.waiting.insert(key);
        Ticket { budget: self, key }
    }

    fn look(&self, ticket: &Ticket<'_>) -> Look {
        let now = Instant::now();
        let mut state = self.lock();
        if state.waiting.first() != Some(&ticket.key) || state.is_asking {
            return Look::Later;
        }
        if let Some(until) = state.closed_until.filter(|until| *until > now) {
            return Look::At(until);
        }
        self.regrow(&mut state, now);
        while state.leaving.front().is_some_and(|at| *at <= now) {
            state.leaving.pop_front();
        }
        let places = state.places as usize;
        let taken = state.in_flight + state.leaving.len();
        if taken < places {
            state.in_flight += 1;
            state.is_asking = self.peers.is_some();
            return Look::Start;
        }
        let regrowth = state.changed_at.map(|at| at + self.config.window);
        let leaves = state.leaving.get(taken - places).copied();
        match (leaves, regrowth) {
            (Some(one), Some(other)) => Look::At(one.min(other)),
            (Some(at), None) | (None, Some(at)) => Look::At(at),
            (None, None) => Look::Later,
        }
    }

    /// Gives back what a 429 took, a part for each window that passed since.
    fn regrow(&self, state: &mut State, now: Instant) {
        let step = (self.config.calls_max / REGROWTH_PARTS).max(1);
        while let Some(at) = state.changed_at.map(|at| at + self.config.window)
            && at <= now
        {
            state.places = (state.places + step).min(self.config.calls_max);
            let full = state.places == self.config.calls_max;
            state.changed_at = if full { None } else { Some(at) };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue; leaves it when dropped.
struct Ticket<'b> {
    budget: &'b CallBudget,
    key: (Priority, u64),
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.budget.lock().waiting.remove(&self.key);
        self.budget.changed.notify_waiters();
    }
}

/// Ends the asking of the other processes, however it goes.
struct Asking<'b>(&'b CallBudget);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.lock().is_asking = false;
        self.0.changed.notify_waiters();
    }
}

/// The right to make one call. Keep it until the answer is complete, then drop it.
#[derive(Debug)]
pub struct Permit {
    budget: Arc<CallBudget>,
    /// Among the calls of all processes; goes with this.
    place: Option<Place>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        drop(self.place.take());
        let mut state = self.budget.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        state
            .leaving
            .push_back(Instant::now() + self.budget.config.window);
        drop(state);
        self.budget.changed.notify_waiters();
    }
}
