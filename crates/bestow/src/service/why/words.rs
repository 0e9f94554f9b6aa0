//! The story in words.

use bestow_store::campaigns::{Campaign, SuspendedBy};
use bestow_store::imports::Import;
use bestow_store::inbox::Notification;

use super::StepView;
use crate::clock::instant;
use crate::service::eligibility::Answer;
use crate::service::grants::GrantView;
use crate::service::redemptions::RedemptionView;
use crate::service::view::Instant;
use crate::tenant::Tenant;

/// The answer in a sentence.
pub(super) fn summary(answer: &Answer) -> String {
    let text = match answer.reason {
        None => "The code can be used now.",
        Some("unknown_promotion") => "The catalogue has no such code.",
        Some("promotion_paused") => "The promotion is not active now.",
        Some("no_grant") => "No campaign gave this customer this code.",
        Some("excluded") => "The customer is excluded from everything, or from this promotion.",
        Some("revoked") => "The campaign that gave the code was cancelled or taken back.",
        Some("suspended") => "The campaign that gave the code, or the tenant, is suspended.",
        Some("not_cleared") => "The customer was not approved, or is not yet sent to.",
        Some("not_started") => "The time in which the code can be used has not begun.",
        Some("expired") => "The time in which the code could be used is over.",
        Some("already_redeemed") => "The code is used up.",
        Some("limit_reached") => {
            "The customer, or all customers together, reached a limit: of the promotion, or of codes in use at once."
        }
        Some("budget_exhausted") => "The promotion's budget is used up.",
        Some(other) => return format!("It cannot be used: {other}."),
    };
    text.to_owned()
}

pub(super) fn not_offered() -> StepView {
    StepView {
        at: None,
        campaign_id: None,
        what: "not_offered",
        text: "No campaign that was read so far offers this code to anybody.".into(),
    }
}

pub(super) fn step(
    campaign: &Campaign,
    at: Option<i64>,
    what: &'static str,
    text: String,
) -> StepView {
    StepView {
        at: at.map(Instant),
        campaign_id: Some(campaign.id.clone()),
        what,
        text,
    }
}

pub(super) fn heard(campaign: &Campaign) -> StepView {
    let by = match campaign.seen_by.as_str() {
        "sweep" => "Optimove's list of executed campaigns named it; no notification had come",
        _ => "a notification named it",
    };
    let text = format!("Campaign {} was heard of: {by}.", campaign.id);
    step(campaign, Some(campaign.first_seen_at), "heard", text)
}

pub(super) fn notified(notification: &Notification) -> StepView {
    let channel = notification.channel;
    let channel = channel.map_or(String::new(), |no| format!(" for channel {no}"));
    let times = match notification.arrivals {
        1 => String::new(),
        n => format!(" It came {n} times."),
    };
    let reason = notification.reason.as_deref();
    let reason = reason.map_or(String::new(), |reason| format!(" ({reason})"));
    StepView {
        at: Some(Instant(notification.received_at)),
        campaign_id: notification.campaign.clone(),
        what: "notified",
        text: format!(
            "Event {}{channel} came, and is {}{reason}.{times}",
            notification.event_type, notification.status
        ),
    }
}

/// What its windows are reckoned from, once Optimove was asked.
pub(super) fn terms(tenant: &Tenant, campaign: &Campaign) -> Option<StepView> {
    let lead = campaign.lead_time_days?;
    let lasts = match campaign.duration_days? {
        0 => "for the rest of that day".to_owned(),
        days => format!("for {days} days"),
    };
    let zone = &tenant.row.time_zone;
    let text = format!(
        "The code can be used from {lead} days after the message was scheduled, {lasts}, counted on a clock in {zone}."
    );
    Some(step(campaign, None, "terms", text))
}

pub(super) fn unread(campaign: &Campaign, imports: &[Import]) -> StepView {
    let open: Vec<_> = imports
        .iter()
        .filter(|import| import.state != "done")
        .map(|import| match &import.hold_reason {
            None => format!("channel {} is {}", import.channel, import.state),
            Some(why) => format!("channel {} is held ({why})", import.channel),
        })
        .collect();
    let text = format!("Its lists are not read to the end: {}.", open.join(", "));
    step(campaign, None, "unread", text)
}

pub(super) fn not_listed(campaign: &Campaign, other: Option<&str>) -> StepView {
    let other = other.map_or(String::new(), |other| {
        format!(
            " They name {other:?}, which is another customer: letters and digits count exactly."
        )
    });
    let text =
        format!("Optimove's lists, as far as they are read, do not name the customer.{other}");
    step(campaign, None, "not_listed", text)
}

pub(super) fn other_codes(campaign: &Campaign) -> StepView {
    let text = "Optimove's lists name the customer, with other codes or none.".to_owned();
    step(campaign, None, "other_codes", text)
}

pub(super) fn listed(campaign: &Campaign, page: u32, row: u32) -> StepView {
    let text = format!("Row {row} of page {page} that was read names the customer.");
    step(campaign, None, "listed", text)
}

pub(super) fn held(campaign: &Campaign, reason: &str) -> StepView {
    let what = match reason {
        "unknown_code" => "the catalogue has no such code; it is granted once it has",
        "inactive_promotion" => "the promotion is a draft or archived",
        "promotion_stopped" => "a person stopped the promotion",
        "too_many_codes" => "one row gives more codes than a customer may get",
        "bad_schedule_time" => "its schedule time cannot be read",
        "bad_code" => "the text cannot be a code",
        "cap_reached" => "as much is granted as may be for now",
        other => other,
    };
    step(campaign, None, "held", format!("It is held: {what}."))
}

pub(super) fn refused(campaign: &Campaign, reason: &str) -> StepView {
    let what = match reason {
        "control_group" => "the customer is in the control group, which gets nothing",
        "excluded" => "the customer was excluded when the list was read",
        other => other,
    };
    step(campaign, None, "refused", format!("It is refused: {what}."))
}

/// A row that should have been granted, and was not.
pub(super) fn lost(campaign: &Campaign) -> StepView {
    let text = "No grant came of it: when it was to be granted, a limit, an empty pool of codes or \
        a customer with nearly the same id stood against it. The counts of the campaign say how many there were of each.";
    step(campaign, None, "refused", text.to_owned())
}

/// A row whose turn has not come.
pub(super) fn not_merged(campaign: &Campaign) -> StepView {
    let text = "It is not granted yet: its turn has not come.".to_owned();
    step(campaign, None, "unread", text)
}

pub(super) fn denied(campaign: &Campaign, reason: &str) -> StepView {
    let what = match reason {
        "excluded" => "the customer was excluded",
        "limit_reached" => "a limit of the promotion was reached",
        "not_approved" => "the operator's own system said no",
        "past_clearance" => "the deadline had passed",
        other => other,
    };
    let text = format!("The customer was not approved before the message was sent: {what}.");
    step(campaign, None, "denied", text)
}

pub(super) fn granted(tenant: &Tenant, campaign: &Campaign, grant: &GrantView) -> StepView {
    let wall = |at: Instant| tenant.zone.wall_clock(instant(at.0));
    let ends = match grant.ends_at {
        None => "until Optimove's daily list ends it".to_owned(),
        Some(end) => format!("to {end} ({} there)", wall(end)),
    };
    let own = grant.unique_code.as_deref();
    let own = own.map_or(String::new(), |code| format!(" as {code}"));
    let text = format!(
        "Granted{own}: it can be used from {} ({} in {}) {ends}. Now it is {}.",
        grant.starts_at,
        wall(grant.starts_at),
        tenant.row.time_zone,
        grant.status
    );
    step(campaign, Some(grant.created_at.0), "granted", text)
}

pub(super) fn stopped(campaign: &Campaign) -> Vec<StepView> {
    let reason = campaign.stop_reason.as_deref().unwrap_or("no reason told");
    let whose = match campaign.suspended_by {
        Some(SuspendedBy::Operator) => "a person",
        Some(SuspendedBy::Cancel) => "a cancel that Optimove told of",
        None => "somebody",
    };
    let suspended = campaign.suspended_at.map(|at| {
        let text = format!("Suspended by {whose}: {reason}.");
        step(campaign, Some(at), "suspended", text)
    });
    let revoked = campaign.revoked_at.map(|at| {
        let text = format!("Taken back for good: {reason}.");
        step(campaign, Some(at), "revoked", text)
    });
    suspended.into_iter().chain(revoked).collect()
}

pub(super) fn redeemed(campaign: &Campaign, redemption: &RedemptionView) -> Vec<StepView> {
    let at = |at: Option<Instant>| at.map(|at| at.0);
    let id = &redemption.id;
    let taken = match (redemption.amount_minor, &redemption.currency) {
        (Some(amount), Some(currency)) => format!(", {amount} minor units of {currency}"),
        (Some(amount), None) => format!(", {amount} minor units"),
        (None, _) => String::new(),
    };
    let used = redemption.redeemed_at.map(|_| {
        let text = format!("Redeemed{taken} ({id}).");
        step(campaign, at(redemption.redeemed_at), "redeemed", text)
    });
    let undone = redemption.reversed_at.map(|_| {
        let text = format!("The redemption was undone ({id}).");
        step(campaign, at(redemption.reversed_at), "reversed", text)
    });
    used.into_iter().chain(undone).collect()
}

pub(super) fn archived(campaign: &Campaign) -> StepView {
    let text =
        "Its grants have left for an archive: `bestow archives find` looks there.".to_owned();
    step(campaign, None, "archived", text)
}
