//! The switch of one tenant.

use super::{TenantView, is_deleted, read, try_again};
use crate::actor::Actor;
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::campaigns::StopReason;
use crate::tenant::Tenant;

/// Whether work for a tenant rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspension {
    /// Work rests, nothing is redeemable; the listener keeps storing.
    Suspend,
    /// It goes on.
    Resume,
}

/// Suspends or resumes a tenant. Suspending is one row: nothing of the tenant is redeemable from
/// then on, and the listener keeps storing.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] `deleted` for one that has no credential any more.
pub async fn set_suspended(
    app: &App,
    actor: &Actor,
    id: &str,
    to: Suspension,
) -> Result<TenantView> {
    change_suspension(app, actor, id, to, String::new()).await
}

/// As [`set_suspended`], for a reason.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] with `reason_too_long`.
pub async fn suspend(app: &App, actor: &Actor, id: &str, stop: StopReason) -> Result<TenantView> {
    let reason = stop.or("suspended by an operator")?;
    change_suspension(app, actor, id, Suspension::Suspend, reason).await
}

async fn change_suspension(
    app: &App,
    actor: &Actor,
    id: &str,
    to: Suspension,
    reason: String,
) -> Result<TenantView> {
    let (actor, id) = (actor.id.clone(), id.to_owned());
    let row = app
        .store
        .tx("set_tenant_suspended", move |tx| {
            let row = read(tx, &id)?;
            let at = match to {
                Suspension::Resume if is_deleted(&row) => {
                    let message = "the tenant was deleted: give it a credential first";
                    return Err(Error::conflict("deleted", message));
                }
                Suspension::Resume => None,
                Suspension::Suspend => Some(row.suspended_at.unwrap_or(tx.now_ms())),
            };
            if at == row.suspended_at {
                return Ok(row);
            }
            tx.set_tenant_suspended(row.no, at)?;
            if to == Suspension::Resume {
                try_again(tx, row.no)?;
            }
            let action = if at.is_some() {
                "tenant.suspended"
            } else {
                "tenant.resumed"
            };
            let detail = if reason.is_empty() {
                serde_json::json!({})
            } else {
                serde_json::json!({ "reason": reason })
            };
            Object::Tenant(&id).record(tx, row.no, &actor, action, &detail)?;
            read(tx, &id)
        })
        .await?;
    app.directory_changed()?;
    app.work.notify_one();
    Ok(TenantView::from(&Tenant::read(row)?))
}
