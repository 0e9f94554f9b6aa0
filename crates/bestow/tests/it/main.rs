//! Tests of the whole service, in one binary. `support` holds the world that they play in.

mod home;
mod process;
mod support;

mod cli;
mod deliveries;
mod faults;
mod flows;
mod harness;
mod http;
mod kill;
#[cfg(feature = "postgres-tests")]
mod nodes;
mod scripted;
mod services;
mod sim;
