//! What those who hear of grants have to have heard: worked out from the ledger and from what was asked for, and never
//! from what was meant to be sent.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use serde_json::Value;

use super::destinations::{KEYED, PLAIN};
use super::model::Kind;
use super::run::Wrong;
use super::seen::Seen;
use super::stage::Stage;
use crate::deliveries::receiver::Receiver;

/// How much was told.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Heard {
    pub(crate) told: u64,
    pub(crate) in_doubt: u64,
}

/// An event as it came.
#[derive(Debug, Clone)]
struct Event {
    delivery: String,
    grant: String,
    sequence: i64,
    kind: String,
    at: i64,
}

/// What one system has come to.
struct Book {
    /// By id: whatever came, applied or not.
    came: BTreeMap<String, Event>,
    /// How often each event was applied.
    effects: HashMap<String, u64>,
    /// Of each grant what was applied, in this order.
    order: HashMap<String, Vec<(i64, String)>>,
    in_doubt: BTreeSet<String>,
}

impl Book {
    fn of(receiver: &Receiver) -> Result<Self, Wrong> {
        let seen = receiver.seen();
        if seen.unsigned > 0 {
            return Err(format!("{} deliveries are not signed", seen.unsigned));
        }
        let mut came = BTreeMap::new();
        for (delivery, bodies) in &seen.bodies {
            let [body] = &bodies[..] else {
                return Err(format!("{delivery} came as {} bodies", bodies.len()));
            };
            let body: Value = serde_json::from_slice(body).map_err(|e| e.to_string())?;
            for event in body["data"]["events"].as_array().into_iter().flatten() {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let at = text(&event["at"]).parse::<Timestamp>();
                let read = Event {
                    delivery: delivery.clone(),
                    grant: text(&event["grant"]["id"]),
                    sequence: event["sequence"].as_i64().unwrap_or_default(),
                    kind: text(&event["type"]),
                    at: at.map_err(|e| e.to_string())?.as_millisecond(),
                };
                if let Some(twice) = came.insert(text(&event["id"]), read) {
                    return Err(format!("{twice:?} came in another delivery, too"));
                }
            }
        }
        Ok(Self {
            came,
            effects: seen.effects.clone(),
            order: seen.grants.clone(),
            in_doubt: seen.in_doubt.clone(),
        })
    }

    /// Nothing took effect twice, and each grant's events in their order, but for those left out.
    fn once_and_in_order(&self, left_out: &BTreeSet<&String>) -> Result<(), Wrong> {
        if let Some(twice) = self.effects.iter().find(|(_, times)| **times != 1) {
            return Err(format!("applied more than once: {twice:?}"));
        }
        let events = self.came.values();
        let late: BTreeSet<(&str, i64)> = events
            .filter(|event| left_out.contains(&event.delivery))
            .map(|event| (&*event.grant, event.sequence))
            .collect();
        for (grant, events) in &self.order {
            let counted = |event: &&(i64, String)| !late.contains(&(&**grant, event.0));
            if !events.iter().filter(counted).is_sorted() {
                return Err(format!("{grant} was told in another order: {events:?}"));
            }
        }
        Ok(())
    }
}

/// How a campaign stands when all is over.
struct Standing {
    is_revoked: bool,
    is_suspended: bool,
    /// Pairs that are told of, where not all are.
    sent: Option<BTreeSet<(String, String)>>,
    /// Nothing was changed from then on.
    rested: i64,
    /// Whether somebody looked at every start and end from then on.
    is_watched: bool,
}

impl Stage<'_> {
    /// Both systems of a tenant heard what there was to hear.
    pub(super) async fn audit_heard(
        &self,
        tenant: usize,
        (rested, is_watched): (i64, bool),
        undone: &BTreeSet<String>,
        may_fail: bool,
    ) -> Result<Heard, Wrong> {
        let hearers = &self.hearers[&tenant];
        let (keyed, plain) = (Book::of(&hearers.keyed)?, Book::of(&hearers.plain)?);
        let states = self.deliveries_to(tenant, KEYED).await?;
        if states.keys().any(|state| state != "delivered") {
            return Err(format!("with keys, not all is delivered: {states:?}"));
        }
        keyed.once_and_in_order(&BTreeSet::new())?;
        if let Some(never) = keyed
            .came
            .keys()
            .find(|id| !keyed.effects.contains_key(*id))
        {
            return Err(format!("{never} came and was never applied"));
        }
        self.tells_the_ledger(tenant, (rested, is_watched), &keyed)
            .await?;
        self.tells_redemptions(tenant, undone, &keyed)?;
        let in_doubt = self.audit_plain(tenant, &plain, &keyed, may_fail).await?;
        let told = keyed.effects.len() as u64;
        Ok(Heard { told, in_doubt })
    }

    /// Without keys: nothing twice, and whatever is in doubt is known to be. Gives how many events are.
    async fn audit_plain(
        &self,
        tenant: usize,
        plain: &Book,
        keyed: &Book,
        may_fail: bool,
    ) -> Result<u64, Wrong> {
        let mut states = self.deliveries_to(tenant, PLAIN).await?;
        let delivered = states.remove("delivered").unwrap_or_default();
        let unknown = states.remove("unknown").unwrap_or_default();
        if !states.is_empty() {
            return Err(format!("without keys, deliveries are left: {states:?}"));
        }
        plain.once_and_in_order(&unknown.keys().collect())?;
        let settled = plain.in_doubt.iter().find(|id| !unknown.contains_key(*id));
        if let Some(settled) = settled {
            return Err(format!("{settled} was in doubt and is not unknown"));
        }
        let doubted = unknown.keys().find(|id| !plain.in_doubt.contains(*id));
        if let Some(doubted) = doubted.filter(|_| !may_fail) {
            return Err(format!("{doubted} is unknown without a reason"));
        }
        for (id, event) in &plain.came {
            if !keyed.came.contains_key(id) {
                return Err(format!("only without keys it was told that {event:?}"));
            }
            if delivered.contains_key(&event.delivery) && !plain.effects.contains_key(id) {
                return Err(format!("delivered and never applied: {event:?}"));
            }
        }
        let in_doubt = unknown.values().sum::<u64>();
        let planned = delivered.values().sum::<u64>() + in_doubt;
        if planned == keyed.effects.len() as u64 {
            Ok(in_doubt)
        } else {
            Err(format!(
                "without keys {planned} events, with keys {}",
                keyed.effects.len()
            ))
        }
    }

    /// Of every grant that is to be told of, and of no other, exactly what became of it was told.
    async fn tells_the_ledger(
        &self,
        tenant: usize,
        (rested, is_watched): (i64, bool),
        book: &Book,
    ) -> Result<(), Wrong> {
        let mut stories = BTreeMap::<&str, Vec<&Event>>::new();
        for event in book.came.values() {
            stories.entry(&event.grant).or_default().push(event);
        }
        for campaign in 0..self.history.world.campaigns.len() {
            if self.tenant_of(campaign) != tenant {
                continue;
            }
            let mut standing = self.standing(campaign).await?;
            (standing.rested, standing.is_watched) = (rested, is_watched);
            for grant in self.ledger(campaign).await? {
                let mut story = stories.remove(&*grant.id).unwrap_or_default();
                story.sort_by_key(|event| event.sequence);
                check(&grant, &story, &standing)
                    .map_err(|wrong| format!("{wrong}: {grant:?} was told as {story:?}"))?;
            }
        }
        match stories.first_key_value() {
            None => Ok(()),
            Some((grant, story)) => Err(format!("there is no {grant}, and it was told: {story:?}")),
        }
    }

    async fn standing(&self, campaign: usize) -> Result<Standing, Wrong> {
        let (_, view) = self.get(&self.campaign_path(campaign)).await?;
        let sent = match self.kind(campaign) {
            Kind::Conditional { .. } => Some(self.expected(campaign)?.into_keys().collect()),
            Kind::Scheduled | Kind::Triggered => None,
        };
        Ok(Standing {
            is_revoked: !view["revoked_at"].is_null(),
            is_suspended: !view["suspended_at"].is_null(),
            sent,
            rested: i64::MAX,
            is_watched: false,
        })
    }

    /// Of every redemption, and of every one undone.
    fn tells_redemptions(
        &self,
        tenant: usize,
        undone: &BTreeSet<String>,
        book: &Book,
    ) -> Result<(), Wrong> {
        let redeemed = self.redeemed()?.into_iter();
        let of_tenant = redeemed.filter(|(of, _)| *of == tenant);
        let made = of_tenant.map(|(_, made)| {
            let id = made["id"].as_str().unwrap_or_default();
            format!("{id}.created")
        });
        let undone = undone.iter().map(|id| format!("{id}.reversed"));
        let expected: BTreeSet<String> = made.chain(undone).collect();
        let told = book.came.iter();
        let told = told.filter(|(_, event)| event.kind.starts_with("redemption."));
        let told: BTreeSet<String> = told.map(|(id, _)| id.clone()).collect();
        if told == expected {
            Ok(())
        } else {
            Err(format!(
                "of redemptions {told:?} was told, not {expected:?}"
            ))
        }
    }
}

/// Whether what was told of a grant is what became of it.
fn check(grant: &Seen, story: &[&Event], standing: &Standing) -> Result<(), &'static str> {
    let is_stopped = standing.is_revoked || standing.is_suspended;
    let is_sent = |sent: &BTreeSet<_>| sent.contains(&grant.holding().0);
    let is_sent = standing.sent.as_ref().is_none_or(is_sent);
    let Some(first) = story.first() else {
        let may_be_silent = is_stopped || !is_sent;
        return if may_be_silent {
            Ok(())
        } else {
            Err("nothing was told")
        };
    };
    if !is_sent && !is_stopped {
        return Err("nobody was sent it");
    }
    if first.kind != "grant.created" {
        return Err("it did not begin with its making");
    }
    let of_kind = |kind: &str| story.iter().filter(|event| event.kind == kind).count();
    let (starts, revocations) = (of_kind("grant.activated"), of_kind("grant.revoked"));
    if of_kind("grant.created") > 1 || revocations > 1 {
        return Err("told twice");
    }
    if has_another_instant(grant, story) {
        return Err("told of another instant");
    }
    if goes_on_after_its_end(story) {
        return Err("told twice, or after its end");
    }
    // The daily list may end what has not started.
    let starts_at_all = grant.ends_at.is_none_or(|end| grant.starts_at < end);
    let is_due = starts_at_all && grant.starts_at > standing.rested;
    if starts == 0 && !is_stopped && standing.is_watched && is_due {
        return Err("its start was not told");
    }
    let mut of_grant = story
        .iter()
        .filter(|event| event.kind.starts_with("grant."));
    let is_over = match of_grant.next_back() {
        // What was over and is prolonged to an end that is over as well is over, and was told to be.
        Some(last) if last.kind == "grant.expired" => {
            Some(last.at) == grant.ends_at || grant.ends_at <= Some(standing.rested)
        }
        Some(last) if last.kind == "grant.revoked" => standing.is_revoked,
        _ => grant.ends_at.is_none() && !standing.is_revoked,
    };
    if !is_over {
        return Err("its end was not told");
    }
    Ok(())
}

/// Whether a start was told before the window's, or an end after it. Windows of several lists are joined, so that an
/// earlier start and a later end may become known after others were told.
fn has_another_instant(grant: &Seen, story: &[&Event]) -> bool {
    story.iter().any(|event| match &*event.kind {
        "grant.activated" => event.at < grant.starts_at,
        "grant.expired" => Some(event.at) > grant.ends_at,
        _ => false,
    })
}

/// Whether anything but its coming to life again was told of the grant itself once it was over, or the same twice in a
/// row.
fn goes_on_after_its_end(story: &[&Event]) -> bool {
    let of_grant = story
        .iter()
        .filter(|event| event.kind.starts_with("grant."));
    let (mut is_over, mut is_active, mut is_revoked, mut is_suspended) =
        (false, false, false, false);
    for event in of_grant {
        let kind = &*event.kind;
        let is_wrong = is_revoked
            || (is_over && kind != "grant.activated")
            || (is_active && kind == "grant.activated")
            || (is_suspended && kind == "grant.suspended");
        if is_wrong {
            return true;
        }
        (is_over, is_revoked) = (kind == "grant.expired", kind == "grant.revoked");
        is_active = kind == "grant.activated" || (is_active && !is_over);
        is_suspended =
            kind == "grant.suspended" || (is_suspended && !matches!(kind, "grant.resumed"));
    }
    false
}
