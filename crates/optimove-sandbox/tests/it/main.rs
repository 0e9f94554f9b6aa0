//! The sandbox as its callers see it: over HTTP on loopback.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod access;
mod answers;
mod catalogue;
mod client;
mod conditional;
mod control;
mod customer_lists;
mod faults;
mod gateway;
mod hostile;
mod listener;
mod listeners;
mod notifications;
mod oracle;
mod pages;
mod reads;
mod request_lines;
mod send_groups;
mod shapes;
mod statuses;
mod triggers;
mod world;
