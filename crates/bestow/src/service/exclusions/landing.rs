//! Exclusions as a page lands: whoever is on the list when their row is read is refused, and their row says so for ever.

use std::collections::{HashMap, HashSet};

use bestow_core::RefuseReason;
use bestow_core::import::Disposition;
use bestow_store::block::Landing;
use bestow_store::{Error as StoreError, Store};

use crate::ingest::mark;

/// Marks the pairs of a page as refused whose customers are excluded. `codes` are the codes (folded) and the numbers of
/// the offers in the page's own order. A pair that is granted already, which a further pass finds again, stays
/// what it is: its redemption is refused.
///
/// # Errors
/// The store's: nothing of the page lands then.
pub(crate) fn refuse_excluded(
    store: &Store,
    tenant: i64,
    landing: &mut Landing,
    codes: &[(String, u32)],
) -> Result<(), StoreError> {
    let from = store.read(|tx| {
        if !tx.has_exclusions(tenant)? {
            return Ok(HashMap::new());
        }
        let customers: Vec<&str> = landing.customers().collect();
        let mut from: HashMap<String, Excluded> = HashMap::new();
        for (customer, code) in tx.excluded_among(tenant, &customers)? {
            from.entry(customer).or_default().from.insert(code);
        }
        for (customer, excluded) in &mut from {
            let rows = tx.ledger_rows(tenant, customer)?;
            excluded.granted = rows.iter().map(|row| row.offer).collect();
        }
        Ok::<_, StoreError>(from)
    })?;
    if from.is_empty() {
        return Ok(());
    }
    let refused = mark::of(Disposition::Refused(RefuseReason::Excluded));
    landing.mark_again(mark::GRANT, |customer, place| {
        let excluded = from.get(customer)?;
        let (code, offer) = codes.get(place.checked_sub(1)? as usize)?;
        let is_refused = excluded.from.contains("") || excluded.from.contains(code);
        (is_refused && !excluded.granted.contains(offer)).then_some(refused)
    });
    Ok(())
}

/// What is known of a customer who is excluded from anything.
#[derive(Debug, Default)]
struct Excluded {
    /// Codes, folded; an empty one: everything.
    from: HashSet<String>,
    /// Offers that they hold.
    granted: HashSet<u32>,
}
