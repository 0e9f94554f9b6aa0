//! Checkpoints as the outside sees and keeps them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bestow_store::Error as StoreError;
use bestow_store::audit::Checkpoint;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::{Error, Result};
use crate::service::view::Instant;
use crate::tenant::Tenant;

/// A signed head of a chain of audit records. Bytes are in base64 for addresses, without padding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CheckpointView {
    /// The tenant; null: the deployment itself.
    pub tenant: Option<String>,
    /// The newest record that it covers.
    pub seq: u64,
    /// When it was signed.
    pub at: Instant,
    /// SHA-256 over all records up to it, each hashed with what came before.
    pub head: String,
    /// The public key, Ed25519.
    pub key: String,
    /// Of tenant, `seq`, `at` and `head`.
    pub signature: String,
}

impl CheckpointView {
    fn new(tenant: Option<&str>, checkpoint: &Checkpoint) -> Self {
        Self {
            tenant: tenant.map(str::to_owned),
            seq: checkpoint.seq,
            at: Instant(checkpoint.at),
            head: URL_SAFE_NO_PAD.encode(&checkpoint.head),
            key: URL_SAFE_NO_PAD.encode(&checkpoint.key),
            signature: URL_SAFE_NO_PAD.encode(&checkpoint.signature),
        }
    }
}

/// Checkpoints of a tenant behind a record, oldest first.
///
/// # Errors
/// The store's.
pub fn list(app: &App, tenant: &Tenant, after: i64, limit: u32) -> Result<Vec<CheckpointView>> {
    let found = app
        .store
        .peek(|tx| tx.checkpoints(tenant.no(), after, limit))?;
    let views = found
        .iter()
        .map(|checkpoint| CheckpointView::new(Some(tenant.id()), checkpoint));
    Ok(views.collect())
}

/// The newest checkpoint of every tenant and of the deployment: what is worth keeping elsewhere.
///
/// # Errors
/// The store's.
pub fn newest(app: &App) -> Result<Vec<CheckpointView>> {
    let found = app.store.read(|tx| {
        let mut found = vec![(None, tx.last_checkpoint(0)?)];
        for tenant in tx.tenants("", u32::MAX)? {
            let newest = tx.last_checkpoint(tenant.no)?;
            found.push((Some(tenant.id), newest));
        }
        Ok::<_, StoreError>(found)
    })?;
    let views = found.into_iter().filter_map(|(tenant, newest)| {
        newest.map(|newest| CheckpointView::new(tenant.as_deref(), &newest))
    });
    Ok(views.collect())
}

/// A checkpoint that was kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCheckpoint {
    /// The tenant's number; 0: the deployment itself.
    pub(super) tenant: i64,
    pub(super) checkpoint: Checkpoint,
}

/// A line of a file of kept checkpoints.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    tenant: Option<String>,
    seq: u64,
    at: String,
    head: String,
    key: String,
    signature: String,
}

/// Reads checkpoints as [`CheckpointView`]s are written, one JSON object a line.
///
/// # Errors
/// `bad_checkpoint` names the line that is none, or the tenant that is not here.
pub fn kept(app: &App, text: &str) -> Result<Vec<KeptCheckpoint>> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let read = lines.map(|(at, line)| {
        one(app, line).map_err(|why| {
            let message = format!("Line {} of the kept checkpoints: {why}.", at + 1);
            Error::invalid("bad_checkpoint", message)
        })
    });
    read.collect()
}

fn one(app: &App, line: &str) -> std::result::Result<KeptCheckpoint, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let bytes = |text: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(text);
        bytes.map_err(|error| error.to_string())
    };
    let tenant = match &line.tenant {
        None => 0,
        Some(id) => {
            let tenant = app.tenant(id);
            tenant.map_err(|_| format!("there is no tenant {id}"))?.no()
        }
    };
    let at: jiff::Timestamp = line.at.parse().map_err(|_| "`at` is no instant")?;
    Ok(KeptCheckpoint {
        tenant,
        checkpoint: Checkpoint {
            seq: line.seq,
            at: at.as_millisecond(),
            head: bytes(&line.head)?,
            key: bytes(&line.key)?,
            signature: bytes(&line.signature)?,
        },
    })
}
