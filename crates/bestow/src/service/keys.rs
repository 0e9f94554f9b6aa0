//! Sealing anew what an older key sealed: tenant by tenant, each in one transaction, and as often as it takes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bestow_store::tenants::Tenant as TenantRow;
use bestow_store::{Error as StoreError, Tx};

use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::random::Random;
use crate::service::audit::Object;
use crate::service::clearance::secret_place;
use crate::service::destinations::secrets_place;
use crate::tenant::{Settings, credential_place};

/// Tenants read at once.
const TENANTS_MAX: u32 = 100;
/// Destinations of a tenant read at once.
const DESTINATIONS_MAX: u32 = 1_000;

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Tenants looked at.
    pub tenants: u64,
    /// Secrets that were sealed anew; the others were already.
    pub secrets: u64,
}

/// Seals everything anew that an older key sealed. Interrupted, it is run again and goes on where it was.
///
/// # Errors
/// The store's; [`Error::Key`] where something opens with no key.
pub async fn reseal(app: &App, actor: &Actor) -> Result<Resealed> {
    let (mut done, mut after) = (Resealed::default(), String::new());
    loop {
        let tenants = app.store.peek(|tx| tx.tenants(&after, TENANTS_MAX))?;
        let Some(last) = tenants.last() else { break };
        after.clone_from(&last.id);
        for tenant in tenants {
            let (keys, random) = (app.keys.clone(), app.random.clone());
            let (id, actor) = (tenant.id, actor.id.clone());
            let work = move |tx: &mut Tx<'_>| of_tenant(tx, &id, &keys, &random, &actor);
            done.secrets += app.store.tx("reseal_tenant", work).await?;
            done.tenants += 1;
        }
    }
    if done.secrets > 0 {
        app.directory_changed()?;
    }
    Ok(done)
}

fn of_tenant(tx: &mut Tx<'_>, id: &str, keys: &Keys, random: &Random, actor: &str) -> Result<u64> {
    let Some(mut tenant) = tx.tenant(id)? else {
        return Ok(0);
    };
    let mut secrets = 0;
    if let Some(anew) = keys.reseal(&credential_place(id), &tenant.credential, random)? {
        tenant.credential = anew;
        secrets += 1;
    }
    if let Some(settings) = settings(&tenant, keys, random)? {
        tenant.settings = settings;
        secrets += 1;
    }
    if secrets > 0 {
        tx.update_tenant(&super::tenants::row_fields(&tenant))?;
    }
    for destination in tx.destinations(tenant.no, "", DESTINATIONS_MAX)? {
        let Some(sealed) = &destination.secrets else {
            continue;
        };
        let place = secrets_place(id, &destination.id);
        if let Some(anew) = keys.reseal(&place, sealed, random)? {
            let settings = &destination.settings;
            tx.set_destination(tenant.no, destination.no, settings, Some(&anew))?;
            secrets += 1;
        }
    }
    if secrets > 0 {
        let detail = serde_json::json!({ "secrets": secrets });
        Object::Tenant(id).record(tx, tenant.no, actor, "tenant.resealed", &detail)?;
    }
    Ok(secrets)
}

/// The settings with the secret in them sealed anew; `None` where there is nothing to do.
fn settings(tenant: &TenantRow, keys: &Keys, random: &Random) -> Result<Option<String>> {
    let corrupt = |error: &dyn std::fmt::Display| {
        Error::from(StoreError::Corrupt(format!(
            "settings of a tenant: {error}"
        )))
    };
    let mut settings: Settings =
        serde_json::from_str(&tenant.settings).map_err(|error| corrupt(&error))?;
    let Some(sealed) = settings
        .approval
        .as_mut()
        .and_then(|one| one.sealed_secret.as_mut())
    else {
        return Ok(None);
    };
    let bytes = STANDARD.decode(&*sealed).map_err(|error| corrupt(&error))?;
    let Some(anew) = keys.reseal(&secret_place(&tenant.id), &bytes, random)? else {
        return Ok(None);
    };
    *sealed = STANDARD.encode(anew);
    let written = serde_json::to_string(&settings).map_err(|error| corrupt(&error))?;
    Ok(Some(written))
}
