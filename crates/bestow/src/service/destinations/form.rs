//! What is said of a destination, and how it is kept.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bestow_core::delivery::Keys;
use bestow_store::Error as StoreError;
use bestow_store::destinations::Destination;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::{Error, Result};
use crate::tenant::Tenant;

/// Events of one delivery.
const BATCH_EVENTS_MAX: u32 = 1_000;
/// Deliveries under way at the same time, and how many unless said otherwise.
const CONCURRENCY_MAX: u32 = 64;
const CONCURRENCY_DEFAULT: u32 = 4;
/// Secrets that are active at the same time.
const SECRETS_MAX: usize = 4;
/// Bytes of a secret that is given rather than made.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// What a secret begins with.
const SECRET_PREFIX: &str = "whsec_";
/// Characters of what the subjects of a stream begin with.
const SUBJECT_CHARS_MAX: usize = 100;

/// What a destination is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// An HTTP endpoint.
    Http,
    /// A stream of NATS.
    Jetstream,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Jetstream => "jetstream",
        }
    }
}

/// A destination's settings, as kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) kind: Kind,
    pub(crate) url: String,
    #[serde(with = "keys")]
    pub(crate) keys: Keys,
    pub(crate) batch_events_max: u32,
    pub(crate) concurrency: u32,
    pub(crate) events_per_second: Option<u32>,
    pub(crate) subject_prefix: Option<String>,
}

impl Settings {
    /// As kept with a destination.
    pub(crate) fn read(destination: &Destination) -> Result<Self> {
        let read = serde_json::from_str(&destination.settings);
        read.map_err(|e| StoreError::Corrupt(format!("destination {}: {e}", destination.id)).into())
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are always JSON")
    }

    fn checked(self) -> Result<Self> {
        let bad = |message: String| Err(Error::invalid("bad_destination", message));
        if !(1..=BATCH_EVENTS_MAX).contains(&self.batch_events_max) {
            return bad(format!(
                "`batch_events_max` must be 1 to {BATCH_EVENTS_MAX}"
            ));
        }
        if !(1..=CONCURRENCY_MAX).contains(&self.concurrency) {
            return bad(format!("`concurrency` must be 1 to {CONCURRENCY_MAX}"));
        }
        if self.kind == Kind::Jetstream && self.keys == Keys::Ignored {
            return bad("a `jetstream` honours keys".into());
        }
        match (&self.subject_prefix, self.kind) {
            (None, Kind::Http) => {}
            (Some(prefix), Kind::Jetstream) if is_subject(prefix) => {}
            (_, Kind::Http) => return bad("`subject_prefix` belongs to a `jetstream`".into()),
            (_, Kind::Jetstream) => {
                return bad("`subject_prefix` must be words of letters, digits, `-` and `_` with dots between them".into());
            }
        }
        Ok(self)
    }
}

fn is_subject(prefix: &str) -> bool {
    let is_word = |word: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !word.is_empty() && word.bytes().all(plain)
    };
    prefix.len() <= SUBJECT_CHARS_MAX && prefix.split('.').all(is_word)
}

mod keys {
    use bestow_core::delivery::Keys;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the form that serde asks for"
    )]
    pub(super) fn serialize<S: Serializer>(keys: &Keys, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(keys.as_str())
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Keys, D::Error> {
        let text = String::deserialize(from)?;
        Keys::parse(&text).map_err(D::Error::custom)
    }
}

/// What a destination is reached with. Sealed where it is kept, never shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Secrets {
    /// Deliveries are signed with each of them, newest first.
    pub(crate) signing: Vec<String>,
    /// What a stream's server asks for.
    #[serde(default)]
    pub(crate) token: Option<String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.signing.len())
    }
}

impl Secrets {
    /// Those of a destination.
    pub(crate) fn open(app: &App, tenant: &Tenant, destination: &Destination) -> Result<Self> {
        let Some(sealed) = &destination.secrets else {
            return Ok(Self::default());
        };
        let opened = app.keys.open(&place(tenant, &destination.id), sealed)?;
        serde_json::from_slice(&opened)
            .map_err(|e| StoreError::Corrupt(format!("destination secrets: {e}")).into())
    }

    pub(crate) fn seal(&self, app: &App, tenant: &Tenant, id: &str) -> Vec<u8> {
        let text = serde_json::to_vec(self).expect("texts are always JSON");
        app.keys.seal(&place(tenant, id), &text, &app.random)
    }

    /// Signs with another secret from now on; the older ones stay until they are dropped.
    fn add(&mut self, app: &App, given: Option<&str>) -> Result<String> {
        let secret = match given {
            Some(given) => checked_secret(given)?,
            None => format!(
                "{SECRET_PREFIX}{}",
                STANDARD.encode(app.random.bytes::<32>())
            ),
        };
        self.signing.insert(0, secret.clone());
        self.signing.truncate(SECRETS_MAX);
        Ok(secret)
    }
}

/// The place that a destination's secrets are sealed for.
fn place(tenant: &Tenant, destination: &str) -> String {
    secrets_place(tenant.id(), destination)
}

/// As [`place`], by the tenant's id.
pub(crate) fn secrets_place(tenant: &str, destination: &str) -> String {
    format!("tenant/{tenant}/destination/{destination}")
}

fn checked_secret(given: &str) -> Result<String> {
    let bytes = given
        .strip_prefix(SECRET_PREFIX)
        .and_then(|text| STANDARD.decode(text).ok());
    match bytes {
        Some(bytes) if SECRET_BYTES.contains(&bytes.len()) => Ok(given.to_owned()),
        _ => Err(Error::invalid(
            "bad_secret",
            "`secret` must be `whsec_` and 24 to 64 bytes in base64",
        )),
    }
}

/// A destination to be made.
#[derive(Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDestination {
    /// Its name in addresses: 1 to 63 letters a to z, digits, `-` and `_`.
    pub id: String,
    /// `http` or `jetstream`.
    pub kind: String,
    /// Where events are delivered to: an address of `https`, or of `nats`.
    pub url: String,
    /// `honoured` unless said otherwise.
    pub keys: Option<String>,
    /// Events of one delivery, 1 to 1,000; 1,000 unless said otherwise.
    pub batch_events_max: Option<u32>,
    /// Deliveries under way at the same time, 1 to 64; 4 unless said otherwise.
    pub concurrency: Option<u32>,
    /// Events sent in a second, at most; 0 or nothing: as fast as it takes them.
    pub events_per_second: Option<u32>,
    /// Of a `jetstream`: what its subjects begin with; `bestow` unless said otherwise.
    pub subject_prefix: Option<String>,
    /// Of an `http`: the secret that deliveries are signed with, `whsec_` and base64; made and shown unless given.
    pub secret: Option<String>,
    /// Of a `jetstream`: the token that its server asks for.
    pub token: Option<String>,
}

/// What a new destination came to: settings, secrets, and the secret that was made for it.
type Read = (Settings, Secrets, Option<String>);

impl NewDestination {
    pub(super) fn read(self, app: &App) -> Result<Read> {
        let kind = match &*self.kind {
            "http" => Kind::Http,
            "jetstream" => Kind::Jetstream,
            _ => {
                let message = "`kind` must be `http` or `jetstream`";
                return Err(Error::invalid("bad_destination", message));
            }
        };
        let mut secrets = Secrets {
            signing: Vec::new(),
            token: self.token,
        };
        let mut made = None;
        if kind == Kind::Http {
            let secret = secrets.add(app, self.secret.as_deref())?;
            made = self.secret.is_none().then_some(secret);
        }
        let prefix = match kind {
            Kind::Jetstream => Some(self.subject_prefix.unwrap_or_else(|| "bestow".into())),
            Kind::Http => self.subject_prefix,
        };
        let settings = Settings {
            kind,
            url: self.url.trim().to_owned(),
            keys: keys_of(self.keys.as_deref())?.unwrap_or(Keys::Honoured),
            batch_events_max: self.batch_events_max.unwrap_or(BATCH_EVENTS_MAX),
            concurrency: self.concurrency.unwrap_or(CONCURRENCY_DEFAULT),
            events_per_second: self.events_per_second.filter(|rate| *rate > 0),
            subject_prefix: prefix,
        };
        Ok((settings.checked()?, secrets, made))
    }
}

/// Changes to a destination.
#[derive(Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DestinationPatch {
    /// Where events are delivered to.
    pub url: Option<String>,
    /// `honoured` or `ignored`.
    pub keys: Option<String>,
    /// Events of one delivery.
    pub batch_events_max: Option<u32>,
    /// Deliveries under way at the same time.
    pub concurrency: Option<u32>,
    /// Events sent in a second, at most; 0: as fast as it takes them.
    pub events_per_second: Option<u32>,
    /// Whether what is to be told waits.
    pub paused: Option<bool>,
    /// True: a new secret is made and shown; deliveries are signed with it and with the ones before.
    pub new_secret: Option<bool>,
    /// A new secret, given rather than made.
    pub secret: Option<String>,
    /// True: only the newest secret stays.
    pub drop_old_secrets: Option<bool>,
    /// Of a `jetstream`: the token that its server asks for.
    pub token: Option<String>,
}

impl DestinationPatch {
    pub(super) fn apply(&self, app: &App, was: &Settings, mut secrets: Secrets) -> Result<Read> {
        let mut made = None;
        if let Some(given) = &self.secret {
            secrets.add(app, Some(given))?;
        } else if self.new_secret == Some(true) {
            made = Some(secrets.add(app, None)?);
        }
        if self.drop_old_secrets == Some(true) {
            secrets.signing.truncate(1);
        }
        if let Some(token) = &self.token {
            secrets.token = Some(token.clone());
        }
        let settings = Settings {
            kind: was.kind,
            url: self.url.as_deref().unwrap_or(&was.url).trim().to_owned(),
            keys: keys_of(self.keys.as_deref())?.unwrap_or(was.keys),
            batch_events_max: self.batch_events_max.unwrap_or(was.batch_events_max),
            concurrency: self.concurrency.unwrap_or(was.concurrency),
            events_per_second: match self.events_per_second {
                None => was.events_per_second,
                Some(rate) => Some(rate).filter(|rate| *rate > 0),
            },
            subject_prefix: was.subject_prefix.clone(),
        };
        Ok((settings.checked()?, secrets, made))
    }
}

fn keys_of(text: Option<&str>) -> Result<Option<Keys>> {
    let parsed = text.map(Keys::parse).transpose();
    parsed.map_err(|e| Error::invalid("bad_keys", e.to_string()))
}
