//! Settings of a client, checked before it exists.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect;
use url::{Host, Url};

use super::{Client, path};
use crate::error::Error;
use crate::peers::Peers;
use crate::rate::{BudgetConfig, CallBudget, Priority};
use crate::request::{Http, Jitter};
use crate::retry::RetryPolicy;
use crate::secret::Secret;
use crate::token::TokenCell;

/// How a client shows who it is.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Today's way: the key goes with each call, in `X-API-KEY`.
    ApiKey(Secret),
    /// The old way: a session token from Login goes with each call, in `Authorization-Token`.
    Login {
        /// The API user's name.
        user_name: String,
        /// The API user's password.
        password: Secret,
    },
}

/// Limits of a single attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Until the connection stands.
    pub connect_timeout: Duration,
    /// From the first byte sent to the last one received.
    pub total_timeout: Duration,
    /// Largest body of an answer.
    pub body_bytes_max: usize,
    /// Least average speed of a body, once the grace is over.
    pub throughput_bytes_per_s_min: u64,
    /// How long a body may take before its speed counts.
    pub throughput_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_mins(2),
            body_bytes_max: 64 * 1_024 * 1_024,
            throughput_bytes_per_s_min: 1_024,
            throughput_grace: Duration::from_secs(10),
        }
    }
}

/// Whether requests may travel unencrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainHttp {
    /// Only to the own machine.
    LoopbackOnly,
    /// To any address: for test networks.
    Anywhere,
}

/// Builds a [`Client`].
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    base_url: String,
    auth: Auth,
    prefix: String,
    limits: Limits,
    policy: RetryPolicy,
    budget: Option<Arc<CallBudget>>,
    peers: Option<Arc<dyn Peers>>,
    jitter_seed: u64,
    empty_page_wait: Duration,
    plain_http: PlainHttp,
}

impl ClientBuilder {
    pub(super) fn new(base_url: &str, auth: Auth) -> Self {
        Self {
            base_url: base_url.to_owned(),
            auth,
            prefix: "current".to_owned(),
            limits: Limits::default(),
            policy: RetryPolicy::default(),
            budget: None,
            peers: None,
            jitter_seed: 0,
            empty_page_wait: Duration::from_secs(5),
            plain_http: PlainHttp::LoopbackOnly,
        }
    }

    /// The budget to take calls from. Give the same one to all clients of one credential; without
    /// this each client has its own.
    #[must_use]
    pub fn budget(mut self, budget: Arc<CallBudget>) -> Self {
        self.budget = Some(budget);
        self
    }

    /// The other processes with this credential, for logins. Calls ask them by their budget: give it
    /// the same ones, with [`CallBudget::shared`].
    #[must_use]
    pub fn peers(mut self, peers: Arc<dyn Peers>) -> Self {
        self.peers = Some(peers);
        self
    }

    /// What stands between base URL and group; `current` without this, and may be empty.
    #[must_use]
    pub fn path_prefix(mut self, prefix: &str) -> Self {
        prefix.trim_matches('/').clone_into(&mut self.prefix);
        self
    }

    /// Limits of a single attempt.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How often and how patiently calls are repeated.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Where the spreading of waits starts. Give each process its own, so that they do not all
    /// come back at the same moment.
    #[must_use]
    pub fn jitter_seed(mut self, seed: u64) -> Self {
        self.jitter_seed = seed;
        self
    }

    /// How long to wait before an unexpected empty page is asked for again; 5 s without this.
    #[must_use]
    pub fn empty_page_wait(mut self, wait: Duration) -> Self {
        self.empty_page_wait = wait;
        self
    }

    /// Whether requests may travel unencrypted; only to the own machine without this.
    #[must_use]
    pub fn plain_http(mut self, plain_http: PlainHttp) -> Self {
        self.plain_http = plain_http;
        self
    }

    /// Checks the settings. Nothing is sent yet.
    pub fn build(self) -> Result<Client, Error> {
        let base = check_base(&self.base_url, self.plain_http)?;
        let client = http_client(&base, &self.limits)?;
        let budget = self
            .budget
            .unwrap_or_else(|| Arc::new(CallBudget::new(BudgetConfig::default())));
        let http = Http {
            client,
            base: base.as_str().trim_end_matches('/').to_owned(),
            login_path: path(&self.prefix, "general", "Login"),
            auth: self.auth,
            limits: self.limits,
            policy: self.policy,
            budget,
            peers: self.peers,
            token: TokenCell::default(),
            jitter: Jitter::new(self.jitter_seed),
        };
        http.check_credential()?;
        Ok(Client {
            http: Arc::new(http),
            prefix: self.prefix.into(),
            empty_page_wait: self.empty_page_wait,
            priority: Priority::Import,
        })
    }
}

/// The base URL, if credentials may be sent there.
fn check_base(text: &str, plain_http: PlainHttp) -> Result<Url, Error> {
    let setup = |reason: &str| Error::Setup {
        reason: reason.to_owned(),
    };
    let url = Url::parse(text).map_err(|error| setup(&format!("the base URL: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(setup("credentials do not belong in the base URL"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(setup("the base URL has a query or a fragment"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if plain_http == PlainHttp::Anywhere || is_loopback(&url) => Ok(url),
        "http" => Err(setup("plain http is allowed to the own machine only")),
        _ => Err(setup("the base URL needs https")),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn http_client(base: &Url, limits: &Limits) -> Result<reqwest::Client, Error> {
    // The process may have chosen a provider already; then that one is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("optimove-rust/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(limits.connect_timeout)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy();
    if base.scheme() == "http" {
        // Without TLS there is nothing to verify, and machines without certificates should work.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| Error::Setup {
        reason: format!("HTTP client: {error}"),
    })
}
