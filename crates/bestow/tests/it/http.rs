//! The service over real HTTP on loopback: what comes in, what goes out, and who may.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod bad_input;
mod campaigns;
mod clock;
mod codes;
mod connections;
mod edge;
mod eligibility;
mod exclusions;
mod export;
mod findings;
mod held;
mod inbox;
mod isolation;
mod listener;
mod lists;
mod openapi;
mod redemptions;
mod rights;
mod streams;
mod support;
mod tenants;
