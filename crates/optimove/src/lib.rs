//! Optimove's REST API for promotion systems: wire types, tolerant readers, typed client.
