//! Optimove's clients: one for each tenant, one budget of calls for each credential.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use optimove::client::{Auth, Limits, PlainHttp};
use optimove::rate::{BudgetConfig, CallBudget};
use optimove::retry::RetryPolicy;
use optimove::{Client, Secret};

use crate::config::OptimoveLimits;
use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::tenant::{Credential, Tenant, credential_place};

/// Makes clients and keeps them.
#[derive(Debug)]
pub struct Clients {
    limits: OptimoveLimits,
    empty_page_wait: Duration,
    jitter_seed: u64,
    made: Mutex<HashMap<i64, Made>>,
    /// By a hash of base URL and credential: Optimove counts calls by key, whoever makes them.
    budgets: Mutex<HashMap<[u8; 32], Arc<CallBudget>>>,
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
    pub fn new(limits: &OptimoveLimits, empty_page_wait: Duration, jitter_seed: u64) -> Self {
        Self {
            limits: limits.clone(),
            empty_page_wait,
            jitter_seed,
            made: Mutex::default(),
            budgets: Mutex::default(),
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
        let budget_key = format!(
            "{}\n{}",
            tenant.row.base_url,
            String::from_utf8_lossy(&opened)
        );
        let auth = match credential {
            Credential::ApiKey(key) => Auth::ApiKey(Secret::new(key)),
            Credential::Login { username, password } => Auth::Login {
                user_name: username,
                password: Secret::new(password),
            },
        };
        let limits = &self.limits;
        let plain_http = if limits.allow_plain_http {
            PlainHttp::Anywhere
        } else {
            PlainHttp::LoopbackOnly
        };
        let client = Client::builder(&tenant.row.base_url, auth)
            .budget(self.budget(keys.hash(&budget_key)))
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
        Ok(client)
    }

    fn budget(&self, key: [u8; 32]) -> Arc<CallBudget> {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            Arc::new(CallBudget::new(BudgetConfig {
                calls_max: self.limits.calls_max,
                window: Duration::from_millis(self.limits.calls_window_ms),
            }))
        };
        Arc::clone(budgets.entry(key).or_insert_with(new))
    }
}
