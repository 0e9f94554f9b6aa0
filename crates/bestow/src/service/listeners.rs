//! Listeners: the addresses that Optimove is to call, compared with those that it has registered.

mod compare;
mod gateway;

use std::collections::BTreeSet;
use std::net::IpAddr;

use optimove::SecretUrl;
use optimove::rate::Priority;
use optimove::wire::{RegisterEventListener, UnregisterEventListener};
use serde::{Deserialize, Serialize};
use url::{Host, Url};
use utoipa::ToSchema;

use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::gateway::EVENT;
use crate::service::notifications::seconds_ms;
use crate::service::tenants;
use crate::tenant::Tenant;

use compare::compare;
pub use compare::{Comparison, Foreign};
use gateway::WantedGateway;
pub use gateway::{GATEWAY_PATH, GatewayState};

/// Path of the listeners below the public URL; the secret follows.
pub const LISTENER_PATH: &str = "/optimove/listener/";

/// What a listener is registered for: one event, on one channel or on all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ToSchema)]
pub struct Slot {
    /// Optimove's number of the event.
    pub event_type: i64,
    /// Optimove's channel; `null`: whichever.
    pub channel_id: Option<i64>,
}

/// A listener that should be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// For what.
    pub slot: Slot,
    /// Where; holds the secret.
    pub url: SecretUrl,
}

/// What a sync did. Answer of `POST …/listeners/sync`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct SyncReport {
    /// Registered, or moved to the right address.
    pub registered: Vec<Slot>,
    /// Removed: addresses of ours that are not wanted any more.
    pub removed: Vec<Slot>,
    /// Right before.
    pub unchanged: Vec<Slot>,
    /// The gateway; `null` where the tenant wants none.
    pub gateway: Option<GatewayState>,
}

/// What should be registered for a tenant: event 13 on each of its scheduled channels, event 11 on
/// each real-time channel, the others without a channel. Addresses of one event share one secret.
///
/// # Errors
/// [`Error::Conflict`] `no_public_url` where it is not known how Optimove reaches this service, and
/// `public_url_is_local` where only this machine does and Optimove is elsewhere.
pub fn wanted(app: &App, tenant: &Tenant) -> Result<Vec<Wanted>> {
    let public_url = public_url(app, tenant)?;
    let settings = &tenant.settings;
    let generation = settings.listener_generation;
    let mut wanted = Vec::new();
    for event_type in tenant.event_types() {
        let secret = app
            .keys
            .listener_secret(tenant.id(), event_type, generation);
        let url = SecretUrl::new(format!("{public_url}{LISTENER_PATH}{secret}"));
        let channels: Vec<Option<i64>> = match event_type {
            13 => settings
                .scheduled_channels
                .iter()
                .copied()
                .map(Some)
                .collect(),
            11 => settings
                .triggered_channels
                .iter()
                .copied()
                .map(Some)
                .collect(),
            _ => vec![None],
        };
        wanted.extend(channels.into_iter().map(|channel_id| Wanted {
            slot: Slot {
                event_type,
                channel_id,
            },
            url: url.clone(),
        }));
    }
    Ok(wanted)
}

/// Compares without changing anything.
///
/// # Errors
/// As [`wanted`], and Optimove's.
pub async fn show(app: &App, tenant: &Tenant) -> Result<Comparison> {
    let wanted = wanted(app, tenant)?;
    let registered = app
        .client(tenant, Priority::Catalogue)?
        .get_registered_event_listeners()
        .await?;
    let gateway = WantedGateway::of(app, tenant, public_url(app, tenant)?);
    let gateway = gateway
        .map(|wanted| wanted.state(app, tenant))
        .transpose()?;
    Ok(Comparison {
        gateway,
        ..compare(&wanted, &registered, &our_prefix(app, tenant)?)
    })
}

/// Registers, moves and removes listeners until Optimove's list is as wanted, and reads it again to
/// be sure. Addresses are accepted here before they are registered there, and older ones for
/// another while (`http.old_listener_seconds`).
///
/// # Errors
/// As [`wanted`], and Optimove's. [`Error::Conflict`] `listeners_differ` where Optimove's list does
/// not show what was just written to it.
pub async fn sync(app: &App, actor: &Actor, tenant: &Tenant) -> Result<SyncReport> {
    if tenant.is_suspended() {
        return Err(suspended());
    }
    let wanted = wanted(app, tenant)?;
    accept_secrets(app, tenant).await?;
    let client = app.client(tenant, Priority::Catalogue)?;
    let prefix = our_prefix(app, tenant)?;
    let found = compare(
        &wanted,
        &client.get_registered_event_listeners().await?,
        &prefix,
    );
    let mut report = SyncReport {
        unchanged: found.right.clone(),
        ..SyncReport::default()
    };
    for wanted in wanted
        .iter()
        .filter(|wanted| !found.right.contains(&wanted.slot))
    {
        let Slot {
            event_type,
            channel_id,
        } = wanted.slot;
        let listener = RegisterEventListener {
            event_type,
            listener_url: wanted.url.clone(),
            channel_id,
        };
        client.register_event_listener(&listener).await?;
        report.registered.push(wanted.slot);
    }
    for slot in &found.stale {
        let Slot {
            event_type,
            channel_id,
        } = *slot;
        client
            .unregister_event_listener(UnregisterEventListener {
                event_type,
                channel_id,
            })
            .await?;
        report.removed.push(*slot);
    }
    if !found.is_right() {
        let now = compare(
            &wanted,
            &client.get_registered_event_listeners().await?,
            &prefix,
        );
        if !now.is_right() {
            let message =
                "Optimove's list of listeners does not show what was just written to it: try again";
            return Err(Error::conflict("listeners_differ", message));
        }
    }
    if let Some(gateway) = WantedGateway::of(app, tenant, public_url(app, tenant)?) {
        report.gateway = Some(gateway.register(app, tenant, &client).await?);
    }
    settle(app, actor, tenant, &report).await?;
    Ok(report)
}

/// What a rotation is to do. Body of `POST …/listeners/rotate`; without one everything is as by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rotation {
    /// Seconds for which the old addresses are still accepted once the new ones are registered; the
    /// deployment's setting unless given. 0 shuts them at once: what is on its way to them is lost.
    pub old_accepted_seconds: Option<u32>,
}

/// Gives the tenant's listeners new addresses: accepted here first, then registered at Optimove, and
/// only then are the old ones given an end. Where it fails half-way, old and new ones are accepted
/// and the next sync goes on.
///
/// # Errors
/// As [`sync`].
pub async fn rotate(
    app: &App,
    actor: &Actor,
    tenant: &Tenant,
    rotation: &Rotation,
) -> Result<SyncReport> {
    if tenant.is_suspended() {
        return Err(suspended());
    }
    // Known before anything is changed: without an address there is nothing to rotate to.
    public_url(app, tenant)?;
    tenants::rotate_listeners(app, actor, tenant.id()).await?;
    let tenant = app.tenant(tenant.id())?;
    let report = sync(app, actor, &tenant).await?;
    if let Some(seconds) = rotation.old_accepted_seconds {
        let (no, generation) = (tenant.no(), tenant.settings.listener_generation);
        app.tx("retire_old_listeners", move |tx| {
            let at = tx.now_ms() + seconds_ms(u64::from(seconds));
            let listeners = tx.listeners()?;
            let of_tenant = listeners.iter().filter(|listener| listener.tenant == no);
            let of_tenant: BTreeSet<i64> = of_tenant.map(|listener| listener.event_type).collect();
            of_tenant
                .into_iter()
                .try_for_each(|event_type| tx.retire_listeners(no, event_type, generation, at))
        })
        .await?;
        app.directory_changed()?;
    }
    Ok(report)
}

fn suspended() -> Error {
    Error::conflict(
        "tenant_suspended",
        "the tenant is suspended: resume it first",
    )
}

/// Whether an address is one that only this machine can reach.
pub(crate) fn is_loopback(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    match url.host() {
        Some(Host::Ipv4(ip)) => is_local(ip.into()),
        Some(Host::Ipv6(ip)) => is_local(ip.into()),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Loopback, or "every address of this machine", which is no address that others can call.
fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified()
}

fn public_url<'a>(app: &'a App, tenant: &Tenant) -> Result<&'a str> {
    let url = app.public_url.get().ok_or_else(|| {
        let message = "it is not known how Optimove reaches this service: set BESTOW_PUBLIC_URL";
        Error::conflict("no_public_url", message)
    })?;
    if is_loopback(url) && !is_loopback(&tenant.row.base_url) {
        let message = format!(
            "only this machine reaches {url}, and Optimove is elsewhere: set BESTOW_PUBLIC_URL"
        );
        return Err(Error::conflict("public_url_is_local", message));
    }
    Ok(url)
}

fn our_prefix(app: &App, tenant: &Tenant) -> Result<String> {
    Ok(format!("{}{LISTENER_PATH}", public_url(app, tenant)?))
}

/// Makes sure that the secrets of the present generation are accepted, before anybody is told of
/// them.
async fn accept_secrets(app: &App, tenant: &Tenant) -> Result<()> {
    let (no, generation) = (tenant.no(), tenant.settings.listener_generation);
    let hashes: Vec<(i64, [u8; 32])> = tenant
        .event_types()
        .into_iter()
        .map(|event_type| {
            let secret = app
                .keys
                .listener_secret(tenant.id(), event_type, generation);
            (event_type, app.keys.hash(&secret))
        })
        .collect();
    app.store
        .tx("accept_listener_secrets", move |tx| {
            for (event_type, hash) in &hashes {
                tx.insert_listener(no, *event_type, generation, hash)?;
            }
            Ok::<_, Error>(())
        })
        .await?;
    app.directory_changed()
}

/// Lets older addresses run out and records what was changed.
async fn settle(app: &App, actor: &Actor, tenant: &Tenant, report: &SyncReport) -> Result<()> {
    let (no, id, actor) = (tenant.no(), tenant.id().to_owned(), actor.id.clone());
    let (event_types, generation) = (tenant.event_types(), tenant.settings.listener_generation);
    let detail =
        serde_json::to_string(report).map_err(|e| Error::invalid("bad_report", e.to_string()))?;
    let old_accepted_ms = seconds_ms(app.config.http.old_listener_seconds);
    let is_changed = !report.registered.is_empty()
        || !report.removed.is_empty()
        || report.gateway == Some(GatewayState::Registered);
    app.store
        .tx("settle_listeners", move |tx| {
            let at = tx.now_ms() + old_accepted_ms;
            for event_type in event_types.iter().chain([&EVENT]) {
                tx.retire_listeners(no, *event_type, generation, at)?;
            }
            if is_changed {
                Object::Tenant(&id).record(tx, no, &actor, "listeners.synced", &detail)?;
            }
            Ok::<_, Error>(())
        })
        .await?;
    app.directory_changed()
}
