//! What is sent to make or change a tenant, and the rules it has to keep.

use bestow_core::TenantId;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use utoipa::ToSchema;

use super::rules::{
    check_approval, check_base_url, check_channels, check_codes, check_codes_at_once,
    check_duration, check_name, check_page_rows, check_retention, check_reward_schema, check_zone,
    is_header_value,
};
pub use super::words::{ExpiryRule, UnconfirmedRule};
use crate::app::App;
use crate::error::{Error, Result};
use crate::tenant::{CatalogueSync, Credential, Gateway, Guards, Settings, Triggered};

/// A tenant to be made. Body of `POST /v1/tenants`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// Short name in addresses and log lines: a-z, 0-9, `_` and `-`. It never changes.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// IANA name of the zone that this client's schedule times are meant in.
    pub time_zone: String,
    /// How Optimove is reached for this client.
    pub optimove: OptimoveAccess,
    /// Execution channels whose scheduled campaigns are imported.
    #[serde(default)]
    pub scheduled_channels: Vec<i64>,
    /// Real-time channels of triggered campaigns.
    #[serde(default)]
    pub triggered_channels: Vec<i64>,
    /// Whether conditional campaigns are used.
    #[serde(default)]
    pub conditional: bool,
    /// What ends a grant.
    #[serde(default)]
    pub expiry: ExpiryRule,
    /// What is done with a cancelled campaign where Optimove cannot tell.
    #[serde(default)]
    pub cancel_unconfirmed: UnconfirmedRule,
    /// Days a promotion lasts where its campaign tells no usable duration; without it such a
    /// campaign is held.
    #[serde(default)]
    pub duration_days_default: Option<u16>,
    /// Distinct codes that one row may carry; 5 unless said otherwise.
    #[serde(default)]
    pub codes_per_row_max: Option<usize>,
    /// Rows asked for in one page; the deployment's setting unless said otherwise.
    #[serde(default)]
    pub page_rows: Option<u32>,
    /// Days that ended grants stay in the ledger before they leave for an archive; for ever unless said otherwise.
    #[serde(default)]
    pub retention_days: Option<u16>,
    /// What the daily look at Optimove's list of codes does.
    #[serde(default)]
    pub catalogue_sync: CatalogueSync,
    /// How triggers are taken.
    #[serde(default)]
    pub triggered: Triggered,
    /// The gateway of triggered conditional campaigns.
    #[serde(default)]
    pub gateway: Gateway,
    /// Who is asked before a customer of a conditional campaign is approved.
    #[serde(default)]
    pub approval: Option<ApprovalForm>,
    /// Beyond what a campaign waits for a second person; nothing unless said otherwise.
    #[serde(default)]
    pub guards: Guards,
    /// JSON Schema that rewards of the operator's own types keep; without it they may be anything.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub reward_schema: Option<Value>,
    /// Grants of one customer that may be in use at once, over all promotions; any number unless said otherwise.
    #[serde(default)]
    pub codes_at_once_max: Option<u32>,
}

/// The operator's own approval endpoint.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalForm {
    /// Where batches of customers are posted to: `https`, or plain `http` on the same machine.
    pub url: String,
    /// What the batches are signed with; never shown. Without it they are not signed.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub secret: Option<SecretText>,
}

/// How Optimove is reached.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OptimoveAccess {
    /// The client's environment, for example `https://api5.optimove.net`.
    pub base_url: String,
    /// The credential.
    pub auth: AuthForm,
}

/// An API key, or a user name with its password.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthForm {
    /// Today's way.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub api_key: Option<SecretText>,
    /// The older way, together with `password`.
    #[serde(default)]
    pub username: Option<String>,
    /// Goes with `username`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub password: Option<SecretText>,
}

/// Text that is taken and never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// Takes the text as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// A change of a tenant; what is absent stays. Body of `PATCH /v1/tenants/{tenant}`.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantPatch {
    /// Name for people.
    pub name: Option<String>,
    /// Counts for campaigns read from now on; windows that exist stay as they are.
    pub time_zone: Option<String>,
    /// How Optimove is reached. Another base URL needs the credential again.
    pub optimove: Option<OptimovePatch>,
    /// Replaces the list.
    pub scheduled_channels: Option<Vec<i64>>,
    /// Replaces the list.
    pub triggered_channels: Option<Vec<i64>>,
    /// Whether conditional campaigns are used.
    pub conditional: Option<bool>,
    /// What ends a grant, for campaigns read from now on.
    pub expiry: Option<ExpiryRule>,
    /// What is done with a cancelled campaign where Optimove cannot tell.
    pub cancel_unconfirmed: Option<UnconfirmedRule>,
    /// `null` takes the default away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u16>)]
    pub duration_days_default: Option<Option<u16>>,
    /// Distinct codes that one row may carry.
    pub codes_per_row_max: Option<usize>,
    /// `null`: the deployment's setting.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    pub page_rows: Option<Option<u32>>,
    /// `null`: ended grants stay in the ledger for ever.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u16>)]
    pub retention_days: Option<Option<u16>>,
    /// What the daily look at Optimove's list of codes does.
    pub catalogue_sync: Option<CatalogueSync>,
    /// Replaces all of it.
    pub triggered: Option<Triggered>,
    /// Replaces all of it.
    pub gateway: Option<Gateway>,
    /// Replaces all of it, the secret included; `null`: nobody is asked.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<ApprovalForm>)]
    pub approval: Option<Option<ApprovalForm>>,
    /// Replaces all of it. Whoever sets them is not the second person.
    pub guards: Option<Guards>,
    /// Counts for promotions that are put from now on; `null`: rewards of the operator's own types may be anything.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    pub reward_schema: Option<Option<Value>>,
    /// `null`: any number.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    pub codes_at_once_max: Option<Option<u32>>,
}

/// A change of how Optimove is reached.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OptimovePatch {
    /// Another environment.
    pub base_url: Option<String>,
    /// Another credential.
    pub auth: Option<AuthForm>,
}

/// Tells `null` from absent.
fn given<'de, D, T>(deserializer: D) -> std::result::Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A tenant whose values keep the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) name: String,
    pub(super) time_zone: String,
    pub(super) base_url: String,
    pub(super) settings: Settings,
}

impl NewTenant {
    /// Its values, checked.
    pub(super) fn check(&self, app: &App) -> Result<(Checked, Credential)> {
        TenantId::parse(&self.id).map_err(|e| Error::invalid("bad_tenant_id", e.to_string()))?;
        let defaults = Settings::default();
        let checked = Checked {
            name: check_name(&self.name)?,
            time_zone: check_zone(&self.time_zone)?,
            base_url: check_base_url(app, &self.optimove.base_url)?,
            settings: Settings {
                scheduled_channels: check_channels(&self.scheduled_channels)?,
                triggered_channels: check_channels(&self.triggered_channels)?,
                conditional: self.conditional,
                expiry: self.expiry.as_str().to_owned(),
                cancel_unconfirmed: self.cancel_unconfirmed.as_str().to_owned(),
                duration_days_default: check_duration(self.duration_days_default)?,
                codes_per_row_max: check_codes(
                    self.codes_per_row_max.unwrap_or(defaults.codes_per_row_max),
                )?,
                page_rows: check_page_rows(self.page_rows)?,
                listener_generation: defaults.listener_generation,
                catalogue_sync: self.catalogue_sync,
                triggered: self.triggered.check()?,
                gateway: self.gateway.check()?,
                approval: check_approval(app, &self.id, self.approval.as_ref())?,
                retention_days: check_retention(self.retention_days)?,
                guards: self.guards.check()?,
                guards_set_by: None,
                reward_schema: check_reward_schema(self.reward_schema.as_ref())?,
                codes_at_once_max: check_codes_at_once(self.codes_at_once_max)?,
            },
        };
        Ok((checked, self.optimove.auth.check()?))
    }
}

impl TenantPatch {
    /// The credential in it, checked.
    pub(super) fn credential(&self) -> Result<Option<Credential>> {
        let auth = self
            .optimove
            .as_ref()
            .and_then(|optimove| optimove.auth.as_ref());
        auth.map(AuthForm::check).transpose()
    }

    /// What a tenant is after this change, checked.
    pub(super) fn apply(&self, app: &App, tenant: &str, to: Checked) -> Result<Checked> {
        let mut changed = to;
        if let Some(name) = &self.name {
            changed.name = check_name(name)?;
        }
        if let Some(zone) = &self.time_zone {
            changed.time_zone = check_zone(zone)?;
        }
        if let Some(url) = self
            .optimove
            .as_ref()
            .and_then(|optimove| optimove.base_url.as_ref())
        {
            changed.base_url = check_base_url(app, url)?;
        }
        let settings = &mut changed.settings;
        if let Some(channels) = &self.scheduled_channels {
            settings.scheduled_channels = check_channels(channels)?;
        }
        if let Some(channels) = &self.triggered_channels {
            settings.triggered_channels = check_channels(channels)?;
        }
        if let Some(conditional) = self.conditional {
            settings.conditional = conditional;
        }
        if let Some(expiry) = self.expiry {
            expiry.as_str().clone_into(&mut settings.expiry);
        }
        if let Some(rule) = self.cancel_unconfirmed {
            rule.as_str().clone_into(&mut settings.cancel_unconfirmed);
        }
        if let Some(days) = self.duration_days_default {
            settings.duration_days_default = check_duration(days)?;
        }
        if let Some(codes) = self.codes_per_row_max {
            settings.codes_per_row_max = check_codes(codes)?;
        }
        if let Some(rows) = self.page_rows {
            settings.page_rows = check_page_rows(rows)?;
        }
        if let Some(days) = self.retention_days {
            settings.retention_days = check_retention(days)?;
        }
        if let Some(sync) = self.catalogue_sync {
            settings.catalogue_sync = sync;
        }
        if let Some(triggered) = &self.triggered {
            settings.triggered = triggered.check()?;
        }
        if let Some(gateway) = &self.gateway {
            settings.gateway = gateway.check()?;
        }
        if let Some(approval) = &self.approval {
            settings.approval = check_approval(app, tenant, approval.as_ref())?;
        }
        if let Some(schema) = &self.reward_schema {
            settings.reward_schema = check_reward_schema(schema.as_ref())?;
        }
        if let Some(codes) = self.codes_at_once_max {
            settings.codes_at_once_max = check_codes_at_once(codes)?;
        }
        if let Some(guards) = &self.guards {
            settings.guards = guards.check()?;
        }
        Ok(changed)
    }
}

impl AuthForm {
    fn check(&self) -> Result<Credential> {
        let credential = match (&self.api_key, &self.username, &self.password) {
            (Some(key), None, None) => Credential::ApiKey(key.0.trim().to_owned()),
            (None, Some(username), Some(password)) => Credential::Login {
                username: username.trim().to_owned(),
                password: password.0.clone(),
            },
            _ => {
                let message = "auth takes either `api_key`, or `username` and `password`";
                return Err(Error::invalid("bad_auth", message));
            }
        };
        let is_usable = match &credential {
            Credential::ApiKey(key) => is_header_value(key),
            Credential::Login { username, password } => {
                !username.is_empty() && !password.is_empty()
            }
        };
        if is_usable {
            Ok(credential)
        } else {
            Err(Error::invalid(
                "bad_auth",
                "the credential is empty or has characters that no header takes",
            ))
        }
    }
}
