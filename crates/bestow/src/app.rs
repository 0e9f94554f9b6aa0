//! Everything a use case works with, built once.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bestow_store::{
    Clock as StoreClock, Connections, Error as StoreError, Migrate, Options, Store, Tx,
};
use optimove::Client;
use optimove::rate::Priority;
use tokio::sync::broadcast;

use crate::bell::{Bell, Crier, Word};
use crate::clients::Clients;
use crate::clock::Clock;
use crate::config::Config;
use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::facts::Facts;
use crate::keys::Keys;
use crate::random::Random;
use crate::service::gateway::Places;
use crate::service::notifications::Arrivals;
use crate::service::redemptions::Attempts;
use crate::tenant::Tenant;
use crate::watch::Watch;
use crate::work::{Turns, fence};

/// Events kept for a slow listener of the event stream before it misses some.
const EVENTS_KEPT_MAX: usize = 1_024;

/// Everything a use case works with. Shared by reference; cheap to hand around as `Arc<App>`.
#[derive(Debug)]
pub struct App {
    /// Settings.
    pub config: Config,
    /// Durable facts.
    pub store: Store,
    /// The time authority, which the store uses too.
    pub clock: Clock,
    /// Randomness and ids.
    pub random: Random,
    /// The deployment's key.
    pub keys: Keys,
    /// Who may come in.
    pub directory: Directory,
    /// What reads of the ledger need.
    pub facts: Facts,
    /// Optimove, one client for each tenant.
    pub clients: Clients,
    /// Progress and state changes, for whoever watches.
    pub events: broadcast::Sender<Event>,
    /// Rung when there is work; a courtesy, since workers also look by themselves.
    pub work: Bell,
    /// Rung when a notification waits. A bell of its own: whoever settles the inbox must not miss it.
    pub arrived: Arc<Bell>,
    /// What the other processes on the same database are to be told.
    pub crier: Arc<Crier>,
    /// What is known of the changes of other processes.
    pub watch: Watch,
    /// Writes of workers that were refused, since somebody else had their job by then.
    pub stale_writes: AtomicU64,
    /// Jobs that run, by tenant.
    pub turns: Turns,
    /// Those that run beside, since they could not wait for their turn.
    pub urgent_turns: Turns,
    /// Those that deliver.
    pub delivery_turns: Turns,
    /// Notifications on their way into the inbox.
    pub arrivals: Arc<Arrivals>,
    /// Questions to the gateway under way.
    pub gateway: Places,
    /// Unique codes that missed.
    pub attempts: Attempts,
    /// How Optimove reaches this service; known at the latest when listening starts.
    pub public_url: OnceLock<String>,
}

impl App {
    /// Opens the store and reads who may come in.
    ///
    /// # Errors
    /// The store's and the key's.
    pub fn open(
        config: Config,
        clock: Clock,
        random: Random,
        migrate: Migrate,
    ) -> Result<Arc<Self>> {
        let dir = &config.data_dir;
        std::fs::create_dir_all(dir).map_err(|e| {
            Error::invalid(
                "data_dir",
                format!("the data directory {} cannot be made: {e}", dir.display()),
            )
        })?;
        let keys = Keys::load_or_create(&config.key_file(), &random)?;
        let stores_clock = clock.clone();
        let options = Options {
            clock: StoreClock::new(move || stores_clock.now_ms()),
            migrate,
            connections: Connections {
                writers: config.postgres.writers,
                readers: config.postgres.readers,
            },
        };
        let store = Store::open(&config.database_url(), &options)?;
        clock.follow(|| store.server_now_ms())?;
        let crier = Arc::<Crier>::default();
        let public_url = OnceLock::new();
        if !config.public_url.is_empty() {
            // A cell that was just made is empty, so this cannot fail.
            let _ = public_url.set(config.public_url.trim_end_matches('/').to_owned());
        }
        let arrived = Arc::new(Bell::new(&crier, Word::Arrived));
        let app = Self {
            arrivals: Arc::new(Arrivals::new(Arc::clone(&arrived))),
            arrived,
            clients: Clients::new(
                &config.optimove,
                Duration::from_millis(config.work.empty_answer_wait_ms),
                &random,
                &store,
            ),
            config,
            store,
            clock,
            random,
            keys,
            directory: Directory::default(),
            facts: Facts::default(),
            events: broadcast::Sender::new(EVENTS_KEPT_MAX),
            work: Bell::new(&crier, Word::Work),
            crier,
            watch: Watch::default(),
            stale_writes: AtomicU64::new(0),
            turns: Turns::default(),
            urgent_turns: Turns::default(),
            delivery_turns: Turns::default(),
            gateway: Places::default(),
            attempts: Attempts::default(),
            public_url,
        };
        app.directory.refresh(&app.store)?;
        Ok(Arc::new(app))
    }

    /// Runs a named transaction; see [`Store::tx`]. What a job does is refused once somebody else has the job.
    ///
    /// # Errors
    /// The store's.
    pub async fn tx<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnMut(&mut Tx<'_>) -> std::result::Result<T, StoreError> + Send + 'static,
    ) -> Result<T> {
        Ok(self
            .store
            .tx::<T, StoreError, _>(name, fenced(work))
            .await?)
    }

    /// Runs a chunk of a large job; see [`Store::bulk`] and [`App::tx`].
    ///
    /// # Errors
    /// The store's.
    pub async fn bulk<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnMut(&mut Tx<'_>) -> std::result::Result<T, StoreError> + Send + 'static,
    ) -> Result<T> {
        Ok(self
            .store
            .bulk::<T, StoreError, _>(name, fenced(work))
            .await?)
    }

    /// A tenant by its slug.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn tenant(&self, id: &str) -> Result<Arc<Tenant>> {
        self.directory
            .snapshot()
            .tenant(id)
            .cloned()
            .ok_or(Error::NotFound("tenant"))
    }

    /// A tenant by its number.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn tenant_by_no(&self, no: i64) -> Result<Arc<Tenant>> {
        self.directory
            .snapshot()
            .tenant_by_no(no)
            .cloned()
            .ok_or(Error::NotFound("tenant"))
    }

    /// A tenant's client to Optimove, whose calls have this priority.
    ///
    /// # Errors
    /// [`Clients::for_tenant`]'s.
    pub fn client(&self, tenant: &Tenant, priority: Priority) -> Result<Client> {
        let client = self.clients.for_tenant(tenant, &self.keys)?;
        Ok(client.with_priority(priority))
    }

    /// Customers to ask for in one page of a tenant's lists.
    pub fn page_rows(&self, tenant: &Tenant) -> u32 {
        let own = tenant.settings.page_rows;
        own.unwrap_or(self.config.optimove.page_rows).max(1)
    }

    /// To be called after a change of tenants, listeners or tokens is durable.
    ///
    /// # Errors
    /// The store's.
    pub fn directory_changed(&self) -> Result<()> {
        self.crier.say(Word::Directory);
        self.directory.refresh(&self.store)
    }

    /// To be called after a change of promotions or campaigns is durable.
    pub fn facts_changed(&self) {
        self.facts.forget_changeable();
        self.crier.say(Word::Facts);
    }

    /// Tells whoever watches; nobody watching is fine.
    pub fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }
}

/// The same work, refused where the task that asks for it is a job that somebody else has by now.
fn fenced<T>(
    mut work: impl FnMut(&mut Tx<'_>) -> std::result::Result<T, StoreError> + Send + 'static,
) -> impl FnMut(&mut Tx<'_>) -> std::result::Result<T, StoreError> + Send + 'static {
    let claim = fence::claim();
    move |tx| {
        if let Some(claim) = &claim {
            tx.check_lease(claim)?;
        }
        work(tx)
    }
}
