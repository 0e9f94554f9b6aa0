//! Bestow: a promotion system for Optimove campaigns.
//!
//! The binary is [`cli::run`]; everything it does is here, so that tests, demo and benches run the same code.
//! Reader's order: [`app`] (what everything works with), [`ingest`] (Optimove's words into ours), [`service`] (one use
//! case a file), [`work`] (who runs them when), [`http`] and [`cli`] (who asks for them).

pub mod actor;
pub mod app;
pub mod bell;
pub mod clients;
pub mod clock;
pub mod config;
pub mod directory;
pub mod error;
pub mod events;
pub mod facts;
mod formula;
pub mod ingest;
pub mod keys;
mod memory;
mod near;
mod problem;
pub mod random;
pub mod roles;
pub mod service;
mod table;
pub mod tenant;
pub mod threads;
pub mod watch;
pub mod work;

pub mod cli;
pub mod http;

pub use app::App;
pub use error::{Error, Result};
