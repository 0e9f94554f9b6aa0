//! The service as something that can die: opened on a database, and opened again on the same one.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bestow::app::App;
use bestow::cli::call::Caller;
use bestow::clock::Clock;
use bestow::http::Server;
use bestow::random::Random;
use bestow_store::{Fault, Lock, Migrate};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::model::World;
use crate::home::Home;
use crate::support::{TOKEN, config};

/// A running service.
pub(crate) struct Process {
    pub(crate) app: Arc<App>,
    /// Its API, as admin.
    pub(crate) api: Caller,
    pub(crate) commits: Arc<Commits>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    _lock: Lock,
}

impl Process {
    /// Opens the database as `serve` does: whoever held a job before is gone.
    pub(crate) async fn start(home: &Home, world: &World, clock: &Clock, random: u64) -> Self {
        let mut config = config(home);
        config.optimove.page_rows = world.page_rows;
        config.optimove.call_ms_max = 1_000;
        config.optimove.calls_window_ms = 500;
        // Real time is no part of a history.
        config.http.gateway_ms_max = 60_000;
        config.delivery.allow_networks = "127.0.0.1".into();
        config.work.merge_grants_max = world.merge_grants_max;
        config.work.sweep_seconds = 3_600;
        config.work.sweep_days = 4;
        let random = Random::seeded(random);
        let app =
            App::open(config, clock.clone(), random, Migrate::Apply).expect("the service opens");
        let lock = app.store.lock().expect("the one before has ended");
        app.tx("release_all_leases", |tx| tx.release_all_leases())
            .await
            .expect("it is ours");
        let listen = "127.0.0.1:0".parse().expect("an address");
        let server = Server::bind(Arc::clone(&app), listen)
            .await
            .expect("it listens");
        let (address, stop) = (server.address(), CancellationToken::new());
        let serving = tokio::spawn(server.run(stop.clone()));
        let commits = Arc::new(Commits::default());
        let asked = Arc::clone(&commits);
        app.store.fail_commits(move |name| asked.ask(name));
        Self {
            app,
            api: Caller::new(address, Some(TOKEN)),
            commits,
            stop,
            serving,
            _lock: lock,
        }
    }

    /// Ends it. What it has not committed by now never will be.
    pub(crate) async fn end(self) {
        self.commits.die();
        self.stop.cancel();
        self.serving.await.expect("the server ends");
    }
}

/// Something to be done at a commit, on the store's own thread.
type Deed = Box<dyn FnOnce() + Send>;

/// Decides about every commit of one process.
#[derive(Default)]
pub(crate) struct Commits(Mutex<Plan>);

#[derive(Default)]
struct Plan {
    is_dead: bool,
    /// Commits until the process dies, and how the last of them ends.
    death: Option<(u32, Fault)>,
    /// By name: which commits from now fail, and how.
    named: Vec<(&'static str, Range<u32>, Fault)>,
    deed: Option<(u32, Deed)>,
}

impl Commits {
    /// From the `commit`th commit on nothing is durable any more; that one ends as `fault` says.
    pub(crate) fn die_at(&self, commit: u32, fault: Fault) {
        self.plan().death = Some((commit, fault));
    }

    /// Of the commits called `name` those at these places from now on fail.
    pub(crate) fn fail(&self, name: &'static str, places: Range<u32>, fault: Fault) {
        self.plan().named.push((name, places, fault));
    }

    /// Does something just before the `commit`th commit.
    pub(crate) fn at(&self, commit: u32, deed: impl FnOnce() + Send + 'static) {
        self.plan().deed = Some((commit, Box::new(deed)));
    }

    /// Nothing fails from now on, unless the process is dead.
    pub(crate) fn heal(&self) {
        let mut plan = self.plan();
        let is_dead = plan.is_dead;
        *plan = Plan {
            is_dead,
            ..Plan::default()
        };
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.plan().is_dead
    }

    /// Nothing is durable from now on.
    pub(crate) fn die(&self) {
        self.plan().is_dead = true;
    }

    fn ask(&self, name: &'static str) -> Option<Fault> {
        let mut plan = self.plan();
        if let Some((left, deed)) = plan.deed.take() {
            if left <= 1 {
                deed();
            } else {
                plan.deed = Some((left - 1, deed));
            }
        }
        if plan.is_dead {
            return Some(Fault::BeforeCommit);
        }
        if let Some((left, fault)) = &mut plan.death {
            *left -= 1;
            if *left == 0 {
                let fault = *fault;
                plan.is_dead = true;
                return Some(fault);
            }
        }
        let place = plan.named.iter().position(|(of, _, _)| *of == name)?;
        let (_, places, fault) = &mut plan.named[place];
        let (is_hit, fault) = (places.contains(&0), *fault);
        *places = places.start.saturating_sub(1)..places.end.saturating_sub(1);
        if places.start >= places.end {
            plan.named.remove(place);
        }
        is_hit.then_some(fault)
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
