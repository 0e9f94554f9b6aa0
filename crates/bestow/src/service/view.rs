//! Values that several answers share.

use serde::{Serialize, Serializer};

use crate::clock;

/// An instant as answers carry it: RFC 3339 in UTC, `2027-03-25T06:00:00Z`. Holds milliseconds
/// since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime, examples("2027-03-25T06:00:00Z"))]
pub struct Instant(pub i64);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&clock::instant(self.0))
    }
}

impl std::fmt::Display for Instant {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        clock::instant(self.0).fmt(out)
    }
}
