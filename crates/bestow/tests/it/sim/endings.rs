//! Tenants whose grants end when Optimove lists them: on the day after so many days, by the list and not by a sum.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::model::Kind;
use super::run::Wrong;
use super::seen::Seen;
use super::stage::Stage;

impl Stage<'_> {
    /// Whether a campaign ends by the list.
    pub(super) fn is_by_the_list(&self, campaign: usize) -> bool {
        self.kind(campaign) == Kind::Scheduled && self.tenant(campaign).expiry != "duration"
    }

    /// The day on whose list a campaign is, from its first to its last instant; none of one that was not executed.
    async fn listed_on(&self, campaign: usize) -> Result<Option<(Timestamp, Timestamp)>, Wrong> {
        let stands = self.stands(campaign).await?;
        let Some(day) = stands["executed_on"].as_str() else {
            return Ok(None);
        };
        let days = &self.history.world.campaigns[campaign].spec["duration"];
        let days = days.as_i64().unwrap_or_default() + self.history.world.ended_offset;
        let zone = TimeZone::get(self.tenant(campaign).zone).map_err(|e| e.to_string())?;
        let first = |day: Date| day.to_zoned(zone.clone()).map(|at| at.timestamp());
        let day: Date = day.parse().map_err(|e| format!("{day}: {e}"))?;
        let day = day.checked_add(days.days()).map_err(|e| e.to_string())?;
        let next = day.tomorrow().map_err(|e| e.to_string())?;
        let both = first(day).and_then(|begin| Ok((begin, first(next)?)));
        both.map(Some).map_err(|e| e.to_string())
    }

    /// Whether the list that a campaign is on may still grow.
    pub(super) async fn may_be_listed(&self, campaign: usize) -> Result<bool, Wrong> {
        if !self.is_by_the_list(campaign) {
            return Ok(false);
        }
        let listed_on = self.listed_on(campaign).await?;
        let late = |(_, end): (Timestamp, Timestamp)| end + jiff::SignedDuration::from_hours(30);
        Ok(listed_on.is_some_and(|day| self.clock.now() < late(day)))
    }

    /// The ledger of a campaign as the oracle knows it: each grant ended on the day that listed it, and by its duration
    /// where that counts too and came first.
    pub(super) async fn ended(&self, campaign: usize, ledger: &[Seen]) -> Result<Vec<Seen>, Wrong> {
        let expected = self.expected(campaign)?;
        let Some((begin, end)) = self.listed_on(campaign).await? else {
            return Ok(ledger.to_vec());
        };
        let is_both = self.tenant(campaign).expiry == "both";
        let mut adjusted = ledger.to_vec();
        for grant in &mut adjusted {
            let (pair, _) = grant.holding();
            let Some((_, by_duration)) = expected.get(&pair) else {
                continue;
            };
            let (mut first, mut last) = (begin.as_millisecond(), end.as_millisecond());
            if let Some(by_duration) = by_duration.filter(|_| is_both) {
                (first, last) = (first.min(by_duration), last.min(by_duration));
            }
            if !grant.ends_at.is_some_and(|at| (first..=last).contains(&at)) {
                return Err(format!(
                    "{grant:?} is on the list of the day from {begin} to {end}"
                ));
            }
            grant.ends_at = *by_duration;
        }
        Ok(adjusted)
    }
}
