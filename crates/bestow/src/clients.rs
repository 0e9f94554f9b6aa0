//! Optimove's clients: one for each tenant, one budget of calls for each credential.

mod peers;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bestow_store::Store;
use bestow_store::calls::CallLimit;
use optimove::client::{Auth, Limits, PlainHttp};
use optimove::peers::Peers;
use optimove::rate::{BudgetConfig, CallBudget};
use optimove::retry::RetryPolicy;
use optimove::{Client, Secret};

use self::peers::SharedCalls;
use crate::config::OptimoveLimits;
use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::random::Random;
use crate::tenant::{Credential, Tenant, credential_place};

/// Makes clients and keeps them.
#[derive(Debug)]
pub struct Clients {
    limits: OptimoveLimits,
    empty_page_wait: Duration,
    jitter_seed: u64,
    /// Makes the numbers by which processes tell apart what they share.
    random: Random,
    store: Store,
    made: Mutex<HashMap<i64, Made>>,
    /// By a hash of base URL and credential. Optimove counts calls and logins by these, whoever makes them: tenants
    /// with the same ones share the client, its budget of calls and its session.
    shared: Mutex<HashMap<[u8; 32], Client>>,
}

/// A client and what it was made from: when that changes, it is made anew.
#[derive(Debug)]
struct Made {
    base_url: String,
    sealed: Vec<u8>,
    client: Client,
}

impl Clients {
    /// No client yet. An empty page where rows were to be expected is asked for again after a wait.
    /// Where other processes share the store they share the calls and the sessions, too.
    pub fn new(
        limits: &OptimoveLimits,
        empty_page_wait: Duration,
        random: &Random,
        store: &Store,
    ) -> Self {
        Self {
            limits: limits.clone(),
            empty_page_wait,
            jitter_seed: random.number(),
            random: random.clone(),
            store: store.clone(),
            made: Mutex::default(),
            shared: Mutex::default(),
        }
    }

    /// The client of a tenant.
    ///
    /// # Errors
    /// Where the credential cannot be opened or the base URL is not one that credentials may be sent to.
    pub fn for_tenant(&self, tenant: &Tenant, keys: &Keys) -> Result<Client> {
        let row = &tenant.row;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made.get(&row.no)
            && made.base_url == row.base_url
            && made.sealed == row.credential
        {
            return Ok(made.client.clone());
        }
        let client = self.make(tenant, keys)?;
        let sealed = row.credential.clone();
        let kept = Made {
            base_url: row.base_url.clone(),
            sealed,
            client: client.clone(),
        };
        made.insert(row.no, kept);
        Ok(client)
    }

    fn make(&self, tenant: &Tenant, keys: &Keys) -> Result<Client> {
        let opened = keys.open(&credential_place(tenant.id()), &tenant.row.credential)?;
        let credential: Credential = serde_json::from_slice(&opened).map_err(|_| {
            Error::invalid("bad_credential", "the stored credential cannot be read")
        })?;
        let shared_key = format!(
            "{}\n{}",
            tenant.row.base_url,
            String::from_utf8_lossy(&opened)
        );
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let key = keys.hash(&shared_key);
        if let Some(client) = shared.get(&key) {
            return Ok(client.clone());
        }
        let auth = match credential {
            Credential::ApiKey(key) => Auth::ApiKey(Secret::new(key)),
            Credential::Login { username, password } => Auth::Login {
                user_name: username,
                password: Secret::new(password),
            },
        };
        let peers = self.peers(key, keys);
        let limits = &self.limits;
        let plain_http = if limits.allow_plain_http {
            PlainHttp::Anywhere
        } else {
            PlainHttp::LoopbackOnly
        };
        let mut builder = Client::builder(&tenant.row.base_url, auth);
        if let Some(peers) = &peers {
            builder = builder.peers(Arc::clone(peers));
        }
        let client = builder
            .budget(self.budget(peers))
            .limits(Limits {
                connect_timeout: Duration::from_millis(limits.connect_ms_max),
                total_timeout: Duration::from_millis(limits.call_ms_max),
                body_bytes_max: limits.answer_bytes_max,
                throughput_bytes_per_s_min: limits.answer_bytes_per_second_min,
                ..Limits::default()
            })
            .retry(RetryPolicy {
                attempts_max: limits.tries_max,
                wait_first: Duration::from_millis(limits.retry_ms),
                ..RetryPolicy::default()
            })
            .jitter_seed(self.jitter_seed ^ tenant.no().unsigned_abs())
            .plain_http(plain_http)
            .empty_page_wait(self.empty_page_wait)
            .build()?;
        shared.insert(key, client.clone());
        Ok(client)
    }

    /// The other processes, where there may be some.
    fn peers(&self, credential: [u8; 32], keys: &Keys) -> Option<Arc<dyn Peers>> {
        if !self.store.is_shared() {
            return None;
        }
        let limit = CallLimit {
            calls_max: self.limits.calls_max,
            window_ms: i64::try_from(self.limits.calls_window_ms).unwrap_or(i64::MAX),
        };
        let shared = SharedCalls::new(&self.store, keys, &self.random, credential, limit);
        Some(Arc::new(shared))
    }

    fn budget(&self, peers: Option<Arc<dyn Peers>>) -> Arc<CallBudget> {
        let config = BudgetConfig {
            calls_max: self.limits.calls_max,
            window: Duration::from_millis(self.limits.calls_window_ms),
        };
        Arc::new(match peers {
            Some(peers) => CallBudget::shared(config, peers),
            None => CallBudget::new(config),
        })
    }
}
