//! The store as its callers see it: a contract that any engine must keep, and what
//! is particular to SQLite.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method of `Tx<'_>` by its name is not general enough for `Store::tx`"
)]

mod archive_files;
mod blocks;
mod contract;
mod copies;
mod log;
mod migrate;
#[cfg(feature = "postgres-tests")]
mod on_postgres;
mod schema;
mod sharing;
mod support;
mod writer;

contract::stamp!(sqlite, crate::support::sqlite);
#[cfg(feature = "postgres-tests")]
contract::stamp!(postgres, crate::support::postgres);
#[cfg(feature = "postgres-tests")]
contract::stamp!(partitions, crate::support::partitions);
