//! How a campaign is made from what the control API was told.

use std::collections::BTreeSet;
use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::campaign::{
    Action, Audience, CONTROL_ACTION_ID, Campaign, Listed, Placement, distinct_ids,
};
use crate::oracle::first_shown;
use crate::random::{Permutation, key, text_key};
use crate::spec::{ActionSpec, AudienceSpec, ChannelSpec, CustomerSpec, Spec};

/// Largest counted audience.
const AUDIENCE_COUNT_MAX: u64 = 1_000_000_000;
/// Most actions in a campaign, channels in an action, codes in an action.
const PARTS_MAX: usize = 100;
/// Longest duration and lead time, in days.
const DAYS_MAX: i32 = 36_500;
/// Longest delay of a channel, in minutes.
const DELAY_MINUTES_MAX: i64 = 60 * 24 * 366;

/// What a campaign has to know of its tenant and its world.
pub(crate) struct Surroundings<'a> {
    pub(crate) zone: &'a TimeZone,
    pub(crate) channels: Vec<u64>,
    pub(crate) seed: u64,
    pub(crate) now: Timestamp,
}

impl Campaign {
    /// Builds the campaign that `spec` describes, or says what is wrong with it.
    pub(crate) fn build(spec: Spec, id: u64, around: &Surroundings) -> Result<Self, String> {
        if spec.kind != "scheduled" {
            return Err(format!(
                "campaigns of kind \"{}\" are not played yet, only \"scheduled\" ones",
                spec.kind
            ));
        }
        if !(0.0..=1.0).contains(&spec.control_share) {
            return Err("control_share is a number from 0 to 1".into());
        }
        let seed = key(&[around.seed, text_key(&spec.tenant), id]);
        let scheduled_at = match &spec.scheduled_at {
            Some(text) => instant(text, around.zone)?,
            None => whole_minute(around.now),
        };
        let counted = counted_size(&spec.audience)?;
        let control = share_of(counted, spec.control_share);
        let mut campaign = Self {
            id,
            tenant: spec.tenant,
            zone: around.zone.clone(),
            seed,
            target_group_id: spec.target_group_id,
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
                count: counted,
                prefix: String::new(),
            },
            control,
            shuffle: Permutation::new(seed, counted),
        };
        campaign.audience = match spec.audience {
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
        let mut listed = Vec::with_capacity(customers.len());
        for customer in customers {
            let drawn = customer.action.is_none().then(|| {
                position += 1;
                self.shuffle.at(position - 1)
            });
            listed.push(self.list_one(customer, drawn)?);
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

fn actions(
    specs: Vec<ActionSpec>,
    positions: Range<u64>,
    scheduled_at: Timestamp,
    channels: &[u64],
) -> Result<Vec<Action>, String> {
    if specs.is_empty() || specs.len() > PARTS_MAX {
        return Err(format!("a campaign has 1 to {PARTS_MAX} actions"));
    }
    let mut ids = BTreeSet::from([CONTROL_ACTION_ID]);
    if let Some(twice) = specs.iter().find(|spec| !ids.insert(spec.id)) {
        return Err(format!(
            "action ids differ from each other and from the control group's 1, unlike {}",
            twice.id
        ));
    }
    let mut slices = slices(&specs, positions)?;
    let build = |spec| action(spec, slices.remove(0), scheduled_at, channels);
    specs.into_iter().map(build).collect()
}

fn action(
    spec: ActionSpec,
    slice: Range<u64>,
    scheduled_at: Timestamp,
    known: &[u64],
) -> Result<Action, String> {
    let ActionSpec {
        id,
        name,
        promo_codes: codes,
        channels,
        ..
    } = spec;
    if codes.len() > PARTS_MAX || codes.iter().any(|code| code.trim().is_empty()) {
        return Err(format!(
            "action {id} has at most {PARTS_MAX} promo codes, none blank"
        ));
    }
    if let Some(code) = codes.iter().find(|code| code.contains(',')) {
        return Err(format!(
            "commas separate promo codes, so {code:?} cannot be one"
        ));
    }
    if channels.is_empty() || channels.len() > PARTS_MAX {
        return Err(format!("action {id} needs 1 to {PARTS_MAX} channels"));
    }
    let mut ids = BTreeSet::new();
    if let Some(twice) = channels.iter().find(|channel| !ids.insert(channel.id)) {
        return Err(format!("action {id} names channel {} twice", twice.id));
    }
    if let Some(unknown) = channels.iter().find(|channel| !known.contains(&channel.id)) {
        return Err(format!("the tenant has no channel {}", unknown.id));
    }
    let (len, parts) = (slice.end - slice.start, channels.len() as u64);
    let placements = channels.into_iter().enumerate().map(|(index, channel)| {
        // The reached parts begin spread evenly, so that partial channels overlap only partly.
        let offset = len * index as u64 / parts;
        placement(channel, id, len, offset, scheduled_at)
    });
    Ok(Action {
        id,
        name: name.unwrap_or_else(|| format!("Action {id}")),
        codes,
        slice,
        placements: placements.collect::<Result<_, _>>()?,
    })
}

fn placement(
    spec: ChannelSpec,
    action_id: u64,
    len: u64,
    offset: u64,
    scheduled_at: Timestamp,
) -> Result<Placement, String> {
    let ChannelSpec {
        id: channel,
        template_id,
        template_name,
        share,
        delay_minutes,
    } = spec;
    if !(0.0..=1.0).contains(&share) {
        return Err(format!(
            "the share of channel {channel} is a number from 0 to 1"
        ));
    }
    if !(0..=DELAY_MINUTES_MAX).contains(&delay_minutes) {
        return Err(format!(
            "delay_minutes is a number from 0 to {DELAY_MINUTES_MAX}"
        ));
    }
    let schedule = scheduled_at
        .checked_add(jiff::SignedDuration::from_mins(delay_minutes))
        .map_err(|_| "the schedule time is out of range".to_owned())?;
    let template_id = template_id.unwrap_or(action_id);
    Ok(Placement {
        channel,
        template_id,
        template_name: template_name.unwrap_or_else(|| format!("Template {template_id}")),
        schedule,
        count: share_of(len, share),
        offset,
    })
}

/// Cuts the positions into one slice for each action, in the proportion of their shares.
fn slices(specs: &[ActionSpec], positions: Range<u64>) -> Result<Vec<Range<u64>>, String> {
    let given: f64 = specs.iter().filter_map(|spec| spec.share).sum();
    let silent = specs.iter().filter(|spec| spec.share.is_none()).count();
    let rest = (1.0 - given).max(0.0) / (silent.max(1)) as f64;
    let shares: Vec<f64> = specs
        .iter()
        .map(|spec| spec.share.unwrap_or(rest))
        .collect();
    let total: f64 = shares.iter().sum();
    let sound = shares.iter().all(|share| *share >= 0.0) && total > 0.0 && total.is_finite();
    if !sound {
        return Err("the shares of the actions are 0 or more, and not all 0".into());
    }
    let len = positions.end - positions.start;
    let mut before = 0.0;
    let cut = shares.iter().map(|share| {
        let start = positions.start + share_of(len, before / total);
        before += share;
        start..positions.start + share_of(len, before / total)
    });
    Ok(cut.collect())
}

/// `share` of `len`, rounded; never more than `len`.
fn share_of(len: u64, share: f64) -> u64 {
    ((len as f64 * share).round() as u64).min(len)
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

fn whole_minute(instant: Timestamp) -> Timestamp {
    let second = instant.as_second();
    Timestamp::from_second(second - second.rem_euclid(60)).unwrap_or(instant)
}
