//! Use cases, one file each. Each loads, lets `bestow-core` decide, and writes in one named transaction.

pub mod import;
pub mod merge;
pub mod notifications;
pub mod release;
pub mod sweep;
