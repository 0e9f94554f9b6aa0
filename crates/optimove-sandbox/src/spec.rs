//! Bodies of the control API, as they come.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::id::CampaignId;

/// Body of `POST /_sandbox/campaigns`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    pub(crate) tenant: String,
    pub(crate) id: Option<CampaignId>,
    #[serde(default)]
    pub(crate) kind: KindSpec,
    /// Whether a triggered campaign asks the gateway first.
    #[serde(default)]
    pub(crate) conditional: bool,
    pub(crate) series_id: Option<CampaignId>,
    pub(crate) audience: Option<AudienceSpec>,
    #[serde(default)]
    pub(crate) control_share: f64,
    pub(crate) actions: Vec<ActionSpec>,
    pub(crate) scheduled_at: Option<String>,
    #[serde(default = "one_week")]
    pub(crate) duration: i32,
    #[serde(default)]
    pub(crate) lead_time: i32,
    #[serde(default)]
    pub(crate) notes: String,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    #[serde(default = "target_group")]
    pub(crate) target_group_id: u64,
}

/// How a campaign runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KindSpec {
    /// Executed when it is processed.
    #[default]
    Scheduled,
    /// Held when it is processed, executed to the approved.
    Conditional,
    /// One customer at a time, when a trigger is met.
    Triggered,
}

/// Who is in a campaign: counted, or listed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AudienceSpec {
    pub(crate) count: Option<u64>,
    #[serde(default)]
    pub(crate) prefix: String,
    pub(crate) customers: Option<Vec<CustomerSpec>>,
}

/// A listed customer: the id alone, or an exact row.
#[derive(Debug, Deserialize)]
#[serde(from = "CustomerForm")]
pub(crate) struct CustomerSpec {
    pub(crate) id: String,
    pub(crate) action: Option<u64>,
    pub(crate) schedule_time: Option<String>,
    pub(crate) channels: Option<Vec<u64>>,
    pub(crate) promo_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a customer is an id or an object with an id")]
enum CustomerForm {
    Id(String),
    Exact(ExactCustomer),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExactCustomer {
    id: String,
    action: Option<u64>,
    schedule_time: Option<String>,
    channels: Option<Vec<u64>>,
    promo_code: Option<String>,
}

impl From<CustomerForm> for CustomerSpec {
    fn from(form: CustomerForm) -> Self {
        match form {
            CustomerForm::Id(id) => Self {
                id,
                action: None,
                schedule_time: None,
                channels: None,
                promo_code: None,
            },
            CustomerForm::Exact(ExactCustomer {
                id,
                action,
                schedule_time,
                channels,
                promo_code,
            }) => Self {
                id,
                action,
                schedule_time,
                channels,
                promo_code,
            },
        }
    }
}

/// One action of a campaign.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionSpec {
    pub(crate) id: u64,
    pub(crate) name: Option<String>,
    pub(crate) share: Option<f64>,
    #[serde(default)]
    pub(crate) promo_codes: Vec<String>,
    pub(crate) channels: Vec<ChannelSpec>,
}

/// One channel of an action.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChannelSpec {
    pub(crate) id: u64,
    pub(crate) template_id: Option<u64>,
    pub(crate) template_name: Option<String>,
    #[serde(default = "whole")]
    pub(crate) share: f64,
    #[serde(default)]
    pub(crate) delay_minutes: i64,
}

/// Body of `PUT /_sandbox/tenants/{name}`; what is absent stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantSpec {
    pub(crate) time_zone: Option<String>,
    pub(crate) api_keys: Option<Vec<ApiKeySpec>>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) signing_secret: Option<String>,
    pub(crate) channels: Option<Vec<NamedChannel>>,
}

/// An API key and what it may call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeySpec {
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) role: Role,
}

/// What a credential may call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Every function.
    #[default]
    Admin,
    /// The functions for third parties.
    Integrations,
}

/// An execution channel of a tenant.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedChannel {
    pub(crate) id: u64,
    pub(crate) name: String,
}

/// Body of `PUT /_sandbox/clock`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClockSpec {
    pub(crate) now: String,
}

/// Body of `POST /_sandbox/clock/advance`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdvanceSpec {
    pub(crate) seconds: i64,
}

/// Body of `POST /_sandbox/campaigns/{id}/process`, which may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProcessSpec {
    pub(crate) clearance_in_seconds: Option<u32>,
}

/// Body of `POST /_sandbox/triggers`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TriggerSpec {
    pub(crate) tenant: Option<String>,
    pub(crate) campaign_id: CampaignId,
    pub(crate) customer_id: String,
    #[serde(default)]
    pub(crate) is_visitor: bool,
    #[serde(default)]
    pub(crate) attributes: Map<String, Value>,
    /// The action, where it is not to be drawn.
    pub(crate) action: Option<u64>,
}

fn one_week() -> i32 {
    7
}

fn target_group() -> u64 {
    15
}

fn whole() -> f64 {
    1.0
}
