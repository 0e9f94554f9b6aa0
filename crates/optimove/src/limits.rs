//! Limits that Optimove sets on single calls.

/// Entries in one call of `AddPromotions` or `DeletePromotions`.
pub const PROMOTIONS_MAX: usize = 100;
/// Customers in one call of `UpdateCustomerPromotionStatus`.
pub const DECISIONS_MAX: usize = 10_000;
/// Rows of a page when `$top` is not sent, and the page size that is asked for by default.
pub const PAGE_ROWS_DEFAULT: u32 = 10_000;
