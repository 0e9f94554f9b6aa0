//! Triggered campaigns: what the triggers that were heard come to, worked out from their bodies alone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};
use serde_json::Value;

use super::audit::Counts;
use super::model::{CodePlan, DAYS_DEFAULT, Known};
use super::notes::{Note, field};
use super::run::Wrong;
use super::seen::Seen;
use super::stage::Stage;

/// Of a time that comes twice, which one.
#[derive(Clone, Copy)]
enum Edge {
    Start,
    End,
}

/// A grant that a trigger asks for: customer, folded code, start and end in milliseconds.
type Wanted = (String, String, i64, i64);

/// What the triggers of a campaign ask for and what was given, each with how often.
pub(super) struct Asked {
    wanted: BTreeMap<Wanted, u64>,
    given: BTreeMap<Wanted, u64>,
}

impl Stage<'_> {
    /// Whatever a triggered campaign gave, a trigger that was heard asks for, each of its codes once.
    pub(super) fn triggered(
        &self,
        campaign: usize,
        ledger: &[Seen],
        counts: &Counts,
    ) -> Result<Asked, Wrong> {
        let (wanted, pairs) = self.wanted(campaign)?;
        let mut given: BTreeMap<Wanted, u64> = BTreeMap::new();
        for grant in ledger {
            let end = grant
                .ends_at
                .ok_or_else(|| format!("{grant:?} never ends"))?;
            let key = (
                grant.customer.clone(),
                grant.code.clone(),
                grant.starts_at,
                end,
            );
            *given.entry(key).or_default() += 1;
        }
        for (key, number) in &given {
            let asked = wanted.get(key).copied().unwrap_or_default();
            if *number > asked {
                return Err(format!(
                    "{key:?} is granted {number} times, asked for {asked} times"
                ));
            }
            if self
                .code(&key.1)
                .is_none_or(|plan| plan.known == Known::Never)
            {
                return Err(format!("{key:?} is granted, and nobody knows the code"));
            }
        }
        if counts.pairs != pairs {
            return Err(format!("{} pairs counted, {pairs} there are", counts.pairs));
        }
        Ok(Asked { wanted, given })
    }

    /// Where a campaign was not stopped, everybody has what a trigger asked for, unless a rule is against it.
    pub(super) fn all_triggered(
        &self,
        campaign: usize,
        asked: &Asked,
        counts: &Counts,
    ) -> Result<(), Wrong> {
        let tenant = self.tenant_of(campaign);
        for (key, asked_for) in &asked.wanted {
            let number = asked.given.get(key).copied().unwrap_or_default();
            let plan = self.code(&key.1);
            let is_free = plan.is_some_and(|plan| plan.known != Known::Never && plan.is_for_all());
            let is_excluded = self.excluded.contains(&(tenant, key.0.clone()));
            if is_free && !is_excluded && number != *asked_for {
                return Err(format!(
                    "{key:?} is granted {number} times, asked for {asked_for} times"
                ));
            }
        }
        self.only_reasons(campaign, counts)
    }

    /// What holds or refuses pairs of a triggered campaign is something that is in the world.
    fn only_reasons(&self, campaign: usize, counts: &Counts) -> Result<(), Wrong> {
        let tenant = self.tenant_of(campaign);
        let has_limits = self
            .history
            .world
            .codes
            .iter()
            .any(|code| !code.is_for_all());
        let has_excluded = self.excluded.iter().any(|(of, _)| *of == tenant);
        for (reason, number) in counts.held.iter().chain(&counts.refused) {
            let may_be = match reason.as_str() {
                "unknown_code" | "visitor" => true,
                "limit_reached" => has_limits,
                "excluded" => has_excluded,
                _ => false,
            };
            if !may_be {
                return Err(format!("{number} pairs are {reason}"));
            }
        }
        Ok(())
    }

    /// Grants that the triggers of a campaign ask for, each with how often, and their pairs, those of visitors included.
    fn wanted(&self, campaign: usize) -> Result<(BTreeMap<Wanted, u64>, u64), Wrong> {
        let zone = self.history.world.tenants[self.tenant_of(campaign)].zone;
        let zone = TimeZone::get(zone).map_err(|e| e.to_string())?;
        let notes = self.notes.get(&campaign).map_or(&[][..], Vec::as_slice);
        let heard = notes.iter().filter(|note| self.heard.contains(note));
        let (mut wanted, mut pairs) = (BTreeMap::new(), 0);
        for note in heard {
            let codes = codes(note);
            pairs += codes.len() as u64;
            if field(&note.body, "isVisitor") == Some(&Value::Bool(true)) {
                continue;
            }
            for code in codes {
                let key = self.window(note, &code, &zone)?;
                *wanted.entry(key).or_default() += 1;
            }
        }
        Ok((wanted, pairs))
    }

    fn window(&self, note: &Note, code: &str, zone: &TimeZone) -> Result<Wanted, Wrong> {
        let text = |name: &str| {
            field(&note.body, name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let wall: DateTime = text("timeStamp")
            .parse()
            .map_err(|e| format!("{note:?}: {e}"))?;
        let validity = self.code(code).and_then(|plan| plan.validity);
        let days = days_in(text("notes"))
            .or(validity.map(i64::from))
            .unwrap_or(i64::from(DAYS_DEFAULT));
        let start = shown(wall, zone, Edge::Start);
        let end = match days {
            0 => zone
                .to_datetime(start)
                .date()
                .tomorrow()
                .map(|day| day.to_datetime(Time::midnight())),
            days => wall.checked_add(days.days()),
        };
        let end = shown(end.map_err(|e| e.to_string())?, zone, Edge::End);
        let customer = text("customerID").to_owned();
        Ok((
            customer,
            code.to_owned(),
            start.as_millisecond(),
            end.as_millisecond(),
        ))
    }

    fn code(&self, fold: &str) -> Option<&CodePlan> {
        let mut codes = self.history.world.codes.iter();
        codes.find(|plan| plan.code.to_lowercase() == fold)
    }

    /// Limits hold over all campaigns that are asked before they give: never more at once for a customer, never more
    /// in all.
    pub(super) fn within_limits(
        &self,
        ledgers: &[Vec<Seen>],
        asked: &[usize],
    ) -> Result<(), Wrong> {
        for plan in &self.history.world.codes {
            let fold = plan.code.to_lowercase();
            for tenant in 0..self.history.world.tenants.len() {
                let grants: Vec<&Seen> = asked
                    .iter()
                    .filter(|campaign| self.tenant_of(**campaign) == tenant)
                    .flat_map(|campaign| &ledgers[*campaign])
                    .filter(|grant| grant.code == fold)
                    .collect();
                if plan.total.is_some_and(|total| grants.len() as u64 > total) {
                    return Err(format!("{} grants of {plan:?}", grants.len()));
                }
            }
        }
        Ok(())
    }
}

/// The distinct codes of a trigger, folded.
fn codes(note: &Note) -> BTreeSet<String> {
    let texts = match field(&note.body, "promoCode") {
        Some(Value::String(text)) => match serde_json::from_str(text) {
            Ok(Value::Array(texts)) => texts,
            _ => text.split(',').map(Value::from).collect(),
        },
        Some(Value::Array(texts)) => texts.clone(),
        _ => Vec::new(),
    };
    let texts = texts.iter().filter_map(Value::as_str);
    let codes = texts.map(|text| text.trim().to_lowercase());
    codes.filter(|code| !code.is_empty()).collect()
}

fn days_in(notes: &str) -> Option<i64> {
    let notes: Value = serde_json::from_str(notes).ok()?;
    notes["duration"].as_i64()
}

/// When the clocks of a zone show a time; where they skip it, when they jump.
fn shown(wall: DateTime, zone: &TimeZone, edge: Edge) -> Timestamp {
    let ambiguous = zone.to_ambiguous_timestamp(wall);
    let shown = match (ambiguous.offset(), edge) {
        (AmbiguousOffset::Unambiguous { offset }, _)
        | (AmbiguousOffset::Fold { before: offset, .. }, Edge::Start)
        | (AmbiguousOffset::Fold { after: offset, .. }, Edge::End) => offset.to_timestamp(wall),
        (AmbiguousOffset::Gap { after, .. }, _) => {
            // Read by the clocks after the jump it lies before the jump.
            let before = after.to_timestamp(wall).expect("within the calendar");
            let jump = zone.following(before).next().expect("the clocks jump here");
            return jump.timestamp();
        }
    };
    shown.expect("within the calendar")
}
