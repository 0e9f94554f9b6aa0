//! What the benches stand on: a service of its own, a stand-in for Optimove in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::Context;
use bestow_store::raw::RawDatabase;
use bestow_store::{Migrate, Scratch};
use http::Method;
use rustix::process::Pid;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Shape;
use crate::app::App;
use crate::cli::call::Caller;
use crate::clock::Clock;
use crate::config::{AdminToken, Config, RateLimits};
use crate::http::Server;
use crate::random::Random;
use crate::threads::give_way;

/// The code that campaigns give unless another one is asked for.
pub(super) const SHARED_CODE: &str = "FS20";
/// The token that the load shows.
pub(super) const TOKEN: &str = "bench-token-with-enough-characters-to-be-one";
/// Calls that the budget allows: the bench measures Bestow, not Optimove's limit.
const CALLS_MAX: u32 = 1_000_000;

/// A service of its own, with its data in a folder that goes when it is dropped.
pub(super) struct Rig {
    pub(super) app: Arc<App>,
    /// The server to measure on, where it is not a file.
    server: Option<String>,
    _lock: bestow_store::Lock,
    _database: Option<Scratch>,
    dir: tempfile::TempDir,
}

/// A bare database to compare with, gone when it is dropped.
pub(super) struct Raw {
    pub(super) database: RawDatabase,
    _home: Option<Scratch>,
}

impl Rig {
    /// A fresh service.
    pub(super) fn new(shape: &Shape) -> anyhow::Result<Self> {
        Self::with(shape, |_| {})
    }

    /// A fresh service with settings of its own.
    pub(super) fn with(shape: &Shape, change: impl FnOnce(&mut Config)) -> anyhow::Result<Self> {
        let server = shape.database.clone();
        let database = server.as_deref().map(Scratch::beside).transpose()?;
        let dir = tempfile::Builder::new().prefix("bestow-bench-").tempdir()?;
        let mut config = Config {
            data_dir: dir.path().to_path_buf(),
            ..Config::default()
        };
        if let Some(database) = &database {
            database.url().clone_into(&mut config.database_url);
        }
        config.admin_token = AdminToken(TOKEN.to_owned());
        config.optimove.calls_max = CALLS_MAX;
        config.rates = RateLimits::none();
        change(&mut config);
        let app = App::open(
            config,
            Clock::adjustable(),
            Random::system()?,
            Migrate::Apply,
        )?;
        let lock = app.store.lock()?;
        Ok(Self {
            app,
            server,
            _lock: lock,
            _database: database,
            dir,
        })
    }

    /// A fresh bare database beside the service's; on a server over so many connections.
    pub(super) fn raw(&self, name: &str, connections: usize) -> anyhow::Result<Raw> {
        let Some(server) = &self.server else {
            let path = self.dir.path().join(format!("raw-{name}.db"));
            return Ok(Raw {
                database: RawDatabase::create(&path)?,
                _home: None,
            });
        };
        let home = Scratch::beside(server)?;
        Ok(Raw {
            database: RawDatabase::connect(home.url(), connections)?,
            _home: Some(home),
        })
    }

    /// How many connections a load has unless told otherwise: `near` where the database is a file, and more where each
    /// question is a way to a server, so that one that is on its way holds back no other.
    pub(super) fn connections(&self, shape: &Shape, near: usize, far: usize) -> usize {
        let unless_told = if self.server.is_some() { far } else { near };
        shape.connections.unwrap_or(unless_told)
    }

    /// How many connections a bare database is tried with.
    pub(super) fn raw_connections(&self) -> &'static [usize] {
        if self.server.is_some() { &[1, 4] } else { &[1] }
    }

    /// Serves on loopback, with the bench's empty handlers beside the real ones.
    pub(super) async fn serve(&self) -> anyhow::Result<(SocketAddr, CancellationToken)> {
        let address = "127.0.0.1:0".parse()?;
        let server = Server::bind(Arc::clone(&self.app), address)
            .await?
            .with_bench_routes();
        let (address, stop) = (server.address(), CancellationToken::new());
        tokio::spawn(server.run(stop.clone()));
        Ok((address, stop))
    }

    /// Makes tenant `acme` whose Optimove is at `base_url`, and two promotions.
    pub(super) async fn tenant(&self, base_url: &str) -> anyhow::Result<()> {
        use crate::actor::Actor;
        use crate::service::{promotions, tenants};
        let new = json!({
            "id": "acme", "name": "Acme", "time_zone": "Europe/Lisbon",
            "optimove": {"base_url": base_url, "auth": {"api_key": "acme-admin-key"}},
            "scheduled_channels": [504], "conditional": false, "expiry": "duration",
        });
        tenants::create(&self.app, &Actor::cli(), serde_json::from_value(new)?).await?;
        let tenant = self.app.tenant("acme")?;
        for code in ["FS20", "CB10"] {
            let put = json!({"name": code, "status": "active", "kind": "shared", "reward": {}});
            let put = serde_json::from_value(put)?;
            promotions::put(&self.app, &Actor::cli(), &tenant, code, put).await?;
        }
        Ok(())
    }
}

/// A stand-in for Optimove in a process of its own, so that its memory and its threads are not ours.
pub(super) struct SandboxProcess {
    child: Child,
    url: String,
    control: Caller,
}

impl SandboxProcess {
    /// Starts this program's own `sandbox` command on a free port.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let mut child = Command::new(program)
            .args(["sandbox", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the sandbox")?;
        // It stands for a machine of its own.
        give_way(Pid::from_child(&child));
        let stdout = child.stdout.take().context("the sandbox's output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .context("the sandbox's address")?;
        let address = url
            .trim_start_matches("http://")
            .parse()
            .context("the sandbox's address")?;
        let this = Self {
            url: url.to_owned(),
            child,
            control: Caller::new(address, None),
        };
        let switches = json!({"rate-limit-requests": 0, "notify-drop": 100});
        this.control
            .ok(Method::PUT, "/_sandbox/switches", &switches)
            .await?;
        Ok(this)
    }

    /// Its address.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Executes a campaign of `customers` on channel 504 and gives its id.
    pub(super) async fn campaign(&self, customers: u64) -> anyhow::Result<String> {
        self.campaign_giving(customers, SHARED_CODE).await
    }

    /// As [`SandboxProcess::campaign`], each customer with this code.
    pub(super) async fn campaign_giving(
        &self,
        customers: u64,
        code: &str,
    ) -> anyhow::Result<String> {
        self.campaign_lasting(customers, code, 7).await
    }

    /// As [`SandboxProcess::campaign_giving`], for so many days.
    pub(super) async fn campaign_lasting(
        &self,
        customers: u64,
        code: &str,
        days: u32,
    ) -> anyhow::Result<String> {
        let spec = json!({
            "tenant": "acme", "kind": "scheduled", "control_share": 0.0, "duration": days, "lead_time": 0,
            "audience": {"count": customers, "prefix": "C"},
            "actions": [{"id": 24, "name": "Reload", "share": 1.0, "promo_codes": [code],
                         "channels": [{"id": 504, "template_id": 520}]}],
        });
        let made = self
            .control
            .ok(Method::POST, "/_sandbox/campaigns", &spec)
            .await?;
        let id = made["id"]
            .as_u64()
            .context("the campaign's id")?
            .to_string();
        self.control
            .ok(
                Method::POST,
                &format!("/_sandbox/campaigns/{id}/process"),
                &json!({}),
            )
            .await?;
        Ok(id)
    }
}

impl SandboxProcess {
    /// Cancels a campaign; nobody is told.
    pub(super) async fn cancel(&self, campaign: &str) -> anyhow::Result<()> {
        let path = format!("/_sandbox/campaigns/{campaign}/cancel");
        self.control.ok(Method::POST, &path, &json!({})).await?;
        Ok(())
    }
}

impl Drop for SandboxProcess {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The threads of the load, which are none of the server's.
pub(super) fn load_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    runtime("load", processors.div_ceil(2))
}

/// A runtime with so many threads.
pub(super) fn runtime(name: &str, threads: usize) -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder
        .thread_name(name)
        .worker_threads(threads.max(1))
        .enable_all()
        .build()?)
}
