//! Who asks over HTTP: Optimove, operators, their systems.
//!
//! Reader's order: `server` takes connections, `routes` says which paths there are and who may use
//! them, `door` lets a request in and an answer out, `api` has one file for each family of routes,
//! and `problem` is the one place that knows which status an error has.

pub mod routes;

mod api;
mod body;
mod callback;
mod door;
mod edge;
mod export;
mod gateway;
mod idempotency;
mod listener;
mod metrics;
pub mod openapi;
mod page;
mod problem;
mod rates;
mod server;
mod socket;

pub use server::Server;
