//! What a tenant lays down for triggers and for the gateway.

use bestow_core::CampaignId;
use bestow_core::trigger::{ReservationRule, TriggerRules, Visitors, WithoutCodes};
use bestow_core::window::Duration;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Error, Result};

/// Fields that a tenant may keep of a trigger's body.
const KEEP_FIELDS_MAX: usize = 100;
/// Characters of a field's name.
const FIELD_CHARS_MAX: usize = 128;
/// Campaigns that a tenant may name.
const CAMPAIGNS_MAX: usize = 10_000;
/// Longest life of a reservation: a week.
const RESERVATION_SECONDS_MAX: u64 = 7 * 86_400;
/// Fields of event 11 that Bestow reads itself: they are kept anyway.
const OWN_FIELDS: [&str; 10] = [
    "eventTypeID",
    "timeStamp",
    "customerID",
    "isVisitor",
    "is_visitor",
    "campaignID",
    "channelID",
    "templateID",
    "promoCode",
    "notes",
];

/// How triggers (event 11) are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Triggered {
    /// What becomes of visitors, who have no account.
    pub visitors: VisitorRule,
    /// Names of event parameters and personalisation tags that are kept, in any letter case.
    /// Nothing else of them reaches the disk.
    pub keep_fields: Vec<String>,
    /// Grants of one customer from one campaign; above it they are held. `null`: no cap.
    pub per_customer_max: Option<u64>,
    /// Grants of one campaign in one minute; above it they wait for the next. `null`: no cap.
    pub per_minute_max: Option<u64>,
    /// Whether a trigger without an earlier yes of the gateway is refused.
    pub require_reservation: bool,
    /// The only campaigns that are taken; `null`: all.
    pub campaigns: Option<Vec<String>>,
}

/// What becomes of visitors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VisitorRule {
    /// Held, and the gateway says no.
    #[default]
    Hold,
    /// Granted under the customer id `visitor:ID`.
    Grant,
}

/// The gateway of triggered conditional campaigns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gateway {
    /// Whether a listener sync registers it, for tenants with real-time channels and conditional
    /// campaigns.
    pub enabled: bool,
    /// How Optimove asks.
    pub version: GatewayVersion,
    /// How long a yes holds room.
    pub reservation_seconds: u64,
    /// The answer about a campaign that carries no codes.
    pub without_codes: WithoutCodesRule,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            enabled: true,
            version: GatewayVersion::V1,
            reservation_seconds: 900,
            without_codes: WithoutCodesRule::Allow,
        }
    }
}

/// How Optimove asks the gateway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GatewayVersion {
    /// A question that is answered at once.
    #[default]
    V1,
    /// A webhook, answered by a call of ours. Experimental: its bodies are not documented.
    V2,
}

/// The answer about a campaign that carries no codes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WithoutCodesRule {
    /// Yes: nothing is promised.
    #[default]
    Allow,
    /// No.
    Deny,
}

impl Triggered {
    /// The rules in the words of the decisions.
    pub fn rules(&self, duration_days_default: Option<u16>) -> TriggerRules {
        TriggerRules {
            visitors: match self.visitors {
                VisitorRule::Hold => Visitors::Hold,
                VisitorRule::Grant => Visitors::Grant,
            },
            reservation: if self.require_reservation {
                ReservationRule::Required
            } else {
                ReservationRule::Optional
            },
            per_customer_max: self.per_customer_max,
            per_minute_max: self.per_minute_max,
            duration_default: duration_days_default
                .and_then(|days| Duration::from_days(days.into()).ok()),
        }
    }

    /// Whether triggers of this campaign are taken.
    pub fn takes(&self, campaign: &str) -> bool {
        self.campaigns
            .as_ref()
            .is_none_or(|taken| taken.iter().any(|one| one == campaign))
    }

    /// Whether a field of a trigger's body is kept.
    pub fn keeps(&self, field: &str) -> bool {
        self.keep_fields
            .iter()
            .any(|kept| kept.eq_ignore_ascii_case(field))
    }

    /// The same with each value in its canonical form.
    ///
    /// # Errors
    /// [`Error::Invalid`] `bad_triggered`.
    pub fn check(&self) -> Result<Self> {
        let wrong = |message: String| Error::invalid("bad_triggered", message);
        if self.per_customer_max == Some(0) || self.per_minute_max == Some(0) {
            return Err(wrong("a cap is above zero, or null for none".to_owned()));
        }
        if self.keep_fields.len() > KEEP_FIELDS_MAX {
            let message = format!("keep_fields has at most {KEEP_FIELDS_MAX} names");
            return Err(wrong(message));
        }
        for field in &self.keep_fields {
            let is_name = !field.trim().is_empty() && field.chars().count() <= FIELD_CHARS_MAX;
            let is_own = OWN_FIELDS.iter().any(|own| own.eq_ignore_ascii_case(field));
            if !is_name || is_own {
                let message = format!(
                    "keep_fields names event parameters and personalisation tags of 1 to \
                     {FIELD_CHARS_MAX} characters, not {field:?}"
                );
                return Err(wrong(message));
            }
        }
        let campaigns = self.campaigns.as_deref().map(check_campaigns).transpose()?;
        Ok(Self {
            campaigns,
            ..self.clone()
        })
    }
}

fn check_campaigns(campaigns: &[String]) -> Result<Vec<String>> {
    let wrong = |message: String| Error::invalid("bad_triggered", message);
    if campaigns.len() > CAMPAIGNS_MAX {
        return Err(wrong(format!("campaigns has at most {CAMPAIGNS_MAX} ids")));
    }
    let read = |id: &String| {
        let read = CampaignId::parse(id).map(|id| id.as_str().to_owned());
        read.map_err(|fault| wrong(fault.to_string()))
    };
    campaigns.iter().map(read).collect()
}

impl Gateway {
    /// The answer without codes in the words of the decisions.
    pub fn without_codes(&self) -> WithoutCodes {
        match self.without_codes {
            WithoutCodesRule::Allow => WithoutCodes::Allow,
            WithoutCodesRule::Deny => WithoutCodes::Deny,
        }
    }

    /// The same, checked.
    ///
    /// # Errors
    /// [`Error::Invalid`] `bad_gateway`.
    pub fn check(&self) -> Result<Self> {
        if (1..=RESERVATION_SECONDS_MAX).contains(&self.reservation_seconds) {
            Ok(self.clone())
        } else {
            let message = format!("reservation_seconds is 1 to {RESERVATION_SECONDS_MAX}");
            Err(Error::invalid("bad_gateway", message))
        }
    }
}
