//! Landed rows, sorted and packed: how the pairs of a page are written into blocks and read back.
//!
//! The order is the customer's text folded (see `bestow_core::id::fold_customer`), then its exact text, then the offer, then the place in the page.
//! It is close to the order of the grants' key, and it puts ids that differ by letter case only side by side.
//! An entry is: bytes shared with the customer before, bytes that follow, those bytes, offer, window, mark, row;
//! all numbers as variable-length integers.

use bestow_core::id::fold_customer;

use crate::Error;

/// Entries of one block, at most: what a merge holds in memory for each landed page.
pub const BLOCK_ENTRIES_MAX: usize = 256;

/// One landed pair (or row without code) as it is put into a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The customer's id, exactly as received but for surrounding blanks.
    pub customer: &'a str,
    /// `offer.no`; 0 where the row carries no code or the code cannot be used.
    pub offer: u32,
    /// `eligibility_window.no`; 0 where there is none.
    pub window: u32,
    /// What was decided about the pair when it landed. The store does not know the meanings.
    pub mark: u8,
    /// Place of the row within its page.
    pub row: u32,
}

/// A packed block, ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The last customer in it, folded: lets a reader skip the block.
    pub last_fold: String,
    /// The entries.
    pub body: Vec<u8>,
}

/// Collects the entries of one page, sorts them and packs them.
#[derive(Debug, Default)]
pub struct Landing {
    text: String,
    entries: Vec<Collected>,
}

#[derive(Debug, Clone, Copy)]
struct Collected {
    /// The first eight bytes of the customer, folded: decides most comparisons without a look at the text.
    lead: u64,
    fold: Span,
    exact: Span,
    offer: u32,
    window: u32,
    mark: u8,
    row: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

impl Landing {
    /// Adds one entry. Entries of the same row come one after the other.
    pub fn push(&mut self, entry: Entry<'_>) {
        let (fold, exact) = match self.entries.last() {
            Some(last) if self.get(last.exact) == entry.customer => (last.fold, last.exact),
            _ => self.intern(entry.customer),
        };
        let lead = lead(self.get(fold));
        let Entry {
            offer,
            window,
            mark,
            row,
            ..
        } = entry;
        self.entries.push(Collected {
            lead,
            fold,
            exact,
            offer,
            window,
            mark,
            row,
        });
    }

    /// Replaces places in lists by the numbers found there: place 1 is the first of the list, 0 stays 0.
    pub fn renumber(&mut self, offers: &[u32], windows: &[u32]) {
        let number = |list: &[u32], place: u32| match place.checked_sub(1) {
            Some(place) => list.get(place as usize).copied().unwrap_or_default(),
            None => 0,
        };
        for entry in &mut self.entries {
            entry.offer = number(offers, entry.offer);
            entry.window = number(windows, entry.window);
        }
    }

    /// The customers, each at least once.
    pub fn customers(&self) -> impl Iterator<Item = &str> {
        let mut entries = self.entries.iter().peekable();
        std::iter::from_fn(move || {
            let entry = entries.next()?;
            while entries.next_if(|next| next.exact == entry.exact).is_some() {}
            Some(self.get(entry.exact))
        })
    }

    /// Lets `decide` look at each entry with a mark, by customer and offer, and gives those another mark, and no window,
    /// that it names one for.
    pub fn mark_again(&mut self, mark: u8, mut decide: impl FnMut(&str, u32) -> Option<u8>) {
        let text = std::mem::take(&mut self.text);
        for entry in self.entries.iter_mut().filter(|entry| entry.mark == mark) {
            let customer = &text[entry.exact.start as usize..entry.exact.end as usize];
            if let Some(mark) = decide(customer, entry.offer) {
                (entry.mark, entry.window) = (mark, 0);
            }
        }
        self.text = text;
    }

    /// How many entries were added.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sorts and packs. Also tells how many distinct customers there are.
    pub fn pack(mut self) -> (Vec<Block>, u64) {
        let mut entries = std::mem::take(&mut self.entries);
        entries.sort_unstable_by(|a, b| {
            a.lead
                .cmp(&b.lead)
                .then_with(|| self.get(a.fold).cmp(self.get(b.fold)))
                .then_with(|| self.get(a.exact).cmp(self.get(b.exact)))
                .then_with(|| (a.offer, a.row).cmp(&(b.offer, b.row)))
        });
        let mut customers = 0;
        let mut previous: Option<Span> = None;
        for entry in &entries {
            if previous.is_none_or(|span| self.get(span) != self.get(entry.exact)) {
                customers += 1;
            }
            previous = Some(entry.exact);
        }
        let blocks = entries
            .chunks(BLOCK_ENTRIES_MAX)
            .map(|chunk| self.pack_block(chunk))
            .collect();
        (blocks, customers)
    }

    fn pack_block(&self, chunk: &[Collected]) -> Block {
        let mut body = Vec::with_capacity(chunk.len() * 12);
        let mut previous: &[u8] = &[];
        for entry in chunk {
            let customer = self.get(entry.exact).as_bytes();
            let shared = previous
                .iter()
                .zip(customer)
                .take_while(|(a, b)| a == b)
                .count();
            put(&mut body, shared as u32);
            put(&mut body, (customer.len() - shared) as u32);
            body.extend_from_slice(&customer[shared..]);
            put(&mut body, entry.offer);
            put(&mut body, entry.window);
            body.push(entry.mark);
            put(&mut body, entry.row);
            previous = customer;
        }
        let last_fold = chunk
            .last()
            .map_or("", |entry| self.get(entry.fold))
            .to_owned();
        Block { last_fold, body }
    }

    fn intern(&mut self, customer: &str) -> (Span, Span) {
        let exact = self.append(customer);
        let fold = fold_customer(customer);
        if fold == customer {
            (exact, exact)
        } else {
            (self.append(&fold), exact)
        }
    }

    fn append(&mut self, text: &str) -> Span {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        Span {
            start,
            end: self.text.len() as u32,
        }
    }

    fn get(&self, span: Span) -> &str {
        &self.text[span.start as usize..span.end as usize]
    }
}

/// Reads a block's entries one by one into itself.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    body: Vec<u8>,
    at: usize,
    customer: Vec<u8>,
    fold: String,
    pub(crate) offer: u32,
    pub(crate) window: u32,
    pub(crate) mark: u8,
    pub(crate) row: u32,
}

impl Cursor {
    /// Starts over with another block.
    pub(crate) fn load(&mut self, body: Vec<u8>) {
        self.body = body;
        self.at = 0;
        self.customer.clear();
    }

    /// Moves to the next entry; false at the end of the block.
    pub(crate) fn advance(&mut self) -> Result<bool, Error> {
        if self.at == self.body.len() {
            return Ok(false);
        }
        let shared = self.take()? as usize;
        let length = self.take()? as usize;
        let suffix = self.body.get(self.at..self.at + length).ok_or_else(cut)?;
        if shared > self.customer.len() {
            return Err(cut());
        }
        if shared < self.customer.len() || length > 0 {
            self.customer.truncate(shared);
            self.customer.extend_from_slice(suffix);
            let text = std::str::from_utf8(&self.customer).map_err(|_| cut())?;
            self.fold.clear();
            self.fold.push_str(&fold_customer(text));
        }
        self.at += length;
        self.offer = self.take()?;
        self.window = self.take()?;
        self.mark = *self.body.get(self.at).ok_or_else(cut)?;
        self.at += 1;
        self.row = self.take()?;
        Ok(true)
    }

    /// The customer of this entry, folded.
    pub(crate) fn fold(&self) -> &str {
        &self.fold
    }

    /// The customer of this entry.
    pub(crate) fn customer(&self) -> Result<&str, Error> {
        std::str::from_utf8(&self.customer).map_err(|_| cut())
    }

    /// The customer's bytes, for comparing.
    pub(crate) fn customer_bytes(&self) -> &[u8] {
        &self.customer
    }

    fn take(&mut self) -> Result<u32, Error> {
        let mut value = 0_u32;
        for shift in (0..35).step_by(7) {
            let byte = *self.body.get(self.at).ok_or_else(cut)?;
            self.at += 1;
            value |= u32::from(byte & 0x7f).checked_shl(shift).ok_or_else(cut)?;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(cut())
    }
}

fn put(body: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        body.push(value as u8 | 0x80);
        value >>= 7;
    }
    body.push(value as u8);
}

fn cut() -> Error {
    Error::Corrupt("a landed block cannot be read".into())
}

fn lead(text: &str) -> u64 {
    let mut first = [0_u8; 8];
    let taken = text.len().min(8);
    first[..taken].copy_from_slice(&text.as_bytes()[..taken]);
    u64::from_be_bytes(first)
}
