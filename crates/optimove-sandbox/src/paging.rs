//! Pages of a list: what is asked for, and which rows come.

use crate::Shared;
use crate::answer::Refusal;
use crate::random::{Permutation, key};
use crate::routes::Query;
use crate::switch::{BarePaging, PageChurn, PageOrder, Switches};
use crate::world::ListName;

/// Most lists remembered as read to their end.
const LISTS_READ_MAX: usize = 100_000;

/// A page as asked for, within the limits of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    skip: u64,
    top: u64,
}

impl Page {
    /// Reads `$top` and `$skip`; the names without the sign count only by switch.
    pub(crate) fn asked(query: &Query, switches: &Switches) -> Result<Self, Refusal> {
        let bare = switches.bare_paging == BarePaging::Honour;
        let number = |name: &str| match query.number(name)? {
            None if bare => query.number(&name[1..]),
            found => Ok(found),
        };
        let top = number("$top")?.unwrap_or(switches.page_default.get());
        let skip = number("$skip")?.unwrap_or(0);
        Ok(Self {
            skip,
            top: top.min(switches.page_cap.get()),
        })
    }

    /// Rows that the page holds at most, in a list of `rows` rows.
    pub(crate) fn len(&self, rows: u64) -> u64 {
        self.top.min(rows)
    }
}

/// How places of what is read are mapped to rows of the list.
#[derive(Clone, Copy, Debug)]
enum Churn {
    Off,
    Repeat,
    Skip,
}

impl Churn {
    /// The row at a place of what is read in pages of `top` rows; none beyond the last of `rows`.
    fn row(self, place: u64, top: u64, rows: u64) -> Option<u64> {
        let row = match self {
            Self::Off => place,
            // Each page begins with the last row of the one before, if it has a row of its own.
            Self::Repeat if place >= top && place.is_multiple_of(top) => {
                let repeated = place / top * (top - 1);
                return (repeated + 1 < rows).then_some(repeated);
            }
            Self::Repeat => place / top * (top - 1) + place % top,
            // Between two pages a row is left out.
            Self::Skip => place.saturating_add(place / top),
        };
        (row < rows).then_some(row)
    }
}

impl Shared {
    /// The rows of a page, in the order in which they come.
    pub(crate) fn page_order(
        &self,
        page: &Page,
        rows: u64,
        list: ListName,
        switches: &Switches,
    ) -> impl Iterator<Item = u64> + use<> {
        let (skip, top) = (page.skip, page.top);
        let churn = match switches.page_churn {
            // A page of one row that repeats the one before would never get on.
            PageChurn::Repeat if top > 1 => Churn::Repeat,
            PageChurn::Skip if top > 0 && !self.was_read(&list) => Churn::Skip,
            _ => Churn::Off,
        };
        if switches.page_churn == PageChurn::Skip && churn.row(skip, top.max(1), rows).is_none() {
            self.mark_read(list);
        }
        let shuffle = match switches.page_order {
            PageOrder::Stable => None,
            PageOrder::Shuffle => {
                let seed = key(&[self.seed, self.next_draw()]);
                Some(Permutation::new(seed, rows))
            }
        };
        (skip..skip.saturating_add(top))
            .map_while(move |place| churn.row(place, top, rows))
            .map(move |row| shuffle.map_or(row, |shuffle| shuffle.at(row)))
    }

    fn was_read(&self, list: &ListName) -> bool {
        self.world().lists_read.contains(list)
    }

    fn mark_read(&self, list: ListName) {
        let mut world = self.world();
        if world.lists_read.len() < LISTS_READ_MAX {
            world.lists_read.insert(list);
        }
    }
}
