//! The oracle: who should hold which promotion, and from when to when.
//!
//! It is written from the rules alone and shares no code with any system under test:
//!
//! - one grant per customer and distinct code, codes compared without letter case;
//! - it starts at the schedule time plus the lead time and ends the duration later, both counted
//!   in calendar days on the wall clock of the tenant's zone, and each turned into an instant by
//!   itself; a duration of 0 ends with the local day of the start;
//! - over several rows of one customer and code: the earliest start and the latest end;
//! - nothing for the control group, for a campaign not executed yet, or for a cancelled one.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::{DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

use crate::campaign::{Audience, Campaign, Listed};
use crate::switch::TimeFormat;

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

/// The first instant at which the clocks of `zone` show `wall` or, where they skip it, what comes
/// after the skip. Of a time shown twice it is the earlier one.
pub(crate) fn first_shown(wall: DateTime, zone: &TimeZone) -> Result<Timestamp, jiff::Error> {
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall),
        AmbiguousOffset::Gap { before, after } => skip_end(wall, zone, before, after),
    }
}

/// As `first_shown`, but the later instant of a time shown twice.
pub(crate) fn last_shown(wall: DateTime, zone: &TimeZone) -> Result<Timestamp, jiff::Error> {
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Fold { after, .. } => after.to_timestamp(wall),
        _ => first_shown(wall, zone),
    }
}

/// The instant at which the clocks jump over `wall`.
fn skip_end(
    wall: DateTime,
    zone: &TimeZone,
    before: jiff::tz::Offset,
    after: jiff::tz::Offset,
) -> Result<Timestamp, jiff::Error> {
    // Read with the later offset, the skipped time lies before the jump.
    let earlier = after.to_timestamp(wall)?;
    match zone.following(earlier).find(|jump| jump.offset() == after) {
        Some(jump) => Ok(jump.timestamp()),
        None => before.to_timestamp(wall),
    }
}

/// When a promotion scheduled for `schedule` can be used: from the first instant up to, not
/// including, the second.
pub(crate) fn window(
    schedule: Timestamp,
    campaign: &Campaign,
    format: TimeFormat,
) -> Result<(Timestamp, Timestamp), jiff::Error> {
    let zone = &campaign.zone;
    let sent = read_back(schedule, zone, format)?;
    let start = zone
        .to_datetime(sent)
        .checked_add(campaign.lead_time_days.days())?;
    let starts_at = match campaign.lead_time_days {
        0 => sent,
        _ => first_shown(start, zone)?,
    };
    let end = match campaign.duration_days {
        // The day is that of the start as it really is, moved out of a skip or not.
        0 => zone
            .to_datetime(starts_at)
            .date()
            .tomorrow()?
            .to_datetime(Time::midnight()),
        days => start.checked_add(days.days())?,
    };
    Ok((starts_at, last_shown(end, zone)?))
}

/// The schedule time as a reader of the wire knows it: without an offset a time shown twice reads
/// as the earlier one, and the short format has no seconds.
fn read_back(
    schedule: Timestamp,
    zone: &TimeZone,
    format: TimeFormat,
) -> Result<Timestamp, jiff::Error> {
    let wall = zone.to_datetime(schedule);
    match format {
        TimeFormat::IsoOffset => Ok(schedule),
        TimeFormat::Space | TimeFormat::Iso => first_shown(wall, zone),
        TimeFormat::Minutes => first_shown(wall.with().second(0).build()?, zone),
    }
}

/// Everyone who should hold a grant of one campaign, one at a time.
///
/// A counted audience is computed as it is asked for, so ten million customers take no memory.
pub struct Expected {
    campaign: Arc<Campaign>,
    /// Windows by action and placement.
    windows: Vec<Vec<(Timestamp, Timestamp)>>,
    /// Distinct codes by action.
    codes: Vec<Vec<String>>,
    /// The next position of a counted audience.
    position: u64,
    /// What is computed and not yet handed out, last first.
    ready: Vec<Expectation>,
}

impl Expected {
    /// Nobody should hold anything.
    pub(crate) fn nobody(campaign: Arc<Campaign>) -> Self {
        let position = campaign.audience_size();
        Self {
            campaign,
            windows: Vec::new(),
            codes: Vec::new(),
            position,
            ready: Vec::new(),
        }
    }

    /// Everyone who was sent something.
    pub(crate) fn everyone(
        campaign: Arc<Campaign>,
        format: TimeFormat,
    ) -> Result<Self, jiff::Error> {
        let windows = campaign.actions.iter().map(|action| {
            let placements = action.placements.iter();
            placements
                .map(|placement| window(placement.schedule, &campaign, format))
                .collect()
        });
        let windows = windows.collect::<Result<_, _>>()?;
        let codes = campaign
            .actions
            .iter()
            .map(|action| distinct(&action.codes))
            .collect();
        let mut ready = Vec::new();
        if let Audience::Listed(listed) = &campaign.audience {
            ready = expect_listed(&campaign, listed, format)?;
            ready.reverse();
        }
        let position = campaign.control;
        Ok(Self {
            campaign,
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
        let local = position - action.slice.start;
        let reached = action.placements.iter().zip(&self.windows[index]);
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
    format: TimeFormat,
) -> Result<Vec<Expectation>, jiff::Error> {
    let mut expected: Vec<Expectation> = Vec::new();
    let mut places: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for entry in listed {
        let Some(action) = entry.action.map(|index| &campaign.actions[index]) else {
            continue;
        };
        let codes = entry.codes.as_ref().unwrap_or(&action.codes);
        for placement in entry
            .placements
            .iter()
            .map(|index| &action.placements[*index])
        {
            let schedule = entry.schedule.unwrap_or(placement.schedule);
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
fn union(one: (Timestamp, Timestamp), other: (Timestamp, Timestamp)) -> (Timestamp, Timestamp) {
    (one.0.min(other.0), one.1.max(other.1))
}

/// The codes without repeats, compared without case, first spelling kept.
fn distinct(codes: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for code in codes {
        let lower = code.to_lowercase();
        if !kept.iter().any(|known| known.to_lowercase() == lower) {
            kept.push(code.clone());
        }
    }
    kept
}
