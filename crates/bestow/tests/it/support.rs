//! A small world for each test: a stand-in for Optimove, the service on a database of its own, a
//! clock that stands still, randomness from one number, and work that is done when the test says
//! so.

mod api;
mod optimove;
pub(crate) mod silent;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bestow::actor::Actor;
use bestow::app::App;
use bestow::cli::call::Caller;
use bestow::clock::{Clock, instant};
use bestow::config::{AdminToken, Config};
use bestow::http::Server;
use bestow::random::Random;
use bestow::service::promotions::PutPromotion;
use bestow::service::{listeners, promotions, tenants, verify};
use bestow::tenant::Tenant;
use bestow::work;
use bestow_store::copy::Copy;
use bestow_store::{Error as StoreError, Migrate};
use http::Method;
use jiff::Timestamp;
use optimove_sandbox::{ClockMode, Config as SandboxConfig, Sandbox};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use api::{changed, text};

use crate::home::Home;

/// The token of role admin.
pub(crate) const TOKEN: &str = "it-admin-token-with-enough-characters";
/// Where both clocks stand when a world begins.
pub(crate) const START: &str = "2027-03-25T06:00:00Z";
/// Steps of work after which a world is not going to come to rest.
const STEPS_MAX: u32 = 100_000;
/// Looks at the stand-in's log after which its notifications are not going to be delivered.
const LOOKS_MAX: u32 = 100_000;
/// How far a job may lie ahead for [`World::settle`] to move the clock to it.
const AHEAD_MS_MAX: i64 = 3_600_000;

/// Who holds what: customer and code, each with start and end in milliseconds.
pub(crate) type Holdings = BTreeMap<(String, String), (i64, Option<i64>)>;

/// The service and its Optimove.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    /// The stand-in's control API.
    pub(crate) control: Caller,
    pub(crate) app: Arc<App>,
    /// The service's API, as admin.
    pub(crate) api: Caller,
    pub(crate) home: Home,
    /// Ends the server with the world.
    stop: DropGuard,
    serving: JoinHandle<()>,
}

impl World {
    /// A world with settings for tests.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A world whose settings were changed before it began.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let sandbox = Sandbox::start(SandboxConfig {
            clock: ClockMode::Test,
            ..SandboxConfig::default()
        })
        .await
        .expect("the sandbox starts");
        let control = Caller::new(sandbox.address(), None);
        let home = Home::new();
        let mut config = config(&home);
        change(&mut config);
        let clock = Clock::standing(START.parse().expect("an instant"));
        let (app, address, stop, serving) = serve(config, clock).await;
        let world = Self {
            sandbox,
            control,
            app,
            api: Caller::new(address, Some(TOKEN)),
            home,
            stop,
            serving,
        };
        world
            .control(
                Method::PUT,
                "/_sandbox/switches",
                &json!({"rate-limit-requests": 0}),
            )
            .await;
        world.travel(START).await;
        world
    }

    /// A world with tenant `acme` (zone UTC, channels 504 and 505), its listeners and its
    /// promotions FS20, CB10 and RELOAD.
    pub(crate) async fn connected() -> Self {
        let world = Self::start().await;
        world.connect(&json!({})).await;
        world
    }

    /// Adds tenant `acme`, its fields changed by `over`; registers its listeners and puts its
    /// promotions.
    pub(crate) async fn connect(&self, over: &Value) {
        self.add_tenant(over).await;
        self.sync_listeners().await;
        for code in ["FS20", "CB10", "RELOAD"] {
            self.put_promotion(code, "active").await;
        }
    }

    /// The body that makes tenant `acme`, its fields changed by `over`.
    pub(crate) fn tenant_body(&self, over: &Value) -> Value {
        let body = json!({
            "id": "acme", "name": "Acme", "time_zone": "UTC",
            "optimove": {"base_url": self.sandbox.url(), "auth": {"api_key": "acme-admin-key"}},
            "scheduled_channels": [504, 505], "triggered_channels": [], "conditional": false,
            "expiry": "duration",
        });
        changed(body, over)
    }

    /// Adds tenant `acme` here, and gives it the same zone in the stand-in.
    pub(crate) async fn add_tenant(&self, over: &Value) {
        let body = self.tenant_body(over);
        let zone = json!({ "time_zone": body["time_zone"] });
        self.control(Method::PUT, "/_sandbox/tenants/acme", &zone)
            .await;
        let new = serde_json::from_value(body).expect("a tenant");
        tenants::create(&self.app, &Actor::cli(), new)
            .await
            .expect("the tenant is made");
    }

    /// Tenant `acme`.
    pub(crate) fn acme(&self) -> Arc<Tenant> {
        self.app.tenant("acme").expect("the tenant is there")
    }

    /// Registers what is wanted.
    pub(crate) async fn sync_listeners(&self) {
        listeners::sync(&self.app, &Actor::cli(), &self.acme())
            .await
            .expect("the listeners are registered");
    }

    /// Writes a promotion.
    pub(crate) async fn put_promotion(&self, code: &str, status: &str) {
        let put: PutPromotion =
            serde_json::from_value(json!({"name": code, "status": status})).expect("a promotion");
        promotions::put(&self.app, &Actor::cli(), &self.acme(), code, put)
            .await
            .expect("the promotion is written");
    }

    /// Plans a campaign of tenant `acme`: `count` customers, FS20 on channels 504 and 505, unless
    /// `over` says otherwise.
    pub(crate) fn plan(&self, count: u64, over: &Value) -> u64 {
        let spec = json!({
            "tenant": "acme", "audience": {"count": count, "prefix": "P-"},
            "actions": [{"id": 24, "promo_codes": ["FS20"],
                "channels": [{"id": 504}, {"id": 505}]}],
            "duration": 7, "lead_time": 2,
        });
        self.sandbox
            .add_campaign(changed(spec, over))
            .expect("the campaign is planned")
    }

    /// Plans and executes a campaign, and does all the work that follows.
    pub(crate) async fn run(&self, count: u64, over: &Value) -> u64 {
        let campaign = self.plan(count, over);
        self.sandbox
            .process(campaign)
            .expect("the campaign is executed");
        self.settle().await;
        campaign
    }

    /// One request to the stand-in's control API that has to succeed.
    pub(crate) async fn control(&self, method: Method, path: &str, body: &Value) -> Value {
        self.control
            .ok(method, path, body)
            .await
            .expect("the sandbox does it")
    }

    /// Waits until the stand-in has tried every notification that it is going to send.
    pub(crate) async fn delivered(&self) {
        for _ in 0..LOOKS_MAX {
            let log = self
                .control(Method::GET, "/_sandbox/notifications", &Value::Null)
                .await;
            let entries = log["data"].as_array().expect("a list");
            let is_over = |entry: &Value| {
                entry["dropped"] == true
                    || !entry["last_status"].is_null()
                    || !entry["last_error"].is_null()
            };
            if entries.iter().all(is_over) {
                return;
            }
        }
        panic!("the sandbox does not deliver its notifications");
    }

    /// Works until nothing is due now; the clock stays.
    pub(crate) async fn work(&self) {
        while work::step(&self.app).await.expect("a step") {}
    }

    /// Does this many steps of work, or tries to.
    pub(crate) async fn steps(&self, count: u32) {
        for _ in 0..count {
            work::step(&self.app).await.expect("a step");
        }
    }

    /// Waits for what is on its way, then works until nothing is left to do within the hour; the
    /// clock moves to whatever is put off. Sweeps are left alone, or it would never rest.
    pub(crate) async fn settle(&self) {
        self.delivered().await;
        for _ in 0..STEPS_MAX {
            if work::step(&self.app).await.expect("a step") {
                continue;
            }
            let now = self.app.clock.now_ms();
            let next = self.app.store.peek(|tx| {
                let jobs = tx.jobs()?;
                let jobs = jobs
                    .iter()
                    .filter(|job| !work::kind::REGULAR.contains(&&*job.kind));
                Ok::<_, StoreError>(jobs.map(|job| job.run_at).min())
            });
            let next = next.expect("the jobs can be read");
            match next {
                Some(at) if at > now && at <= now + AHEAD_MS_MAX => {
                    self.travel(&instant(at).to_string()).await;
                }
                _ => return,
            }
        }
        panic!("the work does not come to an end");
    }

    /// Sets both clocks.
    pub(crate) async fn travel(&self, to: &str) {
        let at: Timestamp = to.parse().expect("an instant");
        assert!(self.app.clock.set(at));
        self.control(Method::PUT, "/_sandbox/clock", &json!({ "now": to }))
            .await;
    }

    /// What the ledger says of a campaign, read through the API.
    pub(crate) async fn ledger(&self, campaign: u64) -> Holdings {
        let mut held = Holdings::new();
        let path = format!("/v1/tenants/acme/campaigns/{campaign}/grants");
        self.api
            .lines(&path, |line| {
                let grant: Value = serde_json::from_slice(line)?;
                let text = |name: &str| grant[name].as_str().map(str::to_owned);
                let ms = |name: &str| {
                    text(name).map(|at| {
                        at.parse::<Timestamp>()
                            .expect("an instant")
                            .as_millisecond()
                    })
                };
                let key = (
                    text("customer_id").expect("a customer"),
                    text("promo_code").expect("a code"),
                );
                let window = (ms("starts_at").expect("a start"), ms("ends_at"));
                assert!(held.insert(key, window).is_none(), "granted twice: {grant}");
                Ok(())
            })
            .await
            .expect("the export is read");
        held
    }

    /// What the stand-in says should be.
    pub(crate) fn oracle(&self, campaign: u64) -> Holdings {
        let expected = self
            .sandbox
            .expected(campaign)
            .expect("the campaign is known");
        expected
            .map(|one| {
                let window = (
                    one.starts_at.as_millisecond(),
                    Some(one.ends_at.as_millisecond()),
                );
                ((one.customer_id, one.promo_code), window)
            })
            .collect()
    }

    /// The ledger is what the oracle says, and no invariant is broken.
    pub(crate) async fn assert_right(&self, campaign: u64) {
        assert_eq!(self.ledger(campaign).await, self.oracle(campaign));
        self.assert_verified();
    }

    /// No invariant is broken.
    pub(crate) fn assert_verified(&self) {
        let findings = verify::run(&self.app).expect("it can be verified");
        assert_eq!(findings, []);
    }

    /// Counters of a campaign.
    pub(crate) fn counts(&self, campaign: u64) -> BTreeMap<String, i64> {
        let (tenant, id) = (self.acme().no(), campaign.to_string());
        let counts = self.app.store.read(|tx| {
            let found = tx.campaign(tenant, &id)?;
            let found = found.ok_or_else(|| StoreError::Corrupt(format!("no campaign {id}")))?;
            tx.counts(tenant, found.no)
        });
        counts
            .expect("the campaign is known")
            .into_iter()
            .filter(|(_, n)| *n != 0)
            .collect()
    }

    /// Stops the service and starts it again on the same database, as after a crash between two
    /// transactions. The stand-in goes on; its listeners' addresses lead nowhere until they are
    /// synced again.
    pub(crate) async fn reopen(self) -> Self {
        self.begin_again(|home, _| home).await
    }

    /// A copy of all that is kept, as it is now.
    pub(crate) fn back_up(&self, to: &Path) {
        let from = self.app.config.database_url();
        let copy = Copy::backup(&from, to, self.app.clock.now_ms()).expect("it begins");
        let told = copy.finish(self.app.clock.now_ms(), &mut |_| Ok(()));
        told.expect("it is copied");
    }

    /// The same service on a database of its own, in which nothing but a backup is.
    pub(crate) async fn restored(self, from: &Path) -> Self {
        self.begin_again(|old, config| {
            let home = Home::new();
            let key = config.key_file();
            let new = home.path().join(key.file_name().expect("a file"));
            std::fs::copy(&key, new).expect("the key is copied");
            let url = home.config().database_url();
            let now = START.parse::<Timestamp>().expect("an instant");
            let copy = Copy::restoring(from, &url, now.as_millisecond()).expect("it begins");
            let told = copy.finish(now.as_millisecond(), &mut |_| Ok(()));
            told.expect("it is copied");
            let kept = home.config();
            (config.data_dir, config.database_url) = (kept.data_dir, kept.database_url);
            drop(old);
            home
        })
        .await
    }

    async fn begin_again(self, keep: impl FnOnce(Home, &mut Config) -> Home) -> Self {
        let Self {
            sandbox,
            control,
            app,
            home,
            stop,
            serving,
            ..
        } = self;
        let (mut config, clock) = (app.config.clone(), app.clock.clone());
        drop(stop);
        serving.await.expect("the server ends");
        drop(app);
        let home = keep(home, &mut config);
        let (app, address, stop, serving) = serve(config, clock).await;
        let api = Caller::new(address, Some(TOKEN));
        Self {
            sandbox,
            control,
            app,
            api,
            home,
            stop,
            serving,
        }
    }
}

/// Settings for tests: small waits, no limit of calls.
pub(crate) fn config(home: &Home) -> Config {
    let mut config = Config {
        admin_token: AdminToken(TOKEN.to_owned()),
        ..home.config()
    };
    // A world with another subject has drift by accident, which the daily look would tell.
    config.work.catalogue_seconds = 10 * 365 * 86_400;
    config.work.empty_answer_wait_ms = 1;
    config.work.retry_ms = 1;
    config.optimove.calls_max = 1_000_000;
    config.optimove.retry_ms = 1;
    config
}

async fn serve(config: Config, clock: Clock) -> (Arc<App>, SocketAddr, DropGuard, JoinHandle<()>) {
    let app =
        App::open(config, clock, Random::seeded(1), Migrate::Apply).expect("the service opens");
    app.store.must_audit(silent::SILENT);
    let listen = "127.0.0.1:0".parse().expect("an address");
    let server = Server::bind(Arc::clone(&app), listen)
        .await
        .expect("it listens");
    let (address, stop) = (server.address(), CancellationToken::new());
    let serving = tokio::spawn(server.run(stop.clone()));
    (app, address, stop.drop_guard(), serving)
}
