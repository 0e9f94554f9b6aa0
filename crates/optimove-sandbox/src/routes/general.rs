//! Group `general`: login, event listeners, readiness of the data.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::Call;
use crate::answer::{Refusal, Reply};
use crate::switch::EVENT_TYPES;
use crate::world::Listener;
use crate::write::{List, Object, Style};

/// Most listeners of one tenant.
const LISTENERS_MAX: usize = 1_000;
/// Longest address of a listener.
const URL_BYTES_MAX: usize = 8_192;

/// The user name and password of a login, from JSON or from a form.
pub(crate) fn credentials(content_type: &str, body: &[u8]) -> Result<(String, String), Refusal> {
    let missing = || Refusal::bad_request("UserName and Password are needed.");
    if content_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let text = std::str::from_utf8(body).map_err(|_| missing())?;
        let form = super::Query::new(text);
        let field = |name| form.get(name).map(str::to_owned).ok_or_else(missing);
        return Ok((field("username")?, field("password")?));
    }
    let body = object(body)?;
    let field = |name| get(&body, name).and_then(Value::as_str).map(str::to_owned);
    Ok((
        field("UserName").ok_or_else(missing)?,
        field("Password").ok_or_else(missing)?,
    ))
}

/// `RegisterEventListener`: the same event type and channel again replaces the address.
pub(super) fn register(call: &Call) -> Result<Reply, Refusal> {
    let body = object(call.body)?;
    let (event_type, channel) = event_and_channel(&body)?;
    let url = address(&body, "ListenerURL")?;
    call.shared.with_tenant(call.tenant, |tenant| {
        let same = |known: &Listener| (known.event_type, known.channel) == (event_type, channel);
        let listener = Listener {
            event_type,
            channel,
            url,
        };
        match tenant.listeners.iter().position(same) {
            Some(index) => tenant.listeners[index] = listener,
            None if tenant.listeners.len() >= LISTENERS_MAX => {
                return Err(Refusal::bad_request("Too many listeners are registered."));
            }
            None => tenant.listeners.push(listener),
        }
        Ok(Reply::Void)
    })
}

/// `UnregisterEventListener`: an unknown one is no error.
pub(super) fn unregister(call: &Call) -> Result<Reply, Refusal> {
    let (event_type, channel) = event_and_channel(&object(call.body)?)?;
    call.shared.with_tenant(call.tenant, |tenant| {
        tenant
            .listeners
            .retain(|known| (known.event_type, known.channel) != (event_type, channel));
        Ok(Reply::Void)
    })
}

/// `GetRegisteredEventListeners`.
pub(super) fn registered(call: &Call) -> Result<Reply, Refusal> {
    let mut list = List::new(Style::from(call.switches));
    call.shared.with_tenant(call.tenant, |tenant| {
        for listener in &tenant.listeners {
            list.row(|row| {
                row.id("EventTypeID", listener.event_type);
                row.text("ListenerURL", &listener.url);
                match listener.channel {
                    Some(channel) => row.id("ChannelID", channel),
                    None => row.null("ChannelID"),
                }
            });
        }
        Ok(())
    })?;
    let (json, rows) = list.finish();
    Ok(Reply::Rows(json, rows))
}

/// `GetLastDataUpdate`: the data are of the day before.
pub(super) fn last_data_update(call: &Call) -> Result<Reply, Refusal> {
    let now = call.shared.clock.now();
    let zone = call
        .shared
        .with_tenant(call.tenant, |tenant| Ok(tenant.zone.clone()))?;
    let today = zone.to_datetime(now).date();
    let mut json = Vec::new();
    let mut answer = Object::open(&mut json, Style::from(call.switches));
    answer.text("Date", &today.yesterday().unwrap_or(today).to_string());
    answer.close();
    Ok(Reply::Json(json))
}

fn event_and_channel(body: &Map<String, Value>) -> Result<(u64, Option<u64>), Refusal> {
    let event_type = get(body, "EventTypeID").and_then(number);
    let event_type = event_type.filter(|event_type| EVENT_TYPES.contains(event_type));
    let event_type =
        event_type.ok_or_else(|| Refusal::bad_request("EventTypeID is missing or not known."))?;
    let channel = match get(body, "ChannelID") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let channel = number(value);
            Some(channel.ok_or_else(|| Refusal::bad_request("ChannelID is not a number."))?)
        }
    };
    if event_type == 5 && channel.is_some() {
        return Err(Refusal::bad_request(
            "ChannelID must be absent for EventTypeID 5.",
        ));
    }
    Ok((event_type, channel))
}

/// An absolute address in the body, decoded.
pub(super) fn address(body: &Map<String, Value>, name: &str) -> Result<String, Refusal> {
    let url = get(body, name).and_then(Value::as_str).unwrap_or_default();
    let url = decoded(url.trim());
    if !is_absolute(&url) {
        return Err(Refusal::bad_request(format!(
            "{name} is not an absolute http or https address."
        )));
    }
    Ok(url.into_owned())
}

/// Some callers percent-encode the whole address inside the body.
fn decoded(url: &str) -> Cow<'_, str> {
    let encoded = ["http%3a", "https%3a"].iter().any(|scheme| {
        url.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    if !encoded {
        return Cow::Borrowed(url);
    }
    let mut bytes = Vec::with_capacity(url.len());
    let mut rest = url.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| first == b'%');
        let byte = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(url), Cow::Owned)
}

fn is_absolute(url: &str) -> bool {
    url.len() <= URL_BYTES_MAX
        && url::Url::parse(url)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// The body as an object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(Refusal::bad_request("The body is not a JSON object.")),
    }
}

/// A property, whatever the letter case of its name.
pub(crate) fn get<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// A whole number, or digits in a string.
fn number(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| value.as_str()?.trim().parse().ok())
}
