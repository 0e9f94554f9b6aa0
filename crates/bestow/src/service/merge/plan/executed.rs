//! Conditional campaigns, once they are sent: whoever was cleared has their grants already, and now learns from when
//! to when. Nobody else gets one.

use std::collections::HashMap;

use bestow_core::RefuseReason;
use bestow_store::campaigns::Campaign;
use bestow_store::grants::LedgerRow;
use bestow_store::merge::{ChunkFinding, WindowRef};
use bestow_store::runs::Group;
use bestow_store::{Error as StoreError, Tx};

use super::{Bundle, CampaignFacts, Planner};
use crate::service::audit::Object;

/// The kind of a finding: Optimove sent to somebody whom nobody approved.
const WITHOUT_APPROVAL: &str = "executed_without_approval";

/// How far the rounds of a conditional campaign are.
#[derive(Debug)]
pub(crate) struct Rounds {
    campaign: String,
    /// By round: customers up to here (folded) may be known to Optimove.
    sent_through: HashMap<i64, Option<String>>,
}

impl Rounds {
    /// Those of a campaign; `None` unless it is conditional.
    pub(super) fn read(
        tx: &mut Tx<'_>,
        tenant: i64,
        campaign: &Campaign,
    ) -> Result<Option<Self>, StoreError> {
        let rounds = tx.rounds(tenant, campaign.no)?;
        Ok((!rounds.is_empty()).then(|| Self {
            campaign: campaign.id.clone(),
            sent_through: rounds
                .into_iter()
                .map(|round| (round.no, round.sent_through))
                .collect(),
        }))
    }

    fn may_be_sent(&self, round: i64, fold: &str) -> bool {
        let through = self.sent_through.get(&round).and_then(Option::as_deref);
        through.is_some_and(|through| fold <= through)
    }
}

/// What a pair that was sent has in the ledger.
enum Held {
    /// A grant of a round that Optimove knows to be approved.
    Cleared,
    /// A grant that was sent before, on another channel or page.
    Sent,
}

impl CampaignFacts {
    pub(super) fn is_cleared_first(&self) -> bool {
        self.rounds.is_some()
    }

    /// What a customer holds; nothing that Optimove could not have known to be approved.
    fn held(&self, fold: &str, row: Option<&LedgerRow>) -> Option<Held> {
        let row = row?;
        match self.pages.get(&row.page) {
            Some((_, channel)) if *channel >= 0 => Some(Held::Sent),
            Some((_, channel)) => {
                let rounds = self.rounds.as_ref()?;
                rounds.may_be_sent(-channel, fold).then_some(Held::Cleared)
            }
            None => None,
        }
    }
}

impl Planner {
    /// Plans the pairs of a group that was sent to.
    pub(super) fn execute(
        &mut self,
        group: &Group,
        bundles: &[Bundle<'_>],
    ) -> Result<(), StoreError> {
        let mut known: Option<(&str, Vec<LedgerRow>)> = None;
        for bundle in bundles {
            let first = &bundle.entries[0];
            let customer = group.customer(first);
            if known.as_ref().is_none_or(|(of, _)| *of != customer) {
                let facts = &self.facts;
                let rows = facts
                    .store
                    .peek(|tx| tx.ledger_rows(facts.tenant, customer))?;
                known = Some((customer, rows));
            }
            let rows = known.as_ref().map_or(&[][..], |(_, rows)| rows);
            let of_pair = |row: &&LedgerRow| row.offer == first.offer && row.occurrence.is_empty();
            let row = rows.iter().find(of_pair);
            match self.facts.held(group.fold(), row) {
                Some(held) => {
                    self.repeated += bundle.counted;
                    self.learn(customer, bundle, row, &held);
                }
                None => self.refuse_unapproved(bundle.counted),
            }
        }
        Ok(())
    }

    /// A grant takes the window of all rows that were sent.
    fn learn(&mut self, customer: &str, bundle: &Bundle<'_>, row: Option<&LedgerRow>, held: &Held) {
        let mut new = std::mem::take(&mut self.chunk.new_windows);
        let before = new.len();
        let window = self.facts.union(bundle.entries, &mut new);
        let span = self.facts.span(window, &new);
        let known = row.and_then(|row| self.facts.span(WindowRef::Known(row.window), &new));
        let is_new = matches!(held, Held::Cleared) || span != known;
        if !is_new {
            new.truncate(before);
        }
        self.chunk.new_windows = new;
        self.chunk.sent += u64::from(matches!(held, Held::Cleared));
        if is_new {
            let grant = self.new_grant(customer, &bundle.entries[0], window);
            self.chunk.executed.push(grant);
        }
    }

    fn refuse_unapproved(&mut self, pairs: u64) {
        let reason = RefuseReason::NotApproved.as_str();
        *self.refused.entry(reason).or_default() += pairs;
        let Some(rounds) = &self.facts.rounds else {
            return;
        };
        self.unapproved += pairs;
        if self.unapproved > 0 {
            self.chunk.finding = Some(ChunkFinding {
                kind: WITHOUT_APPROVAL,
                object: Object::Campaign(&rounds.campaign).to_string(),
                detail: format!(
                    "Optimove sent to customers who were not approved: {} of their pairs so far are refused; \
                     look at the approvals of the campaign at Optimove",
                    self.unapproved
                ),
            });
        }
    }
}
