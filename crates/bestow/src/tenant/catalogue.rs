//! What a tenant lays down for its catalogue.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the daily look at Optimove's list of codes does where it differs from the catalogue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CatalogueSync {
    /// It tells of the differences; a person syncs.
    #[default]
    Manual,
    /// It syncs.
    Daily,
}
