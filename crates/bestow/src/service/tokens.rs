//! API tokens: made once, shown once, kept as a hash.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bestow_store::tokens::ApiToken;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

use crate::actor::{ADMIN_TOKEN, Actor, Role};
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::audit::Object;
use crate::service::tenants::check_name;
use crate::service::view::Instant;

/// Days a token lasts unless said otherwise.
pub const DAYS_DEFAULT: u32 = 90;
/// Days a token lasts at most.
pub const DAYS_MAX: u32 = 365;
/// The beginning of every token's text, so that one that leaked is recognised.
const PREFIX: &str = "bst_";
const DAY_MS: i64 = 86_400_000;

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for.
    pub name: String,
    /// `viewer`, `operator`, `approver`, `admin` or `auditor`.
    pub role: String,
    /// The one tenant it may see; absent: all of them.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Days until it expires; 90 unless said otherwise, 365 at most.
    #[serde(default)]
    pub days: Option<u32>,
}

/// A token that was just made. Its text is not kept and cannot be shown again.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TokenMade {
    /// Public id.
    pub id: String,
    /// The text to send as `Authorization: Bearer`.
    pub token: String,
    /// Refused from then on.
    pub expires_at: Instant,
}

impl std::fmt::Debug for TokenMade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenMade")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A token as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TokenView {
    /// Public id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub role: String,
    /// The one tenant it may see; `null`: all of them.
    pub tenant: Option<String>,
    /// `valid`, `expired` or `revoked`.
    pub status: String,
    /// When it was made.
    pub created_at: Instant,
    /// Refused from then on.
    pub expires_at: Instant,
}

/// Makes a token.
///
/// # Errors
/// [`Error::Invalid`] for an unknown role or a span that is too long; [`Error::NotFound`] for an
/// unknown tenant.
pub async fn create(app: &App, actor: &Actor, new: NewToken) -> Result<TokenMade> {
    let role = Role::parse(&new.role).ok_or_else(|| {
        let names = Role::ALL.map(Role::as_str).join(", ");
        Error::invalid(
            "bad_role",
            format!("`{}` is no role; the roles are {names}", new.role),
        )
    })?;
    let days = new.days.unwrap_or(DAYS_DEFAULT);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(Error::invalid(
            "bad_days",
            format!("a token lasts 1 to {DAYS_MAX} days"),
        ));
    }
    let tenant = new.tenant.as_deref().map(|id| app.tenant(id)).transpose()?;
    let now = app.clock.now_ms();
    let id = app.random.id(now);
    let token = format!(
        "{PREFIX}{id}_{}",
        URL_SAFE_NO_PAD.encode(app.random.bytes::<32>())
    );
    let kept = ApiToken {
        id: id.clone(),
        secret_hash: app.keys.hash(&token).to_vec(),
        name: check_name(&new.name)?,
        role: role.as_str().to_owned(),
        tenant: tenant.map(|tenant| tenant.no()),
        created_at: now,
        expires_at: now + i64::from(days) * DAY_MS,
        revoked_at: None,
    };
    let expires_at = Instant(kept.expires_at);
    let actor = actor.id.clone();
    app.store
        .tx("create_token", move |tx| {
            tx.insert_token(&kept)?;
            let detail = serde_json::json!({ "name": kept.name, "role": kept.role });
            let (tenant, object) = (recorded_for(kept.tenant), Object::Token(&kept.id));
            object.record(tx, tenant, &actor, "token.created", &detail)
        })
        .await?;
    app.directory_changed()?;
    Ok(TokenMade {
        id,
        token,
        expires_at,
    })
}

/// All tokens, oldest first.
///
/// # Errors
/// The store's.
pub fn list(app: &App) -> Result<Vec<TokenView>> {
    let now = app.clock.now_ms();
    let snapshot = app.directory.snapshot();
    let tokens = app.store.peek(|tx| tx.tokens())?;
    let view = |token: ApiToken| TokenView {
        status: match token.revoked_at {
            Some(at) if at <= now => "revoked",
            _ if token.expires_at <= now => "expired",
            _ => "valid",
        }
        .to_owned(),
        tenant: token.tenant.map(|no| {
            snapshot
                .tenant_by_no(no)
                .map_or_else(|| no.to_string(), |t| t.id().to_owned())
        }),
        id: token.id,
        name: token.name,
        role: token.role,
        created_at: Instant(token.created_at),
        expires_at: Instant(token.expires_at),
    };
    Ok(tokens.into_iter().map(view).collect())
}

/// Refuses a token from now on.
///
/// # Errors
/// [`Error::NotFound`] where there is none that is still accepted.
pub async fn revoke(app: &App, actor: &Actor, id: &str) -> Result<()> {
    let (actor, id) = (actor.id.clone(), id.to_owned());
    app.store
        .tx("revoke_token", move |tx| {
            let token = tx.tokens()?.into_iter().find(|token| token.id == id);
            if !tx.revoke_token(&id)? {
                return Err(Error::NotFound("token"));
            }
            let tenant = recorded_for(token.and_then(|token| token.tenant));
            Object::Token(&id).record(tx, tenant, &actor, "token.revoked", &"{}")?;
            Ok(())
        })
        .await?;
    app.directory_changed()
}

/// Who sends this text as a bearer token; nobody, where it is not accepted. Costs one hash and one
/// look-up in memory.
pub fn authenticate(app: &App, bearer: &str) -> Option<Actor> {
    let admin = &app.config.admin_token.0;
    if !admin.is_empty() && bool::from(admin.as_bytes().ct_eq(bearer.as_bytes())) {
        return Some(Actor {
            id: ADMIN_TOKEN.to_owned(),
            role: Role::Admin,
            tenant: None,
        });
    }
    if !bearer.starts_with(PREFIX) {
        return None;
    }
    let snapshot = app.directory.snapshot();
    let token = snapshot.token(&app.keys.hash(bearer), app.clock.now_ms())?;
    let role = Role::parse(&token.role)?;
    Some(Actor {
        id: token.id.clone(),
        role,
        tenant: token.tenant,
    })
}

/// Tokens that reach every tenant belong to the deployment itself.
fn recorded_for(tenant: Option<i64>) -> i64 {
    tenant.unwrap_or(0)
}
