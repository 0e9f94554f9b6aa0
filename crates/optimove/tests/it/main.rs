//! Tests of the wire types and of the client, against fixed bodies and a small server.

mod golden;
mod notification;
mod page;
mod read;
mod retry;
mod rows;
mod sign;
