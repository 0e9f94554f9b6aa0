//! Who may come in: tenants, listeners' secrets and API tokens, read from the store and kept at hand.
//!
//! A snapshot is replaced as a whole after every change of ours, and within a second of a change by another process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bestow_store::tokens::ApiToken;
use bestow_store::{Error as StoreError, Store};

use crate::error::Result;
use crate::near::Near;
use crate::tenant::Tenant;

/// Tenants read at once when the snapshot is made.
const TENANTS_MAX: u32 = 100_000;

/// Where a listener's secret leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerTarget {
    /// The tenant's number.
    pub tenant: i64,
    /// Optimove's number of the event.
    pub event_type: i64,
    /// Milliseconds; not accepted from then on.
    pub retired_at: Option<i64>,
}

/// Everything at one moment.
#[derive(Debug, Default)]
pub struct Snapshot(Arc<Everything>);

#[derive(Debug, Default)]
struct Everything {
    by_id: HashMap<String, Arc<Tenant>>,
    by_no: HashMap<i64, Arc<Tenant>>,
    listeners: HashMap<[u8; 32], ListenerTarget>,
    tokens: HashMap<[u8; 32], Arc<ApiToken>>,
}

impl Snapshot {
    /// A tenant by its slug.
    pub fn tenant(&self, id: &str) -> Option<&Arc<Tenant>> {
        self.0.by_id.get(id)
    }

    /// A tenant by its number.
    pub fn tenant_by_no(&self, no: i64) -> Option<&Arc<Tenant>> {
        self.0.by_no.get(&no)
    }

    /// All tenants, in no order.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.0.by_no.values()
    }

    /// Where the secret with this hash leads, if it is accepted at `now_ms`.
    pub fn listener(&self, hash: &[u8; 32], now_ms: i64) -> Option<ListenerTarget> {
        let target = self.0.listeners.get(hash)?;
        target
            .retired_at
            .is_none_or(|at| now_ms < at)
            .then_some(*target)
    }

    /// The token with this hash, if it is accepted at `now_ms`.
    pub fn token(&self, hash: &[u8; 32], now_ms: i64) -> Option<&Arc<ApiToken>> {
        let token = self.0.tokens.get(hash)?;
        let revoked = token.revoked_at.is_some_and(|at| at <= now_ms);
        (!revoked && now_ms < token.expires_at).then_some(token)
    }
}

/// Holds the newest snapshot.
#[derive(Debug, Default)]
pub struct Directory {
    /// Every request looks here: each few threads have a handle of their own to count in.
    newest: Near<RwLock<Arc<Snapshot>>>,
    /// Held while it is replaced, so that what was read first is not kept last.
    replacing: Mutex<()>,
}

impl Directory {
    /// The newest snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.newest.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads everything anew. A tenant whose settings cannot be read is left out and told of in the log.
    ///
    /// # Errors
    /// The store's.
    pub fn refresh(&self, store: &Store) -> Result<()> {
        let _alone = self
            .replacing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (tenants, listeners, tokens) = store.read(|tx| {
            Ok::<_, StoreError>((tx.tenants("", TENANTS_MAX)?, tx.listeners()?, tx.tokens()?))
        })?;
        let mut snapshot = Everything::default();
        for row in tenants {
            let id = row.id.clone();
            match Tenant::read(row) {
                Ok(tenant) => {
                    let tenant = Arc::new(tenant);
                    snapshot.by_no.insert(tenant.no(), Arc::clone(&tenant));
                    snapshot.by_id.insert(id, tenant);
                }
                Err(error) => {
                    tracing::error!(tenant.id = id, error.message = %error, "a tenant cannot be read");
                }
            }
        }
        for listener in listeners {
            let target = ListenerTarget {
                tenant: listener.tenant,
                event_type: listener.event_type,
                retired_at: listener.retired_at,
            };
            if let Ok(hash) = listener.secret_hash.try_into() {
                snapshot.listeners.insert(hash, target);
            }
        }
        for token in tokens {
            if let Ok(hash) = token.secret_hash.clone().try_into() {
                snapshot.tokens.insert(hash, Arc::new(token));
            }
        }
        let snapshot = Arc::new(snapshot);
        for newest in self.newest.all() {
            let handle = Arc::new(Snapshot(Arc::clone(&snapshot)));
            *newest.write().unwrap_or_else(PoisonError::into_inner) = handle;
        }
        Ok(())
    }
}
