//! The rules that the values of a tenant keep.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bestow_core::retention::RETENTION_DAYS_MAX;
use bestow_core::window::{DURATION_DAYS_MAX, Zone};
use optimove::Secret;
use optimove::client::{Auth, PlainHttp};
use serde_json::Value;

use super::form::ApprovalForm;
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::clearance;
use crate::service::promotions::schema;
use crate::tenant::Approval;

/// Characters of a tenant's or token's name.
pub(crate) const NAME_CHARS_MAX: usize = 200;
/// Channels of one kind.
const CHANNELS_MAX: usize = 100;
/// Distinct codes that a tenant may let one row carry.
const CODES_PER_ROW_MAX: usize = 100;
/// Rows that a tenant may ask for in one page.
const PAGE_ROWS_MAX: u32 = 1_000_000;
/// Grants of one customer that a tenant may let be in use at once.
const CODES_AT_ONCE_MAX: u32 = 1_000;
/// Bytes of a schema of rewards, as JSON.
const SCHEMA_BYTES_MAX: usize = 16_384;

pub(super) fn is_header_value(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

/// A name for people: trimmed, not empty, without control characters.
pub(crate) fn check_name(name: &str) -> Result<String> {
    let name = name.trim();
    let is_fine = !name.is_empty()
        && name.chars().count() <= NAME_CHARS_MAX
        && !name.chars().any(char::is_control);
    if is_fine {
        Ok(name.to_owned())
    } else {
        let message = format!(
            "a name has 1 to {NAME_CHARS_MAX} characters, none of them a control character"
        );
        Err(Error::invalid("bad_name", message))
    }
}

pub(super) fn check_zone(name: &str) -> Result<String> {
    let zone = Zone::parse(name).map_err(|e| Error::invalid("bad_time_zone", e.to_string()))?;
    Ok(zone.name().to_owned())
}

/// The client itself knows which addresses a credential may be sent to.
pub(super) fn check_base_url(app: &App, url: &str) -> Result<String> {
    let url = url.trim().trim_end_matches('/');
    let plain_http = if app.config.optimove.allow_plain_http {
        PlainHttp::Anywhere
    } else {
        PlainHttp::LoopbackOnly
    };
    optimove::Client::builder(url, Auth::ApiKey(Secret::new("-")))
        .plain_http(plain_http)
        .build()
        .map_err(|e| Error::invalid("bad_base_url", e.to_string()))?;
    Ok(url.to_owned())
}

pub(super) fn check_approval(
    app: &App,
    tenant: &str,
    form: Option<&ApprovalForm>,
) -> Result<Option<Approval>> {
    let Some(form) = form else { return Ok(None) };
    let url = clearance::check_url(app, &form.url)?;
    let sealed = form.secret.as_ref().map(|secret| {
        let secret = secret.expose().trim();
        if secret.is_empty() {
            let message = "the approval endpoint's secret is empty";
            return Err(Error::invalid("bad_approval_secret", message));
        }
        let place = clearance::secret_place(tenant);
        Ok(STANDARD.encode(app.keys.seal(&place, secret.as_bytes(), &app.random)))
    });
    Ok(Some(Approval {
        url: url.to_string(),
        sealed_secret: sealed.transpose()?,
    }))
}

pub(super) fn check_channels(channels: &[i64]) -> Result<Vec<i64>> {
    let mut channels = channels.to_vec();
    channels.sort_unstable();
    channels.dedup();
    if channels.len() <= CHANNELS_MAX && channels.iter().all(|channel| *channel > 0) {
        Ok(channels)
    } else {
        let message = format!("channels are at most {CHANNELS_MAX} numbers above zero");
        Err(Error::invalid("bad_channels", message))
    }
}

pub(super) fn check_duration(days: Option<u16>) -> Result<Option<u16>> {
    match days {
        Some(days) if days > DURATION_DAYS_MAX => {
            let message = format!("a duration has at most {DURATION_DAYS_MAX} days");
            Err(Error::invalid("bad_duration", message))
        }
        days => Ok(days),
    }
}

pub(super) fn check_codes(codes: usize) -> Result<usize> {
    if (1..=CODES_PER_ROW_MAX).contains(&codes) {
        Ok(codes)
    } else {
        let message = format!("codes_per_row_max is 1 to {CODES_PER_ROW_MAX}");
        Err(Error::invalid("bad_codes_per_row_max", message))
    }
}

pub(super) fn check_page_rows(rows: Option<u32>) -> Result<Option<u32>> {
    match rows {
        Some(rows) if !(1..=PAGE_ROWS_MAX).contains(&rows) => {
            let message = format!("page_rows is 1 to {PAGE_ROWS_MAX}");
            Err(Error::invalid("bad_page_rows", message))
        }
        rows => Ok(rows),
    }
}

pub(super) fn check_retention(days: Option<u16>) -> Result<Option<u16>> {
    match days {
        Some(days) if !(1..=RETENTION_DAYS_MAX).contains(&days) => {
            let message = format!("retention_days is 1 to {RETENTION_DAYS_MAX}");
            Err(Error::invalid("bad_retention_days", message))
        }
        days => Ok(days),
    }
}

pub(super) fn check_codes_at_once(codes: Option<u32>) -> Result<Option<u32>> {
    match codes {
        Some(codes) if !(1..=CODES_AT_ONCE_MAX).contains(&codes) => {
            let message = format!("codes_at_once_max is 1 to {CODES_AT_ONCE_MAX}, or null");
            Err(Error::invalid("bad_codes_at_once_max", message))
        }
        codes => Ok(codes),
    }
}

pub(super) fn check_reward_schema(schema: Option<&Value>) -> Result<Option<Value>> {
    let Some(schema) = schema.filter(|schema| !schema.is_null()) else {
        return Ok(None);
    };
    let bytes = schema.to_string().len();
    if bytes > SCHEMA_BYTES_MAX {
        let message = format!("reward_schema has {bytes} bytes, and at most {SCHEMA_BYTES_MAX}");
        return Err(Error::invalid("bad_reward_schema", message));
    }
    schema::read(schema).map_err(|e| Error::invalid("bad_reward_schema", e))?;
    Ok(Some(schema.clone()))
}
