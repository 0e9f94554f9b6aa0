//! The gateway among the addresses that Optimove is to call. Optimove has no documented way to ask
//! which one it has, so what was last written to it is remembered.

use optimove::{Client, Error as Refusal, SecretUrl};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::Result;
use crate::service::gateway::EVENT;
use crate::tenant::{GatewayVersion, Tenant};

/// Path of the gateway below the public URL; the secret follows.
pub const GATEWAY_PATH: &str = "/optimove/gateway/";

/// The finding about a gateway that Optimove does not take.
const REFUSED: &str = "gateway_refused";

/// Where the gateway stands, as far as we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GatewayState {
    /// Registered now, for the first time or at a new address.
    Registered,
    /// Registered before, and once more now: another may have taken its place.
    Unchanged,
    /// Registered by us last.
    Right,
    /// Wanted, and not registered.
    Missing,
    /// Optimove does not take it: the client may not have the feature, or the key not the right.
    Refused,
}

/// The address of a tenant's gateway.
pub(super) struct WantedGateway {
    url: SecretUrl,
    version: GatewayVersion,
    /// Of version and address, to be remembered.
    hash: [u8; 32],
    secret_hash: [u8; 32],
}

impl WantedGateway {
    /// The one that a tenant wants, if any.
    pub(super) fn of(app: &App, tenant: &Tenant, public_url: &str) -> Option<Self> {
        if !tenant.wants_gateway() {
            return None;
        }
        let generation = tenant.settings.listener_generation;
        let secret = app.keys.listener_secret(tenant.id(), EVENT, generation);
        let url = format!("{public_url}{GATEWAY_PATH}{secret}");
        let version = tenant.settings.gateway.version;
        Some(Self {
            hash: app.keys.hash(&format!("{version:?} {url}")),
            secret_hash: app.keys.hash(&secret),
            url: SecretUrl::new(url),
            version,
        })
    }

    /// Whether it is what we registered last.
    pub(super) fn state(&self, app: &App, tenant: &Tenant) -> Result<GatewayState> {
        let last = app.store.peek(|tx| tx.registered_gateway(tenant.no()))?;
        Ok(if last.is_some_and(|last| last.address_hash == self.hash) {
            GatewayState::Right
        } else {
            GatewayState::Missing
        })
    }

    /// Accepts its secret here, registers it there, and remembers that.
    pub(super) async fn register(
        self,
        app: &App,
        tenant: &Tenant,
        client: &Client,
    ) -> Result<GatewayState> {
        let before = self.state(app, tenant)?;
        let (no, generation) = (tenant.no(), tenant.settings.listener_generation);
        let secret_hash = self.secret_hash;
        app.tx("accept_gateway_secret", move |tx| {
            tx.insert_listener(no, EVENT, generation, &secret_hash)
        })
        .await?;
        app.directory_changed()?;
        let written = match self.version {
            GatewayVersion::V1 => client.set_gateway(self.url).await,
            GatewayVersion::V2 => client.register_triggered_webhook(self.url).await,
        };
        if let Err(error @ (Refusal::Refused { .. } | Refusal::Forbidden { .. })) = &written {
            // The listeners are worth more than the gateway: they stay as they are.
            let detail = format!("Optimove does not take the gateway: {error}");
            app.tx("gateway_refused", move |tx| {
                tx.find(no, REFUSED, "gateway", &detail)
            })
            .await?;
            return Ok(GatewayState::Refused);
        }
        written?;
        app.tx("gateway_registered", move |tx| {
            tx.resolve_finding(no, REFUSED, "gateway")?;
            tx.gateway_registered(no, &self.hash)
        })
        .await?;
        Ok(match before {
            GatewayState::Right => GatewayState::Unchanged,
            _ => GatewayState::Registered,
        })
    }
}
