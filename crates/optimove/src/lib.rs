//! Optimove's REST API for promotion systems: wire types, tolerant readers, typed client.

#[cfg(feature = "client")]
mod answer;
#[cfg(feature = "client")]
pub mod client;
pub mod error;
pub mod limits;
pub mod page;
#[cfg(feature = "client")]
pub mod rate;
pub mod read;
#[cfg(feature = "client")]
mod request;
pub mod retry;
pub mod secret;
pub mod sign;
#[cfg(feature = "client")]
mod token;
pub mod wire;

#[cfg(feature = "client")]
pub use client::Client;
pub use error::Error;
pub use secret::{Secret, SecretUrl};
