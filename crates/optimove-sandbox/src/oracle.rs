//! The oracle: who should hold which promotion, and from when to when.
//!
//! It is written from the rules alone and shares no code with any system under test:
//!
//! - one grant per customer and distinct code, codes compared without letter case;
//! - it starts at the schedule time plus the lead time and ends the duration later, both counted
//!   in calendar days on the wall clock of the tenant's zone, and each turned into an instant by
//!   itself; a duration of 0 ends with the local day of the start;
//! - over several rows of one customer and code: the earliest start and the latest end;
//! - of a conditional campaign: only customers whose last report in time was true;
//! - nothing for the control group, for a campaign not executed yet, or for a cancelled one.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::campaign::{Audience, Campaign, Listed};
use crate::scope::Scope;
use crate::switch::TimeFormat;
use crate::window::window;

/// One customer who should hold one promotion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The customer's id, as sent.
    pub customer_id: String,
    /// The promo code in its first spelling.
    pub promo_code: String,
    /// First instant at which the promotion can be used.
    pub starts_at: Timestamp,
    /// First instant at which it can no longer be used.
    pub ends_at: Timestamp,
}

impl Expectation {
    /// Appends the expectation as one line of JSON; `ends_at` and `starts_at` are in UTC with `Z`.
    pub(crate) fn write_line(&self, out: &mut Vec<u8>) {
        let texts = [
            (&b"{\"customer_id\":"[..], &self.customer_id),
            (b",\"promo_code\":", &self.promo_code),
            (b",\"starts_at\":", &self.starts_at.to_string()),
            (b",\"ends_at\":", &self.ends_at.to_string()),
        ];
        for (name, text) in texts {
            out.extend_from_slice(name);
            crate::write::text(out, text);
        }
        out.extend_from_slice(b"}\n");
    }
}

/// From the first instant up to, not including, the second.
type Window = (Timestamp, Timestamp);

/// Everyone who should hold a grant of one campaign, one at a time.
///
/// A counted audience is computed as it is asked for, so ten million customers take no memory.
pub struct Expected {
    campaign: Arc<Campaign>,
    scope: Scope,
    /// Windows by send group, action and placement.
    windows: Vec<Vec<Vec<Window>>>,
    /// Distinct codes by action.
    codes: Vec<Vec<String>>,
    /// The next position of a counted audience.
    position: u64,
    /// What is computed and not yet handed out, last first.
    ready: Vec<Expectation>,
}

impl Expected {
    /// Everyone in `scope`.
    pub(crate) fn of(
        campaign: Arc<Campaign>,
        scope: Scope,
        format: TimeFormat,
    ) -> Result<Self, jiff::Error> {
        let groups = scope.shifts().map(|later| {
            let actions = campaign.actions.iter().map(|action| {
                let placements = action.placements.iter();
                let windows = placements.map(|placement| {
                    window(
                        Campaign::schedule(placement, None, later),
                        &campaign,
                        format,
                    )
                });
                windows.collect()
            });
            actions.collect()
        });
        let windows = groups.collect::<Result<_, _>>()?;
        let codes = campaign
            .actions
            .iter()
            .map(|action| distinct(&action.codes));
        let codes = codes.collect();
        let mut ready = Vec::new();
        if let Audience::Listed(listed) = &campaign.audience {
            ready = expect_listed(&campaign, listed, &scope, format)?;
            ready.reverse();
        }
        let position = if scope.is_empty() {
            campaign.counted()
        } else {
            campaign.control
        };
        Ok(Self {
            campaign,
            scope,
            windows,
            codes,
            position,
            ready,
        })
    }

    /// What the customer at `position` should hold, last code first.
    fn at(&self, position: u64) -> Vec<Expectation> {
        let Some((index, action)) = self.campaign.action_at(position) else {
            return Vec::new();
        };
        if !self.scope.holds(position) {
            return Vec::new();
        }
        let local = position - action.slice.start;
        let windows = &self.windows[self.scope.group_of(position)][index];
        let reached = action.placements.iter().zip(windows);
        let reached = reached.filter(|(placement, _)| placement.reaches(local, action.len()));
        let Some((starts_at, ends_at)) = reached.map(|(_, window)| *window).reduce(union) else {
            return Vec::new();
        };
        let customer_id = self.campaign.customer_id(position);
        let codes = self.codes[index].iter().rev();
        let expectation = |code: &String| Expectation {
            customer_id: customer_id.clone(),
            promo_code: code.clone(),
            starts_at,
            ends_at,
        };
        codes.map(expectation).collect()
    }
}

impl Iterator for Expected {
    type Item = Expectation;

    fn next(&mut self) -> Option<Expectation> {
        while self.ready.is_empty() && self.position < self.campaign.counted() {
            self.ready = self.at(self.position);
            self.position += 1;
        }
        self.ready.pop()
    }
}

/// What the customers of a list should hold, in the order of the list.
fn expect_listed(
    campaign: &Campaign,
    listed: &[Listed],
    scope: &Scope,
    format: TimeFormat,
) -> Result<Vec<Expectation>, jiff::Error> {
    let mut expected: Vec<Expectation> = Vec::new();
    let mut places: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for entry in listed.iter().filter(|entry| scope.holds(entry.unit)) {
        let Some(action) = entry.action.map(|index| &campaign.actions[index]) else {
            continue;
        };
        let codes = entry.codes.as_ref().unwrap_or(&action.codes);
        for placement in entry
            .placements
            .iter()
            .map(|index| &action.placements[*index])
        {
            let later = scope.later(entry.unit);
            let schedule = Campaign::schedule(placement, Some(entry), later);
            let (starts_at, ends_at) = window(schedule, campaign, format)?;
            for code in distinct(codes) {
                let place = *places
                    .entry((&entry.id, code.to_lowercase()))
                    .or_insert_with(|| {
                        expected.push(Expectation {
                            customer_id: entry.id.clone(),
                            promo_code: code,
                            starts_at,
                            ends_at,
                        });
                        expected.len() - 1
                    });
                let known = &mut expected[place];
                (known.starts_at, known.ends_at) =
                    union((known.starts_at, known.ends_at), (starts_at, ends_at));
            }
        }
    }
    Ok(expected)
}

/// The span from the earlier start to the later end.
fn union(one: Window, other: Window) -> Window {
    (one.0.min(other.0), one.1.max(other.1))
}

/// The codes without repeats, compared without case, first spelling kept.
pub(crate) fn distinct(codes: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for code in codes {
        let lower = code.to_lowercase();
        if !kept.iter().any(|known| known.to_lowercase() == lower) {
            kept.push(code.clone());
        }
    }
    kept
}
