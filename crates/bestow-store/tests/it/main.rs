//! The store as its callers see it: a contract that any engine must keep, and what is particular to SQLite.

mod contract;
mod support;

contract::stamp!(sqlite, crate::support::sqlite);
