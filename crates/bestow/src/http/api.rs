//! What each route does: extract, call one use case, map. One file for each family of routes.

pub(crate) mod archives;
pub(crate) mod audit;
pub(crate) mod campaigns;
pub(crate) mod clock;
pub(crate) mod codes;
pub(crate) mod deliveries;
pub(crate) mod destinations;
pub(crate) mod eligibility;
pub(crate) mod events;
pub(crate) mod exclusions;
pub(crate) mod findings;
pub(crate) mod grants;
pub(crate) mod health;
pub(crate) mod held;
pub(crate) mod listeners;
pub(crate) mod notifications;
pub(crate) mod promotions;
pub(crate) mod redemptions;
pub(crate) mod tenants;
pub(crate) mod why;
