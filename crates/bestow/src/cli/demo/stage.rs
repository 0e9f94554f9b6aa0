//! What the demo plays on: a stand-in for Optimove and a service, both on loopback, with data in a temporary folder.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use bestow_store::Migrate;
use http::Method;
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
pub(super) const SERIES: &str = "acme";
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
    _dir: tempfile::TempDir,
}

/// What the service told while it worked.
#[derive(Default)]
struct Progress {
    rows_504: AtomicU64,
    rows_505: AtomicU64,
    customers: AtomicU64,
    ended: AtomicU64,
}

impl Stage {
    /// Starts both sides.
    pub(super) async fn set(page_rows: u32) -> anyhow::Result<Self> {
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
        let mut config = Config { data_dir: dir.path().to_path_buf(), ..Config::default() };
        config.admin_token = AdminToken(token.clone());
        config.optimove.page_rows = page_rows;
        let app = App::open(config, Clock::adjustable(), random, Migrate::Apply)?;
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
        let Progress { rows_504, rows_505, .. } = &*self.progress;
        rows_504.load(Ordering::Relaxed) + rows_505.load(Ordering::Relaxed)
    }

    /// Customers merged so far.
    pub(super) fn customers_merged(&self) -> u64 {
        self.progress.customers.load(Ordering::Relaxed)
    }

    /// Channels whose import came to an end.
    pub(super) fn imports_ended(&self) -> u64 {
        self.progress.ended.load(Ordering::Relaxed)
    }

    /// Makes the tenant, registers its listeners, and brings the catalogue over.
    pub(super) async fn connect(&self) -> anyhow::Result<()> {
        let zone = json!({"time_zone": "Europe/Lisbon", "username": "acme", "password": "acme-password",
            "api_keys": [{"key": "acme-admin-key", "role": "admin"}],
            "channels": [{"id": 15, "name": "Realtime"}, {"id": 504, "name": "Email"}, {"id": 505, "name": "SMS"}]});
        self.sandbox.ok(Method::PUT, "/_sandbox/tenants/acme", &zone).await?;
        let tenant = json!({
            "id": SERIES, "name": "Acme", "time_zone": "Europe/Lisbon",
            "optimove": {"base_url": self.world.url(), "auth": {"api_key": "acme-admin-key"}},
            "scheduled_channels": [504, 505], "triggered_channels": [], "conditional": false,
            "expiry": "duration",
        });
        self.service.ok(Method::POST, "/v1/tenants", &tenant).await?;
        let sync = format!("/v1/tenants/{SERIES}/listeners/sync");
        self.service.ok(Method::POST, &sync, &Value::Null).await?;
        let promotions =
            [("FS20", "20 free spins"), ("CB10", "10% cashback"), ("RELOAD50", "50% reload")];
        for (code, name) in promotions {
            let put = json!({"name": name, "status": "active", "kind": "shared", "reward": {"text": name}});
            let path = format!("/v1/tenants/{SERIES}/promotions/{code}");
            self.service.ok(Method::PUT, &path, &put).await?;
        }
        let sync = format!("/v1/tenants/{SERIES}/promotions/sync");
        self.service.ok(Method::POST, &sync, &Value::Null).await?;
        Ok(())
    }

    /// Plans the campaign and gives its id.
    pub(super) async fn plan(&self, customers: u64) -> anyhow::Result<String> {
        let made =
            self.sandbox.ok(Method::POST, "/_sandbox/campaigns", &super::campaign(customers)).await?;
        Ok(made["id"].as_u64().context("the campaign's id")?.to_string())
    }

    /// Executes the campaign: Optimove notifies, Bestow imports.
    pub(super) async fn process(&self, campaign: &str) -> anyhow::Result<()> {
        let path = format!("/_sandbox/campaigns/{campaign}/process");
        self.sandbox.ok(Method::POST, &path, &json!({})).await?;
        Ok(())
    }

    /// Moves both clocks to an instant.
    pub(super) async fn travel(&self, to: &str) -> anyhow::Result<()> {
        let now = json!({"now": to});
        self.sandbox.ok(Method::PUT, "/_sandbox/clock", &now).await?;
        self.service.ok(Method::PUT, "/v1/clock", &now).await?;
        Ok(())
    }

    /// Invariants that do not hold.
    pub(super) fn verify(&self) -> anyhow::Result<usize> {
        Ok(verify::run(&self.app)?.len())
    }

    /// Stops both sides.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.workers.stop().await;
        let _ = self.server.await;
        self.world.stop().await;
    }
}

async fn follow(
    mut events: tokio::sync::broadcast::Receiver<Event>,
    progress: Arc<Progress>,
) {
    loop {
        match events.recv().await {
            Ok(Event::PageLanded { channel, rows, .. }) => {
                let seen = if channel == 504 { &progress.rows_504 } else { &progress.rows_505 };
                seen.store(rows, Ordering::Relaxed);
            }
            Ok(Event::Merged { customers, .. }) => {
                progress.customers.store(customers, Ordering::Relaxed);
            }
            Ok(Event::ImportEnded { .. }) => {
                progress.ended.fetch_add(1, Ordering::Relaxed);
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}
