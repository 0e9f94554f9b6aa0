//! A page of `GetCustomerExecutionDetailsByCampaign` or `GetProcessedCampaignCustomers` into landed entries.
//!
//! One reader serves a whole import: what repeats from row to row (code texts, schedule times) is worked out once.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bestow_core::code::codes_in_row;
use bestow_core::id::{ActionId, CustomerId};
use bestow_core::import::{Disposition, row_disposition};
use bestow_core::window::window_and_walls;
use bestow_core::{Duration, Expiry, HoldReason, LeadTime, ScheduleTime, Zone};
use bestow_store::block::{Entry, Landing};
use bestow_store::campaigns::{Walls, WindowSpec};
use bestow_store::imports::HeldRow;
use optimove::read::{Codes, ReadError};
use optimove::wire::{ExecutionRow, Page};

use crate::ingest::{kept_walls, mark, schedule_time};

/// Start, end, and what they were reckoned from.
type Times = (i64, Option<i64>, Walls);

/// Distinct code texts or schedule times remembered at once; beyond it the memory starts over.
const REMEMBERED_MAX: usize = 20_000;
/// Characters of a held row that are kept for a person to recognise it by.
const EXTRACT_CHARS_MAX: usize = 120;

/// What the windows of an import are made from.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The tenant's zone.
    pub zone: Zone,
    /// The campaign's lead time.
    pub lead: LeadTime,
    /// The campaign's duration, or the default that stands in.
    pub duration: Duration,
    /// What ends the tenant's grants.
    pub expiry: Expiry,
    /// Distinct codes that one row may carry.
    pub codes_max: usize,
    /// Stands in for the schedule time of every row: a clearance deadline, while nothing is scheduled yet.
    pub estimate: Option<ScheduleTime>,
}

/// A code of the campaign, first spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignCode {
    /// In lower case.
    pub fold: String,
    /// As spelled.
    pub spelling: String,
}

/// Reads the pages of one import.
#[derive(Debug)]
pub struct PageReader {
    terms: Terms,
    channel: i64,
    known: HashSet<String>,
    /// Codes met so far; an entry's offer is a place in this list, plus one.
    codes: Vec<CampaignCode>,
    code_places: HashMap<String, u32>,
    /// Windows met so far; an entry's window is a place in this list, plus one.
    windows: Vec<WindowSpec>,
    window_places: HashMap<WindowSpec, u32>,
    texts: HashMap<String, Arc<RowPairs>>,
    times: HashMap<String, Option<Times>>,
}

/// The pairs of one row: offers to be granted and marks of what is held.
#[derive(Debug, Default)]
struct RowPairs {
    offers: Vec<u32>,
    held: Vec<u8>,
}

/// A page, read: entries whose offers and windows are places in the reader's lists.
#[derive(Debug, Default)]
pub struct ReadPage {
    /// Entries to be renumbered and packed.
    pub landing: Landing,
    /// Rows.
    pub rows: u64,
    /// Rows without a code.
    pub rows_without_code: u64,
    /// Pairs of customer and code.
    pub pairs: u64,
    /// Rows that name nobody.
    pub held: Vec<HeldRow>,
}

impl PageReader {
    /// A reader for one channel (0: every channel; below 0: a clearance round) of a campaign, with the codes that the
    /// catalogue knows.
    pub fn new(terms: Terms, channel: i64, known: HashSet<String>) -> Self {
        Self {
            terms,
            channel,
            known,
            codes: Vec::new(),
            code_places: HashMap::new(),
            windows: Vec::new(),
            window_places: HashMap::new(),
            texts: HashMap::new(),
            times: HashMap::new(),
        }
    }

    /// Codes met so far, in the order of their places.
    pub fn codes(&self) -> &[CampaignCode] {
        &self.codes
    }

    /// Windows met so far, in the order of their places.
    pub fn windows(&self) -> &[WindowSpec] {
        &self.windows
    }

    /// Reads a page whole.
    ///
    /// # Errors
    /// Where the body is no list of rows; nothing of it is to be used then.
    pub fn read(&mut self, page: &Page) -> Result<ReadPage, ReadError> {
        let mut read = ReadPage::default();
        page.for_each(|row| self.read_row(&mut read, &row))?;
        Ok(read)
    }

    fn read_row(&mut self, read: &mut ReadPage, row: &ExecutionRow<'_>) {
        let place = read.rows as u32;
        read.rows += 1;
        let pairs = self.pairs(&row.promo_code);
        let pair_count = pairs.offers.len() + pairs.held.len();
        read.pairs += pair_count as u64;
        read.rows_without_code += u64::from(pair_count == 0);
        let customer = row.customer_id.as_deref().map(CustomerId::check);
        let Some(Ok(customer)) = customer else {
            read.held.push(HeldRow {
                row: place,
                reason: HoldReason::BadCustomerId.as_str().to_owned(),
                pairs: pair_count as u32,
                extract: extract(row),
            });
            return;
        };
        let mut push = |offer, window, mark| {
            read.landing.push(Entry {
                customer,
                offer,
                window,
                mark,
                row: place,
            });
        };
        if pair_count == 0 {
            return push(0, 0, mark::NO_CODE);
        }
        if let Some(decided) = row_disposition(row.action_id.map(ActionId)) {
            let mark = mark::of(decided);
            pairs.offers.iter().for_each(|offer| push(*offer, 0, mark));
            pairs.held.iter().for_each(|_| push(0, 0, mark));
            return;
        }
        let (window, mark) = match self.window(row) {
            Some(window) => (window, mark::GRANT),
            None => (0, mark::of(Disposition::Held(HoldReason::BadScheduleTime))),
        };
        pairs
            .offers
            .iter()
            .for_each(|offer| push(*offer, window, mark));
        pairs.held.iter().for_each(|mark| push(0, 0, *mark));
    }

    fn pairs(&mut self, codes: &Codes<'_>) -> Arc<RowPairs> {
        let text = match codes {
            Codes::None => return Arc::default(),
            Codes::Unreadable(_) => {
                let mark = mark::of(Disposition::Held(HoldReason::BadCode));
                return Arc::new(RowPairs {
                    offers: Vec::new(),
                    held: vec![mark],
                });
            }
            Codes::One(text) => text,
            Codes::Many(texts) => {
                let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
                return Arc::new(self.split(&texts));
            }
        };
        if let Some(pairs) = self.texts.get(text.as_ref()) {
            return Arc::clone(pairs);
        }
        let pairs = Arc::new(self.split(&[text.as_ref()]));
        if self.texts.len() >= REMEMBERED_MAX {
            self.texts.clear();
        }
        self.texts
            .insert(text.clone().into_owned(), Arc::clone(&pairs));
        pairs
    }

    fn split(&mut self, texts: &[&str]) -> RowPairs {
        let known = &self.known;
        let codes_max = self.terms.codes_max;
        let row = codes_in_row(
            texts.iter().copied(),
            |fold| known.contains(fold),
            codes_max,
        );
        let offers = row
            .codes
            .iter()
            .map(|code| {
                if let Some(place) = self.code_places.get(code.fold()) {
                    return *place;
                }
                let new = CampaignCode {
                    fold: code.fold().to_owned(),
                    spelling: code.as_str().to_owned(),
                };
                self.codes.push(new);
                let place = self.codes.len() as u32;
                self.code_places.insert(code.fold().to_owned(), place);
                place
            })
            .collect();
        let held = row
            .held
            .iter()
            .map(|held| mark::of(Disposition::Held(held.reason)))
            .collect();
        RowPairs { offers, held }
    }

    fn window(&mut self, row: &ExecutionRow<'_>) -> Option<u32> {
        let text = match self.terms.estimate {
            Some(_) => "",
            None => row.schedule_time.as_deref()?,
        };
        let times = match self.times.get(text) {
            Some(times) => *times,
            None => self.work_out(text),
        };
        let (starts_at, ends_at, walls) = times?;
        let action = row.action_id.unwrap_or_default();
        let channel = row.channel_id.unwrap_or(self.channel.max(0));
        let spec = WindowSpec {
            starts_at,
            ends_at,
            action,
            channel,
            walls,
        };
        if let Some(place) = self.window_places.get(&spec) {
            return Some(*place);
        }
        self.windows.push(spec);
        let place = self.windows.len() as u32;
        self.window_places.insert(spec, place);
        Some(place)
    }

    fn work_out(&mut self, text: &str) -> Option<Times> {
        let Terms {
            zone,
            lead,
            duration,
            expiry,
            estimate,
            ..
        } = &self.terms;
        let times = estimate
            .or_else(|| schedule_time(text))
            .and_then(|schedule| window_and_walls(schedule, zone, *lead, *duration, *expiry).ok())
            .map(|(window, walls)| {
                (
                    window.starts_at.as_millisecond(),
                    window.ends_at.map(jiff::Timestamp::as_millisecond),
                    kept_walls(walls),
                )
            });
        if self.times.len() >= REMEMBERED_MAX {
            self.times.clear();
        }
        self.times.insert(text.to_owned(), times);
        times
    }
}

/// A short piece of a row that names nobody. It holds no customer id, since there is none to read.
fn extract(row: &ExecutionRow<'_>) -> String {
    let codes: Vec<&str> = row.promo_code.texts().collect();
    let text = format!(
        "action {}, template {}, codes {}",
        row.action_id
            .map_or(Cow::Borrowed("-"), |id| id.to_string().into()),
        row.template_id.as_deref().unwrap_or("-"),
        codes.join(",")
    );
    text.chars().take(EXTRACT_CHARS_MAX).collect()
}
