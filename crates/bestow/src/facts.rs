//! What most reads of the ledger need beside the row itself, kept at hand.
//!
//! Offers and windows never change once made. Campaigns and promotions do: their entries are dropped after a change
//! of ours, and all of them once the database says that anybody changed anything.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use bestow_store::campaigns::{Campaign, WindowSpec};
use bestow_store::grants::{LedgerRow, OfferFacts};
use bestow_store::promotions::Promotion;
use bestow_store::{Error as StoreError, Store};

/// Entries of one kind kept at hand; beyond it the kind starts over.
const ENTRIES_MAX: usize = 200_000;

/// A grant as the ledger has it, with what its numbers stand for.
#[derive(Debug, Clone)]
pub struct FoundGrant {
    /// The row.
    pub row: LedgerRow,
    /// What its offer stands for.
    pub offer: Arc<OfferFacts>,
    /// What its window stands for.
    pub window: WindowSpec,
    /// Its campaign.
    pub campaign: Arc<Campaign>,
}

/// The cache.
#[derive(Debug, Default)]
pub struct Facts {
    offers: Shelf<(i64, u32), Arc<OfferFacts>>,
    windows: Shelf<(i64, u32), WindowSpec>,
    campaigns: Shelf<(i64, i64), Arc<Campaign>>,
    promotions: Shelf<(i64, String), Option<Arc<Promotion>>>,
}

impl Facts {
    /// The grants of one customer for one code (in lower case).
    ///
    /// # Errors
    /// The store's.
    pub fn grants_for_code(
        &self,
        store: &Store,
        tenant: i64,
        customer: &str,
        code_fold: &str,
    ) -> Result<Vec<FoundGrant>, StoreError> {
        let mut rows = store.peek(|tx| tx.ledger_rows(tenant, customer))?;
        let mut found = Vec::with_capacity(rows.len().min(4));
        for row in rows.drain(..) {
            let offer = self.offer(store, tenant, row.offer)?;
            if offer.code_fold != code_fold {
                continue;
            }
            let window = self.window(store, tenant, row.window)?;
            let campaign = self.campaign(store, tenant, offer.campaign)?;
            found.push(FoundGrant {
                row,
                offer,
                window,
                campaign,
            });
        }
        Ok(found)
    }

    /// A promotion by its code in lower case.
    ///
    /// # Errors
    /// The store's.
    pub fn promotion(
        &self,
        store: &Store,
        tenant: i64,
        code_fold: &str,
    ) -> Result<Option<Arc<Promotion>>, StoreError> {
        self.promotions.get_or((tenant, code_fold.to_owned()), || {
            Ok(store
                .peek(|tx| tx.promotion(tenant, code_fold))?
                .map(Arc::new))
        })
    }

    /// A campaign by its number.
    ///
    /// # Errors
    /// The store's.
    pub fn campaign(
        &self,
        store: &Store,
        tenant: i64,
        no: i64,
    ) -> Result<Arc<Campaign>, StoreError> {
        self.campaigns.get_or((tenant, no), || {
            let found = store.peek(|tx| tx.campaign_by_no(tenant, no))?;
            found.map(Arc::new).ok_or_else(|| missing("campaign", no))
        })
    }

    /// Drops what may have changed: after a change of ours, or when the database says that there was one.
    pub fn forget_changeable(&self) {
        self.campaigns.clear();
        self.promotions.clear();
    }

    fn offer(&self, store: &Store, tenant: i64, no: u32) -> Result<Arc<OfferFacts>, StoreError> {
        self.offers.get_or((tenant, no), || {
            let found = store.peek(|tx| tx.offer_facts(tenant, no))?;
            found
                .map(Arc::new)
                .ok_or_else(|| missing("offer", no.into()))
        })
    }

    fn window(&self, store: &Store, tenant: i64, no: u32) -> Result<WindowSpec, StoreError> {
        self.windows.get_or((tenant, no), || {
            store
                .peek(|tx| tx.window_facts(tenant, no))?
                .ok_or_else(|| missing("window", no.into()))
        })
    }
}

fn missing(what: &str, no: i64) -> StoreError {
    StoreError::Corrupt(format!("a grant points to {what} {no}, which is not there"))
}

/// A bounded map that is read far more often than written.
#[derive(Debug)]
struct Shelf<K, V>(RwLock<HashMap<K, V>>);

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Hash + Eq, V: Clone> Shelf<K, V> {
    fn get_or(
        &self,
        key: K,
        load: impl FnOnce() -> Result<V, StoreError>,
    ) -> Result<V, StoreError> {
        if let Some(value) = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
        {
            return Ok(value.clone());
        }
        let value = load()?;
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(key, value.clone());
        Ok(value)
    }

    fn clear(&self) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
