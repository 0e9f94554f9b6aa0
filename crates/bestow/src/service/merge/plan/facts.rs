//! What the planner has to know of a campaign, read once for all its chunks.

use std::collections::{HashMap, HashSet};

use bestow_core::HoldReason;
use bestow_store::campaigns::{Offer, Walls, WindowSpec};
use bestow_store::merge::WindowRef;
use bestow_store::runs::GroupEntry;
use bestow_store::{Error as StoreError, Store};

use super::executed;

/// What the planner has to know of a campaign.
#[derive(Debug)]
pub(crate) struct CampaignFacts {
    pub(super) store: Store,
    pub(super) tenant: i64,
    offers: HashSet<u32>,
    /// Offers whose pairs are held, each with its reason.
    pub(super) holding: HashMap<u32, HoldReason>,
    /// Those of which a release was cut off: the ledger tells which of their pairs it had come to.
    released_in_part: HashSet<u32>,
    /// Offers with pairs that wait for a unique code: of these a merged row may have no grant.
    pub(super) waiting: HashSet<u32>,
    windows: HashMap<u32, WindowSpec>,
    /// Pass and channel of each landed page.
    pub(super) pages: HashMap<u32, (u32, i64)>,
    /// Of a campaign whose customers are cleared before it is sent.
    pub(super) rounds: Option<executed::Rounds>,
}

impl CampaignFacts {
    pub(crate) fn read(store: &Store, tenant: i64, campaign: i64) -> Result<Self, StoreError> {
        store.read(|tx| {
            let offers = tx.offers(tenant, campaign)?;
            let pages = tx.landed_pages(tenant, campaign)?;
            let known = tx.campaign_by_no(tenant, campaign)?;
            let known =
                known.ok_or_else(|| StoreError::Corrupt(format!("no campaign {campaign}")))?;
            Ok(Self {
                rounds: executed::Rounds::read(tx, tenant, &known)?,
                store: store.clone(),
                tenant,
                offers: offers.iter().map(|offer| offer.no).collect(),
                holding: offers.iter().filter_map(holding).collect(),
                released_in_part: offers
                    .iter()
                    .filter(|offer| offer.is_released_in_part)
                    .map(|offer| offer.no)
                    .collect(),
                waiting: tx.waiting_offers(tenant, campaign)?.into_iter().collect(),
                windows: tx.windows(tenant, campaign)?.into_iter().collect(),
                pages: pages
                    .iter()
                    .map(|p| (p.page, (p.pass, p.channel)))
                    .collect(),
            })
        })
    }

    /// The same once these offers are released.
    pub(crate) fn releasing(mut self, offers: &HashSet<u32>) -> Self {
        self.holding.retain(|offer, _| !offers.contains(offer));
        self
    }

    pub(crate) fn grants(&self, offer: u32) -> bool {
        !self.holding.contains_key(&offer)
    }

    /// Whether a pair whose offer holds its pairs was released all the same: granted, or waiting for a unique code.
    pub(super) fn was_released(&self, customer: &str, offer: u32) -> Result<bool, StoreError> {
        Ok(self.released_in_part.contains(&offer)
            && (self.held_by(customer)?.contains(&offer) || self.is_waiting(customer, offer)?))
    }

    /// Offers of this campaign that a customer holds. A landed row does not tell: it may have been held, and left so
    /// when its code was released.
    pub(crate) fn held_by(&self, customer: &str) -> Result<HashSet<u32>, StoreError> {
        let rows = self
            .store
            .peek(|tx| tx.ledger_rows(self.tenant, customer))?;
        let held = rows.iter().map(|row| row.offer);
        Ok(held.filter(|offer| self.offers.contains(offer)).collect())
    }

    /// Whether a pair that was merged before waits for its code still.
    pub(super) fn is_waiting(&self, customer: &str, offer: u32) -> Result<bool, StoreError> {
        let found = self
            .store
            .peek(|tx| tx.waiting(self.tenant, offer, customer))?;
        Ok(found.is_some())
    }

    /// Whether any pair of a customer waits for a unique code.
    pub(crate) fn waits_for_any(&self, customer: &str) -> Result<bool, StoreError> {
        for offer in &self.waiting {
            if self.is_waiting(customer, *offer)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn is_first_pass(&self, entry: &GroupEntry) -> bool {
        self.pages
            .get(&entry.page)
            .is_none_or(|(pass, _)| *pass == 1)
    }

    /// The channel whose list an entry came in.
    pub(crate) fn channel(&self, entry: &GroupEntry) -> i64 {
        self.pages
            .get(&entry.page)
            .map_or(0, |(_, channel)| *channel)
    }

    /// How many entries of a bundle were counted as received when they were merged.
    pub(crate) fn counted_first(&self, entries: &[GroupEntry]) -> u32 {
        let first_pass = entries
            .iter()
            .filter(|entry| self.is_first_pass(entry))
            .count();
        first_pass.max(1) as u32
    }

    /// The window of a grant that several rows describe: one of theirs if it spans all, else a new one.
    pub(crate) fn union(&self, entries: &[GroupEntry], new: &mut Vec<WindowSpec>) -> WindowRef {
        let first = entries.first().map_or(0, |entry| entry.window);
        if entries.iter().all(|entry| entry.window == first) {
            return WindowRef::Known(first);
        }
        let mut specs: Vec<(WindowSpec, u32)> = entries
            .iter()
            .filter_map(|entry| Some((*self.windows.get(&entry.window)?, entry.window)))
            .collect();
        // In one order whatever the order of arrival.
        specs.sort_unstable();
        let Some((earliest, _)) = specs.first().copied() else {
            return WindowRef::Known(first);
        };
        // No end is the latest of all.
        let latest = specs.iter().map(|(spec, _)| spec);
        let latest = latest.max_by_key(|spec| (spec.ends_at.is_none(), spec.ends_at, spec.walls));
        let (ends_at, ends) = latest.map_or((None, None), |spec| (spec.ends_at, spec.walls.ends));
        let union = WindowSpec {
            ends_at,
            walls: Walls {
                ends,
                ..earliest.walls
            },
            ..earliest
        };
        let edges = |spec: &WindowSpec| (spec.starts_at, spec.ends_at, spec.walls);
        let spans = |spec: &WindowSpec| edges(spec) == edges(&union);
        if let Some((_, no)) = specs.iter().find(|(spec, _)| spans(spec)) {
            return WindowRef::Known(*no);
        }
        new.push(union);
        WindowRef::New(new.len() as u32 - 1)
    }

    pub(super) fn span(&self, window: WindowRef, new: &[WindowSpec]) -> Option<(i64, Option<i64>)> {
        let spec = match window {
            WindowRef::Known(no) => self.windows.get(&no),
            WindowRef::New(place) => new.get(place as usize),
        };
        spec.map(|spec| (spec.starts_at, spec.ends_at))
    }
}

/// An offer that holds, with its reason; one that a newer program wrote is held as unknown.
fn holding(offer: &Offer) -> Option<(u32, HoldReason)> {
    let reason = offer.hold_reason.as_deref()?;
    Some((
        offer.no,
        HoldReason::parse(reason).unwrap_or(HoldReason::UnknownCode),
    ))
}
