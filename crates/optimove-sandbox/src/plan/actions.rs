//! The actions of a campaign: their parts of the audience, codes and channels.

use std::collections::BTreeSet;
use std::ops::Range;

use jiff::Timestamp;

use crate::campaign::{Action, CONTROL_ACTION_ID, Placement};
use crate::spec::{ActionSpec, ChannelSpec};

/// Most actions in a campaign, channels in an action, codes in an action.
const PARTS_MAX: usize = 100;
/// Longest delay of a channel, in minutes.
const DELAY_MINUTES_MAX: i64 = 60 * 24 * 366;

/// Builds the actions that share `positions`; `known` are the channels of the tenant.
pub(super) fn actions(
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
pub(super) fn share_of(len: u64, share: f64) -> u64 {
    ((len as f64 * share).round() as u64).min(len)
}
