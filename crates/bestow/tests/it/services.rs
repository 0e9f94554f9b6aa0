//! Use cases that people ask for: tenants, tokens, listeners, the catalogue, verify and doctor.

mod audit;
mod catalogue;
mod clients;
mod code_batches;
mod codes;
mod doctor;
mod keys;
mod listeners;
mod promotions;
mod rotation;
mod spread;
mod tenants;
mod tokens;
mod verify;
mod why;

use bestow::Error;

/// The stable code of a refusal.
fn code(error: &Error) -> &'static str {
    match error {
        Error::Invalid { code, .. } | Error::Conflict { code, .. } => code,
        Error::NotFound(what) => what,
        other => panic!("no refusal: {other}"),
    }
}
