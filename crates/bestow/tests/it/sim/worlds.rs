//! The worlds of the simulation: tenants, codes and campaigns, drawn from a seed.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::model::{
    Access, CampaignPlan, CodePlan, DAYS_DEFAULT, Dice, Kind, Known, Pool, TenantPlan, Times, World,
};
use crate::support::START;

/// Zones with a local time at which their clocks change, or at which nothing happens where they never do.
const ZONES: [(&str, &[&str]); 10] = [
    ("Europe/Lisbon", &["2027-03-28T01:30", "2027-10-31T01:30"]),
    (
        "America/New_York",
        &["2027-03-14T02:30", "2027-11-07T01:30"],
    ),
    (
        "Australia/Lord_Howe",
        &["2027-10-03T02:15", "2027-04-04T01:45"],
    ),
    ("Pacific/Chatham", &["2027-09-26T02:50", "2027-04-04T03:00"]),
    ("Africa/Cairo", &["2027-04-30T00:30", "2027-10-28T23:30"]),
    ("America/Havana", &["2027-03-14T00:00", "2027-11-07T00:30"]),
    ("Asia/Kathmandu", &["2027-03-25T00:00"]),
    (
        "America/St_Johns",
        &["2027-03-14T02:01", "2027-11-07T01:59"],
    ),
    ("Pacific/Kiritimati", &["2027-03-25T23:59"]),
    ("UTC", &["2027-03-25T09:05"]),
];

/// Codes as catalogues spell them. The draws decide when each is known.
pub(super) const CODES: [&str; 7] = [
    "FS20", "CB10", "RELOAD", "vip 20", "ÉTÉ-10", "lucky7", "Zz.Top",
];
/// Beginnings of customer ids: none, zeros, a letter, other scripts, blanks and signs.
const PREFIXES: [&str; 7] = ["", "00", "P-", "zoë", "客", "a b/", "x&y=%2C"];
/// Channels that every tenant of the stand-in has.
const CHANNELS: [u64; 3] = [504, 505, 506];
/// Pages that one list may take, so that a history stays short.
const PAGES_MAX: u64 = 12;
/// Customers of a campaign.
const AUDIENCE_MAX: u64 = 400;

/// A world.
pub(super) fn world(dice: &Dice) -> World {
    let has_lead = dice.chance(70);
    let page_rows = *dice.pick(&[1, 2, 3, 7, 20, 40]);
    let tenants = tenants(dice);
    let codes: Vec<CodePlan> = CODES.iter().map(|code| self::code(dice, code)).collect();
    let campaigns = (0..dice.between(1, 3))
        .map(|index| {
            let tenant = dice.below(tenants.len() as u64) as usize;
            let kind = kind(dice);
            let spec = match kind {
                Kind::Triggered => triggered(dice),
                Kind::Scheduled | Kind::Conditional { .. } => {
                    let mut spec = campaign(dice, &tenants[tenant], page_rows, has_lead);
                    if kind != Kind::Scheduled {
                        spec["kind"] = json!("conditional");
                    }
                    spec
                }
            };
            CampaignPlan {
                id: 7_001 + index,
                tenant,
                kind,
                spec,
            }
        })
        .collect();
    let start = start(dice, tenants[0].zone);
    let world = World {
        tenants,
        campaigns,
        codes,
        page_rows: page_rows as u32,
        merge_grants_max: *dice.pick(&[1, 5, 50, 4_000]),
        times: *dice.pick(&[Times::Local, Times::Local, Times::WithOffset]),
        has_lead,
        start,
        ended_offset: *dice.pick(&[0, 0, -1, 1]),
        rounds: *dice.pick(&[1, 1, 2, 3]),
    };
    if dice.chance(15) {
        by_the_list(dice, world)
    } else {
        world
    }
}

/// The same world, with a tenant whose grants end when Optimove lists them. The list names the day on which a campaign
/// was executed, so that is the day for which it is scheduled: both are early on one day.
fn by_the_list(dice: &Dice, mut world: World) -> World {
    world.tenants.truncate(1);
    let tenant = &mut world.tenants[0];
    tenant.expiry = if dice.chance(60) {
        "ended_by_date"
    } else {
        "both"
    };
    let day = "2027-03-25T00:30"
        .parse::<DateTime>()
        .expect("a local time");
    world.start = day.in_tz(tenant.zone).expect("a zone").timestamp();
    for plan in &mut world.campaigns {
        plan.tenant = 0;
        if plan.kind == Kind::Triggered {
            continue;
        }
        plan.kind = Kind::Scheduled;
        plan.spec["kind"] = json!("scheduled");
        plan.spec["scheduled_at"] = json!("2027-03-25T06:00");
        plan.spec["duration"] = json!(dice.between(1, 5));
        for action in plan.spec["actions"].as_array_mut().into_iter().flatten() {
            for channel in action["channels"].as_array_mut().into_iter().flatten() {
                channel["delay_minutes"] = json!(0);
            }
        }
    }
    world
}

/// Some day, or an hour or two before the clocks of a zone change.
fn start(dice: &Dice, zone: &str) -> Timestamp {
    if dice.chance(50) {
        return START.parse().expect("an instant");
    }
    let change = change(dice, zone).in_tz(zone).expect("a zone");
    let before = SignedDuration::from_mins(*dice.pick(&[5, 65, 125]));
    let start = change.timestamp() - before;
    start.round(jiff::Unit::Second).expect("an instant")
}

/// A local time at which the clocks of a zone change.
fn change(dice: &Dice, zone: &str) -> DateTime {
    let found = ZONES.iter().find(|(name, _)| *name == zone);
    let changes = found.map_or(&[][..], |(_, at)| at);
    dice.pick(changes).parse().expect("a local time")
}

fn code(dice: &Dice, code: &'static str) -> CodePlan {
    let known = *dice.pick(&[
        Known::Active,
        Known::Active,
        Known::Active,
        Known::Active,
        Known::Draft,
        Known::Later,
        Known::Never,
    ]);
    let mut plan = CodePlan::shared(code, known);
    match dice.below(8) {
        0 => plan.per_customer = Some(dice.between(1, 2)),
        1 => plan.total = Some(*dice.pick(&[1, 5, 30])),
        _ => {}
    }
    if dice.chance(25) {
        plan.pool = Some(Pool {
            codes: *dice.pick(&[0, 1, 20, 500]),
            fallback: if dice.chance(25) {
                Some("ANYBODY")
            } else {
                None
            },
        });
    }
    if dice.chance(30) {
        plan.validity = Some(*dice.pick(&[0, 1, 14]));
    }
    plan
}

fn kind(dice: &Dice) -> Kind {
    match dice.below(20) {
        0..=8 => Kind::Scheduled,
        9..=14 => Kind::Conditional {
            seconds: *dice.pick(&[30, 240, 301, 900, 3_600, 7_200]),
        },
        _ => Kind::Triggered,
    }
}

fn tenants(dice: &Dice) -> Vec<TenantPlan> {
    let tenant = |id| {
        let mut channels = CHANNELS.to_vec();
        if dice.chance(15) {
            channels.clear();
        }
        let access = if dice.chance(6) {
            Access::Login
        } else {
            Access::ApiKey
        };
        TenantPlan {
            channels,
            access,
            unconfirmed: if dice.chance(33) { "suspend" } else { "revoke" },
            asks_operator: dice.chance(20),
            per_minute_max: *dice.pick(&[None, None, None, Some(3)]),
            ..TenantPlan::plain(id, dice.pick(&ZONES).0)
        }
    };
    let mut tenants = vec![tenant("acme")];
    if dice.chance(20) {
        tenants.push(tenant("beta"));
    }
    tenants
}

fn campaign(dice: &Dice, tenant: &TenantPlan, page_rows: u64, has_lead: bool) -> Value {
    let actions: Vec<u64> = (24..=24 + dice.below(3)).collect();
    let lead = if has_lead {
        *dice.pick(&[0, 1, 2, 7])
    } else {
        0
    };
    let duration = *dice.pick(&[0, 1, 3, 7, 30]);
    json!({
        "audience": audience(dice, page_rows, &actions),
        "control_share": *dice.pick(&[0.0, 0.0, 0.1, 0.5]),
        "actions": actions.iter().map(|id| action(dice, *id)).collect::<Vec<_>>(),
        "scheduled_at": scheduled_at(dice, tenant.zone, lead, duration),
        "lead_time": lead,
        "duration": duration,
    })
}

/// A campaign that customers meet one by one: one channel for each action, and nothing about its times but its notes.
fn triggered(dice: &Dice) -> Value {
    let actions: Vec<Value> = (24..=24 + dice.below(2))
        .map(|id| {
            let codes: Vec<String> = (0..dice.between(0, 2)).map(|_| spelled(dice)).collect();
            json!({ "id": id, "promo_codes": codes, "channels": [{ "id": 15 }] })
        })
        .collect();
    let notes = match dice.below(4) {
        0 => String::new(),
        1 => "for regulars".to_owned(),
        _ => json!({ "duration": *dice.pick(&[0, 1, u64::from(DAYS_DEFAULT), 7, 30]) }).to_string(),
    };
    json!({
        "kind": "triggered", "actions": actions, "notes": notes,
        "control_share": *dice.pick(&[0.0, 0.0, 0.1]),
    })
}

fn action(dice: &Dice, id: u64) -> Value {
    let codes: Vec<String> = (0..dice.below(4)).map(|_| spelled(dice)).collect();
    let mut channels = CHANNELS.to_vec();
    dice.shuffle(&mut channels);
    channels.truncate(dice.between(1, 3) as usize);
    let channels: Vec<Value> = channels
        .iter()
        .map(|channel| {
            json!({
                "id": channel,
                "share": *dice.pick(&[1.0, 1.0, 0.6, 0.3, 0.0]),
                "delay_minutes": *dice.pick(&[0, 0, 15, 1_560]),
            })
        })
        .collect();
    json!({ "id": id, "promo_codes": codes, "channels": channels })
}

/// A code in a spelling of its own.
fn spelled(dice: &Dice) -> String {
    let code = *dice.pick(&CODES);
    match dice.below(4) {
        0 => code.to_lowercase(),
        1 => code.to_uppercase(),
        _ => code.to_owned(),
    }
}

/// Sizes around the edges of pages, or a list by hand.
fn audience(dice: &Dice, page_rows: u64, actions: &[u64]) -> Value {
    if dice.chance(25) {
        return json!({ "customers": listed(dice, actions) });
    }
    let pages = dice.between(2, PAGES_MAX);
    let count = match dice.below(8) {
        0 => 0,
        1 => 1,
        2 => page_rows - 1,
        3 => page_rows,
        4 => page_rows + 1,
        5 => page_rows * pages,
        _ => dice.below(page_rows * PAGES_MAX),
    };
    json!({ "count": count.min(AUDIENCE_MAX), "prefix": dice.pick(&PREFIXES) })
}

/// Customers with ids nearly alike, rows that come twice, codes of their own.
fn listed(dice: &Dice, actions: &[u64]) -> Vec<Value> {
    (0..dice.between(1, 24))
        .map(|_| {
            let id = match dice.below(4) {
                0 => format!("{:03}", dice.below(12)),
                1 => format!("Ab{}", dice.below(4)),
                2 => format!("aB{}", dice.below(4)),
                _ => format!("{}{}", dice.pick(&PREFIXES), dice.below(20)),
            };
            let id = if id.is_empty() { "7".to_owned() } else { id };
            match dice.below(4) {
                0 => json!(id),
                1 => json!({ "id": id, "action": 1 }),
                2 => json!({ "id": id, "action": dice.pick(actions) }),
                _ => {
                    let codes = format!(" {} ,, {}", spelled(dice), spelled(dice));
                    json!({ "id": id, "action": dice.pick(actions), "promo_code": codes })
                }
            }
        })
        .collect()
}

/// A local time such that the message, the start or the end meets a change of clocks.
fn scheduled_at(dice: &Dice, zone: &str, lead: i64, duration: i64) -> String {
    let at = change(dice, zone);
    let back = *dice.pick(&[0, lead, lead + duration, duration]);
    let minutes = *dice.pick(&[0, 0, -30, 30, 60, 600]);
    let span = jiff::Span::new().days(-back).minutes(minutes);
    at.checked_add(span)
        .expect("within the calendar")
        .to_string()
}
