//! The durable facts of Bestow: all SQL, no rules.
//!
//! [`Store`] opens a database by its address and gives two ways in: [`Store::tx`] (and [`Store::bulk`]) for named
//! transactions that write, [`Store::read`] for reads. Statements live in one file per family of tables, as methods
//! of [`Tx`]; they keep and find, and decide nothing. Instants are whole milliseconds since 1970 UTC.

mod checkpoint;
mod clock;
mod copy_end;
mod copy_table;
mod copy_tally;
mod error;
mod kept_answers;
mod migrate;
mod moves;
mod nodes;
mod notes;
mod online;
mod pairs;
mod park;
mod pg_ahead;
mod pg_connect;
mod pg_door;
mod pg_error;
mod pg_hear;
mod pg_look_ups;
mod pg_near;
mod pg_raw;
mod pg_readers;
mod pg_spread;
mod pg_tls;
mod pg_types;
mod pg_writer;
mod postgres;
mod postgres_engine;
mod queue;
mod readers;
mod redemption_terms;
mod scratch;
mod size;
mod sqlite;
mod sqlite_engine;
mod store;
mod testing_hooks;
mod tx;
mod value;
mod writer;

pub mod announcements;
pub mod archivable;
pub mod archive_file;
pub mod archived_triggers;
pub mod archives;
pub mod audit;
pub mod block;
pub mod calls;
pub mod campaigns;
pub mod cancellations;
pub mod clearance;
pub mod codes;
pub mod copy;
pub mod correlation;
pub mod deliveries;
pub mod destinations;
pub mod door;
pub mod endings;
pub mod exclusions;
pub mod findings;
pub mod gateway;
pub mod grants;
pub mod guards;
pub mod holders;
pub mod imports;
pub mod inbox;
pub mod jobs;
pub mod merge;
pub mod promotions;
pub mod ranges;
pub mod raw;
pub mod redemptions;
pub mod runs;
pub mod schema;
pub mod spread;
pub mod stops;
pub mod tenants;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "testing")]
mod testing_postgres;
pub mod tokens;
pub mod triggers;
pub mod verify;
pub mod verify_redemptions;
pub mod waiting;
pub mod windows;

pub use clock::Clock;
pub use error::Error;
pub use pairs::Sharing;
pub use pg_near::Ahead;
pub use scratch::Scratch;
pub use store::{Connections, Durability, Lock, Migrate, Options, Store};
pub use testing_hooks::Fault;
pub use tx::{Statement, Tx};
pub use value::{Row, Value};
