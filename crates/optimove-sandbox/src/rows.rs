//! Which row stands at which place of a list of a campaign's customers.
//!
//! The rows of a channel are shuffled once more, so that actions are mixed; a row is found by
//! computing, whatever its place.

use crate::campaign::{Action, Audience, Campaign, Listed, Placement, reached_spans};
use crate::random::{Permutation, key};

/// How a row is counted when a customer has several codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeRows {
    /// All codes of a customer in one row.
    Together,
    /// One row for each code.
    Each,
}

/// What there is one row for, or one for each code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowsOf {
    /// Each customer on the channel, or on each of all channels, one after the other.
    Channel(Option<u64>),
    /// Each customer that any channel reaches; each entry of a list.
    Customers,
}

/// What the rows of customers are shuffled under, where channels are shuffled under their number.
const CUSTOMERS_SHUFFLE: u64 = u64::MAX;

/// The rows of one campaign, in their stable order.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    campaign: &'a Campaign,
    parts: Vec<Part>,
    listed: Vec<Place>,
    len: u64,
    lines: usize,
}

/// The rows of a counted audience on one channel, or of all its customers.
#[derive(Debug)]
struct Part {
    first_row: u64,
    shuffle: Permutation,
    segments: Vec<Segment>,
}

/// Neighbouring customers of one action, before the shuffle.
#[derive(Debug)]
struct Segment {
    end: u64,
    start: u64,
    rows_each: u64,
    /// Place within the action of the first of them.
    offset: u64,
    place: Place,
}

/// Where the facts of a row are found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) action: usize,
    pub(crate) placement: usize,
    /// Position in a counted audience, or index of the listed customer's first entry.
    pub(crate) unit: u64,
    /// Index of the listed customer.
    listed: usize,
    /// Index of the only code; none = all codes.
    pub(crate) code: Option<usize>,
    /// Number of the line that many rows of a counted audience have in common.
    pub(crate) line: usize,
}

/// The customer of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Customer<'a> {
    /// The number behind the prefix.
    Counted(u64),
    Listed(&'a Listed),
}

impl<'a> Rows<'a> {
    /// The rows of a campaign, whoever was approved.
    pub(crate) fn new(campaign: &'a Campaign, of: RowsOf, code_rows: CodeRows) -> Self {
        let mut rows = Self {
            campaign,
            parts: Vec::new(),
            listed: Vec::new(),
            len: 0,
            lines: 0,
        };
        let channel = match (of, &campaign.audience) {
            (RowsOf::Channel(channel), _) => channel,
            (RowsOf::Customers, Audience::Counted { .. }) => {
                rows.add_reached(code_rows);
                return rows;
            }
            (RowsOf::Customers, Audience::Listed(listed)) => {
                rows.add_entries(listed, code_rows);
                return rows;
            }
        };
        for id in campaign.channels() {
            if channel.is_some_and(|wanted| wanted != id) {
                continue;
            }
            match &campaign.audience {
                Audience::Counted { .. } => rows.add_counted(id, code_rows),
                Audience::Listed(listed) => rows.add_listed(listed, id, code_rows),
            }
        }
        rows
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// How many lines the rows of a counted audience have.
    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    /// The row at `index`, which must be below the length.
    pub(crate) fn at(&self, index: u64) -> (Customer<'a>, Place) {
        let place = self.place_at(index);
        let customer = match &self.campaign.audience {
            Audience::Counted { .. } => {
                Customer::Counted(self.campaign.customer_number(place.unit))
            }
            Audience::Listed(listed) => Customer::Listed(&listed[place.listed]),
        };
        (customer, place)
    }

    /// As `at`, without the customer.
    pub(crate) fn place_at(&self, index: u64) -> Place {
        match &self.campaign.audience {
            Audience::Counted { .. } => self.counted_at(index),
            Audience::Listed(_) => self.listed[index as usize],
        }
    }

    fn add_counted(&mut self, channel: u64, code_rows: CodeRows) {
        let placed: Vec<_> = placements_on(self.campaign, channel)
            .map(|(action, placement, place)| (action, placement.offset, placement.count, place))
            .collect();
        self.add_part(channel, placed, code_rows);
    }

    /// Customers reached by any channel, in neighbourhoods of each action.
    fn add_reached(&mut self, code_rows: CodeRows) {
        let actions = self.campaign.actions.iter().enumerate();
        let reached = actions.flat_map(|(index, action)| {
            let place = Place::of(index, 0);
            let spans = reached_spans(action).into_iter();
            spans.map(move |span| (action, span.start, span.end - span.start, place))
        });
        let reached = reached.collect();
        self.add_part(CUSTOMERS_SHUFFLE, reached, code_rows);
    }

    fn add_part(
        &mut self,
        shuffled_under: u64,
        neighbours: Vec<(&Action, u64, u64, Place)>,
        code_rows: CodeRows,
    ) {
        let mut segments = Vec::new();
        let mut end = 0;
        for (action, offset, count, place) in neighbours {
            let rows_each = rows_each(action.codes.len(), code_rows);
            let start = end;
            end += count * rows_each;
            segments.push(Segment {
                end,
                start,
                rows_each,
                offset,
                place: Place {
                    line: self.lines,
                    ..place
                },
            });
            self.lines += rows_each as usize;
        }
        let seed = key(&[self.campaign.seed, shuffled_under]);
        let shuffle = Permutation::new(seed, end);
        self.parts.push(Part {
            first_row: self.len,
            shuffle,
            segments,
        });
        self.len += end;
    }

    fn add_listed(&mut self, listed: &[Listed], channel: u64, code_rows: CodeRows) {
        for (index, customer) in listed.iter().enumerate() {
            let Some(action) = customer.action else {
                continue;
            };
            let placements = &self.campaign.actions[action].placements;
            for placement in &customer.placements {
                if placements[*placement].channel == channel {
                    self.add_entry(index, customer, Place::of(action, *placement), code_rows);
                }
            }
        }
    }

    /// The entries of a list that any channel reaches.
    fn add_entries(&mut self, listed: &[Listed], code_rows: CodeRows) {
        for (index, customer) in listed.iter().enumerate() {
            if let (Some(action), Some(placement)) = (customer.action, customer.placements.first())
            {
                self.add_entry(index, customer, Place::of(action, *placement), code_rows);
            }
        }
    }

    fn add_entry(&mut self, index: usize, customer: &Listed, place: Place, code_rows: CodeRows) {
        let place = Place {
            unit: customer.unit,
            listed: index,
            ..place
        };
        let of_action = &self.campaign.actions[place.action].codes;
        let codes = customer.codes.as_ref().unwrap_or(of_action).len();
        for code in 0..rows_each(codes, code_rows) {
            // Lines are for what many rows share; a row of a list is written by itself.
            let place = place.with_code(code, code_rows, codes);
            self.listed.push(Place { line: 0, ..place });
        }
        self.len = self.listed.len() as u64;
    }

    fn counted_at(&self, index: u64) -> Place {
        let next = self.parts.partition_point(|part| part.first_row <= index);
        // Channels without rows share their first row with the next one; the last of them has it.
        let part = &self.parts[next - 1];
        let row = part.shuffle.at(index - part.first_row);
        let segment = &part.segments[part.segments.partition_point(|segment| segment.end <= row)];
        let (nth, code) = (
            (row - segment.start) / segment.rows_each,
            (row - segment.start) % segment.rows_each,
        );
        let action = &self.campaign.actions[segment.place.action];
        let unit = action.slice.start + (segment.offset + nth) % action.len();
        let code_rows = if segment.rows_each > 1 {
            CodeRows::Each
        } else {
            CodeRows::Together
        };
        let place = segment.place.with_code(code, code_rows, action.codes.len());
        Place { unit, ..place }
    }
}

impl Place {
    /// The rows of an action on one of its channels.
    fn of(action: usize, placement: usize) -> Self {
        Self {
            action,
            placement,
            unit: 0,
            listed: 0,
            code: None,
            line: 0,
        }
    }

    fn with_code(self, code: u64, code_rows: CodeRows, codes: usize) -> Self {
        let single = code_rows == CodeRows::Each && codes > 1;
        Self {
            code: single.then_some(code as usize),
            line: self.line + code as usize,
            ..self
        }
    }
}

fn rows_each(codes: usize, code_rows: CodeRows) -> u64 {
    match code_rows {
        CodeRows::Together => 1,
        CodeRows::Each => codes.max(1) as u64,
    }
}

/// The actions that use a channel, with where they do.
fn placements_on(
    campaign: &Campaign,
    channel: u64,
) -> impl Iterator<Item = (&Action, &Placement, Place)> {
    campaign
        .actions
        .iter()
        .enumerate()
        .flat_map(move |(index, action)| {
            let placements = action.placements.iter().enumerate();
            placements
                .filter(move |(_, placement)| placement.channel == channel)
                .map(move |(number, placement)| (action, placement, Place::of(index, number)))
        })
}
