//! Tests of the wire types and of the client, against fixed bodies and a small server.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod failures;
mod golden;
#[cfg(feature = "client")]
mod hostile;
#[cfg(feature = "client")]
mod login;
mod notification;
mod page;
#[cfg(feature = "client")]
mod paging;
#[cfg(feature = "client")]
mod peers;
#[cfg(feature = "client")]
mod rate;
mod read;
mod retry;
mod rows;
#[cfg(feature = "client")]
mod secrecy;
#[cfg(feature = "client")]
mod server;
mod sign;
#[cfg(feature = "client")]
mod tls;
