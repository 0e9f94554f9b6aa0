//! What most reads of the ledger need beside the row itself, kept at hand.
//!
//! Offers and windows never change once made. Campaigns and promotions do: their entries are dropped after a change
//! of ours, and all of them once the database says that anybody changed anything.

mod clearing;

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bestow_core::{Clearance, PromotionFacts, PromotionStatus};
use bestow_store::campaigns::{Campaign, WindowSpec};
use bestow_store::grants::{LedgerRow, OfferFacts};
use bestow_store::promotions::Promotion;
use bestow_store::{Error as StoreError, Store};

use crate::service::promotions::Limits;

pub(crate) use clearing::cleared;

use crate::near::Near;

/// Entries of one kind kept at hand in each copy; beyond it the copy starts over.
const ENTRIES_MAX: usize = 20_000;

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
    /// Milliseconds; when the page that gave it landed.
    pub created_at: i64,
    /// What is known of its clearance.
    pub cleared: Clearance,
}

/// A promotion, with what decisions need of it already read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPromotion {
    row: Promotion,
    /// For the decisions, as if nothing was used up.
    pub facts: PromotionFacts,
}

impl Deref for KnownPromotion {
    type Target = Promotion;

    fn deref(&self) -> &Promotion {
        &self.row
    }
}

impl KnownPromotion {
    fn read(row: Promotion) -> Result<Self, StoreError> {
        let corrupt = |what: &dyn std::fmt::Display| {
            StoreError::Corrupt(format!("promotion {}: {what}", row.code_fold))
        };
        let limits: Limits = serde_json::from_str(&row.limits).map_err(|e| corrupt(&e))?;
        let facts = PromotionFacts {
            status: PromotionStatus::parse(&row.status).map_err(|e| corrupt(&e))?,
            limits: limits.facts(),
            ..PromotionFacts::UNLIMITED
        };
        Ok(Self { row, facts })
    }
}

/// The cache.
#[derive(Debug, Default)]
pub struct Facts {
    offers: Shelf<(i64, u32), Arc<OfferFacts>>,
    windows: Shelf<(i64, u32), WindowSpec>,
    campaigns: Shelf<(i64, i64), Arc<Campaign>>,
    landings: Shelf<(i64, i64, u32), i64>,
    promotions: Shelf<(i64, String), Option<Arc<KnownPromotion>>>,
    /// Whether anybody of a tenant is excluded.
    exclusions: Shelf<i64, bool>,
    clearings: clearing::Clearings,
}

impl Facts {
    /// The grants of one customer for one code (in lower case).
    ///
    /// # Errors
    /// The store's.
    pub async fn grants_for_code(
        &self,
        store: &Store,
        tenant: i64,
        customer: &str,
        code_fold: &str,
    ) -> Result<Vec<FoundGrant>, StoreError> {
        let mut rows = store.ledger_rows(tenant, customer).await?;
        let mut found = Vec::with_capacity(rows.len().min(4));
        for row in rows.drain(..) {
            let offer = self.offer(store, tenant, row.offer)?;
            if offer.code_fold != code_fold {
                continue;
            }
            let window = self.window(store, tenant, row.window)?;
            let campaign = self.campaign(store, tenant, offer.campaign)?;
            let created_at = if row.occurrence.is_empty() {
                self.landed_at(store, tenant, &campaign, row.page)?
            } else {
                let trigger = store.peek(|tx| tx.trigger(tenant, campaign.no, &row.occurrence))?;
                trigger.map_or(campaign.first_seen_at, |trigger| trigger.taken_at)
            };
            let cleared = self.cleared(store, tenant, &campaign, customer, &row)?;
            found.push(FoundGrant {
                row,
                offer,
                window,
                campaign,
                created_at,
                cleared,
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
    ) -> Result<Option<Arc<KnownPromotion>>, StoreError> {
        self.promotions.get_or((tenant, code_fold.to_owned()), || {
            let found = store.peek(|tx| tx.promotion(tenant, code_fold))?;
            found
                .map(|row| KnownPromotion::read(row).map(Arc::new))
                .transpose()
        })
    }

    /// Whether anybody of a tenant is excluded: mostly nobody is.
    ///
    /// # Errors
    /// The store's.
    pub fn has_exclusions(&self, store: &Store, tenant: i64) -> Result<bool, StoreError> {
        self.exclusions.get_or(tenant, || {
            let first = store.peek(|tx| tx.exclusions(tenant, ("", ""), 1))?;
            Ok(!first.is_empty())
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

    /// What is known of the clearance of a customer's grant.
    ///
    /// # Errors
    /// The store's.
    pub fn cleared(
        &self,
        store: &Store,
        tenant: i64,
        campaign: &Campaign,
        customer: &str,
        row: &LedgerRow,
    ) -> Result<Clearance, StoreError> {
        self.clearings.of(store, tenant, campaign, customer, row)
    }

    /// Drops what may have changed: after a change of ours, or when the database says that there was one.
    pub fn forget_changeable(&self) {
        self.campaigns.clear();
        self.windows.clear();
        self.promotions.clear();
        self.exclusions.clear();
        self.clearings.forget_rounds();
    }

    /// When a page of a campaign landed, in milliseconds. What no page gave counts from when its campaign was first
    /// heard of.
    ///
    /// # Errors
    /// The store's.
    pub fn landed_at(
        &self,
        store: &Store,
        tenant: i64,
        campaign: &Campaign,
        page: u32,
    ) -> Result<i64, StoreError> {
        if page == 0 {
            return Ok(campaign.first_seen_at);
        }
        self.landings.get_or((tenant, campaign.no, page), || {
            let found = store.peek(|tx| tx.page_landed_at(tenant, campaign.no, page))?;
            Ok(found.unwrap_or(campaign.first_seen_at))
        })
    }

    /// What an offer stands for.
    pub(crate) fn offer(
        &self,
        store: &Store,
        tenant: i64,
        no: u32,
    ) -> Result<Arc<OfferFacts>, StoreError> {
        self.offers.get_or((tenant, no), || {
            let found = store.peek(|tx| tx.offer_facts(tenant, no))?;
            found
                .map(Arc::new)
                .ok_or_else(|| missing("offer", no.into()))
        })
    }

    /// What a window stands for.
    pub(crate) fn window(
        &self,
        store: &Store,
        tenant: i64,
        no: u32,
    ) -> Result<WindowSpec, StoreError> {
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
struct Shelf<K, V> {
    copies: Near<RwLock<HashMap<K, V>>>,
    /// How often it was cleared.
    cleared: AtomicU64,
}

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Self {
            copies: Near::default(),
            cleared: AtomicU64::new(0),
        }
    }
}

impl<K: Hash + Eq, V: Clone> Shelf<K, V> {
    fn get_or(
        &self,
        key: K,
        load: impl FnOnce() -> Result<V, StoreError>,
    ) -> Result<V, StoreError> {
        if let Some(value) = self
            .copies
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
        {
            return Ok(value.clone());
        }
        let cleared = self.cleared.load(Ordering::SeqCst);
        let value = load()?;
        let mut entries = self.copies.write().unwrap_or_else(PoisonError::into_inner);
        // What was loaded before a change is not kept behind it.
        if self.cleared.load(Ordering::SeqCst) == cleared {
            if entries.len() >= ENTRIES_MAX {
                entries.clear();
            }
            entries.insert(key, value.clone());
        }
        Ok(value)
    }

    fn clear(&self) {
        self.cleared.fetch_add(1, Ordering::SeqCst);
        for copy in self.copies.all() {
            copy.write().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}
