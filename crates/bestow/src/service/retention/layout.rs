//! What the files of archives look like. A name or column once used keeps its meaning.

use bestow_store::archive_file::{Column, Layout};

/// Grants: all of them, with those that stay in the ledger since they were used.
pub(super) const GRANTS: Layout = Layout {
    name: "grants",
    columns: &[
        Column::text("customer_id"),
        Column::text("promo_code"),
        Column::text("occurrence"),
        Column::instant("starts_at"),
        Column::instant("ends_at"),
        // By the daily list.
        Column::instant("ended_at"),
        Column::int("action"),
        Column::int("channel"),
        Column::int("page"),
        // The number of the unique code in its pool; -1: the fallback code.
        Column::int("code_no"),
        Column::int("redeemed"),
        Column::int("offer"),
        Column::int("window"),
    ],
};

/// Where [`GRANTS`] has the customer.
pub(super) const CUSTOMER: usize = 0;

/// Rows of Optimove's lists as they landed, in the order of customers.
pub(super) const ROWS: Layout = Layout {
    name: "rows",
    columns: &[
        Column::text("customer_id"),
        Column::int("page"),
        Column::int("row"),
        Column::text("promo_code"),
        Column::int("offer"),
        Column::int("window"),
        Column::int("mark"),
    ],
};

/// Customers that a conditional campaign was not to reach.
pub(super) const DENIALS: Layout = Layout {
    name: "denials",
    columns: &[
        Column::text("customer_id"),
        Column::int("round"),
        Column::text("reason"),
        Column::int("pairs"),
    ],
};

/// Triggers that were met.
pub(super) const TRIGGERS: Layout = Layout {
    name: "triggers",
    columns: &[
        Column::text("occurrence"),
        Column::text("customer_id"),
        Column::text("notification"),
        Column::instant("met_at"),
        Column::instant("taken_at"),
        Column::int("reserved"),
        Column::text("kept"),
    ],
};

/// What became of each code of a trigger.
pub(super) const PAIRS: Layout = Layout {
    name: "pairs",
    columns: &[
        Column::text("occurrence"),
        Column::text("promo_code"),
        Column::text("outcome"),
    ],
};

/// The files of a campaign that leaves as a whole.
const OF_CAMPAIGNS: [Layout; 3] = [GRANTS, ROWS, DENIALS];
/// The files of a month of triggers.
const OF_MONTHS: [Layout; 3] = [GRANTS, TRIGGERS, PAIRS];

/// The files of an archive.
pub(super) fn files_of(month: &str) -> &'static [Layout; 3] {
    if month.is_empty() {
        &OF_CAMPAIGNS
    } else {
        &OF_MONTHS
    }
}
