//! Tenants: Optimove clients with their credentials and settings.
//!
//! A credential is sealed before it reaches the store, and nothing here gives it back.

mod form;
mod rules;
mod suspension;
mod view;
mod words;

pub use form::{
    ApprovalForm, AuthForm, ExpiryRule, NewTenant, OptimoveAccess, OptimovePatch, SecretText,
    TenantPatch, UnconfirmedRule,
};

pub use suspension::{Suspension, set_suspended, suspend};
pub use view::{ApprovalView, OptimoveView, TenantView};

use bestow_store::tenants::{Tenant as Row, TenantFields};
use bestow_store::{Error as StoreError, Tx};
use serde_json::{Value, json};

pub(crate) use rules::check_name;

use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::{clearance, ended};
use crate::tenant::{Credential, Guards, Settings, Tenant, credential_place};
use form::Checked;

/// Makes a tenant.
///
/// # Errors
/// [`Error::Invalid`] for a value that breaks a rule. [`Error::Conflict`] where the id is taken:
/// `exists` if the two are equal, else `exists_with_different_<field>` for the first field that
/// differs.
pub async fn create(app: &App, actor: &Actor, new: NewTenant) -> Result<TenantView> {
    let (mut checked, credential) = new.check(app)?;
    if checked.settings.guards != Guards::default() {
        checked.settings.guards_set_by = Some(actor.id.clone());
    }
    let sealed = seal(app, &new.id, &credential);
    let (actor, id, made) = (actor.id.clone(), new.id.clone(), checked.clone());
    let kind = credential.kind();
    let (row, is_new) = app
        .store
        .tx("create_tenant", move |tx| {
            let settings = settings_json(&made.settings)?;
            let inserted = tx.insert_tenant(&fields(&id, &made, &settings, kind, &sealed))?;
            if let Some(no) = inserted {
                let detail = json!({ "before": null, "after": told(&read(tx, &id)?)? });
                Object::Tenant(&id).record(tx, no, &actor, "tenant.created", &detail)?;
            }
            Ok::<_, Error>((read(tx, &id)?, inserted.is_some()))
        })
        .await?;
    let tenant = Tenant::read(row)?;
    if !is_new {
        return Err(taken(app, &tenant, &checked, &credential));
    }
    app.directory_changed()?;
    app.work.notify_one();
    Ok(TenantView::from(&tenant))
}

/// Changes a tenant; what the patch does not name stays.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`]. A new base URL without its credential is refused: a
/// credential that is kept here must not be sent to another place on anybody's word.
pub async fn update(app: &App, actor: &Actor, id: &str, patch: TenantPatch) -> Result<TenantView> {
    let tenant = app.tenant(id)?;
    let credential = patch.credential()?;
    let before = Checked {
        name: tenant.row.name.clone(),
        time_zone: tenant.row.time_zone.clone(),
        base_url: tenant.row.base_url.clone(),
        settings: tenant.settings.clone(),
    };
    let mut after = patch.apply(app, id, before.clone())?;
    if after.settings.guards != before.settings.guards {
        after.settings.guards_set_by = Some(actor.id.clone());
    }
    if after.base_url != before.base_url && credential.is_none() {
        let message = "another base URL needs the credential again, in `optimove.auth`";
        return Err(Error::invalid("auth_needed", message));
    }
    let kept = (tenant.row.auth_kind.clone(), tenant.row.credential.clone());
    let (kind, sealed) = match &credential {
        Some(credential) => (credential.kind().to_owned(), seal(app, id, credential)),
        None => kept,
    };
    write(
        app,
        actor,
        "tenant.changed",
        tenant.row.clone(),
        after,
        kind,
        sealed,
    )
    .await
}

/// Starts a new generation of listener addresses. The present ones stay valid; `listeners::sync`
/// registers the new ones at Optimove and lets the old ones run out.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn rotate_listeners(app: &App, actor: &Actor, id: &str) -> Result<TenantView> {
    let tenant = app.tenant(id)?;
    let mut settings = tenant.settings.clone();
    settings.listener_generation += 1;
    let row = &tenant.row;
    let after = Checked {
        name: row.name.clone(),
        time_zone: row.time_zone.clone(),
        base_url: row.base_url.clone(),
        settings,
    };
    let (kind, sealed) = (row.auth_kind.clone(), row.credential.clone());
    write(
        app,
        actor,
        "tenant.listeners_rotated",
        row.clone(),
        after,
        kind,
        sealed,
    )
    .await
}

/// Ends a tenant: work stops for good, its credential is forgotten, its listeners' addresses are no
/// longer accepted. What it was granted stays on record.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] `grants_live` while a grant of it runs or is to come.
pub async fn delete(app: &App, actor: &Actor, id: &str) -> Result<()> {
    let (actor, id) = (actor.id.clone(), id.to_owned());
    let patience = ended::patience(app);
    app.store
        .tx("delete_tenant", move |tx| {
            let row = read(tx, &id)?;
            if is_deleted(&row) {
                return Ok(());
            }
            let tenant = Tenant::read(row)?;
            let row = &tenant.row;
            if let Some(code) = ended::codes_in_use(tx, &tenant, patience)?.iter().min() {
                let message = format!(
                    "grants of the tenant still run or are to come, such as those for {code}: \
                     revoke their campaigns, or suspend the tenant"
                );
                return Err(Error::conflict("grants_live", message));
            }
            tx.update_tenant(&TenantFields {
                credential: &[],
                ..row_fields(row)
            })?;
            let now = tx.now_ms();
            tx.set_tenant_suspended(row.no, Some(row.suspended_at.unwrap_or(now)))?;
            let next = tenant.settings.listener_generation + 1;
            for event_type in tx.listeners()?.iter().filter(|l| l.tenant == tenant.no()) {
                tx.retire_listeners(tenant.no(), event_type.event_type, next, now)?;
            }
            Object::Tenant(&id).record(tx, tenant.no(), &actor, "tenant.deleted", &"{}")?;
            Ok(())
        })
        .await?;
    app.directory_changed()
}

/// One tenant.
///
/// # Errors
/// [`Error::NotFound`].
pub fn get(app: &App, id: &str) -> Result<TenantView> {
    Ok(TenantView::from(app.tenant(id)?.as_ref()))
}

/// Tenants behind an id, in the order of ids.
///
/// # Errors
/// The store's.
pub fn list(app: &App, after: &str, limit: u32) -> Result<Vec<TenantView>> {
    let rows = app.store.peek(|tx| tx.tenants(after, limit))?;
    rows.into_iter()
        .map(|row| Ok(TenantView::from(&Tenant::read(row)?)))
        .collect()
}

/// A deleted tenant is suspended and has no credential.
fn is_deleted(row: &Row) -> bool {
    row.credential.is_empty()
}

fn read(tx: &mut Tx<'_>, id: &str) -> Result<Row> {
    tx.tenant(id)?.ok_or(Error::NotFound("tenant"))
}

/// Writes a tenant that was changed from `before`; refuses where somebody else changed it
/// meanwhile.
async fn write(
    app: &App,
    actor: &Actor,
    action: &'static str,
    before: Row,
    after: Checked,
    kind: String,
    sealed: Vec<u8>,
) -> Result<TenantView> {
    let actor = actor.id.clone();
    let row = app
        .store
        .tx("change_tenant", move |tx| {
            let found = read(tx, &before.id)?;
            if found != before {
                let message =
                    "somebody else changed the tenant meanwhile: look at it and try again";
                return Err(Error::conflict("changed_meanwhile", message));
            }
            let settings = settings_json(&after.settings)?;
            tx.update_tenant(&fields(&before.id, &after, &settings, &kind, &sealed))?;
            if before.time_zone != after.time_zone {
                // They were reckoned in the zone that it had.
                tx.fix_windows(before.no)?;
            }
            if before.credential != sealed || before.base_url != after.base_url {
                try_again(tx, before.no)?;
            }
            let row = read(tx, &before.id)?;
            let detail = json!({
                "before": told(&before)?, "after": told(&row)?,
                "credential_replaced": before.credential != row.credential,
            });
            Object::Tenant(&before.id).record(tx, before.no, &actor, action, &detail)?;
            Ok(row)
        })
        .await?;
    app.directory_changed()?;
    app.work.notify_one();
    Ok(TenantView::from(&Tenant::read(row)?))
}

/// What was wrong may be mended: work that rests is tried at once.
fn try_again(tx: &mut Tx<'_>, no: i64) -> std::result::Result<(), StoreError> {
    tx.end_rest(no)?;
    tx.hasten_failed_jobs(no)
}

/// Whether fields of two settings are equal, each with the code of a conflict about it.
macro_rules! compared {
    ($known:expr, $asked:expr; $($field:ident),+) => {
        [$((
            $known.$field == $asked.$field,
            concat!("exists_with_different_", stringify!($field)),
        )),+]
    };
}

/// Why an id is taken: by an equal tenant, or by one that differs, first in which field.
fn taken(app: &App, found: &Tenant, wanted: &Checked, credential: &Credential) -> Error {
    let Tenant { row, settings, .. } = found;
    let known: Option<Credential> = app
        .keys
        .open(&credential_place(&row.id), &row.credential)
        .ok()
        .and_then(|opened| serde_json::from_slice(&opened).ok());
    let asked = &wanted.settings;
    let row_compared = [
        (row.name == wanted.name, "exists_with_different_name"),
        (
            row.time_zone == wanted.time_zone,
            "exists_with_different_time_zone",
        ),
        (
            row.base_url == wanted.base_url,
            "exists_with_different_base_url",
        ),
        (
            known.as_ref() == Some(credential),
            "exists_with_different_auth",
        ),
    ];
    let settings_compared = compared!(
        settings, asked; scheduled_channels, triggered_channels, conditional, expiry, cancel_unconfirmed,
        duration_days_default, codes_per_row_max, page_rows, catalogue_sync, triggered, gateway, retention_days, guards, reward_schema,
        codes_at_once_max
    );
    let approval_compared = (
        clearance::is_same_approval(app, &row.id, settings, asked),
        "exists_with_different_approval",
    );
    let differs = row_compared
        .into_iter()
        .chain(settings_compared)
        .chain([approval_compared])
        .find_map(|(is_equal, code)| (!is_equal).then_some(code));
    match differs {
        None => Error::conflict(
            "exists",
            format!("there is a tenant {} just like this", row.id),
        ),
        Some(code) => {
            let field = code.trim_start_matches("exists_with_different_");
            Error::conflict(
                code,
                format!("there is a tenant {} with another {field}", row.id),
            )
        }
    }
}

fn seal(app: &App, id: &str, credential: &Credential) -> Vec<u8> {
    let json = serde_json::to_vec(credential).expect("a credential is plain text in a plain enum");
    app.keys.seal(&credential_place(id), &json, &app.random)
}

fn settings_json(settings: &Settings) -> Result<String> {
    serde_json::to_string(settings).map_err(|e| Error::invalid("bad_settings", e.to_string()))
}

/// A tenant as the record may show it: not even sealed secrets.
fn told(row: &Row) -> Result<Value> {
    let mut settings = Tenant::read(row.clone())?.settings;
    if let Some(approval) = &mut settings.approval {
        approval.sealed_secret = None;
    }
    Ok(json!({
        "name": row.name, "time_zone": row.time_zone, "base_url": row.base_url,
        "auth_kind": row.auth_kind, "settings": settings,
    }))
}

fn fields<'a>(
    id: &'a str,
    checked: &'a Checked,
    settings: &'a str,
    kind: &'a str,
    sealed: &'a [u8],
) -> TenantFields<'a> {
    TenantFields {
        id,
        name: &checked.name,
        time_zone: &checked.time_zone,
        base_url: &checked.base_url,
        auth_kind: kind,
        credential: sealed,
        settings,
    }
}

pub(super) fn row_fields(row: &Row) -> TenantFields<'_> {
    TenantFields {
        id: &row.id,
        name: &row.name,
        time_zone: &row.time_zone,
        base_url: &row.base_url,
        auth_kind: &row.auth_kind,
        credential: &row.credential,
        settings: &row.settings,
    }
}
