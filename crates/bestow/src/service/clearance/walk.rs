//! The customers of a round, one after the other, each with all that its rows say.

use std::collections::{BTreeSet, HashSet};
use std::ops::RangeInclusive;

use bestow_core::clearance::{Spelling, Word};
use bestow_core::id::fold_customer;
use bestow_core::import::Disposition;
use bestow_store::runs::{Group, GroupEntry, Pages, Runs};
use bestow_store::{Error as StoreError, Store};

use crate::ingest::mark;
use crate::service::merge::CampaignFacts;

/// One customer of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Optimove's customer id, exactly.
    pub(super) customer: String,
    pub(super) spelling: Spelling,
    /// What the rows themselves say against it.
    pub(super) against: Option<Disposition>,
    /// Its codes, each once.
    pub(super) pairs: Vec<ListedPair>,
    /// Rows, rows without a code, and pairs, as they count.
    pub(super) rows: u64,
    pub(super) rows_without_code: u64,
    pub(super) pair_count: u64,
    /// What the operator's system says.
    pub(super) word: Word,
}

/// One code of a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ListedPair {
    pub(super) offer: u32,
    pub(super) window: u32,
    pub(super) page: u32,
    /// How many pairs it counts for.
    pub(super) counted: u64,
}

impl Listed {
    pub(super) fn fold(&self) -> String {
        fold_customer(&self.customer).into_owned()
    }
}

/// Walks through a round behind a customer. The rows of earlier rounds are walked beside: they tell whose spelling
/// of an id came first.
pub(super) struct Walker {
    facts: CampaignFacts,
    /// Of these, everything that the rows of a customer say is taken together.
    channels: RangeInclusive<i64>,
    runs: Runs,
    group: Group,
    /// The next customers, and what their ids are equal under.
    pending: Option<(String, Vec<Listed>)>,
}

impl Walker {
    pub(super) fn open(
        store: &Store,
        tenant: i64,
        campaign: i64,
        round: i64,
        after: Option<&str>,
    ) -> Result<Self, StoreError> {
        Self::over(store, (tenant, campaign), -round..=-round, after)
    }

    /// Walks through all rounds up to this one, as if they were one list.
    pub(super) fn through(
        store: &Store,
        tenant: i64,
        campaign: i64,
        round: i64,
    ) -> Result<Self, StoreError> {
        Self::over(store, (tenant, campaign), -round..=-1, None)
    }

    fn over(
        store: &Store,
        (tenant, campaign): (i64, i64),
        channels: RangeInclusive<i64>,
        after: Option<&str>,
    ) -> Result<Self, StoreError> {
        let pages = Pages::Rounds {
            through: -channels.start(),
        };
        Ok(Self {
            facts: CampaignFacts::read(store, tenant, campaign)?,
            channels,
            runs: Runs::over(store, tenant, campaign, pages, after)?,
            group: Group::default(),
            pending: None,
        })
    }

    /// The next customers: at most `max`, unless more of them share what their ids are equal under, and none behind
    /// `until` where that is given. Tells the last one's id, folded; `None` at the end.
    pub(super) fn chunk(
        &mut self,
        max: usize,
        until: Option<&str>,
    ) -> Result<Option<(String, Vec<Listed>)>, StoreError> {
        let (mut through, mut chunk) = (None, Vec::new());
        while self.fill()? {
            let fits = |(fold, listed): &mut (String, Vec<Listed>)| {
                until.is_none_or(|until| fold.as_str() <= until)
                    && (chunk.is_empty() || chunk.len() + listed.len() <= max)
            };
            let Some((fold, listed)) = self.pending.take_if(fits) else {
                break;
            };
            chunk.extend(listed);
            through = Some(fold);
        }
        Ok(through.map(|through| (through, chunk)))
    }

    /// Looks one group ahead. False at the end.
    fn fill(&mut self) -> Result<bool, StoreError> {
        while self.pending.is_none() {
            if !self.runs.next_group(&mut self.group)? {
                return Ok(false);
            }
            let listed = self.listed()?;
            if !listed.is_empty() {
                self.pending = Some((self.group.fold().to_owned(), listed));
            }
        }
        Ok(true)
    }

    fn listed(&self) -> Result<Vec<Listed>, StoreError> {
        let group = &self.group;
        let owner = self.owner()?;
        let by_customer = |a: &GroupEntry, b: &GroupEntry| group.customer(a) == group.customer(b);
        let mut listed = Vec::new();
        for entries in group.entries.chunk_by(by_customer) {
            let of_round: Vec<GroupEntry> = entries
                .iter()
                .filter(|entry| self.channels.contains(&self.facts.channel(entry)))
                .copied()
                .collect();
            if of_round.is_empty() {
                continue;
            }
            let customer = group.customer(&entries[0]);
            let mut one = self.customer(customer, &of_round);
            if owner.is_some_and(|owner| owner != customer) {
                one.spelling = Spelling::NearEqual;
            }
            listed.push(one);
        }
        Ok(listed)
    }

    /// Whose id it is where several are nearly equal: who holds a grant of the campaign, else who came first. `None`
    /// where there is one customer only.
    fn owner(&self) -> Result<Option<&str>, StoreError> {
        let group = &self.group;
        let customers: BTreeSet<&str> = group
            .entries
            .iter()
            .map(|entry| group.customer(entry))
            .collect();
        if customers.len() < 2 {
            return Ok(None);
        }
        for customer in customers {
            if !self.facts.held_by(customer)?.is_empty() {
                return Ok(Some(customer));
            }
        }
        let first = group
            .entries
            .iter()
            .min_by_key(|entry| (entry.page, entry.row));
        Ok(first.map(|entry| group.customer(entry)))
    }

    fn customer(&self, customer: &str, entries: &[GroupEntry]) -> Listed {
        let mut one = Listed {
            customer: customer.to_owned(),
            spelling: Spelling::Own,
            against: None,
            pairs: Vec::new(),
            rows: 0,
            rows_without_code: 0,
            pair_count: 0,
            word: Word::NotAsked,
        };
        let mut rows = HashSet::new();
        let same = |a: &GroupEntry, b: &GroupEntry| (a.offer, a.mark) == (b.offer, b.mark);
        for bundle in entries.chunk_by(same) {
            let counted = u64::from(self.facts.counted_first(bundle));
            rows.extend(self.counted_rows(bundle));
            match mark::disposition(bundle[0].mark) {
                Disposition::NoCode => one.rows_without_code += counted,
                Disposition::Grant => {
                    one.pair_count += counted;
                    one.pairs.push(ListedPair {
                        offer: bundle[0].offer,
                        window: bundle[0].window,
                        page: bundle[0].page,
                        counted,
                    });
                }
                against => {
                    one.pair_count += counted;
                    one.against = Some(one.against.map_or(against, |known| known.min(against)));
                }
            }
        }
        one.rows = rows.len() as u64;
        one
    }

    /// Each row of the first pass counts; of confirming ones the first, where no first pass had the pair.
    fn counted_rows<'e>(
        &self,
        bundle: &'e [GroupEntry],
    ) -> impl Iterator<Item = (u32, u32)> + use<'e, '_> {
        let has_first = bundle.iter().any(|entry| self.facts.is_first_pass(entry));
        let only = bundle
            .iter()
            .min_by_key(|entry| (entry.page, entry.row))
            .filter(|_| !has_first);
        bundle
            .iter()
            .filter(|entry| self.facts.is_first_pass(entry))
            .chain(only)
            .map(|entry| (entry.page, entry.row))
    }
}
