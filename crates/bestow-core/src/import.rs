//! An import: what becomes of each pair, when a list is read to its end, and what is merged.

use std::collections::BTreeMap;

use crate::id::ActionId;
use crate::outcome::{HoldReason, RefuseReason};

/// Most passes over one list before it is held as `unstable_pages`.
pub const PASSES_MAX: u8 = 3;

/// What became of one pair of customer and code, or of a row without a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Disposition {
    /// A grant was made.
    Grant,
    /// The grant was there already: another channel, page, pass or retry brought it again.
    Repeat,
    /// The row carries no promotion; it is no pair.
    NoCode,
    /// Decided against.
    Refused(RefuseReason),
    /// Undecided; waits for a person.
    Held(HoldReason),
}

impl Disposition {
    /// The counter of a campaign that a pair counts in.
    pub fn counter(self) -> String {
        match self {
            Self::Grant => "granted".to_owned(),
            Self::Repeat => "repeated".to_owned(),
            Self::NoCode => "rows_without_code".to_owned(),
            Self::Refused(reason) => format!("refused:{reason}"),
            Self::Held(reason) => format!("held:{reason}"),
        }
    }
}

/// What is decided about a row before its codes are looked at. A row of the control group is
/// refused whatever list it turns up in.
pub fn row_disposition(action: Option<ActionId>) -> Option<Disposition> {
    (action == Some(ActionId::CONTROL_GROUP))
        .then_some(Disposition::Refused(RefuseReason::ControlGroup))
}

/// What became of everything that was read. The numbers add up: see [`Counts::balanced`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows read.
    pub rows: u64,
    /// Rows that carried no promotion.
    pub rows_without_code: u64,
    /// Pairs of customer and code read.
    pub pairs: u64,
    /// Pairs that became grants.
    pub granted: u64,
    /// Pairs that were grants already.
    pub repeated: u64,
    /// Pairs that wait, by reason.
    pub held: BTreeMap<HoldReason, u64>,
    /// Pairs that were decided against, by reason.
    pub refused: BTreeMap<RefuseReason, u64>,
}

impl Counts {
    /// Counts one row. Its pairs, or that it has none, are counted by [`add`](Self::add).
    pub fn add_row(&mut self) {
        self.rows += 1;
    }

    /// Counts one pair, or one row without a code.
    pub fn add(&mut self, disposition: Disposition) {
        self.add_many(disposition, 1);
    }

    /// Counts `many` that came to the same.
    pub fn add_many(&mut self, disposition: Disposition, many: u64) {
        if many == 0 {
            return;
        }
        match disposition {
            Disposition::NoCode => {
                self.rows_without_code += many;
                return;
            }
            Disposition::Grant => self.granted += many,
            Disposition::Repeat => self.repeated += many,
            Disposition::Refused(reason) => *self.refused.entry(reason).or_default() += many,
            Disposition::Held(reason) => *self.held.entry(reason).or_default() += many,
        }
        self.pairs += many;
    }

    /// Adds the counts of another page or list.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.rows_without_code += other.rows_without_code;
        self.pairs += other.pairs;
        self.granted += other.granted;
        self.repeated += other.repeated;
        for (&reason, many) in &other.held {
            *self.held.entry(reason).or_default() += many;
        }
        for (&reason, many) in &other.refused {
            *self.refused.entry(reason).or_default() += many;
        }
    }

    /// Counts one held pair again as what its release made of it: it leaves `held` and stays one
    /// pair.
    ///
    /// # Errors
    ///
    /// [`NothingHeld`] if no pair is held for that reason, or if the pair would stop being one;
    /// nothing is counted then.
    pub fn release(&mut self, reason: HoldReason, to: Disposition) -> Result<(), NothingHeld> {
        let fault = NothingHeld { reason };
        if to == Disposition::NoCode {
            return Err(fault);
        }
        let waiting = self
            .held
            .get_mut(&reason)
            .filter(|waiting| **waiting > 0)
            .ok_or(fault)?;
        *waiting -= 1;
        if *waiting == 0 {
            self.held.remove(&reason);
        }
        self.pairs -= 1;
        self.add(to);
        Ok(())
    }

    /// All held pairs.
    pub fn held_total(&self) -> u64 {
        self.held.values().sum()
    }

    /// All refused pairs.
    pub fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Whether nothing was skipped in silence: every pair is granted, repeated, held or refused,
    /// and every row has at least one pair or is counted as one without a code.
    pub fn balanced(&self) -> bool {
        let decided = self.granted + self.repeated + self.held_total() + self.refused_total();
        self.pairs == decided
            && self.rows_without_code <= self.rows
            && self.rows - self.rows_without_code <= self.pairs
    }
}

/// A release of something that is not held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no pair is held as {reason} that could be counted otherwise")]
pub struct NothingHeld {
    /// The reason that was named.
    pub reason: HoldReason,
}

/// What one complete pass over a list gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassSummary {
    /// Which pass, from 1.
    pub pass: u8,
    /// Rows asked for per page in this pass.
    pub page_size: u32,
    /// Rows read in this pass.
    pub rows: u64,
    /// Distinct customers of all passes so far.
    pub distinct_customers: u64,
    /// Pairs that no earlier pass had brought; in the first pass, all of them.
    pub added_pairs: u64,
}

/// Whether a list is read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Complete,
    /// It may be: read it once more with pages of another size, so that page edges fall elsewhere.
    ConfirmAgain {
        /// Rows to ask for per page.
        page_size: u32,
    },
    /// It cannot be told; a person decides.
    Hold(HoldReason),
}

/// Decides whether a list is complete: Optimove gives no total and promises no order.
///
/// At once, where the distinct customers are as many as the campaign itself says
/// (`expected_size`, from `TestGroupSize`). Otherwise once a further pass with another page size
/// adds nothing. After `passes_max` passes that each added something, the list is held.
pub fn completeness(read: PassSummary, expected_size: Option<u64>, passes_max: u8) -> Verdict {
    let agrees = expected_size == Some(read.distinct_customers);
    let confirmed = read.pass > 1 && read.added_pairs == 0;
    if agrees || confirmed {
        Verdict::Complete
    } else if read.pass < passes_max {
        Verdict::ConfirmAgain {
            page_size: other_page_size(read.page_size),
        }
    } else {
        Verdict::Hold(HoldReason::UnstablePages)
    }
}

/// Another page size: about a fifth smaller, so that it stays under any cap the first one was under
/// and shares few page edges with it.
fn other_page_size(page_size: u32) -> u32 {
    match page_size {
        0..=2 => 3,
        size => size - size / 5 - 1,
    }
}

/// How far the size of a list may be from what the campaign says, in per cent of the latter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeBounds {
    /// More than this is held.
    pub over_percent: u32,
    /// Less than this is held; `None` where a part of the campaign is meant, such as one channel.
    pub under_percent: Option<u32>,
}

impl SizeBounds {
    /// For all lists of a campaign together: half to twice.
    pub const WHOLE_CAMPAIGN: Self = Self {
        over_percent: 200,
        under_percent: Some(50),
    };
    /// For a part of it: at most twice.
    pub const PART: Self = Self {
        over_percent: 200,
        under_percent: None,
    };
}

/// Compares the distinct customers of a list with what the campaign says (`expected`). Nothing is
/// compared where it says nothing.
///
/// # Errors
///
/// [`HoldReason::SizeMismatch`]: a person approves or rejects before anything is granted.
pub fn size_check(
    distinct: u64,
    expected: Option<u64>,
    bounds: SizeBounds,
) -> Result<(), HoldReason> {
    let Some(expected) = expected else {
        return Ok(());
    };
    let hundredfold = u128::from(distinct) * 100;
    let share = |percent: u32| u128::from(expected) * u128::from(percent);
    let too_many = hundredfold > share(bounds.over_percent);
    let too_few = bounds
        .under_percent
        .is_some_and(|percent| hundredfold < share(percent));
    if too_many || too_few {
        Err(HoldReason::SizeMismatch)
    } else {
        Ok(())
    }
}

/// Where an entry of a group comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A grant of this campaign that is in the ledger already.
    Ledger,
    /// A row that was read and waits to be merged.
    Landed,
}

/// One pair of customer and code, with its code as any handle that is equal for equal codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a, C> {
    /// The customer id, byte for byte.
    pub customer: &'a str,
    /// The code.
    pub code: C,
    /// Where it comes from.
    pub origin: Origin,
}

/// What merging makes of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// It is in the ledger and stays as it is.
    Stands,
    /// The first of its grant: to be granted.
    First,
    /// Brings the grant of the entry at this index again; only its window may add something.
    Repeat {
        /// Index of the entry that stands or came first.
        of: usize,
    },
    /// Waits for a person.
    Held(HoldReason),
}

/// Merges everything that one campaign brought for one customer.
///
/// `entries` are all whose customer ids are equal under
/// [`fold_customer`](crate::id::fold_customer): first those from the ledger, then the landed ones
/// in order of arrival. The first entry's spelling is the customer; any other spelling that has no
/// grant yet is held as `near_equal_customer_id` (a tenant that tells spellings apart groups by
/// the exact id instead, and so never meets one). Codes beyond `codes_max` distinct ones are held
/// as `too_many_codes`. What is in the ledger is never questioned. The answer has one element per
/// entry; a group of one landed entry is simply the first.
pub fn merge_group<C: Copy + Eq>(entries: &[Entry<'_, C>], codes_max: usize) -> Vec<Merge> {
    let mut accepted: Vec<usize> = Vec::new();
    let mut merged = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let outcome = match entry.origin {
            Origin::Ledger => Merge::Stands,
            Origin::Landed => land(entries, &accepted, *entry, codes_max),
        };
        if matches!(outcome, Merge::Stands | Merge::First) {
            accepted.push(index);
        }
        merged.push(outcome);
    }
    merged
}

fn land<C: Copy + Eq>(
    entries: &[Entry<'_, C>],
    accepted: &[usize],
    landed: Entry<'_, C>,
    codes_max: usize,
) -> Merge {
    let mut codes = 0;
    for &of in accepted
        .iter()
        .filter(|&&of| entries[of].customer == landed.customer)
    {
        if entries[of].code == landed.code {
            return Merge::Repeat { of };
        }
        codes += 1;
    }
    if codes == 0 && landed.customer != entries[0].customer {
        Merge::Held(HoldReason::NearEqualCustomerId)
    } else if codes >= codes_max {
        Merge::Held(HoldReason::TooManyCodes)
    } else {
        Merge::First
    }
}
