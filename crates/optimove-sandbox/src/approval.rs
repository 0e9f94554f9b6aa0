//! The approvals of a conditional campaign: who was reported how, when and how often.
//!
//! One word for each customer, in pages that are made when the first report falls into them: ten
//! million reported customers take 40 MB, and nobody reported takes nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::campaign::{Audience, Campaign};
use crate::rows::{CodeRows, RowsOf};
use crate::scope::Share;
use crate::selection::Selection;

/// Customers in one page of the board.
const PAGE_MARKS: usize = 4_096;
/// Most calls that one campaign remembers.
const CALLS_MAX: usize = 1 << 22;
/// Highest count of reports on one customer; more count as this many.
const COUNT_MAX: u32 = 15;
/// Selections kept at a time; each is small beside the campaign, and the oldest goes.
const SELECTIONS_KEPT_MAX: usize = 32;

/// What was reported on the customers of one campaign.
#[derive(Debug)]
pub(crate) struct Board {
    groups: usize,
    state: Mutex<State>,
    /// Where the customers of a list stand; computed for a counted audience.
    places: HashMap<String, u64>,
    selections: Mutex<Vec<(Choice, Arc<Selection>)>>,
}

/// Which rows a selection was made from, and which of them.
type Choice = (RowsOf, CodeRows, Vec<Share>);

#[derive(Debug)]
struct State {
    pages: Vec<Option<Box<[Mark; PAGE_MARKS]>>>,
    /// When the calls came.
    calls: Vec<Timestamp>,
    tally: Tally,
}

/// What the reports come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Customers whose last report in time was true, by send group.
    pub(crate) approved: Vec<u64>,
    /// Customers whose last report in time was false.
    pub(crate) denied: u64,
    /// Reports that came in time, ...
    pub(crate) in_time: u64,
    /// ... after the deadline, ...
    pub(crate) late: u64,
    /// ... and on customers who are not on the list.
    pub(crate) unknown: u64,
}

/// The reports on one customer, packed: status, reports in time, late reports, last call in time.
#[derive(Clone, Copy, Debug, Default)]
struct Mark(u32);

impl Mark {
    const TIMES: u32 = 2;
    const LATE: u32 = 6;
    const CALL: u32 = 10;

    fn status(self) -> Option<bool> {
        match self.0 & 3 {
            0 => None,
            status => Some(status == 2),
        }
    }

    fn times(self) -> u32 {
        (self.0 >> Self::TIMES) & COUNT_MAX
    }

    fn late(self) -> u32 {
        (self.0 >> Self::LATE) & COUNT_MAX
    }

    fn call(self) -> usize {
        (self.0 >> Self::CALL) as usize
    }

    fn reported(self, approved: bool, call: usize) -> Self {
        let status = if approved { 2 } else { 1 };
        let times = (self.times() + 1).min(COUNT_MAX) << Self::TIMES;
        let late = self.late() << Self::LATE;
        Self(status | times | late | ((call as u32) << Self::CALL))
    }

    fn reported_late(self) -> Self {
        let late = (self.late() + 1).min(COUNT_MAX) << Self::LATE;
        Self(self.0 & !(COUNT_MAX << Self::LATE) | late)
    }
}

/// The reports on one customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The last report in time.
    pub(crate) status: Option<bool>,
    pub(crate) reported_at: Option<Timestamp>,
    pub(crate) times: u32,
    pub(crate) late: u32,
}

/// What a call of reports did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// All of it counts that was not late.
    Counted,
    /// Some was late, and so nothing counts.
    Refused,
    /// There were too many calls before.
    TooMany,
}

/// What becomes of a call in which some report is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LateOnes {
    Ignored,
    RefuseAll,
}

impl Board {
    pub(crate) fn new(campaign: &Campaign, groups: usize) -> Self {
        let mut places = HashMap::new();
        if let Audience::Listed(listed) = &campaign.audience {
            for one in listed.iter().filter(|one| !one.placements.is_empty()) {
                places.insert(one.id.clone(), one.unit);
            }
        }
        let pages = campaign.units().div_ceil(PAGE_MARKS as u64) as usize;
        let tally = Tally {
            approved: vec![0; groups],
            ..Tally::default()
        };
        Self {
            groups,
            state: Mutex::new(State {
                pages: std::iter::repeat_with(|| None).take(pages).collect(),
                calls: Vec::new(),
                tally,
            }),
            places,
            selections: Mutex::default(),
        }
    }

    /// Where a customer stands who is on the list to approve.
    fn place(&self, campaign: &Campaign, customer: &str) -> Option<u64> {
        match &campaign.audience {
            Audience::Counted { .. } => campaign.position_of(customer),
            Audience::Listed(_) => self.places.get(customer).copied(),
        }
    }

    /// Takes the reports of one call, in their order; `is_late` says it of a send group.
    pub(crate) fn report<'a>(
        &self,
        campaign: &Campaign,
        reports: impl Iterator<Item = (&'a str, bool)> + Clone,
        now: Timestamp,
        is_late: impl Fn(usize) -> bool,
        late_ones: LateOnes,
    ) -> Taken {
        let mut state = self.state();
        let call = state.calls.len();
        if call >= CALLS_MAX {
            return Taken::TooMany;
        }
        let group_of = |place: u64| (place % self.groups as u64) as usize;
        let any_late = (0..self.groups).any(&is_late);
        let refused = any_late && late_ones == LateOnes::RefuseAll && {
            let mut places = reports
                .clone()
                .filter_map(|(id, _)| self.place(campaign, id));
            places.any(|place| is_late(group_of(place)))
        };
        state.calls.push(now);
        for (customer, approved) in reports {
            let Some(place) = self.place(campaign, customer) else {
                state.tally.unknown += 1;
                continue;
            };
            let group = group_of(place);
            let mark = *state.mark(place);
            if is_late(group) {
                state.tally.late += 1;
                *state.mark(place) = mark.reported_late();
            } else if !refused {
                state.tally.count(group, mark.status(), approved);
                *state.mark(place) = mark.reported(approved, call);
            }
        }
        if refused {
            Taken::Refused
        } else {
            Taken::Counted
        }
    }

    /// Whether a customer of a listed audience is on the list to approve.
    pub(crate) fn lists(&self, customer: &str) -> bool {
        self.places.contains_key(customer)
    }

    pub(crate) fn is_approved(&self, place: u64) -> bool {
        self.state().peek(place).status() == Some(true)
    }

    /// What was reported on the customer at a place.
    pub(crate) fn standing(&self, place: u64) -> Standing {
        let state = self.state();
        let mark = state.peek(place);
        let status = mark.status();
        Standing {
            status,
            reported_at: status.and_then(|_| state.calls.get(mark.call()).copied()),
            times: mark.times(),
            late: mark.late(),
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.state().tally.clone()
    }

    /// The rows of a choice, made when first asked for. A choice names send groups as approved
    /// only once their deadline has passed, so what is made stays right.
    pub(crate) fn selection(
        &self,
        choice: Choice,
        make: impl FnOnce() -> Selection,
    ) -> Arc<Selection> {
        let mut kept = self
            .selections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, selection)) = kept.iter().find(|(known, _)| *known == choice) {
            return selection.clone();
        }
        if kept.len() >= SELECTIONS_KEPT_MAX {
            kept.remove(0);
        }
        let selection = Arc::new(make());
        kept.push((choice, selection.clone()));
        selection
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn peek(&self, place: u64) -> Mark {
        let (page, index) = (place as usize / PAGE_MARKS, place as usize % PAGE_MARKS);
        let page = self.pages.get(page).and_then(Option::as_ref);
        page.map_or(Mark::default(), |page| page[index])
    }

    fn mark(&mut self, place: u64) -> &mut Mark {
        let (page, index) = (place as usize / PAGE_MARKS, place as usize % PAGE_MARKS);
        let page = self.pages[page].get_or_insert_with(|| Box::new([Mark::default(); PAGE_MARKS]));
        &mut page[index]
    }
}

impl Tally {
    fn count(&mut self, group: usize, before: Option<bool>, approved: bool) {
        match before {
            None => {}
            Some(true) => self.approved[group] -= 1,
            Some(false) => self.denied -= 1,
        }
        if approved {
            self.approved[group] += 1;
        } else {
            self.denied += 1;
        }
        self.in_time += 1;
    }
}
