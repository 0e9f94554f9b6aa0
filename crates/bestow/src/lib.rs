//! A promotion system for Optimove campaigns, in one binary.
