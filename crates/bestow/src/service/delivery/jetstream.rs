//! Deliveries to a stream of NATS: each event is a message of its own, with the event's id to tell repeats by.

use std::time::Duration;

use async_nats::jetstream::context::{ContextBuilder, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, context::PublishAckFuture};
use async_nats::{ConnectOptions, ServerAddr};
use bestow_core::delivery::Tried;
use bytes::Bytes;
use tokio::sync::OnceCell;

use super::sender::{Attempt, Limits};
use crate::error::{Error, Result};

/// Messages of one connection that are sent and not yet acknowledged.
const IN_FLIGHT_MAX: usize = 4_096;

/// An event as it is published.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) id: String,
    pub(super) subject: String,
    pub(super) payload: Bytes,
}

/// A stream, connected to when something is first sent.
pub(super) struct Stream {
    servers: Vec<ServerAddr>,
    token: Option<String>,
    connect: Duration,
    answer: Duration,
    context: OnceCell<jetstream::Context>,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stream({} servers)", self.servers.len())
    }
}

impl Stream {
    /// A stream on these servers, with commas between them. Each must be one that the deployment names.
    ///
    /// # Errors
    /// [`Error::Invalid`] with `bad_url`.
    pub(super) fn new(url: &str, token: Option<&str>, limits: &Limits) -> Result<Self> {
        let bad = |message: String| Error::invalid("bad_url", message);
        let named: Vec<&str> = parts(url).collect();
        if named.is_empty() {
            return Err(bad("a `jetstream` needs the address of a server".into()));
        }
        let mut servers = Vec::new();
        for one in named {
            if !parts(&limits.jetstream_servers).any(|allowed| allowed == one) {
                let message = format!("`{one}` is not among delivery.jetstream_servers");
                return Err(bad(message));
            }
            let server = one.parse().map_err(|e| bad(format!("`{one}`: {e}")))?;
            servers.push(server);
        }
        Ok(Self {
            servers,
            token: token.map(str::to_owned),
            connect: limits.connect,
            answer: limits.answer,
            context: OnceCell::new(),
        })
    }

    /// Publishes a batch in its order, and waits until the stream has taken each of its events.
    pub(super) async fn send(&self, events: Vec<Published>) -> Attempt {
        let context = match self.context.get_or_try_init(|| self.open()).await {
            Ok(context) => context,
            Err(why) => return Attempt::new(Tried::NotSent, why),
        };
        let mut waiting = Vec::with_capacity(events.len());
        for event in events {
            let message = PublishMessage::build()
                .message_id(&event.id)
                .payload(event.payload);
            match context.send_publish(event.subject, message).await {
                Ok(ack) => waiting.push(ack),
                Err(error) => return Attempt::new(failed(error.kind()), error.to_string()),
            }
        }
        acknowledged(waiting).await
    }

    async fn open(&self) -> std::result::Result<jetstream::Context, String> {
        let mut options = ConnectOptions::new()
            .name("bestow")
            .connection_timeout(self.connect)
            .retain_servers_order()
            // Where to is for the operator to say, not for a server.
            .ignore_discovered_servers();
        if let Some(token) = &self.token {
            options = options.token(token.clone());
        }
        let connected = options.connect(self.servers.as_slice()).await;
        let client = connected.map_err(|e| format!("no connection to NATS: {e}"))?;
        Ok(ContextBuilder::new()
            .timeout(self.answer)
            .ack_timeout(self.answer)
            .max_ack_inflight(IN_FLIGHT_MAX)
            .build(client))
    }
}

fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|one| !one.is_empty())
}

/// Once one was not taken the others do not matter: all come again, and what was taken is known by its id.
async fn acknowledged(waiting: Vec<PublishAckFuture>) -> Attempt {
    for ack in waiting {
        if let Err(error) = ack.await {
            return Attempt::new(failed(error.kind()), error.to_string());
        }
    }
    Attempt::new(Tried::Accepted, String::new())
}

fn failed(kind: PublishErrorKind) -> Tried {
    match kind {
        PublishErrorKind::MaxPayloadExceeded => Tried::Refused,
        PublishErrorKind::StreamNotFound => Tried::NotSent,
        _ => Tried::Lost,
    }
}
