//! Optimove's REST API for promotion systems: wire types, tolerant readers, typed client.

pub mod limits;
pub mod read;
pub mod secret;
pub mod wire;
