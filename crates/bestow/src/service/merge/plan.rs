//! From the landed rows of one customer after the other to chunks of grants and counts.
//!
//! Rows of pages that were merged before are walked again beside the new ones: they tell what is in the ledger
//! already, so that no row of it has to be looked up.

mod executed;
mod facts;

use std::collections::{BTreeMap, HashSet};

use bestow_core::HoldReason;
use bestow_core::import::{Disposition, Entry, Merge, Origin, merge_group};
use bestow_store::Error as StoreError;
use bestow_store::merge::{MergeChunk, NewGrant, WindowRef};
use bestow_store::runs::{Group, GroupEntry};

use crate::ingest::mark;

pub(crate) use facts::CampaignFacts;

/// Entries of one customer with one offer and one mark.
struct Bundle<'g> {
    entries: &'g [GroupEntry],
    /// How many of them count as pairs received in this merge.
    counted: u64,
    is_in_ledger: bool,
    /// It waits for a unique code. Until then its place is taken as by a grant.
    waits: bool,
}

/// Collects chunks.
#[derive(Debug)]
pub(crate) struct Planner {
    facts: CampaignFacts,
    merged_through: u32,
    codes_max: usize,
    chunk: MergeChunk,
    entries: usize,
    rows: u64,
    rows_without_code: u64,
    pairs: u64,
    repeated: u64,
    held: BTreeMap<HoldReason, u64>,
    refused: BTreeMap<&'static str, u64>,
    added: BTreeMap<i64, u64>,
    /// Pairs that were sent without an approval of ours.
    unapproved: u64,
}

impl Planner {
    pub(crate) fn new(facts: CampaignFacts, merged_through: u32, codes_max: usize) -> Self {
        Self {
            facts,
            merged_through,
            codes_max,
            chunk: MergeChunk::default(),
            entries: 0,
            rows: 0,
            rows_without_code: 0,
            pairs: 0,
            repeated: 0,
            held: BTreeMap::new(),
            refused: BTreeMap::new(),
            added: BTreeMap::new(),
            unapproved: 0,
        }
    }

    /// Entries walked since the last chunk was taken.
    pub(crate) fn len(&self) -> usize {
        self.entries
    }

    /// Takes what was planned so far.
    pub(crate) fn chunk(&mut self) -> MergeChunk {
        let mut chunk = std::mem::take(&mut self.chunk);
        let mut count = |counter: &str, n: u64| chunk.counts.push((counter.to_owned(), n as i64));
        count("rows", std::mem::take(&mut self.rows));
        count(
            "rows_without_code",
            std::mem::take(&mut self.rows_without_code),
        );
        count("pairs", std::mem::take(&mut self.pairs));
        count("repeated", std::mem::take(&mut self.repeated));
        for (reason, n) in std::mem::take(&mut self.held) {
            count(&format!("held:{reason}"), n);
        }
        for (reason, n) in std::mem::take(&mut self.refused) {
            count(&format!("refused:{reason}"), n);
        }
        let added = std::mem::take(&mut self.added);
        chunk.added = added
            .into_iter()
            .map(|(channel, n)| (channel, n as i64))
            .collect();
        self.entries = 0;
        chunk
    }

    /// Plans one group: all customers whose ids differ by letter case only.
    pub(crate) fn take(&mut self, group: &Group) -> Result<(), StoreError> {
        self.entries += group.entries.len();
        match group.entries.as_slice() {
            [only] if self.is_plain(only) => self.take_plain(group, only),
            _ => self.take_bundles(group)?,
        }
        self.chunk.last_fold.clear();
        self.chunk.last_fold.push_str(group.fold());
        Ok(())
    }

    /// The common case: one customer, one new row, one code, to be granted.
    fn is_plain(&self, entry: &GroupEntry) -> bool {
        !self.facts.is_cleared_first()
            && entry.page > self.merged_through
            && entry.mark == mark::GRANT
            && self.facts.grants(entry.offer)
            && self.facts.is_first_pass(entry)
    }

    fn take_plain(&mut self, group: &Group, entry: &GroupEntry) {
        self.chunk.customers += 1;
        self.rows += 1;
        self.pairs += 1;
        self.grant(group.customer(entry), entry, WindowRef::Known(entry.window));
    }

    fn take_bundles(&mut self, group: &Group) -> Result<(), StoreError> {
        let mut rows: HashSet<(u32, u32)> = HashSet::new();
        let mut to_grant: Vec<Bundle<'_>> = Vec::new();
        let mut customer = None;
        let same = |a: &GroupEntry, b: &GroupEntry| {
            group.customer(a) == group.customer(b) && (a.offer, a.mark) == (b.offer, b.mark)
        };
        for entries in group.entries.chunk_by(same) {
            if customer.replace(group.customer(&entries[0])) != Some(group.customer(&entries[0])) {
                self.chunk.customers += 1;
            }
            let bundle = self.count_bundle(entries, &mut rows);
            match mark::disposition(entries[0].mark) {
                Disposition::Grant => match self.held(group, &bundle)? {
                    None => to_grant.push(bundle),
                    Some(reason) => self.hold(reason, bundle.counted),
                },
                Disposition::NoCode => {
                    self.rows_without_code += bundle.counted;
                    self.pairs -= bundle.counted;
                }
                Disposition::Held(reason) => self.hold(reason, bundle.counted),
                Disposition::Refused(reason) => {
                    *self.refused.entry(reason.as_str()).or_default() += bundle.counted;
                }
                Disposition::Repeat => self.repeated += bundle.counted,
            }
        }
        self.rows += rows.len() as u64;
        if self.facts.is_cleared_first() {
            return self.execute(group, &to_grant);
        }
        self.look_up(group, &mut to_grant)?;
        self.settle(group, to_grant);
        Ok(())
    }

    /// Why a bundle that would be granted is held for the sake of its offer. One that was released before the release
    /// was cut off is in the ledger: what came since repeats it, and may widen it.
    fn held(&self, group: &Group, bundle: &Bundle<'_>) -> Result<Option<HoldReason>, StoreError> {
        let entry = &bundle.entries[0];
        let Some(reason) = self.facts.holding.get(&entry.offer) else {
            return Ok(None);
        };
        let is_granted = self.facts.is_cleared_first()
            || bundle.is_in_ledger
                && self
                    .facts
                    .was_released(group.customer(entry), entry.offer)?;
        Ok((!is_granted).then_some(*reason))
    }

    /// Whether a row of a confirming pass widens what earlier passes say of its pair: the pass brought something then,
    /// even where the pair is held and has no grant to widen yet.
    fn brings_time(&self, entries: &[GroupEntry], new: &GroupEntry) -> bool {
        if entries.iter().all(|entry| entry.window == new.window) {
            return false;
        }
        let is_earlier = |entry: &&GroupEntry| {
            entry.page <= self.merged_through || self.facts.is_first_pass(entry)
        };
        let earlier: Vec<GroupEntry> = entries.iter().filter(is_earlier).copied().collect();
        let with_new: Vec<GroupEntry> = earlier.iter().chain([new]).copied().collect();
        let mut scratch = Vec::new();
        let mut span = |entries: &[GroupEntry]| {
            let window = self.facts.union(entries, &mut scratch);
            self.facts.span(window, &scratch)
        };
        span(&earlier) != span(&with_new)
    }

    /// Asks the ledger where rows alone do not tell who holds what: some pairs of the group may have been held for
    /// its sake, because of another customer's id or of too many codes, and some may wait for a code.
    fn look_up(&self, group: &Group, bundles: &mut [Bundle<'_>]) -> Result<(), StoreError> {
        let customer = |bundle: &Bundle<'_>| group.customer(&bundle.entries[0]);
        let is_one = bundles
            .windows(2)
            .all(|two| customer(&two[0]) == customer(&two[1]));
        let is_plain = is_one && bundles.len() <= self.codes_max;
        for bundle in bundles.iter_mut().filter(|bundle| bundle.is_in_ledger) {
            let offer = bundle.entries[0].offer;
            let may_wait = self.facts.waiting.contains(&offer);
            if is_plain && !may_wait {
                continue;
            }
            let customer = group.customer(&bundle.entries[0]);
            let is_granted = self.facts.held_by(customer)?.contains(&offer);
            bundle.waits = !is_granted && may_wait && self.facts.is_waiting(customer, offer)?;
            bundle.is_in_ledger = is_granted || bundle.waits;
        }
        Ok(())
    }

    /// Counts what of a bundle was received: a confirming pass counts only for what no earlier one had brought.
    fn count_bundle<'g>(
        &mut self,
        entries: &'g [GroupEntry],
        rows: &mut HashSet<(u32, u32)>,
    ) -> Bundle<'g> {
        let is_merged = |entry: &GroupEntry| entry.page <= self.merged_through;
        let is_in_ledger = entries.iter().any(is_merged);
        let first = entries.iter().min_by_key(|entry| (entry.page, entry.row));
        let known = is_in_ledger || entries.iter().any(|entry| self.facts.is_first_pass(entry));
        // A confirming pass brought it before any first pass did: the first row of a first pass is counted already, so
        // that the count does not depend on which pages were merged together.
        let mut is_counted = is_in_ledger
            && !entries
                .iter()
                .any(|entry| is_merged(entry) && self.facts.is_first_pass(entry));
        let mut counted = 0;
        for entry in entries.iter().filter(|entry| !is_merged(entry)) {
            if self.facts.is_first_pass(entry) {
                if std::mem::take(&mut is_counted) {
                    continue;
                }
                counted += 1;
            } else if !known && Some(entry) == first {
                counted += 1;
                *self.added.entry(self.facts.channel(entry)).or_default() += 1;
            } else {
                if self.brings_time(entries, entry) {
                    *self.added.entry(self.facts.channel(entry)).or_default() += 1;
                }
                continue;
            }
            rows.insert((entry.page, entry.row));
        }
        self.pairs += counted;
        Bundle {
            entries,
            counted,
            is_in_ledger,
            waits: false,
        }
    }

    /// Lets core decide about the bundles of a group that are to be granted, and plans accordingly.
    fn settle(&mut self, group: &Group, mut bundles: Vec<Bundle<'_>>) {
        bundles.sort_by_key(|bundle| {
            let arrival = bundle
                .entries
                .iter()
                .map(|entry| (entry.page, entry.row))
                .min();
            (!bundle.is_in_ledger, arrival)
        });
        let entries: Vec<Entry<'_, u32>> = bundles
            .iter()
            .map(|bundle| Entry {
                customer: group.customer(&bundle.entries[0]),
                code: bundle.entries[0].offer,
                origin: if bundle.is_in_ledger {
                    Origin::Ledger
                } else {
                    Origin::Landed
                },
            })
            .collect();
        let decided = merge_group(&entries, self.codes_max);
        for (bundle, decided) in bundles.iter().zip(decided) {
            let customer = group.customer(&bundle.entries[0]);
            match decided {
                Merge::First => {
                    let mut new = std::mem::take(&mut self.chunk.new_windows);
                    let window = self.facts.union(bundle.entries, &mut new);
                    self.chunk.new_windows = new;
                    let further = bundle.counted.saturating_sub(1);
                    if further > 0 {
                        let place = self.chunk.grants.len() as u32;
                        self.chunk.beside.push((place, further as u32));
                    }
                    self.grant(customer, &bundle.entries[0], window);
                }
                Merge::Stands | Merge::Repeat { .. } if bundle.waits => self.wait(customer, bundle),
                Merge::Stands | Merge::Repeat { .. } => {
                    self.repeated += bundle.counted;
                    self.widen(customer, bundle);
                }
                Merge::Held(reason) => self.hold(reason, bundle.counted),
            }
        }
    }

    fn hold(&mut self, reason: HoldReason, pairs: u64) {
        if pairs > 0 {
            *self.held.entry(reason).or_default() += pairs;
        }
    }

    fn grant(&mut self, customer: &str, entry: &GroupEntry, window: WindowRef) {
        let grant = self.new_grant(customer, entry, window);
        self.chunk.grants.push(grant);
    }

    /// New rows of a pair that waits: they wait with it, and its window will span them.
    fn wait(&mut self, customer: &str, bundle: &Bundle<'_>) {
        if bundle
            .entries
            .iter()
            .all(|entry| entry.page <= self.merged_through)
        {
            return;
        }
        let mut new = std::mem::take(&mut self.chunk.new_windows);
        let window = self.facts.union(bundle.entries, &mut new);
        self.chunk.new_windows = new;
        let grant = self.new_grant(customer, &bundle.entries[0], window);
        self.chunk.waits.push((grant, bundle.counted as u32));
    }

    /// A grant that is in the ledger grows to span the new rows too.
    fn widen(&mut self, customer: &str, bundle: &Bundle<'_>) {
        let merged_through = self.merged_through;
        let merged: Vec<GroupEntry> = bundle
            .entries
            .iter()
            .filter(|entry| entry.page <= merged_through)
            .copied()
            .collect();
        let mut scratch = Vec::new();
        let before = self.facts.union(&merged, &mut scratch);
        let before = self.facts.span(before, &scratch);
        let after = self.facts.union(bundle.entries, &mut scratch);
        let span = self.facts.span(after, &scratch);
        if span == before {
            return;
        }
        let window = match after {
            WindowRef::Known(no) => WindowRef::Known(no),
            WindowRef::New(place) => {
                self.chunk.new_windows.push(scratch[place as usize]);
                WindowRef::New(self.chunk.new_windows.len() as u32 - 1)
            }
        };
        let grant = self.new_grant(customer, &bundle.entries[0], window);
        self.chunk.widened.push(grant);
    }

    fn new_grant(&mut self, customer: &str, entry: &GroupEntry, window: WindowRef) -> NewGrant {
        let start = self.chunk.text.len() as u32;
        self.chunk.text.push_str(customer);
        let end = self.chunk.text.len() as u32;
        NewGrant {
            start,
            end,
            offer: entry.offer,
            window,
            page: entry.page,
        }
    }
}
