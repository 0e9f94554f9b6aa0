//! A tenant as it is shown.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{ExpiryRule, UnconfirmedRule, is_deleted};
use crate::service::view::Instant;
use crate::tenant::{CatalogueSync, Gateway, Guards, Tenant, Triggered};

/// A tenant as everybody may see it who may see it at all: without its credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TenantView {
    /// Short name.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// `active`, `suspended` or `deleted`.
    pub status: String,
    /// IANA name.
    pub time_zone: String,
    /// How Optimove is reached.
    pub optimove: OptimoveView,
    /// Execution channels whose scheduled campaigns are imported.
    pub scheduled_channels: Vec<i64>,
    /// Real-time channels of triggered campaigns.
    pub triggered_channels: Vec<i64>,
    /// Whether conditional campaigns are used.
    pub conditional: bool,
    /// What ends a grant.
    pub expiry: ExpiryRule,
    /// What is done with a cancelled campaign where Optimove cannot tell.
    pub cancel_unconfirmed: UnconfirmedRule,
    /// Days a promotion lasts where its campaign tells no usable duration.
    pub duration_days_default: Option<u16>,
    /// Distinct codes that one row may carry.
    pub codes_per_row_max: usize,
    /// Rows asked for in one page; `null`: the deployment's setting.
    pub page_rows: Option<u32>,
    /// Days that ended grants stay in the ledger; `null`: for ever.
    pub retention_days: Option<u16>,
    /// What the daily look at Optimove's list of codes does.
    pub catalogue_sync: CatalogueSync,
    /// How triggers are taken.
    pub triggered: Triggered,
    /// The gateway of triggered conditional campaigns.
    pub gateway: Gateway,
    /// Who is asked before a customer of a conditional campaign is approved, if anybody.
    pub approval: Option<ApprovalView>,
    /// Beyond what a campaign waits for a second person.
    pub guards: Guards,
    /// Who set them last: not the second person.
    pub guards_set_by: Option<String>,
    /// JSON Schema that rewards of the operator's own types keep.
    #[schema(value_type = Option<Object>)]
    pub reward_schema: Option<Value>,
    /// Grants of one customer that may be in use at once.
    pub codes_at_once_max: Option<u32>,
    /// Rises with every rotation of the listeners' addresses.
    pub listener_generation: i64,
    /// When it was made.
    pub created_at: Instant,
    /// `null` unless suspended or deleted.
    pub suspended_at: Option<Instant>,
}

/// How Optimove is reached, without the credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OptimoveView {
    /// The client's environment.
    pub base_url: String,
    /// `api_key` or `login`.
    pub auth_kind: String,
}

/// The operator's own approval endpoint, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ApprovalView {
    /// Where batches are posted to.
    pub url: String,
    /// Whether they are signed.
    pub signed: bool,
}

impl From<&Tenant> for TenantView {
    fn from(tenant: &Tenant) -> Self {
        let Tenant { row, settings, .. } = tenant;
        let status = match row.suspended_at {
            None => "active",
            Some(_) if is_deleted(row) => "deleted",
            Some(_) => "suspended",
        };
        Self {
            id: row.id.clone(),
            name: row.name.clone(),
            status: status.to_owned(),
            time_zone: row.time_zone.clone(),
            optimove: OptimoveView {
                base_url: row.base_url.clone(),
                auth_kind: row.auth_kind.clone(),
            },
            scheduled_channels: settings.scheduled_channels.clone(),
            triggered_channels: settings.triggered_channels.clone(),
            conditional: settings.conditional,
            expiry: ExpiryRule::stored(&settings.expiry),
            cancel_unconfirmed: UnconfirmedRule::stored(&settings.cancel_unconfirmed),
            duration_days_default: settings.duration_days_default,
            codes_per_row_max: settings.codes_per_row_max,
            page_rows: settings.page_rows,
            retention_days: settings.retention_days,
            catalogue_sync: settings.catalogue_sync,
            triggered: settings.triggered.clone(),
            gateway: settings.gateway.clone(),
            approval: settings.approval.as_ref().map(|approval| ApprovalView {
                url: approval.url.clone(),
                signed: approval.sealed_secret.is_some(),
            }),
            guards: settings.guards.clone(),
            guards_set_by: settings.guards_set_by.clone(),
            reward_schema: settings.reward_schema.clone(),
            codes_at_once_max: settings.codes_at_once_max,
            listener_generation: settings.listener_generation,
            created_at: Instant(row.created_at),
            suspended_at: row.suspended_at.map(Instant),
        }
    }
}
