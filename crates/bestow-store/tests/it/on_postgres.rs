//! What is particular to PostgreSQL: the schema is the same, every statement is understood, several starters and
//! several writers do no harm, and a connection that is lost is no more than a delay.

mod migrate;
mod nodes;
mod online;
mod parity;
mod spread;
mod statements;
mod tls;
mod writers;
