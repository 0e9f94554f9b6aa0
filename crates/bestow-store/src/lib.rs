//! The durable facts of Bestow: all SQL, no rules.
