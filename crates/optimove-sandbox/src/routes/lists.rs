//! A list of customers, of one campaign or of several, and its pages.

use std::sync::Arc;

use jiff::civil::Date;

use super::Call;
use super::row_writer::{Attributes, RowWriter};
use crate::answer::{Refusal, Reply};
use crate::campaign::Campaign;
use crate::paging::Page;
use crate::rows::{CodeRows, Rows, RowsOf};
use crate::scope::Scope;
use crate::selection::Selection;
use crate::switch::{PromoCodes, Switches};
use crate::world::ListName;

/// Bytes set aside for one row when a page begins, ...
const ROW_BYTES_GUESS: u64 = 192;
/// ... and for a page at most; a longer one grows as it is written.
const PAGE_BYTES_GUESS_MAX: u64 = 64 * 1024 * 1024;

/// What a row says of a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    /// What is sent, where and when.
    Execution,
    /// What would be sent, and where.
    Processed,
    /// What is taken back.
    Cancelled,
    /// An action sent on the date, on each of its channels.
    Ended(Date),
    /// An action that runs from one date to another.
    Targeted(Date, Date),
}

impl Columns {
    /// Whether several codes can give several rows.
    fn code_rows(self, form: PromoCodes) -> CodeRows {
        match self {
            Self::Execution | Self::Processed | Self::Cancelled
                if form == PromoCodes::RowPerCode =>
            {
                CodeRows::Each
            }
            _ => CodeRows::Together,
        }
    }
}

/// A list as it was asked for.
pub(super) struct CustomerList<'a> {
    call: &'a Call<'a>,
    page: Page,
    name: ListName,
    attributes: Attributes,
}

/// The rows of one campaign in a list.
pub(super) struct Section<'a> {
    campaign: &'a Campaign,
    rows: Rows<'a>,
    /// The rows that count, where not all do.
    selection: Option<Arc<Selection>>,
    scope: Scope,
    columns: Columns,
}

impl<'a> CustomerList<'a> {
    /// The list that `of` chooses, and the page of it that the call asks for.
    pub(super) fn asked(call: &'a Call<'a>, of: String) -> Result<Self, Refusal> {
        Ok(Self {
            call,
            page: Page::asked(call.query, call.switches)?,
            name: ListName {
                tenant: call.tenant.to_owned(),
                function: call.function.name(),
                of,
            },
            attributes: Attributes::default(),
        })
    }

    /// With the customer attributes that the call asks for.
    pub(super) fn with_attributes(self) -> Result<Self, Refusal> {
        let attributes = Attributes::asked(self.call)?;
        Ok(Self { attributes, ..self })
    }

    /// The rows of a campaign's customers in `scope`.
    pub(super) fn section<'c>(
        &self,
        campaign: &'c Campaign,
        of: RowsOf,
        scope: Scope,
        columns: Columns,
    ) -> Section<'c> {
        let code_rows = columns.code_rows(self.call.switches.promo_codes);
        let rows = Rows::new(campaign, of, code_rows);
        let selection = (!scope.is_whole()).then(|| {
            let make = || {
                if scope.is_empty() {
                    return Selection::new(0, |_| false);
                }
                Selection::new(rows.len(), |row| scope.holds(rows.place_at(row).unit))
            };
            match scope.board() {
                Some(board) => board.selection((of, code_rows, scope.shares()), make),
                None => Arc::new(make()),
            }
        });
        Section {
            campaign,
            rows,
            selection,
            scope,
            columns,
        }
    }

    /// The page that was asked for, of the sections one after the other.
    pub(super) fn page(&self, sections: &[Section]) -> Reply {
        let switches = self.call.switches;
        let mut ends = Vec::with_capacity(sections.len());
        let mut len = 0;
        for section in sections {
            len += section.len();
            ends.push(len);
        }
        let shared = self.call.shared;
        let indexes = shared.page_order(&self.page, len, self.name.clone(), switches);
        let guess = self.page.len(len).saturating_mul(ROW_BYTES_GUESS);
        let mut json = Vec::with_capacity(guess.min(PAGE_BYTES_GUESS_MAX) as usize);
        json.push(b'[');
        let mut written = 0;
        let mut current: Option<(usize, Cursor, RowWriter)> = None;
        for index in indexes {
            if written > 0 {
                json.push(b',');
            }
            written += 1;
            let number = ends.partition_point(|end| *end <= index);
            let section = &sections[number];
            let (_, cursor, writer) = match &mut current {
                Some(known) if known.0 == number => known,
                current => {
                    let writer = section.writer(switches, &self.attributes);
                    current.insert((number, Cursor::default(), writer))
                }
            };
            let first = ends[number] - section.len();
            let row = cursor.row(section.selection.as_deref(), index - first);
            let (customer, place) = section.rows.at(row);
            writer.write(&mut json, customer, place);
        }
        json.push(b']');
        Reply::Rows(json, written)
    }
}

impl Section<'_> {
    fn len(&self) -> u64 {
        let selection = self.selection.as_ref();
        selection.map_or(self.rows.len(), |selection| selection.len())
    }

    fn writer<'w>(&'w self, switches: &'w Switches, attributes: &'w Attributes) -> RowWriter<'w> {
        RowWriter::new(
            (self.campaign, &self.scope),
            self.columns,
            switches,
            attributes,
            self.rows.lines(),
        )
    }
}

/// Where the last row was found, so that the next one need not be searched for.
#[derive(Default)]
struct Cursor(Option<(u64, u64)>);

impl Cursor {
    /// The row at a place among those that count.
    fn row(&mut self, selection: Option<&Selection>, place: u64) -> u64 {
        let Some(selection) = selection else {
            return place;
        };
        let next = self.0.filter(|(last, _)| last + 1 == place);
        let row = next.and_then(|(_, row)| selection.after(row));
        let row = row.unwrap_or_else(|| selection.at(place));
        self.0 = Some((place, row));
        row
    }
}
