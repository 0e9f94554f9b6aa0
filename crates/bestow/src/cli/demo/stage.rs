//! What the demo plays on: a stand-in for Optimove and a service, both on loopback, with data in a temporary folder.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use bestow_store::{Migrate, Scratch};
use http::Method;
use jiff::Timestamp;
use optimove_sandbox::{ClockMode, Config as SandboxConfig, Sandbox};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::cli::call::Caller;
use crate::clock::Clock;
use crate::config::{AdminToken, Config};
use crate::events::Event;
use crate::http::Server;
use crate::random::Random;
use crate::service::verify;
use crate::work::Workers;

/// The tenant of the demo.
pub(super) const TENANT: &str = "acme";
/// Its scheduled channels.
pub(super) const CHANNELS: [i64; 2] = [504, 505];
/// Promo codes of its scheduled campaign.
pub(super) const CODES: [&str; 3] = ["FS20", "CB10", "RELOAD50"];
/// The code of the campaign that is cancelled.
pub(super) const CALLED_OFF: &str = "SPRING15";
/// The code of the conditional campaign; it is not enough for everybody.
pub(super) const LIMITED: &str = "FIRST100";
/// The code of the triggered campaign; each customer gets a unique one for it.
pub(super) const UNIQUE: &str = "WELCOME";
/// The code of the triggered campaign that asks the gateway.
pub(super) const ASKED: &str = "BOOST5";
/// How often a campaign is looked at while it is waited for, and how long at most: two minutes.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS_MAX: u32 = 2_400;
/// Time that the gateway has: on a machine that does much else a late no would spoil the story. The stand-in waits longer.
const GATEWAY_MS_MAX: u64 = 1_500;
/// Seed of the stand-in's world, so that two runs tell the same story.
const SEED: u64 = 42;

/// The stage.
pub(super) struct Stage {
    pub(super) service: Caller,
    pub(super) sandbox: Caller,
    app: Arc<App>,
    world: Sandbox,
    workers: Workers,
    server: JoinHandle<()>,
    stop: CancellationToken,
    token: String,
    progress: Arc<Progress>,
    _lock: bestow_store::Lock,
    _database: Option<Scratch>,
    _dir: tempfile::TempDir,
}

/// What the service told while it worked.
#[derive(Default)]
struct Progress {
    /// Rows read of each channel.
    rows: [AtomicU64; CHANNELS.len()],
    /// Customers of the newest merge.
    customers: AtomicU64,
}

impl Stage {
    /// Starts both sides, the service on a server where one is given.
    pub(super) async fn set(page_rows: u32, server: Option<&str>) -> anyhow::Result<Self> {
        let listen = "127.0.0.1:0".parse()?;
        let world = Sandbox::start(SandboxConfig {
            listen,
            seed: SEED,
            clock: ClockMode::Test,
            control_token: None,
        })
        .await
        .context("starting the stand-in for Optimove")?;
        let dir = tempfile::Builder::new().prefix("bestow-demo-").tempdir()?;
        let random = Random::system()?;
        let token = format!("demo_{}", random.id(0));
        let mut config = Config {
            data_dir: dir.path().to_path_buf(),
            ..Config::default()
        };
        let database = server.map(Scratch::beside).transpose()?;
        if let Some(database) = &database {
            database.url().clone_into(&mut config.database_url);
        }
        config.admin_token = AdminToken(token.clone());
        config.optimove.page_rows = page_rows;
        config.http.gateway_ms_max = GATEWAY_MS_MAX;
        let app = App::open(config, Clock::adjustable(), random, Migrate::Apply)?;
        let lock = app.store.lock()?;
        let server = Server::bind(Arc::clone(&app), listen).await?;
        let (address, stop) = (server.address(), CancellationToken::new());
        let progress = Arc::new(Progress::default());
        tokio::spawn(follow(app.events.subscribe(), Arc::clone(&progress)));
        let serving = stop.clone();
        Ok(Self {
            service: Caller::new(address, Some(&token)),
            sandbox: Caller::new(world.address(), None),
            workers: Workers::start(&app),
            server: tokio::spawn(server.run(serving)),
            app,
            world,
            stop,
            token,
            progress,
            _lock: lock,
            _database: database,
            _dir: dir,
        })
    }

    pub(super) fn sandbox_url(&self) -> String {
        self.world.url()
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Rows read so far, over both channels.
    pub(super) fn rows_read(&self) -> u64 {
        self.progress
            .rows
            .iter()
            .map(|rows| rows.load(Ordering::Relaxed))
            .sum()
    }

    /// Customers merged so far.
    pub(super) fn customers_merged(&self) -> u64 {
        self.progress.customers.load(Ordering::Relaxed)
    }

    /// Makes the tenant, registers its listeners, and brings the catalogue over. One promotion is
    /// limited to so many grants.
    pub(super) async fn connect(&self, limited_to: u64) -> anyhow::Result<()> {
        let zone = json!({"time_zone": "Europe/Lisbon", "username": "acme", "password": "acme-password",
            "api_keys": [{"key": "acme-admin-key", "role": "admin"}],
            "channels": [{"id": 15, "name": "Realtime"}, {"id": 504, "name": "Email"}, {"id": 505, "name": "SMS"}]});
        self.sandbox
            .ok(Method::PUT, "/_sandbox/tenants/acme", &zone)
            .await?;
        let tenant = json!({
            "id": TENANT, "name": "Acme", "time_zone": "Europe/Lisbon",
            "optimove": {"base_url": self.world.url(), "auth": {"api_key": "acme-admin-key"}},
            "scheduled_channels": CHANNELS, "triggered_channels": [15], "conditional": true,
            "expiry": "duration", "gateway": {"enabled": true},
        });
        self.service
            .ok(Method::POST, "/v1/tenants", &tenant)
            .await?;
        let sync = format!("/v1/tenants/{TENANT}/listeners/sync");
        self.service.ok(Method::POST, &sync, &Value::Null).await?;
        let promotions = [
            (CODES[0], "20 free spins", "shared", Value::Null),
            (CODES[1], "10% cashback", "shared", Value::Null),
            (CODES[2], "50% reload", "shared", Value::Null),
            (CALLED_OFF, "15 in spring", "shared", Value::Null),
            (LIMITED, "For the first", "shared", json!(limited_to)),
            (UNIQUE, "Welcome", "unique", Value::Null),
            (ASKED, "5 at once", "shared", Value::Null),
        ];
        for (code, name, kind, total) in promotions {
            let put = json!({"name": name, "status": "active", "kind": kind,
                "reward": {"text": name}, "limits": {"per_customer": 1, "total": total}});
            let path = format!("/v1/tenants/{TENANT}/promotions/{code}");
            self.service.ok(Method::PUT, &path, &put).await?;
        }
        let sync = format!("/v1/tenants/{TENANT}/promotions/sync");
        self.service.ok(Method::POST, &sync, &Value::Null).await?;
        Ok(())
    }

    /// Plans the campaign and gives its id.
    pub(super) async fn plan(&self, campaign: &Value) -> anyhow::Result<String> {
        let made = self
            .sandbox
            .ok(Method::POST, "/_sandbox/campaigns", campaign)
            .await?;
        match &made["id"] {
            Value::String(id) => Ok(id.clone()),
            Value::Number(id) => Ok(id.to_string()),
            other => bail!("the campaign's id is {other}"),
        }
    }

    /// Executes the campaign: Optimove notifies, Bestow imports.
    pub(super) async fn process(&self, campaign: &str) -> anyhow::Result<()> {
        self.process_with(campaign, &json!({})).await
    }

    /// As [`Stage::process`], with what the stand-in is to know.
    pub(super) async fn process_with(&self, campaign: &str, how: &Value) -> anyhow::Result<()> {
        let path = format!("/_sandbox/campaigns/{campaign}/process");
        self.sandbox.ok(Method::POST, &path, how).await?;
        Ok(())
    }

    /// Looks at a campaign until it is as it should become; gives it as it is then.
    pub(super) async fn until(
        &self,
        campaign: &str,
        what: &str,
        is_there: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let path = format!("/v1/tenants/{TENANT}/campaigns/{campaign}");
        let mut last = Value::Null;
        for _ in 0..LOOKS_MAX {
            let (status, view) = self.service.json(Method::GET, &path, &Value::Null).await?;
            if status.is_success() && is_there(&view) {
                return Ok(view);
            }
            last = view;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("campaign {campaign} waits in vain for {what}: {last}")
    }

    /// What the clocks show.
    pub(super) async fn now(&self) -> anyhow::Result<Timestamp> {
        let clock = self
            .service
            .ok(Method::GET, "/v1/clock", &Value::Null)
            .await?;
        let now = clock["now"].as_str().context("the time")?;
        Ok(now.parse()?)
    }

    /// Moves both clocks to an instant.
    pub(super) async fn travel(&self, to: &str) -> anyhow::Result<()> {
        let now = json!({"now": to});
        self.sandbox
            .ok(Method::PUT, "/_sandbox/clock", &now)
            .await?;
        self.service.ok(Method::PUT, "/v1/clock", &now).await?;
        Ok(())
    }

    /// Invariants that do not hold.
    pub(super) async fn verify(&self) -> anyhow::Result<usize> {
        let app = Arc::clone(&self.app);
        Ok(tokio::task::spawn_blocking(move || verify::run(&app))
            .await??
            .len())
    }

    /// Stops both sides.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.workers.stop().await;
        let _ = self.server.await;
        self.world.stop().await;
    }
}

async fn follow(mut events: tokio::sync::broadcast::Receiver<Event>, progress: Arc<Progress>) {
    loop {
        match events.recv().await {
            Ok(Event::PageLanded { channel, rows, .. }) => {
                if let Some(place) = CHANNELS.iter().position(|known| *known == channel) {
                    progress.rows[place].store(rows, Ordering::Relaxed);
                }
            }
            Ok(Event::Merged { customers, .. }) => {
                progress.customers.store(customers, Ordering::Relaxed);
            }
            // What was missed only makes the bar stand still for a moment.
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}
