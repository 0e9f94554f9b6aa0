//! A tenant as the service works with it: parsed settings, zone, sealed credential.

mod approval;
mod catalogue;
mod guards;
mod triggered;

use bestow_core::cancel::Unconfirmed;
use bestow_core::window::{Expiry, Zone};
use bestow_store::tenants::Tenant as Row;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};

pub use approval::Approval;
pub use catalogue::CatalogueSync;
pub use guards::Guards;
pub use triggered::{Gateway, GatewayVersion, Triggered, VisitorRule, WithoutCodesRule};

/// Settings of a tenant, kept as JSON beside its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Channels whose event 13 is listened to and whose lists are swept.
    pub scheduled_channels: Vec<i64>,
    /// Real-time channels (event 11).
    pub triggered_channels: Vec<i64>,
    /// Whether conditional campaigns (event 5) are used.
    pub conditional: bool,
    /// What ends a grant: `duration`, `ended_by_date` or `both`.
    pub expiry: String,
    /// What is done with a cancelled campaign where Optimove cannot tell: `revoke` or `suspend`.
    pub cancel_unconfirmed: String,
    /// Days, where a campaign tells no usable duration. `None`: such a campaign is held.
    pub duration_days_default: Option<u16>,
    /// Distinct codes that one row may carry; the rest of its pairs is held.
    pub codes_per_row_max: usize,
    /// Rows asked for in one page; `None`: the deployment's setting.
    pub page_rows: Option<u32>,
    /// Generation of the listeners' secrets; rises with every rotation.
    pub listener_generation: i64,
    /// What the daily look at Optimove's list of codes does.
    pub catalogue_sync: CatalogueSync,
    /// How triggers are taken.
    pub triggered: Triggered,
    /// The gateway of triggered conditional campaigns.
    pub gateway: Gateway,
    /// Who is asked before a customer of a conditional campaign is approved.
    pub approval: Option<Approval>,
    /// Days that ended grants stay in the ledger; `None`: for ever.
    pub retention_days: Option<u16>,
    /// Beyond what a campaign waits for a second person.
    pub guards: Guards,
    /// Who set them last: not the second person.
    pub guards_set_by: Option<String>,
    /// JSON Schema of rewards of the operator's own types; `None`: they may be anything.
    pub reward_schema: Option<Value>,
    /// Grants of one customer that may be in use at once; `None`: any number.
    pub codes_at_once_max: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            scheduled_channels: Vec::new(),
            triggered_channels: Vec::new(),
            conditional: false,
            expiry: "duration".to_owned(),
            cancel_unconfirmed: "revoke".to_owned(),
            duration_days_default: None,
            codes_per_row_max: 5,
            page_rows: None,
            listener_generation: 1,
            catalogue_sync: CatalogueSync::default(),
            triggered: Triggered::default(),
            gateway: Gateway::default(),
            approval: None,
            retention_days: None,
            guards: Guards::default(),
            guards_set_by: None,
            reward_schema: None,
            codes_at_once_max: None,
        }
    }
}

/// How Bestow proves to Optimove who it is. Kept sealed; never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// Today's way: one key in a header.
    ApiKey(String),
    /// The older way: Login, then a session token.
    Login {
        /// User name.
        username: String,
        /// Password.
        password: String,
    },
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ApiKey(_) => "ApiKey(***)",
            Self::Login { .. } => "Login(***)",
        })
    }
}

impl Credential {
    /// The name of its kind, as stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ApiKey(_) => "api_key",
            Self::Login { .. } => "login",
        }
    }
}

/// A tenant, ready to work with.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// As kept.
    pub row: Row,
    /// Its zone.
    pub zone: Zone,
    /// Its settings.
    pub settings: Settings,
}

impl Tenant {
    /// From what is kept.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the stored settings cannot be read: a defect or a foreign hand.
    pub fn read(row: Row) -> Result<Self> {
        let zone = Zone::parse(&row.time_zone)
            .map_err(|e| Error::invalid("bad_time_zone", format!("tenant {}: {e}", row.id)))?;
        let settings = serde_json::from_str(&row.settings).map_err(|e| {
            Error::invalid(
                "bad_settings",
                format!("the settings of tenant {}: {e}", row.id),
            )
        })?;
        Ok(Self {
            row,
            zone,
            settings,
        })
    }

    /// Number that leads the store's keys.
    pub fn no(&self) -> i64 {
        self.row.no
    }

    /// Slug.
    pub fn id(&self) -> &str {
        &self.row.id
    }

    /// Whether work for it rests.
    pub fn is_suspended(&self) -> bool {
        self.row.suspended_at.is_some()
    }

    /// What ends its grants.
    pub fn expiry(&self) -> Expiry {
        match self.settings.expiry.as_str() {
            "ended_by_date" => Expiry::EndedByDate,
            "both" => Expiry::Both,
            _ => Expiry::Duration,
        }
    }

    /// Whether Optimove is to ask the gateway.
    pub fn wants_gateway(&self) -> bool {
        let settings = &self.settings;
        settings.conditional && settings.gateway.enabled && !settings.triggered_channels.is_empty()
    }

    /// What is done with a cancelled campaign where Optimove cannot tell.
    pub fn cancel_unconfirmed(&self) -> Unconfirmed {
        Unconfirmed::parse(&self.settings.cancel_unconfirmed).unwrap_or(Unconfirmed::Revoke)
    }

    /// Events this tenant listens to.
    pub fn event_types(&self) -> Vec<i64> {
        let mut types = vec![1, 2, 3, 4];
        if self.settings.conditional {
            types.push(5);
        }
        if !self.settings.triggered_channels.is_empty() {
            types.push(11);
        }
        if !self.settings.scheduled_channels.is_empty() {
            types.push(13);
        }
        types
    }
}

/// The place a tenant's credential is sealed for.
pub fn credential_place(tenant: &str) -> String {
    format!("tenant/{tenant}/credential")
}
