//! What is known of a grant's clearance, kept at hand. Only grants of conditional campaigns are looked up.

use bestow_core::id::fold_customer;
use bestow_core::{CampaignKind, Clearance};
use bestow_store::campaigns::Campaign;
use bestow_store::grants::{Clearing, LedgerRow, RoundFacts};
use bestow_store::{Error as StoreError, Store};

use super::{Shelf, missing};
use crate::clock::instant;

/// Pages never change once landed; rounds do, as they are worked.
#[derive(Debug, Default)]
pub(super) struct Clearings {
    pages: Shelf<(i64, i64, u32), i64>,
    rounds: Shelf<(i64, i64, i64), RoundFacts>,
}

impl Clearings {
    pub(super) fn of(
        &self,
        store: &Store,
        tenant: i64,
        campaign: &Campaign,
        customer: &str,
        row: &LedgerRow,
    ) -> Result<Clearance, StoreError> {
        if !campaign.is(CampaignKind::Conditional) {
            return Ok(Clearance::NotNeeded);
        }
        let clearing = self.clearing(store, tenant, campaign.no, row.page)?;
        Ok(cleared(&clearing, customer))
    }

    pub(super) fn forget_rounds(&self) {
        self.rounds.clear();
    }

    fn clearing(
        &self,
        store: &Store,
        tenant: i64,
        campaign: i64,
        page: u32,
    ) -> Result<Clearing, StoreError> {
        if page == 0 {
            return Ok(Clearing::Refused);
        }
        let channel = self.pages.get_or((tenant, campaign, page), || {
            let found = store.peek(|tx| tx.page_channel(tenant, campaign, page))?;
            found.ok_or_else(|| missing("page", page.into()))
        })?;
        if channel >= 0 {
            return Ok(Clearing::NotNeeded);
        }
        let round = self.rounds.get_or((tenant, campaign, -channel), || {
            let found = store.peek(|tx| tx.round_facts(tenant, campaign, -channel))?;
            found.ok_or_else(|| missing("clearance round", -channel))
        })?;
        Ok(Clearing::Round(round))
    }
}

/// What a grant's page says about its clearance, for its customer: a round is reported in the order of customers, so
/// how far it is says it of each.
pub(crate) fn cleared(clearing: &Clearing, customer: &str) -> Clearance {
    match clearing {
        Clearing::NotNeeded => Clearance::NotNeeded,
        Clearing::Refused => Clearance::Denied,
        Clearing::Round(round) => {
            let fold = fold_customer(customer);
            let reported = round.reported_through.as_deref();
            if reported.is_some_and(|through| fold.as_ref() <= through) {
                Clearance::Approved
            } else {
                Clearance::Awaiting {
                    deadline: instant(round.deadline),
                }
            }
        }
    }
}
