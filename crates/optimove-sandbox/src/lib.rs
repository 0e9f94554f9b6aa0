//! A stand-in for Optimove: the same wire, a virtual clock, fault switches and an oracle.
//!
//! [`Sandbox::start`] opens an HTTP server that answers as Optimove's REST API does, at the root,
//! and is played by a control API under `/_sandbox`: plan a campaign, process it, cancel it, move
//! the clock, turn a switch, and ask the oracle who should hold what. It knows nothing of any
//! system that is tested against it. `docs/sandbox.md` describes all of it.
//!
//! ```no_run
//! # async fn example() -> Result<(), optimove_sandbox::Error> {
//! use optimove_sandbox::{ClockMode, Config, Sandbox};
//!
//! let sandbox = Sandbox::start(Config { clock: ClockMode::Test, ..Config::default() }).await?;
//! let campaign = sandbox.add_campaign(serde_json::json!({
//!     "tenant": "acme",
//!     "audience": {"count": 1_000, "prefix": "P-"},
//!     "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504}]}],
//! }))?;
//! sandbox.process(campaign)?;
//! assert_eq!(sandbox.expected(campaign)?.count(), 1_000);
//! sandbox.stop().await;
//! # Ok(())
//! # }
//! ```

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::Value;

mod access;
mod answer;
mod approval;
mod body;
mod campaign;
mod clock;
mod control;
mod emit;
mod entry;
mod event;
mod event11;
mod gateway;
mod hold;
mod id;
mod lifecycle;
mod oracle;
mod outbox;
mod paging;
mod plan;
mod random;
mod routes;
mod rows;
mod scope;
mod selection;
mod server;
mod shared;
mod spec;
mod statuses;
mod switch;
mod trigger;
mod window;
mod world;
mod write;

pub use id::CampaignId;
pub use oracle::{Expectation, Expected};
pub use statuses::{CustomerStatus, Statuses};
pub use trigger::{TriggerExpectation, TriggerOutcome};

use lifecycle::Expectations;
use shared::Shared;
use spec::{ProcessSpec, Spec, TriggerSpec};
use world::Trouble;

/// How to start a sandbox.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Decides everything that is drawn: audiences, orders, tokens, which calls fail.
    pub seed: u64,
    /// Whether the clock can be set.
    pub clock: ClockMode,
    /// With a token the control API serves whoever sends it as a bearer token; without one it
    /// serves callers on this machine only.
    pub control_token: Option<String>,
}

impl Default for Config {
    /// A free port on loopback, seed 1, real time, no token.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 1,
            clock: ClockMode::System,
            control_token: None,
        }
    }
}

/// Which time it is in the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMode {
    /// That of the machine.
    System,
    /// Begins with that of the machine, can be set, and runs on at the usual pace.
    Test,
}

/// Why a sandbox does not start or refuses what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The HTTP client that sends notifications cannot be built.
    #[error("cannot build the client that sends notifications: {0}")]
    Client(#[from] reqwest::Error),
    /// The request is wrong; nothing was changed.
    #[error("{0}")]
    Wrong(String),
    /// What the request names does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The request does not fit the state of the world.
    #[error("{0}")]
    Conflict(String),
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Wrong(message) => Self::Wrong(message),
            Trouble::NotFound(message) => Self::NotFound(message),
            Trouble::Conflict(message) => Self::Conflict(message),
        }
    }
}

/// A running sandbox. Dropping it stops it without waiting; [`Sandbox::stop`] waits.
pub struct Sandbox {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Sandbox {
    /// Starts a sandbox with the tenant `acme` (key `acme-admin-key`, user `acme`, password
    /// `acme-password`). It needs a running Tokio runtime.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let listen = config.listen;
        let shared = Arc::new(Shared::new(config)?);
        let address = server::start(&shared, listen)
            .await
            .map_err(|error| Error::Listen(listen, error))?;
        Ok(Self { shared, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base address of the API, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The time in the sandbox world.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Changes the switches that `change` names, as `PUT /_sandbox/switches` does.
    pub fn set_switches(&self, change: &Value) -> Result<(), Error> {
        Ok(self.shared.change_switches(change)?)
    }

    /// Sets the sandbox clock, back or forward; what is due by then is queued when this returns.
    /// Refused without a test clock.
    pub fn set_now(&self, now: Timestamp) -> Result<(), Error> {
        Ok(self.shared.move_clock(now)?)
    }

    /// Moves the sandbox clock by a span, as [`Sandbox::set_now`] does.
    pub fn advance(&self, span: SignedDuration) -> Result<(), Error> {
        let now = self.now().checked_add(span);
        self.set_now(now.map_err(|error| Error::Wrong(error.to_string()))?)
    }

    /// Plans a campaign from the body of `POST /_sandbox/campaigns` and gives its number.
    /// One whose id is text is planned by [`Sandbox::plan`].
    pub fn add_campaign(&self, spec: Value) -> Result<u64, Error> {
        let spec: Spec = read(spec)?;
        if spec.id.as_ref().is_some_and(|id| id.number().is_none()) {
            return Err(Error::Wrong(
                "the id of this campaign is not a number".into(),
            ));
        }
        Ok(self.shared.add_campaign(spec)?.campaign.number())
    }

    /// Plans a campaign from the body of `POST /_sandbox/campaigns` and gives its id.
    pub fn plan(&self, spec: Value) -> Result<CampaignId, Error> {
        Ok(self.shared.add_campaign(read(spec)?)?.campaign.id.clone())
    }

    /// The campaign as `GET /_sandbox/campaigns/{id}` shows it.
    pub fn campaign(&self, campaign: impl Into<CampaignId>) -> Result<Value, Error> {
        self.shared.settle();
        Ok(control::campaign_view(
            &self.shared.entry(&campaign.into(), None)?,
        ))
    }

    /// Executes a scheduled campaign or holds a conditional one, and sends its notifications, as
    /// `POST …/process` does.
    pub fn process(&self, campaign: impl Into<CampaignId>) -> Result<(), Error> {
        let options = ProcessSpec::default();
        self.shared.process(&campaign.into(), None, &options)?;
        Ok(())
    }

    /// Holds a conditional campaign until `seconds` from now, as `POST …/process` does with
    /// `clearance_in_seconds`.
    pub fn hold(&self, campaign: impl Into<CampaignId>, seconds: u32) -> Result<(), Error> {
        let options = ProcessSpec {
            clearance_in_seconds: Some(seconds),
        };
        self.shared.process(&campaign.into(), None, &options)?;
        Ok(())
    }

    /// Cancels a campaign, as `POST …/cancel` does.
    pub fn cancel(&self, campaign: impl Into<CampaignId>) -> Result<(), Error> {
        self.shared.settle();
        self.shared.cancel(&campaign.into(), None)?;
        Ok(())
    }

    /// Lets a customer meet a trigger, from the body of `POST /_sandbox/triggers`. It returns when
    /// the gateway has decided and event 11 is queued, without waiting for its delivery.
    pub async fn trigger(&self, trigger: Value) -> Result<TriggerOutcome, Error> {
        let spec: TriggerSpec = read(trigger)?;
        Ok(self.shared.trigger(&spec).await?)
    }

    /// The oracle: everyone who should hold a grant of the campaign, one at a time. Triggered
    /// campaigns have [`Sandbox::expected_of_triggers`].
    pub fn expected(&self, campaign: impl Into<CampaignId>) -> Result<Expected, Error> {
        self.shared.settle();
        match self.shared.expected(&campaign.into(), None)? {
            Expectations::Executed(expected) => Ok(expected),
            Expectations::Triggered(_) => Err(Error::Wrong(
                "of a triggered campaign the triggers are asked".into(),
            )),
        }
    }

    /// The oracle of a triggered campaign: each promo code that each trigger gave.
    pub fn expected_of_triggers(
        &self,
        campaign: impl Into<CampaignId>,
    ) -> Result<Vec<TriggerExpectation>, Error> {
        match self.shared.expected(&campaign.into(), None)? {
            Expectations::Triggered(expected) => Ok(expected),
            Expectations::Executed(_) => {
                Err(Error::Wrong("the campaign is not a triggered one".into()))
            }
        }
    }

    /// The oracle of approvals: what was reported on each customer of a conditional campaign.
    pub fn statuses(&self, campaign: impl Into<CampaignId>) -> Result<Statuses, Error> {
        self.shared.settle();
        Ok(self.shared.statuses(&campaign.into(), None)?)
    }

    /// Stops listening, breaks off what is open, and waits until all of it has ended.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

/// A body of the control API, given in process.
fn read<T: DeserializeOwned>(body: Value) -> Result<T, Error> {
    serde_json::from_value(body).map_err(|error| Error::Wrong(error.to_string()))
}
