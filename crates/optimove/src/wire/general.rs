//! Group `general`: login, listeners, data readiness.

use serde::Serialize;

use super::{object, rows};
use crate::read::{Object, Raw, ReadError, WireTime, body_text, is_html, read_object};
use crate::secret::{Secret, SecretUrl};

/// The event types that a listener can be registered for.
pub const EVENT_TYPES: [i64; 7] = [1, 2, 3, 4, 5, 11, 13];

/// Body of `POST General/Login`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Login {
    /// The API user's name.
    #[serde(rename = "UserName")]
    pub user_name: String,
    /// The API user's password.
    #[serde(rename = "Password", serialize_with = "expose")]
    pub password: Secret,
}

fn expose<S: serde::Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

impl Login {
    /// Reads the body on the server's side; `Username` and `UserName` are the same name.
    pub fn read(body: &[u8]) -> Result<Self, ReadError> {
        let object = object(body)?;
        Ok(Self {
            user_name: required_text(&object, "UserName")?,
            password: Secret::new(required_text(&object, "Password")?),
        })
    }
}

fn required_text(object: &Object<'_>, name: &'static str) -> Result<String, ReadError> {
    let text = object.field(name, |raw| raw.string().map(std::borrow::Cow::into_owned))?;
    text.flatten().ok_or(ReadError::Missing { field: name })
}

/// Reads the answer to a login: a JSON string, or the token without quotes.
pub fn read_token(body: &[u8]) -> Result<Secret, ReadError> {
    let text = body_text(body)?;
    if is_html(text) {
        return Err(ReadError::Html);
    }
    if text.starts_with(['{', '[']) {
        return Err(ReadError::WrongType {
            expected: "a token",
            found: "another type",
        });
    }
    let quoted: Result<String, _> = serde_json::from_str(text);
    let token = quoted.unwrap_or_else(|_| text.to_owned());
    let token = token.trim();
    let usable = |byte: u8| byte.is_ascii_graphic() && byte != b'"';
    if token.is_empty() || !token.bytes().all(usable) {
        return Err(ReadError::BadValue { field: "token" });
    }
    Ok(Secret::new(token))
}

/// Body of `POST General/RegisterEventListener`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegisterEventListener {
    /// One of [`EVENT_TYPES`].
    #[serde(rename = "EventTypeID")]
    pub event_type: i64,
    /// Absolute URL, with its secret; sent raw.
    #[serde(rename = "ListenerURL")]
    pub listener_url: SecretUrl,
    /// Restricts events to one channel; must be absent for event 5.
    #[serde(rename = "ChannelID", skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<i64>,
}

impl RegisterEventListener {
    /// Reads the body on the server's side; a percent-encoded URL is decoded.
    pub fn read(body: &[u8]) -> Result<Self, ReadError> {
        let object = object(body)?;
        let url = required_text(&object, "ListenerURL")?;
        Ok(Self {
            event_type: required_integer(&object, "EventTypeID")?,
            listener_url: SecretUrl::new(decode_url(url.trim())),
            channel_id: channel(&object)?,
        })
    }
}

/// Body of `POST General/UnregisterEventListener`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UnregisterEventListener {
    /// One of [`EVENT_TYPES`].
    #[serde(rename = "EventTypeID")]
    pub event_type: i64,
    /// Drops the listener of this channel; absent, the general one.
    #[serde(rename = "ChannelID", skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<i64>,
}

impl UnregisterEventListener {
    /// Reads the body on the server's side.
    pub fn read(body: &[u8]) -> Result<Self, ReadError> {
        let object = object(body)?;
        Ok(Self {
            event_type: required_integer(&object, "EventTypeID")?,
            channel_id: channel(&object)?,
        })
    }
}

/// One row of `GET General/GetRegisteredEventListeners`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredListener {
    /// The kind of notification.
    pub event_type: i64,
    /// Where it is sent.
    pub listener_url: SecretUrl,
    /// The one channel it is sent for; `None` for all.
    pub channel_id: Option<i64>,
}

impl RegisteredListener {
    /// Reads the list.
    pub fn read_list(body: &[u8]) -> Result<Vec<Self>, ReadError> {
        rows(body, |row| {
            Ok(Self {
                event_type: required_integer(row, "EventTypeID")?,
                listener_url: SecretUrl::new(required_text(row, "ListenerURL")?),
                channel_id: channel(row)?,
            })
        })
    }
}

/// Answer of `GET General/GetLastDataUpdate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastDataUpdate {
    /// The last day whose data is complete.
    pub date: WireTime,
}

impl LastDataUpdate {
    /// Reads the answer.
    pub fn read(body: &[u8]) -> Result<Self, ReadError> {
        let object = read_object(body_text(body)?)?;
        let text = required_text(&object, "Date")?;
        Ok(Self {
            date: WireTime::parse(&text)?,
        })
    }
}

fn required_integer(object: &Object<'_>, name: &'static str) -> Result<i64, ReadError> {
    let number = object
        .field(name, Raw::integer)?
        .ok_or(ReadError::Missing { field: name })?;
    number.ok_or(ReadError::BadValue { field: name })
}

fn channel(object: &Object<'_>) -> Result<Option<i64>, ReadError> {
    match object.field("ChannelID", Raw::integer)? {
        None => Ok(None),
        Some(Some(channel)) => Ok(Some(channel)),
        Some(None) => Err(ReadError::BadValue { field: "ChannelID" }),
    }
}

/// A URL that old libraries send percent-encoded as a whole, in its plain form.
fn decode_url(url: &str) -> String {
    let lower = url.to_ascii_lowercase();
    if !lower.starts_with("http%3a") && !lower.starts_with("https%3a") {
        return url.to_owned();
    }
    let mut bytes = Vec::with_capacity(url.len());
    let mut rest = url.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match (first, hex_pair(tail)) {
            (b'%', Some((byte, after))) => {
                bytes.push(byte);
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| url.to_owned())
}

fn hex_pair(text: &[u8]) -> Option<(u8, &[u8])> {
    let (pair, rest) = text.split_at_checked(2)?;
    let high = char::from(pair[0]).to_digit(16)?;
    let low = char::from(pair[1]).to_digit(16)?;
    Some(((high * 16 + low) as u8, rest))
}
