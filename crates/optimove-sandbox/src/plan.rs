//! How a campaign is made from what the control API was told.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::campaign::{
    Action, Asking, Audience, CONTROL_ACTION_ID, Campaign, DRAWN_PLACES, Kind, Listed, Placement,
    distinct_ids,
};
use crate::id::CampaignId;
use crate::random::{Permutation, key, text_key};
use crate::spec::{AudienceSpec, CustomerSpec, KindSpec, Spec};
use crate::window::first_shown;

mod actions;

use actions::{actions, share_of};

/// Largest counted audience.
const AUDIENCE_COUNT_MAX: u64 = 1_000_000_000;
/// Longest duration and lead time, in days.
pub(crate) const DAYS_MAX: i32 = 36_500;

/// What a campaign has to know of its tenant and its world.
pub(crate) struct Surroundings<'a> {
    pub(crate) zone: &'a TimeZone,
    pub(crate) channels: Vec<u64>,
    pub(crate) seed: u64,
    pub(crate) now: Timestamp,
}

impl Campaign {
    /// Builds the campaign that `spec` describes, or says what is wrong with it.
    pub(crate) fn build(spec: Spec, id: CampaignId, around: &Surroundings) -> Result<Self, String> {
        let kind = kind(&spec, &id)?;
        if !(0.0..=1.0).contains(&spec.control_share) {
            return Err("control_share is a number from 0 to 1".into());
        }
        let scheduled_at = match &spec.scheduled_at {
            Some(text) => instant(text, around.zone)?,
            None => whole_minute(around.now),
        };
        let audience = match (kind, spec.audience) {
            (Kind::Triggered(_), None) => AudienceSpec::default(),
            (Kind::Triggered(_), Some(_)) => {
                return Err("a triggered campaign has no audience: triggers name customers".into());
            }
            (_, audience) => audience.ok_or("an audience is needed")?,
        };
        let counted = match kind {
            Kind::Triggered(_) => DRAWN_PLACES,
            Kind::Scheduled | Kind::Conditional => counted_size(&audience)?,
        };
        let control = share_of(counted, spec.control_share);
        let seed = key(&[around.seed, text_key(&spec.tenant), id_key(&id)]);
        let mut campaign = Self {
            series: spec.series_id.unwrap_or_else(|| id.clone()),
            id,
            kind,
            tenant: spec.tenant,
            zone: around.zone.clone(),
            seed,
            target_group_id: spec.target_group_id,
            scheduled_at,
            time_is_chosen: spec.scheduled_at.is_some(),
            duration_days: days("duration", spec.duration)?,
            lead_time_days: days("lead_time", spec.lead_time)?,
            notes: spec.notes,
            tags: spec.tags,
            actions: actions(
                spec.actions,
                control..counted,
                scheduled_at,
                &around.channels,
            )?,
            audience: Audience::Counted {
                count: 0,
                prefix: String::new(),
            },
            control,
            shuffle: Permutation::new(seed, counted),
        };
        if let Kind::Triggered(_) = kind {
            campaign.control = 0;
            return one_channel_each(campaign);
        }
        campaign.audience = match audience {
            AudienceSpec {
                customers: Some(customers),
                ..
            } => {
                let listed = campaign.list(customers)?;
                campaign.control = distinct_ids(listed.iter().filter(|one| one.action.is_none()));
                Audience::Listed(listed)
            }
            AudienceSpec { prefix, .. } => Audience::Counted {
                count: counted,
                prefix,
            },
        };
        Ok(campaign)
    }

    /// Gives every listed customer an action and channels, drawn where the list does not say.
    fn list(&self, customers: Vec<CustomerSpec>) -> Result<Vec<Listed>, String> {
        let mut position = 0;
        let mut listed: Vec<Listed> = Vec::with_capacity(customers.len());
        let mut units = HashMap::new();
        for (index, customer) in customers.into_iter().enumerate() {
            let unit = *units.entry(customer.id.clone()).or_insert(index as u64);
            let drawn = customer.action.is_none().then(|| {
                position += 1;
                self.shuffle.at(position - 1)
            });
            let one = self.list_one(customer, drawn)?;
            listed.push(Listed { unit, ..one });
        }
        Ok(listed)
    }

    fn list_one(&self, customer: CustomerSpec, drawn: Option<u64>) -> Result<Listed, String> {
        if customer.id.is_empty() {
            return Err("a customer needs an id that is not empty".into());
        }
        let action = match (customer.action, drawn) {
            (Some(CONTROL_ACTION_ID), _) => None,
            (Some(id), _) => {
                let found = self.actions.iter().position(|action| action.id == id);
                Some(found.ok_or_else(|| format!("the campaign has no action {id}"))?)
            }
            (None, drawn) => drawn
                .and_then(|position| self.action_at(position))
                .map(|(index, _)| index),
        };
        let placements = match action.map(|index| &self.actions[index]) {
            None => Vec::new(),
            Some(action) => placements_of(action, customer.channels.as_deref(), drawn)?,
        };
        Ok(Listed {
            id: customer.id,
            unit: 0,
            action,
            placements,
            schedule: customer
                .schedule_time
                .map(|text| instant(&text, &self.zone))
                .transpose()?,
            codes: customer.promo_code.as_deref().map(split_codes),
            promo_text: customer.promo_code,
        })
    }
}

/// How the campaign runs, if the rest of `spec` fits that.
fn kind(spec: &Spec, id: &CampaignId) -> Result<Kind, String> {
    let triggered = spec.kind == KindSpec::Triggered;
    if !triggered && id.number().is_none() {
        return Err("only a triggered campaign has an id that is not a number".into());
    }
    if !triggered && spec.conditional {
        return Err("conditional is for triggered campaigns; others say it with their kind".into());
    }
    let ids = [Some(id), spec.series_id.as_ref()];
    if let Some(odd) = ids.into_iter().flatten().find(|id| !id.is_plain()) {
        return Err(format!(
            "an id has 1 to 64 letters, digits, hyphens, underscores and dots, unlike {odd:?}"
        ));
    }
    Ok(match (spec.kind, spec.conditional) {
        (KindSpec::Scheduled, _) => Kind::Scheduled,
        (KindSpec::Conditional, _) => Kind::Conditional,
        (KindSpec::Triggered, false) => Kind::Triggered(Asking::Never),
        (KindSpec::Triggered, true) => Kind::Triggered(Asking::First),
    })
}

/// A trigger sends one notification, so an action of a triggered campaign has one channel.
fn one_channel_each(campaign: Campaign) -> Result<Campaign, String> {
    match campaign
        .actions
        .iter()
        .find(|action| action.placements.len() != 1)
    {
        Some(action) => Err(format!(
            "action {} of a triggered campaign needs exactly one of the channels",
            action.id
        )),
        None => Ok(campaign),
    }
}

fn id_key(id: &CampaignId) -> u64 {
    match id {
        CampaignId::Number(number) => *number,
        CampaignId::Text(text) => text_key(&text.to_ascii_lowercase()),
    }
}

/// The placements of an action that reach a listed customer.
fn placements_of(
    action: &Action,
    channels: Option<&[u64]>,
    drawn: Option<u64>,
) -> Result<Vec<usize>, String> {
    let placements = action.placements.iter().enumerate();
    if let Some(channels) = channels {
        let find = |channel: &u64| {
            let found = action
                .placements
                .iter()
                .position(|place| place.channel == *channel);
            found.ok_or_else(|| format!("action {} has no channel {channel}", action.id))
        };
        return channels.iter().map(find).collect();
    }
    let reaches = |placement: &Placement| {
        drawn.is_none_or(|at| placement.reaches(at - action.slice.start, action.len()))
    };
    Ok(placements
        .filter(|(_, place)| reaches(place))
        .map(|(index, _)| index)
        .collect())
}
/// Customers to share out: all of a counted audience, the undecided ones of a list.
fn counted_size(audience: &AudienceSpec) -> Result<u64, String> {
    match (&audience.customers, audience.count) {
        (Some(customers), None) => Ok(customers
            .iter()
            .filter(|customer| customer.action.is_none())
            .count() as u64),
        (None, Some(count)) if count <= AUDIENCE_COUNT_MAX => Ok(count),
        (None, Some(_)) => Err(format!("count is at most {AUDIENCE_COUNT_MAX}")),
        _ => Err("audience takes either count and prefix, or customers".into()),
    }
}

fn days(name: &str, days: i32) -> Result<i32, String> {
    match days {
        0..=DAYS_MAX => Ok(days),
        _ => Err(format!("{name} is a number of days from 0 to {DAYS_MAX}")),
    }
}

/// Codes out of the text of a row: split on commas, trimmed, blanks dropped.
fn split_codes(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|code| !code.is_empty())
        .map(str::to_owned)
        .collect()
}

/// An instant from RFC 3339, or from local text in the zone; whole seconds.
fn instant(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let instant = text.parse::<Timestamp>().ok().or_else(|| {
        let local = text.parse::<DateTime>().ok()?;
        first_shown(local, zone).ok()
    });
    let instant = instant.and_then(|instant| Timestamp::from_second(instant.as_second()).ok());
    instant.ok_or_else(|| format!("{text:?} is neither RFC 3339 nor a local date and time"))
}

pub(crate) fn whole_minute(instant: Timestamp) -> Timestamp {
    let second = instant.as_second();
    Timestamp::from_second(second - second.rem_euclid(60)).unwrap_or(instant)
}
