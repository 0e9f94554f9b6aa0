//! Optimove's REST API for promotion systems: wire types, tolerant readers, typed client.
//!
//! Optimove decides who should get which promotion when, and tells a promotion system through
//! notifications and a REST API. This crate is the promotion system's side of that conversation.
//!
//! - [`wire`]: bodies of requests, answers, notifications and the gateway, with a writer as
//!   documented and a reader that takes every variant seen in use.
//! - [`read`]: those readers' parts, for names, ids, times and lists of codes.
//! - [`page`] and [`retry`]: when a list is complete, when a call is made again. Pure.
//! - [`sign`]: signatures on bodies, both ways.
//! - `client`, `rate`, `peers` (feature `client`, on by default): calls with API key or login, in one
//!   budget of calls by priority, within limits of time, size and speed; shared by several processes.
//!
//! # Example
//!
#![doc = concat!("```no_run\n", include_str!("../examples/read_campaign.rs"), "```")]

#[cfg(feature = "client")]
mod answer;
#[cfg(feature = "client")]
pub mod client;
pub mod error;
pub mod limits;
pub mod page;
#[cfg(feature = "client")]
pub mod peers;
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
