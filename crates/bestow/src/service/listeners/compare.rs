//! Wanted and registered listeners, side by side.

use std::collections::HashMap;

use optimove::SecretUrl;
use optimove::wire::RegisteredListener;
use serde::Serialize;
use url::Url;
use utoipa::ToSchema;

use super::{GatewayState, Slot, Wanted};

/// Wanted and registered listeners, compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Comparison {
    /// Registered as wanted.
    pub right: Vec<Slot>,
    /// Wanted, and not registered at all.
    pub missing: Vec<Slot>,
    /// Wanted, and registered with another address.
    pub elsewhere: Vec<Foreign>,
    /// Addresses of ours that are not wanted any more.
    pub stale: Vec<Slot>,
    /// Somebody else's; left alone.
    pub foreign: Vec<Foreign>,
    /// The gateway; `null` where the tenant wants none.
    pub gateway: Option<GatewayState>,
}

/// A registered address that is not the wanted one, without what may be secret in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Foreign {
    /// For what.
    #[serde(flatten)]
    pub slot: Slot,
    /// Scheme and host of the address.
    pub host: String,
}

impl Comparison {
    /// Whether nothing is to be done.
    pub fn is_right(&self) -> bool {
        let has_gateway = self.gateway != Some(GatewayState::Missing);
        let is_complete = self.missing.is_empty() && self.elsewhere.is_empty();
        is_complete && self.stale.is_empty() && has_gateway
    }
}

/// Compares them; `prefix` is what all addresses of ours begin with.
pub(super) fn compare(
    wanted: &[Wanted],
    registered: &[RegisteredListener],
    prefix: &str,
) -> Comparison {
    let slot = |listener: &RegisteredListener| Slot {
        event_type: listener.event_type,
        channel_id: listener.channel_id,
    };
    let by_slot: HashMap<Slot, &RegisteredListener> = registered
        .iter()
        .map(|listener| (slot(listener), listener))
        .collect();
    let mut comparison = Comparison::default();
    for Wanted { slot, url } in wanted {
        match by_slot.get(slot) {
            Some(found) if found.listener_url == *url => comparison.right.push(*slot),
            Some(found) => {
                let host = host(&found.listener_url);
                comparison.elsewhere.push(Foreign { slot: *slot, host });
            }
            None => comparison.missing.push(*slot),
        }
    }
    for listener in registered {
        let slot = slot(listener);
        if wanted.iter().any(|wanted| wanted.slot == slot) {
            continue;
        }
        if listener.listener_url.expose().starts_with(prefix) {
            comparison.stale.push(slot);
        } else {
            comparison.foreign.push(Foreign {
                slot,
                host: host(&listener.listener_url),
            });
        }
    }
    comparison
}

fn host(url: &SecretUrl) -> String {
    let host = Url::parse(url.expose()).map(|url| url.origin().ascii_serialization());
    host.unwrap_or_else(|_| "an address that cannot be read".to_owned())
}
