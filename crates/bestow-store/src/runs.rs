//! All landed rows of a campaign in one order: a merge of its pages, each of which is sorted already.
//!
//! Memory is one small block for each page, whatever the size of the campaign.

use crate::block::Cursor;
use crate::{Error, Store, Tx, values};

/// Everything landed for customers whose ids fold to the same: almost always one customer.
#[derive(Debug, Default)]
pub struct Group {
    text: String,
    fold: String,
    /// The entries, in the order of exact customer, offer, mark, page, row.
    pub entries: Vec<GroupEntry>,
}

/// One entry of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupEntry {
    start: u32,
    end: u32,
    /// `landed_page.page`.
    pub page: u32,
    /// Place of the row within its page.
    pub row: u32,
    /// `offer.no`, or 0.
    pub offer: u32,
    /// `eligibility_window.no`, or 0.
    pub window: u32,
    /// The mark it landed with.
    pub mark: u8,
}

impl Group {
    /// The customer of an entry of this group.
    pub fn customer(&self, entry: &GroupEntry) -> &str {
        &self.text[entry.start as usize..entry.end as usize]
    }

    /// What its customers' ids are equal under: where a merge stands behind this group.
    pub fn fold(&self) -> &str {
        &self.fold
    }

    fn clear(&mut self) {
        self.fold.clear();
        self.text.clear();
        self.entries.clear();
    }
}

/// Which landed pages of a campaign are walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// Lists of who was sent to, up to a page.
    Lists {
        /// The last page.
        through: u32,
    },
    /// Lists of who is to be cleared, up to a round.
    Rounds {
        /// The last round.
        through: i64,
    },
    /// All of them.
    All,
}

impl Pages {
    /// The last page, and the channels from the first to the last.
    fn bounds(self) -> (u32, i64, i64) {
        match self {
            Self::Lists { through } => (through, 0, i64::MAX),
            Self::Rounds { through } => (u32::MAX, -through, -1),
            Self::All => (u32::MAX, i64::MIN, i64::MAX),
        }
    }
}

/// Walks through landed rows in order.
pub struct Runs {
    store: Store,
    tenant: i64,
    campaign: i64,
    pages: Vec<Run>,
    /// Places in `pages`, a heap with the smallest entry on top.
    heap: Vec<u32>,
}

struct Run {
    page: u32,
    next_block: i64,
    cursor: Cursor,
}

impl Runs {
    /// Starts over pages `1..=through` of lists of who was sent to that have rows, behind the customer `after`
    /// (folded), if given.
    ///
    /// # Errors
    /// The store's.
    pub fn open(
        store: &Store,
        tenant: i64,
        campaign: i64,
        through: u32,
        after: Option<&str>,
    ) -> Result<Self, Error> {
        Self::over(store, tenant, campaign, Pages::Lists { through }, after)
    }

    /// Starts over the pages that are meant.
    ///
    /// # Errors
    /// The store's.
    pub fn over(
        store: &Store,
        tenant: i64,
        campaign: i64,
        pages: Pages,
        after: Option<&str>,
    ) -> Result<Self, Error> {
        let starts = store.peek(|tx| {
            let pages = tx.pages_with_rows(tenant, campaign, pages)?;
            pages
                .into_iter()
                .filter_map(|page| match after {
                    None => Some(Ok((page, 0))),
                    Some(after) => tx
                        .block_behind(tenant, campaign, page, after)
                        .transpose()
                        .map(|block| block.map(|block| (page, block))),
                })
                .collect::<Result<Vec<_>, Error>>()
        })?;
        let mut this = Self {
            store: store.clone(),
            tenant,
            campaign,
            pages: Vec::with_capacity(starts.len()),
            heap: Vec::with_capacity(starts.len()),
        };
        for (page, block) in starts {
            let mut run = Run {
                page,
                next_block: block,
                cursor: Cursor::default(),
            };
            let mut live = this.step(&mut run)?;
            while live && after.is_some_and(|after| run.cursor.fold() <= after) {
                live = this.step(&mut run)?;
            }
            if live {
                this.heap.push(this.pages.len() as u32);
                this.pages.push(run);
            }
        }
        for place in (0..this.heap.len() / 2).rev() {
            this.sift_down(place);
        }
        Ok(this)
    }

    /// What landed for those whose ids fold to `fold`, over the pages that are meant; empty where nothing did.
    ///
    /// # Errors
    /// As [`Runs::next_group`].
    pub fn group_of(
        store: &Store,
        tenant: i64,
        campaign: i64,
        pages: Pages,
        fold: &str,
    ) -> Result<Group, Error> {
        let mut runs = Self::over(store, tenant, campaign, pages, Some(&before(fold)))?;
        let mut group = Group::default();
        while runs.next_group(&mut group)? && group.fold() < fold {}
        if group.fold() != fold {
            group.clear();
        }
        Ok(group)
    }

    /// Fills `group` with the next customer's entries; false at the end.
    ///
    /// # Errors
    /// The store's; [`Error::Corrupt`] where a block cannot be read.
    pub fn next_group(&mut self, group: &mut Group) -> Result<bool, Error> {
        group.clear();
        let Some(&top) = self.heap.first() else {
            return Ok(false);
        };
        group.fold.push_str(self.pages[top as usize].cursor.fold());
        while let Some(&top) = self.heap.first() {
            let run = &self.pages[top as usize];
            if run.cursor.fold() != group.fold {
                break;
            }
            take(group, run)?;
            self.advance_top(top)?;
        }
        // Pages give them by offer and page. Of one pair a page may say what another does not: who was excluded between
        // the two is refused by the later one.
        let order = |entry: &GroupEntry| (entry.start, entry.end, entry.offer, entry.mark);
        if !group.entries.is_sorted_by_key(order) {
            group.entries.sort_by_key(order);
        }
        Ok(true)
    }

    fn advance_top(&mut self, top: u32) -> Result<(), Error> {
        let mut run = std::mem::replace(
            &mut self.pages[top as usize],
            Run {
                page: 0,
                next_block: 0,
                cursor: Cursor::default(),
            },
        );
        let live = self.step(&mut run)?;
        self.pages[top as usize] = run;
        if !live {
            self.heap.swap_remove(0);
        }
        self.sift_down(0);
        Ok(())
    }

    /// Moves a run to its next entry, loading its next block where need be; false at its end.
    fn step(&self, run: &mut Run) -> Result<bool, Error> {
        while !run.cursor.advance()? {
            let body = self
                .store
                .peek(|tx| tx.landed_block(self.tenant, self.campaign, run.page, run.next_block))?;
            let Some(body) = body else { return Ok(false) };
            run.next_block += 1;
            run.cursor.load(body);
        }
        Ok(true)
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let left = 2 * place + 1;
            if left >= self.heap.len() {
                return;
            }
            let right = left + 1;
            let child = if right < self.heap.len() && self.less(right, left) {
                right
            } else {
                left
            };
            if !self.less(child, place) {
                return;
            }
            self.heap.swap(child, place);
            place = child;
        }
    }

    fn less(&self, a: usize, b: usize) -> bool {
        let (a, b) = (
            &self.pages[self.heap[a] as usize],
            &self.pages[self.heap[b] as usize],
        );
        let (x, y) = (&a.cursor, &b.cursor);
        x.fold()
            .cmp(y.fold())
            .then_with(|| x.customer_bytes().cmp(y.customer_bytes()))
            .then_with(|| (x.offer, a.page, x.row).cmp(&(y.offer, b.page, y.row)))
            .is_lt()
    }
}

/// A text that stands before this one with hardly any between them: its last letter is the one before, and nothing
/// usual follows that.
fn before(fold: &str) -> String {
    let mut text = fold.to_owned();
    let last = text.pop().map_or(0, u32::from);
    if let Some(letter) = last.checked_sub(1).and_then(char::from_u32) {
        text.push(letter);
        text.push(char::MAX);
    }
    text
}

fn take(group: &mut Group, run: &Run) -> Result<(), Error> {
    let customer = run.cursor.customer()?;
    let same = group
        .entries
        .last()
        .filter(|last| group.customer(last) == customer)
        .copied();
    let (start, end) = if let Some(last) = same {
        (last.start, last.end)
    } else {
        let start = group.text.len() as u32;
        group.text.push_str(customer);
        (start, group.text.len() as u32)
    };
    let Cursor {
        offer,
        window,
        mark,
        row,
        ..
    } = run.cursor;
    group.entries.push(GroupEntry {
        start,
        end,
        page: run.page,
        row,
        offer,
        window,
        mark,
    });
    Ok(())
}

impl Tx<'_> {
    fn pages_with_rows(
        &mut self,
        tenant: i64,
        campaign: i64,
        pages: Pages,
    ) -> Result<Vec<u32>, Error> {
        let (through, from_channel, to_channel) = pages.bounds();
        self.query(
            "-- pages_with_rows
            SELECT b.page FROM landed_block b
            JOIN landed_page p ON p.tenant = b.tenant AND p.campaign = b.campaign AND p.page = b.page
            WHERE b.tenant = $1 AND b.campaign = $2 AND b.page <= $3 AND b.block = 0
                AND p.channel >= $4 AND p.channel <= $5
            ORDER BY b.page",
            values![tenant, campaign, through, from_channel, to_channel],
            |row| Ok(row.int(0)? as u32),
        )
    }

    /// Customers (folded) that share landed pages `1..=through` of lists out into at most `parts` stretches of about
    /// the same size: the last of each, but of the last stretch.
    pub fn stretches(
        &mut self,
        tenant: i64,
        campaign: i64,
        through: u32,
        parts: usize,
    ) -> Result<Vec<String>, Error> {
        let sample = self.query(
            "-- stretches
            SELECT last_fold FROM landed_block
            WHERE tenant = $1 AND campaign = $2 AND page <= $3 AND (page + block) % 8 = 0
            ORDER BY last_fold",
            values![tenant, campaign, through],
            |row| row.text(0),
        )?;
        let mut ends: Vec<_> = (1..parts)
            .filter_map(|part| sample.get(part * sample.len() / parts).cloned())
            .collect();
        ends.dedup();
        Ok(ends)
    }

    fn block_behind(
        &mut self,
        tenant: i64,
        campaign: i64,
        page: u32,
        after: &str,
    ) -> Result<Option<i64>, Error> {
        self.query_one(
            "-- block_behind
            SELECT block FROM landed_block
            WHERE tenant = $1 AND campaign = $2 AND page = $3 AND last_fold > $4
            ORDER BY block LIMIT 1",
            values![tenant, campaign, page, after],
            |row| row.int(0),
        )
    }

    fn landed_block(
        &mut self,
        tenant: i64,
        campaign: i64,
        page: u32,
        block: i64,
    ) -> Result<Option<Vec<u8>>, Error> {
        self.query_one(
            "-- landed_block
            SELECT body FROM landed_block
            WHERE tenant = $1 AND campaign = $2 AND page = $3 AND block = $4",
            values![tenant, campaign, page, block],
            |row| row.blob(0),
        )
    }
}
