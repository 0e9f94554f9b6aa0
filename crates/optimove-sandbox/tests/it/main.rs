//! The sandbox as its callers see it: over HTTP on loopback.

mod request_lines;
mod world;
