//! Use cases, one file each. Each loads, lets `bestow-core` decide, and writes in one named transaction.

pub(crate) mod audit;
pub mod campaigns;
pub mod cancel;
pub mod clearance;
pub mod codes;
pub mod doctor;
pub mod eligibility;
pub mod ended;
pub mod exclusions;
pub mod findings;
pub mod gateway;
pub mod grants;
pub mod held;
pub mod import;
pub mod inbox;
pub mod listeners;
pub mod merge;
pub mod notifications;
pub mod promotions;
pub mod release;
pub mod sweep;
pub mod tenants;
pub mod tokens;
pub mod triggered;
pub mod verify;
pub mod view;
