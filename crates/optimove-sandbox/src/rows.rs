//! Which row stands at which place of a list of executed customers.
//!
//! The rows of a channel are shuffled once more, so that actions are mixed; a row is found by
//! computing, whatever its place.

use crate::campaign::{Action, Audience, Campaign, Listed, Placement};
use crate::random::{Permutation, key};

/// How a row is counted when a customer has several codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeRows {
    /// All codes of a customer in one row.
    Together,
    /// One row for each code.
    Each,
}

/// The rows of one campaign on one channel or on all, in their stable order.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    campaign: &'a Campaign,
    parts: Vec<Part>,
    listed: Vec<Place>,
    len: u64,
    lines: usize,
}

/// The rows of one channel of a counted audience.
#[derive(Debug)]
struct Part {
    first_row: u64,
    shuffle: Permutation,
    segments: Vec<Segment>,
}

/// The rows of one action on that channel, before the shuffle.
#[derive(Debug)]
struct Segment {
    end: u64,
    start: u64,
    rows_each: u64,
    place: Place,
}

/// Where the facts of a row are found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) action: usize,
    pub(crate) placement: usize,
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
    /// The rows on `channel`, or on all channels, one after the other.
    pub(crate) fn new(campaign: &'a Campaign, channel: Option<u64>, code_rows: CodeRows) -> Self {
        let mut rows = Self {
            campaign,
            parts: Vec::new(),
            listed: Vec::new(),
            len: 0,
            lines: 0,
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
        match &self.campaign.audience {
            Audience::Counted { .. } => {
                let (number, place) = self.counted_at(index);
                (Customer::Counted(number), place)
            }
            Audience::Listed(listed) => {
                let place = self.listed[index as usize];
                (Customer::Listed(&listed[place.listed]), place)
            }
        }
    }

    fn add_counted(&mut self, channel: u64, code_rows: CodeRows) {
        let mut segments = Vec::new();
        let mut end = 0;
        for (action, placement, place) in placements_on(self.campaign, channel) {
            let rows_each = rows_each(action.codes.len(), code_rows);
            let start = end;
            end += placement.count * rows_each;
            segments.push(Segment {
                end,
                start,
                rows_each,
                place: Place {
                    line: self.lines,
                    ..place
                },
            });
            self.lines += rows_each as usize;
        }
        let seed = key(&[self.campaign.seed, channel]);
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
            let codes = customer
                .codes
                .as_ref()
                .unwrap_or(&self.campaign.actions[action].codes);
            for placement in &customer.placements {
                if placements[*placement].channel != channel {
                    continue;
                }
                for code in 0..rows_each(codes.len(), code_rows) {
                    let place = Place {
                        action,
                        placement: *placement,
                        listed: index,
                        code: None,
                        line: 0,
                    };
                    self.listed
                        .push(place.with_code(code, code_rows, codes.len()));
                }
            }
        }
        self.len = self.listed.len() as u64;
    }

    fn counted_at(&self, index: u64) -> (u64, Place) {
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
        let placement = &action.placements[segment.place.placement];
        let position = action.slice.start + (placement.offset + nth) % action.len();
        let code_rows = if segment.rows_each > 1 {
            CodeRows::Each
        } else {
            CodeRows::Together
        };
        let place = segment.place.with_code(code, code_rows, action.codes.len());
        (self.campaign.customer_number(position), place)
    }
}

impl Place {
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
                .map(move |(number, placement)| {
                    let place = Place {
                        action: index,
                        placement: number,
                        listed: 0,
                        code: None,
                        line: 0,
                    };
                    (action, placement, place)
                })
        })
}
