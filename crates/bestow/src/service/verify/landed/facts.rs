//! What is known of a campaign beside its rows.

use std::collections::{HashMap, HashSet};

use bestow_core::HoldReason;
use bestow_store::Error as StoreError;
use bestow_store::campaigns::{Campaign, WindowSpec};

use crate::app::App;
use crate::error::Result;
use crate::service::verify::tally::Tally;

/// What is known of a campaign beside its rows.
pub(super) struct Facts {
    pub(super) campaign: Campaign,
    /// Each offer with the reason for which it holds its pairs, if it does.
    pub(super) offers: HashMap<u32, Option<HoldReason>>,
    /// Offers with pairs that wait for a unique code.
    pub(super) waiting: Vec<u32>,
    pub(super) windows: HashMap<u32, WindowSpec>,
    /// Pages of confirming passes.
    pub(super) confirming: HashSet<u32>,
    /// Confirming passes may have dropped rows that had widened a window.
    pub(super) was_confirmed: bool,
    /// Newer zone data moved windows before they started: one that spans several may have started and stayed.
    pub(super) was_moved: bool,
    pub(super) counts: Vec<(String, i64)>,
    /// Rows that name nobody, counted when they landed.
    pub(super) nobody: Tally,
}

impl Facts {
    pub(super) fn read(app: &App, tenant: i64, campaign: Campaign) -> Result<Self> {
        let no = campaign.no;
        app.store.read(|tx| {
            let offers = tx.offers(tenant, no)?;
            let mut nobody = Tally::default();
            for (_, held) in tx.held_rows(tenant, no)? {
                nobody.add("rows", 1);
                nobody.add("rows_without_code", u64::from(held.pairs == 0));
                nobody.add("pairs", held.pairs.into());
                nobody.add(&format!("held:{}", held.reason), held.pairs.into());
            }
            let pages = tx.landed_pages(tenant, no)?;
            Ok(Self {
                offers: offers
                    .into_iter()
                    .map(|offer| (offer.no, offer.hold_reason.as_deref().map(reason)))
                    .collect(),
                waiting: tx.waiting_offers(tenant, no)?,
                windows: tx.windows(tenant, no)?.into_iter().collect(),
                confirming: pages
                    .iter()
                    .filter(|page| page.pass > 1)
                    .map(|page| page.page)
                    .collect(),
                was_moved: tx.has_moved_windows(tenant, no)?,
                was_confirmed: pages.iter().any(|page| page.pass > 1),
                counts: tx.counts(tenant, no)?,
                nobody,
                campaign,
            })
        })
    }

    /// Whether a pair waits for a unique code.
    pub(super) fn waits(
        &self,
        app: &App,
        tenant: i64,
        customer: &str,
        offer: u32,
    ) -> std::result::Result<bool, StoreError> {
        if !self.waiting.contains(&offer) {
            return Ok(false);
        }
        let found = app.store.peek(|tx| tx.waiting(tenant, offer, customer))?;
        Ok(found.is_some())
    }

    pub(super) fn waits_for_any(
        &self,
        app: &App,
        tenant: i64,
        customer: &str,
    ) -> std::result::Result<bool, StoreError> {
        self.waiting.iter().try_fold(false, |found, offer| {
            Ok(found || self.waits(app, tenant, customer, *offer)?)
        })
    }

    pub(super) fn stored(&self, counter: &str) -> i64 {
        self.counts
            .iter()
            .find(|(known, _)| known == counter)
            .map_or(0, |(_, n)| *n)
    }
}

/// A reason that a newer program wrote counts as an unknown code, as in the merge.
fn reason(text: &str) -> HoldReason {
    HoldReason::parse(text).unwrap_or(HoldReason::UnknownCode)
}
