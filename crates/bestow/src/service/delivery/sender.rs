//! What a destination is made of while it is delivered to.

use std::time::Duration;

use bestow_core::delivery::Tried;

use super::addresses::Allowed;
use super::http::{Endpoint, check_url};
use super::jetstream::{Published, Stream};
use super::message::{self, EventBody};
use super::stream::Batch;
use crate::app::App;
use crate::error::{Error, Result};
use crate::service::destinations::{Kind, Secrets, Settings};
use crate::tenant::Tenant;

/// What came of a try, in words too.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) tried: Tried,
    pub(super) detail: String,
}

impl Attempt {
    pub(super) fn new(tried: Tried, detail: String) -> Self {
        Self { tried, detail }
    }
}

/// What the deployment allows.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(super) connect: Duration,
    pub(super) answer: Duration,
    pub(super) allowed: Allowed,
    pub(super) is_plain_allowed: bool,
    /// Servers of NATS that may be used, with commas between them.
    pub(super) jetstream_servers: String,
}

impl Limits {
    /// As the settings say.
    ///
    /// # Errors
    /// [`Error::Invalid`] where `delivery.allow_networks` cannot be read.
    pub(crate) fn of(app: &App) -> Result<Self> {
        let delivery = &app.config.delivery;
        let allowed = Allowed::parse(&delivery.allow_networks).map_err(|which| {
            let message = format!("delivery.allow_networks: `{which}` is no network");
            Error::invalid("bad_networks", message)
        })?;
        Ok(Self {
            connect: Duration::from_millis(delivery.connect_ms_max),
            answer: Duration::from_millis(delivery.answer_ms_max),
            allowed,
            is_plain_allowed: delivery.allow_plain_http,
            jetstream_servers: delivery.jetstream_servers.clone(),
        })
    }
}

/// Sends batches.
#[derive(Debug)]
pub(super) enum Sender {
    Http(Endpoint),
    JetStream { stream: Box<Stream>, prefix: String },
}

/// A batch, ready to be sent.
#[derive(Debug)]
pub(super) enum Ready {
    Http(bytes::Bytes),
    JetStream(Vec<Published>),
}

impl Sender {
    pub(super) fn new(settings: &Settings, secrets: &Secrets, limits: &Limits) -> Result<Self> {
        match settings.kind {
            Kind::Http => {
                let url = check_url(&settings.url, limits)?;
                Ok(Self::Http(Endpoint::new(url, &secrets.signing, limits)?))
            }
            Kind::Jetstream => Ok(Self::JetStream {
                stream: Box::new(Stream::new(
                    &settings.url,
                    secrets.token.as_deref(),
                    limits,
                )?),
                prefix: settings.subject_prefix.clone().unwrap_or_default(),
            }),
        }
    }

    pub(super) fn ready(&self, tenant: &Tenant, batch: &Batch, events: &[EventBody]) -> Ready {
        match self {
            Self::Http(_) => Ready::Http(message::body(tenant, batch, events).into()),
            Self::JetStream { prefix, .. } => {
                let published = events.iter().map(|event| Published {
                    id: event.id.clone(),
                    subject: format!("{prefix}.{}.{}", tenant.id(), event.r#type),
                    payload: message::json(event),
                });
                Ready::JetStream(published.collect())
            }
        }
    }

    pub(super) async fn send(&self, id: &str, at_second: i64, ready: Ready) -> Attempt {
        match (self, ready) {
            (Self::Http(endpoint), Ready::Http(body)) => endpoint.send(id, at_second, body).await,
            (Self::JetStream { stream, .. }, Ready::JetStream(events)) => stream.send(events).await,
            // A batch is made ready by whoever sends it.
            (_, _) => Attempt::new(Tried::NotSent, "made ready for another kind".into()),
        }
    }
}

/// Whether settings can be delivered with.
///
/// # Errors
/// [`Error::Invalid`].
pub(crate) fn check(settings: &Settings, secrets: &Secrets, limits: &Limits) -> Result<()> {
    Sender::new(settings, secrets, limits).map(drop)
}
