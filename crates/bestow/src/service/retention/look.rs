//! Looking for a customer's grants in archives.

use bestow_store::archive_file::{self, Cell};
use bestow_store::archives::Archive;
use serde::Serialize;

use super::layout::{CUSTOMER, GRANTS};
use crate::app::App;
use crate::error::Result;
use crate::service::grants::customer_id;
use crate::service::view::Instant;
use crate::tenant::Tenant;

/// A grant as it left the ledger. One that had been used is still in the ledger, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ArchivedGrantView {
    /// The archive that it is in.
    pub archive: i64,
    /// Optimove's customer id, as received.
    pub customer_id: String,
    /// The code, as the campaign spelt it.
    pub promo_code: String,
    /// Optimove's campaign id.
    pub campaign_id: String,
    /// Empty unless triggered.
    pub occurrence: String,
    /// It could be redeemed from then on.
    pub starts_at: Option<Instant>,
    /// It could not be redeemed from then on; null where only Optimove's daily list ended it.
    pub ends_at: Option<Instant>,
    /// When Optimove's daily list ended it, if it did.
    pub ended_at: Option<Instant>,
    /// Redemptions when it was archived, reversed ones taken off.
    pub redeemed_count: i64,
}

/// Where a look goes on: an archive, and the place in what it has of the customer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArchivedPlace {
    /// The archive's number.
    pub archive: i64,
    /// Grants of the customer in it that were seen.
    pub seen: usize,
}

/// Grants of a customer in archives, behind a place. Reads files: not for threads that serve others.
///
/// # Errors
/// [`crate::Error::Invalid`] for an id that cannot be one; the store's and the disk's.
pub fn of_customer(
    app: &App,
    tenant: &Tenant,
    customer: &str,
    after: ArchivedPlace,
    limit: usize,
) -> Result<Vec<(ArchivedPlace, ArchivedGrantView)>> {
    let customer = customer_id(customer)?;
    let (mut found, mut place) = (Vec::new(), after);
    while found.len() < limit {
        // The archive at the place itself may have more.
        let behind = place.archive - i64::from(place.seen > 0);
        let next = app.store.peek(|tx| tx.archives(tenant.no(), behind, 1))?;
        let Some(archive) = next.into_iter().next() else {
            break;
        };
        if archive.state != "writing" {
            let folder = app.config.archive_dir().join(&archive.place);
            let told = archive.tallies.lines().next().unwrap_or_default();
            let rows = archive_file::find(GRANTS, &folder, told, (CUSTOMER, customer))?;
            let seen = if archive.no == place.archive {
                place.seen
            } else {
                0
            };
            for (at, row) in rows.iter().enumerate().skip(seen) {
                let place = ArchivedPlace {
                    archive: archive.no,
                    seen: at + 1,
                };
                found.push((place, view(&archive, row)));
            }
        }
        place = ArchivedPlace {
            archive: archive.no,
            seen: 0,
        };
    }
    found.truncate(limit);
    Ok(found)
}

fn view(archive: &Archive, row: &[Cell]) -> ArchivedGrantView {
    let text = |at: usize| match row.get(at) {
        Some(Cell::Text(text)) => text.clone(),
        _ => String::new(),
    };
    let int = |at: usize| match row.get(at) {
        Some(Cell::Int(n)) => Some(*n),
        _ => None,
    };
    ArchivedGrantView {
        archive: archive.no,
        customer_id: text(CUSTOMER),
        promo_code: text(1),
        campaign_id: archive.campaign_id.clone(),
        occurrence: text(2),
        starts_at: int(3).map(Instant),
        ends_at: int(4).map(Instant),
        ended_at: int(5).map(Instant),
        redeemed_count: int(10).unwrap_or_default(),
    }
}
