//! All landed rows of a campaign in the order of customers, each customer with what the ledger has of them.

use std::collections::VecDeque;

use crate::grants::LedgerRow;
use crate::runs::{Group, GroupEntry, Runs};
use crate::{Error, Store};

/// Groups, mostly of one customer, looked up at once, at most, where each look-up is a way to a server and back.
const AT_ONCE_MAX: usize = 512;

/// A group of landed rows, with what its customers hold.
#[derive(Debug, Default)]
pub struct HolderGroup {
    /// The landed rows.
    pub group: Group,
    /// By customer, in the order of the group.
    holdings: Vec<Holding>,
}

#[derive(Debug)]
struct Holding {
    /// Place of an entry of the customer's.
    entry: usize,
    rows: Vec<LedgerRow>,
}

impl HolderGroup {
    /// Each customer that was looked up, with their grants of all campaigns.
    pub fn holders(&self) -> impl Iterator<Item = (&str, &[LedgerRow])> {
        self.holdings.iter().map(|holding| {
            let customer = self.group.customer(&self.group.entries[holding.entry]);
            (customer, holding.rows.as_slice())
        })
    }

    /// The grants of one customer of the group; none where they were not looked up.
    pub fn rows(&self, customer: &str) -> &[LedgerRow] {
        self.holders()
            .find(|(known, _)| *known == customer)
            .map_or(&[], |(_, rows)| rows)
    }
}

/// Walks through landed rows and looks their customers up in the ledger: one by one in a file, many at a time on a
/// server.
pub struct Holders {
    store: Store,
    tenant: i64,
    runs: Runs,
    /// Whether a row makes its customer worth a look.
    is_wanted: fn(&GroupEntry) -> bool,
    ahead: VecDeque<HolderGroup>,
    at_once: usize,
}

impl Holders {
    /// Over these rows of a tenant's campaign.
    pub fn over(
        store: &Store,
        tenant: i64,
        runs: Runs,
        is_wanted: fn(&GroupEntry) -> bool,
    ) -> Self {
        Self {
            store: store.clone(),
            tenant,
            runs,
            is_wanted,
            ahead: VecDeque::new(),
            at_once: 1,
        }
    }

    /// Fills `found` with the next group; false at the end.
    ///
    /// # Errors
    /// The store's; [`Error::Corrupt`] where a block cannot be read.
    pub fn next_group(&mut self, found: &mut HolderGroup) -> Result<bool, Error> {
        if self.ahead.is_empty() {
            // What was given before is filled again.
            self.look_ahead(std::mem::take(found))?;
        }
        match self.ahead.pop_front() {
            Some(next) => *found = next,
            None => return Ok(false),
        }
        Ok(true)
    }

    fn look_ahead(&mut self, mut spare: HolderGroup) -> Result<(), Error> {
        while self.ahead.len() < self.at_once {
            let mut next = std::mem::take(&mut spare);
            next.holdings.clear();
            if !self.runs.next_group(&mut next.group)? {
                break;
            }
            let group = &next.group;
            let mut entry = 0;
            for entries in group
                .entries
                .chunk_by(|a, b| group.customer(a) == group.customer(b))
            {
                if entries.iter().any(self.is_wanted) {
                    let rows = Vec::new();
                    next.holdings.push(Holding { entry, rows });
                }
                entry += entries.len();
            }
            self.ahead.push_back(next);
        }
        self.look_up()?;
        if self.store.is_far() {
            // Whoever wants only the first few does not pay for many.
            self.at_once = (self.at_once * 2).min(AT_ONCE_MAX);
        }
        Ok(())
    }

    fn look_up(&mut self) -> Result<(), Error> {
        let customers: Vec<_> = self
            .ahead
            .iter()
            .flat_map(HolderGroup::holders)
            .map(|(customer, _)| customer)
            .collect();
        if customers.is_empty() {
            return Ok(());
        }
        let found = self
            .store
            .peek::<_, Error>(|tx| tx.ledger_rows_of(self.tenant, &customers))?;
        let places = self.ahead.iter_mut().flat_map(|next| &mut next.holdings);
        for (holding, rows) in places.zip(found) {
            holding.rows = rows;
        }
        Ok(())
    }
}
